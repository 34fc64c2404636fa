"""The functions that light on a face is made of, and what colours of its skin say of them.

Letters: V vertices of the head model, N skin vertices that are looked at, K functions, of which
the first L are light's.

Most of light varies slowly over a face: the first eigenvectors of the graph Laplacian of its skin
are the slowest ways in which something can vary over it. But a nose has all directions within a
finger's breadth, and without the light and shade on its sides looks flat. What light does there
follows the normals, as nine spherical harmonics within a percent (Ramamoorthi and Hanrahan 2001).
So those of the normals, as far as nothing smooth says the same, are functions of light, too: cheeks
and forehead tell what it is, and the nose is lit by it.

A weighted, regularised least-squares fit of the logarithm of the colours in this basis is the light
times the tone of the skin; it needs no part of the face to be seen, and hands or hair are left out
by their weights.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh, splu
from scipy.spatial import cKDTree

from stream.geometry import smoothstep, vertex_normals
from stream.swap.shape import SKIN
from stream.swap.texture_light import harmonics
from stream.swap.texture_map import SameModel

if TYPE_CHECKING:
    from stream.head_model import HeadModel

LIFT = 12.0  # grey levels added before the logarithm: noise in the dark is no light
_SMOOTH, _FASTER = 16, 12  # functions that vary as light does, and faster
_RELIEF = 8  # harmonics of the normals, without the constant one
_LIGHT = _SMOOTH + _RELIEF
_LEFT = 8  # as for what is left of light in a texture; the rest of it is the face
_STIFFNESS = 0.01  # of the fastest light, of the sum of all weights; falls with the eigenvalue
_RELIEF_STIFFNESS = 0.3  # of that
_RELIEF_SHARE = 0.7  # with all of it, a recogniser finds who is lit, not who was photographed
_TINT_STIFFNESS = 0.1  # likewise of what varies faster
_EVEN_MM = 3.0  # over which normals are evened out
_BEYOND_MM = 30.0  # from the skin: functions go on so far
_ASTRAY = 0.18  # of the logarithm: what differs more from the light is no plain skin
_ROUNDS = 3
_EVERY = 2  # vertices
_LEAST_WEIGHT = 0.15  # of what was completed, beside what was seen
_LEAST_SEEN = 0.08  # of the skin
_FEATURES_MM = ((range(36, 48), 9.0), (range(17, 27), 8.0), (range(48, 68), 7.5),
                (range(31, 36), 5.0))  # fmt: skip


class LightBasis:
    """The functions of light on the skin of a head model, and where skin is plain.

    Args:
        model: the head model.

    Attributes:
        functions: (V, K) float32; 0 off the skin, but continued a little beyond it.
        plain: (N,) vertices that show plain skin: no lids, brows, lips.
        inner: (N,) 0…1, less where hair, ears or neck are near.
    """

    def __init__(self, model: HeadModel) -> None:
        skin, triangles = _main_skin(model)
        stiffness, mass = _laplacian(model.vertices[skin].astype(np.float64), triangles)
        smooth, faster, self._slowness = _harmonics(stiffness, mass)
        self._relief = _Relief(model, skin, stiffness, mass, smooth)
        away, self._nearest = cKDTree(model.vertices[skin]).query(model.vertices)
        self._reached = away[:, None] < _BEYOND_MM
        relief = self._relief.functions(model.vertices)
        self.functions = self._continued(np.hstack([smooth, relief, faster]))
        self.plain = _plain_skin(model)
        self.inner = _inner(model, self.plain)
        self._looks = self.functions[self.plain].astype(np.float32)

    def functions_on(self, vertices: np.ndarray) -> np.ndarray:
        """Return (V, K) float32 functions on a source's head, (V, 3) at rest.

        Its nose has other normals, and so other light and shade in the same light; not all of
        it, for its texture has kept some.
        """
        changed = self.functions.copy()
        relief = self._continued(self._relief.functions(vertices))
        changed[:, _SMOOTH:_LIGHT] = _RELIEF_SHARE * relief
        return changed

    def _continued(self, functions: np.ndarray) -> np.ndarray:
        """Return (V, K) float32 of functions on the skin only."""
        return np.where(self._reached, functions[self._nearest], 0).astype(np.float32)

    def evidence(self, colours: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
        """Return what colours of the plain skin say of the light.

        Args:
            colours: (N, 3) 0…255.
            weights: (N,) how well each was seen.

        Returns:
            (L, L + 3) float32, the normal equations of the first functions, which can be averaged
            over frames; None where hardly anything is seen.
        """
        if float(weights.sum()) < _LEAST_SEEN * len(self.plain):
            return None
        wanted = np.log(colours + LIFT).astype(np.float32)
        return self._equations(wanted, self._robust(wanted, weights), _LIGHT)

    def light(self, evidence: np.ndarray) -> np.ndarray:
        """Return the (K, 3) coefficients of the logarithm of a light, from its evidence."""
        return self._solved(evidence)

    def difference(self, light: np.ndarray, evidence: np.ndarray) -> float:
        """Return by how much (of the logarithm) evidence differs from a light, where it was had."""
        count = len(evidence)
        normal, apart = evidence[:, :count], (self.light(evidence) - light)[:count]
        return float(np.sqrt(max(np.einsum("kc,kl,lc->", apart, normal, apart), 0) / 3))

    def fit_tints(self, colours: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Fit light to a whole texture, with tints that may vary faster than its brightness.

        What a photo's light leaves in a texture is seen most as patches of wrong tints, whereas
        its brightness makes cheeks and chin what they are.

        Args:
            colours: (N, 3) 0…255.
            weights: (N,) how well each was seen.

        Returns:
            (K, 3) coefficients of the logarithm.
        """
        wanted = np.log(colours + LIFT).astype(np.float32)
        share = self._robust(wanted, np.maximum(weights, _LEAST_WEIGHT))
        slow = self._solved(self._equations(wanted, share, _LEFT))
        fast = self._solved(self._equations(wanted, share, len(self._slowness)), _TINT_STIFFNESS)
        return fast + (slow - fast).mean(axis=1, keepdims=True)

    def _robust(self, wanted: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return (N,) weights that add up to 1, less where the light is astray."""
        share = (weights / weights.sum()).astype(np.float32)
        looks = self._looks[:, :_LIGHT]
        for _ in range(_ROUNDS - 1):
            found = self._solved(self._equations(wanted, share, _LIGHT))
            rest = np.abs(looks @ found[:_LIGHT] - wanted).mean(axis=1)
            share = (weights / weights.sum() / (1 + (rest / _ASTRAY) ** 2)).astype(np.float32)
        return share / share.sum()

    def _equations(self, wanted: np.ndarray, share: np.ndarray, count: int) -> np.ndarray:
        """Return (L, L + 3), of weighted least squares in the first L functions."""
        weighted = self._looks[:, :count] * share[:, None]
        return weighted.T @ np.hstack([self._looks[:, :count], wanted])

    def _solved(self, equations: np.ndarray, stiffness: float = _STIFFNESS) -> np.ndarray:
        """Return (K, 3) what solves equations; of the functions that they lack, 0."""
        count = len(equations)
        normal = equations[:, :count] + stiffness * np.diag(self._slowness[:count])
        found = np.zeros((len(self._slowness), 3), np.float32)
        found[:count] = np.linalg.solve(normal, equations[:, count:])
        return found

    def at_vertices(
        self, coefficients: np.ndarray, functions: np.ndarray | None = None
    ) -> np.ndarray:
        """Return (V, 3) float32 logarithms of a light, on a head that has functions of its own."""
        functions = self.functions if functions is None else functions
        used = coefficients.any(axis=1)
        return functions[:, used] @ coefficients[used].astype(np.float32)


def light_basis(model: HeadModel) -> LightBasis:
    """Return the basis of a model, made once."""
    return _light_basis(SameModel(model))


@lru_cache(maxsize=2)
def _light_basis(key: SameModel) -> LightBasis:
    return LightBasis(key.model)


class _Relief:
    """Harmonics of a head's normals, as far as nothing smooth says the same.

    Args:
        model: the head model.
        skin: (N,) its vertices that are skin.
        stiffness: (N, N) Laplacian of the skin.
        mass: (N,) area at each vertex.
        smooth: (N, L) smooth functions.
    """

    def __init__(
        self, model: HeadModel, skin: np.ndarray, stiffness: sparse.csc_matrix, mass: np.ndarray,
        smooth: np.ndarray,
    ) -> None:  # fmt: skip
        self._triangles, self._skin, self._smooth, self._mass = model.triangles, skin, smooth, mass
        self._even = splu((sparse.diags(mass) + _EVEN_MM**2 / 2 * stiffness).tocsc())
        usual = self._harmonics(model.vertices)
        self._told = (smooth * mass[:, None]).T @ usual / mass.sum()
        self._size = _root_mean_square(usual - smooth @ self._told, mass)

    def functions(self, vertices: np.ndarray) -> np.ndarray:
        """Return (N, 8) functions on a head (V, 3); mean square 1 on that of the model."""
        return (self._harmonics(vertices) - self._smooth @ self._told) / self._size

    def _harmonics(self, vertices: np.ndarray) -> np.ndarray:
        """Return (N, 8), evened out over a few millimetres: creases are no surfaces."""
        found = harmonics(vertex_normals(vertices, self._triangles)[self._skin])[:, 1:]
        return self._even.solve(self._mass[:, None] * found.astype(np.float64))


def _harmonics(
    stiffness: sparse.csc_matrix, mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (N, L) smooth functions and (N, F) faster ones, and (K,) how stiff all are."""
    values, slow = eigsh(stiffness, _SMOOTH + _FASTER, sparse.diags(mass), sigma=-1e-6)
    slow *= np.sign(slow[np.abs(slow).argmax(axis=0), range(len(values))])
    slow /= _root_mean_square(slow, mass)
    stiff = np.maximum(values, 0) / max(values[_SMOOTH - 1], 1e-12) + 1e-4
    smooth, faster = np.split(slow, [_SMOOTH], axis=1)
    return smooth, faster, np.insert(stiff, _SMOOTH, np.full(_RELIEF, _RELIEF_STIFFNESS))


def _root_mean_square(functions: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Return (K,) of functions (N, K), by the mass (N,) of each place."""
    return np.sqrt((mass[:, None] * functions**2).sum(axis=0) / mass.sum())


def _main_skin(model: HeadModel) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertices of the largest patch of skin, and the triangles between them."""
    triangles = model.triangles[(model.labels == SKIN)[model.triangles].all(axis=1)]
    ends = np.concatenate([triangles[:, :2], triangles[:, 1:]])
    count = len(model.vertices)
    graph = sparse.coo_matrix((np.ones(len(ends)), ends.T), (count, count))
    _, patch = connected_components(graph, directed=False)
    skin = np.flatnonzero(patch == np.bincount(patch).argmax())
    number = np.full(count, -1)
    number[skin] = np.arange(len(skin))
    numbered = number[triangles]
    return skin, numbered[(numbered >= 0).all(axis=1)]


def _laplacian(vertices: np.ndarray, triangles: np.ndarray) -> tuple[sparse.csc_matrix, np.ndarray]:
    """Return the cotangent Laplacian of a mesh and the area at each vertex."""
    count = len(vertices)
    rows, columns, values = [], [], []
    area = np.zeros(count)
    for corner in range(3):
        i, j, k = (triangles[:, (corner + step) % 3] for step in range(3))
        to_i, to_j = vertices[i] - vertices[k], vertices[j] - vertices[k]
        double = np.linalg.norm(np.cross(to_i, to_j), axis=1)
        half_cot = np.clip((to_i * to_j).sum(1) / np.maximum(double, 1e-9), 0.02, 20) / 2
        rows += [i, j, i, j]
        columns += [j, i, i, j]
        values += [-half_cot, -half_cot, half_cot, half_cot]
        area += np.bincount(i, double / 6, count)
    matrix = sparse.coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (count, count)
    )
    return matrix.tocsc(), np.maximum(area, 1e-6)


def _plain_skin(model: HeadModel) -> np.ndarray:
    points, vertices = model.points68(), model.vertices
    plain = model.labels == SKIN
    for part, reach_mm in _FEATURES_MM:
        plain &= cKDTree(points[list(part)]).query(vertices)[0] > reach_mm
    return np.flatnonzero(plain)[::_EVERY]


def _inner(model: HeadModel, chosen: np.ndarray) -> np.ndarray:
    """Return (N,) 0…1, less where hair, ears or neck are near."""
    border = model.vertices[np.isin(model.labels, (2, 3, 4))]
    away = cKDTree(border).query(model.vertices[chosen])[0]
    return smoothstep(away, 4.0, 14.0)
