"""The commands of `python -m training.synthetic`."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("webdataset", reason="needs the extra train")

from training.synthetic import shards
from training.synthetic.inspect import is_free, truth_strip
from training.synthetic.scene import Label

ROOT = Path(__file__).resolve().parents[3]


def _run(data_dir, *words):
    command = [sys.executable, "-m", "training.synthetic", *map(str, words)]
    place = ["--data", str(data_dir)]
    return subprocess.run(
        [*command, *place], cwd=ROOT, capture_output=True, text=True, check=False, timeout=200
    )


def _done(data_dir, *words):
    result = _run(data_dir, *words)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def test_a_set_is_written(data_dir, tmp_path):
    out = tmp_path / "set"
    told = _done(data_dir, "write", out, "--count", 2, "--size", 64, "--workers", 0, "--held-out")
    assert "2 samples in 1 shards" in told
    index = json.loads((out / shards.INDEX).read_text())
    assert index["seed"] == 20261121 and index["size"] == 64 and index["held_out"] is True
    assert [item[1]["pixels"].shape for item in shards.read(out)] == [(64, 64, 3)] * 2


def test_sheets_are_drawn(data_dir, tmp_path):
    _done(data_dir, "sheet", tmp_path / "a.png", "--count", 3, "--size", 64)
    assert cv2.imread(str(tmp_path / "a.png")).shape == (128, 128, 3)


def test_tuples_are_drawn(data_dir, tmp_path):
    _done(data_dir, "tuples", tmp_path / "c.png", "--count", 1)
    assert cv2.imread(str(tmp_path / "c.png")).shape == (256, 1280, 3)


def test_statistics_are_told_and_drawn(data_dir, tmp_path):
    told = _done(data_dir, "statistics", "--count", 3, "--chart", tmp_path / "chart.png")
    assert cv2.imread(str(tmp_path / "chart.png")).std() > 10
    lines = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line.strip()}
    assert {"yaw", "tone", "hair", "age", "distance_mm"} <= set(lines)
    quantiles = [float(word) for word in lines["yaw"]]
    assert len(quantiles) == 7 and quantiles == sorted(quantiles)


def test_speed_is_told(data_dir):
    told = _done(data_dir, "speed", "--count", 2, "--workers", 0, "--size", 64)
    rate, processor = told.splitlines()
    assert float(rate.split()[0]) > 0 and "pictures a second" in rate
    assert not Path("/proc/self/stat").is_file() or float(processor.split()[0]) > 1


def test_expressions_are_drawn(data_dir, tmp_path):
    _done(data_dir, "expressions", tmp_path / "e.png", "--size", 64)
    sheet = cv2.imread(str(tmp_path / "e.png")).astype(int)
    assert sheet.shape == (2 * 64, 9 * 64, 3)
    tiles = sheet.reshape(2, 64, 9, 64, 3)
    for number in range(1, 9):  # every face differs from the one at rest
        assert (np.abs(tiles[:, :, number] - tiles[:, :, 0]).max(axis=(1, 2, 3)) > 15).all()


def test_the_detector_is_asked(data_dir):
    found = json.loads(_done(data_dir, "detector", "--count", 4))
    whole = [name for name in found if "free" not in name]
    assert sum(found[name]["pictures"] for name in whole) == 4
    assert all(0 <= row["found"] <= 1 for row in found.values())


def test_an_absent_data_folder_is_named(tmp_path):
    result = _run(tmp_path / "nowhere", "statistics", "--count", 1)
    assert result.returncode != 0
    assert "nowhere" in result.stderr and "Traceback" not in result.stderr


def _arrays(size=64):
    y, x = np.mgrid[10:50, 10:50].reshape(2, -1)[:, :: 1600 // 477][:, :478]
    points = np.stack([x, y, 500 + 0 * x], axis=1).astype(np.float32)
    flat = np.full((size, size), 500, np.float32)
    return {
        "pixels": np.full((size, size, 3), 90, np.uint8),
        "points478": points,
        "visible478": np.ones(478, bool),
        "labels": np.full((size, size), Label.FACE, np.uint8),
        "depth_mm": flat,
        "face_depth_mm": flat,
        "normals": np.zeros((size, size, 3), np.float16),
        "canonical_mm": np.zeros((size, size, 3), np.float16),
        "head_uv": np.zeros((size, size, 2), np.float16),
        "hair_alpha": np.zeros((size, size), np.uint8),
    }


def test_free_faces_are_told_from_hidden_ones():
    arrays = _arrays()
    assert is_free(arrays)
    arrays["labels"][:30] = Label.HAIR
    assert is_free(arrays)  # a beard has a place on the head
    arrays["canonical_mm"][:30] = np.nan
    assert not is_free(arrays)
    outside = _arrays()
    outside["points478"][3, 0] = 70
    assert not is_free(outside)


def test_a_strip_shows_eight_pictures():
    strip = truth_strip(_arrays())
    assert strip.shape == (64, 512, 3) and strip.dtype == np.uint8
    assert (strip[30, 30] == (0, 255, 0)).all() or (strip[..., 1] == 255).sum() >= 300


@pytest.mark.parametrize("word", ["sheet", "write", "detector"])
def test_commands_explain_themselves(word):
    command = [sys.executable, "-m", "training.synthetic", word, "--help"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--data" in told.stdout and "--seed" in told.stdout
