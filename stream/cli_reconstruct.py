"""The command ``voltface reconstruct``."""

import sys
import time
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from stream.cli_options import Common
from stream.stats import PROCESS_STARTED_S

Format = Literal["glb", "obj", "ply", "npz"]


def reconstruct(
    input: Annotated[Path, Positional, arg(metavar="IMAGE")],
    output: Annotated[Path, Positional, arg(metavar="OUTPUT")],
    common: OmitArgPrefixes[Common],
    detail: bool = False,
    solid: bool = False,
    turntable: Annotated[Path | None, arg(metavar="FILE")] = None,
    depth_picture: Annotated[Path | None, arg(metavar="FILE.png")] = None,
    format: Format = "glb",
) -> int:
    """Make a textured head in 3D of the face in a picture, hair included.

    Args:
        input: a picture, or a folder of pictures.
        output: a file that ends in .glb, .obj, .ply or .npz; for a folder, a folder. With
            --faces all, further heads go to head_2.glb, head_3.glb …
        common: options of every such command.
        detail: add wrinkles and the like from the shading (slower).
        solid: close the neck and all seams, so that the head can be printed.
        turntable: also write a film (.mp4, .gif) of the head that turns once.
        depth_picture: also write a picture of the depth; near is bright.
        format: of the files, where OUTPUT is a folder. --turntable and --depth-picture then only
            say the kind of file.
    """
    settings = common.settings()
    from stream.reconstruct.program import Order, perform

    order = Order(
        input,
        output,
        f".{format}",
        solid,
        detail,
        turntable,
        depth_picture,
        settings,
        common.stats,
        common.quiet,
    )
    written = perform(order)
    if not common.quiet:
        names = f"{len(written)} heads" if len(written) > 3 else ", ".join(map(str, written))
        sys.stderr.write(f"{names}: {time.perf_counter() - PROCESS_STARTED_S:.1f} s\n")
    return 0
