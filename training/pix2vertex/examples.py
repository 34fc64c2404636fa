"""Crops of prepared samples as the networks get to see them, and their truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import opencv_affine
from stream.reconstruct.pix2vertex import (
    cut_square,
    face_square,
    frame_rotation,
)
from training.learn.augment import recoloured
from training.learn.prepared import DEPTH_UNIT_MM
from training.synthetic.scene import Label

if TYPE_CHECKING:
    from training.learn.prepared import PreparedSet

FACE = (Label.FACE, Label.EAR, Label.MOUTH, Label.EYES)
_IS_FACE = np.isin(np.arange(256), FACE)


@dataclass(frozen=True, slots=True)
class CropVariation:
    """How far crops of faces are varied.

    Attributes:
        scale: standard deviation of the logarithm of the size.
        shift: standard deviation of the shift, as a share of the side.
        turn_deg: standard deviation of the rotation in the picture.
        colour: strength of changes of colour; see `training.learn.augment.recoloured`.
    """

    scale: float = 0.10
    shift: float = 0.04
    turn_deg: float = 9.0
    colour: float = 1.0


def sample_square(
    points_px: np.ndarray, side: int, rng: np.random.Generator | None, variation: CropVariation
) -> np.ndarray:
    """Return (2, 3) float64 `crop_from_picture` of a face; varied and mirrored with a generator."""
    crop = face_square(points_px)
    matrix = crop.matrix(side)
    if rng is None:
        return matrix
    angle = np.radians(variation.turn_deg) * rng.normal()
    cosine, sine = np.cos(angle), np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]]) * np.exp(variation.scale * rng.normal())
    if rng.random() < 0.5:
        linear = np.diag([-1.0, 1.0]) @ linear
    linear = linear @ matrix[:, :2]
    shift = side * (0.5 + variation.shift * rng.normal(size=2))
    return np.column_stack([linear, shift - linear @ [crop.x, crop.y]])


def example(
    data: PreparedSet,
    index: int,
    side: int,
    rng: np.random.Generator | None,
    variation: CropVariation,
) -> dict[str, np.ndarray]:
    """Return one crop of a face and what is true of it.

    Args:
        data: of `training.pix2vertex.sets`.
        index: of the sample.
        side: of the crop, pixels.
        rng: varies the crop; None shows it as the live path would.
        variation: how far.

    Returns:
        `picture` (S, S, 3) uint8; `points` and `correspondence` (S, S, 3) float32 as the network
        gives them, 0 where unknown; `mask` and `matched` (S, S, 1) uint8, where they are known.
    """
    crop = sample_square(data["points478"][index], side, rng, variation)
    pixels = cut_square(np.asarray(data["pixels"][index]), crop, side)
    if rng is not None:
        pixels = recoloured(pixels, rng, variation.colour)
    depth = np.asarray(data["depth"][index])
    intrinsics = np.asarray(data["intrinsics"][index], np.float64)
    canonical = np.asarray(data["canonical"][index]).astype(np.float32)
    face = _IS_FACE[data["labels"][index]] & np.isfinite(depth)
    known = face & ~np.isnan(canonical[..., 0])
    relative, mask = _warped(depth[..., None], face, crop, side)
    matches, matched = _warped(canonical, known, crop, side)
    if np.linalg.det(crop[:, :2]) < 0:
        matches = matches * np.array([-1, 1, 1], np.float32)
    centre = data["camera_from_head"][index][:3, 3] / DEPTH_UNIT_MM
    place = camera_places(relative[..., 0], crop, intrinsics, centre)
    place = place @ crop_turn(crop, side, intrinsics).T.astype(np.float32)
    return {
        "picture": pixels,
        "points": np.where(mask[..., None] > 0, place, np.float32(0)),
        "correspondence": matches,
        "mask": mask[..., None],
        "matched": (matched & mask)[..., None],
    }


def camera_places(
    depth: np.ndarray, crop: np.ndarray, intrinsics: np.ndarray, centre: np.ndarray
) -> np.ndarray:
    """Return (S, S, 3) float32 places relative to the head's centre, of the pixels of a crop.

    Args:
        depth: (S, S) relative to the head's centre, in units of 100 mm.
        crop: (2, 3) crop_from_picture, pixel centres at +0.5.
        intrinsics: (3, 3) of the picture, likewise.
        centre: (3,) the head's centre in camera space, in the same units.
    """
    rows, columns = np.indices(depth.shape, np.float32) + np.float32(0.5)
    ray_from_crop = np.linalg.inv(np.vstack([crop, [0, 0, 1]]) @ intrinsics).astype(np.float32)
    rays = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ ray_from_crop.T
    return rays * (depth[..., None] + np.float32(centre[2])) - centre.astype(np.float32)


def crop_turn(crop: np.ndarray, side: int, intrinsics: np.ndarray) -> np.ndarray:
    """Return (3, 3) from camera space to the crop's frame; mirrored when the crop is."""
    linear = crop[:, :2]
    middle = np.linalg.solve(linear, np.full(2, side / 2) - crop[:, 2])
    in_plane = np.eye(3)
    in_plane[:2, :2] = linear / np.sqrt(abs(np.linalg.det(linear)))
    return in_plane @ frame_rotation(middle, intrinsics).T


def _warped(
    values: np.ndarray, known: np.ndarray, crop: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Resample (S, S, C) values among pixels where they are known; 0 elsewhere, and a mask."""
    filled = np.dstack([np.where(known[..., None], values, np.float32(0)), known])
    stack = cv2.warpAffine(
        filled.astype(np.float32, copy=False),
        opencv_affine(crop),
        (side, side),
        flags=cv2.INTER_LINEAR,
    )
    inside = stack[..., -1] > 0.5
    mean = stack[..., :-1] / np.maximum(stack[..., -1:], 1e-6)
    return np.where(inside[..., None], mean, np.float32(0)), inside.astype(np.uint8)
