"""``voltface demo``: on the camera where there is one, else on the clip that comes with it."""

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from stream.errors import UserError
from stream.frame import Frame
from stream.media import StreamInfo, list_cameras, open_sink, open_source
from stream.motion import Swing
from stream.session import Job, Outcome, perform
from stream.settings import Settings

_log = logging.getLogger("voltface")

CLIP = Path(__file__).parent / "assets" / "demo.mp4"
VIDEO_NAME, PICTURE_NAME = "out.mp4", "before_after.png"
_SHOWN_S = (0.76, 2.28, 3.72, 5.24)  # where the head is turned furthest, to either side


def run_demo(settings: Settings, stats_path: Path | None, quiet: bool) -> int:
    """Turn a head to both sides, live in a window or in a video file in this folder.

    Args:
        settings: of the path.
        stats_path: where statistics go.
        quiet: say nothing but errors.

    Returns:
        0 done, 130 interrupted.

    Raises:
        UserError: if the result cannot be written.
    """
    say = Console(file=sys.stdout, quiet=quiet, highlight=False, soft_wrap=True).print
    job = Job("camera", "window", settings, course=Swing(), stats_path=stats_path, quiet=quiet)
    if list_cameras() and has_display():
        say("Your camera, in a window: arrows turn the head, 0 resets, m mirrors, q quits.")
        try:
            return perform(job).exit_code
        except UserError as error:
            _log.warning("%s; the demo goes on with its own clip", error)
    folder = Path.cwd()
    clip_job = replace(job, input=str(CLIP), output=str(folder / VIDEO_NAME))
    outcome = perform(clip_job)
    if outcome.stats.interrupted:
        return outcome.exit_code
    write_before_after(CLIP, folder / VIDEO_NAME, folder / PICTURE_NAME)
    say(_summary(outcome, folder))
    return outcome.exit_code


def has_display() -> bool:
    """Return whether a window can be expected to appear."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def write_before_after(before: Path, after: Path, picture: Path) -> None:
    """Write a picture of a few moments of a video, above them the same of another.

    Args:
        before: the video of the upper row.
        after: that of the lower row, of the same size and length.
        picture: where it goes.

    Raises:
        UserError: if a video cannot be read or the picture cannot be written.
    """
    rows = [np.hstack(_frames_at(path, _SHOWN_S)) for path in (before, after)]
    pixels = np.ascontiguousarray(np.vstack(rows)[::2, ::2])
    height, width = pixels.shape[:2]
    with open_sink(str(picture), StreamInfo(width, height, still=True)) as sink:
        sink.write(Frame(pixels))


def _frames_at(path: Path, times_s: tuple[float, ...]) -> list[np.ndarray]:
    """Return the pixels of the first frame at or after each time."""
    wanted = list(times_s)
    found: list[np.ndarray] = []
    with open_source(str(path)) as source:
        for frame in source:
            if wanted and frame.time_s >= wanted[0] - 1e-3:
                found.append(frame.pixels)
                wanted.pop(0)
    return found


def _summary(outcome: Outcome, folder: Path) -> str:
    stats = outcome.stats
    return (
        f"{stats.frames_out} frames at {stats.fps:.0f} frames a second.\n"
        f"Video with sound: {folder / VIDEO_NAME}\n"
        f"Before (top) and after (bottom): {folder / PICTURE_NAME}"
    )
