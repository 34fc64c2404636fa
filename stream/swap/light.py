"""The light on a face: how its skin's colour varies slowly over the face, in a smooth basis.

Letters: V vertices of the head model, N skin vertices that are looked at, K smooth functions.
The functions are the first eigenvectors of the graph Laplacian of the face's skin: the slowest
ways in which something can vary over it. A weighted, regularised least-squares fit of the logarithm
of the colours in this basis is the light times the tone of the skin; it needs no part of the face
to be seen, and hands or hair are left out by their weights.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh
from scipy.spatial import cKDTree

from stream.flatten import texture_uv
from stream.geometry import smoothstep
from stream.region import Region
from stream.swap.shape import SKIN
from stream.swap.texture_map import SameModel

if TYPE_CHECKING:
    from stream.head_model import HeadModel
    from stream.swap.occlude import Front
    from stream.swap.options import SwapSettings
    from stream.swap.shape import FaceShape

_FUNCTIONS = 28
_LIGHT_FUNCTIONS = 16  # light itself varies no faster
_LEFT_FUNCTIONS = 8  # as for what is left of it in a texture; the rest of it is the face
_STIFFNESS = 0.01  # of the fastest light, of the sum of all weights; falls with the eigenvalue
LIFT = 12.0  # grey levels added before the logarithm: noise in the dark is no light
_TINT_STIFFNESS = 0.1  # likewise of what varies faster
_ASTRAY = 0.18  # of the logarithm: what differs more from the smooth light is no plain skin
_ROUNDS = 3
_EVERY = 2  # vertices
_HEAD = 0.5  # of the face's size, to every side: the head with its hair
_DARK_SIZE, _DARK_PERCENT, _CLEAR_BLACK = (128, 128), 0.5, 25.0
_LEAST_WEIGHT = 0.15  # of what was completed, beside what was seen
_LEAST_SEEN = 0.08  # of the skin
_LIGHT_SHARE = 0.3  # of a new frame in what is used
_CHANGED = (0.02, 0.08)  # of the logarithm: a light that surely is the same, and another one
_BLACK_EVERY = 5  # frames
_MOST_HAZE = 0.6  # of the skin's brightness
_BLUR = 0.09  # of the distance of the eyes: over which skin is averaged
_TEXTURE_BLUR = 0.012  # of its side
_FACING = (0.15, 0.55)  # cosine to the camera: says nothing, and counts in full
_RISE = 0.7
_LUMA = np.array([0.3, 0.59, 0.11], np.float32)
_FEATURES_MM = ((range(36, 48), 9.0), (range(17, 27), 8.0), (range(48, 68), 7.5),
                (range(31, 36), 5.0))  # fmt: skip


class LightBasis:
    """The smooth functions on the skin of a head model, and where skin is plain.

    Args:
        model: the head model.

    Attributes:
        functions: (V, K) float32; 0 off the skin, but continued a little beyond it.
        plain: (N,) vertices that show plain skin: no lids, brows, lips.
        inner: (N,) 0…1, less where hair, ears or neck are near.
    """

    def __init__(self, model: HeadModel) -> None:
        self.functions, slowness = _harmonics(model)
        self.plain = _plain_skin(model)
        self.inner = _inner(model, self.plain)
        self._looks = self.functions[self.plain].astype(np.float32)
        self._slowness = slowness

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
        return self._equations(wanted, self._robust(wanted, weights), _LIGHT_FUNCTIONS)

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
        slow = self._solved(self._equations(wanted, share, _LEFT_FUNCTIONS))
        fast = self._solved(self._equations(wanted, share, _FUNCTIONS), _TINT_STIFFNESS)
        return fast + (slow - fast).mean(axis=1, keepdims=True)

    def _robust(self, wanted: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return (N,) weights that add up to 1, less where the light is astray."""
        share = (weights / weights.sum()).astype(np.float32)
        looks = self._looks[:, :_LIGHT_FUNCTIONS]
        for _ in range(_ROUNDS - 1):
            found = self._solved(self._equations(wanted, share, _LIGHT_FUNCTIONS))
            rest = np.abs(looks @ found[:_LIGHT_FUNCTIONS] - wanted).mean(axis=1)
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
        found = np.zeros((_FUNCTIONS, 3), np.float32)
        found[:count] = np.linalg.solve(normal, equations[:, count:])
        return found

    def at_vertices(self, coefficients: np.ndarray) -> np.ndarray:
        """Return (V, 3) float32 logarithms of a light."""
        used = coefficients.any(axis=1)
        return self.functions[:, used] @ coefficients[used].astype(np.float32)


def relit(target: np.ndarray, source: np.ndarray, black: float) -> np.ndarray:
    """Return what takes the skin of a source to the light of a target.

    Colours are multiplied by how much more light there is, and so keep their hue. A source that
    is much darker gains less contrast than light, or a dark painting's cracks would glare. In
    haze nothing is darker than the haze.

    Args:
        target: (V, 3) logarithm of the target's light.
        source: (V, 3) of the source's.
        black: how bright the haze before the target is, 0…255.

    Returns:
        (V, 9) float32: factors of red, green and blue, what is added to them, of 0…1, and the
        colour of the source's skin, of 0…1.
    """
    goal, start = np.exp(target) - LIFT, np.exp(source) - LIFT
    haze = np.clip(black, 0, _MOST_HAZE * goal.clip(0))
    rise = np.maximum((target - source) @ _LUMA, 0)[:, None]
    contrast = np.exp((_RISE - 1) * rise)
    bare = np.maximum(start, 4)
    gain = np.maximum(goal - haze, 1) / bare
    added = contrast * haze + (1 - contrast) * goal
    return np.hstack([contrast * gain, added / 255, bare / 255]).astype(np.float32)


class LiveLight:
    """Follows the light on one face of the stream.

    Args:
        basis: the smooth functions.
    """

    def __init__(self, basis: LightBasis) -> None:
        self._basis = basis
        self._evidence: np.ndarray | None = None
        self._light: np.ndarray | None = None
        self._black, self._frames = 0.0, 0

    def __call__(
        self,
        pixels: np.ndarray,
        shape: FaceShape,
        front: Front | None,
        source: np.ndarray,
        settings: SwapSettings,
    ) -> np.ndarray:
        """Return what takes a source's skin to the light of this frame: see `relit`.

        Args:
            pixels: (H, W, 3) uint8, the frame.
            shape: the geometry of the face.
            front: what is in front of it, or None.
            source: (V, 3) logarithm of the light in the source's texture.
            settings: `colour_match` is used.
        """
        plain = self._basis.plain
        places = shape.own_px[plain]
        region, wide = (around(places, pixels, slack) for slack in (0.05, _HEAD))
        weights = np.clip((shape.facing[plain] - _FACING[0]) / (_FACING[1] - _FACING[0]), 0, 1)
        weights = (
            self._basis.inner
            * weights
            * (places >= region[:2]).all(1)
            * (places < region[2:]).all(1)
        )
        if front is not None:
            weights = weights * np.clip(1 - 2 * front.at(places), 0, 1)
        if not region.is_empty:
            colours = blurred_colours(
                region.crop(pixels), places - region[:2], _BLUR * shape.eyes_px
            )
            self._follow(self._basis.evidence(colours, weights))
            # Up and to the sides: clothes may be darker than any haze, and have colours.
            self._follow_black(wide._replace(y1=region.y1).crop(pixels))
        goal = source if self._light is None else self._basis.at_vertices(self._light)
        if settings.colour_match < 1:
            goal = goal + (1 - settings.colour_match) * _tone_apart(goal[plain], source[plain])
        return relit(goal, source, self._black)

    def _follow(self, found: np.ndarray | None) -> None:
        """Average the evidence, not the light: what comes into view is believed at once.

        The more the light has changed, the faster it is followed: heads turn, lamps go on.
        """
        if found is None:
            return
        last, share = self._evidence, 1.0
        if last is not None and self._light is not None:
            change = self._basis.difference(self._light, found)
            share = _LIGHT_SHARE + (1 - _LIGHT_SHARE) * float(smoothstep(change, *_CHANGED))
            found = last + np.float32(share) * (found - last)
        self._evidence, self._light = found, self._basis.light(found)

    def _follow_black(self, head: np.ndarray) -> None:
        """Look once in a while: haze comes and goes slowly."""
        if self._frames % _BLACK_EVERY == 0:
            share = 1.0 if self._frames == 0 else _LIGHT_SHARE
            self._black += share * (_darkest(head) - self._black)
        self._frames += 1


def _darkest(crop: np.ndarray) -> float:
    """Return how bright the haze is before the darkest parts of a head: hair, pupils, shadows.

    Haze has hardly a colour, so that the least of the three is what it adds to all.
    """
    small = cv2.resize(crop, _DARK_SIZE, interpolation=cv2.INTER_AREA).reshape(-1, 3)
    luma = small @ _LUMA
    dark = small[luma <= np.percentile(luma, _DARK_PERCENT)]
    return max(float(dark.mean(axis=0).min()) - _CLEAR_BLACK, 0.0)


def _tone_apart(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return (3,) how a target's mean colour differs from the source's in tone.

    Its brightness is half light and half skin, as far as one can tell.
    """
    apart = source.mean(axis=0) - target.mean(axis=0)
    luma = float(apart @ _LUMA)
    return np.clip(apart - luma, -0.3, 0.3) + np.clip(0.5 * luma, -0.3, 0.3)


def texture_light(model: HeadModel, texture: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return (V, 3) float32 logarithm of the light that is left in a source's texture.

    Args:
        model: the head model.
        texture: (S, S, 3) uint8.
        seen: (V,) 0…1, how well the vertices were seen.
    """
    basis, size = light_basis(model), texture.shape[0]
    places = texture_uv(model)[basis.plain] * size
    colours = blurred_colours(texture, places, _TEXTURE_BLUR * size)
    return basis.at_vertices(basis.fit_tints(colours, seen[basis.plain]))


def around(places: np.ndarray, pixels: np.ndarray, slack: float) -> Region:
    """Return the part of a frame around places, with so much more to every side."""
    low, high = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0)) + 1
    more = slack * float((high - low).max())
    corners = (*(low - more), *(high + more))
    return Region(*(int(one) for one in corners)).clipped(pixels.shape[1], pixels.shape[0])


def blurred_colours(picture: np.ndarray, places_px: np.ndarray, blur_px: float) -> np.ndarray:
    """Return (N, 3) float32 colours of a picture around places, averaged over a neighbourhood.

    Args:
        picture: (h, w, 3) uint8.
        places_px: (N, 2), pixel centres at +0.5.
        blur_px: width of the neighbourhood.
    """
    shrink = max(1.0, blur_px)
    size = (max(2, round(picture.shape[1] / shrink)), max(2, round(picture.shape[0] / shrink)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    scale = np.array([size[0] / picture.shape[1], size[1] / picture.shape[0]], np.float32)
    places = (places_px * scale - 0.5).astype(np.float32)
    return cv2.remap(small, places[:, 0], places[:, 1], cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE).reshape(-1, 3).astype(np.float32)  # fmt: skip


def light_basis(model: HeadModel) -> LightBasis:
    """Return the basis of a model, made once."""
    return _light_basis(SameModel(model))


@lru_cache(maxsize=2)
def _light_basis(key: SameModel) -> LightBasis:
    return LightBasis(key.model)


def _harmonics(model: HeadModel) -> tuple[np.ndarray, np.ndarray]:
    """Return (V, K) functions with mean square 1 on the skin, and (K,) how fast they vary."""
    skin, triangles = _main_skin(model)
    stiffness, mass = _laplacian(model.vertices[skin].astype(np.float64), triangles)
    values, functions = eigsh(stiffness, _FUNCTIONS, sparse.diags(mass), sigma=-1e-6)
    functions /= np.sqrt((mass[:, None] * functions**2).sum(axis=0) / mass.sum())
    functions *= np.sign(functions[np.abs(functions).argmax(axis=0), range(_FUNCTIONS)])
    away, nearest = cKDTree(model.vertices[skin]).query(model.vertices)
    result = np.where(away[:, None] < 30, functions[nearest], 0).astype(np.float32)
    return result, np.maximum(values, 0) / max(values[_LIGHT_FUNCTIONS - 1], 1e-12) + 1e-4


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
