"""Glasses stay in front: their frames, found as thin lines around the eyes that skin has not.

Thin metal is below what the segmentation network resolves. A line that crosses the bridge of the
nose tells that glasses are worn; then the lines in the zone of the lenses, bridge and temples,
steady over some frames, are kept. Lids, lashes and brows are lines, too, and are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from stream.region import Region

_WIDTH, _HEIGHT = 240, 108  # of the patch that is looked at, pixels
_SPAN = 1.9  # distances of the eyes across the patch
_BELOW = 0.12  # middle of the patch under the line of the eyes, in distances of the eyes
_LINE_PX = 9  # thicker is no line
_BRIDGE = (0.07, 0.17, 0.10)  # half its width, how far it reaches up and down
_LENS, _TEMPLE = 0.37, 0.16  # radius about an eye; half the height of the temples
_EYES, _BROWS = (
    (33, 133, 362, 263),
    (
        (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
        (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
    ),
)
_NOSE = (197, 131, 360, 98, 327, 2)
_LIDS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
_LID_MARGIN, _BROW_MARGIN = 0.03, 0.035
_WORN, _OFF = 9.0, 5.0  # grey levels of the line over the bridge: put on, and taken off
_FAINT_SHARE, _FAINT = 0.16, (3.5, 9.0)  # of that line, and grey levels: faintest part of a line
_STRONG_PX = 6  # of a line that is surely one
_SHARE = 0.2  # of a new frame
_BARE_EVERY = 3  # frames between two looks at a face without
_GROWN_PX = 3


class Glasses:
    """Follows the glasses of one face."""

    def __init__(self) -> None:
        self._lines: np.ndarray | None = None
        self._bridge, self._frames = 0.0, 0
        self.worn = False

    def __call__(
        self, pixels: np.ndarray, points_px: np.ndarray, region: Region
    ) -> np.ndarray | None:
        """Return (h, w) uint8, 255 where glasses are in a region; None where none are worn.

        Args:
            pixels: (H, W, 3) uint8, the frame.
            points_px: (478, 2) tracked points of the face.
            region: of the frame.
        """
        self._frames += 1
        if not self.worn and self._frames % _BARE_EVERY and self._frames > _BARE_EVERY:
            return None
        patch_from_frame = _patch_from_frame(points_px)
        way = cv2.INTER_AREA if np.linalg.det(patch_from_frame[:, :2]) < 1 else cv2.INTER_LINEAR
        patch = cv2.warpAffine(pixels, patch_from_frame, (_WIDTH, _HEIGHT), flags=way,
                               borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
        lines = _thin_lines(patch)
        share = 1.0 if self._lines is None else _SHARE
        before = lines if self._lines is None else self._lines
        self._lines = cv2.addWeighted(lines, share, before, 1 - share, 0)
        self._bridge += share * (_bridge_line(lines) - self._bridge)
        self.worn = self._bridge > (_OFF if self.worn else _WORN)
        if not self.worn:
            return None
        points = points_px @ patch_from_frame[:, :2].T + patch_from_frame[:, 2]
        faint = float(np.clip(_FAINT_SHARE * self._bridge, *_FAINT))
        mask = _connected(self._lines * _zone(points), faint)
        shifted = patch_from_frame.copy()
        shifted[:, 2] += patch_from_frame[:, :2] @ np.array(region[:2])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(mask, shifted, (region.width, region.height), flags=flags)


def _connected(lines: np.ndarray, faintest: float) -> np.ndarray:
    """Return (h, w) uint8, 255 on faint lines that hang together with strong ones."""
    faint = cv2.dilate((lines > faintest).astype(np.uint8), np.ones((3, 3), np.uint8))
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(faint)
    strong = np.bincount(numbers[lines > 2 * faintest], minlength=count) >= _STRONG_PX
    strong &= stats[:, cv2.CC_STAT_AREA] >= _STRONG_PX
    strong[0] = False
    soft = np.clip((lines - 0.7 * faintest) * (255 / faintest), 0, 255).astype(np.uint8)
    return cv2.dilate(soft * strong[numbers], np.ones((_GROWN_PX,) * 2, np.uint8))


def _patch_from_frame(points_px: np.ndarray) -> np.ndarray:
    """Return the (2, 3) map that lays the eyes level and at a fixed distance."""
    first, last = points_px[_EYES[0]].astype(np.float64), points_px[_EYES[3]].astype(np.float64)
    across = last - first
    apart = max(float(np.linalg.norm(across)), 1e-3)
    along = across / apart
    turned = np.array([along, [-along[1], along[0]]]) * (_WIDTH / (_SPAN * apart))
    middle = (first + last) / 2 + np.array([-along[1], along[0]]) * _BELOW * apart
    shift = np.array([_WIDTH, _HEIGHT]) / 2 - turned @ middle
    return np.column_stack([turned, shift])


def _thin_lines(patch: np.ndarray) -> np.ndarray:
    """Return (h, w) float32 grey levels by which lines are darker or brighter than around."""
    grey = cv2.GaussianBlur(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_LINE_PX, _LINE_PX))
    dark, bright = (
        cv2.morphologyEx(grey, way, kernel) for way in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT)
    )
    return cv2.max(dark, bright).astype(np.float32)


def _bridge_line(lines: np.ndarray) -> float:
    """Return how strong a line is that crosses the bridge of the nose from side to side."""
    unit = _WIDTH / _SPAN
    middle, row = _WIDTH / 2, _HEIGHT / 2 - _BELOW * unit
    half, up, down = (part * unit for part in _BRIDGE)
    part = lines[int(row - up) : int(row + down), int(middle - half) : int(middle + half) + 1]
    # A bridge may bend by a pixel or two from column to column.
    near = cv2.dilate(part, np.ones((3, 1), np.uint8))
    return float(np.percentile(near, 20, axis=1).max())


def _zone(points: np.ndarray) -> np.ndarray:
    """Return (h, w) float32, 1 where glasses can be: around lenses, bridge and temples."""
    unit = _WIDTH / _SPAN
    zone = np.zeros((_HEIGHT, _WIDTH), np.uint8)
    row = round(float(points[list(_EYES), 1].mean()))
    for outer, inner in (_EYES[:2], _EYES[:1:-1]):
        middle = tuple(np.round((points[outer] + points[inner]) / 2).astype(int).tolist())
        cv2.circle(zone, middle, round(_LENS * unit), 255, -1)
    high = round(_TEMPLE * unit)
    cv2.rectangle(zone, (0, row - high), (_WIDTH, row + high // 2), 255, -1)
    cv2.fillConvexPoly(zone, cv2.convexHull(np.round(points[list(_NOSE)]).astype(np.int32)), 0)
    for lids in _LIDS:
        _leave_out(zone, points[list(lids)], _LID_MARGIN * unit)
    for brow in _BROWS:
        _leave_out(zone, points[list(brow)], _BROW_MARGIN * unit)
    zone[: max(0, round(float(points[list(_BROWS[0] + _BROWS[1]), 1].mean())))] = 0
    return cv2.GaussianBlur(zone, (5, 5), 0).astype(np.float32) / 255


def _leave_out(zone: np.ndarray, contour: np.ndarray, margin: float) -> None:
    hull = cv2.convexHull(np.round(contour).astype(np.int32))
    cv2.fillConvexPoly(zone, hull, 0)
    cv2.polylines(zone, [hull], True, 0, max(1, round(2 * margin)))
