"""What stays the target's own: eyes, the inside of the mouth, and by wish lips and brows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import smoothstep

if TYPE_CHECKING:
    from stream.region import Region
    from stream.swap.options import SwapSettings
    from stream.swap.shape import FaceShape


def _numbers(text: str) -> np.ndarray:
    return np.array(text.split(), int)


# Contours of MediaPipe's mesh, in order around; the lids from their edges to their creases.
EYES = (
    _numbers("33 7 163 144 145 153 154 155 133 173 157 158 159 160 161 246"),
    _numbers("263 249 390 373 374 380 381 382 362 398 384 385 386 387 388 466"),
)
_CREASES = (
    _numbers("130 25 110 24 23 22 26 112 243 190 56 28 27 29 30 247"),
    _numbers("359 255 339 254 253 252 256 341 463 414 286 258 257 259 260 467"),
)
INNER_LIPS = _numbers("78 95 88 178 87 14 317 402 318 324 308 415 310 311 312 13 82 81 80 191")
OUTER_LIPS = _numbers("61 146 91 181 84 17 314 405 321 375 291 409 270 269 267 0 37 39 40 185")
_MIDDLE_LIPS = [13, 14]
BROWS = (
    _numbers("70 63 105 66 107 55 65 52 53 46"),
    _numbers("300 293 334 296 336 285 295 282 283 276"),
)
_SUBPIXEL_BITS = 4
_CALM = 0.012  # of the distance of the eyes: width of the soft edge
_LID_MARGIN = 0.002  # the hole of the eye reaches so far beyond the lids' edges
_LIP_MARGIN = 0.015  # likewise of the mouth
_LIP_SHARES, _PARTED = (0.15, 0.55), (0.0, 0.06)  # the target's of shut and of parted lips, which
# are so far apart, in distances of the eyes
_BLINK = (0.12, 0.24)  # height over width of an eye: shut, and open
_SHUT_SOFT, _SHUT_GROWN = 0.035, 1.4  # edge of the hole of a shut eye; its size, in creases


def kept_mask(shape: FaceShape, region: Region, settings: SwapSettings) -> np.ndarray:
    """Return (h, w) uint8, 255 where the target's own pixels stay.

    Args:
        shape: the geometry of the face; contours are those of the drawn one.
        region: of the frame.
        settings: `mouth` and `keep_brows` are used.
    """
    mask = np.zeros((region.height, region.width), np.uint8)
    points, unit = shape.points_px - [region.x0, region.y0] - 0.5, shape.eyes_px
    calm = max(0.6, _CALM * unit)
    for edge, crease in zip(EYES, _CREASES, strict=True):
        shut = _shut(points[edge], points[crease])
        hole = points[edge] + shut * _SHUT_GROWN * (points[crease] - points[edge])
        _keep(mask, hole, _LID_MARGIN * unit, calm + shut * (_SHUT_SOFT - _CALM) * unit)
    _keep(mask, points[INNER_LIPS], _LIP_MARGIN * unit, calm)
    _keep(mask, points[OUTER_LIPS], 0.02 * unit if settings.mouth else 0.0, calm,
          1.0 if settings.mouth else _lip_share(points[_MIDDLE_LIPS], unit))  # fmt: skip
    if settings.keep_brows:
        for brow in BROWS:
            _keep(mask, points[brow], 0.05 * unit, calm)
    return mask


def _lip_share(middle: np.ndarray, eyes_px: float) -> float:
    """Return how much of the lips is the target's: more as they part, so that it can be seen.

    Between lips that are thin or pale, the target's, of which a rim shows, would look shut.
    """
    apart = float(np.linalg.norm(middle[1] - middle[0])) / eyes_px
    shut, parted = _LIP_SHARES
    return shut + (parted - shut) * float(smoothstep(apart, *_PARTED))


def _shut(edge: np.ndarray, crease: np.ndarray) -> float:
    """Return how far an eye is shut, 0…1: the lid that then shows is the target's own."""
    width = float(np.linalg.norm(edge[8] - edge[0]))
    down = crease[4] - crease[12]
    # Lids that a fit has pushed over each other are shut, not open.
    height = float((edge[4] - edge[12]) @ down) / max(float(np.linalg.norm(down)), 1e-6)
    return 1 - float(smoothstep(height / max(width, 1e-6), *_BLINK))


def _keep(
    mask: np.ndarray, contour: np.ndarray, margin_px: float, soft_px: float, share: float = 1.0
) -> None:
    """Keep what a contour, widened by a margin, encloses, with a soft edge, in place."""
    slack = margin_px + 3 * soft_px + 2
    low = np.maximum(np.floor(contour.min(axis=0) - slack).astype(int), 0)
    high = np.minimum(np.ceil(contour.max(axis=0) + slack).astype(int), mask.shape[::-1])
    if (high <= low).any():
        return
    part = mask[low[1] : high[1], low[0] : high[0]]
    hole = np.zeros_like(part)
    fixed = np.round((contour - low) * 2**_SUBPIXEL_BITS).astype(np.int32)
    cv2.fillPoly(hole, [fixed], 255 * share, cv2.LINE_AA, _SUBPIXEL_BITS)
    thick = round(2 * margin_px)
    if thick >= 1:
        cv2.polylines(hole, [fixed], True, 255 * share, thick, cv2.LINE_AA, _SUBPIXEL_BITS)
    part[:] = cv2.max(part, cv2.GaussianBlur(hole, (0, 0), soft_px))
