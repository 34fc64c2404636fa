"""Fill what was never seen with pieces of what was: slow work, done beside the live path.

Which piece goes where is found on a reduced picture (`stream.inpaint_field`). Here pieces are
fitted to each other on a finer one, and copied at full resolution with their grain.
"""

import cv2
import numpy as np

from stream.fill import pull_push
from stream.inpaint_field import Field, patch_field, places_of, reduced_size
from stream.wall_texture import with_texture

_SIDE = 192
_FINER = 2  # times as fine as the search is the picture on which pieces are fitted
_NUDGES = tuple((dx, dy) for dy in (0, -1, 1) for dx in (0, -1, 1))
_NUDGE_ROUNDS = 3
_NUDGE_GAIN = 1.0  # squared grey levels that a nudge must better
_SUM = np.ones((1, 3), np.float32)  # of the colour channels
_WINDOW = 7  # cells over which pieces are compared
_BLEND = 2  # cells over which pieces go over into each other
_LEAST_SIDE = 32  # pixels; smaller pictures are filled smoothly
_DETAIL = 6.0  # medians of the absolute detail; stronger detail is clipped: joints are no detail


def complete(
    picture: np.ndarray,
    hidden: np.ndarray,
    doubtful: np.ndarray | None = None,
    side: int = _SIDE,
    begun: bool = False,
) -> np.ndarray:
    """Continue a picture into what is hidden, by copying pieces of it.

    Args:
        picture: (h, w, 3) uint8.
        hidden: (h, w) uint8, nonzero where the picture is not known.
        doubtful: (h, w) uint8, nonzero where nothing may be copied from.
        side: longer side of the reduced picture in which pieces are looked for; finer ones take
            longer.
        begun: whether the picture shows a good fill already, that need not change much.

    Returns:
        (h, w, 3) uint8, equal to ``picture`` where it is not hidden, and everywhere if all is.
    """
    hole = (hidden > 0).astype(np.uint8)
    if hole.all() or not hole.any():
        return picture.copy()
    barred = hole if doubtful is None else hole | (doubtful > 0).astype(np.uint8)
    small = min(hole.shape) < _LEAST_SIDE
    field = None if small else patch_field(picture, hole, barred, side, begun)
    if field is None:
        filled = pull_push(picture.astype(np.float32), 1 - hole.astype(np.float32))
    else:
        filled = with_texture(_laid(picture, hole, barred, field, _FINER * side), picture, barred)
    rounded = np.clip(filled + 0.5, 0, 255).astype(np.uint8)
    return np.where(hole[..., None] > 0, rounded, picture)


def _laid(
    picture: np.ndarray, hole: np.ndarray, barred: np.ndarray, field: Field, side: int
) -> np.ndarray:
    """(h, w, 3) float32, the picture with the pieces that a field names in its hole."""
    height, width = hole.shape
    size = reduced_size(height, width, side)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    known = cv2.resize(1 - hole, size, interpolation=cv2.INTER_NEAREST)
    usable = cv2.resize(1 - barred, size, interpolation=cv2.INTER_NEAREST)
    field = Field(_enlarged(field.shift, size), cv2.resize(field.tint, size))
    field = _fitted(small, known, usable, field)
    own = _taken(small, field.shift)
    smooth = _voted(small, usable, field)
    shift = _enlarged(field.shift, (width, height))
    detail = _taken(picture, shift) - cv2.resize(own, (width, height))
    limit = _DETAIL * float(np.median(np.abs(picture - cv2.resize(small, (width, height)))))
    copied = cv2.resize(smooth, (width, height)) + np.clip(detail, -limit, limit)
    known = np.where(hole > 0, _taken(1 - barred, shift), 1).astype(np.float32)
    return pull_push(np.where(hole[..., None] > 0, copied, picture).astype(np.float32), known)


def _enlarged(shift: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Shift field at another size, in pixels of that size, whole numbers."""
    ratio = np.array([size[0] / shift.shape[1], size[1] / shift.shape[0]], np.float32)
    return np.round(cv2.resize(shift, size, interpolation=cv2.INTER_NEAREST) * ratio)


def _taken(array: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """What lies at each pixel's shift; zero outside."""
    places = places_of(shift.shape[0], shift.shape[1]) + shift
    return cv2.remap(array, places, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)


def _fitted(small: np.ndarray, known: np.ndarray, usable: np.ndarray, field: Field) -> Field:
    """Move each piece by a few cells, so that its edges meet those of its neighbours."""
    shift = field.shift
    for _ in range(_NUDGE_ROUNDS):
        filled = np.where(known[..., None] > 0, small, _taken(small, shift) + field.tint)
        lowest, best = np.full(known.shape, np.inf, np.float32), shift
        for nudge in _NUDGES:
            moved = shift + np.array(nudge, np.float32)
            off = filled - _taken(small, moved) - field.tint
            cost = cv2.blur(cv2.transform(off * off, _SUM), (_WINDOW, _WINDOW))
            cost += 1e6 * (1 - _taken(usable, moved))
            better = cost < lowest - _NUDGE_GAIN
            best = np.where(better[..., None], moved, best)
            lowest = np.where(better, cost, lowest)
        shift = best
    return Field(shift, field.tint)


def _voted(small: np.ndarray, usable: np.ndarray, field: Field) -> np.ndarray:
    """(h, w, 3) float32 mean of what the pieces around each cell hold there."""
    height, width = usable.shape
    sides = (_BLEND,) * 4
    shift = cv2.copyMakeBorder(field.shift, *sides, cv2.BORDER_REPLICATE)
    tint = cv2.copyMakeBorder(field.tint, *sides, cv2.BORDER_REPLICATE)
    bell = cv2.getGaussianKernel(2 * _BLEND + 1, -1)
    total, count = np.zeros_like(small), np.zeros((height, width), np.float32)
    for down in range(2 * _BLEND + 1):
        for right in range(2 * _BLEND + 1):
            part = np.s_[down : down + height, right : right + width]
            weight = _taken(usable, shift[part]) * np.float32(bell[down] * bell[right])
            total += (_taken(small, shift[part]) + tint[part]) * weight[..., None]
            count += weight
    return total / np.maximum(count, 1e-6)[..., None]
