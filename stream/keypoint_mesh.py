"""Triangles between keypoints: the 478 tracked points, the 68 iBUG points, and any others."""

from functools import lru_cache

import numpy as np
from scipy.spatial import Delaunay, QhullError

from stream.errors import UserError
from stream.head_model import load_head_model
from stream.triangles import within

# Points of the 68 that the 66-point sets (3DFAW) leave out: inner corners of the mouth.
LEFT_OUT_OF_66 = (60, 64)
_FIRST_IRIS = 468
# Contours among the 478 tracked points, from point to neighbouring point.
# fmt: off
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
INNER_LIPS = (
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)
OUTER_LIPS = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
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
        return _kept(triangles, ~np.isin(triangles, OVAL).all(axis=1))
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
    return within(model.uv, model.triangles[triangle], bary).astype(np.float64)


def _height(corners: np.ndarray) -> np.ndarray:
    """Least height of (T, 3, 2) triangles."""
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    return np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / sides.max(axis=1)


def _kept(triangles: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(triangles[wanted], np.int32)


@lru_cache(maxsize=3)
def mirror_order(count: int) -> np.ndarray | None:
    """Return which point each one is in the mirror; None for sets that are not known."""
    if count not in (66, 68, 478):
        return None
    model = load_head_model()
    places = model.points478() if count == 478 else model.points68()
    if count == 66:
        places = np.delete(places, LEFT_OUT_OF_66, axis=0)
    turned = places * np.array([-1, 1, 1], np.float32)
    gap = np.linalg.norm(turned[:, None] - places[None], axis=2)
    partner = gap.argmin(axis=1)
    if not np.array_equal(partner[partner], np.arange(count)):
        raise ValueError(f"the {count} points have no mirror order")
    return partner


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
