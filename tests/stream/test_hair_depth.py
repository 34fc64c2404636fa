from dataclasses import replace

import numpy as np
import pytest

from stream.directions import at_angle, outline_radius
from stream.fill import pull_push
from stream.following import CHIN, border_share, follow_share
from stream.frame import Head
from stream.geometry import pinhole_camera, project, rigid_transform, rotation_from_angles
from stream.gl import create_context
from stream.hair_depth import HairDepth, HairSettings
from stream.head_model import load_head_model
from stream.raster import DepthRaster
from stream.region import NodeGrid, Region

SIZE = (640, 480)


@pytest.fixture(scope="module")
def model():
    return load_head_model()


@pytest.fixture(scope="module")
def raster(model):
    return DepthRaster(create_context(), model.triangles, model.triangles_of(1, 2, 3, 4))


def mock_head(model, yaw=0.0):
    pose = rigid_transform(rotation_from_angles(yaw, 0, 0), np.array([0.0, -40.0, 700.0]))
    identity = np.zeros(len(model.identity_basis), np.float32)
    expression = np.zeros(len(model.expression_basis), np.float32)
    return Head(0, identity, expression, pose, pinhole_camera(*SIZE))


def head_disc(grid, radius_px):
    centre = project(np.array([0.0, -40.0, 700.0]), pinhole_camera(*SIZE))
    distance = np.linalg.norm(grid.positions_px - centre, axis=-1)
    return (distance < radius_px).astype(np.float32)


GRID = NodeGrid.over(Region(120, 20, 520, 480), 96)


def test_front_depth_is_that_of_the_model_where_skin_is_seen(model, raster):
    head = mock_head(model)
    depth = HairDepth(model, raster).estimate(head, np.ones((96, 83), np.float32) * 0, GRID)
    camera_points = model.points478() + head.camera_from_head[:3, 3]
    for point in (1, 4, 10, 205, 425):  # nose, forehead, cheeks
        column, row = GRID.nodes_from_frame @ np.r_[project(camera_points[point], head.camera), 1]
        seen = depth.front_mm[round(row), round(column)]
        assert seen == pytest.approx(camera_points[point, 2], abs=12)  # nodes lie 6 mm apart


def test_hair_grows_until_the_outline_of_the_person(model, raster):
    bald = HairDepth(model, raster).estimate(mock_head(model), head_disc(GRID, 10), GRID)
    full = HairDepth(model, raster).estimate(mock_head(model), head_disc(GRID, 130), GRID)
    grown = full.coverage.sum() - bald.coverage.sum()
    assert grown > 0.05 * bald.coverage.sum()
    top = np.argwhere(full.coverage > 0)[:, 0].min()
    assert GRID.region.y0 + top * GRID.step_px[1] < 125  # the disc reaches up to y = 70
    assert np.isfinite(full.front_mm).all()


def test_growth_is_bounded_and_settles(model, raster):
    settings = HairSettings(largest_growth=1.2, settle_frames=4)
    hair = HairDepth(model, raster, settings)
    first = hair.estimate(mock_head(model), head_disc(GRID, 10), GRID)
    wide = [hair.estimate(mock_head(model), head_disc(GRID, 200), GRID) for _ in range(20)]
    areas = [depth.coverage.sum() for depth in (first, *wide)]
    assert np.all(np.diff(areas) >= 0)
    assert areas[1] < areas[-1]
    jump = HairDepth(model, raster, settings).estimate(mock_head(model), head_disc(GRID, 200), GRID)
    assert areas[-1] == pytest.approx(jump.coverage.sum(), rel=0.01)


def test_face_follows_whole_and_the_collar_not_at_all(model, raster):
    head = mock_head(model)
    depth = HairDepth(model, raster).estimate(head, np.ones((96, 83), np.float32), GRID)
    nose = np.r_[project(model.points478()[1] + head.camera_from_head[:3, 3], head.camera), 1]
    column, row = GRID.nodes_from_frame @ nose
    assert depth.turn[round(row), round(column)] == 1
    assert depth.turn[-1].max() == 0
    down = depth.turn[:, round(column)]
    assert np.diff(down).max() < 0.05  # falls, without a step back up
    assert np.diff(down).min() > -0.35  # and without a tear


def test_follow_share_falls_along_the_neck_and_earlier_beside_it():
    chin, nape = np.array([0, 170.0, -50]), np.array([0, 130.0, 80])
    heights = np.array([150, 175, 200, 225, 260.0])
    throat = follow_share(np.c_[0 * heights, heights, 0 * heights - 50], chin, nape, 75)
    shoulder = follow_share(np.c_[0 * heights + 140, heights, 0 * heights - 50], chin, nape, 75)
    assert throat[0] == 1
    assert throat[-1] == 0
    assert np.all(np.diff(throat) <= 0)
    assert np.all(shoulder <= throat)
    assert shoulder[2] < throat[2]


def test_nothing_is_moved_in_over_the_lower_border(model):
    share = border_share(GRID.positions_px[..., 1], mock_head(model), model.points478()[CHIN])
    assert share[-1].max() == 0
    assert share[0].min() == 1


@pytest.mark.parametrize("below_mm", [25.0, 35.0, 80.0])
def test_a_chin_above_the_border_goes_whole(model, below_mm):
    head = mock_head(model)
    chin = model.points478()[CHIN]
    px_a_mm = head.camera[1, 1] / (chin[2] + 700)
    chin_px = project(chin + head.camera_from_head[:3, 3], head.camera)[1]
    camera = head.camera.copy()
    camera[1, 2] = chin_px - camera[1, 2] + below_mm * px_a_mm  # the frame ends so far below
    head = replace(head, camera=camera)
    chin_px = project(chin + head.camera_from_head[:3, 3], head.camera)[1]
    rows = chin_px + np.array([0.0, 6.0 * px_a_mm])
    assert border_share(rows, head, chin).min() > 0.99
    assert border_share(np.array([2 * camera[1, 2]]), head, chin) == 0


@pytest.mark.parametrize("yaw", [-50, 0, 50])
def test_a_turned_head_is_covered_too(model, raster, yaw):
    depth = HairDepth(model, raster).estimate(mock_head(model, yaw), head_disc(GRID, 120), GRID)
    assert 0.05 < depth.coverage.mean() < 0.6
    assert np.isfinite(depth.far.source_px).all()


def test_outline_radius_of_a_circle_is_its_radius():
    angle = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    radius = outline_radius(30 * np.c_[np.cos(angle), np.sin(angle)])
    np.testing.assert_allclose(radius, 30, rtol=1e-6)
    np.testing.assert_allclose(at_angle(radius, np.array([-3.1, 0.0, 2.0])), 30, rtol=1e-6)


def test_pull_push_keeps_what_is_known_and_stays_within_its_range():
    rng = np.random.default_rng(0)
    values = rng.uniform(10, 20, (37, 51)).astype(np.float32)
    known = (rng.uniform(size=values.shape) < 0.1).astype(np.float32)
    filled = pull_push(values, known)
    np.testing.assert_allclose(filled[known > 0], values[known > 0], rtol=1e-5)
    assert filled.min() >= 10 - 1e-3
    assert filled.max() <= 20 + 1e-3


def test_pull_push_continues_a_constant_and_bears_colours():
    values = np.zeros((40, 30, 3), np.float32)
    known = np.zeros((40, 30), np.float32)
    values[:5], known[:5] = (7, 8, 9), 1
    np.testing.assert_allclose(pull_push(values, known)[39, 29], (7, 8, 9), rtol=1e-5)
    assert not pull_push(values, known * 0).any()
