"""DepthNets at the command line: `python -m training depthnets --help`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from engines.spec import WEIGHTS
from stream.demo import CLIP
from stream.errors import UserError
from training.depthnets.evaluate import measure_shipped
from training.depthnets.export import export as export_network
from training.depthnets.ict import ict_heads
from training.depthnets.keypoints import KeypointSet  # noqa: TC001
from training.depthnets.loaders import LOADERS
from training.depthnets.models import MODELS
from training.depthnets.orders import orders
from training.depthnets.pictures import figure_2, figure_3
from training.depthnets.rotation import figure_1
from training.depthnets.swap_figures import figure_4, figure_5
from training.depthnets.swap_report import as_table, compare
from training.depthnets.tables import Bench, Table, table_1, table_2, table_3
from training.depthnets.train import TrainConfig, train_aign, train_depthnet
from training.depthnets.warp import warp_files

Out = tyro.conf.Positional[Path]
Kind = Literal["synthetic", "clips", "text", "vgg-face", "3dfaw", "multi-pie"]
_COMMANDS = ("train", "table", "figure", "export", "evaluate", "warp", "swaps", "orders")
_TABLE_POINTS = {1: 68, 2: 66, 3: 66}
_LARGE = 160  # side of the pictures in figure 3
app = tyro.extras.SubcommandApp()


@dataclass(frozen=True, slots=True)
class FaceSource:
    """Where faces come from.

    Attributes:
        data: folder of the training faces.
        validation: folder of other people's faces, for measuring; in the layout of `data`.
        layout: of the folders; see docs/papers/depthnets.md.
        points: how many keypoints to use, of those that the faces have.
        pictures: side of the crops that models 4, 6 and 8 see.
    """

    data: Path = Path("sets/train")
    validation: Path | None = None
    layout: Kind = "synthetic"
    points: int | None = None
    pictures: int = 40

    def load(self, folder: Path, pictures: int = 0) -> KeypointSet:
        """Read the faces of a folder, with crops of a size where it is not 0."""
        if not folder.is_dir():
            raise UserError(f"no faces in {folder}", "there is no such folder", "Name another.")
        faces = LOADERS[self.layout](folder, pictures)
        return faces.with_points(self.points or faces.size)

    def held_out(self, pictures: int) -> KeypointSet | None:
        """Read the faces for measuring, where there are any."""
        return None if self.validation is None else self.load(self.validation, pictures)

    def others(self) -> Path:
        """Return the folder of faces for measuring.

        Raises:
            UserError: if none was named.
        """
        if self.validation is None:
            raise UserError(
                "there is nothing to measure on", "--validation is absent", "Name a folder."
            )
        return self.validation


Faces = Annotated[FaceSource, tyro.conf.arg(name="")]
How = Annotated[TrainConfig, tyro.conf.arg(name="")]


@app.command
def train(
    *,
    model: Literal[1, 2, 3, 4, 5, 6, 7, 8] = 7,
    aign: bool = False,
    out: Path = Path("depthnets"),
    faces: Faces,
    config: How,
) -> None:
    """Train a model of Table 1 on pairs of faces; its number is enough to begin with.

    Args:
        model: row of Table 1; 1 and 2 are only measured, 5 and 6 train as 3 and 4, 7 with --judge
            is DepthNet+GAN.
        aign: train the comparator AIGN instead.
        out: folder of the checkpoint.
        faces: where the faces come from.
        config: how to train.
    """
    pictures = faces.pictures if MODELS[model].pictures and not aign else 0
    known = faces.load(faces.data, pictures)
    if not MODELS[model].learned_by and not aign:  # a closed form: nothing to train, so measure it
        print(table_1(Bench(known, faces.held_out(0) or known, out, config), (model,)).text)
        return
    path = (
        train_aign(known, config, out)
        if aign
        else train_depthnet(model, known, faces.held_out(pictures), config, out)
    )
    print(path)


def _bench(
    faces: FaceSource, config: TrainConfig, out: Path, number: int, pictures: int = 0
) -> Bench:
    faces = replace(faces, points=faces.points or _TABLE_POINTS[number])
    pairs: Literal["same", "different"] = "same" if number == 1 else "different"
    return Bench(
        faces.load(faces.data, pictures), faces.load(faces.others(), pictures), out / pairs,
        replace(config, pairs=pairs),
    )  # fmt: skip


@app.command
def table(
    number: tyro.conf.Positional[Literal[1, 2, 3]],
    *,
    models: tuple[int, ...] = (),
    out: Path = Path("depthnets"),
    faces: Faces,
    config: How,
) -> None:
    """Print Table 1, 2 or 3 beside the paper's figures; networks that are missing are trained.

    Args:
        number: of the table.
        models: rows of Table 1; all unless given.
        out: folder of checkpoints and tables.
        faces: where the faces come from.
        config: how to train what is missing.
    """
    rows = models or tuple(MODELS)
    seen = number == 1 and any(MODELS[row].pictures for row in rows)
    bench = _bench(faces, config, out, number, faces.pictures if seen else 0)
    made = table_1(bench, rows) if number == 1 else {2: table_2, 3: table_3}[number](bench)
    _keep(made, out / f"table{number}")
    print(made.text)


def _keep(made: Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".md").write_text(made.text + "\n")
    path.with_suffix(".json").write_text(json.dumps(made.figures, indent=1) + "\n")


@app.command
def figure(
    number: tyro.conf.Positional[Literal[1, 2, 3, 4, 5]],
    picture: Out,
    *,
    sources: tuple[Path, ...] = (),
    clip: Path = CLIP,
    out: Path = Path("depthnets"),
    faces: Faces,
    config: How,
) -> None:
    """Draw Figure 1 (right), 2 (depth heat maps), 3 (coloured depths), 4 (background) or 5 (swaps).

    Figures 2 and 3 are drawn with the networks of Table 3, the others with those that ship.

    Args:
        number: of the figure.
        picture: the file to write.
        sources: pictures with a face each, for figures 1 and 5.
        clip: video, for figure 5; the one that comes with voltface unless given.
        out: folder of the checkpoints.
        faces: where the faces come from.
        config: how to train what is missing.
    """
    if number == 1:
        figure_1(sources, LOADERS[faces.layout](faces.others(), _LARGE), picture)
    elif number == 4:
        figure_4(faces.others(), picture)
    elif number == 5:
        figure_5(sources, clip, picture)
    elif number == 2:
        figure_2(_bench(faces, config, out, 3), picture)
    else:
        large = faces.load(faces.others(), _LARGE)
        figure_3(_bench(faces, config, out, 3), large, picture)
    print(picture)


@app.command
def export(
    checkpoint: Out, *, out: Path = Path("engines/weights/keypoint_depth.onnx")
) -> None:  # fmt: skip
    """Write a network that was trained with --points 478 --single as the file that ships."""
    print(json.dumps(export_network(checkpoint, out)))


@app.command
def evaluate(
    *,
    validation: Path,
    data: Path = Path("../shared/data"),
    weights: Path = WEIGHTS,
) -> None:
    """Measure the shipped network on synthetic people held out and on ICT heads; print JSON.

    Args:
        validation: prepared set of synthetic people.
        data: the data folder, for the ICT heads.
        weights: folder of the network file.
    """
    faces = (LOADERS["synthetic"](validation, 0), ict_heads(data))
    print(json.dumps({f.name: measure_shipped(f, weights) for f in faces}, indent=1))


@app.command
def warp(
    out: Out,
    *,
    source: Path,
    keypoints: Path,
    depth: Path,
    affine: Path,
    triangles: Path | None = None,
    nearest: bool = False,
) -> None:
    """Warp a face by the paper's files: picture, keypoints, depths and a 2×4 affine.

    Args:
        out: PNG to write, as large as the source.
        source: the picture.
        keypoints: rows of x and y in pixels.
        depth: one number a keypoint.
        affine: two rows of four numbers.
        triangles: rows of three keypoint numbers from 0; our own mesh unless given.
        nearest: of triangles that lie over each other the nearest shows (smaller depth is
            nearer); else the later in the list, as in the paper's warper.
    """
    warp_files(source, keypoints, depth, affine, out, triangles, nearest=nearest)


@app.command(name="orders")
def orders_of_table_1(*, out: Path = Path("depthnets"), faces: Faces, config: How) -> None:
    """Say whether models with pictures differ from those without, and whether they look at them.

    Args:
        out: folder of the checkpoints of Table 1.
        faces: where the faces come from.
        config: how to train what is missing.
    """
    for name, difference in orders(_bench(faces, config, out, 1, faces.pictures)).items():
        print(f"{name}: {difference}")


@app.command
def swaps(
    clips: tyro.conf.Positional[tuple[Path, ...]],
    *,
    source: Path,
    sheet: Path | None = None,
    frames: int = 60,
) -> None:
    """Swap the faces of clips with and without the network `repair`; print what differs.

    Args:
        clips: videos.
        source: picture of the face that is put on.
        sheet: picture to write.
        frames: of each clip.
    """
    print(as_table(compare(source, clips, sheet, frames)))


def run(arguments: list[str]) -> None:
    """Run the command line; without a command, `train` is meant."""
    if not arguments or (arguments[0] not in _COMMANDS and arguments[0] not in ("-h", "--help")):
        arguments = ["train", *arguments]
    app.cli(prog="python -m training depthnets", description=__doc__, args=arguments)
