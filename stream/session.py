"""One run from end to end: opens what a command names, runs the loop, closes everything."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from stream.engine_choice import check_engine
from stream.errors import UserError
from stream.governor import Governor
from stream.heads import face_of_picture
from stream.hotkeys import Hotkeys
from stream.interrupt import Interruption
from stream.media import Sink, Source, StreamInfo, open_sink, open_source, read_picture
from stream.media.specs import Kind, check_apart, classify
from stream.motion import Course, requests_over_time
from stream.opencv_threads import one_thread_a_call
from stream.pipeline import Reposer
from stream.pose import PoseRequest
from stream.progress import ProgressReport
from stream.run import Watch, run
from stream.settings import Settings
from stream.stats import Stats, check_writable, write_json

if TYPE_CHECKING:
    from stream.path import PathBuilder

_USUAL_FPS = 30.0


@dataclass(frozen=True, slots=True)
class Job:
    """What one run shall do.

    Attributes:
        input, output: as the user names them (see the README).
        settings: of the path.
        request: the constant part of the pose request.
        course: the part that changes with time.
        like: picture whose head gives rotation, position and size.
        also_read: other files that the path reads, which no output may replace.
        stats_path: where statistics go.
        quiet: show no progress.
        hotkeys: take keys while another program has the keyboard.
        live_frames_max: stop a live input after so many frames.
        build: makes the path of a frame; heads are turned unless given.
        started_s: ``time.perf_counter()`` from which the first frame is timed; now unless given.
    """

    input: str
    output: str
    settings: Settings = field(default_factory=Settings)
    request: PoseRequest = field(default_factory=PoseRequest)
    course: Course | None = None
    like: str | None = None
    also_read: tuple[str | Path | None, ...] = ()
    stats_path: Path | None = None
    quiet: bool = False
    hotkeys: bool = False
    live_frames_max: int | None = None
    started_s: float | None = None
    build: "PathBuilder" = Reposer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to.

    Attributes:
        stats: complete statistics.
        info: the input.
    """

    stats: Stats
    info: StreamInfo

    @property
    def exit_code(self) -> int:
        """0 done, 130 interrupted."""
        return 130 if self.stats.interrupted else 0

    def summary(self) -> str:
        """Return the counts in a few words."""
        stats = self.stats
        if self.info.still and not stats.interrupted:
            return f"done in {stats.seconds:.1f} s"
        ended = ", interrupted" if stats.interrupted else ""
        dropped = f", {stats.frames_dropped} dropped" if stats.frames_dropped else ""
        latency_ms = stats.latency.in_ms()["p95"]
        counted = "1 frame" if stats.frames_out == 1 else f"{stats.frames_out} frames"
        return (
            f"{counted}, {stats.fps:.1f} frames a second, "
            f"latency {latency_ms:.0f} ms (p95){dropped}{ended}"
        )


def perform(job: Job) -> Outcome:
    """Do a job; statistics are written even where it fails midway.

    Raises:
        UserError: if an end cannot be opened or fails, or a picture holds no face.
        KeyboardInterrupt: if the user stops it before the first frame.
    """
    if job.stats_path:
        check_writable(job.stats_path)
    check_apart((job.output, job.stats_path), (job.input, job.like, *job.also_read))
    check_engine(job.settings.engine)
    stats = Stats(setup_s=job.started_s or time.perf_counter())
    with ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        with interruption.waiting():
            source = stack.enter_context(_open_input(job))
            path = stack.enter_context(job.build(job.settings, source.info, stats.timer))
            request = _request(job, source.info)
            sink = stack.enter_context(_open_output(job, path.output_info))
        info = source.info
        governor = _governor(job, info)
        path.quality = governor.quality
        report = stack.enter_context(ProgressReport(info.frame_count or 0, job.quiet or info.still))
        frames_max = job.live_frames_max if info.live else None
        hotkeys = stack.enter_context(Hotkeys()).poll_keys if job.hotkeys else list
        if not info.still:
            stack.enter_context(one_thread_a_call())
        watch = Watch(stats, governor, report.update, interruption, frames_max, hotkeys)
        try:
            run(source, sink, path, requests_over_time(request, job.course), watch)
        finally:
            if job.stats_path:
                write_json(job.stats_path, stats.as_json(input_json(info)))
    return Outcome(stats, info)


def input_json(info: StreamInfo) -> dict[str, float | None]:
    """Return what statistics say of the input."""
    fps = None if info.fps is None else round(info.fps, 4)
    return {"width": info.width, "height": info.height, "fps": fps}


def _open_input(job: Job) -> Source:
    """Open the input; a picture stays where it is shown, and is one frame elsewhere."""
    shown = classify(job.output) in (Kind.CAMERA, Kind.WINDOW)
    return open_source(job.input, options=job.settings.source, repeat_still=shown)


def _open_output(job: Job, info: StreamInfo) -> Sink:
    return open_sink(job.output, info, source=job.input, options=job.settings.sink)


def _governor(job: Job, info: StreamInfo) -> Governor:
    """Return a governor that acts where somebody watches live, on either side."""
    watched = classify(job.output) in (Kind.CAMERA, Kind.WINDOW, Kind.URL)
    fps = info.fps or _USUAL_FPS
    return Governor(
        job.settings.governor, job.settings.quality, fps, info.live or watched, info.still
    )


def _request(job: Job, info: StreamInfo) -> PoseRequest:
    """Return the constant request, with the face of the ``--like`` picture in it."""
    if job.like is None:
        return job.request
    pixels, _ = read_picture(job.like)
    face = face_of_picture(pixels, (info.width, info.height))
    if face is None:
        raise UserError(
            f"no face found in the picture {job.like}",
            "--like takes the pose of the head in it",
            "Give a picture in which a face is seen from the front and not too small",
        )
    return replace(job.request, like=face)
