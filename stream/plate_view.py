"""What one frame shows of the background: hidden, in doubt, or in plain view."""

from dataclasses import dataclass

import cv2
import numpy as np

from stream.plate_canvas import LOOSE, SEEN, SURE
from stream.region import Region, halved

_LONGEST = 320  # side at which loose hair is looked for
_BODY = 0.03  # matte from which a pixel holds some of the person
_PLAIN = 1.5  # mean grey levels of fine detail up to which scenery is plain enough to spot hairs
_AROUND, _LEAST_SCENERY = 0.3, 0.03  # side of the window it is judged in, and its share of that
_LEAST_HAIR = 6.0  # grey levels by which a loose hair differs from what is behind it
_HELD = 128  # marks what reaches the person
_OVER_SCENERY = 4.0  # how many times the scenery's mean detail


@dataclass(frozen=True, slots=True)
class PlateView:
    """A frame's view of the background in one region, in the region's pixels.

    Attributes:
        region: the rectangle of the frame.
        hidden: (h, w) uint8, 255 behind the person, falling to 0 where the frame is the plate.
        sight: (h, w) uint8: 0 hidden, ``LOOSE`` behind loose hair, ``SEEN`` near the person,
            ``SURE`` far from it.
    """

    region: Region
    hidden: np.ndarray
    sight: np.ndarray

    @property
    def bounds(self) -> Region:
        """The rectangle of the frame in which anything is hidden."""
        x, y, width, height = cv2.boundingRect(self.hidden)
        left, top = self.region.x0 + x, self.region.y0 + y
        return Region(left, top, left + width, top + height)

    def sure_places(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) columns and (n,) rows of frame pixels that surely show background.

        Args:
            step: pixels between those that are looked at.
        """
        rows, columns = np.nonzero(self.sight[::step, ::step] == SURE)
        return self.region.x0 + columns * step, self.region.y0 + rows * step

    def occupied(self, size: tuple[int, int], step: int) -> np.ndarray:
        """Return where in the frame the person was, or may reach down to.

        Args:
            size: (width, height) of the frame.
            step: pixels of it to one of the answer.

        Returns:
            (h, w) uint8, 1 where that is.
        """
        mask = np.zeros((size[1] // step + 1, size[0] // step + 1), np.uint8)
        x0, y0, x1, y1 = (side // step for side in self.region)
        mask[y1:, x0:x1] = 1
        part = mask[y0:y1, x0:x1]
        if part.size:
            unsure = (self.sight != SURE).astype(np.uint8)
            part[:] = cv2.resize(unsure, part.shape[::-1], interpolation=cv2.INTER_NEAREST)
        return mask


def look(
    picture: np.ndarray, region: Region, alpha: np.ndarray, margin: float, doubt: float
) -> PlateView:
    """Tell what a matte hides, and what it leaves in doubt.

    Args:
        picture: (h, w, 3) uint8 pixels of the region.
        region: rectangle of the frame.
        alpha: (h', w') float32 matte over the region, any resolution.
        margin: share of the longer side around the matte that counts as hidden.
        doubt: share of the longer side around the matte in which loose hair may hang.
    """
    size = _reduced_size(region)
    longest = max(size)
    body = cv2.compare(_spread(alpha, size), _BODY, cv2.CMP_GT)
    reach = max(1, round(margin * longest))
    near = _grown(body, reach)
    far = grown_square(body, max(reach + 2, round(doubt * longest)))
    loose = _loose_hair(picture, size, near, far)
    soft = cv2.blur(cv2.max(near, loose), (reach | 1, reach | 1))
    hidden = cv2.resize(soft, (region.width, region.height))
    # What is half hidden must not be learnt, nor what resampling may have missed.
    touched = grown_square(cv2.compare(soft, 0, cv2.CMP_GT), 1)
    sight = np.full(near.shape, SURE, np.uint8)
    sight[far > 0] = SEEN
    sight[touched > 0] = 0
    sight[loose > 0] = LOOSE
    sight = cv2.resize(sight, (region.width, region.height), interpolation=cv2.INTER_NEAREST)
    return PlateView(region, hidden, sight)


def _reduced_size(region: Region) -> tuple[int, int]:
    scale = min(1.0, _LONGEST / max(region.width, region.height))
    return max(1, round(region.width * scale)), max(1, round(region.height * scale))


def _spread(alpha: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample a matte; when it shrinks, its peaks stay."""
    if alpha.shape[1] > size[0] or alpha.shape[0] > size[1]:
        alpha = cv2.dilate(alpha, np.ones((3, 3), np.uint8))
    return cv2.resize(alpha, size)


def _grown(mask: np.ndarray, radius: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(mask, disc)


def grown_square(mask: np.ndarray, radius: int) -> np.ndarray:
    """Grow by a square: separable, so that a wide band costs no more than a narrow one."""
    return cv2.dilate(mask, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))


def _loose_hair(
    picture: np.ndarray, size: tuple[int, int], near: np.ndarray, far: np.ndarray
) -> np.ndarray:
    """(h, w) uint8, 255 on thin lines beside the person that the scenery does not have.

    Left in the plate, they would stand still while the head turns.
    """
    grey = cv2.cvtColor(cv2.resize(picture, size), cv2.COLOR_RGB2GRAY)
    line = np.ones((5, 5), np.uint8)  # wider than a hair
    bright = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, line)
    detail = cv2.max(bright, cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, line))
    scenery = cv2.bitwise_not(far)
    if cv2.countNonZero(scenery) < _LEAST_SCENERY * scenery.size:
        return np.zeros_like(near)
    # Scenery is judged close by: letters at the far end of a wall do not make it a pattern.
    # What is judged is smooth, and half as fine does for it.
    bare, side = halved(scenery), round(_AROUND * max(size) / 2) | 1
    usual = cv2.blur(halved(cv2.bitwise_and(detail, scenery)).astype(np.float32), (side, side))
    share = cv2.blur(bare.astype(np.float32) / 255, (side, side))
    usual /= cv2.max(share, _LEAST_SCENERY)
    limit = cv2.convertScaleAbs(cv2.max(_LEAST_HAIR, _OVER_SCENERY * usual))
    plain = cv2.compare(usual, _PLAIN, cv2.CMP_LT)
    plain &= cv2.compare(share, _LEAST_SCENERY, cv2.CMP_GT)
    thin = cv2.compare(detail, cv2.resize(limit, size), cv2.CMP_GT)
    thin &= far & ~near & cv2.resize(plain, size, interpolation=cv2.INTER_NEAREST)
    return grown_square(_hanging(thin, near), 1)


def _hanging(thin: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(h, w) uint8: those lines that reach the person; stars and letters beside it stand alone."""
    if cv2.countNonZero(thin) == 0 or cv2.countNonZero(near) == 0:
        return thin
    person, joined = (cv2.compare(halved(mask), 0, cv2.CMP_GT) for mask in (near, thin | near))
    row, column = divmod(int(person.argmax()), person.shape[1])
    cv2.floodFill(joined, None, (column, row), _HELD, flags=8)
    reach = cv2.compare(joined, _HELD, cv2.CMP_EQ)
    reach = cv2.resize(reach, near.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return cv2.bitwise_and(reach, thin)
