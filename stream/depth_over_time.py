"""When the depth of a head is found anew, and when the last one is carried along instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream.geometry import project, transform_points

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.hair_depth import HairDepth, HeadDepth
    from stream.region import NodeGrid
    from stream.sight import Sight

_RESTING = 2  # times as long depth is carried along while all rests
_HEAD_MM = (85.0, 110.0, 90.0)  # half the width, height and length of a head
_MOVED_NODES = 0.35  # of the distance of two nodes: a head of which a corner goes farther moves
_CORNERS_MM = np.stack(np.meshgrid(*np.outer(_HEAD_MM, (-1.0, 1.0))), axis=-1).reshape(-1, 3)
_LABELS_CHANGED = 0.006  # of the crop: what comes, goes or moves beside the head
_LABELS_STEP = 4  # pixels between those that are compared
_SETTLING = 10  # looks until growth of hair and depth by the network have come to rest


@dataclass(frozen=True, slots=True)
class _Look:
    """What depth was found for."""

    depth: HeadDepth
    head: Head
    labels: np.ndarray | None

    def holds(self, head: Head, labels: np.ndarray | None) -> bool:
        """Tell whether the head and what lies around it are where they were.

        Expressions do not count: depth follows them slowly as it is.
        """
        reach_px = _MOVED_NODES * max(self.depth.grid.step_px)
        if np.abs(_corners_px(head) - _corners_px(self.head)).max() > reach_px:
            return False
        if labels is self.labels:
            return True
        if labels is None or self.labels is None:
            return False
        some = np.s_[:, ::_LABELS_STEP, ::_LABELS_STEP]
        return float(np.abs(labels[some] - self.labels[some]).mean()) < _LABELS_CHANGED


def _corners_px(head: Head) -> np.ndarray:
    """Return (8, 2) where the corners of a box around a head lie in the frame."""
    return project(transform_points(head.camera_from_head, _CORNERS_MM), head.camera)


class DepthOverTime:
    """The depth of one head from frame to frame.

    It takes a quarter of a frame's time, and hardly changes while a head rests.

    Args:
        hair: finds it.
    """

    def __init__(self, hair: HairDepth) -> None:
        self._hair = hair
        self._last: _Look | None = None
        self._age = 0  # frames since then
        self._looks = 0

    def at(
        self, head: Head, matte: np.ndarray, grid: NodeGrid, sight: Sight, every: int, *,
        strict: bool = False,
    ) -> HeadDepth:  # fmt: skip
        """Return the depth of the next frame.

        Args:
            head: the fitted head.
            matte: (rows, columns) float32 person matte at the nodes.
            grid: the nodes.
            sight: what the networks saw there.
            every: depth is found on every n-th frame, and half as often while all rests.
            strict: a region that went on is worth a new look, too.
        """
        self._age += 1
        last = self._last
        if last is not None and self._serves(last, head, grid, sight, every, strict):
            farther_mm = head.camera_from_head[2, 3] - last.head.camera_from_head[2, 3]
            return last.depth.carried(grid, float(farther_mm))
        depth = self._hair.estimate(head, matte, grid, sight)
        self._last = _Look(depth, head, sight.labels)
        self._age, self._looks = 0, self._looks + 1
        return depth

    def _serves(
        self, last: _Look, head: Head, grid: NodeGrid, sight: Sight, every: int, strict: bool
    ) -> bool:
        same = last.depth.front_mm.shape == (grid.rows, grid.columns)
        moved = last.depth.grid.region != grid.region
        if not same or (strict and moved):
            return False
        if self._age < every:
            return True
        rested = self._looks >= _SETTLING and not moved and self._age < _RESTING * every
        return rested and last.holds(head, sight.labels)
