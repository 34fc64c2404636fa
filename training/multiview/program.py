"""Multi-view supervision at the command line: `python -m training multiview --help`."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from rich.progress import track

from engines.spec import WEIGHTS
from stream.errors import UserError
from training.experiments.face_depth import FaceDepthTraining, pair_terms
from training.learn.experiment import Config  # noqa: TC001  the command line reads it
from training.learn.loop import collated, load
from training.learn.loop import train as train_network
from training.learn.prepared import PreparedSet, open_set
from training.multiview.evaluate import compare, ict_heads, synthetic_people, table
from training.multiview.face_set import known_people, known_scans, prepare_faces
from training.multiview.model_net import ModelNetConfig, load_model_net, train_model_net
from training.multiview.multi_pie import multi_pie_pairs
from training.multiview.nets import DepthAndSuitability, LightDepthNet
from training.multiview.plane import train_plane
from training.multiview.rendered import render_models
from training.multiview.scans import IctScans
from training.multiview.views import filmed_pairs, save_pairs, synthetic_pairs

Out = tyro.conf.Positional[Path]
_DATA = Path("../shared/data")
_HELD_OUT_PAIRS = 40
app = tyro.extras.SubcommandApp()


@app.command
def faces(
    out: Out, *, people: Path | None = None, scans: int = 0, every: int = 1, seed: int = 31,
    data: Path = _DATA, held_out: bool = False,
) -> None:  # fmt: skip
    """Make a set of face crops: synthetic people, rendered ICT heads, and the fit of each.

    Args:
        out: folder of the set.
        people: set of synthetic people (`python -m training prepare`).
        scans: how many ICT heads to render.
        every: every n-th of the people is taken.
        seed: of the scans.
        data: the data folder.
        held_out: noted in the set: people that training never sees.
    """
    source = None if people is None else open_set(people)
    rows = range(0, 0 if source is None else source.count, every)
    drawn = []
    if scans:
        with IctScans(data) as renderer:
            drawn = list(known_scans(renderer, scans, seed))
    pictures = chain([] if source is None else known_people(source, rows), drawn)
    total = len(rows) + len(drawn)
    made = prepare_faces(
        pictures, out, total, seed=seed, held_out=held_out,
        progress=lambda items: track(items, total=total),
    )  # fmt: skip
    print(f"{out}: {made.count} faces in {total} pictures")


@app.command
def pairs(
    folder: Out, *, synthetic: int = 0, clips: tuple[Path, ...] = (),
    multi_pie: Path | None = None, seed: int = 307, data: Path = _DATA,
) -> None:  # fmt: skip
    """Add pairs of views of one head to a set of face crops.

    Args:
        folder: the set.
        synthetic: how many heads to draw.
        clips: videos, or folders of them.
        multi_pie: folder in Multi-PIE's layout.
        seed: of the heads.
        data: the data folder.
    """
    sources = [synthetic_pairs(data, synthetic, seed), filmed_pairs(clips)]
    if multi_pie is not None:
        sources.append(multi_pie_pairs(multi_pie))
    print(f"{folder}: {save_pairs(chain(*sources), folder, track)} pairs")


@app.command
def models(
    data: Out, *, out: Path = Path("model_net"), validation: Path | None = None,
    config: Annotated[ModelNetConfig, tyro.conf.arg(name="")],
) -> None:  # fmt: skip
    """Train 3DMMNet on the pairs of a set: the first stage (eqs. 3 to 6)."""
    held_out = None if validation is None else open_set(validation)
    print(train_model_net(open_set(data), config, out, held_out))


@app.command
def render(data: Out, checkpoint: Out, out: Out) -> None:
    """Make a set whose D_S and V of pairs are 3DMMNet's, which stays fixed from here on."""
    made = render_models(open_set(data), data, out, load_model_net(checkpoint))
    print(f"{out}: {len(made.pairs['pixels'])} pairs")


@app.command
def plane(data: Out, checkpoint: Out, out: Out, *, seed: int = 0) -> None:
    """Train plane and gain of the light DepthNet alone, on features of its U-Net, in minutes."""
    kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network, _ = load(FaceDepthTraining(), checkpoint)
    if not isinstance(network, DepthAndSuitability) or not isinstance(network.depth, LightDepthNet):
        raise UserError("this network has no plane", "it is the paper's", "Train --variant light.")
    print(json.dumps(train_plane(network.depth, open_set(data), seed)))
    facts = {name: kept[name] for name in ("variant", "step", "seconds")}
    torch.save({"network": network.state_dict()} | facts, out)


@app.command
def ablation(
    start: Out, *, config: Annotated[Config, tyro.conf.arg(name="")],
    scans: Path | None = None,
) -> None:  # fmt: skip
    """Train on from one checkpoint with all pairs, synthetic pairs, and no pairs (§V-C).

    Args:
        start: checkpoint of `face_depth`.
        config: of each of the three; `--validation` is measured as well as the scans.
        scans: a set of scans to measure on.
    """
    out = config.out or config.data.parent / "ablation"
    rows = {}
    for kind in ("none", "synthetic", "all"):
        path = train_network(FaceDepthTraining(kind), replace(config, start=start, out=out / kind))
        rows[kind] = measured(path, config, scans)
        print(kind, json.dumps(rows[kind]), flush=True)
    rows["start"] = measured(start, config, scans)
    (out / "ablation.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


def measured(checkpoint: Path, config: Config, scans: Path | None) -> dict[str, float]:
    """Return a checkpoint's errors, and how alike real pairs are through its depth."""
    network, _ = load(FaceDepthTraining(), checkpoint)
    result = {}
    for name, folder in (("people", config.validation), ("scans", scans)):
        if folder is not None:
            errors = FaceDepthTraining().evaluate(network, open_set(folder), 200)
            result[f"{name}_percent"] = errors["error_percent"]
    return result | {"real_photo": photo_error(network, open_set(config.data))}


def photo_error(network: torch.nn.Module, data: PreparedSet) -> float:
    """Return the mean of eq. 12 over some real pairs, 0…1; the pairs are cut the same always."""
    real = np.flatnonzero(np.asarray(data.pairs["real"])) if data.pairs else np.zeros(0, int)
    if len(real) == 0:
        return float("nan")
    experiment, values = FaceDepthTraining(), []
    for row in real[np.linspace(0, len(real) - 1, min(_HELD_OUT_PAIRS, len(real))).astype(int)]:
        batch = collated([experiment.pair(data, int(row), np.random.default_rng(int(row)))])
        with torch.no_grad():
            values.append(float(pair_terms(network, batch, weighed=False)["photo"]))
    return float(np.mean(values))


@app.command
def evaluate(
    *, data: Path = _DATA, people: Path | None = None, count: int = 100, weights: Path = WEIGHTS
) -> None:
    """Print Table I on rendered ICT heads, and on held-out synthetic people.

    Args:
        data: the data folder.
        people: set of synthetic people, held out.
        count: pictures of each.
        weights: folder of the network files.
    """
    sources = {"ICT heads, rendered": ict_heads(data, count)}
    if people is not None:
        sources["synthetic people, held out"] = synthetic_people(open_set(people), count)
    for name, pictures in sources.items():
        figures, found = compare(pictures, weights)
        print(f"{name}: a face was found in {found} of {len(pictures)} pictures")
        print(table(figures, "error of the face, % of its depth range") + "\n")


def run(arguments: list[str]) -> None:
    """Run the command line.

    Raises:
        UserError: when no command is named.
    """
    if not arguments:
        raise UserError(
            "no command", "multiview has several", "python -m training multiview --help"
        )
    app.cli(prog="python -m training multiview", description=__doc__, args=arguments)
