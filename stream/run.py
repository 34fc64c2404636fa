"""The loop over the frames of one run: from the source, through the path, into the sink."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream.errors import UserError
from stream.frame import Frame
from stream.motion import Controls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stream.governor import Governor
    from stream.interrupt import Interruption
    from stream.media import Sink, Source
    from stream.path import Begun, FramePath
    from stream.pose import PoseRequest
    from stream.stats import Stats


# What took so long already is finished at once: overlapping makes more frames a second, but each
# of them comes later.
_LATE_S = 0.05


@dataclass(frozen=True, slots=True)
class Watch:
    """What looks on while the frames pass.

    Attributes:
        stats: filled by the loop.
        governor: told how long each frame took; says how good the next may be.
        report: called after every frame, to show progress.
        interruption: tells whether the user wants to stop.
        frames_max: stop after so many frames; None for no limit.
        hotkeys: gives the keys that were pressed outside the sink's own window.
    """

    stats: Stats
    governor: Governor
    report: Callable[[Stats], None]
    interruption: Interruption
    frames_max: int | None = None
    hotkeys: Callable[[], list[str]] = list


def run(
    source: Source,
    sink: Sink,
    path: FramePath,
    request_at: Callable[[float], PoseRequest],
    watch: Watch,
) -> None:
    """Take every frame of the source through the path into the sink, in order.

    Returns at the source's end, when the user quits by key, or after an interruption; the
    frames that were begun are in the sink by then, and the statistics are complete.

    Args:
        source: gives the frames.
        sink: takes them, and gives the keys that were pressed.
        path: the path of a frame.
        request_at: the pose request at a time of the source, in seconds.
        watch: counts, measures and decides; its statistics are complete afterwards, also
            where an exception comes out.

    Raises:
        UserError: if a picture holds no face, or from the source and the sink.
    """
    stats = watch.stats
    dropped_before = source.dropped
    stats.start_s = time.perf_counter()
    passage = _Passage(source, sink, path, watch)
    try:
        for frame in _frames(source, watch, passage.finish):
            passage.poll_keys()
            if passage.controls.quit:
                break
            passage.begin(frame, request_at(frame.time_s))
        passage.finish()
    except KeyboardInterrupt:
        stats.interrupted = True
    finally:
        stats.end_s = time.perf_counter()
        stats.interrupted |= watch.interruption.requested
        stats.frames_dropped = source.dropped - dropped_before
        stats.frames_in += stats.frames_dropped
        stats.faces_tracked = path.faces_tracked
        stats.engines = path.engines
        stats.governor = watch.governor.changes


class _Passage:
    """The way of the frames through the path; the end of one overlaps the beginning of the next."""

    def __init__(self, source: Source, sink: Sink, path: FramePath, watch: Watch) -> None:
        self._source, self._sink, self._path, self._watch = source, sink, path, watch
        self._last: tuple[Frame, Begun | None] | None = None
        self._spent_s = 0.0  # on the last frame
        self.controls = Controls()

    def poll_keys(self) -> None:
        """Take the keys that were pressed."""
        for key in (*self._sink.poll_keys(), *self._watch.hotkeys()):
            self.controls.press(key)
            self._path.press(key)

    def begin(self, frame: Frame, request: PoseRequest) -> None:
        """Begin with a frame, and finish the one before."""
        begun_s = time.perf_counter()
        request = self.controls.applied(request)
        begun = None if self.controls.bypassed else self._path.begin(frame, request)
        looked_s = time.perf_counter() - begun_s
        self.finish()
        begun_s = time.perf_counter()
        if begun is not None:
            begun.go_on()
        self._last, self._spent_s = (frame, begun), looked_s + time.perf_counter() - begun_s
        if time.perf_counter() - frame.captured_s > _LATE_S:
            self.finish()

    def finish(self) -> None:
        """Finish the frame that was begun with last, if any, and give it to the sink."""
        if self._last is None:
            return
        (frame, begun), self._last = self._last, None
        begun_s, stats, path = time.perf_counter(), self._watch.stats, self._path
        shown = path.bypassed(frame) if begun is None else begun.finish()
        _require_face(self._source, path)
        self._spent_s += time.perf_counter() - begun_s
        with stats.timer.stage("sink"):
            self._sink.write(_mirrored(shown) if self.controls.mirrored else shown)
        stats.frame_done(frame.captured_s)
        if begun is not None:
            path.quality = self._watch.governor.update(self._spent_s)
        self._watch.report(stats)


def _frames(source: Source, watch: Watch, before_wait: Callable[[], None]) -> Iterator[Frame]:
    """Give the source's frames, counted and timed, until the limit or an interruption.

    Args:
        source: gives them.
        watch: counts and times them.
        before_wait: called where the next one is not there yet, or somebody watches live, for
            whom the frame in hand comes first.
    """
    stats, frames = watch.stats, iter(source)
    while not watch.interruption.requested and stats.frames_in != watch.frames_max:
        if source.info.live or not source.is_ready:
            before_wait()
        with watch.interruption.waiting(), stats.timer.stage("capture"):
            frame = next(frames, None)
        if frame is None:
            return
        stats.frames_in += 1
        yield frame


def _require_face(source: Source, path: FramePath) -> None:
    if source.info.still and path.last_faces == 0:
        raise UserError(
            f"no face found in the picture {source.info.name}",
            "there must be one to work on",
            "Give a picture in which a face is seen from the front and not too small",
        )


def _mirrored(frame: Frame) -> Frame:
    pixels = np.ascontiguousarray(frame.pixels[:, ::-1])
    return Frame(pixels, frame.index, frame.time_s, frame.captured_s)
