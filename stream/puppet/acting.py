"""From what the driver does to what the portrait shall do: relative, scaled and limited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream.geometry import axis_angle_from_rotation, rotation_from_angles, smoothstep
from stream.pose import HeadMotion, ray_rotation, seen_angles, soft_limit
from stream.puppet.driver import face_middle

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.head_model import HeadModel
    from stream.puppet.driver import Measure
    from stream.puppet.lips import LipReading

_CLOSED_EYE = 0.15  # of the gap at rest: tracked lids never meet
_WIDEST_EYE = 1.2  # of the gap at rest
_WINK = (0.25, 0.5)  # of the gap at rest: eyes that differ less do so by the tracker's error
_USUAL_EYE = 0.27  # gap over width, where nothing is known of a driver's rest
_SHUT_MOUTH = (0.006, 0.02)  # of the width between the eyes: tracked lips never quite meet
_GAZE_GAIN = 1.0
# The tracker sees only some four fifths of a nod: rendered heads say 0.81, puppets 0.76 to 0.89.
_TRACKED = np.array([1.0, 0.81, 1.0])
USUAL_YAW, MOST_YAW = 25.0, 30.0  # degrees beyond the photo's own pose, unless told; at all
_LIMIT_DOWN_DEG, _LIMIT_ROLL_DEG = 24.0, 30.0
_MOST_DEG = np.array([48.0, 40.0, 50.0])  # of the pose that comes out
_LIMIT_UP_DEG = 18.0  # what is under the chin is not seen
_UNSEEN, _LEAST_DEG = 0.6, 10.0  # less by so much per degree that the photo is turned; never less
_LIMIT_MM = np.array([32.0, 20.0, 60.0])
_LIMIT_GAZE = 0.2  # of the eye's width


@dataclass(frozen=True, slots=True)
class Act:
    """What the portrait shall do.

    Attributes:
        units: (52,) face units.
        mouth: gap of the lips over the width of the eyes' corners; None as the photo has it.
        eyes: gaps of right and left lids, as shares of the photo's.
        gaze: (2,) how far the irises go, over the eye's width.
        angles: (3,) degrees, as seen, of the head.
        shift_mm: (3,) of the neck joint.
    """

    units: np.ndarray
    mouth: float | None
    eyes: tuple[float, float]
    gaze: np.ndarray
    angles: np.ndarray
    shift_mm: np.ndarray


class Director:
    """Says what a portrait shall do.

    Args:
        head: of the photo.
        model: the head model.
        photo_mouth: gap of the photo's lips over the width of the eyes' corners.
        lips: how the tracker reads the photo's mouth.
        absolute: take the driver's pose and expression as they are.
        most_yaw: degrees that the head turns to a side beyond the photo's pose.
    """

    def __init__(
        self, head: Head, model: HeadModel, photo_mouth: float, lips: LipReading, *,
        absolute: bool, most_yaw: float = USUAL_YAW,
    ) -> None:  # fmt: skip
        self._head = head
        self._arm = face_middle(model) - np.asarray(model.neck_joint, float)
        self._units = head.expression.astype(float)
        self._angles = seen_angles(head.camera_from_head)
        self._mouth, self._lips, self._absolute = photo_mouth, lips, absolute
        self._most_yaw = most_yaw

    def rest(self) -> Act:
        """Return what shows the photo itself."""
        return Act(self._units, None, (1.0, 1.0), np.zeros(2), self._angles, np.zeros(3))

    def act(
        self, now: Measure, rest: Measure, strength: float, added: np.ndarray | None = None
    ) -> Act:
        """Return what the driver asks for.

        Args:
            now: the driver's face.
            rest: the same at rest.
            strength: 0 the photo itself … 1 all that the driver does.
            added: (3,) degrees on top of the driver's turn.
        """
        if self._absolute:
            units, turn = now.units, now.angles - self._angles
            open_eyes, gaze = np.full(2, _USUAL_EYE), now.gaze
        else:
            units, turn = self._units + now.units - rest.units, now.angles - rest.angles
            open_eyes, gaze = rest.eyes, now.gaze - rest.gaze
        turn = turn / _TRACKED
        eyes = (now.eyes / open_eyes - _CLOSED_EYE) / (1 - _CLOSED_EYE)
        eyes = 1 + strength * (_together(np.clip(eyes, 0, _WIDEST_EYE)) - 1)
        mouth = self._lips.gap_for(float(now.mouth[0]))
        mouth *= float(smoothstep(float(now.mouth[0]), *_SHUT_MOUTH))
        angles = self._angles + strength * self._turn(turn if added is None else turn + added)
        return Act(
            self._units + strength * (np.clip(units, 0, 1) - self._units),
            self._mouth + strength * (mouth - self._mouth),
            (float(eyes[0]), float(eyes[1])),
            strength * soft_limit(_GAZE_GAIN * gaze, _LIMIT_GAZE),
            angles,
            self._shift(angles, strength * (now.place_mm - rest.place_mm)),
        )

    def _shift(self, angles: np.ndarray, moved_mm: np.ndarray) -> np.ndarray:
        """Return how the neck joint shifts where the middle of the face moves as the driver's.

        So the noise of the driver's turn turns the face in place, and does not swing it.
        """
        pose = self._head.camera_from_head
        swing = (posed(pose, angles) - pose[:3, :3]) @ self._arm
        return _each_limited(moved_mm - swing, _LIMIT_MM)

    def _turn(self, turn: np.ndarray) -> np.ndarray:
        """Limit a turn by itself, and so that the pose that comes out can be shown."""
        limits = np.array([self._most_yaw, _LIMIT_DOWN_DEG, _LIMIT_ROLL_DEG])
        if turn[0] * self._angles[0] < 0:
            limits[0] = unseen_limit(float(self._angles[0]), self._most_yaw)
        if turn[1] > 0:
            limits[1] = _LIMIT_UP_DEG
        turn = _each_limited(turn, limits)
        most = np.maximum(_MOST_DEG, np.abs(self._angles))
        return np.clip(self._angles + turn, -most, most) - self._angles


def _together(eyes: np.ndarray) -> np.ndarray:
    """Return (2,) openings of eyes that blink together, unless one of them clearly winks."""
    apart = float(eyes[1] - eyes[0])
    half = apart * float(smoothstep(abs(apart), *_WINK)) / 2
    return np.asarray(eyes.mean() + np.array([-half, half]))


def unseen_limit(yaw: float, most: float = MOST_YAW) -> float:
    """Return how far a head of a yaw may turn to the side that the photo hides, degrees.

    Args:
        yaw: of the photo.
        most: how far it may turn to the other side.
    """
    return min(max(MOST_YAW - _UNSEEN * abs(yaw), _LEAST_DEG), most)


def _each_limited(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    pairs = zip(values, limits, strict=True)
    return np.array([float(soft_limit(value, limit)) for value, limit in pairs])


def posed(camera_from_head: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Return the (3, 3) rotation of a head that is seen at (3,) angles where it is."""
    return ray_rotation(camera_from_head[:3, 3]) @ rotation_from_angles(*angles)


def head_motion(head: Head, neck_joint: np.ndarray, act: Act) -> HeadMotion:
    """Return the motion that takes the photo's head to the pose of an act."""
    pose = head.camera_from_head
    pivot = pose[:3, :3] @ np.asarray(neck_joint, float) + pose[:3, 3]
    turn = posed(pose, act.angles) @ pose[:3, :3].T
    return HeadMotion(pivot, axis_angle_from_rotation(turn), act.shift_mm)
