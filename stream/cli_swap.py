"""``voltface swap``: the face of a photo on the person in a video."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import OmitArgPrefixes, UseAppendAction, arg

from stream.affine_settings import AffineSettings
from stream.cli_options import Common, Input, Output, Share
from stream.errors import UserError
from stream.stats import PROCESS_STARTED_S

if TYPE_CHECKING:
    from stream.path import PathBuilder
    from stream.session import Job
    from stream.settings import Settings

Method = Literal["mesh", "affine"]
_SHARED = ("strength", "softness", "colour_match")  # both methods have these
_OPTION_NAMES = {"mouth": "mouth-from-target"}
_SOURCE_HELP = (
    "Photo of the person whose face is put on; photo.jpg#2 takes the second face from the left. "
    "Several photos of one person, each with --source, make one better face."
)
_METHOD_HELP = (
    "mesh draws the source's skin on a 3D head; affine is the plain 2D method of DepthNets, for "
    "which each --source is a person of its own."
)
_SHAPE_HELP = "Whose shape the face has: source, target, or a number from 0 (target) to 1."
_BROWS_HELP = "Keep the brows of the person in the video."
_MOUTH_HELP = "Keep the lips of the person in the video, too; what is inside always stays."
_PROFILE_HELP = "Take the controls that were saved under this name."
_SAVE_HELP = "Save the controls under this name, as they are when the run ends."


def swap(
    input: Input,
    output: Output,
    common: OmitArgPrefixes[Common],
    source: Annotated[
        UseAppendAction[tuple[str, ...]], arg(metavar="IMAGE", help=_SOURCE_HELP)
    ] = (),
    method: Annotated[Method, arg(help=_METHOD_HELP)] = "mesh",
    shape: Annotated[str | None, arg(metavar="S", help=_SHAPE_HELP)] = None,
    strength: Share = None,
    softness: Share = None,
    colour_match: Share = None,
    sharpness: Share = None,
    keep_brows: Annotated[bool, arg(help=_BROWS_HELP)] = False,
    mouth_from_target: Annotated[bool, arg(help=_MOUTH_HELP)] = False,
    profile: Annotated[str | None, arg(metavar="NAME", help=_PROFILE_HELP)] = None,
    save_profile: Annotated[str | None, arg(metavar="NAME", help=_SAVE_HELP)] = None,
) -> int:
    """Put the face of a photo on the person in a video, a picture or a camera's stream.

    Args:
        input: camera, camera:1, /dev/video0, a video file, a picture, or a URL.
        output: a video file, a picture, camera (virtual), camera:NAME, window, null, or a URL.
        common: options of every such command.
        source: photo of the person whose face is put on.
        method: how.
        shape: whose shape the face has.
        strength: 0 shows the plain frame, 1 the whole swap.
        softness: of the mask's border, 0 to 1.
        colour_match: how far the skin takes the tone of the person in the video, 0 to 1.
        sharpness: 0.5 is as sharp as the frame.
        keep_brows: keep the brows of the person in the video.
        mouth_from_target: keep the lips, too.
        profile: take the controls that were saved under this name.
        save_profile: save the controls under this name at the end.
    """
    given = {
        "shape": _shape(shape),
        "strength": strength,
        "softness": softness,
        "colour_match": colour_match,
        "sharpness": sharpness,
        "keep_brows": keep_brows or None,
        "mouth": mouth_from_target or None,
    }
    settings = _with_controls(common.settings(), profile, given, method)
    from stream.session import Job

    job = Job(
        input,
        output,
        settings,
        also_read=(*source, common.config),
        stats_path=common.stats,
        quiet=common.quiet,
        build=_builder(method, source, settings),
        started_s=PROCESS_STARTED_S,
    )
    return _performed(job, save_profile)


def _performed(job: "Job", save_profile: str | None) -> int:
    """Swap, and save the controls as the keys left them; return the exit code."""
    from stream.session import perform
    from stream.swap import controls

    if save_profile is not None:
        controls.profile_path(save_profile)  # a bad name is better told before than after
    outcome = perform(job)
    if save_profile is not None:
        controls.save_profile(save_profile, getattr(job.build, "options", job.settings.swap))
    if not job.quiet:
        sys.stderr.write(f"{job.output}: {outcome.summary()}\n")
    return outcome.exit_code


def _with_controls(
    settings: "Settings", profile: str | None, given: Mapping[str, object], method: Method
) -> "Settings":
    """Put a profile and then the options on top of the section `[swap]`, and of `[affine]`."""
    from stream.settings import section_from_table
    from stream.swap import controls

    swap = settings.swap
    if profile is not None:
        swap = section_from_table(swap, controls.read_profile(profile), f'profile "{profile}"')
    settings = replace(settings, swap=controls.given_settings(swap, given))
    return _with_affine(settings, given) if method == "affine" else settings


def _with_affine(settings: "Settings", given: Mapping[str, object]) -> "Settings":
    """Say the controls that both methods have in the terms of `[affine]`."""
    foreign = [name for name, value in given.items() if value is not None and name not in _SHARED]
    if foreign:
        option = _OPTION_NAMES.get(foreign[0], foreign[0].replace("_", "-"))
        raise UserError(
            f"--method affine does not have --{option}", "it belongs to the mesh", "Leave one out"
        )
    affine, swap = settings.affine, settings.swap
    if given["colour_match"] is not None:
        affine = replace(affine, tone=swap.colour_match)
    if given["softness"] is not None:
        affine = replace(affine, edge=2 * swap.softness * AffineSettings().edge)
    return replace(settings, affine=affine)


def _builder(method: Method, source: tuple[str, ...], settings: "Settings") -> "PathBuilder":
    if method == "affine":
        from functools import partial

        from stream.affine_swap import AffineSwapper

        return partial(AffineSwapper, sources=source, strength=settings.swap.strength)
    from stream.swap.build import SwapBuilder

    return SwapBuilder(source, settings.swap.map)


def _shape(word: str | None) -> float | None:
    if word is None:
        return None
    named = {"source": 1.0, "target": 0.0}
    try:
        return named[word] if word in named else float(word)
    except ValueError as error:
        raise UserError(
            f"--shape is {word}",
            "it says whose shape the face has",
            "Give source, target, or a number from 0 (target) to 1 (source)",
        ) from error
