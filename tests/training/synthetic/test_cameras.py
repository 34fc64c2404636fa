import numpy as np
import pytest

from stream.geometry import project, transform_points
from stream.head_model import load_head_model
from training.synthetic.cameras import (
    FARTHEST_MM,
    NEAREST_MM,
    PITCH_LIMIT,
    ROLL_LIMIT,
    YAW_LIMIT,
    pose_degrees,
    sample_camera,
    turned_cameras,
)
from training.synthetic.scene import Camera

COUNT = 1500
SIZE = (256, 256)


@pytest.fixture(scope="module")
def cameras():
    rng = np.random.default_rng(0)
    return [sample_camera(rng, SIZE) for _ in range(COUNT)]


@pytest.fixture(scope="module")
def heads_px():
    """Project crown, chin and the tracked points of the mean head."""
    model = load_head_model()
    top = model.vertices[:, 1].argmin()
    places = np.concatenate([model.vertices[[top]], model.points478()])
    return lambda camera: project(
        transform_points(camera.camera_from_head, places), camera.intrinsics
    )


def test_angles_have_the_distribution_of_webcams(cameras):
    yaw, pitch, roll = np.array([pose_degrees(camera) for camera in cameras]).T
    assert np.abs(yaw).max() <= YAW_LIMIT + 1e-6
    assert np.abs(pitch).max() <= PITCH_LIMIT + 1e-6
    assert np.abs(roll).max() <= ROLL_LIMIT + 1e-6
    assert abs(np.median(yaw)) < 2.0
    assert 18 < yaw.std() < 26
    assert np.mean(np.abs(yaw) < 12) > 0.45  # the narrow part
    assert np.mean(np.abs(yaw) > 35) > 0.06  # the wide one
    assert 11 < pitch.std() < 16
    assert 6 < roll.std() < 8


def test_distances_are_those_of_webcams(cameras):
    away = np.array([np.linalg.norm(camera.camera_from_head[:3, 3]) for camera in cameras])
    assert away.min() >= NEAREST_MM - 1e-6
    assert away.max() <= FARTHEST_MM + 1e-6
    assert 550 < np.median(away) < 750
    assert np.quantile(away, 0.95) > 1000


def test_poses_are_rigid_and_pixels_square(cameras):
    for camera in cameras[:200]:
        rotation = camera.camera_from_head[:3, :3]
        assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        assert np.array_equal(camera.camera_from_head[3], [0, 0, 0, 1])
        assert camera.intrinsics[0, 0] == camera.intrinsics[1, 1] > 0
        assert np.array_equal(camera.intrinsics[2], [0, 0, 1])
        assert camera.size == SIZE


def test_crops_hold_the_head_and_only_some_cut_it(cameras, heads_px):
    height, cut = [], []
    for camera in cameras:
        points = heads_px(camera)
        if max(map(abs, pose_degrees(camera))) < 15:
            height.append(np.ptp(points[:, 1]) / SIZE[1])
        cut.append(((points < 0) | (points > SIZE[0])).any(axis=1).mean())
    assert np.quantile(height, 0.05) > 1 / 2.7
    assert np.quantile(height, 0.95) < 1.0
    assert 0.4 < np.median(height) < 0.6
    assert 0.02 < np.mean(np.array(cut) > 0.05) < 0.25
    assert max(cut) < 0.85


def test_principal_points_are_those_of_crops(cameras):
    centres = np.array([camera.intrinsics[:2, 2] for camera in cameras])
    assert np.mean(np.abs(centres - 128).max(axis=1) > 20) > 0.5
    assert np.median(np.abs(centres[:, 0] - 128)) < 130


def test_frames_reach_from_45_to_85_degrees(cameras):
    """The frame itself is not kept, but a crop never sees more than it, nor a wide part of it."""
    seen = [2 * np.degrees(np.arctan(128 / camera.intrinsics[0, 0])) for camera in cameras]
    assert min(seen) > 10
    assert max(seen) <= 85 + 1e-6


def test_crops_of_any_shape_have_square_pixels():
    camera = sample_camera(np.random.default_rng(3), (192, 256))
    assert camera.size == (192, 256)
    assert camera.intrinsics[0, 0] == camera.intrinsics[1, 1]


def test_one_seed_gives_one_camera():
    first, second, other = (sample_camera(np.random.default_rng(s), SIZE) for s in (4, 4, 5))
    assert np.array_equal(first.camera_from_head, second.camera_from_head)
    assert np.array_equal(first.intrinsics, second.intrinsics)
    assert not np.allclose(first.intrinsics, other.intrinsics)


def test_angles_are_signed_as_the_user_sees_them(heads_px):
    """Yaw moves the nose to the right of the picture, pitch lifts it, roll is clockwise."""
    cameras = [sample_camera(np.random.default_rng(seed), SIZE) for seed in range(80)]
    model = load_head_model()
    nose, back = model.points478()[1], np.array([0.0, model.points478()[1, 1], 80.0])
    for camera in cameras:
        yaw, pitch, _ = pose_degrees(camera)
        ends = transform_points(camera.camera_from_head, np.stack([nose, back]))
        # On the ray through the head, what points at the camera covers what is behind it.
        ends -= camera.camera_from_head[:3, 3]
        ray = camera.camera_from_head[:3, 3] / np.linalg.norm(camera.camera_from_head[:3, 3])
        towards = (ends[0] - ends[1]) - ((ends[0] - ends[1]) @ ray) * ray
        if abs(yaw) > 15:
            assert np.sign(towards[0]) == np.sign(yaw)
        if abs(pitch) > 15 and abs(yaw) < 25:
            assert np.sign(-towards[1]) == np.sign(pitch)


def test_turned_heads_keep_camera_and_neck():
    model = load_head_model()
    rng = np.random.default_rng(6)
    changes, shifts = [], []
    for seed in range(60):
        first = sample_camera(np.random.default_rng(seed), SIZE)
        turned = turned_cameras(rng, first, 4)
        assert len(turned) == 4
        for camera in turned:
            assert isinstance(camera, Camera)
            assert camera.size == first.size
            assert np.array_equal(camera.intrinsics, first.intrinsics)
            joints = [
                transform_points(one.camera_from_head, model.neck_joint.astype(float))
                for one in (first, camera)
            ]
            shifts.append(np.linalg.norm(joints[1] - joints[0]))
            # Angles count from the ray to the cranium, which moves by a degree or two.
            changes.append(np.subtract(pose_degrees(camera), pose_degrees(first)))
    yaw, pitch, roll = np.abs(changes).T
    assert 33 < yaw.max() < 52
    assert 20 < pitch.max() < 37
    assert roll.max() < 25
    assert 8 < np.median(shifts) < 35
    assert max(shifts) < 45
