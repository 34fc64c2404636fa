"""One-Euro smoothing of parameters: steady at rest, without delay in motion.

Casiez, Roussel, Vogel: "1€ Filter: a simple speed-based low-pass filter for noisy input in
interactive systems", CHI 2012. A first-order low-pass whose cutoff grows with the speed of
what it follows. Time is in seconds, so frames may come at any rate.
"""

import math
from dataclasses import dataclass

import numpy as np

from stream.geometry import axis_angle_from_rotation, rotation_from_axis_angle


@dataclass(frozen=True, slots=True)
class SmoothSettings:
    """How strongly a parameter is smoothed.

    Attributes:
        min_cutoff: cutoff frequency at rest, Hz; lower is steadier.
        beta: growth of the cutoff with speed, Hz per (unit a second); higher lags less.
        d_cutoff: cutoff frequency of the speed itself, Hz.
    """

    min_cutoff: float = 1.0
    beta: float = 0.5
    d_cutoff: float = 1.0


def smoothing_share(cutoff_hz: np.ndarray | float, step_s: float) -> np.ndarray | float:
    """Return the share α of the new value in a low-pass, eq. (2) and (3) of the paper."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff_hz * step_s))


class OneEuro:
    """One-Euro filter of a vector of parameters, each with its own speed."""

    def __init__(self, settings: SmoothSettings) -> None:
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next value passes unchanged."""
        self._value: np.ndarray | None = None
        self._speed = np.zeros(0)
        self._time_s = 0.0

    def __call__(self, value: np.ndarray, time_s: float) -> np.ndarray:
        """Return the smoothed (N,) value at a time; a time not after the last changes nothing."""
        if self._value is None:
            self._value, self._time_s = value.astype(np.float64), time_s
            self._speed = np.zeros_like(self._value)
            return self._value.copy()
        step_s = time_s - self._time_s
        if step_s > 0:
            self._time_s = time_s
            speed = (value - self._value) / step_s
            d_share = smoothing_share(self._settings.d_cutoff, step_s)
            self._speed = self._speed + d_share * (speed - self._speed)
            cutoff = self._settings.min_cutoff + self._settings.beta * np.abs(self._speed)
            self._value = self._value + smoothing_share(cutoff, step_s) * (value - self._value)
        return self._value.copy()


class OneEuroRotation:
    """One-Euro filter of a rotation, along geodesics; speed is in radians a second."""

    def __init__(self, settings: SmoothSettings) -> None:
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next rotation passes unchanged."""
        self._rotation: np.ndarray | None = None
        self._speed = np.zeros(3)
        self._time_s = 0.0

    def __call__(self, rotation: np.ndarray, time_s: float) -> np.ndarray:
        """Return the smoothed (3, 3) rotation; a time not after the last changes nothing."""
        if self._rotation is None:
            self._rotation, self._time_s = rotation.astype(np.float64), time_s
            return self._rotation.copy()
        step_s = time_s - self._time_s
        if step_s > 0:
            self._time_s = time_s
            turn = axis_angle_from_rotation(self._rotation.T @ rotation)
            d_share = smoothing_share(self._settings.d_cutoff, step_s)
            self._speed = self._speed + d_share * (turn / step_s - self._speed)
            speed = float(np.linalg.norm(self._speed))
            cutoff = self._settings.min_cutoff + self._settings.beta * speed
            share = smoothing_share(cutoff, step_s)
            self._rotation = self._rotation @ rotation_from_axis_angle(share * turn)
        return self._rotation.copy()
