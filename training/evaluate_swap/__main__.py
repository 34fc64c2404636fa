"""The measuring tools of the swap as commands: `python -m training.evaluate_swap NAME …`."""

import sys
from collections.abc import Callable

import tyro

from stream.errors import UserError
from training.evaluate_swap import pictures, sheet, speed, table

TOOLS: dict[str, Callable[..., None]] = {
    "table": table.run,
    "sheet": sheet.run,
    "speed": speed.run,
    "pictures": pictures.run,
}


def main() -> int:
    """Run the tool that the command line names; return the exit code."""
    try:
        tyro.extras.subcommand_cli_from_dict(TOOLS, prog="python -m training.evaluate_swap")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
