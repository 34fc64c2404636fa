import numpy as np
import pytest

from stream.geometry import (
    angles_from_rotation,
    axis_angle_from_rotation,
    invert_rigid,
    orthonormalise,
    pinhole_camera,
    project,
    rigid_transform,
    rotate_about,
    rotation_from_angles,
    rotation_from_axis_angle,
    se3_exp,
    se3_log,
    skew,
    transform_points,
)

NOSE, CROWN = np.array([0.0, 0.0, -1.0]), np.array([0.0, -1.0, 0.0])
X, Y = 0, 1


def random_axis_angles(count: int, largest: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    axis = rng.normal(size=(count, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    return axis * rng.uniform(0, largest, (count, 1))


def test_camera_projects_its_axis_to_the_middle() -> None:
    camera = pinhole_camera(1280, 720)
    assert camera[0, 0] == camera[1, 1] == pytest.approx(1.2 * 1280)
    np.testing.assert_allclose(project(np.array([0.0, 0.0, 500.0]), camera), [640, 360])
    right_and_below = project(np.array([10.0, 20.0, 1000.0]), camera)
    np.testing.assert_allclose(right_and_below, [640 + 15.36, 360 + 30.72])


def test_camera_of_a_portrait_picture_uses_the_longer_side() -> None:
    assert pinhole_camera(720, 1280)[0, 0] == pytest.approx(1536)
    assert pinhole_camera(720, 1280, 900.0)[1, 1] == 900.0


@pytest.mark.parametrize(
    ("angles", "vector", "axis", "sign"),
    [
        ((20, 0, 0), NOSE, X, +1),  # yaw > 0: the nose goes to the right of the picture
        ((0, 20, 0), NOSE, Y, -1),  # pitch > 0: the nose goes up, and y points down
        ((0, 0, 20), CROWN, X, +1),  # roll > 0: clockwise, the crown goes right
    ],
)
def test_signs_of_the_angles(angles: tuple, vector: np.ndarray, axis: int, sign: int) -> None:
    moved = rotation_from_angles(*angles) @ vector
    assert moved[axis] == pytest.approx(sign * np.sin(np.radians(20)))


def test_angles_round_trip() -> None:
    rng = np.random.default_rng(0)
    angles = rng.uniform([-85, -170, -170], [85, 170, 170], (100, 3))
    rotations = rotation_from_angles(*angles.T)
    np.testing.assert_allclose(angles_from_rotation(rotations), angles, atol=1e-9)
    yaw, pitch, roll = angles_from_rotation(rotations[0])
    assert (yaw, pitch, roll) == pytest.approx(tuple(angles[0]))


def test_skew_is_the_cross_product() -> None:
    a, b = np.random.default_rng(2).normal(size=(2, 3))
    np.testing.assert_allclose(skew(a) @ b, np.cross(a, b))


def test_rotations_are_rotations() -> None:
    r = rotation_from_axis_angle(random_axis_angles(50, np.pi))
    identity = np.broadcast_to(np.eye(3), r.shape)
    np.testing.assert_allclose(r @ np.swapaxes(r, 1, 2), identity, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(r), 1.0)


@pytest.mark.parametrize("largest", [0.0, 1e-9, 1e-5, 1.0, np.pi])
def test_one_rotation_is_the_same_as_many(largest: float) -> None:
    w = random_axis_angles(20, largest)
    one_by_one = np.array([rotation_from_axis_angle(one) for one in w])
    np.testing.assert_allclose(one_by_one, rotation_from_axis_angle(w), atol=1e-15)


@pytest.mark.parametrize("largest", [1e-9, 1e-5, 1.0, np.pi - 1e-3])
def test_axis_angle_round_trip(largest: float) -> None:
    w = random_axis_angles(50, largest)
    back = axis_angle_from_rotation(rotation_from_axis_angle(w))
    np.testing.assert_allclose(back, w, atol=1e-9 * max(1.0, largest))


@pytest.mark.parametrize("short_of_pi", [0.0, 1e-9, 1e-6, 5e-5])
def test_axis_angle_near_half_turns(short_of_pi: float) -> None:
    w = random_axis_angles(50, 1.0)
    w *= (np.pi - short_of_pi) / np.linalg.norm(w, axis=1, keepdims=True)
    r = rotation_from_axis_angle(w)
    again = rotation_from_axis_angle(axis_angle_from_rotation(r))
    np.testing.assert_allclose(again, r, atol=1e-7)


@pytest.mark.parametrize("scale", [0.0, 1e-8, 1e-3, 1.0])
def test_se3_round_trip(scale: float) -> None:
    xi = np.random.default_rng(3).uniform(-1.5, 1.5, size=(20, 6)) * scale
    np.testing.assert_allclose(se3_log(se3_exp(xi)), xi, atol=1e-9)


def test_se3_exp_is_the_matrix_exponential() -> None:
    xi = np.array([3.0, -2.0, 1.0, 0.4, -0.9, 0.2])
    generator = np.zeros((4, 4))
    generator[:3, :3], generator[:3, 3] = skew(xi[3:]), xi[:3]
    term, total = np.eye(4), np.eye(4)
    for n in range(1, 30):
        term = term @ generator / n
        total += term
    np.testing.assert_allclose(se3_exp(xi), total, atol=1e-12)


def test_rigid_helpers() -> None:
    t = rigid_transform(rotation_from_angles(10, 20, 30), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(invert_rigid(t) @ t, np.eye(4), atol=1e-12)
    points = np.random.default_rng(4).normal(size=(5, 3)).astype(np.float32)
    moved = transform_points(t, points)
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved, points @ t[:3, :3].T + t[:3, 3], atol=1e-6)
    pivot = np.array([5.0, -1.0, 2.0])
    np.testing.assert_allclose(transform_points(rotate_about(t[:3, :3], pivot), pivot), pivot)


def test_orthonormalise_finds_the_nearest_rotation() -> None:
    r = rotation_from_angles(10, 20, 30)
    np.testing.assert_allclose(orthonormalise(2.5 * r), r, atol=1e-12)
    mirrored = r @ np.diag([1.0, 1.0, -1.0])
    assert np.linalg.det(orthonormalise(mirrored)) == pytest.approx(1.0)
