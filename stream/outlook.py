"""What is looked at beside the path of a frame: the person, its labels, and what is behind it.

All of it is two-dimensional and needs nothing of the head's geometry but where the head is, so
that it can be done while the path is busy with that, by a `stream.helper.Helper`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stream.closing import Closing
from stream.composite import matte_at_frame, paste
from stream.mediapipe_graph import MEDIAPIPE
from stream.networks import Networks
from stream.plate import BackgroundPlate
from stream.segment import PersonSegmenter
from stream.sight import HeadSight
from stream.still_outline import show_beside

if TYPE_CHECKING:
    from stream.matte_colour import KnownBackground
    from stream.networks import NetworkSettings
    from stream.plate import PlateSettings
    from stream.region import Region
    from stream.sight import Sight
    from stream.still_outline import Turning

LABELS = "head_segmentation"


class _Seen:
    """What is kept of one head from frame to frame."""

    def __init__(self, plate: BackgroundPlate) -> None:
        self.plate = plate
        self.region: Region | None = None  # that was looked at the last time
        self.glance: Sight | None = None  # of it
        self.labelled: Sight | None = None  # the last one with labels
        self.shown: _Shown | None = None


class _Shown(NamedTuple):
    """Person and background in a region of the frame, in its pixels."""

    region: Region
    plate: np.ndarray
    alpha: np.ndarray


class Outlook(Closing):
    """Looks at the heads of one stream.

    Args:
        networks: which ones are wanted.
        engine: what runs them.

    Raises:
        UserError: if an engine was named and cannot run.
    """

    def __init__(self, networks: NetworkSettings, engine: str) -> None:
        self._networks = Networks(networks, engine, needed=(LABELS,))
        self._segmenter = PersonSegmenter()
        self._sight = HeadSight(self._segmenter, self._networks.get(LABELS))
        self._seen: dict[int, _Seen] = {}
        self._frame = np.zeros((0, 0, 3), np.uint8)

    def engines(self) -> dict[str, dict[str, str]]:
        """Return what runs each network."""
        return {"person_segmentation": MEDIAPIPE, **self._networks.as_stats}

    def meet(self, face_id: int, settings: PlateSettings) -> None:
        """Begin with a new head.

        Args:
            face_id: its number from now on.
            settings: of its background.
        """
        self._seen[face_id] = _Seen(BackgroundPlate(settings))

    def forget(self) -> None:
        """Forget all heads, as after a cut."""
        for seen in self._seen.values():
            seen.plate.close()
        self._seen.clear()

    def begin(self, frame_rgb: np.ndarray) -> None:
        """Take (H, W, 3) uint8 as the present frame."""
        self._frame = frame_rgb

    def paint(self, drawn: np.ndarray, region: Region) -> None:
        """Change a region of the present frame, before the next head of it is looked at."""
        paste(self._frame, drawn, region)

    def glance(self, face_id: int, region: Region) -> Sight:
        """Look for the person in a region of the present frame."""
        seen = self._seen[face_id]
        last = seen.glance if seen.region == region else None
        seen.region = region
        seen.glance = self._sight.glance(np.ascontiguousarray(region.crop(self._frame)), last)
        return seen.glance

    def labels(self, face_id: int, *, afresh: bool) -> Sight | None:
        """Tell what is what in the region of the last glance.

        Args:
            face_id: of the head.
            afresh: what was told before is of another region.

        Returns:
            What is seen there with labels; None where those that were told before still do.
        """
        seen = self._seen[face_id]
        assert seen.glance is not None  # noqa: S101  the pipeline glances first
        last = None if afresh else seen.labelled
        seen.labelled = self._sight.labelled(seen.glance, last)
        told_before = last is not None and seen.labelled.labels is last.labels
        return None if told_before else seen.labelled

    def follow(self, face_id: int, region: Region) -> KnownBackground | None:
        """Align what is remembered behind a head with the present frame.

        Returns:
            What is known to be behind the person in a region of it.
        """
        plate = self._seen[face_id].plate
        plate.follow(self._frame)
        return plate.known(region, (region.width, region.height))

    def show(self, face_id: int, region: Region, matte: np.ndarray, *, finish: bool) -> None:
        """Tell apart background and person, and learn what cannot wait.

        Args:
            face_id: of the head.
            region: of the frame.
            matte: float32 of any resolution that spans it.
            finish: learn all of it now, and put the best fill in place, as for a picture.
        """
        seen = self._seen[face_id]
        seen.plate.see(self._frame, region, matte)
        if finish:
            seen.plate.learn()
            seen.plate.finish()
        seen.shown = _Shown(region, seen.plate.background(region), matte_at_frame(matte, region))

    def behind(self, face_id: int, turning: Turning) -> tuple[np.ndarray, np.ndarray]:
        """Return what to draw the head over, in the region that was shown.

        Args:
            face_id: of the head.
            turning: where the region's nodes go.

        Returns:
            (h, w, 3) uint8 background, as the frame shows it beside shoulders, and (h, w) uint8
            matte, 255 inside.
        """
        shown = self._seen[face_id].shown
        assert shown is not None  # noqa: S101  the pipeline shows it first
        region, plate, alpha = shown
        show_beside(region.crop(self._frame), alpha, plate, turning)
        return plate, alpha

    def learn(self, face_id: int) -> None:
        """Learn what the present frame shows of the background behind a head."""
        self._seen[face_id].plate.learn()

    def unseen(self, face_id: int, region: Region, size: tuple[int, int]) -> np.ndarray:
        """Tell where the background is a guess; see `BackgroundPlate.unseen`."""
        return self._seen[face_id].plate.unseen(region, size)

    def close(self) -> None:
        """Give back the networks."""
        self.forget()
        self._segmenter.close()
        self._networks.close()
