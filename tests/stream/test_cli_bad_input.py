"""What the program says to input that is bad, absent or without a face, and to ends that fail."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from program import noise, voltface, why_refused
from videos import CLIP, FACE, clip_frames, read_video, write_video

from stream.frame import Frame
from stream.media import StreamInfo


def test_an_absent_file(tmp_path):
    why = why_refused(voltface("repose", tmp_path / "gone.mp4", "null"))
    assert "gone.mp4" in why
    assert "no such file" in why


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.mp4").touch()
    why = why_refused(voltface("repose", tmp_path / "empty.mp4", "null"))
    assert "empty.mp4" in why
    assert "empty (0 bytes)" in why


def test_a_text_file_named_mp4(tmp_path):
    (tmp_path / "text.mp4").write_text("This is no video.\n" * 100)
    why = why_refused(voltface("repose", tmp_path / "text.mp4", "null"))
    assert "text.mp4" in why


def test_a_truncated_mp4_whose_index_is_lost(tmp_path):
    """The demo clip has its index in front: what is left after 2000 bytes has none."""
    data = CLIP.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[:2000])
    why = why_refused(voltface("repose", tmp_path / "cut.mp4", "null"))
    assert "cut.mp4" in why


def test_a_truncated_mp4_whose_index_is_there(tmp_path):
    """What can be read is turned; the user is told that the rest is missing."""
    data = CLIP.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    result = voltface("repose", tmp_path / "cut.mp4", tmp_path / "out.mp4", "--yaw", "10")
    assert result.returncode in (0, 2)
    assert "Traceback" not in result.stderr
    assert "cut.mp4" in result.stderr
    assert 40 < len(read_video(tmp_path / "out.mp4")) < 150


def test_a_picture_of_one_pixel(tmp_path):
    cv2.imwrite(str(tmp_path / "one.png"), np.full((1, 1, 3), 90, np.uint8))
    result = voltface("repose", tmp_path / "one.png", tmp_path / "out.png", "--yaw", "10")
    why = why_refused(result)
    assert "no face found" in why
    assert "one.png" in why
    assert not (tmp_path / "out.png").exists()


def test_an_8k_picture_without_a_face(tmp_path):
    cv2.imwrite(str(tmp_path / "large.jpg"), noise(7680, 4320))
    result = voltface("repose", tmp_path / "large.jpg", tmp_path / "out.jpg", "--yaw", "10")
    why = why_refused(result)
    assert "no face found" in why
    assert "large.jpg" in why


def test_an_8k_picture_with_a_face(tmp_path):
    large = cv2.resize(clip_frames(1)[0], (7680, 5760))[720:5040]
    cv2.imwrite(str(tmp_path / "large.jpg"), large[..., ::-1])
    result = voltface("repose", tmp_path / "large.jpg", tmp_path / "out.jpg", "--yaw", "10")
    assert result.returncode == 0, result.stderr
    assert cv2.imread(str(tmp_path / "out.jpg")).shape == (4320, 7680, 3)


def test_a_video_without_a_face_passes_unchanged(tmp_path):
    source, out, stats = tmp_path / "in.mp4", tmp_path / "out.mp4", tmp_path / "stats.json"
    write_video(source, [noise(320, 240, seed) for seed in range(8)])
    result = voltface("repose", source, out, "--yaw", "20", "--stats", stats)
    assert result.returncode == 0, result.stderr
    for before, after in zip(read_video(source), read_video(out), strict=True):
        assert np.abs(before - after).mean() < 5.0  # the encoder's share, at this noise
    assert json.loads(stats.read_text())["faces_tracked"] == 0


def test_a_video_with_a_face_in_half_of_its_frames(tmp_path):
    source, out = tmp_path / "in.mp4", tmp_path / "out.mp4"
    plain = noise(640, 480)
    write_video(source, [*clip_frames(12), *[plain] * 12])
    result = voltface("repose", source, out, "--yaw", "20")
    assert result.returncode == 0, result.stderr
    before, after = read_video(source), read_video(out)
    assert len(after) == 24
    assert np.abs(before[10] - after[10]).mean() > 1.0
    assert np.abs(before[22] - after[22]).mean() < 3.0


def test_an_output_folder_that_does_not_exist(tmp_path):
    result = voltface("repose", CLIP, tmp_path / "gone" / "out.mp4")
    why = why_refused(result)
    assert "gone" in why
    assert "does not exist" in why
    assert "mkdir" in why


def test_an_output_that_is_the_input(tmp_path):
    (tmp_path / "in.mp4").write_bytes(CLIP.read_bytes())
    why = why_refused(voltface("repose", tmp_path / "in.mp4", tmp_path / "in.mp4"))
    assert "it is an input" in why
    assert (tmp_path / "in.mp4").read_bytes() == CLIP.read_bytes()


@pytest.mark.parametrize(
    "command",
    [
        "repose FACE out.png --stats FACE",
        "repose FACE out.png --stats out.png",
        "repose other.jpg FACE --like FACE",
        "repose other.jpg linked.jpg --like FACE",
        "swap other.jpg FACE --source FACE",
        "swap other.jpg FACE --source FACE#1",
        "puppet FACE other.jpg FACE",
        "reconstruct FACE head.glb --depth-picture FACE",
        "reconstruct FACE head.npz --stats head.npz",
        "bench FACE --json FACE",
    ],
)
def test_no_output_replaces_what_is_read_or_another_output(tmp_path, command):
    for name in ("own.jpg", "other.jpg"):
        (tmp_path / name).write_bytes(FACE.read_bytes())
    (tmp_path / "linked.jpg").hardlink_to(tmp_path / "own.jpg")
    arguments = command.replace("FACE", "own.jpg").split()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    why = why_refused(voltface(*arguments, cwd=tmp_path, env=environment))
    assert "Cannot write" in why
    assert "another name" in why
    assert (tmp_path / "own.jpg").read_bytes() == FACE.read_bytes()


@pytest.mark.parametrize(
    "command", ["repose ~no-such-user/in.mp4 null", "repose FACE ~no-such-user/out.mp4"]
)
def test_a_tilde_without_a_user_is_a_name_like_any_other(command):
    why = why_refused(voltface(*command.replace("FACE", str(FACE)).split()))
    assert "~no-such-user" in why


@pytest.mark.skipif(sys.platform == "win32", reason="the limit below is one of Unix")
def test_a_disk_that_is_full(tmp_path):
    """A limit on the size of files stands in for the disk."""
    import resource

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    result = voltface("repose", CLIP, tmp_path / "out.mp4", "--quiet", preexec_fn=limit)
    why = why_refused(result)
    assert "out.mp4" in why


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without /dev/full")
def test_what_is_printed_meets_a_full_disk():
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "stream", "repose", "--help"]
        result = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert "the disk is full" in why_refused(result)


def test_a_camera_that_is_absent():
    if Path("/dev/video97").exists():
        pytest.skip("this machine has a camera 97")
    why = why_refused(voltface("repose", "camera:97", "null"))
    assert "camera" in why


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a driver may be there")
def test_a_virtual_camera_without_driver():
    if list(Path("/dev").glob("video*")):
        pytest.skip("this machine may have a virtual camera")
    why = why_refused(voltface("repose", CLIP, "camera"))
    assert "virtual camera" in why
    assert "v4l2loopback" in why


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there always is a display")
def test_a_window_without_a_display():
    bare = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    why = why_refused(voltface("repose", CLIP, "window", env=bare))
    assert "window" in why
    assert "no display" in why


def test_a_camera_that_is_unplugged_midway_leaves_a_video_that_plays(tmp_path, monkeypatch, capsys):
    from stream import session
    from stream.__main__ import main
    from stream.errors import UserError

    class Unplugged:
        info = StreamInfo(width=640, height=480, fps=25.0, live=True, name="camera")
        dropped = 0

        def __enter__(self):
            return self

        def __exit__(self, *details):
            return None

        def __iter__(self):
            for index, pixels in enumerate(clip_frames(8)):
                yield Frame(pixels, index, index / 25, time.perf_counter())
            raise UserError("the camera is gone", "it was unplugged", "Plug it in again")

    monkeypatch.setattr(session, "open_source", lambda spec, **options: Unplugged())
    monkeypatch.setattr("stream.__main__._silence_native_chatter", lambda: None)
    monkeypatch.setattr("stream.cli_options.set_up_log", lambda verbose, quiet: None)
    out, stats = tmp_path / "out.mp4", tmp_path / "stats.json"
    arguments = ["repose", "camera", str(out), "--yaw", "10", "--stats", str(stats), "--quiet"]
    assert main(arguments) == 2
    assert "the camera is gone: it was unplugged. Plug it in again" in capsys.readouterr().err
    assert len(read_video(out)) == 8
    assert json.loads(stats.read_text())["frames_out"] == 8
