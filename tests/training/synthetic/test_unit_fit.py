"""Telling in the head model's units how a face moved."""

import numpy as np
import pytest

from stream.head_model import load_head_model
from training.synthetic.unit_fit import UnitFit

MODEL = load_head_model()


@pytest.fixture(scope="module")
def fit():
    return UnitFit(MODEL)


def _strengths(**named):
    return np.array([named.get(name, 0.0) for name in MODEL.expression_names], np.float32)


def test_the_models_own_motion_is_told_exactly(fit):
    asked = _strengths(jawOpen=0.6, mouthSmileLeft=0.5, eyeBlinkRight=1.0)
    moved = np.tensordot(asked, MODEL.expression_basis, 1)
    np.testing.assert_allclose(fit(moved, asked), asked, atol=1e-3)


def test_rest_is_rest(fit):
    assert not fit(np.zeros_like(MODEL.vertices), _strengths()).any()


def test_a_motion_counts_for_more_than_what_was_asked_for(fit):
    asked = _strengths(jawOpen=0.3)
    moved = np.tensordot(_strengths(jawOpen=0.8), MODEL.expression_basis, 1)
    found = fit(moved, asked)
    jaw = found[MODEL.expression_names.index("jawOpen")]
    assert 0.55 < jaw < 0.8
    own = np.tensordot(asked, MODEL.points478_expression, 1)
    target = np.tensordot(_strengths(jawOpen=0.8), MODEL.points478_expression, 1)
    told = np.tensordot(found, MODEL.points478_expression, 1)
    assert np.linalg.norm(told - target) < 0.5 * np.linalg.norm(own - target)


def test_strengths_stay_in_range(fit):
    asked = _strengths(jawOpen=1.0)
    moved = 2.0 * np.tensordot(asked, MODEL.expression_basis, 1)
    found = fit(moved, asked)
    assert found.min() >= 0 and found.max() <= 1 and found.dtype == np.float32
