"""The run time of `face_depth` with engines whose answer is known."""

import numpy as np
import pytest

from stream.frame import Face, Head
from stream.geometry import (
    pinhole_camera,
    project,
    rigid_transform,
    rotation_from_angles,
    transform_points,
)
from stream.reconstruct.face_depth import (
    GAIN,
    NOSE_TIP,
    OFFSET,
    SIZE,
    FaceDepth,
    along_ray,
    denormalised,
    depth_crop,
    model_depth,
    normalised,
    unit_ray,
)
from stream.region import NodeGrid, Region

WIDTH, HEIGHT = 320, 240


def head_and_face(model, aside=0.0):
    camera = pinhole_camera(WIDTH, HEIGHT)
    pose = rigid_transform(rotation_from_angles(15, -5, 3), np.array([aside, 5.0, 700.0]))
    zeros = np.zeros(80, np.float32), np.zeros(52, np.float32)
    head = Head(0, *zeros, pose, camera)
    points = transform_points(pose, model.points478().astype(np.float64))
    pixels = np.column_stack([project(points, camera), np.zeros(478)])
    return head, Face(0, pixels.astype(np.float32))


class Engine:
    """Answers with the fitted depth and an offset, and keeps what it was given."""

    def __init__(self, offset=0.0):
        self.offset, self.given = offset, {}

    def __call__(self, **arrays):
        self.given = arrays
        fitted, there = arrays["face_depth"][:, :1], arrays["face_depth"][:, 1:]
        return {"depth": fitted + self.offset * there}


def pixels():
    return np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def grid_of(face):
    low = face.points_px[:, :2].min(axis=0).astype(int) - 20
    high = face.points_px[:, :2].max(axis=0).astype(int) + 20
    return NodeGrid.over(Region(*low.tolist(), *high.tolist()).clipped(WIDTH, HEIGHT), 64)


def test_normalised_depth_counts_from_the_nose_in_crop_sides():
    assert normalised(np.array(500.0), 500.0, 300.0, 90.0) == OFFSET
    behind = 500.0 + 0.5 * 500.0 * 90.0 / 300.0  # half a side of the crop
    assert normalised(np.array(behind), 500.0, 300.0, 90.0) == pytest.approx(OFFSET + GAIN / 2)
    depth = np.linspace(400, 700, 7)
    back = denormalised(normalised(depth, 500.0, 300.0, 90.0), 500.0, 300.0, 90.0)
    np.testing.assert_allclose(back, depth)


def test_depth_along_the_ray_is_that_of_a_camera_turned_there(model):
    head, face = head_and_face(model, aside=120.0)
    crop = depth_crop(face.points_px)
    ray = unit_ray(crop, head.camera)
    assert ray[0] > 0.1
    factors = along_ray(crop, head.camera)
    # The pixel under a point tells the factor between its two depths.
    point = transform_points(head.camera_from_head, model.points478()[NOSE_TIP])
    place = (project(point[None], head.camera)[0] - [crop.x, crop.y]) / crop.side + 0.5
    column, row = (place * SIZE).astype(int)
    assert factors[row, column] == pytest.approx(float(point @ ray) / point[2], rel=3e-3)
    assert factors[SIZE // 2, SIZE // 2] == pytest.approx(1 / ray[2], rel=1e-2)


def test_the_network_sees_the_face_and_the_fit_from_its_nose(model, raster):
    head, face = head_and_face(model)
    engine = Engine()
    FaceDepth(engine, raster, model).refined(pixels(), face, head, grid_of(face))
    assert engine.given["picture"].shape == (1, 3, SIZE, SIZE)
    fitted, there = engine.given["face_depth"][0]
    assert set(np.unique(there)) == {0, 1}
    assert (fitted[there == 0] == 0).all()
    assert fitted.max() == pytest.approx(OFFSET, abs=0.06)  # nothing is far before the nose
    assert 0.3 < there.mean() < 0.95


def test_an_engine_that_changes_nothing_gives_the_fit_back(model, raster):
    head, face = head_and_face(model, aside=60.0)
    grid = grid_of(face)
    found = FaceDepth(Engine(), raster, model).refined(pixels(), face, head, grid)
    placed = transform_points(head.camera_from_head, model.shape())
    wanted = raster.draw(placed, head.camera, grid)[0]
    both = np.isfinite(found) & (wanted > 0)
    assert both.mean() > 0.4
    assert np.median(np.abs(found - wanted)[both]) < 1.0  # mm; the crop is resampled
    assert np.isnan(found[wanted == 0]).mean() > 0.9


def test_what_the_engine_adds_moves_the_face_and_fades_at_its_border(model, raster):
    head, face = head_and_face(model)
    crop, step = depth_crop(face.points_px), 0.03
    grid = grid_of(face)
    plain = FaceDepth(Engine(), raster, model).refined(pixels(), face, head, grid)
    moved = FaceDepth(Engine(step), raster, model).refined(pixels(), face, head, grid)
    side_mm = crop.side * 600 / head.camera[0, 0]
    change = (moved - plain)[np.isfinite(plain) & np.isfinite(moved)]
    assert np.median(change) == pytest.approx(step / GAIN * side_mm, rel=0.1)
    assert change.max() <= 0.5  # nearer everywhere, at the border not at all
    assert (np.abs(change) < 0.3 * np.abs(np.median(change))).any()


def test_the_crop_draws_the_head_where_the_frame_has_it(model, raster):
    head, face = head_and_face(model)
    crop = depth_crop(face.points_px)
    placed = transform_points(head.camera_from_head, model.shape())
    drawn = model_depth(raster, placed, head.camera, crop)
    tip = transform_points(head.camera_from_head, model.points478()[NOSE_TIP])
    place = (project(tip[None], head.camera)[0] - [crop.x, crop.y]) / crop.side + 0.5
    column, row = (place * SIZE).astype(int)
    assert drawn[row, column] == pytest.approx(tip[2], abs=2.0)
