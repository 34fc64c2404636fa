"""Two views of one head: what a network of depth learns from without being told depth.

Deep 3D Portrait (Xu et al. 2020) §4.2 learns from pairs of frames of one person. They come from
synthetic heads that turn before a still camera and, where clips are given, from real frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.clips import clip_files, clip_pairs
from training.learn.augment import cropped
from training.learn.fitted import FIELD, FittedDepth
from training.learn.prepared import PAIRS
from training.synthetic.dataset import Synthesiser, arrays_of
from training.synthetic.scene import Label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from training.clips import ClipView
    from training.learn.joined import Rows

HEAD = (Label.FACE, Label.HAIR, Label.EAR)
_PER_CLIP = 30
_MOST_EXPRESSION = 0.5  # a mouth that opens is not a head that turns
_INSIDE = 0.9  # of a head's mask: its soft edge holds background
_FIELDS = {"pixels": "uint8", "fitted_depth": "float16", "inside": "bool"} | dict.fromkeys(
    ("camera_from_head", "intrinsics"), "float32"
)
_FITTED = ("identity", "expression", "camera_from_head", "intrinsics")
View = dict[str, np.ndarray]


def prepare_pairs(
    data_dir: Path,
    folder: Path,
    count: int,
    *,
    seed: int,
    size: int = 256,
    clips: Iterable[Path] = (),
    progress: Callable[[Iterable], Iterable] | None = None,
) -> int:
    """Draw pairs and keep them in the folder `pairs` of a prepared set.

    Each field is (count, 2, …): `pixels` (S, S, 3) uint8; `fitted_depth` (S, S) as in
    `learn.fitted`; `inside` (S, S) bool, face, hair and ears; `camera_from_head` (4, 4), mm;
    `intrinsics` (3, 3), pixels.

    Args:
        data_dir: the data folder.
        folder: of the prepared set.
        count: synthetic pairs.
        seed: of the synthetic pairs; another than the set's.
        size: side of the pictures.
        clips: videos, or folders of them, to cut real pairs out of.
        progress: wraps what is iterated over.

    Returns:
        How many pairs there are.
    """
    pairs = [*_of_people(data_dir, count, seed, size, progress)]
    for files in clips:
        pairs.extend(_of_clips(files, size))
    with FittedDepth(size) as fitted:  # afterwards: two OpenGL contexts get into each other's way
        for view in (view for pair in pairs for view in pair):
            view[FIELD] = fitted.draw(*(view[name] for name in _FITTED))
    target = folder / PAIRS
    target.mkdir(parents=True, exist_ok=True)
    for name, kind in _FIELDS.items():
        stacked = np.stack([np.stack([view[name] for view in pair]) for pair in pairs])
        np.save(target / f"{name}.npy", stacked.astype(kind))
    return len(pairs)


def _of_people(
    data_dir: Path,
    count: int,
    seed: int,
    size: int,
    progress: Callable[[Iterable], Iterable] | None,
) -> Iterator[tuple[View, View]]:
    numbers: Iterable[int] = range(count)
    with Synthesiser(data_dir, size) as synthesiser:
        for number in progress(numbers) if progress else numbers:
            first, second = (arrays_of(one) for one in synthesiser.tuple(seed, number, 2))
            yield _synthetic(first), _synthetic(second)


def _synthetic(known: View) -> View:
    head = np.isin(known["labels"], [int(label) for label in HEAD])
    return {name: known[name] for name in ("pixels", *_FITTED)} | {"inside": head}


def _of_clips(files: Path, size: int) -> Iterator[tuple[View, View]]:
    for path in clip_files(files):
        for pair in clip_pairs([path], size, _PER_CLIP):
            if pair.expression_change < _MOST_EXPRESSION:
                yield _real(pair.first), _real(pair.second)


def _real(view: ClipView) -> View:
    inside = (view.head_mask > _INSIDE) & view.in_frame
    return {name: getattr(view, name) for name in ("pixels", *_FITTED)} | {"inside": inside}


def cropped_pair(
    pairs: Mapping[str, Rows], index: int, crop: np.ndarray, size: int
) -> dict[str, np.ndarray]:
    """Resample both views of a pair by one affine map.

    Args:
        pairs: of a prepared set.
        index: of the pair.
        crop: (2, 3) crop_from_picture, pixel centres at +0.5.
        size: side of the result.

    Returns:
        `pixels` (2, size, size, 3), `fitted_depth` and `inside` (2, size, size), `projection`
        (2, 3, 3) crop pixels from camera space, `camera_from_head` (2, 4, 4).
    """
    lifted = np.vstack([crop, [0, 0, 1]])
    views = []
    for number in range(2):
        maps = {
            "pixels": np.ascontiguousarray(pairs["pixels"][index, number]),
            "fitted_depth": pairs["fitted_depth"][index, number],
            "labels": pairs["inside"][index, number].astype(np.uint8),
        }
        views.append(cropped(maps, crop, size))
    return {
        "pixels": np.stack([view["pixels"] for view in views]),
        "fitted_depth": np.stack([view["fitted_depth"] for view in views]),
        "inside": np.stack([view["labels"] > 0 for view in views]),
        "projection": (lifted @ pairs["intrinsics"][index]).astype(np.float32),
        "camera_from_head": np.asarray(pairs["camera_from_head"][index], np.float32),
    }
