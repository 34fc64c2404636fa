import numpy as np
import pytest
from engine_models import network

from engines.opening import open_engine
from engines.spec import SPECS, WEIGHTS
from stream.head_model import load_head_model
from stream.keypoint_depth import KeypointDepth, unit_crop


def test_the_crop_holds_the_face():
    points = np.array([[[10, 20], [30, 100], [50, 60]]], float)
    middle, side = unit_crop(points)
    assert middle.tolist() == [[[30, 60]]]
    assert side.shape == (1, 1, 1)
    unit = (points - middle) / side
    assert np.abs(unit).max() == pytest.approx(0.5 / 1.1)


class Fake:
    """Gives each point's own height as its depth."""

    def __call__(self, points):
        return {"depth": points[:, 1, :, 0]}


def test_depth_is_in_pixels_and_relative_to_the_mean():
    rng = np.random.default_rng(0)
    points = rng.uniform(50, 250, (2, 478, 2)).astype(np.float32)
    depth = KeypointDepth(Fake())(points)
    wanted = points[..., 1] - points[..., 1].mean(1, keepdims=True)
    assert np.allclose(depth, wanted, atol=1e-3)
    one = KeypointDepth(Fake())(points[1])
    assert np.allclose(one, depth[1], atol=1e-4)


def test_place_and_size_of_the_face_do_not_matter(tmp_path, monkeypatch):
    monkeypatch.setenv("VOLTFACE_CACHE", str(tmp_path / "cache"))
    spec = SPECS["keypoint_depth"]
    (tmp_path / spec.file_name).write_bytes(network(spec))
    points = np.random.default_rng(0).uniform(0, 100, (478, 2)).astype(np.float32)
    with open_engine(spec, "onnxruntime", weights=tmp_path) as engine:
        depth = KeypointDepth(engine)
        assert np.allclose(depth(3 * points + [40, 7]), 3 * depth(points), atol=1e-3)


def test_the_shipped_network_knows_a_frontal_face(tmp_path, monkeypatch):
    if not (WEIGHTS / "keypoint_depth.onnx").is_file():
        pytest.skip("keypoint_depth is not shipped yet")
    monkeypatch.setenv("VOLTFACE_CACHE", str(tmp_path / "cache"))
    head = load_head_model().points478()
    with open_engine(SPECS["keypoint_depth"], "onnxruntime") as engine:
        depth = KeypointDepth(engine)(100 + 0.7 * head[:, :2])
    true = 0.7 * (head[:, 2] - head[:, 2].mean())
    assert np.corrcoef(depth, true)[0, 1] > 0.95
    assert np.abs(depth - true).mean() < 0.15 * np.abs(true).mean() + 2
