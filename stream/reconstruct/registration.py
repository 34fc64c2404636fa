"""Lay a template on what a network sees of a face: pixels to mesh, affine, non-rigid.

Sela, Richardson, Kimmel, *Unrestricted Facial Geometry Reconstruction Using Image-to-Image
Translation* (2017), §4.1 and supplement B.1, "the paper" here. Letters in shapes: V vertices of
the template, N vertices of the target mesh. Lengths are millimetres.

The paper states its stiffness as 1e8 to 1e6 without a unit. The membrane's term divides by areas,
so that the weight is an area; the paper's template, the Basel model, counts in micrometres. The
weights therefore are 1e8 µm² = 100 mm² to 1e6 µm² = 1 mm². Its 500 matches are a share of that
model's 53,490 vertices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, cg, splu
from scipy.spatial import cKDTree

from stream.errors import UserError
from stream.geometry import vertex_normals

if TYPE_CHECKING:
    from scipy.sparse.linalg import SuperLU

_UM2_PER_MM2 = 1e6
_PAPER_VERTICES = 53_490
_LEAST_PAIRS = 12
_SAMPLE = 4  # pairs that fix an affine
_JUDGED = 3000  # pairs on which each try of RANSAC is judged
_POLISH = 5  # least squares over those that fit, which lets more fit
_BATCH = 100  # tries that are judged at once
_HELD = 1e-7  # weight that holds parts of the template that nothing else holds
_MOST_STEPS = 60  # of conjugate gradients in one solve


@dataclass(frozen=True, slots=True)
class RegistrationSettings:
    """How a template is laid on a target; the defaults are those of supplement B.1.

    Attributes:
        tries: iterations of RANSAC.
        inlier_mm: distance below which a pair supports an affine.
        reject_mm, reject_deg: pairs farther apart, or facing more differently, are ignored.
        point, plane: weights of distances to points and to tangent planes.
        stiffest, softest: weight of the membrane at the start and at the end, µm².
        settled_mm: inner loop: the change of all vertices (norm) below which a solve is done.
        still_mm: outer loop: the motion of the vertex that moves most, below which the
            stiffness is halved.
        switch_share: change in the number of matches, as a share of the vertices, below which
            neighbours are looked for in space instead of in the embedding.
        reach_mm: a vertex without a target vertex this near in the embedding was not seen.
        most_rounds: outer iterations at one stiffness.
    """

    tries: int = 1000
    inlier_mm: float = 3.0
    reject_mm: float = 1.0
    reject_deg: float = 5.0
    point: float = 0.1
    plane: float = 1.0
    stiffest: float = 1e8
    softest: float = 1e6
    settled_mm: float = 0.01
    still_mm: float = 0.1
    switch_share: float = 500 / _PAPER_VERTICES
    reach_mm: float = 3.0
    most_rounds: int = 25


@dataclass(frozen=True, slots=True)
class TargetMesh:
    """What the network sees, as a mesh with holes.

    Attributes:
        vertices: (N, 3) float64 mm.
        triangles: (M, 3) int64, wound as the head model's.
        normals: (N, 3) float64 unit normals.
        embedding: (N, 3) float64, where each vertex lies on the template, mm.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    embedding: np.ndarray


@dataclass(frozen=True, slots=True)
class Registered:
    """A template laid on a target.

    Attributes:
        vertices: (V, 3) float64 mm.
        affine: (3, 4) of the first step.
        matched: (V,) bool, vertices that a pair held at the end.
        rounds: outer iterations.
    """

    vertices: np.ndarray
    affine: np.ndarray
    matched: np.ndarray
    rounds: int


def pixels_to_mesh(
    points: np.ndarray, embedding: np.ndarray, seen: np.ndarray, longest_mm: float = 12.0
) -> TargetMesh:
    """Connect four neighbouring pixels that are known with two triangles (B.1).

    Args:
        points: (H, W, 3) place of each pixel, mm, x right, y down, z forward.
        embedding: (H, W, 3) its place on the template, mm.
        seen: (H, W) bool, where both are known.
        longest_mm: squares with a longer diagonal span a step in depth and are left out.
    """
    whole = seen[:-1, :-1] & seen[:-1, 1:] & seen[1:, :-1] & seen[1:, 1:]
    spans = [points[1:, 1:] - points[:-1, :-1], points[1:, :-1] - points[:-1, 1:]]
    longest = np.maximum(*(np.linalg.norm(span, axis=-1) for span in spans))
    rows, columns = np.nonzero(whole & (longest < longest_mm))
    width = seen.shape[1]
    a = rows * width + columns
    b, c, d = a + 1, a + width, a + width + 1
    # Counter-clockwise for who looks with y up is clockwise here, where y points down.
    corners = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    used, triangles = np.unique(corners, return_inverse=True)
    triangles = triangles.reshape(-1, 3)
    vertices = points.reshape(-1, 3)[used].astype(np.float64)
    normals = vertex_normals(vertices, triangles).astype(np.float64)
    return TargetMesh(
        vertices, triangles, normals, embedding.reshape(-1, 3)[used].astype(np.float64)
    )


def ransac_affine(
    source: np.ndarray, target: np.ndarray, tries: int, inlier_mm: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Find the affine that takes most points to their partners (Fischler and Bolles 1981).

    Args:
        source: (P, 3).
        target: (P, 3).
        tries: samples of four pairs.
        inlier_mm: distance below which a pair supports an affine.
        seed: of the samples.

    Returns:
        (3, 4) least squares over the pairs that support the best sample, and (P,) bool, those
        that support it.

    Raises:
        UserError: when there are too few pairs.
    """
    if len(source) < _LEAST_PAIRS:
        raise UserError(
            "cannot lay the template on the face",
            f"only {len(source)} points of it were recognised",
            "Use a picture that shows more of the face.",
        )
    rng = np.random.default_rng(seed)
    judged = rng.permutation(len(source))[:_JUDGED]
    given = np.column_stack([source, np.ones(len(source))])
    best, most = np.zeros((4, 3)), -1
    for start in range(0, tries, _BATCH):
        picks = rng.integers(0, len(source), (min(_BATCH, tries - start), _SAMPLE))
        picks = picks[np.abs(np.linalg.det(given[picks])) > 1e-6]  # four points in a plane
        if len(picks) == 0:
            continue
        maps = np.linalg.solve(given[picks], target[picks])
        off = ((given[judged] @ maps - target[judged]) ** 2).sum(axis=-1)
        votes = (off < inlier_mm**2).sum(axis=1)
        if votes.max() > most:
            most, best = int(votes.max()), maps[votes.argmax()]
    for _ in range(_POLISH):
        inside = ((given @ best - target) ** 2).sum(axis=1) < inlier_mm**2
        if inside.sum() < _LEAST_PAIRS:
            break
        best = np.linalg.lstsq(given[inside], target[inside], rcond=None)[0]
    return best.T, inside


def cotangent_laplacian(
    vertices: np.ndarray, triangles: np.ndarray
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Return the cotangent Laplacian and the areas of the vertices (Meyer et al. 2002).

    Args:
        vertices: (V, 3).
        triangles: (T, 3).

    Returns:
        (V, V) symmetric L with L·f = Σ_j w_ij (f_i − f_j) ≈ −area · Δf, and (V,) a third of the
        area of the triangles around each vertex.
    """
    corners = np.asarray(vertices, np.float64)[triangles]
    rows, columns, values = [], [], []
    areas = np.zeros(len(vertices))
    for k in range(3):
        a, b = corners[:, (k + 1) % 3] - corners[:, k], corners[:, (k + 2) % 3] - corners[:, k]
        twice = np.linalg.norm(np.cross(a, b), axis=1)
        # Slivers would give weights without bound, and obtuse ones negative weights.
        cotangent = np.clip((a * b).sum(axis=1) / np.maximum(twice, 1e-9), 0.01, 20.0) / 2
        i, j = triangles[:, (k + 1) % 3], triangles[:, (k + 2) % 3]
        rows += [i, j]
        columns += [j, i]
        values += [cotangent, cotangent]
        areas += np.bincount(triangles[:, k], twice / 6, len(vertices))
    shape = (len(vertices), len(vertices))
    places = (np.concatenate(rows), np.concatenate(columns))
    weights = sparse.coo_matrix((np.concatenate(values), places), shape).tocsr()
    return sparse.diags(np.asarray(weights.sum(axis=1)).ravel()) - weights, areas


def biharmonic(vertices: np.ndarray, triangles: np.ndarray) -> sparse.csr_matrix:
    """Return the (V, V) biharmonic operator B = L·A⁻¹·L (Botsch and Sorkine 2008).

    Its rows sum to 0, so that Σ_ij w_ij ‖d_i − d_j‖² / 2 with w = −B off the diagonal, the last
    term of eq. 8, is dᵀ·B·d.
    """
    laplacian, areas = cotangent_laplacian(vertices, triangles)
    least = 0.05 * np.median(areas[areas > 0])
    return (laplacian @ sparse.diags(1 / np.maximum(areas, least)) @ laplacian).tocsr()


@dataclass(frozen=True, slots=True)
class Energy:
    """Eq. 8 for one set of pairs: quadratic in the vertices.

    Attributes:
        rest: (V, 3) the template after the affine; the membrane counts displacements from it.
        aims: (V, 3) the partner c_i of each vertex.
        facing: (V, 3) the partner's normal n(c_i).
        kept: (V,) 1 where the pair counts, else 0.
        point, plane, membrane: the three weights; membrane in mm².
        stiffness: (V, V) biharmonic operator.
    """

    rest: np.ndarray
    aims: np.ndarray
    facing: np.ndarray
    kept: np.ndarray
    point: float
    plane: float
    membrane: float
    stiffness: sparse.csr_matrix

    def terms(self, vertices: np.ndarray) -> tuple[float, float, float]:
        """Return point-to-point, point-to-plane and membrane terms, weighted."""
        off = vertices - self.aims
        along = (off * self.facing).sum(axis=1)
        bent = vertices - self.rest
        return (
            self.point * float(self.kept @ (off**2).sum(axis=1)),
            self.plane * float(self.kept @ along**2),
            self.membrane * float((bent * (self.stiffness @ bent)).sum()),
        )

    def gradient(self, vertices: np.ndarray) -> np.ndarray:
        """Return (V, 3) half the slope of the sum of the terms."""
        return self.applied(vertices - self.rest, vertices - self.aims)

    def applied(self, bent: np.ndarray, off: np.ndarray) -> np.ndarray:
        """Return the system's matrix times (V, 3) offsets, from rest and from the aims."""
        along = (off * self.facing).sum(axis=1)
        pull = self.point * off + self.plane * along[:, None] * self.facing
        return self.kept[:, None] * pull + self.membrane * (self.stiffness @ bent)

    def factor(self) -> SuperLU:
        """Factorise what approximates the system: one matrix for x, y and z."""
        spread = (self.point + self.plane / 3) * self.kept + _HELD
        return splu(
            (sparse.diags(spread) + self.membrane * self.stiffness).tocsc(),
            permc_spec="MMD_AT_PLUS_A",  # the matrix is symmetric and positive definite
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )

    def minimised(self, vertices: np.ndarray, factor: SuperLU, settled: float) -> np.ndarray:
        """Return the (V, 3) minimum, by conjugate gradients (the inner loop of B.1).

        The tangent planes couple x, y and z. A factor of the uncoupled system, three times
        smaller, leaves conjugate gradients a few steps; it serves nearby pairs as well.

        Args:
            vertices: (V, 3) where to start.
            factor: of `factor`, of this energy or one like it.
            settled: norm of the change at which the loop ends, mm.
        """
        shape = vertices.shape

        def system(flat: np.ndarray) -> np.ndarray:
            step = flat.reshape(shape)
            return (self.applied(step, step) + _HELD * step).ravel()

        def closer(flat: np.ndarray) -> np.ndarray:
            return factor.solve(flat.reshape(shape)).ravel()

        size = vertices.size
        matrix = LinearOperator((size, size), system, dtype=np.float64)
        about = LinearOperator((size, size), closer, dtype=np.float64)
        moved = vertices
        for _ in range(_MOST_STEPS):
            slope = -self.gradient(moved).ravel()
            step, _ = cg(matrix, slope, rtol=1e-3, atol=0.0, maxiter=_MOST_STEPS, M=about)
            moved = moved + step.reshape(shape)
            if np.linalg.norm(step) < settled:
                break
        return moved


class _Pairing:
    """Finds the partner of each vertex, first in the embedding and then in space."""

    def __init__(
        self, template: np.ndarray, target: TargetMesh, settings: RegistrationSettings
    ) -> None:
        self._target, self._settings = target, settings
        away, self.first = cKDTree(target.embedding).query(template)
        self.seen = away < settings.reach_mm
        self._tree = cKDTree(target.vertices)
        self.in_space = False

    def find(self, vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (V,) partners, numbers on the target, and (V,) 1 where the pair is kept."""
        settings, target = self._settings, self._target
        partner = self._tree.query(vertices)[1] if self.in_space else self.first
        off = np.linalg.norm(vertices - target.vertices[partner], axis=1)
        facing = (vertex_normals(vertices, triangles) * target.normals[partner]).sum(axis=1)
        kept = self.seen & (off < settings.reject_mm)
        kept &= facing > np.cos(np.radians(settings.reject_deg))
        return partner, kept.astype(np.float64)


def register(
    template: np.ndarray,
    triangles: np.ndarray,
    target: TargetMesh,
    settings: RegistrationSettings | None = None,
    seed: int = 0,
) -> Registered:
    """Lay a template on a target mesh (supplement B.1).

    Args:
        template: (V, 3) mm, in the space of the target's embedding; the mean head.
        triangles: (T, 3), wound as the head model's.
        target: what the network sees.
        settings: the paper's unless given.
        seed: of RANSAC.

    Raises:
        UserError: when too little of the face was recognised.
    """
    settings = settings or RegistrationSettings()
    template = np.asarray(template, np.float64)
    pairing = _Pairing(template, target, settings)
    seen = pairing.seen
    known = target.vertices[pairing.first[seen]]
    affine, _ = ransac_affine(template[seen], known, settings.tries, settings.inlier_mm, seed)
    rest = template @ affine[:, :3].T + affine[:, 3]
    return _bent(rest, np.asarray(triangles), target, pairing, affine, settings)


def _bent(
    rest: np.ndarray,
    triangles: np.ndarray,
    target: TargetMesh,
    pairing: _Pairing,
    affine: np.ndarray,
    settings: RegistrationSettings,
) -> Registered:
    """Run the outer loop: pair, reject, minimise, soften."""
    stiffness = biharmonic(rest, triangles)
    vertices, membrane = rest, settings.stiffest
    matches, rounds, here = 0.0, 0, 0
    factor: SuperLU | None = None
    kept = np.zeros(len(rest))
    while membrane >= settings.softest:
        partner, kept = pairing.find(vertices, triangles)
        energy = Energy(
            rest,
            target.vertices[partner],
            target.normals[partner],
            kept,
            settings.point,
            settings.plane,
            membrane / _UM2_PER_MM2,
            stiffness,
        )
        factor = factor or energy.factor()
        moved = energy.minimised(vertices, factor, settings.settled_mm)
        motion = np.linalg.norm(moved - vertices, axis=1).max()
        vertices, rounds, here = moved, rounds + 1, here + 1
        if motion < settings.still_mm or here >= settings.most_rounds:
            membrane, factor, here = membrane / 2, None, 0
            few = settings.switch_share * len(rest)
            pairing.in_space = pairing.in_space or abs(kept.sum() - matches) < few
        matches = kept.sum()
    return Registered(vertices, affine, kept > 0, rounds)
