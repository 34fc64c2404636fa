"""How high the brows of a person lie above the eyes.

The head model has little of it in its identities: the fit takes high brows for raised ones, and
the rest is left to the tracked points. So the swap, which draws the source's identity under the
target's expression, would stretch the source's skin between lid and brow up to where the target's
brows are; a low, thick brow would become twice as thick. The height is therefore measured, in the
photo and, as the mean over time, in the video. The drawn brows rest where the source's do, and
rise and fall from there as the target's.

Heights are those of Face Mesh's points along the brows, above the corners of the eye below, along
the head's own axis, in distances of the eyes' outer corners.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from stream.geometry import transform_points
from stream.swap.holes import BROWS
from stream.swap.source_shape import surface
from stream.swap.texture_map import SameModel

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.head_model import HeadModel

_POINTS = np.concatenate(BROWS)
_TRACKED = 468
_CORNERS = np.array([[33, 133], [362, 263]])  # of the eye below each brow
_FREE_MM = 16.0  # from the brows: tracked points that do not hold the skin in its place
_LIDS = np.array([
    7, 33, 133, 144, 145, 153, 154, 155, 157, 158, 159, 160, 161, 163, 173, 246,
    249, 263, 362, 373, 374, 380, 381, 382, 384, 385, 386, 387, 388, 390, 398, 466,
])  # fmt: skip
_SLOWEST = 300  # frames, over which the mean is taken


def brow_heights(model: HeadModel, head: Head, points_px: np.ndarray) -> np.ndarray:
    """Return the (20,) heights of the brows of one face, upwards.

    Args:
        model: the head model.
        head: as fitted to the face.
        points_px: (478, 2) tracked points.
    """
    fitted = transform_points(
        head.camera_from_head, model.points478(head.identity, head.expression)
    )
    depth, camera = fitted[:, 2:], head.camera
    across = (points_px - camera[:2, 2]) * depth / camera[[0, 1], [0, 1]]
    turned = head.camera_from_head
    y = (np.hstack([across, depth]) - turned[:3, 3]) @ turned[:3, 1]
    below = np.repeat(y[_CORNERS].mean(axis=1), len(_POINTS) // 2)
    return ((below - y[_POINTS]) / eyes_mm(model, head)).astype(np.float32)


def eyes_mm(model: HeadModel, head: Head) -> float:
    """Return the distance of the outer corners of a person's eyes."""
    left, right = model.points478(head.identity)[[_CORNERS[0, 0], _CORNERS[1, 1]]]
    return float(np.linalg.norm(right - left))


def raised_brows(model: HeadModel, moved_mm: np.ndarray) -> np.ndarray:
    """Return the (20,) mm by which motions (V, 3) of the vertices raise the brows."""
    corners = model.triangles[model.points478_triangle[_POINTS]]
    return -np.einsum("nc,nc->n", model.points478_bary[_POINTS], moved_mm[corners, 1])


class RestingBrows:
    """Learns how high the brows of one face of the stream lie while nothing moves them."""

    def __init__(self) -> None:
        self._mean: np.ndarray | None = None
        self._frames = 0

    def __call__(self, heights: np.ndarray) -> np.ndarray:
        """Return the (20,) heights at rest, from those of one more frame."""
        self._frames = min(self._frames + 1, _SLOWEST)
        last = heights if self._mean is None else self._mean
        self._mean = last + (heights - last) / self._frames
        return self._mean


def brow_lift(model: HeadModel) -> np.ndarray:
    """Return (V, 20) float32: how far each vertex rises with each point of the brows.

    The smoothest motion of the surface (least thin-plate energy) that moves the brows and leaves
    the lids and what is farther off where they are.
    """
    return _brow_lift(SameModel(model))


@lru_cache(maxsize=2)
def _brow_lift(key: SameModel) -> np.ndarray:
    model = key.model
    bending, points, _ = surface(key)
    away = cKDTree(model.points478_mean[_POINTS]).query(model.points478_mean[:_TRACKED])[0]
    held = (away > _FREE_MM).astype(float)
    held[_LIDS] = held[_POINTS] = 1
    system = bending + points.T @ sparse.diags(held) @ points
    return splu(system.tocsc()).solve(points[_POINTS].T.toarray()).astype(np.float32)
