"""Heads of ICT-FaceKit as keypoints with true depth: light-stage scans instead of MakeHuman."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.geometry import pinhole_camera, project, rotation_from_angles
from stream.head_model import load_head_model
from training.depthnets.keypoints import KeypointSet, normalised
from training.synthetic.register import IctPeople

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 512  # of the picture that the camera would take
_DISTANCE_MM = (450.0, 1000.0)
_MOST_DEG = (45.0, 20.0, 10.0)  # yaw, pitch, roll


def ict_heads(data_dir: Path, people: int = 250, views: int = 4, seed: int = 11) -> KeypointSet:
    """Draw neutral heads and see each from several sides.

    Args:
        data_dir: the data folder, with `ict` and `makehuman`.
        people: how many heads.
        views: faces of each.
        seed: of heads and views.

    Returns:
        (people · views) faces with 478 points.
    """
    source, rng = IctPeople(data_dir), np.random.default_rng(seed)
    base = source.model @ source.template.vertices
    camera = pinhole_camera(_SIZE, _SIZE)
    points, depths, yaws = [], [], []
    for _ in range(people):
        head = _points478(base + source.sample_with_model(rng)[1])
        head = head - head.mean(0)
        for _ in range(views):
            yaw, pitch, roll = (rng.uniform(-most, most) for most in _MOST_DEG)
            turn = rotation_from_angles(yaw, pitch, roll)
            placed = head @ turn.T + [0, 0, rng.uniform(*_DISTANCE_MM)]
            distance = placed[:, 2].mean()
            points.append(project(placed, camera))
            depths.append((placed[:, 2] - distance) * camera[0, 0] / distance)
            yaws.append(yaw)
    return normalised(
        KeypointSet(
            points=np.array(points),
            person=np.repeat(np.arange(people), views),
            name=f"{people} ICT heads",
            depth=np.array(depths),
            yaw_deg=np.array(yaws, np.float32),
        )
    )


def _points478(vertices: np.ndarray) -> np.ndarray:
    model = load_head_model()
    corners = vertices[model.triangles[model.points478_triangle]]
    return np.einsum("nk,nkd->nd", model.points478_bary, corners)
