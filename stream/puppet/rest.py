"""The driver at rest: what pose and expression count from.

He who starts a program seldom sits as he will sit when he speaks: he still looks at the keyboard,
comes into the picture, laughs, or has his eyes shut. The first look at him is therefore a guess,
which a calmer one replaces: a second in which he holds still, looks more nearly into the camera
and moves his face less. From one to the other the rest goes over softly. What the user has chosen
by a key stays.
"""

from __future__ import annotations

from collections import deque
from dataclasses import fields, replace

import numpy as np

from stream.puppet.driver import Measure

_FIRST_FRAMES, _EYES_FRAMES = 12, 75  # what is looked at to know a face, and how far its eyes open
_OPEN_PERCENTILE = 75  # of the eyes: he may blink while he is looked at first
_CALM_FRAMES = 30  # so long he holds still
_STILL_DEG, _STILL_MM, _STILL_UNITS = 2.5, 10.0, 0.2  # deviation of him who does
_TURNED_DEG = np.array([12.0, 24.0, 12.0])  # yaw, pitch, roll that are as far from rest as …
_GRIMACE = 3.0  # … so much of all face units together, which a fit finds to be 3 to 6 at rest
_BETTER = 1.0  # by so much a later rest must be nearer
_GOES_OVER = 0.12  # of the way, a frame


class Rest:
    """What a driver's face is like at rest: at first, in a calmer second later, or as chosen."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget it, as after a cut."""
        self._first: list[Measure] = []
        self._last: deque[Measure] = deque(maxlen=_EYES_FRAMES)
        self._rest: Measure | None = None
        self._goal: Measure | None = None
        self._fixed, self._seen = False, 0

    def take(self, now: Measure) -> None:
        """Take one measure as the rest."""
        self._rest, self._fixed = now, True

    def update(self, now: Measure) -> Measure:
        """Return the rest, to which one more frame may add."""
        if self._rest is not None and self._fixed:
            return self._rest
        self._last.append(now)
        known = self._rest or now
        if len(self._first) < _FIRST_FRAMES:
            self._first.append(now)
            rest = self._goal = _middle(self._first)
        else:
            self._look_for_calm()
            rest = _towards(known, self._goal or now, _GOES_OVER)
        self._rest = replace(rest, eyes=self._open_eyes(known.eyes))
        return self._rest

    def _look_for_calm(self) -> None:
        """Take the last second for the rest, where it was calm and is nearer to it."""
        window = list(self._last)[-_CALM_FRAMES:]
        if len(window) < _CALM_FRAMES or not _still(window):
            return
        found = _middle(window)
        if self._goal is None or _unrest(found) < _unrest(self._goal) - _BETTER:
            self._goal = found

    def _open_eyes(self, known: np.ndarray) -> np.ndarray:
        """Return (2,) gaps of open lids: of the last seconds, or more where more was seen."""
        seen = np.percentile([one.eyes for one in self._last], _OPEN_PERCENTILE, axis=0)
        self._seen += 1
        return seen if self._seen <= _EYES_FRAMES else np.maximum(seen, known)


def _middle(seen: list[Measure]) -> Measure:
    values = {
        one.name: np.median([getattr(each, one.name) for each in seen], axis=0)
        for one in fields(Measure)
    }
    return Measure(**values)


def _still(seen: list[Measure]) -> bool:
    """Return whether one holds still, his face too, over measures."""
    limits = {"angles": _STILL_DEG, "place_mm": _STILL_MM, "units": _STILL_UNITS}
    return all(
        float(np.std([getattr(one, name) for one in seen], axis=0).max()) < most
        for name, most in limits.items()
    )


def _unrest(one: Measure) -> float:
    """Return how far from rest a measure is: turned away, or a face that is made."""
    return float(np.linalg.norm(one.angles / _TURNED_DEG) + one.units.sum() / _GRIMACE)


def _towards(now: Measure, goal: Measure, share: float) -> Measure:
    values = {
        one.name: getattr(now, one.name)
        + share * (getattr(goal, one.name) - getattr(now, one.name))
        for one in fields(Measure)
    }
    return Measure(**values)
