"""Prepare, judge and use the networks of pix2vertex: `python -m training.pix2vertex --help`."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
import tyro
from rich.progress import track

from stream.errors import UserError
from training.pix2vertex import sets
from training.pix2vertex.nets import begun_from_segmentation

Folder = tyro.conf.Positional[Path]
_DATA = Path("../shared/data")
app = tyro.extras.SubcommandApp()


@app.command
def prepare(
    out: Folder, *, data: Path = _DATA, count: int = 5000, seed: int = 17, size: int = sets.SIZE,
    workers: int = 2, held_out: bool = False,
) -> None:  # fmt: skip
    """Draw synthetic people with depth and correspondence, as arrays that training reads."""
    sets.prepare(
        data, out, count, seed=seed, size=size, workers=workers, held_out=held_out,
        progress=lambda items: track(items, total=count),
    )  # fmt: skip
    print(f"{out}: {count} samples")


@app.command
def begin(out: Folder, segmentation: Folder) -> None:
    """Write a checkpoint to start from, out of one of `head_segmentation`."""
    kept = torch.load(segmentation, map_location="cpu", weights_only=True)
    network = begun_from_segmentation(kept["network"])
    torch.save(
        {"network": network.state_dict(), "variant": "light", "step": 0, "seconds": 0.0}, out
    )
    print(f"{out}: begins with {kept['step']} steps of head_segmentation")


if __name__ == "__main__":
    try:
        app.cli(prog="python -m training.pix2vertex", description=__doc__)
    except UserError as error:
        sys.exit(f"{error}")
