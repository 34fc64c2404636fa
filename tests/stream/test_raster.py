import numpy as np
import pytest

from stream.geometry import pinhole_camera
from stream.gl import create_context
from stream.raster import DepthRaster
from stream.region import NodeGrid, Region

CAMERA = pinhole_camera(100, 100)
GRID = NodeGrid(Region(0, 0, 100, 100), 21, 21)
TRIANGLES = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]])


def facing(depth_mm, side_px):
    """Three corners of a triangle around the middle of the picture, all at one depth."""
    places = np.array([[-1.0, -1.0], [1.0, -1.0], [0.0, 1.0]]) * side_px / CAMERA[0, 0]
    return np.c_[places * depth_mm, np.full(3, depth_mm)]


VERTICES = np.concatenate([facing(600, 40), facing(500, 20), facing(900, 40)]).astype(np.float32)


@pytest.fixture(scope="module")
def context():
    return create_context()


def test_the_nearest_and_the_farthest_surface_are_drawn(context):
    raster = DepthRaster(context, TRIANGLES)
    front, back = raster.draw(VERTICES, CAMERA, GRID)
    assert front[10, 10] == pytest.approx(500)
    assert back[10, 10] == pytest.approx(900)
    assert front[4, 10] == pytest.approx(600)  # beside the small one
    assert front[0, 0] == back[0, 0] == 0  # nothing is there
    np.testing.assert_array_equal(raster.front(VERTICES, CAMERA, GRID), front)
    raster.release()


def test_the_farthest_of_some_triangles_alone(context):
    raster = DepthRaster(context, TRIANGLES, TRIANGLES[:2])
    front, back = raster.draw(VERTICES, CAMERA, GRID)
    assert front[10, 10] == pytest.approx(500)
    assert back[10, 10] == pytest.approx(600)
    raster.release()


def test_what_was_drawn_before_leaves_no_trace(context):
    raster = DepthRaster(context, TRIANGLES)
    before = raster.draw(VERTICES, CAMERA, GRID)
    raster.draw(VERTICES * [1, 1, 0.5], CAMERA, GRID)
    for now, then in zip(raster.draw(VERTICES, CAMERA, GRID), before, strict=True):
        np.testing.assert_array_equal(now, then)
    raster.release()
