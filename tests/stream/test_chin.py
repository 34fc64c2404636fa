"""The lower edge of a chin that hangs below the fitted one."""

import numpy as np
import pytest

from stream.chin import ChinEdge, with_chin
from stream.following import CHIN
from stream.geometry import project, transform_points
from stream.hair_depth import HairDepth
from stream.head_model import load_head_model
from stream.sight import BACKGROUND, FACE, HAIR, NECK, Sight
from tests.stream.test_hair_depth import GRID, SIZE, mock_head, raster  # noqa: F401  a fixture

PX_A_MM = 1.2 * max(SIZE) / 700


@pytest.fixture(scope="module")
def model():
    return load_head_model()


def seen(model, below_mm, under=NECK):
    """Return a head, its chin in head space, and a sight in which its face ends so far below."""
    head = mock_head(model)
    chin = model.points478(head.identity, head.expression)[CHIN]
    edge = chin + np.array([0.0, below_mm, 0.0])
    y = project(transform_points(head.camera_from_head, edge), head.camera)[1]
    row = (y - GRID.region.y0) / GRID.region.height * 256
    labels = np.zeros((9, 256, 256), np.float32)
    above = (np.arange(256) + 0.5)[:, None] < row
    labels[FACE], labels[under] = above, ~above
    return head, chin, Sight(np.zeros((256, 256, 3), np.uint8), 1 - labels[BACKGROUND], labels)


@pytest.mark.parametrize("below_mm", [8.0, 15.0])
def test_a_chin_below_the_fitted_one_is_seen(model, below_mm):
    head, chin, sight = seen(model, below_mm)
    drop = ChinEdge().look(head, chin, sight, GRID)
    assert drop == pytest.approx(below_mm - 2, abs=2)


@pytest.mark.parametrize(("below_mm", "under"), [(1.0, NECK), (-5.0, NECK), (12.0, HAIR)])
def test_a_chin_in_its_usual_place_and_a_beard_are_left_alone(model, below_mm, under):
    head, chin, sight = seen(model, below_mm, under)
    assert ChinEdge().look(head, chin, sight, GRID) == 0


def test_without_labels_nothing_is_seen(model):
    head, chin, sight = seen(model, 12.0)
    unlabelled = Sight(sight.square, sight.person)
    assert ChinEdge().look(head, chin, None, GRID) == 0
    assert ChinEdge().look(head, chin, unlabelled, GRID) == 0


def test_the_edge_settles_over_some_looks(model):
    edge, (head, chin, low) = ChinEdge(), seen(model, 15.0)
    high = seen(model, 1.0)[2]
    edge.look(head, chin, high, GRID)
    drops = [edge.look(head, chin, low, GRID) for _ in range(30)]
    assert np.all(np.diff(drops) >= 0)
    assert np.diff([0.0, *drops]).max() < 8
    assert drops[-1] == pytest.approx(13, abs=2)
    assert edge.look(head, chin, None, GRID) == drops[-1]  # hidden, it stays where it was


def test_depth_is_drawn_out_from_lip_to_chin(model):
    head = mock_head(model)
    points = model.points478(head.identity, head.expression)
    points_px = project(transform_points(head.camera_from_head, points), head.camera)
    column = GRID.columns // 2
    rows = GRID.positions_px[..., 1].copy()  # each depth tells its row
    drop_px = 10.0 * PX_A_MM
    drawn = with_chin(rows, points_px, 10.0, head, GRID)[:, column]
    lip_y, chin_y = points_px[17, 1], points_px[CHIN, 1]
    y = GRID.positions_px[:, column, 1]
    np.testing.assert_allclose(drawn[y < lip_y], y[y < lip_y], atol=0.01)
    below = (y > chin_y + drop_px) & (y < y[-1])
    np.testing.assert_allclose(drawn[below], y[below] - drop_px, atol=0.1)
    assert np.diff(drawn).min() > 0
    assert with_chin(rows, points_px, 0.0, head, GRID) is rows


def test_what_hangs_below_the_fitted_chin_turns_with_the_head(model, raster):  # noqa: F811
    head, chin, low = seen(model, 14.0)
    usual = seen(model, 1.0)[2]
    edge = chin + np.array([0.0, 11.0, 0.0])
    at = project(transform_points(head.camera_from_head, edge), head.camera)
    column, row = np.rint(GRID.nodes_from_frame @ np.r_[at, 1]).astype(int)
    matte = np.ones((GRID.rows, GRID.columns), np.float32)
    dropped, left = (
        HairDepth(model, raster).estimate(head, matte, GRID, sight) for sight in (low, usual)
    )
    assert dropped.turn[row, column] > 0.9
    assert left.turn[row, column] < 0.85
    assert left.front_mm[row, column] > dropped.front_mm[row, column] + 10
