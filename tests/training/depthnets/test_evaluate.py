"""Measuring the shipped network, and the figure that is drawn with it."""

import cv2
import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from engine_models import network
from toy_people import toy_people

from engines.spec import SPECS
from stream.errors import UserError
from training.depthnets import evaluate, rotation


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.setenv("VOLTFACE_CACHE", str(tmp_path / "cache"))
    spec = SPECS["keypoint_depth"]
    (tmp_path / spec.file_name).write_bytes(network(spec))
    return tmp_path


def test_a_network_that_knows_nothing_is_far_from_the_truth(weights):
    faces = toy_people(count=10, points=478)
    found = evaluate.measure_shipped(faces, weights)
    assert found["depth_corr_share"] == pytest.approx(found["depth_corr"] / 478, abs=1e-3)
    assert found["mse_estimated_depth"] > 2 * found["mse_true_depth"]
    assert found["error_percent_of_range"] > 5


def test_the_truth_measures_as_such(weights, monkeypatch):
    faces = toy_people(count=10, points=478)
    monkeypatch.setattr(evaluate, "KeypointDepth", lambda _: lambda points: faces.depth)
    found = evaluate.measure_shipped(faces, weights)
    assert found["depth_corr"] == pytest.approx(478, abs=0.01)
    assert found["correlation_in_a_face"] == pytest.approx(1, abs=1e-3)
    assert found["error_percent_of_range"] == pytest.approx(0, abs=1e-3)
    assert found["mse_estimated_depth"] == found["mse_true_depth"]


def test_figure_1_has_a_row_for_each_source(weights, monkeypatch):
    faces = toy_people(count=6, points=478, pictures=24)
    pixels = np.full((120, 100, 3), 180, np.uint8)
    points = 90.0 * (faces.points[0] + 0.5)
    monkeypatch.setattr(rotation, "_tracked", lambda path: (pixels, points.astype(float)))
    try:
        rotation.figure_1([weights, weights], faces, weights / "f.png", columns=3, weights=weights)
    except UserError as error:
        pytest.skip(str(error))
    drawn = cv2.imread(str(weights / "f.png"))
    assert drawn.shape == (600, 800, 3)
    assert (drawn[200:400, 200:400] == 180).all(axis=2).mean() > 0.2
