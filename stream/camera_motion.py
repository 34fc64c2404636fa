"""How the camera moved, from points of the background: a similarity, cheap enough for each frame.

Points are followed from frame to frame, but each keeps the place at which it entered the
anchor's picture, so that errors do not add up while it stays in view.
"""

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np

from stream.region import halved

_LONGEST = 320  # side of the reduced picture in which points are followed
_MOST_POINTS = 80
_ENOUGH_POINTS = 30  # fewer: look for new ones
_LEAST_CONTRAST = 3.0  # grey levels around a point; less is noise of a plain wall
_SEARCH_EVERY = 5  # frames between two searches
_LEAST_SIDE = 24  # frame pixels; a smaller picture has no motion worth following
_LEAST_POINTS = 8  # fewer: the background is too plain to tell, and too plain to matter
_AGREE_PX = 0.7  # reduced pixels within which a point obeys the common motion
_LEAST_AGREEING = 0.4  # share of the points below which the background has no common motion
_SNAP_PX = 0.4  # frame pixels of motion that count as none
_LK = {"winSize": (15, 15), "maxLevel": 3}


class Motion(Enum):
    """What one frame says of the camera."""

    STILL = "still"
    MOVED = "moved"
    LOST = "lost"


@dataclass(slots=True)
class _Points:
    """Followed points in reduced pixels: (n, 2) float32 now, and in the anchor's picture."""

    now: np.ndarray
    anchor: np.ndarray

    def where(self, kept: np.ndarray) -> "_Points":
        """Those for which ``kept`` (n,) is true."""
        return _Points(self.now[kept], self.anchor[kept])

    def at(self, mask: np.ndarray) -> "_Points":
        """Those that lie on nonzero pixels of a mask."""
        column, row = np.floor(self.now).astype(np.int32).T
        height, width = mask.shape
        return self.where(mask[row.clip(0, height - 1), column.clip(0, width - 1)] > 0)


def _no_points() -> _Points:
    return _Points(np.empty((0, 2), np.float32), np.empty((0, 2), np.float32))


class CameraMotion:
    """Follow the background of one stream.

    Attributes:
        anchor_from_frame: (2, 3) float64 similarity from the last frame's pixels to those of
            the anchor, which is the frame at which ``restart`` was last called. Exactly the
            identity while the camera stands still.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Make the next frame the anchor."""
        self.anchor_from_frame = np.eye(2, 3)
        self._grey: np.ndarray | None = None
        self._search_in = 0
        self._points = _no_points()

    def follow(self, frame_rgb: np.ndarray, occupied: np.ndarray | None = None) -> Motion:
        """Take the next frame.

        Args:
            frame_rgb: (H, W, 3) uint8.
            occupied: (h, w) uint8 over the whole frame at any resolution, nonzero where people
                may hide the background.

        Returns:
            LOST if the background has no common motion (a cut, a hand before the lens): then
            ``anchor_from_frame`` is the last one known.
        """
        if min(frame_rgb.shape[:2]) < _LEAST_SIDE:
            return Motion.STILL
        grey, step = _reduced_grey(frame_rgb)
        if self._grey is None or self._grey.shape != grey.shape:
            self.restart()
            self._take(grey, step, occupied)
            return Motion.STILL
        motion = self._follow(grey, step, frame_rgb.shape[:2])
        self._take(grey, step, occupied)
        return motion

    def _take(self, grey: np.ndarray, step: int, occupied: np.ndarray | None) -> None:
        self._grey = grey
        free = np.full(grey.shape, 255, np.uint8)
        if occupied is not None:
            taken = cv2.resize(occupied, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
            free[taken > 0] = 0
        self._points = self._points.at(free)
        self._search_in -= 1
        if len(self._points.now) >= _ENOUGH_POINTS or self._search_in > 0 or not free.any():
            return
        self._search_in = _SEARCH_EVERY
        mask = cv2.bitwise_and(free, _textured(grey))
        for x, y in self._points.now:
            cv2.circle(mask, (round(float(x)), round(float(y))), 6, 0, -1)
        wanted = _MOST_POINTS - len(self._points.now)
        found = cv2.goodFeaturesToTrack(grey, wanted, 0.02, 7, mask=mask)
        if found is None:
            return
        new = found.reshape(-1, 2).astype(np.float32)
        at_anchor = _moved(new, _at_scale(self.anchor_from_frame, step))
        self._points = _Points(
            np.concatenate([self._points.now, new]),
            np.concatenate([self._points.anchor, at_anchor]),
        )

    def _follow(self, grey: np.ndarray, step: int, frame_shape: tuple[int, ...]) -> Motion:
        before = self._points
        if len(before.now) < _LEAST_POINTS or self._grey is None:
            return Motion.STILL
        now, found, _ = cv2.calcOpticalFlowPyrLK(self._grey, grey, before.now, None, **_LK)
        height, width = grey.shape
        inside = (now >= 2).all(1) & (now[:, 0] < width - 2) & (now[:, 1] < height - 2)
        kept = (found.ravel() > 0) & inside
        points = _Points(now, before.anchor).where(kept)
        if len(points.now) < _LEAST_POINTS:
            self._points = _no_points()
            return Motion.LOST
        fit, agree = cv2.estimateAffinePartial2D(
            points.now, points.anchor, method=cv2.RANSAC, ransacReprojThreshold=_AGREE_PX
        )
        if fit is None or float(agree.mean()) < _LEAST_AGREEING:
            self._points = _no_points()
            return Motion.LOST
        obey = agree.ravel() > 0
        self._points = points.where(obey)
        return self._accept(_at_scale(fit, 1 / step), frame_shape)

    def _accept(self, fit: np.ndarray, frame_shape: tuple[int, ...]) -> Motion:
        height, width = frame_shape[:2]
        corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float32)
        still = np.abs(_moved(corners, fit) - corners).max() < _SNAP_PX
        if still and np.array_equal(self.anchor_from_frame, np.eye(2, 3)):
            return Motion.STILL
        self.anchor_from_frame = np.eye(2, 3) if still else fit
        return Motion.STILL if still else Motion.MOVED


def _reduced_grey(frame_rgb: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the frame in grey, reduced to about 320 pixels, and frame pixels per its pixel."""
    height, width = frame_rgb.shape[:2]
    step = left = max(1, round(max(height, width) / _LONGEST))
    size = max(1, width // step), max(1, height // step)
    small = frame_rgb[: size[1] * step, : size[0] * step]
    while left % 2 == 0:
        small, left = halved(small), left // 2
    return cv2.resize(
        cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA
    ), step


def _textured(grey: np.ndarray) -> np.ndarray:
    """(h, w) uint8, 255 where the picture holds more than noise."""
    detail = cv2.absdiff(grey, cv2.blur(grey, (9, 9)))
    return cv2.compare(cv2.blur(detail.astype(np.float32), (9, 9)), _LEAST_CONTRAST, cv2.CMP_GT)


def _at_scale(transform: np.ndarray, step: float) -> np.ndarray:
    """The same motion between pictures reduced by ``step``."""
    scaled = transform.copy()
    scaled[:, 2] /= step
    return scaled


def _moved(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    return (points @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
