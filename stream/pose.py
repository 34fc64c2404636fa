"""Pose requests: from what the user asks to the rigid motion of the head.

Angles are relative to the ray from the camera to the head, not to the optical axis: a head at
the side of the picture that looks into the camera counts as frontal, since it looks so.
"""

import logging
import math
from dataclasses import dataclass

import numpy as np

from stream.frame import Face, Head
from stream.geometry import (
    angles_from_rotation,
    axis_angle_from_rotation,
    rotation_from_angles,
    rotation_from_axis_angle,
)

_log = logging.getLogger("voltface")

_LINEAR_SHARE = 0.75  # a request is met exactly up to this share of its limit


@dataclass(frozen=True, slots=True)
class PoseRequest:
    """What the user asks of the head.

    Attributes:
        yaw, pitch, roll: degrees added to the tracked pose, signs as seen in the picture.
        frontal: share of the tracked yaw, pitch and roll that is taken away, 0…1.
        like: a face whose rotation, position and size are taken over instead; its points lie
            in a picture as large as the frames.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    frontal: float = 0.0
    like: Face | None = None

    @property
    def is_rest(self) -> bool:
        """True where nothing is asked, so that frames may pass untouched."""
        return self.like is None and not any((self.yaw, self.pitch, self.roll, self.frontal))


@dataclass(frozen=True, slots=True)
class PoseLimits:
    """The largest change, in degrees, that can be shown well."""

    yaw: float = 40.0
    pitch: float = 30.0
    roll: float = 45.0


@dataclass(frozen=True, slots=True)
class HeadMotion:
    """A rigid motion of the head in camera space: p → pivot + R (p − pivot) + translation.

    Attributes:
        pivot_mm: (3,) the neck joint before the motion.
        axis_angle: (3,) axis × angle of R, radians.
        translation_mm: (3,) displacement of the neck joint.
    """

    pivot_mm: np.ndarray
    axis_angle: np.ndarray
    translation_mm: np.ndarray

    def blended(self, turn: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Return (..., 4, 4) transforms that do a share of the turn and of the shift.

        Args:
            turn: (...,) share of the rotation, 0…1.
            shift: (...,) share of the translation, 0…1.
        """
        rotation = rotation_from_axis_angle(turn[..., None] * self.axis_angle)
        out = np.zeros((*turn.shape, 4, 4))
        out[..., :3, :3], out[..., 3, 3] = rotation, 1.0
        out[..., :3, 3] = (
            self.pivot_mm - rotation @ self.pivot_mm + shift[..., None] * self.translation_mm
        )
        return out


def soft_limit(value: np.ndarray | float, limit: float) -> np.ndarray:
    """Pass values through up to 3/4 of the limit, then approach it with a continuous slope."""
    value = np.asarray(value, float)
    knee = _LINEAR_SHARE * limit
    rest = limit - knee
    beyond = np.maximum(np.abs(value) - knee, 0)
    return np.sign(value) * (np.minimum(np.abs(value), knee) + rest * (1 - np.exp(-beyond / rest)))


def ray_rotation(position_mm: np.ndarray) -> np.ndarray:
    """Return the least (3, 3) rotation that takes the optical axis to the ray to a point."""
    x, y, z = position_mm.tolist()
    aside = math.hypot(x, y)
    turn = math.atan2(aside, z) / max(aside, 1e-12)
    return rotation_from_axis_angle(np.array([-y * turn, x * turn, 0.0]))


def seen_angles(camera_from_head: np.ndarray) -> np.ndarray:
    """Return (3,) yaw, pitch, roll in degrees of a head, as seen along the ray to it."""
    ray = ray_rotation(camera_from_head[:3, 3])
    return angles_from_rotation(ray.T @ camera_from_head[:3, :3])


class PoseController:
    """Turns requests into motions; says once when a request had to be limited."""

    def __init__(self, neck_joint: np.ndarray, limits: PoseLimits | None = None) -> None:
        self._neck_joint = np.asarray(neck_joint, float)
        self._limits = limits or PoseLimits()
        self._said = False

    def motion(self, head: Head, request: PoseRequest, like: Head | None = None) -> HeadMotion:
        """Return the motion that takes a fitted head to the pose asked for.

        Args:
            head: the head as it is.
            request: what is asked.
            like: the head of ``request.like``, fitted with the identity of ``head``; where it
                is given, angles are not looked at.
        """
        pose = head.camera_from_head
        pivot = pose[:3, :3] @ self._neck_joint + pose[:3, 3]
        if like is None:
            target_rotation, target_pivot = self._turned(pose, request), pivot
        else:
            target = like.camera_from_head
            target_rotation = target[:3, :3]
            target_pivot = target_rotation @ self._neck_joint + target[:3, 3]
        axis_angle = axis_angle_from_rotation(target_rotation @ pose[:3, :3].T)
        return HeadMotion(pivot, axis_angle, target_pivot - pivot)

    def _turned(self, pose: np.ndarray, request: PoseRequest) -> np.ndarray:
        ray = ray_rotation(pose[:3, 3])
        tracked = seen_angles(pose)
        asked = np.array([request.yaw, request.pitch, request.roll]) - request.frontal * tracked
        change = self._limited(asked)
        return ray @ rotation_from_angles(*(tracked + change))

    def _limited(self, change: np.ndarray) -> np.ndarray:
        limits = (self._limits.yaw, self._limits.pitch, self._limits.roll)
        out = np.array([float(soft_limit(c, m)) for c, m in zip(change, limits, strict=True)])
        if np.abs(out - change).max() > 1.0 and not self._said:
            self._said = True
            _log.warning(
                "the head is turned by yaw %.0f, pitch %.0f, roll %.0f degrees instead of "
                "%.0f, %.0f, %.0f: more than %.0f, %.0f, %.0f cannot be shown well",
                *out, *change, *limits,
            )  # fmt: skip
        return out
