"""Renders folders of scans: heads of ICT-FaceKit, and synthetic people of the validation set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from training.evaluate_reconstruction.scan import Scan
from training.multiview.scans import IctScans
from training.synthetic.__main__ import VALIDATION_SEED
from training.synthetic.dataset import stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Source = Literal["ict", "synthetic-val"]
_FACE, _HAIR = (1, 5, 6), 2  # labels of the contract
_SIZE = 512
_PEOPLE_APART = 4  # so many pictures of the synthetic set show one person


def rendered(source: Source, data_dir: Path, count: int, seed: int) -> Iterator[Scan]:
    """Draw scans.

    Args:
        source: which heads.
        data_dir: the data folder.
        count: how many.
        seed: of the heads, poses and light. The synthetic set has its own, and starts there.
    """
    yield from (_ict if source == "ict" else _synthetic)(data_dir, count, seed)


def _ict(data_dir: Path, count: int, seed: int) -> Iterator[Scan]:
    rng = np.random.default_rng(seed)
    with IctScans(data_dir, _SIZE) as scans:
        for number in range(count):
            view = scans.sample(rng)
            yield Scan(
                name=f"ict_{number:04d}",
                pixels=view.pixels,
                depth_mm=view.depth_mm.astype(np.float32),
                camera=view.camera,
                face=view.face,
                source=f"ICT-FaceKit, rendered (seed {seed})",
            )


def _synthetic(data_dir: Path, count: int, seed: int) -> Iterator[Scan]:
    items = stream(
        data_dir, VALIDATION_SEED, count, size=_SIZE, workers=1, held_out=True,
        start=_PEOPLE_APART * seed, every=_PEOPLE_APART,
    )  # fmt: skip
    for index, arrays, _ in items:
        labels, depth = arrays["labels"], arrays["depth_mm"]
        head = np.isin(labels, (*_FACE, _HAIR, 3, 4))
        yield Scan(
            name=f"synthetic_{index:05d}",
            pixels=arrays["pixels"],
            depth_mm=np.where(head, depth, np.nan).astype(np.float32),
            camera=arrays["intrinsics"].astype(float),
            face=np.isin(labels, _FACE),
            hair=labels == _HAIR,
            source="synthetic-val",
        )
