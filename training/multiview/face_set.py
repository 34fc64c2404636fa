"""A set of face crops with normalised depth, made once: what DepthNet learns from.

Each crop shows more than the network sees, so that it can be shifted, turned and zoomed. Beside
the truth lies D_S, the depth of the head model fitted to the picture as the live path fits it:
its errors are then those that the network meets at run time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.face_3dmm import Crop
from stream.geometry import opencv_affine
from stream.reconstruct.face_depth import (
    NOSE_TIP,
    SIZE,
    along_ray,
    depth_crop,
    normalised,
    unit_ray,
)
from training.learn.prepared import DEPTH_UNIT_MM, PreparedSet, open_set
from training.multiview.fits import LandmarkFits
from training.synthetic.scene import Label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from training.multiview.fits import FittedFace
    from training.multiview.scans import IctScans, ScanView

STORED = 256  # side of the stored crops, pixels; the network sees SIZE of them
MARGIN = STORED / SIZE
_LEAST_FACE, _ASTRAY = 1000, 0.12  # pixels; mean error of the fit, normalised depth
_WHOLE = 0.999  # share of a bilinear sample that must lie on the surface
_FIELDS = {"pixels": "uint8", "labels": "uint8", "depth": "float16", "model_depth": "float16"}


@dataclass(frozen=True, slots=True)
class Known:
    """A picture with true depth.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        depth_mm: (H, W) float32 from the camera, inf or nan where nothing is.
        labels: (H, W) uint8, `Label`.
        tip: (3,) the tip of the nose, camera space, mm.
        camera: (3, 3) intrinsics.
    """

    pixels: np.ndarray
    depth_mm: np.ndarray
    labels: np.ndarray
    tip: np.ndarray
    camera: np.ndarray


def stored_crop(points_px: np.ndarray) -> tuple[Crop, float]:
    """Return the crop that is stored, and the side of what the network sees of it, pixels."""
    crop = depth_crop(points_px)
    return Crop(crop.x, crop.y, MARGIN * crop.side), crop.side


def warped(values: np.ndarray, crop: Crop, size: int, flags: int) -> np.ndarray:
    """Resample a picture to a crop; beyond it its border goes on. Maps are 0 there."""
    matrix, scale = opencv_affine(crop.matrix(size)), size / crop.side
    if flags == cv2.INTER_LINEAR and scale < 0.7:  # averaged first, so that no detail aliases
        values = cv2.GaussianBlur(values, (0, 0), 0.4 / scale)
    beyond = cv2.BORDER_REPLICATE if flags == cv2.INTER_LINEAR else cv2.BORDER_CONSTANT
    return cv2.warpAffine(values, matrix, (size, size), flags=flags, borderMode=beyond)


def warped_depth(depth_mm: np.ndarray, crop: Crop) -> np.ndarray:
    """Resample true depth, bilinear within a surface, nearest at its rim; 0 where nothing is."""
    there = np.isfinite(depth_mm) & (depth_mm > 0)
    finite = np.where(there, depth_mm, 0).astype(np.float32)
    nearest = warped(finite, crop, STORED, cv2.INTER_NEAREST)
    matrix = opencv_affine(crop.matrix(STORED))
    smooth, share = (
        cv2.warpAffine(values, matrix, (STORED, STORED), flags=cv2.INTER_LINEAR)
        for values in (finite, there.astype(np.float32))
    )
    return np.where((nearest > 0) & (share > _WHOLE), smooth, nearest)


def example(known: Known, fitted: FittedFace, fits: LandmarkFits) -> dict[str, np.ndarray]:
    """Crop a picture, its truth and its fit: the fields of the set."""
    crop, side = stored_crop(fitted.face.points_px)
    depth_mm = warped_depth(known.depth_mm, crop)
    along, tip_mm = along_ray(crop, known.camera, STORED), known.tip @ unit_ray(crop, known.camera)
    value = normalised(depth_mm * along, float(tip_mm), float(known.camera[0, 0]), side)
    return {
        "pixels": warped(known.pixels, crop, STORED, cv2.INTER_LINEAR),
        "labels": warped(known.labels, crop, STORED, cv2.INTER_NEAREST),
        "depth": np.where(depth_mm > 0, value, np.inf).astype(np.float16),
        "model_depth": fits.depth(fitted, crop, STORED, side).astype(np.float16),
    }


def astray(one: dict[str, np.ndarray]) -> bool:
    """Return whether a fit lies so far off that it is a failure of the tracker, or unseen."""
    face = np.isin(one["labels"], (Label.FACE, Label.EYES))
    both = face & np.isfinite(one["depth"]) & np.isfinite(one["model_depth"])
    off = np.abs(one["depth"][both].astype(np.float32) - one["model_depth"][both])
    return bool(both.sum() < _LEAST_FACE or off.mean() > _ASTRAY)


def known_people(source: PreparedSet, rows: Iterable[int]) -> Iterator[Known]:
    """Give the pictures of a set of synthetic people (`python -m training prepare`)."""
    for row in rows:
        centre = float(source["camera_from_head"][row][2, 3])
        camera = source["intrinsics"][row].astype(np.float64)
        x, y, z = source["points478"][row][NOSE_TIP].astype(np.float64)
        yield Known(
            pixels=np.array(source["pixels"][row]),
            depth_mm=source["depth"][row].astype(np.float32) * DEPTH_UNIT_MM + centre,
            labels=np.array(source["labels"][row]),
            tip=z * (np.linalg.inv(camera) @ [x, y, 1.0]),
            camera=camera,
        )


def known_scans(scans: IctScans, count: int, seed: int) -> Iterator[Known]:
    """Draw scans."""
    for number in range(count):
        yield known_scan(scans.sample(np.random.default_rng([seed, number])))


def known_scan(view: ScanView) -> Known:
    """Take a scan's truth over: its face is labelled, the rest of the head counts as neck."""
    head = np.where(np.isfinite(view.depth_mm), Label.NECK, Label.BACKGROUND)
    labels = np.where(view.face, Label.FACE, head).astype(np.uint8)
    return Known(view.pixels, view.depth_mm, labels, view.tip, view.camera)


def prepare_faces(
    pictures: Iterable[Known],
    folder: Path,
    most: int,
    *,
    seed: int = 0,
    held_out: bool = False,
    progress: Callable[[Iterable], Iterable] | None = None,
) -> PreparedSet:
    """Track, fit and crop pictures, and keep them as a set; what has no face is left out.

    So are pictures where the tracker failed: the fit is far from the truth.

    Args:
        pictures: with their truth.
        folder: of the set; made when absent.
        most: how many pictures there can be.
        seed: noted in the set.
        held_out: noted in the set: people that training never sees.
        progress: wraps what is iterated over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shape = {"pixels": (STORED, STORED, 3)}
    fields = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", "w+", kind, (most, *shape.get(name, (STORED, STORED)))
        )
        for name, kind in _FIELDS.items()
    }
    count = 0
    with LandmarkFits() as fits:
        for known in progress(pictures) if progress else pictures:
            fitted = fits.fit(known.pixels)
            one = None if fitted is None else example(known, fitted, fits)
            if one is None or astray(one):
                continue
            for name, value in one.items():
                fields[name][count] = value
            count += 1
    for array in fields.values():
        array.flush()
    recipe = {"seed": seed, "held_out": held_out, "count": count, "size": STORED}
    (folder / "set.json").write_text(json.dumps(recipe) + "\n")
    return open_set(folder)
