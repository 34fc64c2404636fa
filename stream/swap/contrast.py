"""How deep the darks of a face are in a picture: what is black in reality, beside its skin.

Pupils and lashes are black in all people. How much darker than skin a picture shows them says what
its light, lens and tone curve leave of a contrast: 0.6 (of the natural logarithm) in soft, hazy
light, 2 in a crisp photo. Brows of a crisp photo that kept their contrast would be blacker than
the lashes below them on a soft face, and look painted on. So the darks of the source are squeezed
into the depth that the target's have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.swap.holes import BROWS, EYES

if TYPE_CHECKING:
    from stream.swap.shape import FaceShape

# Face Mesh's points of bare skin beside each eye: cheek, cheekbone, nose, between the brows.
_BESIDE = (np.array([50, 118, 101, 6, 9, 151]), np.array([280, 347, 330, 6, 9, 151]))
_BLUR = 0.012  # of the distance of the eyes: what one lash or one spot of gloss does not change
_DARKEST = 10  # per cent of the pixels of eyes or brows
_LEAST_OPEN = 0.2  # height over width: an eye less open shows no pupil
_LEAST_PX = 12.0  # between the eyes: in less nothing is to be seen
_EVERY, _SHARE = 4, 0.25  # frames between two looks; of a new one in what is used
_LIFT = 4.0  # grey levels, so that the logarithm of black is finite
_LEAST_DEPTH = 0.3
_BOUNDS = (-0.15, 0.5)  # a blurred photo makes darks shallow, too; brows shall stay brows


def depth_of_darks(pixels: np.ndarray, points_px: np.ndarray, eyes_px: float) -> float | None:
    """Return how much darker than skin the darks about the eyes are, of the natural logarithm.

    Args:
        pixels: (H, W, 3) uint8.
        points_px: (478, 2) tracked points.
        eyes_px: distance of the outer corners of the eyes.

    Returns:
        Above 0; None where no open eye is to be seen.
    """
    if eyes_px < _LEAST_PX:
        return None
    found = [
        depth
        for eye, brow, beside in zip(EYES, BROWS, _BESIDE, strict=True)
        if _open(points_px[eye])
        and (depth := _depth(pixels, points_px, (eye, brow), beside, eyes_px)) is not None
    ]
    return max(found, default=None)


def _open(contour: np.ndarray) -> bool:
    width = float(np.linalg.norm(contour[8] - contour[0]))
    return float(np.linalg.norm(contour[4] - contour[12])) > _LEAST_OPEN * width


def _depth(
    pixels: np.ndarray, points_px: np.ndarray, parts: tuple[np.ndarray, ...], beside: np.ndarray,
    eyes_px: float,
) -> float | None:  # fmt: skip
    """Return the depth about one eye, or None where it lies off the picture."""
    used = points_px[np.concatenate([*parts, beside])]
    low, high = np.floor(used.min(axis=0)).astype(int) - 2, np.ceil(used.max(axis=0)).astype(int)
    size = np.array(pixels.shape[1::-1])
    if (low < 0).any() or (high + 2 > size).any():
        return None
    crop = np.ascontiguousarray(pixels[low[1] : high[1] + 2, low[0] : high[0] + 2])
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (0, 0), _BLUR * eyes_px + 0.3)
    x, y = np.round(points_px[beside] - low - 0.5).astype(int).T
    skin = float(np.median(grey[y, x]))
    darkest = [skin]
    for part in parts:
        mask = np.zeros_like(grey)
        cv2.fillPoly(mask, [np.round(points_px[part] - low - 0.5).astype(np.int32)], 255)
        darkest.append(float(np.percentile(grey[mask > 0], _DARKEST)) if mask.any() else skin)
    return max(float(np.log((skin + _LIFT) / (min(darkest) + _LIFT))), _LEAST_DEPTH)


class Darks:
    """Follows how much the darks of a source are to be squeezed on one face of the stream."""

    def __init__(self) -> None:
        self._depth: float | None = None
        self._frames = 0

    def __call__(self, pixels: np.ndarray, shape: FaceShape, source_depth: float) -> float:
        """Return what is to be added to 1 / depth of all that is darker than the source's skin.

        So what is as dark as the source's eyes becomes as dark as the target's, and the less
        something differs from skin the less it changes: 1 / d' = 1 / d + 1 / target - 1 / source.

        Args:
            pixels: (H, W, 3) uint8, the frame.
            shape: the geometry of the face.
            source_depth: see `depth_of_darks`, of the photo.

        Returns:
            0 where the frame's darks are as deep as the photo's, below where they are deeper.
        """
        if self._depth is None or self._frames % _EVERY == 0:
            self._look(pixels, shape)
        self._frames += 1
        if self._depth is None:
            return 0.0
        return float(np.clip(1 / self._depth - 1 / source_depth, *_BOUNDS))

    def _look(self, pixels: np.ndarray, shape: FaceShape) -> None:
        found = depth_of_darks(pixels, shape.tracked_px, shape.eyes_px)
        if found is not None:
            last = found if self._depth is None else self._depth
            self._depth = last + _SHARE * (found - last)
