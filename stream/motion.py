"""Pose requests over time: constant options, a motion file, and the keys of a window."""

import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from stream.errors import UserError
from stream.pose import PoseRequest

CurveName = Literal["linear", "smooth"]

_COLUMNS = ("time", "yaw", "pitch", "roll")
_REMEDY = "Write four numbers a row: time in seconds, then yaw, pitch, roll in degrees"
_KEY_STEP_DEG = 2.0
_STEPS_PER_ROW = 64  # a smooth curve is drawn with this many straight lines from row to row


class Course(Protocol):
    """A turn that changes with time."""

    def at(self, time_s: float) -> tuple[float, float, float]:
        """Return (yaw, pitch, roll) in degrees at a time in seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Motion:
    """Straight lines from row to row, held before the first and after the last.

    Attributes:
        times_s: (N,) float64, strictly rising.
        angles_deg: (N, 3) float64, yaw, pitch, roll.
    """

    times_s: np.ndarray
    angles_deg: np.ndarray

    def at(self, time_s: float) -> tuple[float, float, float]:
        """Return (yaw, pitch, roll) in degrees at a time in seconds."""
        yaw, pitch, roll = (np.interp(time_s, self.times_s, row) for row in self.angles_deg.T)
        return float(yaw), float(pitch), float(roll)

    def smooth(self) -> "Motion":
        """Return a curve through the same rows that has no corners and overshoots no row."""
        from scipy.interpolate import PchipInterpolator  # noqa: PLC0415  slow to import

        if len(self.times_s) == 1:
            return self
        steps = np.arange((len(self.times_s) - 1) * _STEPS_PER_ROW + 1) / _STEPS_PER_ROW
        times_s = np.interp(steps, np.arange(len(self.times_s)), self.times_s)
        return Motion(times_s, PchipInterpolator(self.times_s, self.angles_deg)(times_s))


@dataclass(frozen=True, slots=True)
class Swing:
    """A head that turns to one side and the other, for ever.

    Attributes:
        yaw: the largest angle, degrees.
        period_s: time of one swing to both sides.
    """

    yaw: float = 25.0
    period_s: float = 3.0

    def at(self, time_s: float) -> tuple[float, float, float]:
        """Return (yaw, pitch, roll) in degrees at a time in seconds."""
        return self.yaw * math.sin(2 * math.pi * time_s / self.period_s), 0.0, 0.0


def load_motion(path: Path, curve: CurveName = "linear") -> Motion:
    """Read a motion file: rows of time, yaw, pitch, roll.

    A first row of column names is optional; with it the columns may stand in any order.

    Args:
        path: a CSV file.
        curve: how to go from row to row.

    Raises:
        UserError: if the file cannot be read or a row is wrong; the message has its number.
    """
    what = f"cannot use the motion file {path}"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(row)]
    except OSError as error:
        why = error.strerror or "it cannot be opened"
        raise UserError(what, why, "Give --motion a file that exists and is readable") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(what, f"it is not a text table ({error})", _REMEDY) from error
    order = _header_order(lines[0][1]) if lines else None
    rows = [_parse_row(what, number, row, order) for number, row in lines[order is not None :]]
    if not rows:
        raise UserError(what, "it has no rows", _REMEDY)
    _check_times(what, [number for number, _ in lines[order is not None :]], rows)
    table = np.array(rows, np.float64)
    motion = Motion(table[:, 0], table[:, 1:])
    return motion.smooth() if curve == "smooth" else motion


def _header_order(row: list[str]) -> list[int] | None:
    """Return where each column stands if the row is a header, else None."""
    names = [cell.strip().lower() for cell in row]
    return [names.index(name) for name in _COLUMNS] if set(_COLUMNS) <= set(names) else None


def _parse_row(what: str, number: int, row: list[str], order: list[int] | None) -> list[float]:
    places = order or list(range(len(_COLUMNS)))
    if order is None and len(row) != len(_COLUMNS):
        why = f"line {number} has {len(row)} columns instead of 4"
        raise UserError(what, why, _REMEDY)
    try:
        values = [float(row[place]) for place in places]
    except (ValueError, IndexError) as error:
        why = f"line {number} is not four numbers: {','.join(row)[:60]}"
        raise UserError(what, why, _REMEDY) from error
    if not np.isfinite(values).all():
        raise UserError(what, f"line {number} has a number that is not finite", _REMEDY)
    return values


def _check_times(what: str, numbers: Iterable[int], rows: list[list[float]]) -> None:
    before_s = float("-inf")
    for number, row in zip(numbers, rows, strict=True):
        if row[0] <= before_s:
            why = f"the time in line {number} ({row[0]:g} s) is not after the row before"
            raise UserError(what, why, "Order the rows by time, each time once")
        before_s = row[0]


def requests_over_time(
    request: PoseRequest, course: Course | None
) -> Callable[[float], PoseRequest]:
    """Return the request at each time in seconds: the constant one plus the course's."""
    if course is None:
        return lambda time_s: request

    def at(time_s: float) -> PoseRequest:
        yaw, pitch, roll = course.at(time_s)
        return replace(
            request, yaw=request.yaw + yaw, pitch=request.pitch + pitch, roll=request.roll + roll
        )

    return at


@dataclass(slots=True)
class Controls:
    """What the keys of a window have changed so far.

    Attributes:
        yaw, pitch: degrees added to the request.
        mirrored: show the picture the other way round, as a mirror does.
        bypassed: show the input unchanged.
        quit: stop after this frame.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    mirrored: bool = False
    bypassed: bool = False
    quit: bool = False

    def press(self, key: str) -> None:
        """Take one key: left, right, up, down, 0, m, space or q; others do nothing.

        The arrows say where the nose goes on the screen, so a mirrored picture swaps them.
        """
        across = -_KEY_STEP_DEG if self.mirrored else _KEY_STEP_DEG
        match key:
            case "left":
                self.yaw -= across
            case "right":
                self.yaw += across
            case "up":
                self.pitch += _KEY_STEP_DEG
            case "down":
                self.pitch -= _KEY_STEP_DEG
            case "0":
                self.yaw = self.pitch = 0.0
            case "m":
                self.mirrored = not self.mirrored
            case "space":
                self.bypassed = not self.bypassed
            case "q":
                self.quit = True

    def applied(self, request: PoseRequest) -> PoseRequest:
        """Return the request with the keys' turn added."""
        return replace(request, yaw=request.yaw + self.yaw, pitch=request.pitch + self.pitch)
