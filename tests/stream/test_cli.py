"""The program from outside: its commands, its main job, and its exit codes."""

import json
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from program import voltface, why_refused
from videos import CLIP, FACE, clip_frames, read_video, write_video

from stream.cli import COMMANDS

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
    runs_mesh = "openvino" if find_spec("openvino") else "mediapipe"
    assert content["engines"]["face_mesh"]["backend"] == runs_mesh
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
    why = why_refused(voltface("repose", CLIP, tmp_path / "out.mp4", *options, cwd=tmp_path))
    assert said in why
    assert not (tmp_path / "out.mp4").exists()


def test_an_engine_that_is_absent_is_refused_and_one_that_is_here_says_what_runs(tmp_path):
    pytest.importorskip("onnxruntime")
    absent = voltface("repose", CLIP, "null", "--engine", "tensorrt-rtx")
    why = why_refused(absent)
    assert "tensorrt-rtx cannot run here" in why
    stats = tmp_path / "stats.json"
    here = voltface("repose", FACE, "null", "--engine", "onnxruntime", "--stats", stats)
    assert here.returncode == 0
    ran = json.loads(stats.read_text())["engines"]
    own = ("head_segmentation", "hair_depth", "face_3dmm", "refine")
    assert {ran[name]["backend"] for name in own} == {"onnxruntime"}
    assert ran["face_mesh"]["backend"] == "mediapipe"


def test_a_word_that_is_no_choice_is_answered_with_the_choices():
    result = voltface("repose", CLIP, "null", "--quality", "best")
    assert result.returncode == 2
    said = " ".join(result.stderr.replace("│", " ").split())
    assert "'best'" in said
    assert "Expected one of ('auto', 'low', 'high')" in said


def test_verbose_shows_where_an_error_arose(tmp_path):
    result = voltface("repose", tmp_path / "gone.mp4", "null", "--verbose")
    assert result.returncode == 2
    assert "Traceback" in result.stderr
