"""Laying a drawn face over the frame: where it covers, and how its border fades."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from stream.region import Region
from stream.swap.holes import kept_mask
from stream.swap.shape import SKIN

if TYPE_CHECKING:
    from stream.head_model import HeadModel
    from stream.swap.options import SwapSettings
    from stream.swap.shape import FaceShape

AROUND, CLOSE = 0.22, 0.01  # of the face's size: margin of what may change, and of the face
_SNAP_PX = 16
_RIM = 0.085  # of the distance of the eyes: how far inside of its outline a face is whole
_INSIDE = 0.7  # of that: where the border is half faded


class Laid(NamedTuple):
    """A face that was laid over a frame.

    Attributes:
        region: where, in frame pixels.
        cover: (h, w) uint8, how far it covers.
        under: (h, w, 3) uint8, what is under it: the frame, moved to meet the new outline.
    """

    region: Region
    cover: np.ndarray
    under: np.ndarray


def face_region(
    shape: FaceShape, model: HeadModel, size: tuple[int, int], margin: float = AROUND
) -> Region:
    """Return the part of a frame that a swap may change, or that the face itself lies in.

    Args:
        shape: the geometry of the face.
        model: the head model.
        size: (width, height) of the frame.
        margin: of the face's size, around it.
    """
    places = shape.drawn_px[model.labels == SKIN]
    low, high = places.min(axis=0), places.max(axis=0)
    slack = margin * float((high - low).max())
    x0, y0 = (np.floor((low - slack) / _SNAP_PX).astype(int) * _SNAP_PX).tolist()
    x1, y1 = (np.ceil((high + slack) / _SNAP_PX).astype(int) * _SNAP_PX).tolist()
    return Region(x0, y0, x1, y1).clipped(*size)


def covering(
    drawn: np.ndarray,
    shape: FaceShape,
    region: Region,
    hidden: np.ndarray | None,
    settings: SwapSettings,
) -> np.ndarray:
    """Return (h, w) uint8 how far the drawn face covers the frame.

    Args:
        drawn: (h, w, 4) uint8; the fourth channel says where the face was drawn.
        shape: its geometry.
        region: where it lies in the frame.
        hidden: (h, w) uint8, what is in front of the face, where it lies under it, or None.
        settings: `mouth`, `keep_brows` and `softness` are used.
    """
    cover = cv2.extractChannel(drawn, 3)
    cover = cv2.min(cover, _rim(cover, shape.eyes_px, settings.softness))
    cover = _less(cover, kept_mask(shape, region, settings))
    if hidden is not None:
        cover = _less(cover, hidden)
    return cover


def laid(skin: np.ndarray, under: np.ndarray, cover: np.ndarray, level: float) -> np.ndarray:
    """Lay (h, w, 3) skin over what is under it, by a cover of 0…255 and a level of 0…1."""
    share = cover.astype(np.float32) * np.float32(level / 255)
    return cv2.blendLinear(skin, under, share, 1 - share)


def _rim(cover: np.ndarray, eyes_px: float, softness: float) -> np.ndarray:
    """Return a mask that fades towards the outline of what was drawn, from the inside."""
    width = max(1.0, _RIM * (0.4 + 1.2 * softness) * eyes_px)
    contours, _ = cv2.findContours(
        cv2.threshold(cover, 0, 255, cv2.THRESH_BINARY)[1],
        cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE,
    )  # fmt: skip
    whole = cv2.drawContours(np.zeros_like(cover), contours, -1, 255, cv2.FILLED)
    shrink = max(1, int(width / 4))  # so soft a mask needs no more pixels
    small = (cover.shape[1] // shrink, cover.shape[0] // shrink)
    whole = cv2.resize(whole, small, interpolation=cv2.INTER_AREA)
    size = 2 * round(_INSIDE * width / shrink) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    soft = cv2.GaussianBlur(cv2.erode(whole, kernel), (0, 0), width / shrink / 2)
    return cv2.resize(soft, cover.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _less(cover: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return cv2.multiply(cover, cv2.bitwise_not(mask), scale=1 / 255)
