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
    from stream.path import FramePath
    from stream.pose import PoseRequest
    from stream.stats import Stats


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
    stats, governor = watch.stats, watch.governor
    controls = Controls()
    dropped_before = source.dropped
    stats.start_s = time.perf_counter()
    try:
        for frame in _frames(source, watch):
            for key in (*sink.poll_keys(), *watch.hotkeys()):
                controls.press(key)
                path.press(key)
            if controls.quit:
                break
            begun_s = time.perf_counter()
            request = controls.applied(request_at(frame.time_s))
            bypass = controls.bypassed
            shown = path.bypassed(frame) if bypass else path.process(frame, request)
            _require_face(source, path)
            spent_s = time.perf_counter() - begun_s
            with stats.timer.stage("sink"):
                sink.write(_mirrored(shown) if controls.mirrored else shown)
            stats.frame_done(frame.captured_s)
            if not controls.bypassed:
                path.quality = governor.update(spent_s)
            watch.report(stats)
    except KeyboardInterrupt:
        stats.interrupted = True
    finally:
        stats.end_s = time.perf_counter()
        stats.interrupted |= watch.interruption.requested
        stats.frames_dropped = source.dropped - dropped_before
        stats.frames_in += stats.frames_dropped
        stats.faces_tracked = path.faces_tracked
        stats.engines = path.engines
        stats.governor = governor.changes


def _frames(source: Source, watch: Watch) -> Iterator[Frame]:
    """Give the source's frames, counted and timed, until the limit or an interruption."""
    stats, frames = watch.stats, iter(source)
    while not watch.interruption.requested and stats.frames_in != watch.frames_max:
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
