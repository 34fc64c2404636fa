import numpy as np
import pytest

from stream.directions import ANGLES, middles
from stream.far_side import Strip, folded_over
from stream.geometry import project
from stream.hair_depth import HairDepth
from stream.region import NodeGrid, Region
from stream.sight import FACE, HAIR, Sight
from tests.stream.test_hair_depth import GRID, head_disc, mock_head


def strip(there=True, rim=100.0, width=30.0):
    return Strip(np.full(ANGLES, rim), np.full(ANGLES, width), np.full(ANGLES, there))


def sight_of(hair):
    """Hair where it is said, face elsewhere; (256, 256) bool over the region of the nodes."""
    labels = np.zeros((9, 256, 256), np.float32)
    labels[HAIR], labels[FACE] = hair, ~hair
    return Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32), labels)


def far_of(model, raster, yaw=0.0, sight=None, radius_px=120):
    head = mock_head(model, yaw)
    return HairDepth(model, raster).estimate(head, head_disc(GRID, radius_px), GRID, sight).far


@pytest.mark.parametrize("yaw", [-40, 0, 40])
def test_it_closes_the_head_behind_and_stays_within_its_outline(model, raster, yaw):
    far = far_of(model, raster, yaw)
    seen = far.opacity[0] > 0.5
    middle_mm = mock_head(model).camera_from_head[2, 3]
    assert (far.depth_mm[0, seen] > middle_mm + 60).sum() > 40  # a back of the head
    assert (far.depth_mm[0, seen] < middle_mm).sum() > 40  # and what joins it to the near side
    off = far.places_px[0, seen] - project(np.array([0.0, -40.0, 700.0]), mock_head(model).camera)
    assert np.linalg.norm(off, axis=1).max() < 122


def test_its_normals_point_outwards(model, raster):
    far = far_of(model, raster)
    camera = mock_head(model).camera
    rays = (far.places_px[0] - camera[:2, 2]) / camera[0, 0]
    points = np.c_[rays, np.ones(len(rays))] * far.depth_mm[0, :, None]
    out = points - mock_head(model).camera_from_head[:3, 3]
    cosine = (out * far.normals[0]).sum(axis=1) / np.linalg.norm(out, axis=1)
    assert np.median(cosine) > 0.8
    assert (cosine > 0).mean() > 0.97


def test_it_goes_along_with_its_grid(model, raster):
    far = far_of(model, raster)
    region = GRID.region
    moved = NodeGrid(Region(*(side + 10 for side in region)), GRID.columns, GRID.rows)
    carried = far.carried(GRID, moved, 5.0)
    np.testing.assert_allclose(carried.places_px, far.places_px + 10, atol=1e-3)
    np.testing.assert_allclose(carried.source_px, far.source_px + 10, atol=1e-3)
    np.testing.assert_allclose(carried.depth_mm, far.depth_mm + 5, atol=1e-3)


def test_colours_come_from_the_strip_of_their_direction():
    angle = middles()[::5]
    rays = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    behind = np.repeat(np.linspace(1.5, 0, 12), len(rays))
    places = 100 * np.cos(behind)[:, None] * np.tile(rays, (12, 1))
    source = folded_over(places, behind, strip())
    radius = np.linalg.norm(source, axis=1)
    assert radius.min() > 0.9 * 70
    assert radius.max() < 96
    cosine = (source * places).sum(axis=1) / radius / np.linalg.norm(places, axis=1)
    assert cosine.min() > 0.999


def test_at_the_outline_it_goes_on_where_the_near_side_ends_and_is_folded_in():
    places = np.array([[100.0, 0.0], [97.0, 0.0], [80.0, 0.0]])
    inwards = 100 - folded_over(places, np.array([0.0, 0.25, 0.65]), strip())[:, 0]
    assert inwards[0] < 6
    assert (np.diff(inwards) > 0).all()


def test_hair_that_grows_unevenly_gets_no_contours():
    behind, angle = np.linspace(0, 1.5, 40), 0.3
    ray = np.array([[np.cos(angle), np.sin(angle)]])
    even = 100 * np.cos(behind)[:, None] * ray
    uneven = even * np.random.default_rng(0).uniform(0.9, 1.1, (40, 1))
    sides = [folded_over(places, behind, strip()) for places in (even, uneven)]
    np.testing.assert_allclose(*sides, atol=1e-6)


def test_before_the_outline_colours_are_no_radial_streaks(model, raster):
    far = far_of(model, raster)
    centre = project(np.array([0.0, -40.0, 700.0]), mock_head(model).camera)
    towards = (far.normals[0, :, 2] < -0.4) & (far.opacity[0] > 0.5)  # the viewer
    off = far.source_px[0, towards] - centre
    angle, radius = np.arctan2(off[:, 1], off[:, 0]), np.linalg.norm(off, axis=1)
    crown = np.abs(angle + np.pi / 2) < 0.2
    assert crown.sum() > 20
    assert np.ptp(radius[crown]) > 8


def test_bare_directions_borrow_the_hair_next_to_them():
    hairy = np.sin(middles()) < -0.3  # the upper part
    one_sided = Strip(np.full(ANGLES, 100.0), np.full(ANGLES, 30.0), hairy)
    places = 90 * np.stack([np.cos(middles()), np.sin(middles())], axis=-1)
    source = folded_over(places, np.full(ANGLES, 0.45), one_sided)
    height = source[:, 1] / np.linalg.norm(source, axis=1)
    calm = np.abs(places[:, 0]) > 10  # straight below, left and right meet
    assert height[calm].max() < -0.2


def test_hair_that_is_seen_gives_the_colours(model, raster):
    rows = (np.arange(256) + 0.5)[:, None] / 256 * GRID.region.height + GRID.region.y0
    crown_px = 125.0
    hair = np.broadcast_to(rows < crown_px, (256, 256))
    far, unlabelled = far_of(model, raster, sight=sight_of(hair)), far_of(model, raster)
    drawn = far.opacity[0] > 0
    assert far.source_px[0, drawn, 1].max() < crown_px + 6
    assert unlabelled.source_px[0, drawn, 1].max() > crown_px + 6


def test_shorn_hair_gives_them_though_labels_take_it_for_half_skin(model, raster):
    centre = project(np.array([0.0, -40.0, 700.0]), mock_head(model).camera)
    scale = np.array([GRID.region.width, GRID.region.height]) / 256
    places = (np.stack(np.meshgrid(*[np.arange(256) + 0.5] * 2), axis=-1)) * scale
    off = places + np.array(GRID.region[:2]) - centre
    radius = np.linalg.norm(off, axis=-1)
    moustache = (np.abs(off[..., 0]) < 30) & (np.abs(off[..., 1] - 50) < 8)
    sight = sight_of(moustache)
    shorn = (radius > 100) & (off[..., 1] < 20)
    sight.labels[HAIR][shorn] = sight.labels[FACE][shorn] = 0.5
    far = far_of(model, raster, sight=sight)
    source = far.source_px[0, far.opacity[0] > 0] - centre
    assert np.linalg.norm(source, axis=1).min() > 90
    assert source[:, 1].max() < 30


def test_without_any_hair_the_scalp_gives_them(model, raster):
    bald = far_of(model, raster, sight=sight_of(np.zeros((256, 256), bool)))
    np.testing.assert_allclose(bald.source_px, far_of(model, raster).source_px)
