"""Train the networks: `python -m training --help`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.progress import track

from stream.errors import UserError
from training.export import export as export_network
from training.learn.experiment import Config
from training.learn.fitted import add_fitted_depth
from training.learn.loop import average_checkpoints, load
from training.learn.loop import train as train_network
from training.learn.prepared import join as join_sets
from training.learn.prepared import open_set
from training.learn.prepared import prepare as prepare_set
from training.learn.view_pairs import prepare_pairs

if TYPE_CHECKING:
    from training.learn.experiment import Experiment

NETWORKS = {
    "head_segmentation": "HeadSegmentation",
    "hair_depth": "HairDepthTraining",
    "face_3dmm": "Face3dmm",
    "refine": "Refine",
    "face_depth": "FaceDepthTraining",
    "repair": "Repair",
    "pix2vertex": "Pix2Vertex",
}
_PROGRAMS = ("depthnets", "multiview", "stn")  # these have commands of their own
Out = tyro.conf.Positional[Path]
_DATA = Path("../shared/data")
app = tyro.extras.SubcommandApp()


def experiment_of(name: str) -> Experiment:
    """Find the experiment of a network.

    Raises:
        UserError: when there is no such network.
    """
    if name not in NETWORKS:
        raise UserError(
            f"there is no network {name}",
            "the name is not known",
            f"Use one of: {', '.join(NETWORKS)}",
        )
    return getattr(import_module(f"training.experiments.{name}"), NETWORKS[name])()


@app.command
def prepare(
    out: Out, *, data: Path = _DATA, count: int = 16_000, seed: int = 7, size: int = 256,
    workers: int = 2, held_out: bool = False,
) -> None:  # fmt: skip
    """Draw synthetic people once, as arrays that training reads at random."""
    prepare_set(
        data, out, count, seed=seed, size=size, workers=workers, held_out=held_out,
        progress=lambda items: track(items, total=count),
    )  # fmt: skip
    add_fitted_depth(open_set(out), out, lambda items: track(items, description="fitted"))
    print(f"{out}: {count} samples")


@app.command
def join(out: Out, folders: tyro.conf.Positional[tuple[Path, ...]]) -> None:
    """Make one set of several prepared ones, which stay where they are."""
    print(f"{out}: {join_sets(out, folders).count} samples")


@app.command
def pairs(
    folder: Out, *, data: Path = _DATA, count: int = 1500, seed: int = 107,
    clips: tuple[Path, ...] = (),
) -> None:  # fmt: skip
    """Add pairs of views of one head to a prepared set: synthetic ones, and frames of clips."""
    size = open_set(folder).size
    made = prepare_pairs(data, folder, count, seed=seed, size=size, clips=clips, progress=track)
    print(f"{folder}: {made} pairs")


@app.command
def train(
    name: tyro.conf.Positional[str], config: Annotated[Config, tyro.conf.arg(name="")]
) -> None:
    """Train a network on a prepared set; on several GPUs through torchrun."""
    print(train_network(experiment_of(name), config))


@app.command
def evaluate(
    name: tyro.conf.Positional[str], checkpoint: tyro.conf.Positional[Path], *, data: Path,
    count: int = 1000, sheet: Path | None = None,
) -> None:  # fmt: skip
    """Measure a trained network on a prepared set; print JSON."""
    experiment = experiment_of(name)
    network, facts = load(experiment, checkpoint)
    held_out = open_set(data)
    print(json.dumps(facts | experiment.evaluate(network, held_out, count), indent=1))
    if sheet is not None:
        experiment.sheet(network, held_out, sheet)


@app.command
def export(
    name: tyro.conf.Positional[str], checkpoint: tyro.conf.Positional[Path], *,
    out: Path = Path("engines/weights"),
) -> None:  # fmt: skip
    """Write a trained network as the ONNX file that ships."""
    print(json.dumps(export_network(experiment_of(name), checkpoint, out / f"{name}.onnx")))


@app.command
def average(out: Out, checkpoints: tyro.conf.Positional[tuple[Path, ...]]) -> None:
    """Average the weights of checkpoints of one training: steadier on pictures of another kind."""
    average_checkpoints(checkpoints, out)
    print(out)


@app.command
def config() -> None:
    """Print the settings of training and their defaults as JSON."""
    print(json.dumps(asdict(Config(Path("prepared"))), indent=1, default=str))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments and arguments[0] in NETWORKS:  # python -m training NAME …
        arguments.insert(0, "train")
    try:
        if arguments and arguments[0] in _PROGRAMS:
            import_module(f"training.{arguments[0]}.program").run(arguments[1:])
            sys.exit()
        if arguments[:2] == ["evaluate", "reconstruction"]:
            import_module("training.evaluate_reconstruction.program").run(arguments[2:])
            sys.exit()
        app.cli(prog="python -m training", description=__doc__, args=arguments)
    except UserError as error:
        sys.exit(f"{error}")
