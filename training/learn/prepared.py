"""Synthetic samples as memory-mapped arrays: read at random, by any number of workers, at once.

Drawing takes longer than a small network takes to learn from a picture, so that a set is drawn
once and then shown many times with random crops, mirroring and colours. Shards
(training.synthetic.shards) are for keeping and passing on; this is for training.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stream.errors import UserError
from training.learn.joined import PARTS, joined_fields, write_joined
from training.synthetic.dataset import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from training.learn.joined import JoinedArray

    Rows = np.ndarray | JoinedArray

DEPTH_UNIT_MM = 100.0  # depths are kept relative to the head's centre, in these units
NOWHERE = np.float16(np.inf)  # depth of what is not there
PAIRS = "pairs"  # folder within a set for pairs of views
_SUMMARY = "set.json"
Fields = dict[str, tuple[tuple[int | str, ...], str]]  # by name: shape, "S" is the side; type
_FIELDS: Fields = {
    "pixels": (("S", "S", 3), "uint8"),
    "labels": (("S", "S"), "uint8"),
    "hair_alpha": (("S", "S"), "uint8"),
    "alpha": (("S", "S"), "uint8"),
    "depth": (("S", "S"), "float16"),
    "face_depth": (("S", "S"), "float16"),
    "points478": ((478, 3), "float32"),
    "visible478": ((478,), "bool"),
    "identity": ((80,), "float32"),
    "expression": ((52,), "float32"),
    "camera_from_head": ((4, 4), "float32"),
    "intrinsics": ((3, 3), "float32"),
    "sky": ((9, 3), "float32"),
}


@dataclass(frozen=True)
class PreparedSet:
    """A set that was prepared; fields are memory maps by name.

    Attributes:
        count: samples.
        size: side of the pictures.
        recipe: seed and the like.
        fields: (count, …) arrays; see `_FIELDS`. Depths are relative to the head's centre, in
            units of 100 mm, infinite where nothing is.
        pairs: (count, 2, …) arrays of pairs of views by name, where the set has any; see
            `learn.view_pairs`.
    """

    count: int
    size: int
    recipe: dict
    fields: Mapping[str, Rows]
    pairs: Mapping[str, Rows] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Rows:
        return self.fields[name]


def reduced(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Keep of `dataset.arrays_of` what the live networks learn from, depths relative."""
    centre = float(arrays["camera_from_head"][2, 3])
    kept = {name: arrays[name] for name in _FIELDS if name in arrays}
    for name, source in (("depth", "depth_mm"), ("face_depth", "face_depth_mm")):
        relative = (arrays[source] - centre) / DEPTH_UNIT_MM
        kept[name] = np.where(np.isnan(relative), NOWHERE, relative).astype(np.float16)
    return kept


def prepare(  # noqa: PLR0913 - each is a choice of its own
    data_dir: Path,
    folder: Path,
    count: int,
    *,
    seed: int,
    size: int = 256,
    workers: int = 2,
    held_out: bool = False,
    progress: Callable[[Iterable], Iterable] | None = None,
    kept: tuple[Fields, Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]] | None = None,
) -> PreparedSet:
    """Draw a set and keep it.

    Args:
        data_dir: the data folder.
        folder: where to; made when absent.
        count: samples.
        seed: of the set.
        size: side of the pictures.
        workers: processes; 0 draws in this one.
        held_out: skins and hair that training never sees.
        progress: wraps what is iterated over, as `rich.progress.track` does.
        kept: the fields that are kept, and what makes them of `dataset.arrays_of`; unless given
            what the live networks learn from.
    """
    wanted, keep = kept or (_FIELDS, reduced)
    folder.mkdir(parents=True, exist_ok=True)
    fields = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", "w+", kind, (count, *_sized(shape, size))
        )
        for name, (shape, kind) in wanted.items()
    }
    items = stream(data_dir, seed, count, size=size, workers=workers, held_out=held_out)
    for number, (_, arrays, _) in enumerate(progress(items) if progress else items):
        for name, value in keep(arrays).items():
            fields[name][number] = value
    for array in fields.values():
        array.flush()
    recipe = {"seed": seed, "held_out": held_out, "count": count, "size": size}
    (folder / _SUMMARY).write_text(json.dumps(recipe) + "\n")
    return open_set(folder)


def open_set(folder: Path) -> PreparedSet:
    """Open a prepared set.

    Raises:
        UserError: when the folder holds none, or an unfinished one.
    """
    summary = folder / _SUMMARY
    if not summary.is_file():
        raise UserError(
            f"{folder} is not a prepared set",
            "it is absent or unfinished",
            "Prepare it: python -m training prepare FOLDER",
        )
    recipe = json.loads(summary.read_text())
    if PARTS in recipe:
        return _joined(recipe)
    fields, pairs = _mapped(folder), _mapped(folder / PAIRS)
    return PreparedSet(recipe["count"], recipe["size"], recipe, fields, pairs)


def join(out: Path, folders: Sequence[Path]) -> PreparedSet:
    """Make a set that consists of others, which stay where they are.

    Raises:
        UserError: when there is none, one of them is no set, or their pictures differ in size.
    """
    if not folders:
        raise UserError(
            "there is nothing to join",
            "no set is named beside the folder to write",
            "Name the sets after it: python -m training join OUT FIRST SECOND",
        )
    parts = [open_set(folder) for folder in folders]
    try:
        write_joined(out, folders, [part.recipe for part in parts])
    except ValueError as error:
        raise UserError(
            "the sets cannot be joined", str(error), "Prepare them with the same --size"
        ) from error
    return open_set(out)


def _joined(recipe: dict) -> PreparedSet:
    parts = [open_set(Path(folder)) for folder in recipe[PARTS]]
    fields = joined_fields([part.fields for part in parts], [part.count for part in parts])
    paired = [part.pairs for part in parts if part.pairs]
    counts = [len(next(iter(pairs.values()))) for pairs in paired]
    pairs = joined_fields(paired, counts) if paired else {}
    return PreparedSet(recipe["count"], recipe["size"], recipe, fields, pairs)


def _mapped(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}


def _sized(shape: tuple[int | str, ...], size: int) -> tuple[int, ...]:
    return tuple(size if side == "S" else int(side) for side in shape)
