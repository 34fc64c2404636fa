import numpy as np
import pytest

from stream.geometry import invert_rigid, project, transform_points, vertex_normals
from stream.hanging_hair import HairPatch, hanging_hair
from stream.region import Region
from stream.sight import FACE, HAIR, Sight
from tests.stream.test_hair_depth import mock_head

REGION = Region(120, 20, 520, 480)
PERSON = np.ones((64, 64), np.float32)  # all of the region
JOINT_MM = np.array([0.0, 103.0, 43.0])


def sight_of(hair):
    labels = np.zeros((9, 256, 256), np.float32)
    labels[HAIR], labels[FACE] = hair, ~hair
    return Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32), labels)


def beside_the_neck(head, inner_mm, outer_mm, lowest_mm=220.0):
    """Return (256, 256) bool, a curtain of hair on each side of a head, as its region sees it."""
    x, y = np.meshgrid(*((np.arange(256) + 0.5) / 256 * side for side in REGION_SIZE))
    at = project(head.camera_from_head[:3, 3], head.camera)
    scale = head.camera_from_head[2, 3] / head.camera[0, 0]
    right, down = (x + REGION.x0 - at[0]) * scale, (y + REGION.y0 - at[1]) * scale
    return (np.abs(right) > inner_mm) & (np.abs(right) < outer_mm) & (down < lowest_mm)


REGION_SIZE = (REGION.width, REGION.height)


def tube_of(model, hair, yaw=0.0, matte=PERSON):
    return hanging_hair(mock_head(model, yaw), JOINT_MM, sight_of(hair), matte, REGION)


@pytest.fixture(scope="module")
def curtains(model):
    return beside_the_neck(mock_head(model), 60, 100)


def test_short_hair_and_none_hang_nowhere(model, curtains):
    assert tube_of(model, beside_the_neck(mock_head(model), 60, 100, lowest_mm=50)) is None
    assert tube_of(model, np.zeros_like(curtains)) is None
    unlabelled = Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32))
    assert hanging_hair(mock_head(model), JOINT_MM, unlabelled, PERSON, REGION) is None


def test_the_tube_is_as_wide_as_the_hair_and_goes_around_the_back(model, curtains):
    head, tube = mock_head(model), tube_of(model, curtains)
    inside = transform_points(invert_rigid(head.camera_from_head), tube.points)
    assert np.abs(inside[:, 0]).max() == pytest.approx(100, abs=8)
    assert inside[:, 2].max() == pytest.approx(95, abs=5)
    assert inside[:, 2].min() < -20  # it begins before the neck
    assert np.abs(inside[inside[:, 2] < -20, 0]).min() > 50  # and leaves the face alone


def test_single_hairs_that_stand_off_make_the_tube_no_wider(model, curtains):
    head = mock_head(model)
    matte = np.float32(~beside_the_neck(head, 85, 500, lowest_mm=500))
    tube = tube_of(model, curtains, matte=matte)
    inside = transform_points(invert_rigid(head.camera_from_head), tube.points)
    assert np.abs(inside[:, 0]).max() == pytest.approx(85, abs=8)


def test_a_strand_before_the_room_makes_the_tube_no_wider(model, curtains):
    strand = beside_the_neck(mock_head(model), 112, 117)
    tube = tube_of(model, curtains | strand)
    np.testing.assert_allclose(tube.points, tube_of(model, curtains).points, atol=4)


def test_turned_it_stays_nearly_as_wide(model, curtains):
    tube = tube_of(model, curtains)
    offset = tube.points - mock_head(model).camera_from_head[:3, 3]
    width = [
        np.ptp(offset[:, 0] * np.cos(angle) + offset[:, 2] * np.sin(angle))
        for angle in np.radians([0, 15, 30])
    ]
    assert min(width) > 0.9 * width[0]


def test_its_colours_are_those_of_hair(model, curtains):
    tube = tube_of(model, curtains)
    scale = np.array([256, 256]) / REGION_SIZE
    column, row = ((tube.source_px - REGION[:2]) * scale).astype(int).T
    shown = tube.opacity > 0.5
    assert shown.sum() > 30
    assert curtains[row[shown], column[shown]].all()


def test_its_normals_point_outwards(model, curtains):
    tube = tube_of(model, curtains)
    normals = vertex_normals(tube.points, tube.outside)
    out = tube.points - mock_head(model).camera_from_head[:3, 3]
    out[:, 1] = 0
    used = np.unique(tube.outside)
    assert ((out * normals).sum(axis=1)[used] > 0).mean() > 0.95


def test_a_side_without_hair_borrows_it_at_the_back_alone(model, curtains):
    left = curtains.copy()
    left[:, 128:] = False
    tube = tube_of(model, left)
    offset = tube.points[:, 0] - mock_head(model).camera_from_head[0, 3]
    shown = tube.opacity > 0.5
    assert offset[shown].min() == pytest.approx(-100, abs=8)
    assert 10 < offset[shown].max() < 70


def test_patches_join():
    one = HairPatch(np.zeros((3, 3)), np.zeros((3, 2)), np.ones(3), np.array([[0, 1, 2]]))
    both = one.joined(one)
    np.testing.assert_array_equal(both.outside, [[0, 1, 2], [3, 4, 5]])
    assert len(both.points) == len(both.source_px) == len(both.opacity) == 6
