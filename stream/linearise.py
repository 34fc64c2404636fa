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
        basis: (3, E + K, N) float32 mm, axis first for speed; face units, then identity.
        normals: (N, 3) float32 outward unit normals of the mean head.
        expression_count: E.
    """

    mean: np.ndarray
    basis: np.ndarray
    normals: np.ndarray
    expression_count: int

    @classmethod
    def of(cls, model: HeadModel) -> Self:
        """Take the tracked points out of a head model."""
        a, b, c = (model.vertices[model.triangles[:, i]] for i in range(3))
        # Triangles are counter-clockwise with y up; with y down that turns normals inward.
        facing = np.cross(c - a, b - a)[model.points478_triangle]
        both = np.concatenate([model.points478_expression, model.points478_identity])
        return cls(
            np.ascontiguousarray(model.points478_mean, np.float32),
            np.ascontiguousarray(both.transpose(2, 0, 1), np.float32),
            (facing / np.linalg.norm(facing, axis=1, keepdims=True).clip(1e-9)).astype(np.float32),
            len(model.points478_expression),
        )

    @property
    def identity_count(self) -> int:
        """K, the number of identity components."""
        return self.basis.shape[1] - self.expression_count

    def shape(self, coefficients: np.ndarray) -> np.ndarray:
        """Return the (N, 3) float32 points, mm, of (E + K,) face units and identity."""
        return self.mean + np.tensordot(coefficients.astype(np.float32), self.basis, (0, 1)).T


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
        rays: (N, 2) float32 x/z, y/z of each point in camera space.
        depth: (N,) float32 depth of each point relative to the head's, in the unit of rays.
    """

    rays: np.ndarray
    depth: np.ndarray


def points_camera(shape: np.ndarray, pose: Pose) -> np.ndarray:
    """Return (N, 3) float32 camera-space points of head-space ones."""
    turned = shape @ pose.rotation.T.astype(np.float32)
    return turned + pose.translation.astype(np.float32)


def residuals(points: np.ndarray, seen: Observation) -> np.ndarray:
    """Return (3, N) float32 mm: across, down, and in depth relative to the mean depth."""
    z = points[:, 2]
    near = float(z.mean())
    across = near * (points[:, :2] / z[:, None] - seen.rays)
    depth = (z - near) - near * seen.depth
    return np.stack([across[:, 0], across[:, 1], depth])


def jacobian(
    points: np.ndarray, pose: Pose, basis: PointBasis, *, with_identity: bool
) -> np.ndarray:
    """Return the (P, 3, N) float32 derivatives of `residuals` at camera-space points.

    The scale from rays to millimetres is held fixed: it only turns one unit into another.
    """
    count = basis.basis.shape[1] if with_identity else basis.expression_count
    moves = np.empty((3, POSE_COUNT + count, len(points)), np.float32)
    moves[:, :POSE_COUNT] = _pose_motion(points, pose)
    turned = pose.rotation.astype(np.float32) @ basis.basis[:, :count].reshape(3, -1)
    moves[:, POSE_COUNT:] = turned.reshape(3, count, -1)
    z = points[:, 2]
    gain = z.mean() / z
    dz = moves[2]
    out = np.empty((POSE_COUNT + count, 3, len(points)), np.float32)
    for axis in range(2):
        np.multiply(gain, moves[axis] - (points[:, axis] / z) * dz, out=out[:, axis])
    np.subtract(dz, dz.mean(axis=1, keepdims=True), out=out[:, 2])
    return out


def _pose_motion(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Return the (3, 6, N) motions of camera-space points with translation and rotation."""
    x, y, z = (points - pose.translation.astype(np.float32)).T
    out = np.zeros((3, POSE_COUNT, len(points)), np.float32)
    for axis in range(3):
        out[axis, axis] = 1.0
    out[1, 3], out[2, 3] = -z, y
    out[0, 4], out[2, 4] = z, -x
    out[0, 5], out[1, 5] = -y, x
    return out


def pose_from_points(shape: np.ndarray, seen: Observation, weights: np.ndarray) -> Pose:
    """Return the pose that a weak perspective explains best (Umeyama 1991), to start from.

    Args:
        shape: (N, 3) points in head space, mm.
        seen: the tracked points.
        weights: (N,) importance of each point.
    """
    target = np.column_stack([seen.rays, seen.depth]).astype(np.float64)
    source = shape.astype(np.float64)
    share = (weights / weights.sum())[:, None]
    source_mean, target_mean = (share * source).sum(axis=0), (share * target).sum(axis=0)
    a, b = source - source_mean, target - target_mean
    u, s, vt = np.linalg.svd((share * b).T @ a)
    sign = np.array([1.0, 1.0, np.linalg.det(u @ vt)])
    rotation = (u * sign) @ vt
    scale = float((s * sign).sum() / (share * a * a).sum())
    distance = 1.0 / max(scale, 1e-9)
    centre = np.array([target_mean[0], target_mean[1], 1.0]) * distance
    return Pose(rotation, centre - rotation @ source_mean)
