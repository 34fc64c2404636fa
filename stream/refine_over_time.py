"""When a head is looked at for repair, and how a repair is carried along between.

Looking takes much longer than laying a change on. So the network looks at every few frames, beside
the path, and what it found counts from the next frame on, moved as the head has moved. While the
head rests, it looks half as often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stream.geometry import project, transform_points
from stream.refine import Change, Refiner, Repair, repaired

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from stream.frame import Head
    from stream.pose import HeadMotion
    from stream.region import Region


# What is compared to tell whether a head moves: its middle, nose, side and top; head space, mm.
_MARKS = np.array([[0, 0, 0], [0, 0, -100], [100, 0, 0], [0, -100, 0]], float)
_MOVED = 0.01  # of the region's longer side, by any of these


class _Look(NamedTuple):
    """What is to be changed, None where nothing is, and where the head was then."""

    change: Change | None
    repair: Repair | None
    marks_px: np.ndarray


class RefineOverTime:
    """The repair of one head from frame to frame.

    Args:
        refiner: finds it.
        beside: where it looks once it has looked, for the next frame to know; at once unless given.
    """

    def __init__(self, refiner: Refiner, beside: Executor | None = None) -> None:
        self._refiner, self._beside = refiner, beside
        self._last: _Look | None = None
        self._awaited: Future[_Look] | None = None
        self._age = 0  # frames since the last look

    def forget(self) -> None:
        """Forget what was found, as where frames pass that are not refined."""
        self._last = self._awaited = None

    def is_due(self, region: Region, marks_px: np.ndarray, every: int) -> bool:
        """Tell whether the network should look at the next frame that is refined.

        Args:
            region: where the head lies in it.
            marks_px: where the head is drawn in it; see `drawn_marks`.
            every: the network looks at every n-th frame; half as often while the head rests.
        """
        if self._last is None or self._age + 1 >= 2 * every:
            return True
        moved_px = float(np.abs(marks_px - self._last.marks_px).max())
        return self._age + 1 >= every and moved_px > _MOVED * max(region.width, region.height)

    def refined(
        self, drawn: np.ndarray, region: Region, marks_px: np.ndarray,
        told: tuple[np.ndarray, np.ndarray] | None,
    ) -> np.ndarray:  # fmt: skip
        """Return a region with its guesses repaired.

        Args:
            drawn: (h, w, 3) uint8 RGB, what `Warp.draw` gave; not written to.
            region: where it lies in the frame.
            marks_px: where the head is drawn in the frame; see `drawn_marks`.
            told: what `Refiner.change` wants to know of the region where the network is to look:
                its provenance, and what of its background was never seen. None where it is not;
                before it has looked once, nothing is repaired.
        """
        self._age += 1
        if self._awaited is not None:
            awaited, self._awaited = self._awaited, None
            self._last = awaited.result()
        if told is not None:
            self._look(drawn, region, marks_px, *told)
        if self._last is None or self._last.repair is None:
            return drawn
        # Rounded to nought: a head that rests would else shake by a pixel.
        x, y = np.trunc(marks_px[0] - self._last.marks_px[0]).astype(int).tolist()
        return repaired(drawn, region, self._last.repair, (x, y))

    def _look(
        self, drawn: np.ndarray, region: Region, marks_px: np.ndarray, provenance: np.ndarray,
        unseen: np.ndarray,
    ) -> None:  # fmt: skip
        last = self._last

        def found() -> _Look:
            change = self._refiner.change(drawn, region, provenance, unseen)
            if change is None:
                return _Look(None, None, marks_px)
            if last is not None and last.change is not None:
                change = change.averaged(last.change, marks_px[0] - last.marks_px[0])
            return _Look(change, Repair.of(change), marks_px)

        self._age = 0
        if self._last is None or self._beside is None:
            self._last = found()
        else:
            self._awaited = self._beside.submit(found)


def drawn_marks(head: Head, motion: HeadMotion) -> np.ndarray:
    """Return (4, 2) where in the frame a head comes to be drawn by a motion; its middle first."""
    whole = motion.blended(np.ones(()), np.ones(()))
    return project(transform_points(whole @ head.camera_from_head, _MARKS), head.camera)
