"""What `face_3dmm` learns from beside a prepared set: true skins, and which skin shows.

    python -m training.learn.face_fields SET OUT [--data FOLDER]

OUT becomes a set of its own: the fields of SET are linked into it, and two are added,
`texture` (count, 40) float32, coefficients of the skin model (training.face_texture), and
`face_seen` (count, F) bool, whether each of the triangles of `face_triangles` can be seen in the
picture: turned to the camera, with nothing before it, where the labels say face.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tyro
from rich.progress import track

from stream.face_3dmm import load_skin_model
from stream.geometry import project, transform_points
from stream.head_model import HeadModel, load_head_model
from stream.swap.likeness import TRIANGLES, skin_triangles
from training.face_texture import PaintedSkins, projected, weights_of
from training.learn.prepared import DEPTH_UNIT_MM, PreparedSet, open_set
from training.synthetic.dataset import VIEWS_PER_PERSON
from training.synthetic.scene import Label

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXTURE, SEEN = "texture", "face_seen"
FACE_TRIANGLES = TRIANGLES
_LEAST_FACING = 0.25
_DEPTH_SLACK = 5.0 / DEPTH_UNIT_MM


@lru_cache(maxsize=1)
def face_triangles() -> np.ndarray:
    """Return (F, 3) triangles of bare face skin, spread evenly over the face by area."""
    return skin_triangles(load_head_model())


def add_face_fields(data: PreparedSet, folder: Path, data_dir: Path) -> None:
    """Make the fields `texture` and `face_seen` of a prepared set.

    Args:
        data: the set; its recipe says which people it shows.
        folder: where the arrays go.
        data_dir: the data folder, for the skins.
    """
    np.save(folder / f"{TEXTURE}.npy", textures(data, data_dir))
    model, triangles = load_head_model(), face_triangles()
    seen = np.zeros((data.count, len(triangles)), bool)
    for index in track(range(data.count), description="which skin shows"):
        seen[index] = seen_triangles(data, index, model, triangles)
    np.save(folder / f"{SEEN}.npy", seen)


def textures(data: PreparedSet, data_dir: Path) -> np.ndarray:
    """Return (count, 40) float32 skin coefficients of the people that a set shows."""
    seed, held_out = int(data.recipe["seed"]), bool(data.recipe["held_out"])
    skins, skin, weight = PaintedSkins(data_dir), load_skin_model(), _weights()
    people: Iterable[int] = range(-(-data.count // VIEWS_PER_PERSON))
    rows = [
        projected(skin, skins.albedo(skins.person(seed, number, held_out)), weight)
        for number in track(people, description="skins")
    ]
    return np.repeat(np.stack(rows), VIEWS_PER_PERSON, axis=0)[: data.count].astype(np.float32)


def seen_triangles(
    data: PreparedSet, index: int, model: HeadModel, triangles: np.ndarray
) -> np.ndarray:
    """Return (F,) bool, whether each triangle of the head model shows in a picture."""
    pose = data["camera_from_head"][index].astype(np.float64)
    shape = model.shape(data["identity"][index], data["expression"][index])
    corners = transform_points(pose, shape.astype(np.float64))[triangles]
    centre = corners.mean(axis=1)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1) * np.linalg.norm(centre, axis=1)
    facing = -(normal * centre).sum(axis=1) / np.maximum(length, 1e-9)
    column, row = np.floor(project(centre, data["intrinsics"][index].astype(np.float64))).T
    inside = (column >= 0) & (column < data.size) & (row >= 0) & (row < data.size)
    column, row = (np.clip(x, 0, data.size - 1).astype(int) for x in (column, row))
    face = data["labels"][index][row, column] == Label.FACE
    depth = data["depth"][index][row, column].astype(np.float64)
    hidden = (centre[:, 2] - pose[2, 3]) / DEPTH_UNIT_MM > depth + _DEPTH_SLACK
    return inside & face & ~hidden & (facing > _LEAST_FACING)


def _weights() -> np.ndarray:
    return weights_of(load_head_model().labels)


def main(
    source: tyro.conf.Positional[Path], out: tyro.conf.Positional[Path], *,
    data: Path = Path("../shared/data"),
) -> None:  # fmt: skip
    """Link a prepared set into a new folder and add what `face_3dmm` needs."""
    out.mkdir(parents=True, exist_ok=True)
    for path in [*source.glob("*.npy"), source / "set.json"]:
        link = out / path.name
        if not link.exists() and path.stem not in (TEXTURE, SEEN):
            link.symlink_to(path.resolve())
    add_face_fields(open_set(out), out, data)


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.learn.face_fields", description=__doc__)
