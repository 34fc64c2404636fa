"""Types of command line arguments that several tools share."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

Clips = Annotated[tuple[Path, ...], Positional, arg(metavar="CLIP …")]
OneClip = Annotated[Path, Positional, arg(metavar="CLIP")]
