"""The output grid of 3DMM-STN (Bas et al. 2017, §2.3): a symmetric Tutte embedding in a square.

Only one side of the face is flattened, its symmetry line onto that of the square, and the other
half is its reflection. The Laplacian has conformal (cotangent) weights, kept positive so that no
triangle folds.
"""

from __future__ import annotations

import igl
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve

from stream.head_model import HeadModel  # noqa: TC001
from training.head_model.surface import boundary_loop

_LABELS, _LININGS = (1, 5, 6), (5, 6)  # of the head model: skin, mouth interior, eye sockets
_LEAST_WEIGHT = 0.02  # of the mean cotangent weight
_MIDDLE_MM = 1e-3


def face_triangles(model: HeadModel) -> np.ndarray:
    """Return the (T, 3) triangles of the face's disc, with the linings of mouth and eyes."""
    chosen = model.triangles[np.isin(model.labels, _LABELS)[model.triangles].all(axis=1)]
    ends = np.concatenate([chosen[:, [0, 1]], chosen[:, [1, 2]]])
    count = len(model.vertices)
    graph = sparse.csr_matrix((np.ones(len(ends)), ends.T), shape=(count, count))
    piece = connected_components(graph, directed=False)[1]
    tip = model.vertices[np.unique(chosen), 2].argmin()
    return _without_tips(chosen[piece[chosen[:, 0]] == piece[np.unique(chosen)[tip]]])


def _without_tips(triangles: np.ndarray) -> np.ndarray:
    """Cut triangles off that hang by one edge, so that the rim is smooth."""
    while True:
        pairs = np.sort(np.stack([triangles, np.roll(triangles, -1, axis=1)], axis=2), axis=2)
        flat = pairs.reshape(-1, 2)
        _, number, count = np.unique(flat, axis=0, return_inverse=True, return_counts=True)
        hanging = (count[number.ravel()].reshape(-1, 3) == 1).sum(axis=1) > 1
        if not hanging.any():
            return triangles
        triangles = triangles[~hanging]


def on_grid(flat: np.ndarray, triangles: np.ndarray, rows: int, columns: int) -> sparse.csr_matrix:
    """Return the (rows · columns, V) operator from vertices to the middles of the square's texels.

    Args:
        flat: (V, 2) as `square_embedding` returns it.
        triangles: (T, 3) that it flattens.
        rows: of the grid.
        columns: of the grid.
    """
    v, u = np.meshgrid(
        (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij"
    )
    texels = np.stack([u.ravel(), v.ravel(), np.zeros(rows * columns)], axis=1)
    plane = np.pad(np.nan_to_num(flat), ((0, 0), (0, 1)))
    _, number, near = igl.point_mesh_squared_distance(texels, plane, triangles.astype(np.int64))[:3]
    corners = triangles[number]
    a, b, c = (np.ascontiguousarray(plane[corners[:, corner]]) for corner in range(3))
    shares = igl.barycentric_coordinates(np.ascontiguousarray(near), a, b, c)
    starts = np.arange(0, 3 * len(texels) + 1, 3)
    return sparse.csr_matrix((shares.ravel(), corners.ravel(), starts), (len(texels), len(flat)))


def without_linings(model: HeadModel, triangles: np.ndarray) -> np.ndarray:
    """Return (V, 3) vertices with the linings of mouth and eyes spread flat over their openings.

    They are hidden, and would take most of the square.
    """
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    count = len(model.vertices)
    graph = sparse.csr_matrix((np.ones(len(ends)), ends.T), shape=(count, count))
    graph = graph + graph.T
    laplacian = (sparse.diags(np.asarray(graph.sum(axis=1)).ravel()) - graph).tocsr()
    used = np.unique(triangles)
    loose = used[np.isin(model.labels[used], _LININGS)]
    fixed = np.setdiff1d(used, loose)
    flat = model.vertices.astype(np.float64)
    right = -(laplacian[loose][:, fixed] @ flat[fixed])
    flat[loose] = spsolve(laplacian[loose][:, loose].tocsc(), right)
    return flat


def square_embedding(vertices: np.ndarray, triangles: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Flatten a symmetric disc into the unit square.

    Args:
        vertices: (V, 3), x = 0 in the middle plane, y downwards.
        triangles: (T, 3) of the disc; it may leave vertices out.
        mirror: (V,) the vertex on the other side.

    Returns:
        (V, 2) u to the right, v downwards; nan for vertices that are not in the disc.

    Raises:
        ValueError: if the middle plane does not cut the disc along one line of edges.
    """
    half = triangles[(vertices[triangles, 0] > -_MIDDLE_MM).all(axis=1)]
    used, local = np.unique(half, return_inverse=True)
    faces, points = local.reshape(-1, 3), vertices[used]
    rim, middle = _rim_from_the_top(points, boundary_loop(faces))
    side = _along(points[np.r_[rim[middle - 1 :], rim[0]]], _SIDES)[1:-1]
    place = np.concatenate([_along(points[rim[:middle]], _MIDDLE), side])
    flat = np.full((len(vertices), 2), np.nan)
    flat[used] = _solved(points, faces, rim, place)
    flat[mirror[used]] = flat[used] * [-1, 1] + [1, 0]
    return flat


_MIDDLE = np.array([[0.5, 0.0], [0.5, 1.0]])
_SIDES = np.array([[0.5, 1.0], [1.0, 1.0], [1.0, 0.0], [0.5, 0.0]])


def _rim_from_the_top(points: np.ndarray, rim: np.ndarray) -> tuple[np.ndarray, int]:
    """Order a half's rim: down the middle first, then back along the side; count the former."""
    on_middle = np.abs(points[rim, 0]) <= _MIDDLE_MM
    starts = np.flatnonzero(on_middle & ~np.roll(on_middle, 1))
    if len(starts) != 1:
        raise ValueError("the middle plane does not cut the disc along one line")
    rim = np.roll(rim, -starts[0])
    count = int(on_middle.sum())
    if points[rim[0], 1] > points[rim[count - 1], 1]:
        rim = np.concatenate([rim[:count][::-1], rim[count:][::-1]])
    return rim, count


def _along(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Spread points along a line of corners by the length that they have in space: (n, 2)."""
    length = np.append(0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    stations = np.append(0, np.cumsum(np.abs(np.diff(corners, axis=0)).sum(axis=1)))
    share = length / length[-1] * stations[-1]
    for station in stations:  # the rim turns at vertices, so that the square has its corners
        share[np.abs(share - station).argmin()] = station
    return np.stack([np.interp(share, stations, corners[:, axis]) for axis in (0, 1)], axis=1)


def _solved(
    points: np.ndarray, faces: np.ndarray, rim: np.ndarray, place: np.ndarray
) -> np.ndarray:
    weights = igl.cotmatrix(points.astype(np.float64), faces.astype(np.int64)).tocsr()
    weights.setdiag(0)
    least = _LEAST_WEIGHT * np.abs(weights.data).mean()
    weights.eliminate_zeros()
    weights.data = np.maximum(weights.data, least)
    laplacian = (sparse.diags(np.asarray(weights.sum(axis=1)).ravel()) - weights).tocsr()
    inner = np.setdiff1d(np.arange(len(points)), rim)
    flat = np.zeros((len(points), 2))
    flat[rim] = place
    right = -(laplacian[inner][:, rim] @ place)
    flat[inner] = spsolve(laplacian[inner][:, inner].tocsc(), right)
    return flat
