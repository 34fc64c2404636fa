"""Teeth lie close behind the lips, on a sheet without folds."""

import numpy as np
import pytest

from stream.geometry import project, transform_points
from stream.gl import create_context
from stream.head_model import load_head_model
from stream.mouth import INNER_LIPS, with_teeth
from stream.raster import DepthRaster
from stream.region import NodeGrid, Region

GRID = NodeGrid.over(Region(0, 0, 400, 400), 100)
FACE_MM, CAVITY_MM = 500.0, 540.0


def mouth(half_height_px):
    """Points of an oval mouth in the middle; the other points lie in the corner."""
    points = np.zeros((478, 2))
    angle = np.linspace(-np.pi, np.pi, len(INNER_LIPS), endpoint=False)
    oval = np.stack([60 * np.cos(angle), half_height_px * np.sin(angle)], axis=1)
    points[INNER_LIPS] = oval + 200.0
    return points


def face_with_cavity(points, slope=0.0):
    x, y = np.moveaxis(GRID.positions_px, -1, 0)
    half = np.ptp(points[INNER_LIPS, 1]) / 2
    inside = ((x - 200) / 60) ** 2 + ((y - 200) / max(half, 1e-6)) ** 2 < 1
    return np.where(inside, CAVITY_MM, FACE_MM + slope * (x - 200)).astype(np.float32), inside


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_an_open_mouth_is_closed_by_a_sheet_a_little_behind_the_lips(slope):
    points = mouth(30)
    front, inside = face_with_cavity(points, slope)
    found = with_teeth(front, points, GRID)
    lips = FACE_MM + slope * (GRID.positions_px[..., 0] - 200)
    behind = found[inside] - lips[inside]
    assert behind.min() > -1.5
    assert 1 < np.median(behind) < 6
    assert behind.max() < 8
    steps = np.abs(np.diff(found, axis=0)).max(), np.abs(np.diff(found, axis=1)).max()
    assert max(steps) < 4  # the cavity's edge was a step of 40
    away = np.hypot(*(GRID.positions_px - 200).T).T > 90
    np.testing.assert_array_equal(found[away], front[away])


def test_a_mouth_beyond_the_grid_or_a_face_that_is_not_drawn_changes_nothing():
    front = np.full((GRID.rows, GRID.columns), FACE_MM, np.float32)
    np.testing.assert_array_equal(with_teeth(front, mouth(30) + 5000, GRID), front)
    nothing = np.zeros_like(front)
    np.testing.assert_array_equal(with_teeth(nothing, mouth(30), GRID), nothing)


def test_the_models_own_mouth_is_a_cavity_no_more():
    model = load_head_model()
    units = np.zeros(len(model.expression_names), np.float32)
    units[model.expression_names.index("jawOpen")] = 0.5
    pose, camera = np.eye(4), np.array([[480.0, 0, 200], [0, 480, 200], [0, 0, 1]])
    pose[2, 3] = 600
    points = project(transform_points(pose, model.points478(None, units)), camera)
    raster = DepthRaster(create_context(), model.triangles)
    vertices = transform_points(pose, model.shape(np.zeros(80, np.float32), units))
    drawn = raster.front(vertices.astype(np.float32), camera, GRID)
    closed = with_teeth(drawn, points, GRID)
    x, y = np.moveaxis(GRID.positions_px, -1, 0)
    upper, lower = points[13, 1], points[14, 1]
    between = (np.abs(x - points[13, 0]) < 10) & (y > upper + 2) & (y < lower - 2)
    lips_mm = transform_points(pose, model.points478(None, units))[[13, 14], 2].mean()
    assert drawn[between].max() > lips_mm + 20
    assert closed[between].max() < lips_mm + 12
