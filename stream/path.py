"""What every path of a frame offers to the loop: turning, swapping and driving heads alike."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stream.closing import Closing
from stream.governor import HIGH, Quality

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.frame import Frame
    from stream.heads import FaceFollower
    from stream.media import StreamInfo
    from stream.pose import PoseRequest
    from stream.settings import Settings
    from stream.stats import StageTimer

    PathBuilder = Callable[[Settings, StreamInfo, StageTimer], "FramePath"]

MEDIAPIPE = {"backend": "mediapipe", "device": "cpu", "precision": "fp32"}  # as statistics say
_log = logging.getLogger("voltface")


class FramePath(Closing):
    """Takes the frames of a stream one by one; a path says in `_process` what becomes of one.

    Args:
        info: the stream that comes in.

    Attributes:
        quality: how much work the next frame may cost; set by the governor.
        output_info: the stream that goes out; as it comes in unless a path says otherwise.
    """

    _follower: FaceFollower  # each path makes its own

    def __init__(self, info: StreamInfo) -> None:
        self.quality: Quality = HIGH
        self.output_info = info
        self._failed = False

    @property
    def last_faces(self) -> int:
        """How many faces the last frame held."""
        return self._follower.last_faces

    @property
    def faces_tracked(self) -> int:
        """How many different faces were followed so far."""
        return self._follower.faces_tracked

    @property
    def engines(self) -> dict[str, dict[str, str]]:
        """What runs each network, as really executed."""
        raise NotImplementedError

    def press(self, key: str) -> None:
        """Take one key that was pressed in the preview; others than the path's own do nothing."""

    def process(self, frame: Frame, request: PoseRequest) -> Frame:
        """Return what is shown for a frame.

        When a stage fails, what `_plain` says passes, and the reason is logged once.
        """
        try:
            return self._process(frame, request)
        except Exception as error:  # noqa: BLE001  the picture never goes black
            if not self._failed:
                _log.exception("a frame passes unchanged: %s", error)
            self._failed = True
            return self._plain(frame)

    def bypassed(self, frame: Frame) -> Frame:
        """Return what is shown for a frame while the user bypasses the path."""
        return self._plain(frame)

    def _process(self, frame: Frame, request: PoseRequest) -> Frame:
        raise NotImplementedError

    def _plain(self, frame: Frame) -> Frame:
        """Return what is shown where a stage failed: the frame itself, unless sizes differ."""
        return frame
