"""Refining: a small network repairs what the warp cannot know.

The network sees the re-posed region squeezed to a square, and what is known of each of its pixels.
Only the change that it makes is taken, brought back to the frame's resolution and laid where a
colour is a guess: what was seen stays as sharp as the frame is. Detail finer than the square goes
where the change is large, for it belongs to what was wrong.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

import cv2
import numpy as np

from stream.plate_canvas import PIECED
from stream.region import Region, halved

if TYPE_CHECKING:
    from collections.abc import Mapping

SIZE = 256  # side of the square that the network looks at
COVER, DOUBT, UNKNOWN, REST = range(4)  # channels of the masks
_REACH = 9  # pixels of the square around a guess that may change, so that joints close
_NEAR = 13  # pixels of the square around the head in which unknown background may change
_SOFT = 9  # pixels of the square over which the change fades
_SLIGHT, _LARGE = 3.0, 12.0  # grey levels of change up to, and from, which detail stays, and goes
_GREY = np.tile(np.array([0.299, 0.587, 0.114], np.float32), (3, 1))
_TINT = 9  # pixels of the square over which changes of tint are averaged
_BLOCKS = 16  # a side, in which it is told whether anything changes
_LEAST = 8  # of 255: less doubt than this anywhere is not worth a look


class RefineEngine(Protocol):
    """What runs the network `refine` of `engines.spec`."""

    def __call__(self, **arrays: np.ndarray) -> Mapping[str, np.ndarray]:
        """Take `picture` (1, 3, 256, 256) and `masks` (1, 4, 256, 256); give `refined`."""


class Change(NamedTuple):
    """What is to be changed in a region, squeezed to the network's square.

    Attributes:
        region: of the frame.
        levels: (S, S, 3) float32 grey levels to add.
    """

    region: Region
    levels: np.ndarray

    def averaged(self, before: Change, shift_px: np.ndarray) -> Change:
        """Return the mean with an earlier change, so that neither flickers.

        Args:
            before: found for an earlier frame.
            shift_px: (2,) by which the head has moved in the frame since then.
        """
        then = before.region
        zoom = np.array([self.region.width / then.width, self.region.height / then.height])
        corner = np.array(self.region[:2]) - shift_px - then[:2]
        # Pixel centres are whole numbers to OpenCV.
        first = corner * SIZE / (then.width, then.height) + 0.5 * (zoom - 1)
        then_from_now = np.column_stack([np.diag(zoom), first])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(before.levels, then_from_now, (SIZE, SIZE), flags=flags)
        return Change(self.region, cv2.addWeighted(self.levels, 0.5, moved, 0.5, 0.0))


class Repair(NamedTuple):
    """A change at the frame's resolution, ready to be laid on.

    Attributes:
        region: of the frame.
        more, less: (h, w, 3) uint8 grey levels to add, and to take away.
        gone, kept: (h, w, 3) uint8, how far detail finer than the square goes and stays, of 255.
        parts: rectangles of the region that hold all of the change.
    """

    region: Region
    more: np.ndarray
    less: np.ndarray
    gone: np.ndarray
    kept: np.ndarray
    parts: list[Region]

    @classmethod
    def of(cls, change: Change) -> Repair:
        """Resample a change to the region that it is for."""
        size = change.region.width, change.region.height
        more, less = (
            cv2.addWeighted(change.levels, sign, change.levels, 0.0, 0.0, dtype=cv2.CV_8U)
            for sign in (1.0, -1.0)
        )
        red, green, blue = cv2.split(cv2.max(more, less))
        most = cv2.max(cv2.max(red, green), blue)
        more, less, gone = (cv2.resize(m, size) for m in (more, less, _detail_that_goes(most)))
        gone = cv2.cvtColor(gone, cv2.COLOR_GRAY2RGB)
        # Detail goes beside a change, too.
        parts = _parts(cv2.dilate(most, np.ones((5, 5), np.uint8)), size)
        return cls(change.region, more, less, gone, cv2.bitwise_not(gone), parts)


class Refiner:
    """Finds what re-posed regions need.

    Args:
        engine: runs the network.
    """

    def __init__(self, engine: RefineEngine) -> None:
        self._engine = engine

    def change(
        self, drawn: np.ndarray, region: Region, provenance: np.ndarray, unseen: np.ndarray
    ) -> Change | None:
        """Find what a region needs so that its guesses look right.

        Args:
            drawn: (h, w, 3) uint8 RGB, what `Warp.draw` gave; any size.
            region: where it lies in the frame.
            provenance: (n, n, 3) uint8, what `Warp.provenance` says of it; half of the square's
                side does.
            unseen: (256, 256) uint8, what `BackgroundPlate.unseen` says of its background.

        Returns:
            None where nothing is to be repaired.
        """
        masks = refine_masks(squeezed(provenance), unseen)
        weight = allowed(masks, cv2.compare(unseen, PIECED, cv2.CMP_GT))
        if int(weight.max(initial=0)) < _LEAST:
            return None
        picture = squeezed(drawn)
        refined = self._engine(picture=_planes(picture), masks=_planes(masks))["refined"][0]
        return _change(region, picture, _wanted(picture, refined), weight)


def repaired(
    drawn: np.ndarray, region: Region, repair: Repair, shift_px: tuple[int, int] = (0, 0)
) -> np.ndarray:
    """Return a region with its guesses repaired; only what changes takes time.

    Args:
        drawn: (h, w, 3) uint8 RGB, of the frame that the repair was found for, or of one soon
            after.
        region: where it lies in that frame.
        repair: what is to be changed.
        shift_px: by which the head has moved in the frame since the repair was found.
    """
    mended = drawn.copy()
    then = repair.region.shifted(*shift_px)
    for part in repair.parts:
        place = part.shifted(then.x0, then.y0).intersection(region)
        if place.is_empty:
            continue
        own, found = place.moved_into(region), place.moved_into(then)
        before, gone = own.crop(drawn), found.crop(repair.gone)
        if cv2.norm(gone, cv2.NORM_INF) > 0:
            coarse = cv2.multiply(_coarse(drawn, own, repair.region), gone, scale=1 / 255)
            fine = cv2.multiply(before, found.crop(repair.kept), scale=1 / 255)
            before = cv2.add(coarse, fine)
        before = cv2.add(before, found.crop(repair.more))
        own.crop(mended)[:] = cv2.subtract(before, found.crop(repair.less))
    return mended


def _coarse(drawn: np.ndarray, part: Region, whole: Region) -> np.ndarray:
    """Return a part of a picture without detail that is finer than the square.

    Args:
        drawn: (h, w, 3) uint8.
        part: of it.
        whole: what the square spans.
    """
    sides = _mean_side(whole.width / SIZE), _mean_side(whole.height / SIZE)
    around = Region(
        part.x0 - sides[0], part.y0 - sides[1], part.x1 + sides[0], part.y1 + sides[1]
    ).clipped(drawn.shape[1], drawn.shape[0])
    mean = cv2.blur(cv2.blur(around.crop(drawn), sides), sides)
    return part.moved_into(around).crop(mean)


def _mean_side(px_a_pixel: float) -> int:
    """Return the odd side of a mean that, taken twice, is as broad as a pixel of the square.

    As broad, that is, as the mean over one, resampled linearly, whose variance is a quarter of the
    pixel's square; that of a mean over k pixels is (k² − 1) / 12.
    """
    return 2 * round((math.sqrt(1.5 * px_a_pixel**2 + 1) - 1) / 2) + 1


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
    while min(picture.shape[:2]) >= 2 * SIZE:  # means by halves are quick
        picture = halved(picture)
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


def _change(region: Region, picture: np.ndarray, wanted: np.ndarray, weight: np.ndarray) -> Change:
    """Take of what is wanted as much as a weight says."""
    share = cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB)
    levels = cv2.subtract(wanted, picture, dtype=cv2.CV_32F)
    return Change(region, cv2.multiply(levels, share, scale=1 / 255, dtype=cv2.CV_32F))


def _parts(some: np.ndarray, size: tuple[int, int]) -> list[Region]:
    """Cover what is not 0 by rectangles, one or a few to a band of rows.

    Args:
        some: (S, S) uint8.
        size: (width, height) that the square spans, in whose pixels the rectangles are given.
    """
    blocks = some.reshape(_BLOCKS, SIZE // _BLOCKS, _BLOCKS, SIZE // _BLOCKS).max(axis=(1, 3)) > 0
    steps = np.diff(np.pad(blocks, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    x, y = (np.rint(np.arange(_BLOCKS + 1) * side / _BLOCKS).astype(int).tolist() for side in size)
    return [
        Region(x[first], y[row], x[last], y[row + 1])
        for row, step in enumerate(steps)
        for first, last in zip(np.flatnonzero(step > 0), np.flatnonzero(step < 0), strict=True)
    ]


def _detail_that_goes(most: np.ndarray) -> np.ndarray:
    """Return (S, S) uint8, 255 in and beside what changes much, 0 where little does.

    Args:
        most: (S, S) uint8, the largest change of a channel.
    """
    much = cv2.blur(cv2.dilate(most, np.ones((3, 3), np.uint8)), (3, 3))
    slope = 255 / (_LARGE - _SLIGHT)
    return cv2.addWeighted(much, slope, much, 0.0, -slope * _SLIGHT)
