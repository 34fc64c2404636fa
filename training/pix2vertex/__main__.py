"""Prepare, judge and use the networks of pix2vertex: `python -m training.pix2vertex --help`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
import tyro
from rich.progress import track

from stream.errors import UserError
from training.experiments.pix2vertex import Pix2Vertex
from training.learn.loop import load
from training.learn.prepared import open_set
from training.pix2vertex import sets
from training.pix2vertex.evaluate import compare
from training.pix2vertex.nets import begun_from_segmentation
from training.pix2vertex.translate import (
    TranslationConfig,
    judged_change,
    real_faces,
    synthetic_faces,
    train_translation,
    translation_sheet,
)

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


@app.command
def depth(
    *, heads: Literal["ict", "synthetic-val"] = "ict", data: Path = _DATA, count: int = 40,
    seed: int = 5,
) -> None:  # fmt: skip
    """Measure the depth of the shipped network beside that of the fit; print JSON."""
    print(json.dumps(compare(heads, data, count, seed), indent=1))


@app.command
def translate(
    network: Folder, clips: tyro.conf.Positional[tuple[Path, ...]], *, data: Path,
    validation: Path, sheet: Path, steps: int = 400,
) -> None:  # fmt: skip
    """Make synthetic faces look real with and without the geometric constraint (§5.3)."""
    trained, _ = load(Pix2Vertex(), network)
    people, held_out, real = open_set(data), open_set(validation), real_faces(clips)
    rows = np.linspace(0, held_out.count - 1, 40).astype(int).tolist()
    shown = synthetic_faces(held_out, rows, None)
    results = []
    for geometry in (TranslationConfig().geometry, 0.0):
        config = TranslationConfig(steps=steps, geometry=geometry)
        results.append(train_translation(trained, people, real, config))
        print(json.dumps({"weight": geometry, **judged_change(results[-1], shown)}))
    picture = translation_sheet(shown[::4], results)
    cv2.imwrite(str(sheet), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    try:
        app.cli(prog="python -m training.pix2vertex", description=__doc__)
    except UserError as error:
        sys.exit(f"{error}")
