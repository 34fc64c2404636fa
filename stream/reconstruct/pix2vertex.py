"""The network `pix2vertex` at run time: places in space and on the mean head, pixel by pixel.

Sela et al. 2017 §3.2. The network looks at an upright square around the face. What it says of
space is in the *crop's frame*, camera space turned by the least rotation that takes the optical
axis to the ray through the crop's centre, so that it does not matter where in the picture the
face lies: ``points = (ray_rotation(ray)ᵀ · (p − centre)) ÷ 100 mm``, where `p` is what the pixel
shows and `centre` the origin of head space. ``correspondence`` is the place on the mean head in
head space, ÷ 100 mm.

For `voltface reconstruct`: `read_face` asks the network, `registered_depth` brings its depth to
where the fitted head lies (scale and shift), as an optional source of the face's depth, and
`template_on` lays the whole template on what it sees (supplement B.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.face_3dmm import Crop
from stream.geometry import opencv_affine, rigid_transform, transform_points
from stream.pose import ray_rotation
from stream.reconstruct.registration import (
    Registered,
    RegistrationSettings,
    pixels_to_mesh,
    register,
)

if TYPE_CHECKING:
    from stream.face_3dmm import Network
    from stream.frame import Head
    from stream.head_model import HeadModel

SIDE = 192  # of the network's picture, pixels
CROP_PER_FACE = 1.45  # the crop's side over the longer extent of the tracked face
UNIT_MM = 100.0
_IRIS_START = 468
_SEEN = 0.5  # of the mask
_LEAST_PIXELS = 200  # for a scale to be fitted
_SCALES = (0.5, 2.0)  # of depth: beyond, the two do not show one face
_OUTLIER = 2.5  # times the median difference
# The network's places are off by more than the paper's bounds of 1 mm and 5°, which would keep
# almost no pair of a network this small.
ROUGH = RegistrationSettings(inlier_mm=6.0, reject_mm=8.0, reject_deg=30.0, reach_mm=5.0)


def face_square(points_px: np.ndarray) -> Crop:
    """Return the square that the network looks at, from (≥ 468, ≥ 2) tracked points."""
    points = points_px[:_IRIS_START, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + high) / 2
    return Crop(float(x), float(y), CROP_PER_FACE * float((high - low).max()))


def cut_square(pixels: np.ndarray, crop_from_picture: np.ndarray, side: int) -> np.ndarray:
    """Resample (H, W, 3) uint8 to a square of `side`; beyond the picture its border is repeated.

    Args:
        pixels: RGB.
        crop_from_picture: (2, 3), a similarity, pixel centres at +0.5.
        side: pixels.
    """
    shrink = 1 / np.sqrt(abs(np.linalg.det(crop_from_picture[:, :2])))
    if shrink > 1.5:  # plain resampling would skip pixels
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.4 * shrink)
    return cv2.warpAffine(
        pixels,
        opencv_affine(crop_from_picture),
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def frame_rotation(crop_centre_px: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Return (3, 3) `camera_from_crop_frame` of a crop with its centre at (2,) pixels."""
    ray = np.append((np.asarray(crop_centre_px) - camera[:2, 2]) / camera[[0, 1], [0, 1]], 1.0)
    return ray_rotation(ray)


@dataclass(frozen=True, slots=True)
class FaceMaps:
    """What the network sees in one face, at the pixels of its crop.

    Attributes:
        points_mm: (S, S, 3) float32 place relative to the head's centre, in the crop's frame.
        mask: (S, S) float32 0…1, whether a face is there.
        correspondence_mm: (S, S, 3) float32 place on the mean head, head space.
        crop: where it looked.
    """

    points_mm: np.ndarray
    mask: np.ndarray
    correspondence_mm: np.ndarray
    crop: Crop


def read_face(network: Network, pixels: np.ndarray, points_px: np.ndarray) -> FaceMaps:
    """Ask the network about one face.

    Args:
        network: an engine of `pix2vertex`.
        pixels: (H, W, 3) uint8 RGB.
        points_px: (≥ 468, ≥ 2) tracked points of the face.
    """
    crop = face_square(points_px)
    square = cut_square(pixels, crop.matrix(SIDE), SIDE)
    picture = np.ascontiguousarray(square.transpose(2, 0, 1)[None], np.float32) / np.float32(255)
    found = {name: array[0] for name, array in network(picture=picture).items()}
    return FaceMaps(
        points_mm=UNIT_MM * found["points"].transpose(1, 2, 0),
        mask=found["mask"][0],
        correspondence_mm=UNIT_MM * found["correspondence"].transpose(1, 2, 0),
        crop=crop,
    )


def camera_from_crop(maps: FaceMaps, head: Head) -> np.ndarray:
    """Return (4, 4) that takes the maps' points to camera space, with the fitted head's centre."""
    turn = frame_rotation(np.array([maps.crop.x, maps.crop.y]), head.camera)
    return rigid_transform(turn, head.camera_from_head[:3, 3])


def registered_depth(maps: FaceMaps, head: Head, fitted_mm: np.ndarray) -> np.ndarray:
    """Bring the network's depth to where the fitted head lies: one scale and one shift.

    Args:
        maps: of the face.
        head: the fit.
        fitted_mm: (S, S) depth of the fitted head model at the pixels of the crop (whose places
            in the picture `crop.matrix(S)` tells), 0 or nan where it is not.

    Returns:
        (S, S) float32 depth, mm from the camera, nan where no face is seen, or everywhere where
        the two do not agree.
    """
    camera_mm = transform_points(camera_from_crop(maps, head), maps.points_mm.astype(np.float64))
    found = camera_mm[..., 2]
    both = (maps.mask > _SEEN) & (np.nan_to_num(fitted_mm) > 0)
    scale, shift = robust_line(found[both], fitted_mm[both])
    placed = np.where(maps.mask > _SEEN, scale * found + shift, np.nan)
    return placed.astype(np.float32)


def in_frame(depth_mm: np.ndarray, crop: Crop, shape: tuple[int, int]) -> np.ndarray:
    """Resample (S, S) depth of a crop, nan where there is none, to (H, W) frame pixels."""
    matrix = opencv_affine(crop.matrix(len(depth_mm)))
    known = np.isfinite(depth_mm).astype(np.float32)
    filled = np.nan_to_num(depth_mm).astype(np.float32)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sides = (shape[1], shape[0])
    weight = cv2.warpAffine(known, matrix, sides, flags=how)
    value = cv2.warpAffine(filled, matrix, sides, flags=how)
    return np.where(weight > _SEEN, value / np.maximum(weight, 1e-6), np.float32(np.nan))


def robust_line(found: np.ndarray, wanted: np.ndarray) -> tuple[float, float]:
    """Return scale and shift that take (N,) values to others, without outliers; nan if none do."""
    if len(found) < _LEAST_PIXELS:
        return float("nan"), float("nan")
    kept = np.ones(len(found), bool)
    scale, shift = 1.0, 0.0
    for _ in range(4):
        scale, shift = np.polyfit(found[kept], wanted[kept], 1)
        off = np.abs(scale * found + shift - wanted)
        kept = off <= _OUTLIER * np.median(off) + 1e-6
    if not _SCALES[0] < scale < _SCALES[1]:
        return float("nan"), float("nan")
    return float(scale), float(shift)


def template_on(
    maps: FaceMaps,
    head: Head,
    model: HeadModel,
    settings: RegistrationSettings | None = None,
) -> Registered:
    """Lay the mean head on what the network sees (B.1); vertices in camera space, mm.

    Args:
        maps: of the face.
        head: the fit, which tells how far away the head is.
        model: the head model, whose mean is the template.
        settings: `ROUGH` unless given.

    Raises:
        UserError: when too little of the face was recognised.
    """
    points = transform_points(camera_from_crop(maps, head), maps.points_mm.astype(np.float64))
    target = pixels_to_mesh(points, maps.correspondence_mm, maps.mask > _SEEN)
    return register(model.vertices, model.triangles, target, settings or ROUGH)
