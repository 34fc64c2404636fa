"""The demo clip: no border shows, the sound fits, the head is one that can be tracked."""

import numpy as np
import pytest

from training.demo_clip import FPS, SIZE, camera_move, sound_track, write_clip
from training.demo_head import eyes_closed, mouth_opening, room, talking_head

PHOTO_SIDE = 512  # of scikit-image's astronaut


def test_the_virtual_camera_never_leaves_the_photograph():
    width, height = SIZE
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float).T
    for share in np.linspace(0, 1, 101):
        frame_from_photo = np.vstack([camera_move(share, SIZE), [0, 0, 1]])
        seen = (np.linalg.inv(frame_from_photo) @ corners)[:2]
        assert seen.min() >= 0, share
        assert seen.max() <= PHOTO_SIDE, share


def test_the_virtual_camera_moves_smoothly():
    moves = np.array([camera_move(share, SIZE) for share in np.linspace(0, 1, 66)])
    middles = moves @ np.array([238.0, 168.0, 1.0])
    speeds_px = np.linalg.norm(np.diff(middles, axis=0), axis=1)
    assert 0.2 < speeds_px.max() < 4.0
    assert np.abs(np.diff(speeds_px)).max() < 0.5


def test_the_sound_follows_the_mouth_and_does_not_clip():
    seconds = 6.0
    sound = sound_track(seconds)
    assert sound.shape == (6 * 44100,)
    assert 0.1 < np.abs(sound).max() < 0.9
    windows = np.sqrt((sound[: 3 * 44100].reshape(-1, 1764) ** 2).mean(axis=1))  # 25 a second
    opening = mouth_opening((np.arange(75) + 0.5) / FPS)
    assert np.corrcoef(windows, opening)[0, 1] > 0.8


def test_mouth_and_lids_stay_within_their_ranges():
    times_s = np.linspace(0, 4, 401)
    opening = mouth_opening(times_s)
    assert opening.min() == 0
    assert 0.6 < opening.max() <= 1
    lids = [eyes_closed(time_s) for time_s in times_s]
    assert min(lids) == 0
    assert max(lids) == pytest.approx(1.0, abs=0.05)


def test_the_room_is_the_same_every_time():
    picture = room((160, 120))
    assert picture.shape == (120, 160, 3)
    assert (picture == room((160, 120))).all()
    assert picture.std() > 20


def test_the_clip_is_written_with_sound(tmp_path):
    av = pytest.importorskip("av")
    frames = [np.full((SIZE[1], SIZE[0], 3), level, np.uint8) for level in range(0, 250, 10)]
    path = tmp_path / "clip.mp4"
    write_clip(path, frames, sound_track(1.0))
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 25
        (speech,) = container.streams.audio
        assert float(speech.duration * speech.time_base) == pytest.approx(1.0, abs=0.05)


def test_the_rendered_head_has_a_face(data_dir):
    from stream.face_mesh import FaceNet

    pixels = next(talking_head(data_dir / "makehuman", SIZE, 1))
    with FaceNet() as net:
        (region,) = net.detect(pixels, far=False)
        mesh = net.mesh(pixels, region)
    assert mesh is not None
    assert mesh.score > 0.9
    middle = mesh.points_px[:, :2].mean(axis=0)
    assert np.abs(middle - (322, 260)).max() < 25
