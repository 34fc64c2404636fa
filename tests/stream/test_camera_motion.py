import cv2
import numpy as np
import pytest
from scenes import plain_room, rough_room

from stream.camera_motion import CameraMotion, Motion

HEIGHT, WIDTH = 360, 640
ROOM = rough_room(2 * HEIGHT, 2 * WIDTH)


def seen_by(angle=0.0, scale=1.0, x=0.0, y=0.0):
    """The room through a moved camera, and the (2, 3) transform from it to the unmoved one."""
    room_from_view = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), angle, scale)
    room_from_view[:, 2] += x, y
    picture = cv2.warpAffine(
        ROOM[200:, 300:], room_from_view, (WIDTH, HEIGHT), flags=cv2.WARP_INVERSE_MAP
    )
    return picture, room_from_view


def misplacement(found, wanted):
    corners = np.array([(x, y, 1.0) for x in (0, WIDTH) for y in (0, HEIGHT)])
    return np.abs(corners @ (found - wanted).T).max()


def test_sway_zoom_and_roll_are_followed_without_drift():
    camera = CameraMotion()
    for index in range(60):
        phase = index / 6
        picture, truth = seen_by(
            2 * np.sin(phase),
            1 + 0.02 * np.sin(phase / 2),
            12 * np.sin(phase),
            7 * np.cos(phase) - 7,
        )
        motion = camera.follow(picture)
        assert misplacement(camera.anchor_from_frame, truth) < 0.8  # frame pixels
    assert motion is Motion.MOVED


def test_a_person_in_front_does_not_pull_the_camera_along():
    camera = CameraMotion()
    occupied = np.zeros((HEIGHT, WIDTH), np.uint8)
    occupied[60:, 150:500] = 1
    for index in range(20):
        picture = seen_by(x=0.0)[0].copy()
        picture[80:, 200:450] = np.roll(ROOM[:280, :250], 4 * index, axis=1)
        assert camera.follow(picture, occupied) is Motion.STILL
    np.testing.assert_array_equal(camera.anchor_from_frame, np.eye(2, 3))


def test_noise_on_a_still_camera_is_no_motion():
    camera, rng = CameraMotion(), np.random.default_rng(0)
    for _ in range(10):
        noisy = seen_by()[0] + rng.normal(0, 4, (HEIGHT, WIDTH, 3))
        assert camera.follow(np.clip(noisy, 0, 255).astype(np.uint8)) is Motion.STILL
    np.testing.assert_array_equal(camera.anchor_from_frame, np.eye(2, 3))


def test_a_plain_wall_says_nothing():
    camera, rng = CameraMotion(), np.random.default_rng(0)
    for _ in range(6):
        wall = plain_room(HEIGHT, WIDTH) + rng.normal(0, 2, (HEIGHT, WIDTH, 3))
        assert camera.follow(np.clip(wall, 0, 255).astype(np.uint8)) is Motion.STILL


def test_another_scene_is_a_loss():
    camera = CameraMotion()
    camera.follow(seen_by()[0])
    assert camera.follow(np.ascontiguousarray(seen_by()[0][::-1, ::-1])) is Motion.LOST


def test_restart_makes_the_next_frame_the_anchor():
    camera = CameraMotion()
    camera.follow(seen_by()[0])
    camera.follow(seen_by(x=10)[0])
    assert not np.array_equal(camera.anchor_from_frame, np.eye(2, 3))
    camera.restart()
    np.testing.assert_array_equal(camera.anchor_from_frame, np.eye(2, 3))
    assert camera.follow(seen_by(x=10)[0]) is Motion.STILL


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (30, 500), (720, 35)])
def test_tiny_and_narrow_frames(shape):
    camera, rng = CameraMotion(), np.random.default_rng(0)
    for _ in range(4):
        frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        assert camera.follow(frame) in set(Motion)
        assert np.isfinite(camera.anchor_from_frame).all()
