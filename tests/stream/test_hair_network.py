import numpy as np
import pytest

from stream.geometry import transform_points
from stream.gl import create_context
from stream.hair_network import UNIT_MM, HairNetwork, HairNetworkSettings
from stream.head_model import load_head_model
from stream.raster import DepthRaster
from stream.region import NodeGrid, Region
from stream.sight import BODY, Sight
from tests.stream.later import Later
from tests.stream.test_hair_depth import mock_head

GRID = NodeGrid.over(Region(120, 20, 520, 480), 64)
FRONT = np.full((GRID.rows, GRID.columns), 700.0, np.float32)
EVERYWHERE = np.ones_like(FRONT)
CENTRE_MM = 700.0  # of the head's centre


class Depths:
    """Stands for the engine: the same depth everywhere; keeps what it was given."""

    def __init__(self, depth_mm):
        self.depth_mm, self.given = depth_mm, None

    def __call__(self, picture, face_depth):
        self.given = face_depth
        units = (self.depth_mm - CENTRE_MM) / UNIT_MM
        return {"depth": np.full((1, 1, 256, 256), units, np.float32)}


@pytest.fixture(scope="module")
def model():
    return load_head_model()


@pytest.fixture(scope="module")
def raster(model):
    return DepthRaster(create_context(), model.triangles)


def sight(labels=None):
    return Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32), labels)


def look(network, model, matte=EVERYWHERE, seen=None):
    head = mock_head(model)
    shape = model.shape(head.identity, head.expression)
    vertices = transform_points(head.camera_from_head, shape)
    return network.improved(FRONT, head, vertices, GRID, seen or sight(), matte)


def test_the_depth_tends_to_what_the_network_says(model, raster):
    network = HairNetwork(Depths(670.0), raster)
    assert look(network, model)[20, 20] == pytest.approx(670, abs=0.1)
    network._engine.depth_mm = 690.0
    depths = [look(network, model)[20, 20] for _ in range(40)]
    assert np.all(np.diff(depths) >= 0)
    assert depths[0] < 680  # one look does not shake the picture
    assert depths[-1] == pytest.approx(690, abs=0.1)
    network.reset()
    assert look(network, model)[20, 20] == pytest.approx(690, abs=0.1)


def test_a_wild_answer_is_bounded(model, raster):
    network = HairNetwork(Depths(100.0), raster, HairNetworkSettings(largest_mm=25))
    assert look(network, model).min() == pytest.approx(675, abs=0.1)


def test_steps_of_the_fitted_outline_are_smoothed_within_hair_but_not_at_its_own(model, raster):
    network = HairNetwork(Depths(700.0), raster)
    steps = FRONT + np.where(np.arange(GRID.rows)[:, None] % 4 < 2, 6.0, -6.0).astype(np.float32)
    matte = np.zeros_like(FRONT)
    matte[10:50, 10:50] = 1.0
    head = mock_head(model)
    vertices = transform_points(head.camera_from_head, model.shape(head.identity, head.expression))
    for _ in range(2):  # the second look brings other steps than those that are known
        found = network.improved(steps, head, vertices, GRID, sight(), matte)
        steps = np.roll(steps, 2, axis=0)
    step = np.abs(np.diff(found, axis=0))
    assert step[18:42, 18:42].max() < 0.5 * step[10:12, 18:42].max()


def test_nothing_changes_beside_the_person_or_on_clothes(model, raster):
    matte = EVERYWHERE.copy()
    matte[:, :30] = 0
    labels = np.zeros((9, 256, 256), np.float32)
    labels[BODY, 180:] = 1
    found = look(HairNetwork(Depths(660.0), raster), model, matte, sight(labels))
    assert found[10, 10] == pytest.approx(700)
    assert found[-5, -5] == pytest.approx(700)
    assert found[10, -5] == pytest.approx(660, abs=0.5)


def test_the_network_is_told_the_depth_of_the_fitted_head(model, raster):
    engine = Depths(700.0)
    look(HairNetwork(engine, raster), model)
    depth, there = engine.given[0]
    assert there.max() == 1
    assert there.min() == 0
    inside = depth[there > 0] * UNIT_MM
    assert -130 < inside.min() < -110  # the nose lies about 120 mm before the head's centre
    assert (depth[there == 0] == 0).all()


def test_once_it_has_settled_the_network_is_asked_less_often(model, raster):
    engine = Depths(670.0)
    asked = []
    network = HairNetwork(lambda **given: asked.append(1) or engine(**given), raster)
    for _ in range(3):
        look(network, model)
    assert len(asked) == 3
    for _ in range(10):
        look(network, model)
    assert len(asked) == 8


def test_beside_the_path_an_answer_counts_from_the_next_look_on(model, raster):
    engine, other = Depths(670.0), Depths(670.0)
    beside, at_once = HairNetwork(engine, raster, beside=Later()), HairNetwork(other, raster)
    late, soon = [look(beside, model)], [look(at_once, model)]
    engine.depth_mm = other.depth_mm = 690.0
    for _ in range(10):
        late.append(look(beside, model))
        soon.append(look(at_once, model))
    np.testing.assert_array_equal(late[0], soon[0])  # nothing was known before
    assert soon[1][20, 20] > soon[0][20, 20] + 5
    np.testing.assert_array_equal(late[1:], soon[:-1])
