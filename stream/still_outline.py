"""What shows beside those parts of a person that hardly move, as shoulders do while a head turns.

The background plate guesses what lies in a band around a person: fringes, blur and loose hair are
not to stand still where a head turns away. Beside shoulders the frame shows the truth in that
band, and a guess would only spoil it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from stream.region import Region, mix_in
from stream.symmetry import moved_nodes

if TYPE_CHECKING:
    from stream.hair_depth import HeadDepth
    from stream.pose import HeadMotion
    from stream.region import NodeGrid

_HARDLY_MOVED = 0.004  # of the longer side of a head's region
_LOOSELY = 0.4  # share of the motion; what follows more has an outline that turns away
_EVERY, _NEXT = 2, np.ones((3, 3), np.uint8)  # nodes
_SOME = np.s_[::_EVERY, ::_EVERY]
_COARSE = 1 / 136  # of the longer side of a region: steps in which it is looked at
_AROUND, _REACH = np.ones((7, 7), np.uint8), (5, 5)  # of these: the band, and what goes on into it
_LEAST_SHARE = 0.1  # of these; fewer tell nothing
_PLAIN = 12.0  # grey levels of standard deviation


class Turning(NamedTuple):
    """How the parts of a head's region follow its motion, at some of its nodes.

    Attributes:
        grid: of all nodes.
        depth_mm: (rows, columns) float32 of every other node of every other row.
        share: (rows, columns) float32 of the motion that these follow.
        motion: the motion.
        camera: (3, 3) intrinsics.
    """

    grid: NodeGrid
    depth_mm: np.ndarray
    share: np.ndarray
    motion: HeadMotion
    camera: np.ndarray

    @classmethod
    def of(cls, depth: HeadDepth, motion: HeadMotion, camera: np.ndarray) -> Turning:
        """Return how a head follows a motion."""
        front_mm, turn = (np.ascontiguousarray(of[_SOME]) for of in (depth.front_mm, depth.turn))
        return cls(depth.grid, front_mm, turn, motion, camera)


def show_beside(
    picture: np.ndarray, alpha: np.ndarray, plate: np.ndarray, turning: Turning
) -> None:
    """Let the frame itself show beside what hardly moves, in place of a guess.

    Args:
        picture: (h, w, 3) uint8, the region of a head.
        alpha: (h, w) uint8 matte there, 255 inside.
        plate: (h, w, 3) uint8 background there, changed in place.
        turning: how the head in that region turns.
    """
    grid, depth_mm, share, motion, camera = turning
    longest = max(grid.region.width, grid.region.height)
    reach_px, coarse_px = _HARDLY_MOVED * longest, max(2, round(_COARSE * longest))
    places = grid.positions_px[_SOME]
    moved = moved_nodes(places, depth_mm, share, motion, camera) - places
    still = cv2.inRange(moved, (-reach_px, -reach_px), (reach_px, reach_px))
    still &= cv2.compare(share, _LOOSELY, cv2.CMP_LT)
    moves = cv2.compare(share, 0, cv2.CMP_GT)  # else the frame itself shows
    box = _outline_box(alpha, cv2.bitwise_and(still, moves), coarse_px)
    if box.is_empty:
        return
    picture, alpha, plate = (box.crop(part) for part in (picture, alpha, plate))
    step_px = np.multiply(grid.step_px, _EVERY)
    stays = cv2.compare(_between_nodes(cv2.erode(still, _NEXT), step_px, box), 127, cv2.CMP_GT)
    fringe = np.ones((2 * round(reach_px) + 1,) * 2, np.uint8)
    near = cv2.dilate(alpha, fringe)
    shows = stays & cv2.compare(near, 0, cv2.CMP_EQ)
    mixed = stays & cv2.compare(cv2.dilate(near, fringe), 0, cv2.CMP_GT)
    _continue_plain(plate, picture, shows, mixed, coarse_px)
    mix_in(plate, picture, cv2.addWeighted(cv2.blur(shows, fringe.shape), 2, shows, 0, -255))


def _outline_box(alpha: np.ndarray, still: np.ndarray, step_px: int) -> Region:
    """Return the part of a region in which a still person's outline lies, with what is beside."""
    person = cv2.compare(alpha[::step_px, ::step_px], 0, cv2.CMP_GT)
    rim = cv2.subtract(cv2.dilate(person, _AROUND), cv2.erode(person, _AROUND))
    still = cv2.resize(still, rim.shape[::-1], interpolation=cv2.INTER_NEAREST)
    x, y, width, height = cv2.boundingRect(cv2.bitwise_and(rim, still))
    box = np.multiply((x, y, x + width, y + height), step_px)
    return Region(*box.tolist()).clipped(alpha.shape[1], alpha.shape[0])


def _between_nodes(at_nodes: np.ndarray, step_px: np.ndarray, part: Region) -> np.ndarray:
    """Return (h, w) what the pixels of a part have, between nodes from the region's corner on."""
    step_x, step_y = step_px
    matrix = np.array(
        [[1 / step_x, 0, (part.x0 + 0.5) / step_x], [0, 1 / step_y, (part.y0 + 0.5) / step_y]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = part.width, part.height
    return cv2.warpAffine(at_nodes, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _continue_plain(
    guess: np.ndarray, picture: np.ndarray, shows: np.ndarray, within: np.ndarray, step_px: int
) -> None:
    """Continue a picture beyond where it shows, where it is plain there, in place of a guess.

    Args:
        guess: (h, w, 3) uint8, changed in place.
        picture: (h, w, 3) uint8.
        shows: (h, w) uint8, 255 where the picture is right.
        within: (h, w) uint8, 255 where the guess may change.
        step_px: how coarsely.
    """
    height, width = shows.shape
    small = max(1, width // step_px), max(1, height // step_px)
    seen = cv2.resize(cv2.copyTo(picture, shows), small, interpolation=cv2.INTER_AREA)
    known = cv2.resize(shows, small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    share = cv2.blur(known, _REACH)
    mean = cv2.blur(seen.astype(np.float32), _REACH) / np.maximum(share, 1e-3)[..., None]
    plain = (share > _LEAST_SHARE) & (_variance(seen, known == 1) < _PLAIN**2)
    mean = _spread(mean, plain)
    plain = cv2.dilate(plain.astype(np.uint8) * 255, _NEXT)
    plain = cv2.blur(plain, _NEXT.shape)  # its blocks would show
    colours, share = (
        cv2.resize(part, (width, height)) for part in (cv2.convertScaleAbs(mean), plain)
    )
    mix_in(guess, colours, cv2.bitwise_and(within, share))


def _spread(colours: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) float32 colours that go on from where they are known to cells near by."""
    weight = known.astype(np.float32)
    total = cv2.blur(colours * weight[..., None], _AROUND.shape)
    around = total / np.maximum(cv2.blur(weight, _AROUND.shape), 1e-3)[..., None]
    return np.where(known[..., None], colours, around)


def _variance(colours: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """Return (h, w) float32 the greatest of any colour among marked pixels; infinite without."""
    weight = marked.astype(np.float32)
    share = cv2.blur(weight, _REACH)
    some = colours * weight[..., None]
    mean, squares = (
        cv2.blur(part, _REACH) / np.maximum(share, 1e-6)[..., None]
        for part in (some, colours * some)
    )
    return np.where(share > 1e-3, (squares - mean**2).max(axis=2), np.inf)
