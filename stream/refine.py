"""Refining: a small network repairs what the warp cannot know.

The network sees the re-posed region squeezed to a square, and what is known of each of its pixels.
Only the change that it makes is taken, brought back to the frame's resolution and laid where a
colour is a guess: what was seen stays as sharp as the frame is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

SIZE = 256  # side of the square that the network looks at
COVER, DOUBT, UNKNOWN, REST = range(4)  # channels of the masks
_REACH = 9  # pixels of the square around a guess that may change, so that joints close
_SOFT = 9  # pixels of the square over which the change fades
_LEAST = 8  # of 255: less doubt than this anywhere is not worth a look


class RefineEngine(Protocol):
    """What runs the network `refine` of `engines.spec`."""

    def __call__(self, **arrays: np.ndarray) -> Mapping[str, np.ndarray]:
        """Take `picture` (1, 3, 256, 256) and `masks` (1, 4, 256, 256); give `refined`."""


class Refiner:
    """Repairs re-posed regions.

    Args:
        engine: runs the network.
    """

    def __init__(self, engine: RefineEngine) -> None:
        self._engine = engine

    def refine(self, drawn: np.ndarray, provenance: np.ndarray, unseen: np.ndarray) -> np.ndarray:
        """Return a region with its guesses repaired.

        Args:
            drawn: (h, w, 3) uint8 RGB, what `Warp.draw` gave; any size.
            provenance: (256, 256, 3) uint8, what `Warp.provenance` says of it.
            unseen: (256, 256) uint8, what `BackgroundPlate.unseen` says of its background.

        Returns:
            (h, w, 3) uint8; `drawn` itself where nothing is to be repaired.
        """
        masks = refine_masks(provenance, unseen)
        weight = allowed(masks)
        if int(weight.max(initial=0)) < _LEAST:
            return drawn
        picture = squeezed(drawn)
        refined = self._engine(picture=_planes(picture), masks=_planes(masks))["refined"][0]
        wanted = np.moveaxis(refined, 0, -1) * np.float32(255)
        change = (wanted - picture) * (weight * np.float32(1 / 255))[..., None]
        return _changed(drawn, change, weight)


def refine_masks(provenance: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Put together what the network is told of each pixel.

    Args:
        provenance: (S, S, 3) uint8: cover, doubt, rest; see `Warp.provenance`.
        unseen: (S, S) uint8, nonzero where the background behind was never seen.

    Returns:
        (S, S, 4) uint8: cover of the head, doubt, unknown background that shows, rest.
    """
    cover, doubt, rest = cv2.split(provenance)
    shows = cv2.subtract(cv2.bitwise_not(cover), rest)
    return cv2.merge([cover, doubt, cv2.bitwise_and(shows, unseen), rest])


def allowed(masks: np.ndarray) -> np.ndarray:
    """Return (S, S) uint8 how far each pixel may change: all in and around guesses, softly.

    Args:
        masks: as `refine_masks` gives them.
    """
    guess = cv2.max(masks[..., DOUBT], masks[..., UNKNOWN])
    grown = cv2.dilate(guess, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_REACH, _REACH)))
    soft = cv2.GaussianBlur(grown, (_SOFT, _SOFT), 0)
    # Inside of what is surely a guess all may change, however small it is.
    return cv2.max(soft, guess)


def squeezed(picture: np.ndarray) -> np.ndarray:
    """Resample a region to the network's square: (256, 256, 3) uint8."""
    small = picture.shape[0] <= SIZE and picture.shape[1] <= SIZE
    way = cv2.INTER_LINEAR if small else cv2.INTER_AREA
    return cv2.resize(picture, (SIZE, SIZE), interpolation=way)


def _planes(picture: np.ndarray) -> np.ndarray:
    """(S, S, C) uint8 → (1, C, S, S) float32, 0…1."""
    return np.ascontiguousarray(np.moveaxis(picture, -1, 0)[None] * np.float32(1 / 255))


def _changed(drawn: np.ndarray, change: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Add a change of the square, grey levels, to the region; only where the weight is not 0."""
    height, width = drawn.shape[:2]
    x, y, columns, rows = cv2.boundingRect(weight)
    scale_x, scale_y = width / SIZE, height / SIZE
    # A pixel more on each side: resampling reaches over.
    left, top = max(0, int((x - 1) * scale_x)), max(0, int((y - 1) * scale_y))
    right = min(width, int(np.ceil((x + columns + 1) * scale_x)))
    bottom = min(height, int(np.ceil((y + rows + 1) * scale_y)))
    small_from_part = np.array(
        [
            [1 / scale_x, 0, (left + 0.5) / scale_x - 0.5],
            [0, 1 / scale_y, (top + 0.5) / scale_y - 0.5],
        ]
    )
    large = cv2.warpAffine(
        change, small_from_part, (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    out = drawn.copy()
    part = out[top:bottom, left:right]
    part[:] = cv2.add(part, large, dtype=cv2.CV_8U)
    return out
