"""How the tracker reads a portrait's mouth, so that it is opened as far as the driver's looks.

The tracker takes lips that are a little apart for closed, and exaggerates a wide mouth; how much
depends on the face, and on how sharp its picture is. So the portrait's mouth is opened step by
step before the first frame, and read; afterwards it is opened as far as it takes for the tracker
to read in it what it reads in the driver.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stream.frame import Frame
from stream.puppet.driver import measure

if TYPE_CHECKING:
    from stream.heads import HeadFinder
    from stream.puppet.acting import Act
    from stream.puppet.figure import Figure

_GAPS = np.array([0.0, 0.03, 0.05, 0.075, 0.1, 0.15, 0.22])  # over the width between the eyes
_LOOKS = 2  # at each: the tracker follows with a delay of a frame
_FRAME_S = 1 / 25
_LEAST_STEP = 1e-4
_LEAST, _MOST, _MOST_MORE = 0.75, 1.5, 0.025  # of what is read, what may be drawn for it


@dataclass(frozen=True, slots=True)
class LipReading:
    """What the tracker reads of a mouth.

    Attributes:
        drawn: (N,) gaps of the lips over the width between the eyes, rising from 0.
        read: (N,) what was read in them, rising.
    """

    drawn: np.ndarray
    read: np.ndarray

    def gap_for(self, read: float) -> float:
        """Return the gap in which the tracker reads a gap, within reason."""
        beyond = max(read - float(self.read[-1]), 0.0)
        gap = beyond + float(np.interp(read, self.read, self.drawn))
        return float(np.clip(gap, _LEAST * read, _MOST * read + min(_MOST_MORE, read)))


BELIEVED = LipReading(np.array([0.0, 1.0]), np.array([0.0, 1.0]))


def read_lips(figure: Figure, rest: Act, finder: HeadFinder, middle: np.ndarray) -> LipReading:
    """Open a portrait's mouth step by step, and read it.

    Args:
        figure: the portrait.
        rest: what shows it as it is.
        finder: made for a stream, and new.
        middle: of the face, head space; see `stream.puppet.driver.measure`.

    Returns:
        What was read; where no face was found, the tracker is believed.
    """
    read, number = [], 0
    for gap in _GAPS:
        frame = Frame(figure.draw(replace(rest, mouth=float(gap))))
        for _ in range(_LOOKS):
            frame = replace(frame, index=number, time_s=number * _FRAME_S)
            faces = finder.track(frame)
            heads = finder.fit(frame, faces)
            number += 1
        if not heads:
            return BELIEVED
        read.append(float(measure(faces[0], heads[0], middle).mouth[0]))
    rising = np.maximum.accumulate(np.array(read) - read[0]) + _LEAST_STEP * np.arange(len(read))
    return LipReading(_GAPS, rising)
