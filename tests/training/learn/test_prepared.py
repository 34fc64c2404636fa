import json

import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from stream.errors import UserError
from training.learn.fitted import FIELD, add_fitted_depth, fitted_head
from training.learn.prepared import DEPTH_UNIT_MM, open_set, prepare
from training.synthetic.dataset import Synthesiser


@pytest.fixture(scope="module")
def prepared(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    prepare(data_dir, folder, 5, seed=3, size=96, workers=0)
    add_fitted_depth(open_set(folder), folder)
    return open_set(folder)


def test_a_set_holds_the_samples_of_its_seed(prepared, data_dir):
    with Synthesiser(data_dir, 96) as synthesiser:
        sample = synthesiser.sample(3, 4)
    np.testing.assert_array_equal(prepared["pixels"][4], sample.pixels)
    np.testing.assert_array_equal(prepared["labels"][4], sample.layers.labels)
    centre = sample.camera.camera_from_head[2, 3]
    there = np.isfinite(sample.layers.depth_mm)
    np.testing.assert_array_equal(np.isfinite(prepared["depth"][4]), there)
    back = prepared["depth"][4].astype(float) * DEPTH_UNIT_MM + centre
    np.testing.assert_allclose(back[there], sample.layers.depth_mm[there], atol=0.6)


def test_the_fitted_depth_is_near_the_skin_but_not_on_it(prepared):
    for index in range(prepared.count):
        fitted = prepared[FIELD][index].astype(float)
        skin = prepared["face_depth"][index].astype(float)
        face = (prepared["labels"][index] == 1) & np.isfinite(fitted) & np.isfinite(skin)
        if face.sum() < 50:
            continue
        apart = np.abs(fitted[face] - skin[face]) * DEPTH_UNIT_MM
        assert 0.1 < np.median(apart) < 12


def test_a_fit_is_off_in_the_same_way_every_time(prepared):
    first, second = fitted_head(prepared, 2), fitted_head(prepared, 2)
    np.testing.assert_array_equal(first.identity, second.identity)
    assert np.abs(first.identity - prepared["identity"][2]).max() > 0.1


def test_an_absent_or_unfinished_set_is_refused(tmp_path):
    with pytest.raises(UserError, match="not a prepared set"):
        open_set(tmp_path)


def test_the_recipe_is_kept(prepared):
    assert prepared.recipe["seed"] == 3 and prepared.recipe["held_out"] is False
    assert json.dumps(prepared.recipe)
