"""Show one sample in many ways: other crops, mirrored, other colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import opencv_affine

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEAREST = ("labels",)
_GREY = ("hair_alpha", "alpha")
_DEPTH = ("depth", "face_depth", "fitted_depth")
_SKIN_RGB = np.array([1.0, 0.75, 0.6])
_KNOTS = 5  # along a side of the field that bends
_FAR = 60000.0  # stands for "nothing there" where float16 infinity cannot be resampled


@dataclass(frozen=True, slots=True)
class Variation:
    """How far samples are varied.

    Attributes:
        scale: largest zoom in or out, as a factor.
        shift: largest shift, as a share of the side.
        turn_deg: largest rotation in the picture.
        squeeze: (least, most) width over height of what a square of the picture shows; the live
            path squeezes upright rectangles to squares.
        mirror: whether half of the samples are mirrored.
        colour: strength of changes of exposure, contrast and white balance; 0 for none.
        window: share of the side that is shown at once. Convolutions learn as much from a part
            of the picture, in less time.
    """

    scale: float = 1.25
    shift: float = 0.08
    turn_deg: float = 15.0
    squeeze: tuple[float, float] = (0.75, 1.05)
    mirror: bool = True
    colour: float = 1.0
    window: float = 0.75

    def side(self, size: int) -> int:
        """Return the side of the window in pixels, a multiple of 32."""
        return max(32, round(self.window * size / 32) * 32)


def sample_crop(rng: np.random.Generator, size: int, variation: Variation) -> np.ndarray:
    """Draw (2, 3) float64 `crop_from_picture`, in pixels, of the window's side."""
    zoom = np.exp(rng.uniform(-1, 1) * np.log(variation.scale))
    squeeze = rng.uniform(*variation.squeeze)
    angle = np.radians(rng.uniform(-1, 1) * variation.turn_deg)
    cosine, sine = np.cos(angle), np.sin(angle)
    linear = np.diag([zoom / np.sqrt(squeeze), zoom * np.sqrt(squeeze)])
    linear = linear @ np.array([[cosine, -sine], [sine, cosine]])
    if variation.mirror and rng.random() < 0.5:
        linear = np.diag([-1.0, 1.0]) @ linear
    shift = rng.uniform(-1, 1, 2) * variation.shift * size
    shift -= rng.uniform(0, 1, 2) * (size - variation.side(size))
    return np.column_stack([linear, size / 2 + shift - linear @ [size / 2, size / 2]])


def cropped(arrays: Mapping[str, np.ndarray], crop: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Resample the maps of a sample; points and coefficients are not among them.

    Args:
        arrays: `pixels`, and any of `labels`, `hair_alpha`, `alpha`, `depth`, `face_depth`,
            `fitted_depth`, as `learn.prepared` keeps them.
        crop: (2, 3) crop_from_picture, pixel centres at +0.5.
        size: side of the result.

    Returns:
        The same, (size, size, …). Beyond the picture, pixels repeat the border, labels and
        alpha are 0, depths infinite.
    """
    matrix = opencv_affine(crop)
    sides = (size, size)
    result = {}
    for name, value in arrays.items():
        if name == "pixels":
            border = {"borderMode": cv2.BORDER_REPLICATE}
            result[name] = cv2.warpAffine(value, matrix, sides, flags=cv2.INTER_LINEAR, **border)
        elif name in _NEAREST:
            result[name] = cv2.warpAffine(value, matrix, sides, flags=cv2.INTER_NEAREST)
        elif name in _GREY:
            result[name] = cv2.warpAffine(value, matrix, sides, flags=cv2.INTER_LINEAR)
        elif name in _DEPTH:
            finite = np.minimum(value.astype(np.float32), _FAR)
            edge = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": _FAR}
            warped = cv2.warpAffine(finite, matrix, sides, flags=cv2.INTER_NEAREST, **edge)
            result[name] = np.where(warped < _FAR / 2, warped, np.float32(np.inf))
    return result


def recoloured(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Change exposure, contrast and white balance by one table a channel; now and then grey.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        rng: draws the change.
        strength: 0 for none, 1 for the usual range.
    """
    if strength <= 0:
        return pixels
    level = np.linspace(0, 1, 256)[:, None]
    gamma = np.exp(strength * rng.normal(0, 0.18))
    gain = np.exp(strength * (rng.normal(0, 0.12) + rng.normal(0, 0.05, 3)))
    lift = strength * rng.normal(0, 0.03)
    table = np.clip(level**gamma * gain + lift, 0, 1)
    changed = cv2.LUT(pixels, (table * 255 + 0.5).astype(np.uint8)[:, None, :])
    if rng.random() < 0.04 * strength:
        grey = cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY)
        changed = np.repeat(grey[..., None], 3, axis=2)
    return changed


def bent(
    arrays: Mapping[str, np.ndarray], rng: np.random.Generator, strength: float
) -> dict[str, np.ndarray]:
    """Bend pixels, labels and mattes of a sample by one smooth field: heads and hair of other form.

    Args:
        arrays: maps of one size; no depths among them.
        rng: draws the field.
        strength: standard deviation of the displacement, as a share of the side.
    """
    height, width = arrays["pixels"].shape[:2]
    knots = rng.normal(0, strength * width, (_KNOTS, _KNOTS, 2)).astype(np.float32)
    field = cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    result = {}
    for name, value in arrays.items():
        flags = cv2.INTER_NEAREST if name in _NEAREST else cv2.INTER_LINEAR
        border = cv2.BORDER_REPLICATE if name == "pixels" else cv2.BORDER_CONSTANT
        result[name] = cv2.remap(
            value, x + field[..., 0], y + field[..., 1], flags, borderMode=border
        )
    return result


def part_recoloured(
    pixels: np.ndarray, part: np.ndarray, rng: np.random.Generator, strength: float
) -> np.ndarray:
    """Change the colours of one part of a picture: hair and clothes of any colour.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        part: (H, W) bool.
        rng: draws the change.
        strength: as of `recoloured`.
    """
    share = cv2.GaussianBlur(part.astype(np.float32), (0, 0), 1.0)[..., None]
    changed = recoloured(pixels, rng, strength).astype(np.float32)
    mixed = pixels + share * (changed - pixels)
    return (mixed + 0.5).astype(np.uint8)


def sheened(
    pixels: np.ndarray, part: np.ndarray, rng: np.random.Generator, strength: float
) -> np.ndarray:
    """Lay light and shade in streaks on one part: hair that shines, and hair in its own shadow.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        part: (H, W) bool.
        rng: draws how the streaks lie, how wide they are, and their tint.
        strength: most of a streak's cover, 0…1.
    """
    height, width = part.shape
    knots = rng.normal(0, 1, (rng.integers(3, 9), rng.integers(3, 9))).astype(np.float32)
    waves = cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)
    # The colour beside hair is often what shines in it: skin's, the lamp's, or black.
    tint = rng.choice([rng.uniform(150, 255, 3), rng.uniform(90, 230) * _SKIN_RGB, np.zeros(3)])
    cover = np.clip((waves - rng.uniform(0.2, 1.0)) * rng.uniform(1, 4), 0, 1)
    cover *= cv2.GaussianBlur(part.astype(np.float32), (0, 0), 1.0) * rng.uniform(0.2, strength)
    mixed = pixels + cover[..., None] * (tint.astype(np.float32) - pixels)
    return (mixed + 0.5).astype(np.uint8)
