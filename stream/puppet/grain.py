"""The grain of a photo's skin: pores, film grain, brush strokes; for skin that lost its own.

Skin that is guessed, or averaged across the streaks of a stretched picture, is smooth, and would
look like plastic beside the rest.
"""

from __future__ import annotations

import cv2
import numpy as np

_CHEEKS = np.array([[50, 205], [280, 425]])  # points of the right and of the left cheek
_EYE_CORNERS = (33, 263)
_SIDE = 0.36  # of the distance between the eyes' outer corners: what is looked at
_LEAST_PX = 8
_COARSEST = 1 / 45  # of the same distance: what is coarser is no grain, but form
_MOST = 3.0  # times the median: more is a mole or a wrinkle, and would be seen to repeat


def skin_grain(pixels: np.ndarray, points_px: np.ndarray) -> np.ndarray:
    """Return a tile of the grain of the cheek that is seen better.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        points_px: (N, 2) tracked points.

    Returns:
        (2n, 2n, 4) uint8, 128 where there is none, that goes on in itself on all sides.
    """
    eyes_px = float(np.linalg.norm(np.subtract(*points_px[list(_EYE_CORNERS)])))
    widths = np.abs(points_px[_CHEEKS].mean(axis=1)[:, 0] - points_px[1, 0])  # from the nose
    centre = points_px[_CHEEKS[int(widths.argmax())]].mean(axis=0)
    half = max(round(_SIDE * eyes_px / 2), _LEAST_PX // 2)
    sigma = max(_COARSEST * eyes_px, 1.0)
    margin = half + int(3 * sigma) + 1
    between = np.floor(centre) + 0.5  # of two pixels, so that no pixel is averaged
    patch = cv2.getRectSubPix(pixels, (2 * margin, 2 * margin), tuple(map(float, between)))
    detail = patch.astype(np.float32) - cv2.GaussianBlur(patch.astype(np.float32), (0, 0), sigma)
    inner = slice(margin - half, margin + half)
    detail = detail[inner, inner] - detail[inner, inner].mean(axis=(0, 1))
    most = max(_MOST * float(np.median(np.abs(detail))), 1.0)
    detail = np.clip(detail, -most, most)
    row = np.hstack([detail, detail[:, ::-1]])
    tile = np.vstack([row, row[::-1]])
    full = np.full((*tile.shape[:2], 1), 255, np.float32)
    return np.asarray(np.rint(np.dstack([tile + 128, full])), np.uint8)
