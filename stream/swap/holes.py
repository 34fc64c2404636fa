"""What stays the target's own: eyes, the inside of the mouth, and by wish lips and brows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from stream.region import Region
    from stream.swap.options import SwapSettings
    from stream.swap.shape import FaceShape


def _numbers(text: str) -> np.ndarray:
    return np.array(text.split(), int)


# Contours of MediaPipe's mesh, in order around.
_EYES = (
    _numbers("33 7 163 144 145 153 154 155 133 173 157 158 159 160 161 246"),
    _numbers("263 249 390 373 374 380 381 382 362 398 384 385 386 387 388 466"),
)
_INNER_LIPS = _numbers("78 95 88 178 87 14 317 402 318 324 308 415 310 311 312 13 82 81 80 191")
_OUTER_LIPS = _numbers("61 146 91 181 84 17 314 405 321 375 291 409 270 269 267 0 37 39 40 185")
_BROWS = (
    _numbers("70 63 105 66 107 55 65 52 53 46"),
    _numbers("300 293 334 296 336 285 295 282 283 276"),
)
_SUBPIXEL_BITS = 4
_CALM = 0.012  # of the distance of the eyes: width of the soft edge
_LID_MARGIN = 0.002  # the hole of the eye reaches so far beyond the lids' edges
_LIP_MARGIN = 0.015  # likewise of the mouth
_BLINK = (0.06, 0.2)  # height over width of an eye: shut, and open
_BLINK_MARGIN = 0.11  # of the distance of the eyes: a lid that comes down is the target's own


def kept_mask(shape: FaceShape, region: Region, settings: SwapSettings) -> np.ndarray:
    """Return (h, w) uint8, 255 where the target's own pixels stay.

    Args:
        shape: the geometry of the face; contours are those of the drawn one.
        region: of the frame.
        settings: `mouth` and `keep_brows` are used.
    """
    mask = np.zeros((region.height, region.width), np.uint8)
    points = shape.points_px - [region.x0, region.y0] - 0.5
    for eye in _EYES:
        _fill(mask, points[eye], _eye_margin(points[eye]) * shape.eyes_px)
    if settings.mouth:
        _fill(mask, points[_OUTER_LIPS], 0.02 * shape.eyes_px)
    else:
        _fill(mask, points[_INNER_LIPS], _LIP_MARGIN * shape.eyes_px)
    if settings.keep_brows:
        for brow in _BROWS:
            _fill(mask, points[brow], 0.05 * shape.eyes_px)
    return _softened(mask, _CALM * shape.eyes_px)


def _eye_margin(contour: np.ndarray) -> float:
    """Return how far the hole reaches beyond the lids: farther where they close."""
    width = float(np.linalg.norm(contour[8] - contour[0]))
    height = float(np.linalg.norm(contour[4] - contour[12]))
    ratio = height / max(width, 1e-6)
    open_share = float(np.clip((ratio - _BLINK[0]) / (_BLINK[1] - _BLINK[0]), 0, 1))
    return float(_LID_MARGIN + (1 - open_share) * (_BLINK_MARGIN - _LID_MARGIN))


def _fill(mask: np.ndarray, contour: np.ndarray, margin_px: float) -> None:
    """Fill a contour, widened by a margin or narrowed by a negative one, in place."""
    fixed = np.round(contour * 2**_SUBPIXEL_BITS).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    thick = round(2 * abs(margin_px))
    if thick >= 1:
        colour = 255 if margin_px > 0 else 0
        cv2.polylines(mask, [fixed], True, colour, thick, cv2.LINE_AA, _SUBPIXEL_BITS)


def _softened(mask: np.ndarray, width_px: float) -> np.ndarray:
    return cv2.GaussianBlur(mask, (0, 0), max(0.6, width_px))
