"""Ears and what hangs at them lie behind their roots, whatever the fitted head has there."""

import numpy as np
import pytest

from stream.ears import behind_roots, find_ears
from stream.geometry import invert_rigid, transform_points
from stream.region import NodeGrid, Region
from stream.sight import BACKGROUND, EAR, FACE, HAIR, Sight
from tests.stream.test_hair_depth import mock_head

GRID = NodeGrid.over(Region(120, 20, 520, 420), 81)
ROOT_MM, CHEEK_MM = -4.0, -60.0
EAR_Z = np.linspace(ROOT_MM, 20, 100)
ROWS, COLUMNS = slice(96, 144), slice(60, 70)  # of an ear, in labels


def sight_of(ear_label=EAR, beside=BACKGROUND):
    """Return what is seen of an ear at the edge of a face, with `beside` all around."""
    labels = np.zeros((9, 256, 256), np.float32)
    labels[beside, :, :70], labels[FACE, :, 70:] = 1, 1
    labels[:, ROWS, COLUMNS] = 0
    labels[ear_label, ROWS, COLUMNS] = 1
    return Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32), labels)


def in_head_mm(model, sight, yaw=0.0):
    """Return (81, 81) head-space z of a flat cheek after the ears were put behind their roots."""
    head = mock_head(model, yaw)
    front = np.full((81, 81), head.camera_from_head[2, 3] + CHEEK_MM, np.float32)
    ears = find_ears(head, GRID, sight)
    depth = front if ears is None else behind_roots(front, ears, EAR_Z, head, GRID, sight)
    rays = (GRID.positions_px - head.camera[:2, 2]) / head.camera[0, 0]
    points = np.dstack([rays * depth[..., None], depth])
    return transform_points(invert_rigid(head.camera_from_head), points)[..., 2]


def at(labels_row, labels_column):
    """Return the node of a place in labels."""
    return round(labels_row / 256 * 80), round(labels_column / 256 * 80)


@pytest.mark.parametrize("yaw", [0, 20])
def test_an_ear_lies_behind_its_root_and_the_cheek_where_it_was(model, yaw):
    z = in_head_mm(model, sight_of(), yaw)
    plain = in_head_mm(model, sight_of(ear_label=FACE), yaw)
    assert z[at(120, 65)] == pytest.approx(ROOT_MM, abs=4)
    assert z[at(120, 80)] == pytest.approx(plain[at(120, 80)], abs=0.1)


def test_so_does_a_ring_that_hangs_below_but_no_hair(model):
    below = at(152, 64)
    assert in_head_mm(model, sight_of())[below] == pytest.approx(ROOT_MM, abs=4)
    plain = in_head_mm(model, sight_of(ear_label=FACE))
    hairy = in_head_mm(model, sight_of(beside=HAIR))
    assert hairy[at(170, 64)] == pytest.approx(plain[at(170, 64)], abs=0.1)
    assert in_head_mm(model, sight_of())[at(250, 64)] == pytest.approx(plain[at(250, 64)], abs=0.1)


def test_what_lies_behind_the_root_already_stays(model):
    head, sight = mock_head(model), sight_of()
    behind = np.full((81, 81), head.camera_from_head[2, 3] + 15, np.float32)
    ears = find_ears(head, GRID, sight)
    np.testing.assert_allclose(behind_roots(behind, ears, EAR_Z, head, GRID, sight), behind)


def test_ears_are_found_with_what_hangs_at_them(model):
    ears = find_ears(mock_head(model), GRID, sight_of())
    assert ears[at(120, 65)] > 0.9 and ears[at(152, 64)] > 0.9
    assert ears[at(120, 80)] < 0.1 and ears[at(250, 64)] < 0.1


def test_where_no_ear_is_seen_none_is_found(model):
    head = mock_head(model)
    assert find_ears(head, GRID, sight_of(ear_label=FACE)) is None
    unlabelled = Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32))
    assert find_ears(head, GRID, unlabelled) is None
