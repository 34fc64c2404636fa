"""How a face in a video moves as its pixels say, without any tracker of faces.

A tracker adds noise of its own to what it looks at, and on a painting more than on a face. Where
places of a face went from one frame to the next is therefore read off the pictures themselves: the
pyramidal optical flow of Lucas and Kanade (Bouguet 2000).
"""

from __future__ import annotations

import cv2
import numpy as np

_EYES_PX = 100.0  # what the distance of the eyes is brought to, so that all flows are as fine
_WINDOW, _LEVELS = (15, 15), 3


class Flow:
    """Follows places of one face from frame to frame.

    Args:
        eyes_px: distance of the outer corners of the eyes in the pictures, roughly.
    """

    def __init__(self, eyes_px: float) -> None:
        self._scale = _EYES_PX / eyes_px
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def reset(self) -> None:
        """Forget the last frame, as where the face was lost."""
        self._last = None

    def __call__(self, pixels: np.ndarray, points_px: np.ndarray) -> np.ndarray:
        """Return (N, 2) how far places went since the last frame, in distances of the eyes.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            points_px: (N, 2) places of the face in it, that are followed into the next frame.

        Returns:
            nan where nothing can be said, as at the first frame.
        """
        size = tuple(max(1, round(side * self._scale)) for side in pixels.shape[1::-1])
        grey = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), size)
        points = np.ascontiguousarray(points_px * self._scale - 0.5, np.float32)
        last, self._last = self._last, (grey, points)
        if last is None:
            return np.full(points.shape, np.nan)
        there, found, _ = cv2.calcOpticalFlowPyrLK(
            last[0], grey, last[1], np.zeros_like(last[1]), winSize=_WINDOW, maxLevel=_LEVELS
        )
        return np.where(found > 0, there - last[1], np.nan) / _EYES_PX


def unsteadiness(motions: np.ndarray) -> float:
    """Return the mean change from frame to frame of motions (frames, N, 2), nan left out."""
    change = np.linalg.norm(np.diff(motions, axis=0), axis=2)
    return float(np.nanmean(change)) if np.isfinite(change).any() else float("nan")
