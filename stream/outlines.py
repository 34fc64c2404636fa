"""Smooth outlines: where one surface ends before another, pixels take some of their neighbours.

With one sample a pixel, the outline of a jaw before its neck is a staircase, though both cover
their pixels wholly; more samples take twice the time where the processor draws. After Reshetov,
Morphological Antialiasing (2009): a step of a staircase tells where the line runs that it stands
for, and the line tells how much of a pixel lies beyond it. Steps are found in the depth that was
drawn, so that lines within a surface stay as sharp as they are.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

_BESIDE = np.array([[-1], [0], [1]])  # pixels
_HARD_EDGE = 40  # grey levels between a pixel's cover and the mean around it
_PAIR = np.ones((2, 2), np.uint8)
_QUAD = np.array([0, 0, 1, 1])[:, None], np.array([0, 1, 0, 1])[:, None]
_UNSEEN = 8  # grey levels by which the two sides of an outline may differ
_SPARE_BITS = 8  # of a depth, for single precision to hold the rest exactly
_LONGEST = 48  # pixels of a step; longer ones are straight lines along the grid of pixels


def smoothed(
    colours: np.ndarray, depth: np.ndarray, least_step: float, resting: np.ndarray,
    strength: float = 1.0,
) -> np.ndarray:  # fmt: skip
    """Soften outlines.

    Args:
        colours: (h, w, 3) uint8, changed in place.
        depth: (h, w) uint32 of what is drawn there, in any unit.
        least_step: in that unit, from one pixel to the next, from which it is an outline.
        resting: (h, w) uint8, 255 where the frame shows, which is left alone.
        strength: 0…1, so much is done.

    Returns:
        ``colours``.
    """
    across, down = _outlines(depth, least_step, colours)
    _blend(colours, down, _Crossing(across, depth.shape), resting, strength)
    turned = _Crossing(down.turned(), depth.shape[::-1])
    _blend(colours.swapaxes(0, 1), across.turned(), turned, resting.T, strength)
    return colours


class _Edges(NamedTuple):
    """Pixels whose depth differs from that of the next one of their row or of their column."""

    row: np.ndarray
    column: np.ndarray

    def turned(self) -> _Edges:
        """Return them with rows for columns, in the order of the new rows."""
        order = np.lexsort((self.row, self.column))
        return _Edges(self.column[order], self.row[order])


class _Crossing:
    """Looks up at the end of a step where the outline goes on.

    Args:
        edges: those that lie crosswise to the steps.
        shape: (h, w) of the picture.
    """

    def __init__(self, edges: _Edges, shape: tuple[int, ...]) -> None:
        self._there = np.zeros((shape[0] + 1, shape[1] + 1), np.int8)
        self._there[edges.row, edges.column] = 1

    def at(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Return 1 where it turns up, -1 where it turns down between a pixel and the next."""
        return self._there[row, column] - self._there[row + 1, column]  # column -1 holds none


def _outlines(depth: np.ndarray, least: float, colours: np.ndarray) -> tuple[_Edges, _Edges]:
    """Return the edges towards the next pixel of the row, and of the column, that can be seen."""
    # Every other pixel tells where to look.
    some = (depth[::2, ::2] >> _SPARE_BITS).astype(np.float32)
    green = np.ascontiguousarray(colours[::2, ::2, 1])
    steps = (_range(some) > least / 2**_SPARE_BITS) & (_range(green) > _UNSEEN)
    row, column = np.divmod(np.flatnonzero(steps), some.shape[1])
    row, column = (2 * row + _QUAD[0]).ravel(), (2 * column + _QUAD[1]).ravel()
    row, column = np.divmod(np.sort(row * depth.shape[1] + column), depth.shape[1])
    found = []
    for y, x in ((0, 1), (1, 0)):
        inside = (row + y < depth.shape[0]) & (column + x < depth.shape[1])
        here = row[inside], column[inside]
        near, far = (depth[here[0] + b, here[1] + a].astype(np.int64) for b, a in ((0, 0), (y, x)))
        edge = np.abs(far - near) > least
        found.append(_Edges(here[0][edge], here[1][edge]))
    return found[0], found[1]


def _range(layer: np.ndarray) -> np.ndarray:
    """Return how far the values of each pixel and of the next ones lie apart."""
    high, low = (
        grown(layer, _PAIR, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
        for grown in (cv2.dilate, cv2.erode)
    )
    return cv2.subtract(high, low)


def _blend(
    colours: np.ndarray, edges: _Edges, crossing: _Crossing, resting: np.ndarray, strength: float
) -> None:
    """Mix the pixels above and below the steps of an outline, in place.

    Args:
        colours: (h, w, 3) uint8.
        edges: between rows, ordered by rows.
        crossing: those between columns.
        resting: (h, w) uint8, 255 where pixels stay, and have no outlines.
        strength: 0…1.
    """
    row, column = edges
    if not len(row):
        return
    begins = np.r_[True, (np.diff(row) != 0) | (np.diff(column) != 1)]
    first = np.flatnonzero(begins)
    length = np.diff(np.r_[first, len(row)])
    step = np.cumsum(begins) - 1
    counts = length <= _LONGEST
    ends = [
        (counts * crossing.at(row[first], column[last] + beside))[step]
        for last, beside in ((first, -1), (first + length - 1, 0))
    ]
    place = (np.arange(len(row)) - first[step]) / length[step], 1 / length[step]
    parts = _beyond(*place), _beyond(1 - place[0] - place[1], place[1])
    for sign, target, source in ((1, row, row + 1), (-1, row + 1, row)):
        share = sum(part * (end == sign) for part, end in zip(parts, ends, strict=True))
        moves = (resting[target, column] | resting[source, column]) == 0
        some = (share > 0) & moves
        here, there = (colours[y[some], column[some]].astype(np.float32) for y in (target, source))
        mixed = here + strength * share[some, None] * (there - here)
        colours[target[some], column[some]] = np.rint(mixed).astype(np.uint8)


def _beyond(start: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return how much of each pixel of a step lies beyond the line, which ends in its middle.

    Args:
        start: (n,) where the pixel begins, as share of the step, from the end where it turns.
        size: (n,) of a pixel, as share of the step.
    """
    near, far = np.clip(start, 0, 0.5), np.clip(start + size, 0, 0.5)
    return ((far - near) / 2 - (far**2 - near**2) / 2) / size


def antialiased(drawn: np.ndarray, resting: np.ndarray) -> np.ndarray:
    """Soften outlines where the drawn head ends within one pixel, as folds of a surface do.

    Args:
        drawn: (h, w, 4) uint8, RGB and how far the head covers a pixel.
        resting: (h, w) uint8, 255 where the frame shows; left alone, with its border.

    Returns:
        (h, w, 3) uint8. Edges that the matte made soft stay as they are.
    """
    colours, cover = cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB), cv2.extractChannel(drawn, 3)
    jump = cv2.compare(cv2.absdiff(cover, cv2.blur(cover, (3, 3))), _HARD_EDGE, cv2.CMP_GT)
    whole = cv2.compare(cv2.absdiff(cover, 127), 127, cv2.CMP_GE)  # 0, 254 or 255
    outline = cv2.bitwise_and(jump, whole)
    found = cv2.findNonZero(outline)
    if found is None:
        return colours
    column, row = found[:, 0].T  # few: blurring the whole picture would take much longer
    rows, columns = (
        _mirrored(places + _BESIDE, length)
        for places, length in zip((row, column), outline.shape, strict=True)
    )
    around = rows[:, None], columns[None]
    moves = ~resting[around].any(axis=(0, 1))
    soft = (colours[around].sum(axis=(0, 1), dtype=np.uint16) + 4) // 9  # rounded
    colours[row[moves], column[moves]] = soft[moves]
    return colours


def _mirrored(places: np.ndarray, length: int) -> np.ndarray:
    """Return places just beyond the ends of so many pixels, mirrored in the last pixels."""
    last = length - 1
    return np.asarray(last - np.abs(last - np.abs(places)))
