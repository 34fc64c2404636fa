"""Residuals of the head model's tracked points and their derivatives.

Residuals are in millimetres at the head, so that one noise level and one prior serve heads of
every size in the picture. Parameters stand in this order: 3 translation (mm) and 3 rotation
(radians) of a twist applied on the left about the head's place, then E face units, then K
identity components. Letters in shapes: N points, P parameters.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from stream.geometry import rotation_from_axis_angle
from stream.head_model import HeadModel

POSE_COUNT = 6


@dataclass(frozen=True, slots=True)
class PointBasis:
    """The part of the head model that fitting needs, one row a parameter.

    Attributes:
        mean: (N, 3) float32 mm.
        expression: (3, E, N) float32 mm, axis first for speed.
        identity: (3, K, N) float32 mm.
    """

    mean: np.ndarray
    expression: np.ndarray
    identity: np.ndarray

    @classmethod
    def of(cls, model: HeadModel) -> Self:
        """Take the tracked points out of a head model."""
        return cls(
            np.ascontiguousarray(model.points478_mean, np.float32),
            np.ascontiguousarray(model.points478_expression.transpose(2, 0, 1), np.float32),
            np.ascontiguousarray(model.points478_identity.transpose(2, 0, 1), np.float32),
        )

    def identity_growth(self) -> np.ndarray:
        """Return the (K,) relative change of size that each identity component brings."""
        centred = (self.mean - self.mean.mean(axis=0)).T  # (3, N)
        along = np.einsum("akn,an->k", self.identity, centred)
        return (along / np.sum(centred**2)).astype(np.float64)

    def identity_shape(self, points: slice) -> np.ndarray:
        """Return (K, 3N) mm: what each identity component does to the shape of some points.

        What place, turn or size could do as well is left out.
        """
        mean = self.mean[points].astype(np.float64)
        centred = mean - mean.mean(axis=0)
        shifts = [np.broadcast_to(axis, centred.shape) for axis in np.eye(3)]
        turns = [np.cross(axis, centred) for axis in np.eye(3)]
        motions = np.stack([*shifts, *turns, centred]).reshape(7, -1)
        directions = np.linalg.qr(motions.T)[0]
        basis = self.identity[..., points].astype(np.float64).transpose(1, 2, 0)
        flat = basis.reshape(len(basis), -1)
        return flat - (flat @ directions) @ directions.T

    def neutral(self, identity: np.ndarray) -> np.ndarray:
        """Return the (3, N) float32 points, mm, of a face at rest."""
        return self.mean.T + identity.astype(np.float32) @ self.identity

    def with_units(self, neutral: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Return the (3, N) float32 points, mm, of a face at rest plus (E,) face units."""
        return neutral + units.astype(np.float32) @ self.expression

    def thinned(self, points: slice) -> Self:
        """Return the same for some of the points."""
        arrays = self.mean[points], self.expression[..., points], self.identity[..., points]
        return type(self)(*(np.ascontiguousarray(array) for array in arrays))


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head is: p_camera = rotation · p_head + translation.

    Attributes:
        rotation: (3, 3) float64.
        translation: (3,) float64 mm.
    """

    rotation: np.ndarray
    translation: np.ndarray

    def moved(self, step: np.ndarray) -> Self:
        """Return the pose after a (6,) step of translation and rotation."""
        turn = rotation_from_axis_angle(step[3:6])
        return type(self)(turn @ self.rotation, self.translation + step[:3])


@dataclass(frozen=True, slots=True)
class Observation:
    """The tracked points of one face, as rays.

    Attributes:
        rays: (2, N) float32 x/z, y/z of each point in camera space.
        depth: (N,) float32 depth of each point relative to the head's, in the unit of rays.
    """

    rays: np.ndarray
    depth: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        """(2,) float64 mean ray."""
        return self.rays.mean(axis=1, dtype=np.float64)

    def thinned(self, points: slice) -> Self:
        """Return the same for some of the points."""
        return type(self)(self.rays[:, points], self.depth[points])


def points_camera(points_head: np.ndarray, pose: Pose) -> np.ndarray:
    """Return (3, N) float32 camera-space points of (3, N) head-space ones."""
    turned = pose.rotation.astype(np.float32) @ points_head
    return turned + pose.translation.astype(np.float32)[:, None]


def residuals(points: np.ndarray, seen: Observation) -> np.ndarray:
    """Return (3, N) float32 mm: across, down, and in depth relative to the mean depth."""
    z = points[2]
    near = z.mean()
    out = np.empty_like(points)
    np.multiply(near, points[:2] / z - seen.rays, out=out[:2])
    np.subtract(z - near, near * seen.depth, out=out[2])
    return out


def jacobian(points: np.ndarray, pose: Pose, bases: list[np.ndarray]) -> np.ndarray:
    """Return the (P, 3, N) float32 derivatives of `residuals` at (3, N) camera-space points.

    The scale from rays to millimetres is held fixed: it only turns one unit into another.

    Args:
        points: (3, N) where the head is, camera space.
        pose: how it got there.
        bases: (3, B, N) head-space motions with the parameters that follow the pose.
    """
    count = POSE_COUNT + sum(basis.shape[1] for basis in bases)
    rotation = pose.rotation.astype(np.float32)
    out = np.empty((count, 3, points.shape[1]), np.float32)
    _fill(out[:POSE_COUNT], _pose_motion(points, pose), points)
    start = POSE_COUNT
    for basis in bases:
        end = start + basis.shape[1]
        turned = (rotation @ basis.reshape(3, -1)).reshape(basis.shape)
        _fill(out[start:end], turned, points)
        start = end
    return out


def _fill(out: np.ndarray, motion: np.ndarray, points: np.ndarray) -> None:
    """Turn (3, B, N) camera-space motions into (B, 3, N) changes of the residuals."""
    x, y, z = points
    gain = z.mean() / z
    along = motion[2]
    for axis, slope in enumerate((x / z, y / z)):
        np.subtract(motion[axis], slope * along, out=out[:, axis])
        out[:, axis] *= gain
    np.subtract(along, along.mean(axis=1, keepdims=True), out=out[:, 2])


def _pose_motion(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Return the (3, 6, N) motions of camera-space points with translation and rotation."""
    arm = points - pose.translation.astype(np.float32)[:, None]
    out = np.zeros((3, POSE_COUNT, points.shape[1]), np.float32)
    for axis in range(3):
        out[axis, axis] = 1.0
    out[1, 3], out[2, 3] = -arm[2], arm[1]
    out[0, 4], out[2, 4] = arm[2], -arm[0]
    out[0, 5], out[1, 5] = -arm[1], arm[0]
    return out


def pose_from_points(points_head: np.ndarray, seen: Observation, weights: np.ndarray) -> Pose:
    """Return the pose that a weak perspective explains best (Umeyama 1991), to start from.

    Args:
        points_head: (3, N) mm.
        seen: the tracked points.
        weights: (N,) importance of each point.
    """
    target = np.vstack([seen.rays, seen.depth]).astype(np.float64)
    source = points_head.astype(np.float64)
    share = weights.astype(np.float64) / weights.sum()
    source_mean, target_mean = source @ share, target @ share
    a, b = source - source_mean[:, None], target - target_mean[:, None]
    u, s, vt = np.linalg.svd((share * b) @ a.T)
    sign = np.array([1.0, 1.0, np.linalg.det(u @ vt)])
    rotation = (u * sign) @ vt
    scale = float((s * sign).sum() / np.sum(share * a * a))
    distance = 1.0 / max(scale, 1e-9)
    centre = np.array([target_mean[0], target_mean[1], 1.0]) * distance
    return Pose(rotation, centre - rotation @ source_mean)
