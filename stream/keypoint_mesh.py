"""Triangles between keypoints: the 478 tracked points, the 68 iBUG points, and any others."""

from functools import lru_cache

import numpy as np
from scipy.spatial import Delaunay, QhullError

from stream.errors import UserError
from stream.head_model import load_head_model

# Points of the 68 that the 66-point sets (3DFAW) leave out: inner corners of the mouth.
LEFT_OUT_OF_66 = (60, 64)
_FIRST_IRIS = 468
# fmt: off
_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
# fmt: on


def face_triangles(count: int) -> np.ndarray:
    """Return the (T, 3) int32 mesh of a known set of keypoints.

    It is the Delaunay mesh of where the points lie on the unrolled face, so that it fits every
    face and no triangle turns over when the head does. Eyes and mouth are closed.

    Args:
        count: 66, 68 or 478; the irises of the 478 are left out.

    Raises:
        UserError: for any other number; `triangulate` makes a mesh of one picture's points.
    """
    if count not in (66, 68, 478):
        raise UserError(
            f"there is no mesh for {count} keypoints",
            "meshes are known for 66, 68 and 478 points",
            "Give the triangles in a file, one row of three 0-based numbers each.",
        )
    return _mesh(count).copy()


@lru_cache(maxsize=3)
def _mesh(count: int) -> np.ndarray:
    if count == 478:
        triangles = Delaunay(_places(478)[:_FIRST_IRIS]).simplices
        # Outside the oval, which is not convex, triangles would span from point to point of it.
        return _kept(triangles, ~np.isin(triangles, _OVAL).all(axis=1))
    chosen = np.setdiff1d(np.arange(68), LEFT_OUT_OF_66 if count == 66 else ())
    places = _places(68)[chosen]
    triangles = Delaunay(places).simplices
    corners = places[triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    # Along the temples and the jaw, where the outline is hollow.
    outline = np.flatnonzero(chosen < 27)
    slivers = np.isin(triangles, outline).all(axis=1) & (_height(corners) < 0.1 * longest)
    return _kept(triangles, ~slivers)


def _places(count: int) -> np.ndarray:
    """Where the points lie on the unrolled head: (count, 2)."""
    model = load_head_model()
    triangle = model.points478_triangle if count == 478 else model.points68_triangle
    bary = model.points478_bary if count == 478 else model.points68_bary
    return np.einsum("nk,nkd->nd", bary, model.uv[model.triangles[triangle]]).astype(np.float64)


def _height(corners: np.ndarray) -> np.ndarray:
    """Least height of (T, 3, 2) triangles."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    return np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / sides.max(axis=1)


def _kept(triangles: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(triangles[wanted], np.int32)


def triangulate(points_px: np.ndarray) -> np.ndarray:
    """Return the (T, 3) int32 Delaunay mesh of (K, 2) points of one picture.

    Raises:
        UserError: if they lie on a line or are fewer than three.
    """
    try:
        return np.ascontiguousarray(Delaunay(np.asarray(points_px, np.float64)).simplices, np.int32)
    except (QhullError, ValueError) as error:
        raise UserError(
            "the keypoints cannot be triangulated",
            "they lie on a line, or are fewer than three",
            "Check the keypoint file.",
        ) from error
