"""Where the frame shows the lower edge of a chin that hangs below the fitted one.

The tracked points reach the tip of a chin, and of a mouth that opens wide not even that: the head
model ends too high. What of the chin lies below it would have the depth of the neck and its share
of the motion, and stay there as a second chin when the head turns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.following import CHIN
from stream.geometry import project, transform_points
from stream.region import looked_up
from stream.sight import FACE, NECK

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.region import NodeGrid
    from stream.sight import Sight

LOWER_LIP = 17  # tracked point: the lower edge of it
_ASIDE_MM = np.array([-14.0, -7.0, 0.0, 7.0, 14.0])  # lines along which the edge is looked for
_ALONG_MM = np.arange(-12.0, 32.0)  # below the tip of the fitted chin
_SHARE = 0.5  # of face above the edge, of neck below it
_BELOW = 4  # samples from the edge to where there must be neck
_LEAST_LINES = 3
_LEAST_PX = 0.5  # less is not worth the time
_USUAL_MM, _MOST_MM = 2.0, 20.0  # of fitted chins to the edge; farther down it is no chin
_RATE = 0.5  # of a new look in what is known


class ChinEdge:
    """How far below the fitted chin that of one head ends, from frame to frame."""

    def __init__(self) -> None:
        self._drop_mm: float | None = None

    def reset(self) -> None:
        """Forget what was seen."""
        self._drop_mm = None

    def look(self, head: Head, chin_mm: np.ndarray, sight: Sight | None, grid: NodeGrid) -> float:
        """Return how far below its usual place the edge is, mm along the head, ≥ 0.

        Args:
            head: the fitted head.
            chin_mm: (3,) the tip of its chin, head space.
            sight: of the grid's region.
            grid: the nodes.
        """
        seen = None if sight is None else _edge_mm(head, chin_mm, sight, grid)
        if seen is not None:  # else it is where it was
            drop = float(np.clip(seen - _USUAL_MM, 0.0, _MOST_MM))
            known = drop if self._drop_mm is None else self._drop_mm
            self._drop_mm = known + _RATE * (drop - known)
        return self._drop_mm or 0.0


def _edge_mm(head: Head, chin_mm: np.ndarray, sight: Sight, grid: NodeGrid) -> float | None:
    """Return how far below a fitted chin, mm, face ends and neck begins; None where it does not."""
    face, neck = sight.share(FACE), sight.share(NECK)
    if face is None or neck is None:
        return None
    aside, along = np.meshgrid(_ASIDE_MM, _ALONG_MM, indexing="ij")
    points = chin_mm + np.stack([aside, along, np.zeros_like(along)], axis=-1)
    places = project(transform_points(head.camera_from_head, points), head.camera)
    face, neck = (looked_up(part, places, grid.region) for part in (face, neck))
    ends = (face < _SHARE).argmax(axis=1)  # 0 where it never does, or there is no face
    below = np.minimum(ends + _BELOW, len(_ALONG_MM) - 1)
    found = (ends > 0) & (neck[np.arange(len(neck)), below] > _SHARE)
    return float(np.median(_ALONG_MM[ends[found]])) if found.sum() >= _LEAST_LINES else None


def with_chin(
    front_mm: np.ndarray, points_px: np.ndarray, drop_mm: float, head: Head, grid: NodeGrid
) -> np.ndarray:
    """Draw a depth map out between lower lip and chin, so that the chin ends where it is seen.

    Args:
        front_mm: (rows, columns) float32 depth at the nodes.
        points_px: (478, 2) tracked points of the fitted head.
        drop_mm: how far below the fitted chin it ends.
        head: the fitted head.
        grid: the nodes.

    Returns:
        (rows, columns) float32; what lies below the chin has moved down with it.
    """
    lip, chin = points_px[LOWER_LIP], points_px[CHIN]
    length = float(np.linalg.norm(chin - lip))
    drop = drop_mm * head.camera[0, 0] / head.camera_from_head[2, 3]
    if drop < _LEAST_PX or length < 1.0:
        return front_mm
    down = (chin - lip) / length
    step, corner = np.array(grid.step_px), np.array(grid.region[:2])
    column, row = np.arange(grid.columns), np.arange(grid.rows)[:, None]
    lip_at, along = (lip - corner) / step, down * step  # in nodes; px along per node
    below_lip = (column - lip_at[0]) * along[0] + (row - lip_at[1]) * along[1]
    up_px = np.clip(below_lip / (length + drop), 0, 1).astype(np.float32) * np.float32(-drop)
    x, y = (
        (number + up_px * np.float32(part)).astype(np.float32)
        for number, part in zip((column, row), down / step, strict=True)
    )
    return cv2.remap(front_mm, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
