"""Where the tracked points of a synthetic head are in its picture, and which of them show."""

from functools import lru_cache

import numpy as np
from scipy import sparse
from scipy.spatial import Delaunay

from stream.frame import POINT_COUNT
from stream.geometry import project, transform_points
from stream.head_model import load_head_model
from training.head_model.points import FACE_OVAL, IBUG, LEFT_LID, RIGHT_LID
from training.synthetic.scene import Camera

TOLERANCE_MM = 6.0  # the registered model and the drawn skin differ by a few millimetres

_MOST_SLOPE_MM = 8.0  # what a steep surface may add to it
_LEAST_FACING = -0.05  # cosine; outlines lie where it is 0, and directions are not exact
_FIRST_IRIS, _IRIS_POINTS = 468, 5


def project_points(
    model_vertices_mm: np.ndarray, camera: Camera, depth_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Project the 478 tracked and the 68 iBUG points, and tell which of them can be seen.

    A point can be seen when it lies in the picture, the face around it is turned towards the
    camera, and nothing in the depth map is nearer there: neither the head itself nor hair,
    hands or glasses.

    Args:
        model_vertices_mm: (5013, 3) the registered head model, head space, posed.
        camera: the camera; `camera.size` is that of the depth map.
        depth_mm: (H, W) depth of what was drawn, nan where nothing was.

    Returns:
        (478, 3) float32: x and y in pixels, pixel centres at +0.5, z in mm along the optical
        axis; (478,) bool, whether each is seen; then the same for the 68 points.
    """
    vertices = transform_points(camera.camera_from_head, np.asarray(model_vertices_mm, np.float64))
    places = _weights() @ vertices
    points = np.concatenate([project(places, camera.intrinsics), places[:, 2:]], axis=1)
    points = points.astype(np.float32)
    seen = _visible(points[:POINT_COUNT], _facing(places), camera, depth_mm)
    # The iBUG points are some of the tracked ones, laid on the model by weights of their own.
    return points[:POINT_COUNT], seen, points[POINT_COUNT:], seen[IBUG]


@lru_cache(maxsize=1)
def _weights() -> sparse.csr_matrix:
    """Return the (478 + 68, V) weights that lay the points on a head."""
    model = load_head_model()
    triangle = np.concatenate([model.points478_triangle, model.points68_triangle])
    bary = np.concatenate([model.points478_bary, model.points68_bary])
    rows = np.repeat(np.arange(len(triangle)), 3)
    shape = (len(triangle), len(model.vertices))
    return sparse.csr_matrix((bary.ravel(), (rows, model.triangles[triangle].ravel())), shape)


@lru_cache(maxsize=1)
def _net() -> tuple[np.ndarray, sparse.csr_matrix]:
    """Return a net of triangles over the tracked points, and how points collect from it.

    The net is laid out in the model's texture, and closes eyes and mouth: lids and lips roll
    inwards at their rims, where many points lie, but the net passes over them, so that its
    directions are those of the face at large.

    Returns:
        (T, 3) points of each triangle; (478, T) weights from triangles to points, those of
        the irises from the lids around them.
    """
    model = load_head_model()
    corners = model.uv[model.triangles[model.points478_triangle]]
    places_uv = np.einsum("nk,nkd->nd", model.points478_bary, corners)
    triangles = Delaunay(places_uv[:_FIRST_IRIS]).simplices
    # Outside the oval, which is not convex, triangles would span from point to point of it.
    triangles = triangles[~np.isin(triangles, FACE_OVAL).all(axis=1)]
    rows, columns = [triangles.ravel()], [np.repeat(np.arange(len(triangles)), 3)]
    for number, lid in enumerate((RIGHT_LID, LEFT_LID)):
        touching = np.flatnonzero(np.isin(triangles, lid).any(axis=1))
        first = _FIRST_IRIS + number * _IRIS_POINTS
        for point in range(first, first + _IRIS_POINTS):
            rows.append(np.full(len(touching), point))
            columns.append(touching)
    index = np.concatenate(rows), np.concatenate(columns)
    ones = np.ones(len(index[0]))
    return triangles, sparse.csr_matrix((ones, index), (POINT_COUNT, len(triangles)))


def _facing(places: np.ndarray) -> np.ndarray:
    """Return (478,) cosines between the face's outward direction and the way to the camera."""
    triangles, collect = _net()
    corners = places[triangles]
    # Texture space is seen from outside with v downward: its turning sense points inwards.
    inwards = collect @ np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    towards = places[:POINT_COUNT]
    length = np.linalg.norm(inwards, axis=1) * np.linalg.norm(towards, axis=1)
    return (inwards * towards).sum(axis=1) / np.maximum(length, 1e-9)


def _visible(
    points: np.ndarray, facing: np.ndarray, camera: Camera, depth_mm: np.ndarray
) -> np.ndarray:
    """Compare the points with the depth map around them; (N,) bool."""
    height, width = depth_mm.shape
    column, row = np.floor(points[:, 0]).astype(int), np.floor(points[:, 1]).astype(int)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    around = np.full((height + 2, width + 2), np.nan, np.float32)
    around[1:-1, 1:-1] = depth_mm
    column, row = column.clip(0, width - 1), row.clip(0, height - 1)
    near = np.stack([around[row + dy, column + dx] for dy in range(3) for dx in range(3)], axis=1)
    # The least gap counts: at an edge, a pixel beside the point may show the other surface.
    # Nothing drawn all around: the model reaches over the skin's outline there.
    gap = points[:, 2] - np.where(np.isnan(near), -np.inf, near).max(axis=1)
    gap = np.where(np.isnan(near).all(axis=1), 0.0, gap)
    return inside & (facing > _LEAST_FACING) & (gap <= _tolerance(points, facing, camera))


def _tolerance(points: np.ndarray, facing: np.ndarray, camera: Camera) -> np.ndarray:
    """Return (N,) mm by which a seen point may lie behind the depth map."""
    pixel_mm = points[:, 2] / camera.intrinsics[0, 0]
    cosine = np.clip(facing, 0.05, 1.0)
    slope = pixel_mm * np.sqrt(1.0 - cosine**2) / cosine
    return TOLERANCE_MM + np.minimum(slope, _MOST_SLOPE_MM)
