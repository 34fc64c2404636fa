"""The program from outside: its commands, what it says to bad input, and its exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from videos import CLIP, FACE, clip_frames, read_video, write_video

from stream.cli import COMMANDS
from stream.frame import Frame
from stream.media import StreamInfo


def voltface(*arguments, cwd=None, **options):
    command = [sys.executable, "-m", "stream", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, cwd=cwd, **options
    )


def noise(width, height, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 16 + 1, width // 16 + 1, 3))
    return cv2.resize(coarse.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


def refused(result, *words):
    """Check exit code 2 and one message on standard error, without a traceback."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.returncode == 2, result.stderr
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("voltface: ")
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in lines[0]


# --- Commands -----------------------------------------------------------------------------


def test_help_lists_the_commands_and_only_those_that_exist():
    result = voltface("--help")
    assert result.returncode == 0
    assert set(re.findall(r"• (\w+)", result.stdout)) == set(COMMANDS)
    assert "repose" in COMMANDS
    assert "swap" in COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command):
    result = voltface(command, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: voltface {command}")


def test_help_of_repose_names_the_options_of_the_contract():
    text = voltface("repose", "--help").stdout
    for option in (
        "--yaw", "--pitch", "--roll", "--frontal", "--like", "--motion", "--engine", "--faces",
        "--config", "--stats", "--quality", "--seed",
    ):  # fmt: skip
        assert option in text


@pytest.mark.parametrize(
    "arguments", [(), ("repose",), ("repose", "a"), ("turn", "a", "b"), ("repose", "a", "b", "--x")]
)
def test_wrong_arguments_end_with_2_and_no_traceback(arguments):
    result = voltface(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert result.stderr.strip()


# --- The main job -------------------------------------------------------------------------


def test_repose_turns_the_head_keeps_the_sound_and_writes_statistics(tmp_path):
    out, stats = tmp_path / "out.mp4", tmp_path / "stats.json"
    source = tmp_path / "in.mp4"
    write_video(source, clip_frames(24))
    result = voltface("repose", source, out, "--yaw", "-20", "--stats", stats, "--seed", "1")
    assert result.returncode == 0, result.stderr
    assert "24 frames" in result.stderr
    before, after = read_video(source), read_video(out)
    assert len(after) == 24
    changed = [np.abs(a - b).mean() for a, b in zip(before, after, strict=True)]
    assert min(changed[6:]) > 1.0  # grey levels over the whole frame; the encoder alone gives 0.5
    content = json.loads(stats.read_text())
    assert content["frames_in"] == content["frames_out"] == 24
    assert content["frames_dropped"] == 0
    assert content["faces_tracked"] == 1
    assert content["input"] == {"width": 640, "height": 480, "fps": 25.0}
    assert content["engines"]["face_mesh"]["backend"] == "mediapipe"
    assert {"capture", "track", "fit", "sink"} <= set(content["stages"])


def test_without_a_request_the_frames_pass_unchanged(tmp_path):
    picture = tmp_path / "in.png"
    cv2.imwrite(str(picture), clip_frames(1)[0][..., ::-1])
    result = voltface("repose", picture, tmp_path / "out.png")
    assert result.returncode == 0, result.stderr
    assert (cv2.imread(str(picture)) == cv2.imread(str(tmp_path / "out.png"))).all()


def test_a_picture_is_turned(tmp_path):
    result = voltface("repose", FACE, tmp_path / "out.png", "--yaw", "15", "--quiet")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    before, after = cv2.imread(str(FACE)).astype(int), cv2.imread(str(tmp_path / "out.png"))
    assert np.abs(before - after).mean() > 1.5


def test_motion_file_config_and_like_work_together(tmp_path):
    source, stats = tmp_path / "in.mp4", tmp_path / "stats.json"
    write_video(source, clip_frames(6))
    (tmp_path / "motion.csv").write_text("time,yaw,pitch,roll\n0,0,0,0\n0.2,20,0,0\n")
    (tmp_path / "settings.toml").write_text('quality = "low"\nfaces = "all"\n[limits]\nyaw = 30\n')
    result = voltface(
        "repose", source, "null", "--motion", tmp_path / "motion.csv", "--motion-curve", "smooth",
        "--config", tmp_path / "settings.toml", "--like", FACE, "--stats", stats,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert json.loads(stats.read_text())["frames_out"] == 6


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_ctrl_c_finishes_the_file_and_ends_with_130(tmp_path):
    source, out = tmp_path / "in.mp4", tmp_path / "out.mp4"
    write_video(source, clip_frames(60) * 20)
    stats = tmp_path / "stats.json"
    command = [
        sys.executable,
        "-m",
        "stream",
        "repose",
        source,
        out,
        "--yaw",
        "5",
        "--stats",
        stats,
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + 90
    while time.monotonic() < deadline_s and process.poll() is None:
        if sum(path.stat().st_size for path in tmp_path.glob("*out*")) > 20_000:
            break  # frames have reached the file
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    content = json.loads(stats.read_text())
    assert content["interrupted"]
    assert 0 < content["frames_out"] < 1200
    assert len(read_video(out)) == content["frames_out"]
    assert [path.name for path in tmp_path.glob("*out*")] == ["out.mp4"]


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="a system without /dev/stdin")
def test_a_video_comes_through_a_pipe(tmp_path):
    source, out = tmp_path / "in.mkv", tmp_path / "out.mp4"
    write_video(source, clip_frames(4))
    sending = subprocess.Popen(["cat", source], stdout=subprocess.PIPE)
    result = voltface("repose", "/dev/stdin", out, stdin=sending.stdout)
    assert result.returncode == 0, result.stderr
    assert len(read_video(out)) == 4
    assert sending.wait(10) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there is no shell that closes it")
def test_without_standard_error_the_work_is_done(tmp_path):
    out = tmp_path / "out.png"
    line = f'exec "{sys.executable}" -m stream repose "{FACE}" "{out}" 2>&-'
    assert subprocess.run(["sh", "-c", line], check=False, timeout=60).returncode == 0
    assert out.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGTERM to one process")
@pytest.mark.parametrize("command", ["repose FACE out.png", "reconstruct FACE out.glb", "bench"])
def test_sigterm_ends_with_130_from_the_start(tmp_path, command):
    arguments = command.replace("FACE", str(FACE)).replace("out", str(tmp_path / "out")).split()
    process = subprocess.Popen(
        [sys.executable, "-m", "stream", *arguments], stderr=subprocess.PIPE, text=True
    )
    time.sleep(0.5)  # the libraries are still being loaded
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir())


# --- Requests that make no sense ------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--yaw", "nan"), "--yaw is nan"),
        (("--frontal", "1.5"), "a number from 0 to 1"),
        (("--motion", "gone.csv"), "gone.csv"),
        (("--config", "gone.toml"), "gone.toml"),
        (("--stats", "gone/stats.json"), "does not exist"),
        (("--like", "gone.png"), "gone.png"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(tmp_path, options, said):
    refused(voltface("repose", CLIP, tmp_path / "out.mp4", *options, cwd=tmp_path), said)
    assert not (tmp_path / "out.mp4").exists()


def test_an_engine_that_is_absent_is_refused_and_one_that_is_here_says_what_runs(tmp_path):
    pytest.importorskip("onnxruntime")
    absent = voltface("repose", CLIP, "null", "--engine", "tensorrt-rtx")
    refused(absent, "tensorrt-rtx cannot run here")
    stats = tmp_path / "stats.json"
    here = voltface("repose", FACE, "null", "--engine", "onnxruntime", "--stats", stats)
    assert here.returncode == 0
    ran = json.loads(stats.read_text())["engines"]
    own = ("head_segmentation", "hair_depth", "face_3dmm", "refine")
    assert {ran[name]["backend"] for name in own} == {"onnxruntime"}
    assert ran["face_mesh"]["backend"] == "mediapipe"


def test_verbose_shows_where_an_error_arose(tmp_path):
    result = voltface("repose", tmp_path / "gone.mp4", "null", "--verbose")
    assert result.returncode == 2
    assert "Traceback" in result.stderr


# --- Bad input ------------------------------------------------------------------------------


def test_an_absent_file(tmp_path):
    refused(voltface("repose", tmp_path / "gone.mp4", "null"), "gone.mp4", "no such file")


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.mp4").touch()
    refused(voltface("repose", tmp_path / "empty.mp4", "null"), "empty.mp4", "empty (0 bytes)")


def test_a_text_file_named_mp4(tmp_path):
    (tmp_path / "text.mp4").write_text("This is no video.\n" * 100)
    refused(voltface("repose", tmp_path / "text.mp4", "null"), "text.mp4")


def test_a_truncated_mp4_whose_index_is_lost(tmp_path):
    """The demo clip has its index in front: what is left after 2000 bytes has none."""
    data = CLIP.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[:2000])
    refused(voltface("repose", tmp_path / "cut.mp4", "null"), "cut.mp4")


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
    refused(result, "no face found", "one.png")
    assert not (tmp_path / "out.png").exists()


def test_an_8k_picture_without_a_face(tmp_path):
    cv2.imwrite(str(tmp_path / "large.jpg"), noise(7680, 4320))
    result = voltface("repose", tmp_path / "large.jpg", tmp_path / "out.jpg", "--yaw", "10")
    refused(result, "no face found", "large.jpg")


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
    refused(result, "gone", "does not exist", "mkdir")


def test_an_output_that_is_the_input(tmp_path):
    (tmp_path / "in.mp4").write_bytes(CLIP.read_bytes())
    refused(voltface("repose", tmp_path / "in.mp4", tmp_path / "in.mp4"), "it is an input")
    assert (tmp_path / "in.mp4").read_bytes() == CLIP.read_bytes()


@pytest.mark.parametrize(
    "command",
    [
        "repose FACE out.png --stats FACE",
        "repose FACE out.png --stats out.png",
        "repose other.jpg FACE --like FACE",
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
    arguments = command.replace("FACE", "own.jpg").split()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    refused(voltface(*arguments, cwd=tmp_path, env=environment), "Cannot write", "another name")
    assert (tmp_path / "own.jpg").read_bytes() == FACE.read_bytes()


@pytest.mark.parametrize(
    "command", ["repose ~no-such-user/in.mp4 null", "repose FACE ~no-such-user/out.mp4"]
)
def test_a_tilde_without_a_user_is_a_name_like_any_other(command):
    refused(voltface(*command.replace("FACE", str(FACE)).split()), "~no-such-user")


@pytest.mark.skipif(sys.platform == "win32", reason="the limit below is one of Unix")
def test_a_disk_that_is_full(tmp_path):
    """A limit on the size of files stands in for the disk."""
    import resource

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    result = voltface("repose", CLIP, tmp_path / "out.mp4", "--quiet", preexec_fn=limit)
    refused(result, "out.mp4")


def test_a_camera_that_is_absent():
    if Path("/dev/video97").exists():
        pytest.skip("this machine has a camera 97")
    refused(voltface("repose", "camera:97", "null"), "camera")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a driver may be there")
def test_a_virtual_camera_without_driver():
    if list(Path("/dev").glob("video*")):
        pytest.skip("this machine may have a virtual camera")
    refused(voltface("repose", CLIP, "camera"), "virtual camera", "v4l2loopback")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there always is a display")
def test_a_window_without_a_display():
    bare = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    refused(voltface("repose", CLIP, "window", env=bare), "window", "no display")


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

    monkeypatch.setattr(session, "open_source", lambda spec, options=None: Unplugged())
    monkeypatch.setattr("stream.__main__._silence_native_chatter", lambda: None)
    monkeypatch.setattr("stream.cli_options.set_up_log", lambda verbose, quiet: None)
    out, stats = tmp_path / "out.mp4", tmp_path / "stats.json"
    arguments = ["repose", "camera", str(out), "--yaw", "10", "--stats", str(stats), "--quiet"]
    assert main(arguments) == 2
    assert "the camera is gone: it was unplugged. Plug it in again" in capsys.readouterr().err
    assert len(read_video(out)) == 8
    assert json.loads(stats.read_text())["frames_out"] == 8
