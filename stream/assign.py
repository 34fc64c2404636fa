"""Which face of this frame is which face of the last one.

Where two faces cross, position alone cannot tell them apart. Each face therefore keeps a
likeness: the shape of the points that barely move with expression, and a coarse picture of
the head, both free of position, size and roll.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.optimize import linear_sum_assignment

# Forehead, temples, cheeks, nose and eye corners: what expressions move little.
_STEADY_POINTS = np.fromstring(
    "10 109 338 67 297 54 284 21 251 162 389 127 356 234 454 93 323 33 133 362 263 168 6 197 195 "
    "5 4 1 2 98 327 50 280 101 330 36 266 205 425 116 345 123 352",
    dtype=int,
    sep=" ",
)
# Measured on clips: the same face differs from its own average by up to this much, others by
# two or three times as much.
_SHAPE_UNIT = 0.03
_LOOK_UNIT = 0.15
_NEVER = 1e6
_CLEAR = 1.0
_OFF_CENTRE = np.exp(-0.5 * ((np.arange(8) - 3.5) / 2.0) ** 2)
_LOOK_WEIGHTS = (np.outer(_OFF_CENTRE, _OFF_CENTRE) / (3 * _OFF_CENTRE.sum() ** 2))[..., None]


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a face looks like, in a form that two frames can be compared by.

    Attributes:
        shape: (S, 3) points, centred, of unit norm.
        look: (8, 8, 3) mean colours of the region of the head, of unit mean; its middle
            counts most, since the rest is background.
    """

    shape: np.ndarray
    look: np.ndarray

    @classmethod
    def of(cls, points_px: np.ndarray, look: np.ndarray) -> Self:
        """Take the likeness of (478, 3) points and (8, 8, 3) colours of their region."""
        shape = points_px[_STEADY_POINTS].astype(np.float64)
        shape -= shape.mean(axis=0)
        mean = float(np.sum(_LOOK_WEIGHTS * look))
        return cls(shape / max(np.linalg.norm(shape), 1e-9), look / max(mean, 1.0))

    def difference(self, other: Self) -> tuple[float, float]:
        """Return how unlike two faces are in shape and in look.

        One person seen twice differs by about 1 in each at most, two people by 2 on average.
        """
        shape = float(np.linalg.norm(_turned_onto(other.shape, self.shape) - self.shape))
        look = float(np.sum(_LOOK_WEIGHTS * np.abs(other.look - self.look)))
        return shape / _SHAPE_UNIT, look / _LOOK_UNIT

    def moved_to(self, other: Self, share: float) -> Self:
        """Return the likeness that lies a share (0…1) of the way to another."""
        shape = self.shape + share * (_turned_onto(other.shape, self.shape) - self.shape)
        look = self.look + share * (other.look - self.look)
        return type(self)(shape / max(np.linalg.norm(shape), 1e-9), look)


def _turned_onto(shape: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rotate centred points onto others as well as a rotation can (Kabsch)."""
    u, _, vt = np.linalg.svd(shape.T @ target)
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    return shape @ (u @ vt)


@dataclass(frozen=True, slots=True)
class Sight:
    """A face as seen, or as expected, in one frame.

    Attributes:
        centre_px: (2,) middle of the points.
        size_px: longer side of the box around the points.
        likeness: what it looks like.
        latest: what it looked like last, where `likeness` is an average (expected faces).
        reach: how many sizes away from `centre_px` the face may turn up (expected faces).
        strict: difference in likeness, shape and look together, above which it is another
            face (expected faces).
        strict_shape: difference in shape above which it is another face.
    """

    centre_px: np.ndarray
    size_px: float
    likeness: Likeness
    latest: Likeness | None = None
    reach: float = 0.5
    strict: float = 3.0
    strict_shape: float = 3.0


def match_cost(expected: Sight, seen: Sight) -> float:
    """Return how badly a face fits what was expected; at least 1e6 where it cannot be it."""
    distance = float(np.linalg.norm(seen.centre_px - expected.centre_px))
    distance /= max(expected.size_px, 1e-9)
    growth = abs(np.log(max(seen.size_px, 1e-9) / max(expected.size_px, 1e-9)))
    if distance > expected.reach or growth > 0.5 * (1 + expected.reach):
        return _NEVER
    shape, look = expected.likeness.difference(seen.likeness)
    if shape + look > _CLEAR and expected.latest is not None:
        # A head that turns fast leaves its average behind.
        shape, look = min((shape, look), expected.latest.difference(seen.likeness), key=sum)
    if shape > expected.strict_shape or shape + look > expected.strict:
        return _NEVER
    return distance / expected.reach + growth + shape + look


def assign(expected: list[Sight], seen: list[Sight]) -> list[tuple[int, int]]:
    """Pair expected with seen faces so that the pairs fit best together.

    Returns:
        (index in expected, index in seen) of each pair; what fits nothing is left out.
    """
    if not expected or not seen:
        return []
    cost = np.array([[match_cost(old, new) for new in seen] for old in expected])
    rows, columns = linear_sum_assignment(cost)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if cost[row, column] < _NEVER]


def overlap(a: Sight, b: Sight) -> bool:
    """Tell whether two seen faces are one and the same."""
    distance = float(np.linalg.norm(a.centre_px - b.centre_px))
    return distance < 0.35 * min(a.size_px, b.size_px)
