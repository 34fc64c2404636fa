"""Refining: a small network repairs what the warp cannot know.

The network sees the re-posed region squeezed to a square, and what is known of each of its pixels.
Only the change that it makes is taken, brought back to the frame's resolution and laid where a
colour is a guess: what was seen stays as sharp as the frame is. Detail finer than the square goes
where the change is large, for it belongs to what was wrong.
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
_SLIGHT, _LARGE = 6.0, 24.0  # grey levels of change up to, and from, which detail stays, and goes
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
        return _changed(drawn, picture, change)


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


def _changed(drawn: np.ndarray, picture: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Add a change of the square, grey levels, to the region."""
    size = drawn.shape[1::-1]
    mended = cv2.add(drawn, cv2.resize(change, size), dtype=cv2.CV_8U)
    gone = _detail_that_goes(change)
    if not gone.any():
        return mended
    coarse = cv2.resize(cv2.add(picture, change, dtype=cv2.CV_8U), size)
    gone = cv2.resize(gone, size)
    return cv2.blendLinear(coarse, mended, gone, 1 - gone)


def _detail_that_goes(change: np.ndarray) -> np.ndarray:
    """(S, S) float32, 0…1: 1 in and beside what changes much."""
    much = cv2.blur(cv2.dilate(np.abs(change).max(axis=-1), np.ones((3, 3), np.uint8)), (3, 3))
    return np.clip((much - _SLIGHT) / (_LARGE - _SLIGHT), 0, 1)
