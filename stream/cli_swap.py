"""``voltface swap``: the face of a photo on the person in a video."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import OmitArgPrefixes, UseAppendAction, arg

from stream.cli_options import Common, Input, Output, Share
from stream.errors import UserError
from stream.stats import PROCESS_STARTED_S

if TYPE_CHECKING:
    from stream.path import PathBuilder
    from stream.settings import Settings

Method = Literal["mesh", "affine"]
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
    settings = _with_controls(common.settings(), profile, given)
    from stream.session import Job, perform
    from stream.swap import controls

    if save_profile is not None:
        controls.profile_path(save_profile)  # a bad name is better told before than after
    build = _builder(method, source, settings, given)
    job = Job(
        input,
        output,
        settings,
        stats_path=common.stats,
        quiet=common.quiet,
        build=build,
        started_s=PROCESS_STARTED_S,
    )
    outcome = perform(job)
    if save_profile is not None:
        last = getattr(build, "options", settings.swap)
        controls.save_profile(save_profile, last)
    if not common.quiet:
        sys.stderr.write(f"{output}: {outcome.summary()}\n")
    return outcome.exit_code


def _with_controls(
    settings: "Settings", profile: str | None, given: Mapping[str, object]
) -> "Settings":
    """Put a profile and then the options on top of the section `[swap]`."""
    from stream.settings import section_from_table
    from stream.swap import controls

    swap = settings.swap
    if profile is not None:
        swap = section_from_table(swap, controls.read_profile(profile), f'profile "{profile}"')
    return replace(settings, swap=controls.given_settings(swap, given))


def _builder(
    method: Method, source: tuple[str, ...], settings: "Settings", given: Mapping[str, object]
) -> "PathBuilder":
    if method == "affine":
        return _affine(source, settings, given)
    from stream.swap.build import SwapBuilder

    return SwapBuilder(source, settings.swap.map)


def _affine(
    source: tuple[str, ...], settings: "Settings", given: Mapping[str, object]
) -> "PathBuilder":
    from functools import partial

    from stream.affine_swap import AffineSwapper

    foreign = [name for name, value in given.items() if value is not None and name != "strength"]
    if foreign:
        option = foreign[0].replace("_", "-")
        raise UserError(
            f"--method affine does not have --{option}", "it belongs to the mesh", "Leave one out"
        )
    return partial(AffineSwapper, sources=source, strength=settings.swap.strength)


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
