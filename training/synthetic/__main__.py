"""Synthetic people: `python -m training.synthetic COMMAND --help`."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro
from rich.progress import track

from stream.errors import UserError
from training.synthetic import shards
from training.synthetic.chart import chart as draw_chart
from training.synthetic.dataset import Synthesiser, stream
from training.synthetic.expression_sheet import expression_sheet
from training.synthetic.inspect import detector_check, processor_seconds, truth_strip

VALIDATION_SEED, VALIDATION_COUNT = 20_261_121, 2000
app = tyro.extras.SubcommandApp()
DataDir = Annotated[Path, tyro.conf.arg(metavar="FOLDER", help="Data folder.")]
Out = tyro.conf.Positional[Path]
_DATA = Path("../shared/data")


def _save(out: Path, pixels: np.ndarray) -> None:
    """Write a picture; JPEG small enough for a page."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, 80]
    if not cv2.imwrite(str(out), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality):
        raise UserError(f"cannot write {out}", "its folder is absent", "Give another name.")


@app.command
def sheet(
    out: Out, *, data: DataDir = _DATA, count: int = 100, seed: int = 1, size: int = 256,
    truth: bool = False, held_out: bool = False,
) -> None:  # fmt: skip
    """Draw a contact sheet: COUNT people, or a few with all that is known of them (--truth)."""
    items = stream(data, seed, count, size=size, workers=2, held_out=held_out, every=4)
    tiles = [
        truth_strip(arrays) if truth else arrays["pixels"]
        for _, arrays, _ in track(items, total=count)
    ]
    columns = 1 if truth else max(1, round(np.sqrt(len(tiles))))
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    _save(out, np.vstack(rows))
    print(f"{out}: {count} people")


@app.command
def tuples(out: Out, *, data: DataDir = _DATA, count: int = 8, seed: int = 1) -> None:
    """Draw a contact sheet of heads that turn: five views of each."""
    with Synthesiser(data) as synthesiser:
        rows = [
            np.hstack([view.pixels for view in synthesiser.tuple(seed, index, 5)])
            for index in track(range(count))
        ]
    _save(out, np.vstack(rows))
    print(f"{out}: {count} tuples")


@app.command
def expressions(
    out: Out, *, data: DataDir = _DATA, size: int = 256, seed: int = 4, yaw: float = 0.0
) -> None:
    """Draw nine expressions of a MakeHuman shape and, below it, of a scanned one."""
    _save(out, expression_sheet(data, size, seed, yaw))
    print(f"{out}: nine expressions")


@app.command
def write(
    out: Out, *, data: DataDir = _DATA, count: int = VALIDATION_COUNT,
    seed: int = VALIDATION_SEED, size: int = 256, workers: int = 2, held_out: bool = False,
) -> None:  # fmt: skip
    """Write a set as WebDataset shards; --held-out with its defaults makes `synthetic-val`."""
    items = stream(data, seed, count, size=size, workers=workers, held_out=held_out)
    recipe = {"seed": seed, "size": size, "held_out": held_out}
    paths = shards.write(track(items, total=count), out, recipe)
    print(f"{out}: {count} samples in {len(paths)} shards")


@app.command
def statistics(
    *, data: DataDir = _DATA, count: int = 1000, seed: int = 1, held_out: bool = False,
    chart: Path | None = None,
) -> None:  # fmt: skip
    """Print how poses, tones, ages, hair and things are distributed; CHART draws it."""
    items = stream(data, seed, count, size=64, workers=2, held_out=held_out)
    facts = [fact for _, _, fact in track(items, total=count)]
    for name in facts[0]:
        values = [fact[name] for fact in facts]
        if isinstance(values[0], str):
            shares = {key: n / len(values) for key, n in Counter(map(str, values)).most_common(14)}
            print(f"{name:12s} " + ", ".join(f"{k} {v:.0%}" for k, v in shares.items()))
        else:
            quantiles = np.quantile(np.array(values, float), [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
            print(f"{name:12s} " + " ".join(f"{q:8.2f}" for q in quantiles))
    if chart is not None:
        _save(chart, draw_chart(facts))


@app.command
def detector(*, data: DataDir = _DATA, count: int = 400, seed: int = 5) -> None:
    """Count the faces that MediaPipe finds, by how far heads are turned."""
    print(json.dumps(detector_check(data, count, seed), indent=1))


@app.command
def speed(*, data: DataDir = _DATA, count: int = 200, workers: int = 2, size: int = 256) -> None:
    """Measure pictures a second, with all truth, after the workers have started.

    The processor time a picture takes is told too, since it says what a machine that is busy
    with other things could do.
    """
    started = before = after = 0.0
    warm = 4 * max(workers, 1)
    for done, _ in enumerate(stream(data, 3, count + warm, size=size, workers=workers)):
        if done == warm - 1:
            started, before = time.perf_counter(), processor_seconds()
        after = processor_seconds() if done == count + warm - 1 else after
    rate = count / (time.perf_counter() - started)
    print(f"{rate:.1f} pictures a second, {workers} workers")
    if after > before:
        print(f"{1e3 * (after - before) / count:.0f} ms of processor time a picture")


if __name__ == "__main__":
    try:
        app.cli(prog="python -m training.synthetic", description=__doc__)
    except UserError as error:
        sys.exit(f"{error}")
