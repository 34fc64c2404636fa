"""The pose of a face out of its lifted keypoints, and the affine that turns it.

With depth, 478 keypoints are a shape in space up to perspective. The rotation that lays the mean
face on it is the face's pose; turning the shape and asking eq. 3 of DepthNets for the affine that
does it gives the 2×4 matrix by which the picture is drawn.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from stream.frame import Head
from stream.geometry import orthonormalise, rigid_transform
from stream.head_model import load_head_model

_FAR_MM = 1000.0  # where a pose is put when a head in space is asked for; no angle depends on it
_STEADY_MM = 2.0  # what the strongest expression moves a point that counts for half


class FacePose(NamedTuple):
    """How a face lies in a picture, seen from far away.

    Attributes:
        rotation: (3, 3) camera_from_head.
        scale: pixels a millimetre of the mean head.
        centre_px: (3,) x, y, depth of the head's origin, the middle of the cranium.
    """

    rotation: np.ndarray
    scale: float
    centre_px: np.ndarray

    def as_head(self, face_id: int, presence: float = 1.0) -> Head:
        """Return the pose as that of a mean head before a camera, for `PoseController`."""
        model = load_head_model()
        return Head(
            face_id,
            np.zeros(len(model.identity_basis), np.float32),
            np.zeros(len(model.expression_names), np.float32),
            rigid_transform(self.rotation, np.array([0.0, 0.0, _FAR_MM])),
            np.eye(3),
            presence,
        )


def face_pose(lifted_px: np.ndarray) -> FacePose:
    """Return the pose of a face: the mean face laid on its keypoints (Umeyama 1991).

    Args:
        lifted_px: (478, 3) x, y, depth, pixels.
    """
    mean, weight = _mean_face()
    points = np.asarray(lifted_px, np.float64)
    of_mean, of_points = weight @ mean, weight @ points
    rest, aimed = mean - of_mean, points - of_points
    rotation = orthonormalise(aimed.T @ (weight[:, None] * rest))
    turned = rest @ rotation.T
    scale = float((weight @ (turned * aimed)).sum() / (weight @ (turned * turned)).sum())
    return FacePose(rotation, scale, of_points - scale * rotation @ of_mean)


@lru_cache(maxsize=1)
def _mean_face() -> tuple[np.ndarray, np.ndarray]:
    """(478, 3) points of the mean face, and (478,) weights: less where expressions move it."""
    model = load_head_model()
    moves_mm = np.linalg.norm(model.points478_expression, axis=2).max(axis=0)
    weight = 1 / (1 + (moves_mm / _STEADY_MM) ** 2)
    return model.points478().astype(np.float64), weight.astype(np.float64) / weight.sum()


def moved_points(
    lifted_px: np.ndarray, pose: FacePose, rotation: np.ndarray, share: float = 1.0
) -> np.ndarray:
    """Turn lifted keypoints about the middle of the cranium: (478, 3).

    Args:
        lifted_px: (478, 3).
        pose: theirs.
        rotation: (3, 3) change of the pose, in camera space.
        share: how far the points go from where they were; in a straight line.
    """
    turned = (lifted_px - pose.centre_px) @ rotation.T + pose.centre_px
    return lifted_px + share * (turned - lifted_px)


def points_like(lifted_px: np.ndarray, pose: FacePose, like: FacePose) -> np.ndarray:
    """Return lifted keypoints at the rotation, place and size of another face: (478, 3)."""
    rotation = like.rotation @ pose.rotation.T
    return like.scale / pose.scale * (lifted_px - pose.centre_px) @ rotation.T + like.centre_px
