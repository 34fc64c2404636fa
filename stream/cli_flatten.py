"""The command ``voltface flatten``: a face laid out in the texture map of the head model."""

import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from stream.choices import EngineName
from stream.cli_options import set_up_log
from stream.errors import UserError

_SIZES = (32, 4096)


def flatten(
    image: Annotated[str, Positional, arg(metavar="IMAGE")],
    output: Annotated[Path, Positional, arg(metavar="OUT.png")],
    size: Annotated[int, arg(metavar="N")] = 1024,
    complete: bool = False,
    engine: Annotated[
        EngineName, arg(metavar="{auto,tensorrt,tensorrt-rtx,openvino,onnxruntime}")
    ] = "auto",
    quiet: bool = False,
    verbose: bool = False,
) -> int:
    """Lay the face of a picture out in the texture map of the head model.

    Texels that the picture does not show are transparent.

    Args:
        image: a picture; IMAGE#2 takes the second face from the left.
        output: a picture; PNG, WebP and TIFF can be transparent, others stay white there.
        size: side of the texture in texels.
        complete: take light, hair and things away and fill what is not shown, as swap does.
        engine: what runs the networks that voltface brings.
        quiet: say nothing but errors.
        verbose: log more, and show where an error arose.
    """
    set_up_log(verbose, quiet)
    if not _SIZES[0] <= size <= _SIZES[1]:
        why = f"a texture has {_SIZES[0]} to {_SIZES[1]} texels a side"
        raise UserError(f"--size is {size}", why, "Give --size 1024")
    from stream.media import write_picture
    from stream.media.specs import check_apart, check_target
    from stream.swap.source import flat_picture, prepare_source

    check_target(output)
    check_apart((output,), (image,))
    if complete:
        write_picture(output, prepare_source([image], engine, size=size).texture)
    else:
        pixels, opacity = flat_picture(image, engine, size=size)
        write_picture(output, pixels, opacity)
    if not quiet:
        sys.stderr.write(f"{output}: {size} x {size} texels\n")
    return 0
