"""Flattening: where texels lie in a picture, what is read there, and what hides itself."""

import numpy as np
import pytest

from stream.flatten import flatten, flatten_by, sample_grid, texture_uv
from stream.geometry import pinhole_camera, project, rotation_from_angles, vertex_normals
from stream.head_model import load_head_model
from stream.swap.texture_map import label_map, texel_map

SIZE = 128


def head_at(yaw=0.0, pitch=0.0, distance=600.0):
    model = load_head_model()
    turned = model.vertices @ rotation_from_angles(yaw, pitch, 0.0).T.astype(np.float32)
    return model, turned + np.float32([0, 0, distance]), pinhole_camera(320, 240)


def ramp(height=240, width=320):
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x / 2, y / 2, np.full_like(x, 77)], axis=2).round().astype(np.uint8)


def test_texels_lie_where_their_surface_is_projected():
    model, vertices, camera = head_at(yaw=20)
    grid = sample_grid(vertices, camera, model, 256)
    uv, places = texture_uv(model), project(vertices, camera)
    cheek = np.flatnonzero((model.labels == 1) & (np.abs(model.vertices[:, 0]) < 45))[::23]
    for vertex in cheek:
        column, row = np.floor(uv[vertex] * 256).astype(int)
        around = grid.places_px[row, column]
        assert np.linalg.norm(around - places[vertex]) < 2.5  # a texel is up to 2 mm wide


def test_the_sampler_is_the_papers_bilinear_sum():
    model, vertices, camera = head_at()
    grid = sample_grid(vertices, camera, model, SIZE)
    picture = np.random.default_rng(0).integers(0, 255, (240, 320), np.uint8).astype(np.float32)
    sampled = grid.sample(picture)
    rows, columns = np.nonzero((grid.seen > 0.9) & grid.inside(320, 240))
    for row, column in zip(rows[::97], columns[::97], strict=True):
        x, y = grid.places_px[row, column] - 0.5
        across = np.maximum(0, 1 - np.abs(x - np.arange(320)))
        down = np.maximum(0, 1 - np.abs(y - np.arange(240)))
        assert sampled[row, column] == pytest.approx(down @ picture @ across, abs=4.5)
        # OpenCV rounds places to 1/32 of a pixel: at most 255 / 32 / 2 a side


def test_colours_of_a_smooth_picture_are_read_at_the_right_places():
    model, vertices, camera = head_at(yaw=-15, pitch=5)
    flat = flatten(ramp(), vertices, camera, model, SIZE)
    grid = sample_grid(vertices, camera, model, SIZE)
    seen = flat.seen > 0.9
    assert seen.mean() > 0.15
    assert np.abs(flat.colours[seen][:, :2] - grid.places_px[seen] / 2).max() < 1.0
    assert (flat.colours[seen][:, 2] == 77).all()


def test_what_faces_away_or_lies_behind_the_nose_is_hidden():
    model, vertices, camera = head_at(yaw=45)
    seen = sample_grid(vertices, camera, model, 256).seen
    texels = texel_map(model, 256)
    normal = texels.painted(vertex_normals(vertices, model.triangles))
    assert seen[normal[..., 2] > 0.3].max() == 0  # rays are not quite parallel
    at = texels.painted(model.vertices)
    beside_nose = (np.abs(at[..., 1] - model.points68()[31, 1]) < 12) & (label_map(model, 256) == 1)
    far = beside_nose & (at[..., 0] > 10) & (at[..., 0] < 30)  # yaw > 0: nose goes to the right
    near = beside_nose & (at[..., 0] < -10) & (at[..., 0] > -30)
    assert seen[near].mean() > 0.8
    assert seen[far].mean() < 0.5 * seen[near].mean()


def test_weight_falls_with_grazing_angle():
    model, vertices, camera = head_at()
    seen = sample_grid(vertices, camera, model, SIZE).seen
    at = texel_map(model, SIZE).painted(model.vertices)
    skin = label_map(model, SIZE) == 1
    middle = seen[skin & (np.abs(at[..., 0]) < 15) & (at[..., 1] < 0)].mean()
    temple = seen[skin & (np.abs(at[..., 0]) > 68)].mean()
    assert middle > 0.95 and temple < 0.4


def test_texels_off_the_picture_are_not_seen():
    model, vertices, camera = head_at()
    moved = vertices + np.float32([250, 0, 0])
    assert flatten(ramp(), vertices, camera, model, SIZE).seen.max() == 1
    grid = sample_grid(moved, camera, model, SIZE)
    flat = flatten(ramp(), moved, camera, model, SIZE)
    assert grid.seen.max() == 1
    assert flat.seen[~grid.inside(320, 240)].max() == 0


def test_a_finer_picture_is_averaged():
    model, vertices, camera = head_at(distance=500)
    camera = pinhole_camera(1600, 1200)
    checks = np.indices((1200, 1600)).sum(axis=0) % 2 * 255
    picture = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    flat = flatten(picture, vertices, camera, model, 64)
    assert np.abs(flat.colours[flat.seen > 0.9] - 127.5).max() < 20


def test_a_grid_serves_several_pictures():
    model, vertices, camera = head_at(yaw=10)
    grid = sample_grid(vertices, camera, model, SIZE)
    for picture in (ramp(), 255 - ramp()):
        whole, by_grid = flatten(picture, vertices, camera, model, SIZE), flatten_by(grid, picture)
        assert np.array_equal(whole.colours, by_grid.colours)
        assert np.array_equal(whole.seen, by_grid.seen)


def test_other_vertices_and_heads_behind_the_camera_are_refused():
    model, vertices, camera = head_at()
    with pytest.raises(ValueError, match="not"):
        sample_grid(vertices[:-1], camera, model, SIZE)
    with pytest.raises(ValueError, match="behind"):
        sample_grid(vertices - [0, 0, 700], camera, model, SIZE)


def test_normals_point_outwards():
    model = load_head_model()
    normals = vertex_normals(model.vertices, model.triangles)
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-4)
    nose = np.argmin(np.where(model.labels == 1, model.vertices[:, 2], np.inf))
    assert normals[nose, 2] < -0.8
