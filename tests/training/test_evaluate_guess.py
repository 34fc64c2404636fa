import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from stream.frame import Frame
from stream.geometry import rotation_from_angles
from stream.head_model import load_head_model
from tests.stream.test_fit_guess import guess_for, scene
from training.evaluate_guess import _settled_s, measure_picture, shape_error


def test_shape_error_leaves_out_place_turn_and_size():
    rng = np.random.default_rng(0)
    true = rng.normal(0, 50, (300, 3))
    moved = 1.3 * true @ rotation_from_angles(30, 20, 10).T + [5, -90, 700]
    assert shape_error(moved, true) < 1e-9
    bent = moved.copy()
    bent[:150] += [0, 0, 13.0]  # 10 mm in the true size, in half of the points
    assert 1.0 < shape_error(bent, true) < 10.0


def test_identity_has_settled_when_it_no_longer_leaves_where_it_ends():
    face, bump = np.random.default_rng(0).normal(0, 50, (2, 30, 3)) * [[[1]], [[0.02]]]
    rest = [(0.1 * i + 2.0, face + x * bump + i) for i, x in enumerate([5, 3, 0.1, 1, 0.2, 0])]
    assert _settled_s(rest) == pytest.approx(0.3)
    assert _settled_s(rest[4:]) == 0


def test_a_network_that_is_right_beats_the_points_alone():
    model = load_head_model()
    face, pose, identity, expression = scene(model)
    rest = model.shape(identity)
    frame = Frame(np.zeros((720, 1280, 3), np.uint8))
    found = measure_picture(model, rest, frame, face, guess_for(face, pose, identity, expression))
    assert found["network"] < 1e-3 < found["both"] < found["fit"]
    assert found["mean"] > 1 and 0 < found["fit %"] < 20
