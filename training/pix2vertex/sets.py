"""Synthetic people with depth and correspondence, drawn once and shown many times.

`python -m training.pix2vertex prepare FOLDER` does so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.learn import prepared
from training.learn.prepared import DEPTH_UNIT_MM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from training.learn.prepared import Fields, PreparedSet

SIZE = 384  # side of the pictures: a face in it fills the network's crop
_FIELDS: Fields = {
    "pixels": (("S", "S", 3), "uint8"),
    "labels": (("S", "S"), "uint8"),
    "depth": (("S", "S"), "float32"),
    "canonical": (("S", "S", 3), "float16"),
    "points478": ((478, 3), "float32"),
    "identity": ((80,), "float32"),
    "expression": ((52,), "float32"),
    "camera_from_head": ((4, 4), "float32"),
    "intrinsics": ((3, 3), "float32"),
}


def reduced(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Keep of `dataset.arrays_of` what depth and correspondence are learned from.

    Returns:
        `depth` is relative to the head's centre in units of 100 mm, infinite where nothing is;
        `canonical` is the place on the mean head in units of 100 mm, nan where there is none.
    """
    centre = float(arrays["camera_from_head"][2, 3])
    kept = {name: arrays[name] for name in _FIELDS if name in arrays}
    relative = (arrays["depth_mm"] - centre) / DEPTH_UNIT_MM
    kept["depth"] = np.where(np.isnan(relative), np.float32(np.inf), relative)
    kept["canonical"] = arrays["canonical_mm"] / np.float16(DEPTH_UNIT_MM)
    return kept


def prepare(
    data_dir: Path,
    folder: Path,
    count: int,
    *,
    seed: int,
    size: int = SIZE,
    workers: int = 2,
    held_out: bool = False,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> PreparedSet:
    """Draw a set and keep it as memory-mapped arrays; see `training.learn.prepared`.

    Args:
        data_dir: the data folder.
        folder: where to; made when absent.
        count: samples.
        seed: of the set.
        size: side of the pictures.
        workers: processes; 0 draws in this one.
        held_out: skins and hair that training never sees.
        progress: wraps what is iterated over, as `rich.progress.track` does.
    """
    return prepared.prepare(
        data_dir, folder, count, seed=seed, size=size, workers=workers, held_out=held_out,
        progress=progress, kept=(_FIELDS, reduced),
    )  # fmt: skip
