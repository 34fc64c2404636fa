"""Scene cuts: tell when a frame does not go on from the one before.

Two signs must agree. The blurred picture must stop correlating with the last one, far more
than the motion of the last frames explains; and the edges must have gone elsewhere too, which
they do not do when a flash or a passing light only changes the brightness. Frames without a
picture (blown out, or black between two fades) are passed over, and what follows them is
compared with what came before them.
"""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

_SAMPLED_SIZE = (128, 72)
_THUMB_SIZE = (64, 36)
_COARSE_SIZE = (32, 18)
_SHIFT = (4, 3)  # of the coarse picture that a moving camera may bring between two frames
_HISTORY = 8  # frames over which the usual change is known
_MEAN = np.full((1, 3), 1 / 3, np.float32)  # of the colour channels
_BLANK_STD = 4.0  # grey levels; below this a frame shows nothing
_BLOWN_OUT_SHARE = 0.6  # of pixels at full white


@dataclass(frozen=True, slots=True)
class CutSettings:
    """When a change of picture counts as a scene cut.

    Attributes:
        certain: loss of correlation (0…1) that is a cut whatever came before.
        possible: the least loss of correlation that may be one.
        over_usual: how many times more than in the last frames it must be then.
        edges: correlation of the edges above which it is no cut, but light.
    """

    certain: float = 0.5
    possible: float = 0.035
    over_usual: float = 6.0
    edges: float = 0.5


@dataclass(frozen=True, slots=True)
class _Glance:
    """What is kept of a frame: a thumbnail, and coarse colours."""

    thumb: np.ndarray
    coarse: np.ndarray

    @classmethod
    def at(cls, thumb: np.ndarray) -> "_Glance":
        coarse = cv2.resize(thumb, _COARSE_SIZE, interpolation=cv2.INTER_AREA)
        return cls(thumb, cv2.GaussianBlur(coarse, (0, 0), 1.0))

    @property
    def edges(self) -> np.ndarray:
        """(2, 35, 63) float32; rarely asked for."""
        grey = cv2.GaussianBlur(cv2.transform(self.thumb, _MEAN), (0, 0), 0.8)
        grey = cv2.log(grey + 16.0)
        return np.stack([np.diff(grey, axis=0)[:, 1:], np.diff(grey, axis=1)[1:]])


class CutDetector:
    """Decide for each frame of a stream whether a new scene starts with it."""

    def __init__(self, settings: CutSettings | None = None) -> None:
        self._settings = settings or CutSettings()
        self._last: _Glance | None = None
        self._losses: deque[float] = deque(maxlen=_HISTORY)

    def reset(self) -> None:
        """Forget all frames; the next one is not a cut."""
        self._last = None
        self._losses.clear()

    def is_cut(self, pixels: np.ndarray) -> bool:
        """Take the next (H, W, 3) uint8 frame; True if it starts a new scene."""
        thumb = _thumbnail(pixels)
        if _is_blank(thumb):
            return False
        now, last = _Glance.at(thumb), self._last
        self._last = now
        if last is None:
            return False
        loss = 1.0 - _best_correlation(now.coarse, last.coarse)
        usual = max(self._losses, default=self._settings.certain)
        self._losses.append(loss)
        threshold = max(self._settings.possible, self._settings.over_usual * usual)
        cut = loss > min(self._settings.certain, threshold)
        if cut and _correlation(now.edges, last.edges) < self._settings.edges:
            self._losses.clear()
            return True
        return False


def _thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Return (36, 64, 3) float32 of a frame of any size, reading only some of its pixels."""
    some = cv2.resize(pixels, _SAMPLED_SIZE, interpolation=cv2.INTER_NEAREST)
    return cv2.resize(some, _THUMB_SIZE, interpolation=cv2.INTER_AREA).astype(np.float32)


def _is_blank(thumb: np.ndarray) -> bool:
    return bool(thumb.std() < _BLANK_STD or np.mean(thumb > 250) > _BLOWN_OUT_SHARE)


def _best_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the best correlation of the middle of one picture with a part of the other."""
    x, y = _SHIFT
    middle = np.ascontiguousarray(a[y:-y, x:-x])
    return float(cv2.matchTemplate(b, middle, cv2.TM_CCOEFF_NORMED).max())


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    power = float(np.sum(a * a)) * float(np.sum(b * b))
    return float(np.sum(a * b)) / max(np.sqrt(power), 1e-9)
