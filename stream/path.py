"""What every path of a frame offers to the loop: turning, swapping and driving heads alike."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from stream.closing import Closing
from stream.governor import HIGH, Quality

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from stream.frame import Frame
    from stream.heads import FaceFollower
    from stream.media import StreamInfo
    from stream.pose import PoseRequest
    from stream.settings import Settings
    from stream.stats import StageTimer

    PathBuilder = Callable[[Settings, StreamInfo, StageTimer], "FramePath"]

_log = logging.getLogger("voltface")


class Begun:
    """A frame on its way through a path, part by part.

    Args:
        parts: does a part whenever it is resumed, and returns what is shown.
        failed: says what is shown where a part has raised an error.
    """

    def __init__(
        self, parts: Generator[None, None, Frame], failed: Callable[[Exception], Frame]
    ) -> None:
        self._parts, self._failed = parts, failed
        self._shown: Frame | None = None
        self.go_on()

    def go_on(self) -> None:
        """Do the next part, if there is one."""
        if self._shown is not None:
            return
        try:
            next(self._parts)
        except StopIteration as end:
            self._shown = end.value
        except Exception as error:  # noqa: BLE001  the picture never goes black
            self._shown = self._failed(error)

    def finish(self) -> Frame:
        """Do all that is left, and return what is shown."""
        while self._shown is None:
            self.go_on()
        return self._shown


class FramePath(Closing):
    """Takes the frames of a stream one by one; a path says in `_process` what becomes of one.

    A path that waits for something in the midst of a frame says it in `_parts`: there the frames
    before and after go on.

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
        return self.begin(frame, request).finish()

    def begin(self, frame: Frame, request: PoseRequest) -> Begun:
        """Do the first part of a frame.

        The frame before may be unfinished; it must be finished before this one goes on.
        """

        def failed(error: Exception) -> Frame:
            if not self._failed:
                _log.error("a frame passes unchanged: %s", error, exc_info=error)
            self._failed = True
            return self._plain(frame)

        return Begun(self._parts(frame, request), failed)

    def bypassed(self, frame: Frame) -> Frame:
        """Return what is shown for a frame while the user bypasses the path."""
        return self._plain(frame)

    def _parts(self, frame: Frame, request: PoseRequest) -> Generator[None, None, Frame]:
        """Do the work of a frame, up to two waits, and return what is shown.

        At the first the frame before is finished; at the second the next one is begun.
        """
        yield
        return self._process(frame, request)

    def _process(self, frame: Frame, request: PoseRequest) -> Frame:
        raise NotImplementedError

    def _plain(self, frame: Frame) -> Frame:
        """Return what is shown where a stage failed: the frame itself, unless sizes differ."""
        return frame
