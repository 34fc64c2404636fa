"""The demo clip, the demo, the bench: what they show is there and is true."""

import json

import cv2
import numpy as np
import pytest
from videos import clip_frames, write_video

from stream import bench, demo
from stream.demo import CLIP, PICTURE_NAME, VIDEO_NAME, run_demo
from stream.media import open_source
from stream.settings import Settings
from stream.track import FaceTracker


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    """Run the demo once, as on a machine without a camera."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(demo, "list_cameras", lambda: [])
        assert run_demo(Settings(), folder / "stats.json", quiet=True) == 0
    return folder


def test_the_clip_is_small_and_has_a_face_in_every_frame():
    assert CLIP.stat().st_size < 1_000_000
    with open_source(str(CLIP)) as source, FaceTracker() as tracker:
        assert (source.info.width, source.info.height, source.info.fps) == (640, 480, 25.0)
        faces = [tracker.track(frame) for frame in source]
    assert len(faces) == 150
    assert all(len(found) == 1 and found[0].fresh for found in faces)


def test_the_demo_turns_every_head_and_keeps_the_length(demo_folder):
    content = json.loads((demo_folder / "stats.json").read_text())
    assert content["frames_out"] == 150
    assert content["faces_tracked"] == 2  # the clip has a cut
    with (
        open_source(str(CLIP)) as before,
        open_source(str(demo_folder / VIDEO_NAME)) as after,
        FaceTracker() as tracker_before,
        FaceTracker() as tracker_after,
    ):
        pairs = zip(before, after, strict=True)
        turns = [nose_offset(tracker_after, b) - nose_offset(tracker_before, a) for a, b in pairs]
    swing = 25 * np.sin(2 * np.pi * np.arange(150) / 25 / 3)
    assert np.corrcoef(turns, swing)[0, 1] > 0.9


def nose_offset(tracker, frame):
    """Return how far the nose lies right of the middle of the cheeks, by the face's width."""
    (face,) = tracker.track(frame)
    nose, left, right = face.points_px[[1, 234, 454], 0]
    return (nose - (left + right) / 2) / (right - left)


def test_the_picture_shows_before_and_after(demo_folder):
    picture = cv2.imread(str(demo_folder / PICTURE_NAME)).astype(int)
    height, width = picture.shape[:2]
    assert (width, height) == (4 * 320, 2 * 240)
    before, after = picture[: height // 2], picture[height // 2 :]
    assert np.abs(before - after).mean() > 2


def test_the_demo_goes_on_with_its_clip_where_the_camera_fails(tmp_path, monkeypatch, capsys):
    jobs = []

    def fake(job):
        jobs.append(job)
        if job.input == "camera":
            raise demo.UserError("no camera", "in use", "close it")
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "perform", fake)
    monkeypatch.setattr(demo, "list_cameras", lambda: ["camera:0"])
    monkeypatch.setattr(demo, "has_display", lambda: True)
    with pytest.raises(KeyboardInterrupt):
        run_demo(Settings(), None, quiet=False)
    assert [job.input for job in jobs] == ["camera", str(CLIP)]
    assert "Your camera" in capsys.readouterr().out


def test_bench_prints_the_stages_and_writes_json(tmp_path, capsys, short_clip):
    path = tmp_path / "bench.json"
    assert bench.run_bench(str(short_clip), Settings(), path, None, quiet=False) == 0
    content = json.loads(path.read_text())
    assert content["frames_out"] == 20
    assert content["floor"]["fps"] > 0
    assert content["peak_memory_mb"] > 50
    assert content["first_frame_s"] > 0
    text = capsys.readouterr().out
    for stage in content["stages"]:
        assert stage in text
    assert "floor: decode + track alone" in text


@pytest.fixture
def short_clip(tmp_path):
    path = tmp_path / "short.mp4"
    write_video(path, clip_frames(20))
    return path


def test_memory_is_that_of_this_process():
    before_mb = bench.peak_memory_mb()
    block = np.ones(60_000_000, np.uint8)
    assert block.sum() == 60_000_000
    assert bench.peak_memory_mb() >= before_mb
    assert 20 < before_mb < 50_000
