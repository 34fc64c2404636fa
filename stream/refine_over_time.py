"""When a head is looked at for repair, and how a repair is carried along between.

Looking takes much longer than laying a change on. So the network looks at every few frames, beside
the path, and what it found counts from the next frame on, moved as the head has moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stream.geometry import project, transform_points
from stream.refine import Change, Refiner, Repair, repaired

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from stream.frame import Head
    from stream.pose import HeadMotion
    from stream.region import Region


class _Look(NamedTuple):
    """What is to be changed, None where nothing is, and where the head was then."""

    change: Change | None
    repair: Repair | None
    place_px: np.ndarray


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

    def refined(
        self, drawn: np.ndarray, region: Region, place_px: np.ndarray, every: int,
        tell: Callable[[], tuple[np.ndarray, np.ndarray]],
    ) -> np.ndarray:  # fmt: skip
        """Return a region with its guesses repaired.

        Args:
            drawn: (h, w, 3) uint8 RGB, what `Warp.draw` gave; not written to.
            region: where it lies in the frame.
            place_px: (2,) where the head is drawn in the frame; see `drawn_place`.
            every: the network looks at every n-th frame.
            tell: gives what `Refiner.repair` wants to know of the region: its provenance, and what
                of its background was never seen. Asked where the network looks.
        """
        self._age += 1
        if self._awaited is not None:
            awaited, self._awaited = self._awaited, None
            self._last = awaited.result()
        if self._last is None or self._age >= every:
            self._look(drawn, region, place_px, *tell())
        if self._last is None or self._last.repair is None:
            return drawn
        # Rounded to nought: a head that rests would else shake by a pixel.
        x, y = np.trunc(place_px - self._last.place_px).astype(int).tolist()
        return repaired(drawn, region, self._last.repair, (x, y))

    def _look(
        self, drawn: np.ndarray, region: Region, place_px: np.ndarray, provenance: np.ndarray,
        unseen: np.ndarray,
    ) -> None:  # fmt: skip
        last = self._last

        def found() -> _Look:
            change = self._refiner.change(drawn, region, provenance, unseen)
            if change is None:
                return _Look(None, None, place_px)
            if last is not None and last.change is not None:
                change = change.averaged(last.change, place_px - last.place_px)
            return _Look(change, Repair.of(change), place_px)

        self._age = 0
        if self._last is None or self._beside is None:
            self._last = found()
        else:
            self._awaited = self._beside.submit(found)


def drawn_place(head: Head, motion: HeadMotion) -> np.ndarray:
    """Return (2,) where in the frame the middle of a head comes to lie by a motion."""
    whole = motion.blended(np.ones(()), np.ones(()))
    return project(transform_points(whole, head.camera_from_head[:3, 3]), head.camera)
