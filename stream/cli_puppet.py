"""``voltface puppet``: a photo that moves as somebody before the camera does."""

import sys
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from stream.cli_options import Common, Input, Output
from stream.errors import UserError
from stream.stats import PROCESS_STARTED_S

Photo = Annotated[str, Positional, arg(metavar="PHOTO")]
_ABSOLUTE_HELP = (
    "Take the driver's pose and expression as they are. Without it they count from his face at "
    "rest: that of the first frames, or of the moment when c is pressed in the preview."
)
_MOST_YAW_HELP = (
    "Degrees that the head turns to a side beyond the photo's pose, 5 to 30; the last quarter "
    "comes softly. The further it turns, the more of what is seen is guessed."
)

_HOTKEYS_HELP = (
    "Take keys while another program has the keyboard: Ctrl+Alt+Shift with c (take the face as it "
    "is for rest), j, l, i, k (turn), 0 (reset), m (mirror), b (bypass), q (quit). "
    "Needs the extra ui."
)


def puppet(
    photo: Photo,
    input: Input,
    output: Output,
    common: OmitArgPrefixes[Common],
    absolute: Annotated[bool, arg(help=_ABSOLUTE_HELP)] = False,
    most_yaw: Annotated[float, arg(metavar="DEGREES", help=_MOST_YAW_HELP)] = 25.0,
    hotkeys: Annotated[bool, arg(help=_HOTKEYS_HELP)] = False,
) -> int:
    """Make a photo move as the person in a video, a picture or a camera's stream does.

    Args:
        photo: picture of the person who shall move, shown at up to 1080 rows; photo.jpg#2 takes
            the second face from the left.
        input: the driver: camera, camera:1, /dev/video0, a video file, a picture, or a URL.
        output: a video file, a picture, camera (virtual), camera:NAME, window, null, or a URL.
        common: options of every such command.
        absolute: take the driver's pose and expression as they are.
        most_yaw: degrees that the head turns to a side.
        hotkeys: take keys while another program has the keyboard.

    Raises:
        UserError: if the request cannot be met.
    """
    settings = common.settings()
    if not 5 <= most_yaw <= 30:
        why = "a photo says enough of a head for a turn of 5 to 30 degrees"
        raise UserError(f"--most-yaw is {most_yaw:g}", why, "Give --most-yaw 25")
    from stream.puppet.path import PuppetOptions, puppet_path
    from stream.session import Job, perform

    job = Job(
        input,
        output,
        settings,
        also_read=(photo, common.config),
        stats_path=common.stats,
        quiet=common.quiet,
        hotkeys=hotkeys,
        build=puppet_path(photo, PuppetOptions(absolute, most_yaw)),
        started_s=PROCESS_STARTED_S,
    )
    outcome = perform(job)
    if not common.quiet:
        sys.stderr.write(f"{output}: {outcome.summary()}\n")
    return outcome.exit_code
