"""Automatic exposure and white balance of a camera, from scenery that stays in sight."""

import cv2
import numpy as np

_LEAST_SAMPLES = 48
_DARK, _BRIGHT = 40.0, 240.0  # colours outside are clipped or drowned in noise
_RENEWAL = 0.02  # share by which a reference follows what is seen, at each look
_STEP = 0.009  # change of gain that is followed
_RANGE = (0.5, 2.0)


class Exposure:
    """Follows the gain of a camera against references that were seen earlier.

    References stay as they are but for a slow renewal, so that a slow drift adds up in the
    gain instead of hiding in them.

    Args:
        places: how many places of the scenery can be remembered.

    Attributes:
        gain: (3,) float64 factor of each colour channel, now against the beginning.
    """

    def __init__(self, places: int) -> None:
        self.gain = np.ones(3)
        self._reference = np.zeros((places, 3), np.float32)
        self._seen = np.zeros(places, bool)

    def forget_places(self) -> None:
        """Start new references at the present gain, as when the places have moved."""
        self._seen[:] = False

    @property
    def neutral(self) -> bool:
        """Whether the camera exposes as in the beginning."""
        return bool((self.gain == 1).all())

    def now(self, colours: np.ndarray) -> np.ndarray:
        """Return colours of the beginning, (h, w, 3) uint8, as the camera exposes them now."""
        return colours if self.neutral else cv2.LUT(colours, _gain_table(self.gain))

    def at_first(self, colours: np.ndarray) -> np.ndarray:
        """Return colours of now, (h, w, 3) uint8, as the camera exposed them in the beginning."""
        return colours if self.neutral else cv2.LUT(colours, _gain_table(1 / self.gain))

    def judge(self, places: np.ndarray, colours: np.ndarray) -> None:
        """Take what is in sight.

        Args:
            places: (n,) int, each below the number of places, none twice.
            colours: (n, 3) uint8 as the camera shows them.
        """
        now = colours.astype(np.float32)
        seen = self._seen[places]
        self._follow(now[seen], self._reference[places[seen]])
        natural = now / self.gain.astype(np.float32)
        old = self._reference[places]
        renewed = np.where(seen[:, None], old + (natural - old) * _RENEWAL, natural)
        self._reference[places] = renewed
        self._seen[places] = True

    def _follow(self, now: np.ndarray, before: np.ndarray) -> None:
        usable = (before > _DARK) & (now > _DARK) & (before < _BRIGHT) & (now < _BRIGHT)
        if usable.all(axis=1).sum() >= _LEAST_SAMPLES:
            both = usable.all(axis=1)
            gain = np.median(now[both] / before[both], axis=0)
        elif usable.any(axis=1).sum() >= _LEAST_SAMPLES:
            gain = np.full(3, np.median(now[usable] / before[usable]))
        else:
            return
        changed = np.abs(gain / self.gain - 1) > _STEP
        self.gain = np.where(changed, np.clip(gain, *_RANGE), self.gain)
        if np.abs(self.gain - 1).max() < _STEP:
            self.gain = np.ones(3)


def _gain_table(gain: np.ndarray) -> np.ndarray:
    """Return the (1, 256, 3) uint8 look-up table that multiplies each channel."""
    table = np.arange(256)[:, None] * gain[None]
    return np.clip(np.round(table), 0, 255).astype(np.uint8)[None]
