"""The layers that a photo is taken apart into, so that at rest they give it back.

The layer that moves is F = I − (1 − α)·B, the photo minus what the background B shows through
the matte α. B is a guess behind the person; where it is too bright, F would be less than no
light. At rest another background, B₀ = (I − F) / (1 − α), makes up for that; as the head moves,
what lay hidden comes into sight, and B takes its place, so that no trace of the outline stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import smoothstep
from stream.sight import told_background
from stream.warp import premultiplied_layer

if TYPE_CHECKING:
    from stream.sight import Sight

_DENSE = (0.3, 0.6)  # cover from which on a pixel surely holds something of the person
_BEHIND = 6  # of the matte: less is surely background
_AROUND = 0.05  # of the longer side, over which it is looked at
_BUSY = (8.0, 25.0)  # standard deviation of its brightness from which it is busy, and very much so
_SOFT = (0.0, 0.3)  # of the matte, missing: colours may be the scenery's, and are not believed
_TRIM = 0.2  # of the matte, that is cut off then


def denser_matte(picture: np.ndarray, matte: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Return (h, w) uint8, a matte that leaves no pixel with less than no light.

    A dark hair before a bright background covers it by more than 1 − I / B. Where the matte is
    slight, the guess of the background may be as wrong as the matte, and stays.

    Args:
        picture: (h, w, 3) uint8, I.
        matte: (h, w) uint8, α · 255.
        plate: (h, w, 3) uint8, B.
    """
    alpha = matte.astype(np.float32) / 255
    least = 1 - (picture.astype(np.float32) / np.maximum(plate, 1)).min(axis=2)
    sure = np.clip((alpha - _DENSE[0]) / (_DENSE[1] - _DENSE[0]), 0, 1)
    return np.asarray(np.ceil(255 * (alpha + sure * np.maximum(least - alpha, 0))), np.uint8)


def firmer_matte(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """Return (h, w) uint8, a matte whose soft edge is narrower where what is behind is busy.

    There it cannot be told what in a mixed pixel is hair and what is scenery, and scenery that
    turns with the head catches the eye more than hair that is trimmed.

    Args:
        picture: (h, w, 3) uint8 RGB.
        matte: (h, w) uint8.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    side = 2 * round(_AROUND * max(grey.shape) / 2) + 1
    seen = (matte < _BEHIND).astype(np.float32)
    weight, total, squares = (
        cv2.boxFilter(part, -1, (side, side)) for part in (seen, seen * grey, seen * grey**2)
    )
    mean = total / np.maximum(weight, 1e-3)
    contrast = np.sqrt(np.maximum(squares / np.maximum(weight, 1e-3) - mean**2, 0))
    busy = smoothstep(contrast, *_BUSY)
    alpha = np.clip((matte / 255.0 - _TRIM * busy) / (1 - 1.5 * _TRIM * busy), 0, 1)
    return np.asarray(np.rint(255 * alpha), np.uint8)


def without_told_background(matte: np.ndarray, sight: Sight) -> np.ndarray:
    """Return (h, w) uint8, a matte without what the labels surely tell from the person.

    The matte follows edges in the picture, and so fills the notch between an ear and the jaw with
    the wall that shows there. Labels are coarser, but know that; near hair they are no help.

    Args:
        matte: (h, w) uint8.
        sight: of the same picture; without labels nothing changes.
    """
    if sight.labels is None:
        return matte
    kept = 1 - cv2.resize(told_background(sight.labels), matte.shape[::-1])
    return np.asarray(np.rint(matte * kept), np.uint8)


def moving_layer(
    picture: np.ndarray, matte: np.ndarray, plate: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Return (h, w, 4) uint8, F with α as fourth channel: no more light than what covers gives.

    The softer the matte, the less is I − (1 − α)·B worth, and the more counts what the head's
    own colour may be, within what some background can make up for.

    Args:
        picture: (h, w, 3) uint8, I.
        matte: (h, w) uint8, α · 255.
        plate: (h, w, 3) uint8, B.
        own: (h, w, 3) uint8, colour of what moves.
    """
    cover, light = matte.astype(np.float32)[..., None], picture.astype(np.float32)
    seen = premultiplied_layer(picture, matte, plate)[..., :3]
    colours = seen + smoothstep(1 - cover / 255, *_SOFT) * (own * (cover / 255) - seen)
    least, most = np.maximum(light + cover - 255, 0), np.minimum(light, cover)
    return np.dstack([np.rint(np.clip(colours, least, most)), cover]).astype(np.uint8)


def background_at_rest(picture: np.ndarray, layer: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) uint8, B₀: behind the layer at rest, it gives the picture exactly.

    Args:
        picture: (h, w, 3) uint8, I.
        layer: (h, w, 4) uint8, F and α, as of `moving_layer`.
        plate: (h, w, 3) uint8, B; where that gives the picture, or the person hides all, it stays.
    """
    through = np.maximum(1 - layer[..., 3:] / np.float32(255), 1e-3)
    left = picture.astype(np.float32) - layer[..., :3]
    least, most = np.ceil((left - 0.5) / through), np.floor((left + 0.5) / through)
    rest = np.clip(np.minimum(np.maximum(plate, least), most), 0, 255)
    rest = np.where(layer[..., 3:] == 255, plate, rest)
    return np.where(layer[..., 3:] == 0, picture, rest).astype(np.uint8)


def laid_over(picture: np.ndarray, matte: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) uint8 of a picture's foreground over a plate, as the matte covers it."""
    share = matte.astype(np.float32)[..., None] / 255
    return np.asarray(np.rint(share * picture + (1 - share) * plate), np.uint8)
