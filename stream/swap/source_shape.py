"""What the head model leaves out of a face: the smooth residual that brings it onto its points."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from stream.frame import POINT_COUNT
from stream.geometry import project, smoothstep, transform_points, vertex_normals
from stream.swap.texture_map import SameModel

if TYPE_CHECKING:
    from stream.frame import Face, Head
    from stream.head_model import HeadModel

_IRIS_START = 468
_FACING = (0.15, 0.5)  # cosine to the ray: a point that is seen more obliquely says nothing
_STIFFNESS = 1.0  # of the surface, against one point
_RIDGE = 2e-5  # brings the residual to rest far from all points
_MOST_MM = 8.0
_MOVING, _MOVING_MM = slice(36, 68), (6.0, 25.0)  # lids and lips; where the residual lasts
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
    wanted = across @ head.camera_from_head[:3, :3]  # into head space: Rᵀ · d
    length = np.linalg.norm(wanted, axis=1, keepdims=True)
    wanted *= np.minimum(1, _MOST_MM / np.maximum(length, 1e-6))
    trust = _trust(model, vertices, points, head)
    return _spread(model, wanted[:_IRIS_START], trust[:_IRIS_START]).astype(np.float32)


def lasting(offset: np.ndarray, model: HeadModel) -> np.ndarray:
    """Return the part of a residual (V, 3) that belongs to the person, not to the moment.

    Around lips and lids it mends the fitted expression more than the shape, and fades out.
    """
    moving = model.points68()[_MOVING]
    away = np.linalg.norm(model.vertices[:, None] - moving, axis=2).min(axis=1)
    return (offset * smoothstep(away, *_MOVING_MM)[:, None]).astype(np.float32)


def _trust(model: HeadModel, vertices: np.ndarray, points_mm: np.ndarray, head: Head) -> np.ndarray:
    """Return (478,) 0…1, how well each tracked point is seen."""
    normals = vertex_normals(vertices, model.triangles)
    corners = model.triangles[model.points478_triangle]
    normal = (normals[corners] * model.points478_bary[..., None]).sum(axis=1)
    normal = normal @ head.camera_from_head[:3, :3].T
    rays = points_mm / np.linalg.norm(points_mm, axis=1, keepdims=True)
    return smoothstep(-(normal * rays).sum(axis=1), *_FACING)


def _spread(model: HeadModel, wanted: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Return the smoothest offset (V, 3) near wanted ones (468, 3), trusted by (468,)."""
    bending, points, carried = surface(SameModel(model))
    weighted = points.T @ sparse.diags(trust)
    offset = splu((bending + weighted @ points).tocsc()).solve(weighted @ wanted)
    for members, carriers in carried:
        offset[members] = offset[carriers].mean(axis=0)
    return offset


@lru_cache(maxsize=2)
def surface(
    key: SameModel,
) -> tuple[sparse.csr_matrix, sparse.csr_matrix, list[tuple[np.ndarray, np.ndarray]]]:
    """Return what does not change from face to face.

    Returns:
        (V, V) stiffness of the surface, (468, V) what reads the tracked points off the vertices,
        and the vertices of each smaller island with those of the skin that carry it.
    """
    model = key.model
    laplacian, island = _laplacian(model)
    bending = _STIFFNESS * (laplacian.T @ laplacian) + _RIDGE * sparse.identity(len(island))
    return bending.tocsr(), _interpolation(model), _carriers(model, island)


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
