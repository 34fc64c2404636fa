"""MediaPipe's custom layers compute in OpenVINO what they do in MediaPipe, and are kept built."""

import logging
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from engines.errors import EngineAbsentError, UserError
from engines.mediapipe_layers import translated
from engines.mediapipe_openvino import FACE_MESH, MediaPipeOnOpenVino, open_face_mesh
from engines.openvino_backend import core, imported
from engines.tflite_layers import CustomLayer

pytest.importorskip("openvino")
FILE = Path(find_spec("mediapipe").origin).parent.joinpath(
    "modules", "face_landmark", "face_landmark_with_attention.tflite"
)


def computed(kind, options, *arrays):
    """Run one custom layer on arrays."""
    openvino = imported()
    given = [openvino.opset13.parameter(array.shape, np.float32) for array in arrays]
    layer = CustomLayer(kind, "out", options)
    result = translated(layer, [parameter.output(0) for parameter in given])
    model = openvino.Model([result], given, "layer")
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    return core().compile_model(model, "CPU", options)(list(arrays))[0]


@pytest.mark.parametrize("angle", [-2.5, -0.4, 0.0, 1.2])
@pytest.mark.parametrize("target", [0.0, 0.7])
def test_a_crop_is_a_box_around_some_points_turned_with_two_of_them(angle, target):
    rng = np.random.default_rng(3)
    points = rng.uniform(5, 43, (1, 20, 3)).astype(np.float32)
    points[0, 7, :2] = points[0, 2, :2] + 9 * np.array([np.cos(angle), np.sin(angle)])
    subset = [1, 4, 9, 16, 4]
    options = {
        "left_rotation_idx": 2, "right_rotation_idx": 7, "subset_idxs": subset,
        "output_width": 16, "output_height": 8, "scale_x": 1.5, "scale_y": 2.0,
        "target_rotation_radians": target,
    }  # fmt: skip
    matrix = computed("Landmarks2TransformMatrix", options, points)[0]
    turn = target - angle
    upright_from_map = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    upright = points[0, subset, :2] @ upright_from_map.T
    low, high = upright.min(0), upright.max(0)
    reach = (high - low) * (1.5, 2.0) / 2
    corners = np.array([[0, 0, 0, 1], [16, 0, 0, 1], [16, 8, 0, 1], [0, 8, 0, 1]]) @ matrix.T
    expected = (low + high) / 2 + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * reach
    assert np.allclose(corners[:, :2] @ upright_from_map.T, expected, atol=1e-4)
    assert np.array_equal(matrix[2:], [[0, 0, 1, 0], [0, 0, 0, 1]])
    assert not matrix[:2, 2].any()


def sampled(picture, x, y):
    """Sample an (h, w, C) picture as MediaPipe does; x, y count from the first pixel's centre."""
    rows, columns = picture.shape[:2]
    if not (0 <= x <= columns - 1 and 0 <= y <= rows - 1):
        return np.zeros(picture.shape[2])
    padded = np.pad(picture, ((0, 1), (0, 1), (0, 0)))
    left, top = int(x), int(y)
    a, b = padded[top : top + 2, left : left + 2]
    upper, lower = a[0] + (x - left) * (a[1] - a[0]), b[0] + (x - left) * (b[1] - b[0])
    return upper + (y - top) * (lower - upper)


@pytest.mark.parametrize("corner", [(3.1, 2.2), (-2.3, 4.4), (7.7, 6.3), (-40.0, 3.0)])
def test_a_crop_is_sampled_between_pixels_and_is_0_beyond_the_last(corner):
    rng = np.random.default_rng(5)
    features = rng.uniform(1, 2, (1, 11, 14, 3)).astype(np.float32)
    matrix = np.eye(4, dtype=np.float32)
    matrix[:2, :2] = [[0.8, -0.45], [0.45, 0.8]]
    matrix[:2, 3] = corner
    options = {"output_width": 9, "output_height": 7}
    crop = computed("TransformTensorBilinear", options, features, matrix[None])[0]
    assert crop.shape == (7, 9, 3)
    expected = np.empty_like(crop)
    for row in range(7):
        for column in range(9):
            x, y = matrix[:2, :2] @ (column + 0.5, row + 0.5) + matrix[:2, 3] - 0.5
            expected[row, column] = sampled(features[0], x, y)
    assert np.allclose(crop, expected, atol=1e-4)
    assert (expected == 0).all() == (corner[0] == -40)


def test_points_of_a_crop_come_back_by_its_matrix():
    rng = np.random.default_rng(7)
    points = rng.uniform(0, 16, (1, 5, 2)).astype(np.float32)
    matrix = rng.uniform(-3, 3, (1, 4, 4)).astype(np.float32)
    back = computed("TransformLandmarks", {}, points, matrix)
    assert np.allclose(back[0], points[0] @ matrix[0, :2, :2].T + matrix[0, :2, 3], atol=1e-4)


def test_a_layer_that_is_not_known_is_named():
    with pytest.raises(UserError, match="out is of the unknown kind FoldPaper"):
        translated(CustomLayer("FoldPaper", "out"), [])


def test_it_is_built_once_in_float32_and_anew_where_it_is_damaged(cache_path, monkeypatch, caplog):
    tflite = FILE.read_bytes()
    with open_face_mesh(tflite) as engine:
        assert engine.as_stats["backend"] == "openvino"
        assert (engine.precision, engine.threads) == ("fp32", 1)
        first = engine(**FACE_MESH.sample())
    (kept,) = (cache_path / "engines").glob("face_mesh.openvino.fp32.*.bin")

    with monkeypatch.context() as patch:
        patch.setattr(MediaPipeOnOpenVino, "build", lambda *_: pytest.fail("it was built again"))
        with open_face_mesh(tflite) as engine:
            again = engine(**FACE_MESH.sample())
    assert all(np.array_equal(first[name], again[name]) for name in first)

    kept.write_bytes(kept.read_bytes()[:-7])
    with caplog.at_level(logging.WARNING), open_face_mesh(tflite) as engine:
        again = engine(**FACE_MESH.sample())
    assert "damaged" in caplog.text
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_threads_may_take_turns_and_closing_twice_does_no_harm():
    engine = open_face_mesh(FILE.read_bytes())
    pictures = [FACE_MESH.sample(seed=seed) for seed in range(6)]
    alone = [engine(**picture)["points"] for picture in pictures]
    with ThreadPoolExecutor(3) as threads:
        beside = list(threads.map(lambda picture: engine(**picture)["points"], pictures))
    assert all(np.array_equal(a, b) for a, b in zip(alone, beside, strict=True))
    assert not np.array_equal(alone[0], alone[1])
    engine.close()
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine(**pictures[0])


def test_without_openvino_it_is_absent(monkeypatch):
    monkeypatch.setattr(MediaPipeOnOpenVino, "module", "openvino_that_is_not_here")
    with pytest.raises(EngineAbsentError, match="not installed"):
        open_face_mesh(FILE.read_bytes())
