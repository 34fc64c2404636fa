"""Texture without shapes, as of plaster, canvas or grass, goes on into what was never seen.

Of such texture no two pieces match. A search for the most alike patch finds plain ones, and the
same one again and again, so that it ends in smears at the border of what is hidden. Where it
outweighs shapes, and a fill has lost it, what is finer than shapes is mirrored at that border
instead; shapes stay as they were filled. Of stripes and tiles a fill loses nothing.
"""

import cv2
import numpy as np

from stream.fill import mean_around, pull_push
from stream.geometry import smoothstep
from stream.inpaint_field import places_of, reduced_size
from stream.nearest import Nearest

_SIDE = 384  # longer side of the picture on which texture is told from shapes
_FINE, _COARSE, _AROUND = 3.0, 9.0, 12.0  # blur: all finer is texture, then shapes; means of both
_QUIET = 0.5  # grey levels added to those of shapes: noise on a plain wall is not to be spread
_TEXTURED = (1.0, 1.6)  # texture over shapes, from which it begins to go on, and does
_KEPT = (0.7, 0.95)  # of it by a fill, from which that begins to be, and is, good enough
_CLEAN = 0.99  # share of a cell that must be known
_FOLD = 0.06  # of the longer side: so far from the border mirrored texture turns back
_FADES = (1.5, 2.5)  # folds from the border, between which it ends: farther in it is distorted
_LIMIT = 6.0  # medians of the absolute texture; what is stronger is a thing


def with_texture(filled: np.ndarray, picture: np.ndarray, barred: np.ndarray) -> np.ndarray:
    """Let texture without shapes go on where a picture is filled.

    Args:
        filled: (h, w, 3) float32, the picture with its fill.
        picture: (h, w, 3) uint8.
        barred: (h, w) uint8, 1 where it is not known, or nothing may be copied from.

    Returns:
        (h, w, 3) float32; ``filled`` itself where the surroundings hold no such texture.
    """
    height, width = barred.shape
    size = reduced_size(height, width, _SIDE)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    clean = cv2.resize(1.0 - barred, size, interpolation=cv2.INTER_AREA) > _CLEAN
    if not clean.any():
        return filled
    known = clean.astype(np.float32)
    low = mean_around(small, known, _FINE)
    rough = cv2.resize(filled, size, interpolation=cv2.INTER_AREA)
    calm = cv2.GaussianBlur(rough, (0, 0), _FINE)
    share = _lost(small - low, low, rough - calm, known)
    if share.max() == 0:
        return filled
    fine = picture - cv2.resize(low, (width, height))
    usable = cv2.resize(known, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    limit = _LIMIT * float(np.median(np.abs(fine[usable])))
    border = Nearest.among(usable)
    texture = np.clip(_mirrored(fine * usable[..., None], border), -limit, limit)
    better = cv2.resize(calm, (width, height)) + texture
    share = cv2.resize(share, (width, height))
    share *= 1 - smoothstep(border.distance_px / (_FOLD * max(height, width)), *_FADES)
    return filled + share[..., None] * (better - filled)


def _lost(fine: np.ndarray, low: np.ndarray, filled: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return (h, w) float32, 1 where texture outweighs shapes and a fill lost it, 0 elsewhere.

    Args:
        fine: (h, w, 3) what is finer than shapes.
        low: (h, w, 3) the rest.
        filled: (h, w, 3) what is so fine in the picture with its fill.
        known: (h, w) float32, 1 where the picture is known.
    """
    coarser = np.abs(low - mean_around(low, known, _COARSE)).mean(axis=-1)
    shapes = pull_push(mean_around(coarser, known, _AROUND), known)
    texture = pull_push(mean_around(np.abs(fine).mean(axis=-1), known, _AROUND), known)
    left = mean_around(np.abs(filled).mean(axis=-1), 1 - known, _AROUND) / np.maximum(texture, 1e-3)
    textured = smoothstep(texture / (shapes + _QUIET), *_TEXTURED)
    return np.asarray(textured * (1 - smoothstep(left, *_KEPT)), np.float32)


def _mirrored(fine: np.ndarray, border: Nearest) -> np.ndarray:
    """Return (h, w, 3) values of which those that are not usable are mirrored at their border."""
    height, width = fine.shape[:2]
    places = places_of(height, width)
    at, far = border.spread(places), border.distance_px[..., None]
    fold = np.float32(_FOLD * max(height, width))
    back = fold - np.abs(far % (2 * fold) - fold)
    source = at + (at - places) / np.maximum(far, 1e-3) * back
    return cv2.remap(fine, source, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)
