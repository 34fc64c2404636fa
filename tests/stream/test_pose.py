import logging
from dataclasses import replace

import numpy as np
import pytest

from stream.frame import Head
from stream.geometry import pinhole_camera, rigid_transform, rotation_from_angles
from stream.pose import (
    PoseController,
    PoseLimits,
    PoseRequest,
    ray_rotation,
    seen_angles,
    soft_limit,
)

NECK = np.array([0.0, 100.0, 40.0])


def mock_head(yaw=0.0, pitch=0.0, roll=0.0, at=(0.0, 0.0, 600.0)):
    pose = rigid_transform(
        ray_rotation(np.array(at)) @ rotation_from_angles(yaw, pitch, roll), np.array(at)
    )
    return Head(1, np.zeros(3, "f4"), np.zeros(52, "f4"), pose, pinhole_camera(640, 480))


def moved_pose(head, motion):
    return motion.blended(np.array(1.0), np.array(1.0)) @ head.camera_from_head


@pytest.mark.parametrize("at", [(0, 0, 600.0), (200.0, -80.0, 700.0)])
def test_angles_are_added_as_seen(at):
    head = mock_head(yaw=10, pitch=-5, roll=3, at=at)
    motion = PoseController(NECK).motion(head, PoseRequest(yaw=12, pitch=8, roll=-6))
    # The ray to the head is that of before the motion: the neck joint holds still.
    ray = ray_rotation(np.array(at))
    moved = rigid_transform(ray.T @ moved_pose(head, motion)[:3, :3], np.array([0, 0, 1.0]))
    np.testing.assert_allclose(seen_angles(moved), [22, 3, -3], atol=1e-6)


def test_positive_yaw_takes_the_nose_right_positive_pitch_up_and_roll_clockwise():
    head = mock_head()
    nose, crown = np.array([0, 0, -120.0]), np.array([0, -100.0, 0])

    def shift(request, point):
        motion = PoseController(NECK).motion(head, request)
        after = moved_pose(head, motion)
        return (after[:3, :3] - head.camera_from_head[:3, :3]) @ point

    assert shift(PoseRequest(yaw=20), nose)[0] > 30
    assert shift(PoseRequest(pitch=20), nose)[1] < -30
    assert shift(PoseRequest(roll=20), crown)[0] > 30


def test_the_neck_joint_stays_in_place():
    head = mock_head(yaw=20, at=(50.0, 20.0, 500.0))
    motion = PoseController(NECK).motion(head, PoseRequest(yaw=25, pitch=10))
    joint = np.r_[NECK, 1]
    np.testing.assert_allclose(moved_pose(head, motion) @ joint, head.camera_from_head @ joint)


@pytest.mark.parametrize(("share", "left"), [(0.5, 12.0), (1.0, 0.0)])
def test_frontal_takes_a_share_of_the_tracked_angles(share, left):
    head = mock_head(yaw=24, at=(150.0, 0.0, 600.0))
    motion = PoseController(NECK).motion(head, PoseRequest(frontal=share))
    ray = ray_rotation(head.camera_from_head[:3, 3])
    after = rigid_transform(ray.T @ moved_pose(head, motion)[:3, :3], np.array([0, 0, 1.0]))
    np.testing.assert_allclose(seen_angles(after), [left, 0, 0], atol=1e-6)


def test_like_takes_rotation_and_position():
    head, like = mock_head(yaw=5), mock_head(yaw=-20, pitch=6, at=(40.0, 10.0, 520.0))
    motion = PoseController(NECK).motion(head, PoseRequest(), like)
    np.testing.assert_allclose(moved_pose(head, motion), like.camera_from_head, atol=1e-9)


def test_blending_runs_from_rest_to_the_whole_motion():
    motion = PoseController(NECK).motion(mock_head(), PoseRequest(yaw=30))
    none, half, whole = motion.blended(np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(none, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(half @ half, whole, atol=1e-9)


def test_soft_limit_is_exact_below_monotone_and_bounded():
    angles = np.linspace(-180, 180, 721)
    limited = soft_limit(angles, 40.0)
    inside = np.abs(angles) <= 30
    np.testing.assert_allclose(limited[inside], angles[inside])
    assert np.abs(limited).max() <= 40
    steps = np.diff(limited) / np.diff(angles)
    assert steps.min() >= 0
    assert np.abs(np.diff(steps)).max() < 0.06  # no kink in speed when a key is held


def test_a_request_that_is_limited_is_said_once(caplog):
    controller = PoseController(NECK, PoseLimits(yaw=40))
    with caplog.at_level(logging.WARNING, "voltface"):
        for yaw in (20, 80, 90, 85):
            controller.motion(mock_head(), PoseRequest(yaw=yaw))
    assert len(caplog.records) == 1
    assert "instead of 80" in caplog.text


def test_rest_is_known_as_rest():
    assert PoseRequest().is_rest
    assert not replace(PoseRequest(), frontal=0.2).is_rest
