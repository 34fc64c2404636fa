"""The driver: what is measured at his face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream.pose import seen_angles
from stream.puppet.topology import (
    LEFT_EYE,
    LEFT_IRIS,
    MOUTH,
    POINTS,
    RIGHT_EYE,
    RIGHT_IRIS,
    Opening,
)
from stream.smooth import OneEuro, SmoothSettings

if TYPE_CHECKING:
    from stream.frame import Face, Head
    from stream.head_model import HeadModel

_EYES = SmoothSettings(4.0, 20.0, 3.0)
_MOUTH = SmoothSettings(3.0, 30.0, 6.0)
_GAZE = SmoothSettings(1.5, 6.0, 2.0)
# What is laid over a frame must not lag behind it; a puppet may, by a little, and be steadier.
_ANGLES = SmoothSettings(1.5, 0.6, 3.0)
_PLACE = SmoothSettings(1.5, 0.2, 3.0)
_UNITS = SmoothSettings(2.5, 8.0, 3.0)


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured in one frame.

    Attributes:
        units: (52,) face units.
        angles: (3,) yaw, pitch, roll in degrees, as seen.
        place_mm: (3,) of the face's middle in camera space.
        mouth: (1,) gap of the lips over the width of the eyes' corners.
        eyes: (2,) gap of the lids over the width of the eye, right and left.
        gaze: (2,) of the irises from the middle of the eyes over the eyes' width: to the right
            of the picture, and down.
    """

    units: np.ndarray
    angles: np.ndarray
    place_mm: np.ndarray
    mouth: np.ndarray
    eyes: np.ndarray
    gaze: np.ndarray


def face_middle(model: HeadModel) -> np.ndarray:
    """Return (3,) the middle of the tracked points, head space."""
    return np.asarray(model.points478_mean[:POINTS].mean(axis=0), float)


def measure(face: Face, head: Head, middle: np.ndarray) -> Measure:
    """Measure one face.

    Distances are taken along the axes of the head, so that a turn does not change them.

    Args:
        face: the tracked face.
        head: the head fitted to it.
        middle: (3,) of the face, head space: there, turn and place are smoothed apart.
    """
    pose = head.camera_from_head
    points = face.points_px.astype(float) @ pose[:3, :3]  # in head axes, pixels
    eyes = [(RIGHT_EYE, RIGHT_IRIS), (LEFT_EYE, LEFT_IRIS)]
    widths = [_width(points, opening) for opening, _ in eyes]
    looks = [
        (points[iris[0], :2] - points[[eye.upper[0], eye.upper[-1]], :2].mean(axis=0)) / width
        for (eye, iris), width in zip(eyes, widths, strict=True)
    ]
    between = points[LEFT_EYE.upper[-1], 0] - points[RIGHT_EYE.upper[0], 0]
    return Measure(
        head.expression.astype(float),
        np.asarray(seen_angles(pose), float),
        pose[:3, :3] @ middle + pose[:3, 3],
        np.array([_gap(points, MOUTH) / between]),
        np.array([_gap(points, eye) / w for (eye, _), w in zip(eyes, widths, strict=True)]),
        np.mean(looks, axis=0),
    )


def _width(points: np.ndarray, opening: Opening) -> float:
    return float(max(points[opening.upper[-1], 0] - points[opening.upper[0], 0], 1e-3))


def _gap(points: np.ndarray, opening: Opening) -> float:
    """Return the mean gap in the middle half of an opening."""
    count = len(opening.upper)
    middle = slice(count // 4 + 1, count - count // 4 - 1)
    gaps = points[opening.lower[middle], 1] - points[opening.upper[middle], 1]
    return float(max(gaps.mean(), 0.0))


class MeasureSmoother:
    """Takes out the noise that the fit, which smooths little, has left."""

    def __init__(self) -> None:
        self._filters = {
            "mouth": OneEuro(_MOUTH), "eyes": OneEuro(_EYES), "gaze": OneEuro(_GAZE),
            "angles": OneEuro(_ANGLES), "place_mm": OneEuro(_PLACE), "units": OneEuro(_UNITS),
        }  # fmt: skip

    def reset(self) -> None:
        """Let the next measure pass unchanged."""
        for one in self._filters.values():
            one.reset()

    def __call__(self, raw: Measure, time_s: float) -> Measure:
        """Return the smoothed measure at a time."""
        calm = {name: one(getattr(raw, name), time_s) for name, one in self._filters.items()}
        return Measure(**calm)
