"""What the head model leaves out of a face: the smooth residual that brings it onto its points."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from stream.flatten import smoothstep, vertex_normals
from stream.frame import POINT_COUNT
from stream.geometry import project, transform_points
from stream.swap.texture_map import SameModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.frame import Face, Head
    from stream.head_model import HeadModel

_IRIS_START = 468
_FACING = (0.15, 0.5)  # cosine to the ray: a point that is seen more obliquely says nothing
_STIFFNESS = 1.0  # of the surface, against one point
_RIDGE = 2e-4  # brings the residual to rest far from all points
_MOST_MM = 8.0
_NEIGHBOURS = 60  # skin vertices that carry an eyeball or teeth along


def residual_offset(model: HeadModel, head: Head, face: Face) -> np.ndarray:
    """Find the smooth offset that brings a fitted head's points onto the tracked ones.

    Across the picture only: one picture says nothing of depth. The offset is the smoothest one
    on the surface (least thin-plate energy) that comes near the points, which count less where
    they are seen obliquely. Eyeballs, teeth and tongue move as the skin around them.

    Args:
        model: the head model.
        head: as fitted to the face.
        face: the tracked points.

    Returns:
        (V, 3) float32 mm, head space; to be added to ``model.shape(identity, expression)``.
    """
    vertices = model.shape(head.identity, head.expression)
    points = transform_points(
        head.camera_from_head, model.points478(head.identity, head.expression)
    )
    apart_px = face.points_px[:, :2] - project(points, head.camera)
    across = np.zeros((POINT_COUNT, 3))
    across[:, :2] = apart_px * points[:, 2:] / head.camera[0, 0]
    across *= _trust(model, vertices, points, head)[:, None]
    wanted = across @ head.camera_from_head[:3, :3]  # into head space: Rᵀ · d
    length = np.linalg.norm(wanted, axis=1, keepdims=True)
    wanted *= np.minimum(1, _MOST_MM / np.maximum(length, 1e-6))
    return _spread(SameModel(model))(wanted[:_IRIS_START]).astype(np.float32)


def _trust(model: HeadModel, vertices: np.ndarray, points_mm: np.ndarray, head: Head) -> np.ndarray:
    """Return (478,) 0…1, how well each tracked point is seen."""
    normals = vertex_normals(vertices, model.triangles)
    corners = model.triangles[model.points478_triangle]
    normal = (normals[corners] * model.points478_bary[..., None]).sum(axis=1)
    normal = normal @ head.camera_from_head[:3, :3].T
    rays = points_mm / np.linalg.norm(points_mm, axis=1, keepdims=True)
    return smoothstep(-(normal * rays).sum(axis=1), *_FACING)


@lru_cache(maxsize=2)
def _spread(key: SameModel) -> Callable[[np.ndarray], np.ndarray]:
    """Return the map from offsets of the 468 points to those of all vertices."""
    model = key.model
    laplacian, island = _laplacian(model)
    points = _interpolation(model)
    bending = _STIFFNESS * (laplacian.T @ laplacian)
    system = bending + points.T @ points + _RIDGE * sparse.identity(len(model.vertices))
    solve = splu(system.tocsc()).solve
    carried = _carriers(model, island)

    def spread(wanted: np.ndarray) -> np.ndarray:
        offset = solve(points.T @ wanted)
        for members, carriers in carried:
            offset[members] = offset[carriers].mean(axis=0)
        return offset

    return spread


def _laplacian(model: HeadModel) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Return the (V, V) umbrella operator and the (V,) number of each vertex's island."""
    count = len(model.vertices)
    ends = model.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    graph = sparse.csr_matrix((np.ones(len(ends)), ends.T), (count, count))
    graph = ((graph + graph.T) > 0).astype(np.float64)
    _, island = connected_components(graph, directed=False)
    degree = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1)
    return (sparse.identity(count) - sparse.diags(1 / degree) @ graph).tocsr(), island


def _interpolation(model: HeadModel) -> sparse.csr_matrix:
    """Return the (468, V) matrix that reads the tracked points off the vertices."""
    rows = np.repeat(np.arange(_IRIS_START), 3)
    columns = model.triangles[model.points478_triangle[:_IRIS_START]].ravel()
    values = model.points478_bary[:_IRIS_START].ravel().astype(np.float64)
    return sparse.csr_matrix((values, (rows, columns)), (_IRIS_START, len(model.vertices)))


def _carriers(model: HeadModel, island: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each smaller island its vertices, and those of the skin next to it."""
    largest = np.bincount(island).argmax()
    skin = np.flatnonzero((island == largest) & (model.labels == 1))
    pairs = []
    for number in np.setdiff1d(np.unique(island), largest):
        members = np.flatnonzero(island == number)
        away = np.linalg.norm(model.vertices[skin] - model.vertices[members].mean(axis=0), axis=1)
        pairs.append((members, skin[np.argsort(away)[:_NEIGHBOURS]]))
    return pairs
