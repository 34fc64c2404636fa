"""The target's share of the lips in the source's colour.

Lips are mixed from source and target (`stream.swap.holes`), so that they open and close as the
target's do. Lipstick, or its absence, would be mixed, too; so the target's are dyed beforehand, by
half of what the mean colours of both differ by, followed over time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import smoothstep
from stream.swap.holes import INNER_LIPS, OUTER_LIPS

if TYPE_CHECKING:
    from stream.region import Region
    from stream.swap.shape import FaceShape

_SUBPIXEL_BITS = 4
_SOFT = 0.015  # of the distance of the eyes
_LEAST_PX = 12  # less of lips says nothing of their colour
_MOST = 0.7  # of the logarithm
_SHARE_OF_DYE = 0.45  # red lips are seen to part better than such as are no redder than the skin
_LIGHTER = 0.1  # of the logarithm: at most, for lips are wet and their gloss would glare
_GREY = np.array([0.3, 0.59, 0.11], np.float32)
_RED = (0.3, 0.8)  # of how red the lips are on average: teeth, which are not, keep their colour
_LIFT = 8.0  # grey levels, so that lips in the dark stay calm
_SHARE = 0.2  # of a new frame in what is used


class Lips:
    """Dyes the lips of one face of the stream."""

    def __init__(self) -> None:
        self._dye: np.ndarray | None = None

    def __call__(
        self, under: np.ndarray, drawn: np.ndarray, shape: FaceShape, region: Region,
        hidden: np.ndarray | None,
    ) -> None:  # fmt: skip
        """Give the target's lips the colour of the source's, in place.

        Args:
            under: (h, w, 3) uint8, the frame under the face, whose lips lie where the drawn do.
            drawn: (h, w, 4) uint8, the drawn face.
            shape: its geometry.
            region: where both lie in the frame.
            hidden: (h, w) uint8, what is in front of the face, or None.
        """
        corner = np.array([region.x0, region.y0]) + 0.5
        contours = [shape.points_px[part] - corner for part in (OUTER_LIPS, INNER_LIPS)]
        soft = max(0.6, _SOFT * shape.eyes_px)
        low = np.maximum(np.floor(contours[0].min(axis=0) - 3 * soft).astype(int), 0)
        high = np.maximum(np.ceil(contours[0].max(axis=0) + 3 * soft).astype(int) + 1, 0)
        part = (slice(low[1], high[1]), slice(low[0], high[0]))
        lips = np.zeros(under[part].shape[:2], np.uint8)
        if lips.size == 0:
            return
        fixed = [np.round((one - low) * 2**_SUBPIXEL_BITS).astype(np.int32) for one in contours]
        cv2.fillPoly(lips, fixed, 255, cv2.LINE_AA, _SUBPIXEL_BITS)  # what both enclose is left out
        if hidden is not None:
            lips = cv2.multiply(lips, cv2.bitwise_not(hidden[part]), scale=1 / 255)
        self._follow(under[part], drawn[part], lips)
        if self._dye is not None:
            share = cv2.GaussianBlur(lips, (0, 0), soft) * np.float32(1 / 255)
            share *= _as_red_as_lips(under[part], lips)
            dyed = (under[part] + _LIFT) * np.exp(self._dye * share[..., None]) - _LIFT
            under[part] = np.clip(np.round(dyed), 0, 255)

    def _follow(self, under: np.ndarray, drawn: np.ndarray, lips: np.ndarray) -> None:
        sure = lips * (drawn[..., 3] > 127)
        if np.count_nonzero(sure) < _LEAST_PX:
            return
        own, other = (np.array(cv2.mean(one, sure)[:3]) + _LIFT for one in (under, drawn))
        found = _SHARE_OF_DYE * np.clip(np.log(other / own), -_MOST, _MOST).astype(np.float32)
        found += min(_LIGHTER - float(found @ _GREY), 0)
        last = found if self._dye is None else self._dye
        self._dye = last + np.float32(_SHARE) * (found - last)


def _as_red_as_lips(under: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """Return (h, w) float32, 1 where a picture is as red as lips (h, w) are on average."""
    red, green = under[..., 0].astype(np.float32), under[..., 1].astype(np.float32)
    redness = (red - green) / (red + green + _LIFT)
    usual = max(cv2.mean(redness, lips)[0], 1e-3)
    return smoothstep(redness / usual, *_RED).astype(np.float32)
