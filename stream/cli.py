"""The commands and options of ``voltface``, and what each command calls.

A command is a function whose parameters are its options; a row of ``COMMANDS`` registers it.
What a command needs is imported when it runs, so that help and refusals come at once.
"""

import logging
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from stream.choices import EngineName, FacesName, QualityName
from stream.errors import UserError
from stream.motion import CurveName, load_motion
from stream.pose import PoseRequest
from stream.stats import PROCESS_STARTED_S

if TYPE_CHECKING:
    from stream.settings import Settings

Input = Annotated[str, Positional, arg(metavar="INPUT")]
Output = Annotated[str, Positional, arg(metavar="OUTPUT")]
Degrees = Annotated[float, arg(metavar="D")]


def _option(metavar: str, default: str, text: str) -> Any:  # noqa: ANN401 - tyro's own marker
    """Mark an option whose absence leaves the word to the settings file."""
    return arg(metavar=metavar, help_behavior_hint=f"(default: {default})", help=text)


_ENGINE_HELP = (
    "What runs the networks that voltface brings. This version only has those of MediaPipe, "
    "which run in MediaPipe's own runtime; a named engine must be installed."
)
_QUALITY_HELP = (
    "auto is high for files; where somebody watches live, it goes down when the machine cannot "
    "keep up, and up again."
)
_SEED_HELP = (
    "Give the same result every time. This version draws no random numbers, so that any N does: "
    "the background is completed in step with the frames, not beside them, which takes longer."
)
_HOTKEYS_HELP = (
    "Take keys while another program has the keyboard: Ctrl+Alt+Shift with j, l, i, k (turn), "
    "0 (reset), m (mirror), b (bypass), q (quit). Needs the extra ui."
)


@dataclass(frozen=True, slots=True)
class Common:
    """For every command that turns heads."""

    engine: Annotated[
        EngineName | None,
        _option("{auto,tensorrt,tensorrt-rtx,openvino,onnxruntime}", "auto", _ENGINE_HELP),
    ] = None
    faces: Annotated[
        FacesName | None, _option("{largest,all}", "largest", "Turn the largest head or all heads.")
    ] = None
    config: Annotated[Path | None, arg(metavar="FILE.toml")] = None
    """Settings; options on the command line win."""
    stats: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write statistics as JSON."""
    quality: Annotated[QualityName | None, _option("{auto,low,high}", "auto", _QUALITY_HELP)] = None
    seed: Annotated[int | None, _option("N", "none", _SEED_HELP)] = None
    quiet: bool = False
    """Show no progress, only errors."""
    verbose: bool = False
    """Log more, and show where an error arose."""

    def settings(self) -> "Settings":
        """Return the settings of the file with the options on top, and set up the log."""
        _set_up_log(self.verbose, self.quiet)
        from stream.settings import load_settings  # the stages, whose settings these are

        return load_settings(
            self.config,
            engine=self.engine,
            faces=self.faces,
            quality=self.quality,
            seed=self.seed,
        )


def repose(
    input: Input,
    output: Output,
    common: OmitArgPrefixes[Common],
    yaw: Degrees = 0.0,
    pitch: Degrees = 0.0,
    roll: Degrees = 0.0,
    frontal: Annotated[float, arg(metavar="S")] = 0.0,
    like: Annotated[str | None, arg(metavar="IMAGE")] = None,
    motion: Annotated[Path | None, arg(metavar="FILE.csv")] = None,
    motion_curve: CurveName = "linear",
    hotkeys: Annotated[bool, arg(help=_HOTKEYS_HELP)] = False,
) -> int:
    """Turn the head in a video, a picture or a camera's stream.

    Args:
        input: camera, camera:1, /dev/video0, a video file, a picture, or a URL.
        output: a video file, a picture, camera (virtual), camera:NAME, window, null, or a URL.
        common: options of every such command.
        yaw: degrees added; above 0 the nose goes to the right of the picture.
        pitch: degrees added; above 0 the nose goes up.
        roll: degrees added; above 0 the head tilts clockwise.
        frontal: share (0 to 1) of the tracked turn that is taken away.
        like: take rotation, position and size of the head from the face in this picture.
        motion: rows of time (s), yaw, pitch, roll (degrees), added as time passes.
        motion_curve: how to go from row to row.
        hotkeys: take keys while another program has the keyboard.
    """
    settings = common.settings()
    request = _checked_request(PoseRequest(yaw, pitch, roll, frontal))
    track = load_motion(motion, motion_curve) if motion else None
    from stream.session import Job, perform

    job = Job(
        input,
        output,
        settings,
        request,
        track,
        like,
        common.stats,
        common.quiet,
        hotkeys,
        started_s=PROCESS_STARTED_S,
    )
    outcome = perform(job)
    if not common.quiet:
        sys.stderr.write(f"{output}: {outcome.summary()}\n")
    return outcome.exit_code


def bench(
    common: OmitArgPrefixes[Common],
    input: Annotated[str | None, Positional, arg(metavar="[INPUT]")] = None,
    json: Annotated[Path | None, arg(metavar="FILE")] = None,
) -> int:
    """Measure speed and memory, stage by stage, beside what decoding and tracking alone cost.

    Args:
        common: options of every such command.
        input: what to measure on; the clip that comes with voltface unless given.
        json: write the figures to this file.
    """
    settings = common.settings()
    from stream.bench import run_bench

    return run_bench(input, settings, json, common.stats, common.quiet)


def doctor(json: bool = False, verbose: bool = False) -> int:
    """Try each part that voltface needs, and say how to mend what does not work.

    Args:
        json: print JSON instead of a table.
        verbose: log more, and show where an error arose.
    """
    _set_up_log(verbose, quiet=False)
    from stream.doctor import run_doctor

    return run_doctor(json)


def demo(common: OmitArgPrefixes[Common]) -> int:
    """Show it: on your camera if there is one, else on the clip that comes with voltface.

    Args:
        common: options of every such command.
    """
    settings = common.settings()
    from stream.demo import run_demo

    return run_demo(settings, common.stats, common.quiet)


COMMANDS: dict[str, Callable[..., int]] = {
    "repose": repose,
    "bench": bench,
    "doctor": doctor,
    "demo": demo,
}


def run_command(arguments: Sequence[str]) -> int:
    """Parse the arguments and run the command that they name.

    Returns:
        The exit code: 0 done, 2 a check failed, 130 interrupted.

    Raises:
        UserError: if the request cannot be met.
        SystemExit: with code 2 on wrong arguments, 0 after help.
    """
    return tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog="voltface",
        description="Turn the head in video, live.",
        args=list(arguments),
        config=(FlagCreatePairsOff,),
    )


def _checked_request(request: PoseRequest) -> PoseRequest:
    for name in ("yaw", "pitch", "roll"):
        if not math.isfinite(getattr(request, name)):
            what = f"--{name} is {getattr(request, name)}"
            raise UserError(what, "an angle is a finite number", "Give degrees, say 20")
    if not 0.0 <= request.frontal <= 1.0:
        what = f"--frontal is {request.frontal:g}"
        raise UserError(what, "it is a share of the tracked turn", "Give a number from 0 to 1")
    return request


def _set_up_log(verbose: bool, quiet: bool) -> None:
    """Send what the path logs to standard error, with tracebacks only if verbose."""
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("voltface: %(message)s") if verbose else _OneLine())
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    logging.getLogger("voltface").setLevel(level)
    logging.captureWarnings(not verbose)


class _OneLine(logging.Formatter):
    """Formats what is logged as one line, without a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return f"voltface: {record.getMessage()}"
