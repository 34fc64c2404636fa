"""What a person's face is like while nothing moves it, beyond the head that was fitted to it.

Eighty numbers of identity say roughly what a nose, an eye or a mouth is like; the rest is left to
the tracked points, of the source in its photo, of the target in every frame. A recogniser looks at
just these: laid into the source's form, noses, eyes and mouths bring a swapped picture nearest to
the source, outlines not at all. So what is drawn leaves the target's own form as the mean over
time says it, and not only its fitted identity.

Eyes go as a whole: they are the target's own pixels, which may be shifted, turned and made larger,
but not squeezed, or they would look sleepy or frightened.

Letters: V vertices of the head model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from stream.geometry import smoothstep

if TYPE_CHECKING:
    from stream.head_model import HeadModel

_EYES = slice(36, 42), slice(42, 48)  # of the iBUG points
_LID_MM = 4.0  # from their lids: vertices by which an eye's motion is known
_WITH_EYE_MM = (2.0, 11.0)  # from the lids: goes with the eye, and by itself
_SLOWEST = 300  # frames, over which the mean is taken
_DOUBT = 1e-3


class RestingFace:
    """Learns where the tracked points of one face of the stream lie while nothing moves it.

    Attributes:
        points_mm: (N, 3) the points at rest, head space; empty before the first frame.
        frames: from which they were learnt.
    """

    def __init__(self) -> None:
        self.points_mm = np.zeros((0, 3))
        self.frames = 0
        self._weights = np.zeros(0)

    def __call__(self, points_mm: np.ndarray, seen: np.ndarray) -> None:
        """Learn from one more frame.

        Args:
            points_mm: (N, 3) head space, without what the expression moved.
            seen: (N,) 0…1, how well each was seen.
        """
        if self.frames == 0:
            self.points_mm, self._weights = points_mm, np.full(len(points_mm), _DOUBT)
        self.frames += 1
        self._weights = np.minimum(self._weights + seen, _SLOWEST)
        step = (seen / self._weights)[:, None]
        self.points_mm = self.points_mm + step * (points_mm - self.points_mm)


class _Eye(NamedTuple):
    """How one eye goes as a whole.

    Attributes:
        lids: (N,) vertices that say how.
        solve: (4, 2 N) from their motions to shift, growth and turn: least squares.
        near: (M,) vertices that go with it.
        moved: (2 M, 4) how these do.
        share: (M, 1) how far.
    """

    lids: np.ndarray
    solve: np.ndarray
    near: np.ndarray
    moved: np.ndarray
    share: np.ndarray


class WholeEyes:
    """Lets eyes go as a whole where the skin around them moves.

    Args:
        model: the head model.
    """

    def __init__(self, model: HeadModel) -> None:
        self._eyes = [_eye(model.vertices, model.points68()[part]) for part in _EYES]

    def __call__(self, change_mm: np.ndarray) -> None:
        """Replace the motion (V, 3) of eyes and lids by a shift, a growth and a turn, in place."""
        for eye in self._eyes:
            known = change_mm[eye.lids]
            across = eye.moved @ (eye.solve @ known[:, :2].ravel())
            deep = np.full(len(eye.near), known[:, 2].mean())
            whole = np.column_stack([across.reshape(-1, 2), deep])
            change_mm[eye.near] += eye.share * (whole - change_mm[eye.near])


def _eye(vertices: np.ndarray, corners: np.ndarray) -> _Eye:
    away = cKDTree(corners).query(vertices)[0]
    lids, near = np.flatnonzero(away < _LID_MM), np.flatnonzero(away < _WITH_EYE_MM[1])
    middle = corners[:, :2].mean(axis=0)
    solve, moved = (_similar(vertices[one, :2] - middle) for one in (lids, near))
    share = 1 - smoothstep(away[near], *_WITH_EYE_MM)
    return _Eye(
        lids, np.linalg.pinv(solve).astype(np.float32), near, moved.astype(np.float32),
        share[:, None].astype(np.float32),
    )  # fmt: skip


def _similar(places: np.ndarray) -> np.ndarray:
    """Return (2 N, 4): motions of places (N, 2) by a shift to the right and down, growth, turn."""
    x, y = places.T
    one, none = np.ones_like(x), np.zeros_like(x)
    return np.stack([[one, none, x, -y], [none, one, y, x]]).transpose(2, 0, 1).reshape(-1, 4)
