"""Light from above: less under the chin, as much on both sides."""

import numpy as np
import pytest

from stream.head_model import load_head_model
from stream.skylight import skylight

NECK, FACE = 4, 1


@pytest.fixture(scope="module")
def model():
    return load_head_model()


@pytest.fixture(scope="module")
def light(model):
    return skylight(model, np.arange(len(model.vertices)))


def mean_where(model, light, label, x_mm, y_mm, z_mm):
    x, y, z = model.vertices.T
    held = (model.labels == label) & (np.abs(x) < x_mm)
    held &= (y > y_mm[0]) & (y < y_mm[1]) & (z > z_mm[0]) & (z < z_mm[1])
    assert held.sum() > 5
    return light[held].mean()


def test_the_chin_shades_the_neck(model, light):
    chin = model.vertices[(model.labels == FACE)][:, 1].max()
    under = mean_where(model, light, NECK, 40, (chin - 25, chin + 12), (-80, 0))
    throat = mean_where(model, light, NECK, 60, (chin + 35, 400), (-200, 60))
    forehead = light[(model.labels == FACE) & (model.vertices[:, 1] < -5)].mean()
    assert under < 0.9 * throat < throat and under < 0.85 * forehead


def test_both_sides_get_the_same(model, light):
    mirrored = light[model.mirror]
    assert np.median(np.abs(mirrored - light)) < 0.01 and light.min() > 0


def test_some_vertices_get_what_all_get(model, light):
    some = np.array([5, 900, 2000])
    np.testing.assert_allclose(skylight(model, some), light[some], rtol=1e-4)
