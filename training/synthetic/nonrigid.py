"""Bend one surface onto another, and find where its vertices lie there."""

from collections.abc import Sequence
from dataclasses import dataclass

import igl
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from training.head_model.points import barycentric
from training.head_model.render import vertex_normals

_NORMAL_MM = 9.0  # distance that a unit of difference between normals counts like
_FAR_MM = 14.0  # closest points farther than this are taken for wrong
_LEAST_AGREEMENT = 0.3  # cosine between normals
_FADE_STIFFNESS = 100.0  # below it steering pins let go


@dataclass(frozen=True, slots=True)
class Touch:
    """Where points lie on a surface.

    Attributes:
        triangle: (N,) triangle numbers.
        bary: (N, 3) place in the triangle.
        places: (N, 3) that place.
        trust: (N,) 0…1, 0 where it is far or faces another way.
    """

    triangle: np.ndarray
    bary: np.ndarray
    places: np.ndarray
    trust: np.ndarray


class Surface:
    """A surface that is asked for closest points with like normals.

    Args:
        vertices: (V, 3) mm.
        triangles: (T, 3).
        spacing_mm: distance of the samples between which places are interpolated.
    """

    def __init__(
        self, vertices: np.ndarray, triangles: np.ndarray, spacing_mm: float = 1.5
    ) -> None:
        self.vertices, self.triangles = vertices, triangles
        self._normals = vertex_normals(vertices, triangles)
        owner, bary = _spread_samples(vertices, triangles, spacing_mm)
        self._owner = owner
        places = np.einsum("nk,nkd->nd", bary, vertices[triangles[owner]])
        normals = _unit(np.einsum("nk,nkd->nd", bary, self._normals[triangles[owner]]))
        self._tree = cKDTree(np.hstack([places, _NORMAL_MM * normals]))

    def touch(self, points: np.ndarray, normals: np.ndarray, near: int = 4) -> Touch:
        """Find the closest places whose normals agree.

        Args:
            points: (N, 3) mm.
            normals: (N, 3) unit normals.
            near: samples looked at for each point.
        """
        query = np.hstack([points, _NORMAL_MM * normals])
        _, hits = self._tree.query(query, k=near)
        owners = self._owner[hits]
        corners = self.vertices[self.triangles[owners.ravel()]]
        bary = barycentric(np.repeat(points, near, axis=0), corners)
        places = np.einsum("nk,nkd->nd", bary, corners).reshape(len(points), near, 3)
        best = np.linalg.norm(places - points[:, None], axis=2).argmin(1)
        row = np.arange(len(points))
        triangle, place = owners[row, best], places[row, best]
        inside = bary.reshape(len(points), near, 3)[row, best]
        there = _unit(np.einsum("nk,nkd->nd", inside, self._normals[self.triangles[triangle]]))
        agreement = (there * normals).sum(1)
        trust = np.clip((agreement - _LEAST_AGREEMENT) / 0.4, 0, 1)
        trust *= np.clip(2 - np.linalg.norm(place - points, axis=1) / (_FAR_MM / 2), 0, 1)
        return Touch(triangle, inside, place, trust)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _spread_samples(
    vertices: np.ndarray, triangles: np.ndarray, spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Lay a grid of samples over each triangle: (N,) owners and (N, 3) places in them."""
    corners = vertices[triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(1)
    steps = np.clip(np.ceil(longest / spacing), 1, 12).astype(int)
    owners, places = [], []
    for count in np.unique(steps):
        i, j = np.meshgrid(np.arange(count + 1), np.arange(count + 1), indexing="ij")
        inside = i + j <= count
        grid = np.stack([i, j, count - i - j], axis=-1)[inside] / count
        own = np.flatnonzero(steps == count)
        owners.append(np.repeat(own, len(grid)))
        places.append(np.tile(grid, (len(own), 1)))
    return np.concatenate(owners), np.concatenate(places)


def smoothness(vertices: np.ndarray, triangles: np.ndarray) -> sparse.csr_matrix:
    """Return the (V, V) squared Laplacian whose form is small for fields that vary gently.

    Neighbours weigh by the inverse of their distance, and lengths are those of the mesh's mean
    edge, so that dense and coarse places bend alike.
    """
    edges = np.unique(np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1), axis=0)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    count = len(vertices)
    half = sparse.csr_matrix((1 / np.maximum(length, 1e-3), edges.T), (count, count))
    graph = half + half.T
    total = np.asarray(graph.sum(1)).ravel()
    inverse = np.divide(1.0, total, out=np.zeros(count), where=total > 0)
    laplacian = sparse.diags((total > 0).astype(float)) - sparse.diags(inverse) @ graph
    return (laplacian.T @ laplacian).tocsr()


def extend(
    known: np.ndarray, weights: np.ndarray, smooth: sparse.csr_matrix, stiffness: float
) -> np.ndarray:
    """Continue (V, D) values smoothly from where they weigh to where they do not.

    Args:
        known: (V, D), looked at where the weight is above 0.
        weights: (V,).
        smooth: of `smoothness`.
        stiffness: how much smoothness counts beside a weight of 1.
    """
    matrix = sparse.diags(weights + 1e-9) + stiffness * smooth
    return splu(matrix.tocsc()).solve(weights[:, None] * known)


@dataclass(frozen=True, slots=True)
class Pins:
    """Places of a mesh whose aims are known.

    Attributes:
        weights: (n,).
        aims: (n, 3) mm.
        operator: (n, V) sparse, the places from the vertices.
        fading: (n,) bool, pins that only steer: they let go as the mesh softens.
    """

    weights: np.ndarray
    aims: np.ndarray
    operator: sparse.csr_matrix
    fading: np.ndarray

    @classmethod
    def of_vertices(
        cls, numbers: np.ndarray, aims: np.ndarray, weight: float, count: int, fading: bool = False
    ) -> "Pins":
        """Pin (n,) vertices of a mesh of `count`."""
        ones = (np.ones(len(numbers)), (np.arange(len(numbers)), numbers))
        operator = sparse.csr_matrix(ones, shape=(len(numbers), count))
        weights = np.full(len(numbers), weight)
        return cls(weights, aims, operator, np.full(len(numbers), fading))

    def joined(self, *others: "Pins") -> "Pins":
        """Return these and others together."""
        every = (self, *others)
        return Pins(
            np.concatenate([one.weights for one in every]),
            np.concatenate([one.aims for one in every]),
            sparse.vstack([one.operator for one in every]).tocsr(),
            np.concatenate([one.fading for one in every]),
        )

    def pull(self, points: np.ndarray, stiffness: float) -> tuple[sparse.csr_matrix, np.ndarray]:
        """Return matrix (V, V) and right side (V, 3) for displacements of the points."""
        share = np.where(self.fading, min(1.0, stiffness / _FADE_STIFFNESS) ** 2, 1.0)
        weigh = self.operator.T @ sparse.diags(self.weights * share)
        return weigh @ self.operator, weigh @ (self.aims - self.operator @ points)


def bend(
    points: np.ndarray,
    triangles: np.ndarray,
    surface: Surface,
    drawn: np.ndarray,
    pins: Pins,
    stiffness: Sequence[float],
    rounds: int = 4,
) -> np.ndarray:
    """Bend a mesh onto a surface, ever less stiffly.

    Args:
        points: (V, 3) the mesh, about in place.
        triangles: (T, 3).
        surface: to lie on.
        drawn: (V,) 0…1, how much each vertex is drawn to it.
        pins: what is known.
        stiffness: of the stages, falling.
        rounds: steps at each stage.

    Returns:
        (V, 3) bent mesh.
    """
    smooth = smoothness(points, triangles)
    moved, weights, aim = points, np.zeros(len(points)), points
    for stiff in (stiffness[0], *stiffness):  # the first time by the pins alone
        pull, pinned = pins.pull(points, stiff)
        for _ in range(rounds):
            matrix = sparse.diags(weights + 1e-6) + pull + stiff * smooth
            side = weights[:, None] * (aim - points) + pinned
            moved = points + splu(matrix.tocsc()).solve(side)
            touch = surface.touch(moved, vertex_normals(moved, triangles))
            weights, aim = drawn * touch.trust, touch.places
    return moved


def hollow(
    points: np.ndarray, triangles: np.ndarray, normals: np.ndarray, limits: np.ndarray
) -> np.ndarray:
    """Tell which vertices look at the mesh itself at a short distance: (V,) bool.

    Args:
        points: (V, 3) mm.
        triangles: (T, 3).
        normals: (V, 3).
        limits: (V,) mm; vertices with 0 are not looked at.
    """
    caught = np.zeros(len(points), bool)
    corners = np.ascontiguousarray(points, np.float64)
    faces = np.ascontiguousarray(triangles, np.int64)
    for number in np.flatnonzero(limits > 0):
        start = points[number] + 0.05 * normals[number]
        hits = igl.ray_mesh_intersect(start, normals[number], corners, faces)
        caught[number] = any(0.1 < hit[-1] < limits[number] for hit in hits)
    return caught
