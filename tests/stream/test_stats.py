"""Statistics: quantiles, stage times, and the JSON of the contract."""

import json
import time

import numpy as np
import pytest

from stream.errors import UserError
from stream.stats import Quantiles, StageTimer, Stats, check_writable, write_json


def test_quantiles_are_within_one_per_cent_of_numpy():
    values = np.random.default_rng(0).lognormal(-4, 1, 5000)
    quantiles = Quantiles()
    for value in values:
        quantiles.add(float(value))
    for share in (0.05, 0.5, 0.95, 1.0):
        expected = np.quantile(values, share, method="inverted_cdf")
        assert quantiles.at(share) == pytest.approx(expected, rel=0.01)


def test_quantiles_stay_small_however_many_values_come():
    quantiles = Quantiles()
    for index in range(20_000):
        quantiles.add(index * 1e-6)
    assert len(quantiles) == 20_000
    assert len(quantiles._bins) < 1100


def test_no_values_give_zero():
    assert Quantiles().in_ms() == {"p50": 0.0, "p95": 0.0}


def test_stage_sums_within_a_frame_and_skips_frames_without_it():
    timer = StageTimer()
    for frame in range(4):
        with timer.stage("warp"):
            time.sleep(0.002)
        with timer.stage("warp"):
            time.sleep(0.002)
        if frame == 0:
            with timer.stage("hair"):
                time.sleep(0.002)
        timer.end_frame()
    summary = timer.summary()
    assert list(summary) == ["warp", "hair"]
    assert summary["warp"]["p50"] >= 4.0
    assert summary["hair"]["p50"] >= 2.0
    assert len(timer._stages["hair"]) == 1


def test_stage_is_counted_when_its_body_raises():
    timer = StageTimer()
    with pytest.raises(ValueError, match="x"), timer.stage("fit"):
        raise ValueError("x")
    timer.end_frame()
    assert "fit" in timer.summary()


def test_json_has_the_keys_of_the_contract(tmp_path):
    stats = Stats(frames_in=3, frames_dropped=1, start_s=time.perf_counter() - 0.5)
    with stats.timer.stage("track"):
        pass
    stats.frame_done(time.perf_counter() - 0.040)
    stats.frame_done(time.perf_counter() - 0.040)
    stats.end_s = stats.start_s + 0.5
    stats.engines = {"face_mesh": {"backend": "mediapipe", "device": "cpu", "precision": "fp32"}}
    path = tmp_path / "stats.json"
    write_json(path, stats.as_json({"width": 640, "height": 480, "fps": 25.0}))
    content = json.loads(path.read_text())
    for key in (
        "frames_in", "frames_out", "frames_dropped", "seconds", "fps", "latency_ms", "stages",
        "engines", "faces_tracked", "input", "governor",
    ):  # fmt: skip
        assert key in content
    assert content["frames_out"] == 2
    assert content["fps"] == pytest.approx(4.0)
    assert 40.0 <= content["latency_ms"]["p50"] < 200.0
    assert set(content["stages"]["track"]) == {"p50", "p95"}
    assert content["input"] == {"width": 640, "height": 480, "fps": 25.0}


def test_statistics_file_is_refused_before_work(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        check_writable(tmp_path / "nowhere" / "stats.json")
    with pytest.raises(UserError, match="it is a folder"):
        check_writable(tmp_path)
    check_writable(tmp_path / "stats.json")
