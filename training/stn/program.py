"""3DMM-STN at the command line: `python -m training stn --help`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
import tyro

from stream.errors import UserError
from training.stn.faces import Faces, from_clips, from_people, joined
from training.stn.figures import figure_6, figure_7, figure_8, mean_texture
from training.stn.train import StnConfig, landmark_error, load
from training.stn.train import train as train_network

Out = tyro.conf.Positional[Path]
How = Annotated[StnConfig, tyro.conf.arg(name="")]
_COMMANDS = ("train", "evaluate", "figure")
app = tyro.extras.SubcommandApp()


@dataclass(frozen=True, slots=True)
class FaceFolders:
    """Where pictures of faces come from.

    Attributes:
        data: sets of synthetic people (`python -m training prepare`).
        clips: videos, or folders of them, tracked by the live path.
        people_every: every n-th of the synthetic people is taken.
        frame_every: every n-th frame of a clip is taken.
    """

    data: tuple[Path, ...] = ()
    clips: tuple[Path, ...] = ()
    people_every: int = 1
    frame_every: int = 3

    def load(self) -> Faces:
        """Read them all.

        Raises:
            UserError: if there is none.
        """
        parts = [from_people(folder, self.people_every) for folder in self.data]
        if self.clips:
            parts.append(from_clips(self.clips, self.frame_every))
        if not sum(part.count for part in parts):
            raise UserError(
                "there are no faces", "neither --data nor --clips hold any", "Name some."
            )
        return joined(parts)


Sources = Annotated[FaceFolders, tyro.conf.arg(name="")]


@app.command
def train(
    *, out: Path = Path("stn"), faces: Sources, validation: Path | None = None, config: How
) -> None:
    """Train 3DMM-STN from landmarks alone.

    Args:
        out: folder of the checkpoint.
        faces: where pictures come from.
        validation: a set of synthetic people to measure on.
        config: how.
    """
    held_out = None if validation is None else from_people(validation, 5)
    print(train_network(faces.load(), config, out, held_out))


@app.command
def evaluate(checkpoint: Out, *, faces: Sources) -> None:
    """Print the landmark error and how steady the textures of each person are, as JSON."""
    network, found = load(checkpoint), faces.load()
    spreads = [mean_texture(network, found, int(one))[1] for one in np.unique(found.person)]
    result = landmark_error(network, found) | {"texture_spread": float(np.nanmean(spreads))}
    print(json.dumps(result, indent=1))


@app.command
def figure(
    number: tyro.conf.Positional[Literal[6, 7, 8]], checkpoint: Out, picture: Out, *,
    faces: Sources, person: int = 0, count: int = 8,
) -> None:  # fmt: skip
    """Draw Figure 6 (parts of the pipeline), 7 (one person's textures) or 8 (mean textures).

    Args:
        number: of the figure.
        checkpoint: the trained network.
        picture: the file to write.
        faces: where pictures come from.
        person: whose textures, in figure 7.
        count: how many pictures, or people in figure 8.
    """
    network, found = load(checkpoint), faces.load()
    if number == 6:
        drawn = figure_6(
            network, found, np.linspace(0, found.count - 1, count).astype(int).tolist()
        )
    elif number == 7:
        drawn = figure_7(network, found, person, count)
    else:
        drawn = figure_8(network, found, np.unique(found.person)[:count].tolist())
    if not cv2.imwrite(str(picture), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)):
        raise UserError(f"cannot write {picture}", "its folder is absent", "Give another name.")
    print(picture)


def run(arguments: list[str]) -> None:
    """Run the command line; without a command, `train` is meant."""
    if not arguments or (arguments[0] not in _COMMANDS and arguments[0] not in ("-h", "--help")):
        arguments = ["train", *arguments]
    app.cli(prog="python -m training stn", description=__doc__, args=arguments)
