"""A photo's ears are whole down to their roots, and the cheek goes back to them gently."""

import numpy as np
import pytest

from stream.ears import behind_roots, find_ears
from stream.far_side import FarSurface
from stream.hair_depth import HeadDepth
from stream.puppet.whole_ears import with_whole_ears
from stream.region import node_mm
from stream.sight import FACE
from tests.stream.test_ears import CHEEK_MM, COLUMNS, GRID, at, sight_of
from tests.stream.test_hair_depth import mock_head

ROW = at(120, 0)[0]


def found(model, sight, yaw=0.0):
    """Return the depth of a flat cheek at what is seen as an ear, and the same made whole."""
    head = mock_head(model, yaw)
    front = np.full((81, 81), head.camera_from_head[2, 3] + CHEEK_MM, np.float32)
    ears = find_ears(head, GRID, sight)
    if ears is not None:
        z = model.shape(head.identity, head.expression)[model.labels == 3, 2]
        front = behind_roots(front, ears, z, head, GRID, sight)
    ones = np.ones_like(front)
    none = np.zeros((1, 0), np.float32)
    far = FarSurface(*[none] * 6, np.zeros((0, 3), np.int32))
    depth = HeadDepth(GRID, front, ones, ones, far, ears=ears)
    return depth, with_whole_ears(depth, model, head, sight), node_mm(depth.grid, head)


def test_an_ear_goes_on_beside_its_label(model):
    labelled, whole, of_mm = found(model, sight_of())
    end = at(0, COLUMNS.stop)[1]
    beside = end + round(3.0 / of_mm)
    cheek_mm = whole.front_mm[ROW, -1]
    root_mm = labelled.front_mm[ROW, at(0, 65)[1]] - cheek_mm
    assert root_mm > 20
    assert whole.front_mm[ROW, beside] - cheek_mm > 0.7 * root_mm
    assert labelled.front_mm[ROW, beside] - cheek_mm < 0.5 * root_mm
    assert (whole.front_mm >= labelled.front_mm - 1e-3).all()


def test_the_cheek_goes_back_to_it_gently_and_stays_where_it_was(model):
    labelled, whole, of_mm = found(model, sight_of())
    steps = [np.abs(np.diff(depth.front_mm[ROW])) for depth in (labelled, whole)]
    assert steps[1].max() < 0.6 * steps[0].max()
    far = at(0, COLUMNS.stop)[1] + round(25.0 / of_mm)
    assert whole.front_mm[ROW, far:] == pytest.approx(labelled.front_mm[ROW, far:], abs=0.5)


def test_without_an_ear_nothing_changes(model):
    labelled, whole, _ = found(model, sight_of(ear_label=FACE))
    assert whole is labelled


def test_a_photo_that_is_turned_shows_where_its_ear_begins(model):
    labelled, whole, _ = found(model, sight_of(), 15.0)
    assert whole is labelled
