"""Refining: a small network repairs what the warp cannot know.

The network sees the re-posed region squeezed to a square, and what is known of each of its pixels.
Only the change that it makes is taken, brought back to the frame's resolution and laid where a
colour is a guess: what was seen stays as sharp as the frame is. Detail finer than the square goes
where the change is large, for it belongs to what was wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import cv2
import numpy as np

from stream.plate_canvas import PIECED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream.region import Region

SIZE = 256  # side of the square that the network looks at
COVER, DOUBT, UNKNOWN, REST = range(4)  # channels of the masks
_REACH = 9  # pixels of the square around a guess that may change, so that joints close
_NEAR = 13  # pixels of the square around the head in which unknown background may change
_SOFT = 9  # pixels of the square over which the change fades
_SLIGHT, _LARGE = 3.0, 12.0  # grey levels of change up to, and from, which detail stays, and goes
_GREY = np.tile(np.array([0.299, 0.587, 0.114], np.float32), (3, 1))
_TINT = 9  # pixels of the square over which changes of tint are averaged
_LEAST = 8  # of 255: less doubt than this anywhere is not worth a look


class RefineEngine(Protocol):
    """What runs the network `refine` of `engines.spec`."""

    def __call__(self, **arrays: np.ndarray) -> Mapping[str, np.ndarray]:
        """Take `picture` (1, 3, 256, 256) and `masks` (1, 4, 256, 256); give `refined`."""


class Repair(NamedTuple):
    """What is to be changed in a region, squeezed to the network's square.

    Attributes:
        more, less: (S, S, 3) uint8 grey levels to add, and to take away.
        gone: (S, S) float32, how far detail finer than the square goes.
    """

    more: np.ndarray
    less: np.ndarray
    gone: np.ndarray

    def moved(self, before: Region, now: Region) -> Repair:
        """Return the same change for another region of the frame than it was found for."""
        if before == now:
            return self
        zoom_x, zoom_y = now.width / before.width, now.height / before.height
        shift_x = (now.x0 - before.x0) * SIZE / before.width + 0.5 * (zoom_x - 1)
        shift_y = (now.y0 - before.y0) * SIZE / before.height + 0.5 * (zoom_y - 1)
        before_from_now = np.array([[zoom_x, 0, shift_x], [0, zoom_y, shift_y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return Repair(
            *(cv2.warpAffine(part, before_from_now, (SIZE, SIZE), flags=flags) for part in self)
        )


class Refiner:
    """Finds what re-posed regions need.

    Args:
        engine: runs the network.
    """

    def __init__(self, engine: RefineEngine) -> None:
        self._engine = engine

    def repair(
        self, drawn: np.ndarray, provenance: np.ndarray, unseen: np.ndarray
    ) -> Repair | None:
        """Find what a region needs so that its guesses look right.

        Args:
            drawn: (h, w, 3) uint8 RGB, what `Warp.draw` gave; any size.
            provenance: (n, n, 3) uint8, what `Warp.provenance` says of it; half of the square's
                side does.
            unseen: (256, 256) uint8, what `BackgroundPlate.unseen` says of its background.

        Returns:
            The change, for `repaired`; None where nothing is to be repaired.
        """
        masks = refine_masks(squeezed(provenance), unseen)
        weight = allowed(masks, cv2.compare(unseen, PIECED, cv2.CMP_GT))
        if int(weight.max(initial=0)) < _LEAST:
            return None
        picture = squeezed(drawn)
        refined = self._engine(picture=_planes(picture), masks=_planes(masks))["refined"][0]
        return _change(picture, _wanted(picture, refined), weight)


def repaired(drawn: np.ndarray, repair: Repair) -> np.ndarray:
    """Return a region with its guesses repaired.

    Args:
        drawn: (h, w, 3) uint8 RGB, any size; of the frame that the repair was found for, or of
            the next one, in which the head has hardly moved.
        repair: what is to be changed.
    """
    size = drawn.shape[1::-1]
    # In bytes, for resampling them takes a fifth of the time.
    mended = cv2.add(drawn, cv2.resize(repair.more, size))
    mended = cv2.subtract(mended, cv2.resize(repair.less, size))
    if not repair.gone.any():
        return mended
    coarse = cv2.subtract(cv2.add(squeezed(drawn), repair.more), repair.less)
    gone = cv2.resize(repair.gone, size)
    return cv2.blendLinear(cv2.resize(coarse, size), mended, gone, 1 - gone)


def refine_masks(provenance: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Put together what the network is told of each pixel.

    Args:
        provenance: (S, S, 3) uint8: cover, doubt, rest; see `Warp.provenance`.
        unseen: (S, S) uint8, nonzero where the background behind was never seen.

    Returns:
        (S, S, 4) uint8: cover of the head, doubt, unknown background that shows, rest.
    """
    cover, doubt, rest = cv2.split(provenance)
    unknown = cv2.bitwise_and(_room(cover, rest), cv2.compare(unseen, 0, cv2.CMP_GT))
    return cv2.merge([cover, doubt, unknown, rest])


def _room(cover: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Return (S, S) uint8 how far a pixel shows what is behind the head."""
    return cv2.subtract(cv2.bitwise_not(cover), rest)


def allowed(masks: np.ndarray, blurred: np.ndarray | None = None) -> np.ndarray:
    """Return (S, S) uint8 how far each pixel may change: all in and around guesses, softly.

    Unknown background counts only beside the head. What was seen of the room, or put together
    of pieces of it, is finer than what the network draws, and stays.

    Args:
        masks: as `refine_masks` gives them.
        blurred: (S, S) uint8, 255 where no more than a smooth fill stands behind the head, else
            0; all unknown background counts as such unless given, and what was seen may change
            around guesses.
    """
    # Room far from the head is better left to the plate's fill, which is finer.
    head = cv2.dilate(cv2.extractChannel(masks, COVER), np.ones((_NEAR, _NEAR), np.uint8))
    near = cv2.blur(head, (_NEAR, _NEAR))
    unknown = cv2.extractChannel(masks, UNKNOWN)
    if blurred is not None:
        unknown = cv2.bitwise_and(unknown, blurred)
    guess = cv2.max(masks[..., DOUBT], cv2.multiply(unknown, near, scale=1 / 255))
    grown = cv2.dilate(guess, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_REACH, _REACH)))
    soft = cv2.GaussianBlur(grown, (_SOFT, _SOFT), 0)
    # Inside of what is surely a guess all may change, however small it is.
    weight = cv2.max(soft, guess)
    if blurred is None:
        return weight
    fine = cv2.bitwise_and(_room(masks[..., COVER], masks[..., REST]), cv2.bitwise_not(blurred))
    return cv2.multiply(weight, cv2.bitwise_not(fine), scale=1 / 255)


def squeezed(picture: np.ndarray) -> np.ndarray:
    """Resample a region to the network's square: (256, 256, 3) uint8."""
    small = picture.shape[0] <= SIZE and picture.shape[1] <= SIZE
    way = cv2.INTER_LINEAR if small else cv2.INTER_AREA
    return cv2.resize(picture, (SIZE, SIZE), interpolation=way)


def _planes(picture: np.ndarray) -> np.ndarray:
    """(S, S, C) uint8 → (1, C, S, S) float32, 0…1."""
    return np.ascontiguousarray(np.moveaxis(picture, -1, 0)[None] * np.float32(1 / 255))


def _wanted(picture: np.ndarray, refined: np.ndarray) -> np.ndarray:
    """Return (S, S, 3) uint8 what the network made of the square, its tints made calm.

    Eyes see colour coarsely, so that a tint that is right can be smooth; one that flickers from
    pixel to pixel is noise.
    """
    change = cv2.addWeighted(cv2.merge(list(refined)), 255.0, picture.astype(np.float32), -1.0, 0.0)
    grey = cv2.transform(change, _GREY)
    calm = cv2.add(grey, cv2.blur(cv2.subtract(change, grey), (_TINT, _TINT)))
    return cv2.add(picture, calm, dtype=cv2.CV_8U)


def _change(picture: np.ndarray, wanted: np.ndarray, weight: np.ndarray) -> Repair:
    """Take of what is wanted as much as a weight says."""
    share = cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB)
    more = cv2.multiply(cv2.subtract(wanted, picture), share, scale=1 / 255)
    less = cv2.multiply(cv2.subtract(picture, wanted), share, scale=1 / 255)
    return Repair(more, less, _detail_that_goes(cv2.max(more, less)))


def _detail_that_goes(change: np.ndarray) -> np.ndarray:
    """(S, S) float32, 0…1: 1 in and beside what changes much.

    Args:
        change: (S, S, 3) uint8, how much.
    """
    most = cv2.max(cv2.max(*cv2.split(change)[:2]), cv2.extractChannel(change, 2))
    much = cv2.blur(cv2.dilate(most, np.ones((3, 3), np.uint8)), (3, 3)).astype(np.float32)
    return np.clip((much - _SLIGHT) / (_LARGE - _SLIGHT), 0, 1)
