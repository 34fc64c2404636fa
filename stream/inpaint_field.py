"""Where a picture holds what would look right in its hole: a field of shifts, coarse to fine.

Each patch that touches the hole looks for the one outside that is most like it; each pixel of
the hole takes the mean of what the patches over it say; and again, until they agree (Wexler,
Shechtman and Irani, Space-Time Completion of Video, 2007). At the coarsest level a patch spans
what is large in the picture, and each finer level starts from the one before. Near patches are
preferred, so that a line goes on where it points and no thing appears far from its place.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy.spatial import cKDTree

from stream.fill import pull_push
from stream.nearest import Nearest

_REACH = 3  # cells from a patch's middle to its side
_PATCH = 2 * _REACH + 1
_PIXELS = 3 * _PATCH**2  # numbers that make up a patch
_COARSEST, _FINER = 64.0, 2**0.5  # longer side of the first level, and the step to the next
_ROUNDS = (6, 4, 3)  # of search and vote at the first levels; later ones are as the last
_BEGUN_LEVELS, _BEGUN_ROUNDS = 2, 2  # of the finest, that change a fill which is there already
_PARTS = 16  # principal components of a patch that are compared
_SAMPLES = 4000  # patches that tell which components matter
_NEARNESS = 60.0  # grey levels that a shift by the longer side costs at each cell of a patch
_SLACK = 1.0  # of the search: so much farther than the best a find may lie
_JOIN, _JOIN_LEVELS = 0.6, 2.0  # a neighbour's shift: share and grey levels of cost let off
_JOIN_STEPS = (1, 2, 1, 2)  # cells to the neighbours that are asked, one after the other
_TINT = 6.0  # grey levels by which a plain patch may be made lighter or darker
_PLAIN = 3.0  # grey levels of deviation within a patch that is plain; none is from twice that
_FAR_RIM, _NEAR_RIM = 12.0, 4.0  # cells over which the rim's colours go on, first and later
_RIM_WEIGHT = 1.15  # by which a cell nearer to the rim a patch's vote weighs more
_DEEPEST = 60  # cells from the rim beyond which all weigh the same
_LEAST_PATCHES = 50  # fewer have nothing to offer
_HIDDEN, _UNCLEAN = 0.5, 0.02  # share of a cell from which it is hidden, and may not be copied


@dataclass(frozen=True, slots=True)
class Field:
    """What goes into a hole, at some resolution.

    Attributes:
        shift: (h, w, 2) float32, whole cells to the right and down from each cell of the hole
            to the one that it copies.
        tint: (h, w, 3) float32 grey levels to be added to the copy.
    """

    shift: np.ndarray
    tint: np.ndarray


@dataclass(frozen=True, slots=True)
class _Level:
    """The picture at one resolution: (h, w, 3) float32 colours and (h, w) bool masks."""

    colour: np.ndarray
    hole: np.ndarray
    barred: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.hole.shape[1], self.hole.shape[0]


def patch_field(
    picture: np.ndarray, hole: np.ndarray, barred: np.ndarray, side: int, begun: bool = False
) -> Field | None:
    """Find what to copy into the hole of a picture.

    Args:
        picture: (h, w, 3) uint8.
        hole: (h, w) uint8, 1 where it is not known.
        barred: (h, w) uint8, 1 where nothing may be copied from; holds the hole.
        side: longer side of the finest level; never more than the picture's own.
        begun: whether the picture shows a good guess in the hole, to be changed no more than
            its surroundings ask for.

    Returns:
        The field at the finest level; None if too little is known.
    """
    lengths = _lengths(min(side, max(hole.shape)))
    filled = picture.astype(np.float32) if begun else None
    found: Field | None = None
    for number, length in enumerate(lengths[-_BEGUN_LEVELS:] if begun else lengths):
        level = _reduced(picture, hole, barred, length)
        search = _Search.over(level)
        if search is None:
            continue
        filled = _first_guess(level, filled)
        for _ in range(_BEGUN_ROUNDS if begun else _ROUNDS[min(number, len(_ROUNDS) - 1)]):
            filled, found = search.round(filled)
    return found


def _lengths(last: float) -> list[float]:
    count = max(0, int(np.log(last / _COARSEST) / np.log(_FINER) + 1e-6))
    return [last / _FINER**k for k in range(count, -1, -1)]


def _reduced(picture: np.ndarray, hole: np.ndarray, barred: np.ndarray, length: float) -> _Level:
    height, width = hole.shape
    size = reduced_size(height, width, length, _PATCH)
    known = (1 - hole).astype(np.float32)
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    total = cv2.resize(picture * known[..., None], size, interpolation=cv2.INTER_AREA)
    unusable = cv2.resize(barred.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    mean = total / np.maximum(share, 1e-3)[..., None]
    hidden = share < 1 - _HIDDEN
    return _Level(mean, hidden, hidden | (unusable > _UNCLEAN))


def _first_guess(level: _Level, coarser: np.ndarray | None) -> np.ndarray:
    """Fill the hole with what the level before found; near the rim, let the rim's colours go on.

    Without them, what is too thin for the coarser level would end at the rim, and the hole's
    outline would show.
    """
    known = (~level.hole).astype(np.float32)
    if coarser is None:
        guess = pull_push(level.colour, known)
    else:
        guess = cv2.resize(coarser, level.size, interpolation=cv2.INTER_AREA)
    if level.hole.all() or not level.hole.any():
        return _in_hole(level, guess)
    rim = Nearest.among(~level.hole)
    calm = cv2.blur(level.colour * known[..., None], (3, 3))
    calm /= np.maximum(cv2.blur(known, (3, 3)), 1e-3)[..., None]
    share = np.exp(-rim.distance_px / (_FAR_RIM if coarser is None else _NEAR_RIM))[..., None]
    return _in_hole(level, guess + share * (rim.spread(calm) - guess))


def _in_hole(level: _Level, values: np.ndarray) -> np.ndarray:
    return np.where(level.hole[..., None], values, level.colour).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Search:
    """The patches of one level: those on offer, and those that want one.

    Attributes:
        level: the level.
        offered: (m, 2) row and column of the middles of patches that may be copied.
        wanting: (n, 2) the same of those that touch the hole.
        mean: (147,) of the patches on offer.
        basis: (147, parts) their principal components.
        tree: finds patches on offer by their parts and position.
        middle: (h, w, 3) mean colour of the patch around each cell.
        tint_limit: (h, w) grey levels by which that mean may be changed.
        weight: (n,) of the votes.
    """

    level: _Level
    offered: np.ndarray
    wanting: np.ndarray
    mean: np.ndarray
    basis: np.ndarray
    tree: cKDTree
    middle: np.ndarray
    tint_limit: np.ndarray
    weight: np.ndarray

    @classmethod
    def over(cls, level: _Level) -> "_Search | None":
        """Gather the patches of a level; None if there are too few."""
        height, width = level.hole.shape
        whole = np.zeros(level.hole.shape, bool)
        whole[_REACH : height - _REACH, _REACH : width - _REACH] = True
        patch = np.ones((_PATCH, _PATCH), np.uint8)
        offered = np.argwhere(whole & (cv2.dilate(level.barred.astype(np.uint8), patch) == 0))
        wanting = np.argwhere(whole & (cv2.dilate(level.hole.astype(np.uint8), patch) > 0))
        if len(offered) < _LEAST_PATCHES or len(wanting) == 0:
            return None
        pixels = _patches(level.colour, offered)
        mean = pixels.mean(axis=0)
        spread = pixels[:: max(1, len(pixels) // _SAMPLES)] - mean
        basis = np.linalg.eigh(spread.T @ spread)[1][:, : -_PARTS - 1 : -1].astype(np.float32)
        tree = cKDTree(np.c_[(pixels - mean) @ basis, _position(offered, level)])
        middle = cv2.blur(level.colour, (_PATCH, _PATCH))
        square = cv2.blur(level.colour**2, (_PATCH, _PATCH))
        deviation = np.sqrt(np.maximum(square - middle**2, 0).mean(axis=-1))
        limit = _TINT * np.clip(2 - deviation / _PLAIN, 0, 1)
        depth = cv2.distanceTransform(level.hole.astype(np.uint8), cv2.DIST_L2, 5)
        weight = _RIM_WEIGHT ** -np.minimum(depth, _DEEPEST)[tuple(wanting.T)]
        return cls(level, offered, wanting, mean, basis, tree, middle, limit, weight)

    def round(self, filled: np.ndarray) -> tuple[np.ndarray, Field]:
        """Find for each patch that wants one what is most like it, and let all of them vote.

        Args:
            filled: (h, w, 3) float32, the picture with its hole filled so far.

        Returns:
            The picture filled anew, and what each cell's own patch copies.
        """
        asked = (_patches(filled, self.wanting) - self.mean) @ self.basis
        asked = np.c_[asked, _position(self.wanting, self.level)]
        distance, index = self.tree.query(asked, eps=_SLACK)
        index, cost = self._joined(asked, index, distance**2)
        unit = 2 * max(float(np.percentile(cost, 75)), 1.0)
        source, target = self.offered[index], tuple(self.wanting.T)
        shift, tint = np.zeros((*self.level.hole.shape, 2), np.float32), np.zeros_like(filled)
        shift[target] = (source - self.wanting)[:, ::-1]
        copied = tuple(source.T)
        change = cv2.blur(filled, (_PATCH, _PATCH))[target] - self.middle[copied]
        limit = self.tint_limit[copied][:, None]
        tint[target] = np.clip(change, -limit, limit)
        votes = np.zeros(self.level.hole.shape, np.float32)
        votes[target] = np.exp(-cost / unit) * self.weight + 1e-9
        return _voted(self.level, shift, tint, votes), Field(_to_border(shift), _to_border(tint))

    def _joined(
        self, asked: np.ndarray, index: np.ndarray, cost: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Let patches go along with a neighbour whose shift does nearly as well.

        Large pieces look like a picture, small ones like a mosaic (Hertzmann et al., Image
        Analogies, 2001, weigh coherence in the same way).

        Args:
            asked: (n, parts + 2) of the patches that want one.
            index: (n,) what each has found.
            cost: (n,) how unlike it is, squared.

        Returns:
            The same two for what each takes.
        """
        pad = max(_JOIN_STEPS)
        shape = tuple(side + 2 * pad for side in self.level.hole.shape)
        number, chosen = np.full(shape, -1), np.full(shape, -1)
        number[tuple((self.offered + pad).T)] = np.arange(len(self.offered))
        seat = self.wanting + pad
        index, cost = index.copy(), cost.copy()
        for step in _JOIN_STEPS:
            for move in ((0, step), (0, -step), (step, 0), (-step, 0)):
                chosen[tuple(seat.T)] = index
                beside = chosen[tuple((seat + move).T)]
                place = tuple((self.offered[beside] + pad - move).T)
                candidate = np.where(beside >= 0, number[place], -1)
                ask = np.flatnonzero((candidate >= 0) & (candidate != index))
                found = ((asked[ask] - self.tree.data[candidate[ask]]) ** 2).sum(axis=1)
                better = _JOIN * found - _PIXELS * _JOIN_LEVELS**2 < cost[ask]
                index[ask[better]], cost[ask[better]] = candidate[ask[better]], found[better]
        return index, cost


def _patches(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(n, 147) float32 numbers of the patches around (n, 2) rows and columns."""
    view = np.lib.stride_tricks.sliding_window_view(picture, (_PATCH, _PATCH, 3))
    rows, columns = (places - _REACH).T
    return view[rows, columns].reshape(len(places), _PIXELS)


def _position(places: np.ndarray, level: _Level) -> np.ndarray:
    """Rows and columns as parts of a patch, so that what is far off is unlike."""
    return places * np.float32(_PATCH * _NEARNESS / max(level.size))


def _voted(level: _Level, shift: np.ndarray, tint: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Give each cell of the hole the mean of what the patches over it hold there."""
    height, width = weight.shape
    places = places_of(height, width)
    sides = (_REACH,) * 4
    shift, tint, weight = (
        cv2.copyMakeBorder(part, *sides, cv2.BORDER_CONSTANT) for part in (shift, tint, weight)
    )
    total, count = np.zeros_like(level.colour), np.zeros((height, width), np.float32)
    for down in range(_PATCH):
        for right in range(_PATCH):
            patch = np.s_[down : down + height, right : right + width]
            value = cv2.remap(level.colour, places + shift[patch], None, cv2.INTER_NEAREST)
            total += (value + tint[patch]) * weight[patch][..., None]
            count += weight[patch]
    return _in_hole(level, total / np.maximum(count, 1e-12)[..., None])


def reduced_size(height: int, width: int, longer: float, least: int = 1) -> tuple[int, int]:
    """Return the (width, height) of a picture whose longer side is reduced to so many pixels."""
    scale = min(1.0, longer / max(height, width))
    return max(least, round(width * scale)), max(least, round(height * scale))


@lru_cache(maxsize=4)
def places_of(height: int, width: int) -> np.ndarray:
    """Return (height, width, 2) float32 column and row of each cell; not to be written to."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([columns, rows], axis=-1)


def _to_border(values: np.ndarray) -> np.ndarray:
    """Let cells at the picture's border, around which no patch fits, go with their neighbours."""
    inside = values[_REACH:-_REACH, _REACH:-_REACH]
    return cv2.copyMakeBorder(inside, *(_REACH,) * 4, cv2.BORDER_REPLICATE)
