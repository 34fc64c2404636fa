"""Scenery that a matte counts as the head, and the colours of the head where both mix.

A matte is a good guess; before a busy background its soft edge takes scenery along for ten pixels
and more, and a turned head would wear that on its back. Whether a pixel beside the outline is the
one or the other is asked of the colours that are surely the head's, and surely not, nearby, as
in sampling-based matting (Gastal and Oliveira, "Shared sampling for real-time alpha matting",
2010), and of the labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import smoothstep
from stream.sight import BACKGROUND, BODY

if TYPE_CHECKING:
    from stream.sight import Sight

_COVERED, _BARE = 247, 5  # of a matte up to 255: all the person's, and all the scenery's
_INSIDE_MM, _OUTSIDE_MM = 7.0, 3.0  # from their borders, where colours are surely of the one
_REACH_MM, _SAMPLES = 18.0, 28  # around the nearest of these, where colours are looked for
_NOISE = 6.0  # grey levels that are no difference
_LABELS, _LEAST_ODDS = 0.5, 0.02  # weight of labels against colours, and how sure one can be
_MOST_ODDS = 2.5
_EVEN_MM, _EVEN = 3.0, 0.5  # over which odds are evened out, and by what variance
_KEPT = (-1.1, -0.4)  # log odds up to which a pixel is scenery, and from which it is left
_CLOTH = (0.2, 0.6)  # likelihood of clothes, whose edge is found elsewhere
_SOFT_PX = 1.3  # an edge that is a step in the matte is drawn smoother than it was
_LOOSE = (12.0, 25.0)  # grey levels from the scenery, from which on loose hair may hang there
_FRINGE_MM = 3.0  # around that and the head: blur, sharpening
_OFF = (8.0, 18.0)  # grey levels from any mixture, from which on a colour is one of its own


@dataclass(frozen=True, slots=True)
class Parted:
    """What the colours say beside an outline.

    Attributes:
        matte: (h, w) uint8, without scenery.
        hidden: (h, w) uint8, the matte of what is not surely scenery: loose hair, fringes, blur.
        asked: (h, w) bool, where the picture may show both.
        own, behind: (h, w, 3) uint8, the colours of the head and of the scenery nearby that are
            most like the picture's there; the picture elsewhere.
    """

    matte: np.ndarray
    hidden: np.ndarray
    asked: np.ndarray
    own: np.ndarray
    behind: np.ndarray

    def background(self, plate: np.ndarray) -> np.ndarray:
        """Return (h, w, 3) uint8: a background, but beside the outline what is seen near it.

        A plate is a guess that may be of another colour there, as that of the next curtain.
        """
        return np.where(self.asked[..., None], self.behind, plate)


def parted_from_scenery(
    picture: np.ndarray, matte: np.ndarray, sight: Sight, px_mm: float
) -> Parted:
    """Take out of a matte what has the colours of the scenery beside it; nothing is added.

    Args:
        picture: (h, w, 3) uint8 RGB.
        matte: (h, w) uint8, 255 inside.
        sight: of the same picture.
        px_mm: size of a pixel at the head.
    """
    bare = cv2.compare(matte, _BARE, cv2.CMP_LE)
    head = cv2.erode(cv2.compare(matte, _COVERED, cv2.CMP_GE), _disc(_INSIDE_MM / px_mm)) > 0
    scenery = cv2.erode(bare, _disc(_OUTSIDE_MM / px_mm)) > 0
    asked = (bare == 0) & ~head
    if not (head.any() and scenery.any() and asked.any()):
        return Parted(matte, matte, np.zeros_like(head), picture, picture)
    reach_px = _REACH_MM / px_mm
    away, behind = _nearest_colours(picture, scenery, asked, reach_px)
    near, own = _nearest_colours(picture, head, asked, reach_px)
    odds = np.log((away + _NOISE) / (near + _NOISE)) + _odds_of_labels(sight, asked)
    even = _evened(_spread(np.clip(odds, -_MOST_ODDS, _MOST_ODDS), asked), asked, px_mm)
    kept = np.where(asked, smoothstep(even, *_KEPT), 1).astype(np.float32)
    cloth = sight.share(BODY)
    if cloth is not None:
        kept = np.maximum(kept, smoothstep(cv2.resize(cloth, matte.shape[::-1]), *_CLOTH))
    without = np.rint(matte * cv2.GaussianBlur(kept, (0, 0), _SOFT_PX)).astype(np.uint8)
    fringe = _disc(_FRINGE_MM / px_mm)
    loose = cv2.dilate(255 * _spread(smoothstep(away, *_LOOSE), asked), fringe)
    hidden = cv2.dilate(np.maximum(without, loose), fringe)
    hidden = np.minimum(matte, hidden).astype(np.uint8)
    return Parted(without, hidden, asked, _unless_odd(picture, own, behind), behind)


def _spread(values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return (h, w) float32, (n,) values where they were asked for, else 0."""
    there = np.zeros(asked.shape, np.float32)
    there[asked] = values
    return there


def _odds_of_labels(sight: Sight, asked: np.ndarray) -> np.ndarray | float:
    """Return (n,) weighted log odds of labels that a pixel is the person; 0 without them."""
    share = sight.share(BACKGROUND)
    if share is None:
        return 0.0
    there = cv2.resize(share, asked.shape[::-1])[asked]
    there = np.clip(there, _LEAST_ODDS, 1 - _LEAST_ODDS)
    return np.asarray(_LABELS * np.log((1 - there) / there))


def _nearest_colours(
    picture: np.ndarray, known: np.ndarray, asked: np.ndarray, reach_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find, around the nearest known pixel, the known colour that is most like one's own.

    Returns:
        (n,) float32 how far it is, grey levels, of the n pixels asked for, and (h, w, 3) uint8
        that colour, the picture's elsewhere.
    """
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    places = np.argwhere(known)
    numbers = np.zeros(labels.max() + 1, int)
    numbers[labels[known]] = np.arange(len(places))
    nearest = places[numbers[labels[asked]]]
    own = picture[asked].astype(np.float32)
    best, colours = np.full(len(own), np.inf, np.float32), picture[asked]
    for step in _around(reach_px):
        y, x = np.clip(nearest + step, 0, np.array(known.shape) - 1).T
        there = picture[y, x]
        square = ((there - own) ** 2).sum(axis=1)
        better = known[y, x] & (square < best)
        best[better], colours[better] = square[better], there[better]
    found = picture.copy()
    found[asked] = colours
    return np.sqrt(best), found


def _unless_odd(picture: np.ndarray, own: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) uint8: own colours, but the picture's where no mixture gives that.

    A mixture lies on the line between the two; a red rim of an ear before a green wall does not.
    """
    start = behind.astype(np.float32)
    line, way = own - start, picture - start
    square = np.maximum((line * line).sum(axis=2, keepdims=True), 1.0)
    along = np.clip((line * way).sum(axis=2, keepdims=True) / square, 0, 1)
    off = np.linalg.norm(way - along * line, axis=2, keepdims=True)
    return np.rint(own + smoothstep(off, *_OFF) * (picture - own.astype(np.float32))).astype(
        np.uint8
    )


def _around(reach_px: float) -> np.ndarray:
    """Return (K, 2) whole steps that fill a disc evenly, by the golden angle; the first is none."""
    count = np.arange(_SAMPLES)
    angle, radius = count * np.pi * (3 - np.sqrt(5)), reach_px * np.sqrt(count / _SAMPLES)
    return np.rint(np.column_stack([radius * np.sin(angle), radius * np.cos(angle)])).astype(int)


def _evened(odds: np.ndarray, asked: np.ndarray, px_mm: float) -> np.ndarray:
    """Even small differences of odds out, over what was asked: their own guided filter (He 2010).

    A single hair, or a pixel of scenery that looks like one, is no edge; an outline is.
    """
    side, weight = 2 * max(1, round(_EVEN_MM / px_mm)) + 1, asked.astype(np.float32)
    share = np.maximum(cv2.boxFilter(weight, -1, (side, side)), 1e-3)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(weight * values, -1, (side, side)) / share

    level = mean(odds)
    spread = np.maximum(mean(odds * odds) - level**2, 0)
    slope = spread / (spread + _EVEN)
    return np.asarray(mean(slope) * odds + mean((1 - slope) * level))


def _disc(radius: float) -> np.ndarray:
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
