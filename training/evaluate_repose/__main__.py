"""The measuring tools as commands: `python -m training.evaluate_repose NAME …`."""

import sys
from collections.abc import Callable

import tyro

from stream.errors import UserError
from training.evaluate_repose import (
    angles,
    crossframe,
    likeness,
    seam,
    sheet,
    speed,
    still,
    view,
)

TOOLS: dict[str, Callable[..., None]] = {
    "crossframe": crossframe.run,
    "still": still.run,
    "sheet": sheet.run,
    "strip": sheet.run_strip,
    "speed": speed.run,
    "floor": speed.floor,
    "seam": seam.run,
    "angles": angles.run,
    "likeness": likeness.run,
    "view": view.run,
}


def main() -> int:
    """Run the tool that the command line names; return the exit code."""
    try:
        tyro.extras.subcommand_cli_from_dict(TOOLS, prog="python -m training.evaluate_repose")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
