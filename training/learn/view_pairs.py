"""Two views of one head: what a network of depth learns from without being told depth.

Deep 3D Portrait (Xu et al. 2020) §4.2 learns from pairs of frames of one person. They come from
synthetic heads that turn before a still camera and, where clips are given, from real frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import transform_points
from stream.gl import create_context
from stream.head_model import load_head_model
from stream.raster import DepthRaster
from stream.region import NodeGrid, Region
from training.clips import clip_files, clip_pairs
from training.learn.prepared import DEPTH_UNIT_MM, NOWHERE, PAIRS
from training.synthetic.dataset import Synthesiser, arrays_of
from training.synthetic.scene import Label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from training.clips import ClipView

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
    _draw_fitted_depth([view for pair in pairs for view in pair], size)
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


def _draw_fitted_depth(views: Iterable[View], size: int) -> None:
    """Add the field `fitted_depth`: the head model as a fit gives it."""
    model, context = load_head_model(), create_context()
    raster = DepthRaster(context, model.triangles)
    # Nodes lie on the corners of a region: one of side − 1 has them a pixel apart.
    grid = NodeGrid(Region(0, 0, size - 1, size - 1), size, size)
    for view in views:
        camera = np.array(view["intrinsics"], np.float64)
        camera[:2, 2] -= 0.5  # pixel centres
        pose = np.asarray(view["camera_from_head"], np.float64)
        shape = model.shape(view["identity"], view["expression"])
        front, _ = raster.draw(transform_points(pose, shape), camera, grid)
        relative = (front - pose[2, 3]) / DEPTH_UNIT_MM
        view["fitted_depth"] = np.where(front > 0, relative, np.float32(NOWHERE))
    raster.release()
    context.release()


def cropped_pair(
    pairs: dict[str, np.ndarray], index: int, crop: np.ndarray, size: int
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
    matrix = crop.copy()  # OpenCV counts pixel centres at whole numbers
    matrix[:, 2] += crop[:, :2] @ [0.5, 0.5] - 0.5
    lifted = np.vstack([crop, [0, 0, 1]])
    far = np.float32(6e4)  # infinity cannot be resampled
    views: dict[str, list[np.ndarray]] = {"pixels": [], "fitted_depth": [], "inside": []}
    for number in range(2):
        pixels = np.ascontiguousarray(pairs["pixels"][index, number])
        depth = np.minimum(pairs["fitted_depth"][index, number].astype(np.float32), far)
        inside = pairs["inside"][index, number].astype(np.uint8)
        sides, nearest = (size, size), cv2.INTER_NEAREST
        views["pixels"].append(cv2.warpAffine(pixels, matrix, sides, borderMode=1))
        depth = cv2.warpAffine(depth, matrix, sides, flags=nearest, borderValue=float(far))
        views["fitted_depth"].append(np.where(depth < far / 2, depth, np.float32(np.inf)))
        views["inside"].append(cv2.warpAffine(inside, matrix, sides, flags=nearest) > 0)
    return {name: np.stack(value) for name, value in views.items()} | {
        "projection": (lifted @ pairs["intrinsics"][index]).astype(np.float32),
        "camera_from_head": np.asarray(pairs["camera_from_head"][index], np.float32),
    }
