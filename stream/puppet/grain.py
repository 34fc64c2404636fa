"""The grain of a photo, and its blur: for what is guessed, and would look cleaner than the rest.

Pores, film grain, brush strokes, plaster: skin that is guessed, or averaged across the streaks of a
stretched picture, is smooth, and would look like plastic beside the rest; so would a wall that is
guessed behind a head.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.nearest import Nearest

_CHEEKS = np.array([[50, 205], [280, 425]])  # points of the right and of the left cheek
_EYE_CORNERS = (33, 263)
_SIDE = 0.36  # of the distance between the eyes' outer corners: what is looked at
_LEAST_PX = 8
_COARSEST = 1 / 45  # of the same distance: what is coarser is no grain, but form
_SAME = 3  # grey levels below which the guess is what is seen
_WALL_SHARE = 1 / 150  # of the longer side: what is coarser is no grain of a background
_REBLUR = 1 / 50  # of the distance of the eyes: by what edges are blurred again to tell their blur
_STRONGEST, _SHARPER = 97.0, 25.0  # percentiles: edges that are looked at; those that tell
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


def blur_px(pixels: np.ndarray, points_px: np.ndarray) -> float:
    """Return how blurred the edges of a face are: the deviation of a Gaussian, pixels.

    An edge of deviation σ has √(σ² + τ²) / σ times the gradient of the same edge blurred by τ
    again (Zhuo and Sim: "Defocus map estimation from a single image", Pattern Recognition 2011).

    Args:
        pixels: (H, W, 3) uint8 RGB.
        points_px: (N, 2) tracked points.
    """
    eyes_px = float(np.linalg.norm(np.subtract(*points_px[list(_EYE_CORNERS)])))
    again = max(_REBLUR * eyes_px, 1.0)
    low, high = np.floor(points_px.min(axis=0)), np.ceil(points_px.max(axis=0))
    (x0, y0), (x1, y1) = np.maximum(low, 0).astype(int), high.astype(int)
    face = np.ascontiguousarray(pixels[y0:y1, x0:x1])
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
    steep, flatter = (
        np.hypot(cv2.Sobel(one, cv2.CV_32F, 1, 0), cv2.Sobel(one, cv2.CV_32F, 0, 1))
        for one in (grey, cv2.GaussianBlur(grey, (0, 0), again))
    )
    edges = steep >= max(float(np.percentile(steep, _STRONGEST)), 1.0)
    if not edges.any():
        return 0.0
    ratio = np.maximum(steep[edges] / np.maximum(flatter[edges], 1e-3), 1.01)
    return float(np.percentile(again / np.sqrt(ratio**2 - 1), _SHARPER))


def grained_background(picture: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) uint8, a background that is guessed in part, with grain there, too.

    The grain is that of the nearest background that is seen, mirrored at its border.

    Args:
        picture: (h, w, 3) uint8, what is seen.
        plate: (h, w, 3) uint8, the same where it is background.
    """
    seen = (cv2.absdiff(picture, plate).max(axis=2) < _SAME).astype(np.uint8)
    sigma = max(_WALL_SHARE * max(seen.shape), 1.0)
    far = 2 * int(2 * sigma) + 1  # what lies beside the head must not ring in the detail
    sure = cv2.erode(seen, np.ones((far, far), np.uint8), borderValue=1)
    if not sure.any() or sure.all():
        return plate
    whole = plate.astype(np.float32)
    detail = whole - cv2.GaussianBlur(whole, (0, 0), sigma)
    most = max(_MOST * float(np.median(np.abs(detail[sure > 0]))), 1.0)
    detail = np.clip(detail, -most, most)
    rows, columns = np.mgrid[: seen.shape[0], : seen.shape[1]].astype(np.float32)
    places = np.dstack([columns, rows])
    across = 2 * Nearest.among(sure > 0).spread(places) - places
    grain = cv2.remap(detail * sure[..., None], across[..., 0], across[..., 1], cv2.INTER_NEAREST)
    own = cv2.GaussianBlur(1 - seen.astype(np.float32), (0, 0), 1.0)[..., None]
    return np.clip(np.rint(whole + own * grain), 0, 255).astype(np.uint8)
