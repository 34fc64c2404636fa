"""The commands and options of ``voltface``, and what each command calls.

A command is a function whose parameters are its options; a row of ``COMMANDS`` registers it.
What a command needs is imported when it runs, so that help and refusals come at once.
"""

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from stream.cli_flatten import flatten
from stream.cli_options import Common, Degrees, Input, Output, set_up_log
from stream.cli_puppet import puppet
from stream.cli_reconstruct import reconstruct
from stream.cli_swap import Method, swap
from stream.errors import UserError
from stream.motion import CurveName, load_motion
from stream.pose import PoseRequest
from stream.stats import PROCESS_STARTED_S

_HOTKEYS_HELP = (
    "Take keys while another program has the keyboard: Ctrl+Alt+Shift with j, l, i, k (turn), "
    "0 (reset), m (mirror), b (bypass), q (quit). Needs the extra ui."
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
    method: Method = "mesh",
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
        method: mesh turns the head with its hair; affine only the face, by the method of DepthNets.
        hotkeys: take keys while another program has the keyboard.
    """
    settings = common.settings()
    request = _checked_request(PoseRequest(yaw, pitch, roll, frontal))
    track = load_motion(motion, motion_curve) if motion else None
    from stream.affine_repose import AffineReposer
    from stream.pipeline import Reposer
    from stream.session import Job, perform

    job = Job(
        input,
        output,
        settings,
        request,
        track,
        like,
        also_read=(motion, common.config),
        stats_path=common.stats,
        quiet=common.quiet,
        hotkeys=hotkeys,
        started_s=PROCESS_STARTED_S,
        build=AffineReposer if method == "affine" else Reposer,
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
    set_up_log(verbose, quiet=False)
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
    "swap": swap,
    "puppet": puppet,
    "reconstruct": reconstruct,
    "flatten": flatten,
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
        description="Turn, swap and drive faces in video, live.",
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
