"""Pairs of views of one head at one time: synthetic, from clips, from Multi-PIE's layout.

Nothing is known of the cameras: the head model is fitted to both views together, which gives
each view's V and D_S (the part of the paper's 3DMMNet). Pairs lie in the folder `pairs` of a set
of face crops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.frame import Face, Frame, Head
from stream.reconstruct.face_depth import unit_ray
from training.clips import clip_files, clip_pairs
from training.learn.prepared import PAIRS
from training.multiview.face_set import STORED, stored_crop, warped
from training.multiview.fits import FittedFace, LandmarkFits
from training.synthetic.dataset import Synthesiser, arrays_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from training.clips import ClipView

_PER_CLIP = 24
_MOST_EXPRESSION = 0.4  # a mouth that opens is not a head that turns
_STEP_S = 0.3  # between looks of a joint fit: longer than a gap that is smoothed over
_LOOKS = 8
_FIELDS = {
    "pixels": "uint8", "model_depth": "float16", "intrinsics": "float32",
    "camera_from_head": "float32", "tip_mm": "float32", "ray": "float32",
    "points478": "float32", "identity": "float32", "expression": "float32",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """One view.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        identity, expression: true coefficients of the head model, where they are known.
        fitted: its fit, where there is one already.
    """

    pixels: np.ndarray
    identity: np.ndarray | None = None
    expression: np.ndarray | None = None
    fitted: tuple[Face, Head] | None = None


PicturePair = tuple[Picture, Picture]


def synthetic_pairs(
    data_dir: Path, count: int, seed: int, size: int = 256
) -> Iterator[PicturePair]:
    """Draw synthetic heads that turn."""
    with Synthesiser(data_dir, size) as synthesiser:
        for number in range(count):
            first, second = (arrays_of(one) for one in synthesiser.tuple(seed, number, 2))
            yield _drawn(first), _drawn(second)


def _drawn(known: dict[str, np.ndarray]) -> Picture:
    return Picture(known["pixels"], known["identity"], known["expression"])


def filmed_pairs(clips: Iterable[Path], size: int = 384) -> Iterator[PicturePair]:
    """Cut pairs out of clips; heads that turn with about one expression."""
    for folder in clips:
        for path in clip_files(folder):
            for pair in clip_pairs([path], size, _PER_CLIP):
                if pair.expression_change < _MOST_EXPRESSION:
                    yield _filmed(pair.first), _filmed(pair.second)


def _filmed(view: ClipView) -> Picture:
    head = Head(0, view.identity, view.expression, view.camera_from_head, view.intrinsics)
    return Picture(view.pixels, fitted=(Face(0, view.points478_px), head))


def fitted_pair(fits: LandmarkFits, pair: PicturePair) -> tuple[FittedFace, FittedFace] | None:
    """Fit the head model to both views, with one identity; None where a face is not found."""
    known = [one.fitted for one in pair]
    if known[0] is not None and known[1] is not None:
        return fits.placed(*known[0]), fits.placed(*known[1])
    faces = [fits.track(one.pixels) for one in pair]
    if faces[0] is None or faces[1] is None:
        return None
    sizes = [Frame(one.pixels).size for one in pair]
    return fits.fit_together((faces[0], faces[1]), (sizes[0], sizes[1]), _LOOKS, _STEP_S)


def pair_arrays(
    fits: LandmarkFits, pair: PicturePair, fitted: tuple[FittedFace, FittedFace]
) -> dict[str, np.ndarray]:
    """Crop both views, each around its face: the fields of `save_pairs`, (2, …) each."""
    views = [_view_arrays(fits, one, fit) for one, fit in zip(pair, fitted, strict=True)]
    return {name: np.stack([view[name] for view in views]) for name in _FIELDS}


def _view_arrays(fits: LandmarkFits, picture: Picture, fitted: FittedFace) -> dict[str, np.ndarray]:
    crop, side = stored_crop(fitted.face.points_px)
    matrix = np.vstack([crop.matrix(STORED), [0.0, 0.0, 1.0]])
    points = fitted.face.points_px[:, :2] @ matrix[:2, :2].T + matrix[:2, 2]
    head = fitted.head
    identity = head.identity if picture.identity is None else picture.identity
    expression = head.expression if picture.expression is None else picture.expression
    return {
        "pixels": warped(picture.pixels, crop, STORED, cv2.INTER_LINEAR),
        "model_depth": fits.depth(fitted, crop, STORED, side),
        "intrinsics": matrix @ head.camera,
        "camera_from_head": head.camera_from_head,
        "tip_mm": np.float32(fitted.tip @ unit_ray(crop, head.camera)),
        "ray": unit_ray(crop, head.camera),
        "points478": points,
        "identity": identity,
        "expression": expression,
    }


def save_pairs(
    pairs: Iterable[PicturePair],
    folder: Path,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> int:
    """Fit and crop pairs and keep them in the folder `pairs` of a set.

    Besides the fields of `pair_arrays` there is `real` (P,) bool: filmed, not drawn.

    Returns:
        How many there are; pairs without a face in both views are left out.
    """
    rows: list[dict[str, np.ndarray]] = []
    given: Sequence[PicturePair] = list(pairs)  # their OpenGL context must be gone by now
    with LandmarkFits() as fits:
        for pair in progress(given) if progress else given:
            fitted = fitted_pair(fits, pair)
            if fitted is not None:
                real = np.array(pair[0].identity is None)
                rows.append(pair_arrays(fits, pair, fitted) | {"real": real})
    target = folder / PAIRS
    target.mkdir(parents=True, exist_ok=True)
    for name, kind in (_FIELDS | {"real": "bool"}).items():
        np.save(target / f"{name}.npy", np.stack([row[name] for row in rows]).astype(kind))
    return len(rows)
