"""What stands in on the plate's canvas where the background was never seen."""

import cv2
import numpy as np

from stream.fill import pull_push
from stream.inpaint import complete
from stream.plate_canvas import GOOD, QUICK, Layers
from stream.plate_view import grown_square

_FILL_STEP = 4  # the quick fill is made on cells of so many pixels
_BEGUN = 0.8  # share of a fill that is good: only the rest asks for change
_FRINGE = 0.004  # share of the longer side around what is hidden that is not worth copying
_LEAST_SEEN = 0.05  # share of a region to be seen before its rest is continued from it
_CHANGED = 0.03  # share of the fill that is new, or no longer needed, before it is made again
_NEAR_CHANGE = 0.08  # of the longer side around what has changed, where a fill is made again


def completed(layers: Layers, side: int) -> np.ndarray:
    """Return (h, w, 3) uint8, the colours with the best fill there is; slow.

    Where most of the fill is good, it changes only near what is new or was uncovered: a camera that
    moves tears its rim, and the rest is not to change before anybody's eyes.

    Args:
        layers: of the canvas.
        side: longer side of the reduced picture in which pieces are looked for.
    """
    hidden, good = _hidden_and_good(layers)
    longest = max(hidden.shape)
    doubtful = grown_square(hidden, round(_FRINGE * longest))
    begun = cv2.countNonZero(good & hidden) > _BEGUN * cv2.countNonZero(hidden)
    hole = hidden
    if begun:
        hole = hidden & grown_square(hidden ^ good, round(_NEAR_CHANGE * longest))
    return complete(layers.colour, hole, doubtful, side, begun)


def _hidden_and_good(layers: Layers) -> tuple[np.ndarray, np.ndarray]:
    """Return (h, w) uint8: 255 where never seen, and where the best fill is, or was needed."""
    hidden = cv2.compare(layers.trust, 0, cv2.CMP_EQ)
    return hidden, cv2.compare(layers.fill, GOOD, cv2.CMP_EQ)


def completable(layers: Layers) -> bool:
    """Tell whether enough was seen to continue it."""
    return cv2.countNonZero(layers.trust) > _LEAST_SEEN * layers.trust.size


def worth_completing(layers: Layers) -> bool:
    """Tell whether enough of the best fill is missing, or no longer needed."""
    if not completable(layers):
        return False
    hidden, good = _hidden_and_good(layers)
    return cv2.countNonZero(hidden ^ good) > _CHANGED * cv2.countNonZero(hidden)


def fill_gaps(layers: Layers) -> bool:
    """Give a smooth fill to what was never seen and holds nothing yet.

    Returns:
        False if there is nothing to fill from.
    """
    gap = cv2.compare(cv2.max(layers.trust, layers.fill), 0, cv2.CMP_EQ)
    share = cv2.countNonZero(gap) / gap.size
    if share == 0:
        return True
    # Slivers at the edge of what is known need no detail.
    sliver = share < 0.02
    step = 2 * _FILL_STEP if sliver else _FILL_STEP
    height, width = gap.shape
    size = max(1, width // step), max(1, height // step)
    empty = cv2.resize(gap, size, interpolation=cv2.INTER_AREA)
    known = cv2.compare(empty, 0, cv2.CMP_EQ).astype(np.float32) / 255
    if cv2.countNonZero(known) == 0:
        return False
    quality = cv2.INTER_LINEAR if sliver else cv2.INTER_AREA
    small = cv2.resize(layers.colour, size, interpolation=quality).astype(np.float32)
    smooth = cv2.convertScaleAbs(pull_push(small, known))
    cv2.copyTo(cv2.resize(smooth, (width, height)), gap, layers.colour)
    layers.fill[gap > 0] = QUICK
    return True


def fill_from_edges(layers: Layers, picture: np.ndarray) -> None:
    """With no background at all, let the picture's edges pass for it until some shows."""
    size = max(3, picture.shape[1] // 16), max(3, picture.shape[0] // 16)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    edge = np.ones(small.shape[:2], np.float32)
    edge[1:-1, 1:-1] = 0
    smooth = cv2.convertScaleAbs(pull_push(small, edge))
    height, width = layers.trust.shape
    layers.colour[:] = cv2.resize(smooth, (width, height))
