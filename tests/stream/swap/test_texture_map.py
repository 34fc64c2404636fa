"""The texture map: symmetric, without folds, and undone exactly."""

from dataclasses import replace

import numpy as np

from stream.head_model import load_head_model
from stream.swap.texture_map import island_map, islands_of, label_map, texel_map, texture_uv


def doubled_areas(uv, triangles):
    a, b, c = (uv[triangles[:, corner]].astype(np.float64) for corner in range(3))
    return np.cross(b - a, c - a)


def test_the_map_is_symmetric_and_lies_in_the_square():
    model = load_head_model()
    uv = texture_uv(model)
    assert uv.shape == (len(model.vertices), 2) and uv.min() >= 0 and uv.max() <= 1
    assert np.abs(uv[model.mirror] - (uv * [-1, 1] + [1, 0])).max() < 1e-6


def test_no_triangle_folds_and_islands_do_not_overlap():
    model = load_head_model()
    uv = texture_uv(model)
    assert (doubled_areas(uv, model.triangles) < 0).all()  # all alike: v grows downward
    # Without overlaps, what is covered has the area of all triangles together.
    texels = texel_map(model, 1024)
    area = -doubled_areas(uv, model.triangles).sum() / 2
    assert texels.covered.mean() < 1.03 * area + 0.01  # borders reach half a texel over
    assert texels.covered.mean() > 0.99 * area


def test_eyes_and_lips_have_more_room_than_in_the_models_map():
    model = load_head_model()
    corners = model.vertices[model.triangles]
    size = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    middle = corners.mean(axis=1)
    points = model.points68()
    skin = (model.labels[model.triangles] == 1).all(axis=1)
    for part in (slice(36, 42), slice(42, 48), slice(48, 60)):
        near = skin & (np.linalg.norm(middle[:, None] - points[part], axis=2).min(axis=1) < 8)
        own, tutte = (
            np.abs(doubled_areas(uv, model.triangles))[near].sum() / size[near].sum()
            for uv in (texture_uv(model), model.uv)
        )
        assert own > 1.2 * tutte


def test_another_model_keeps_its_own_map():
    model = load_head_model()
    other = replace(model, vertices=model.vertices * np.float32(1.01))
    assert np.array_equal(texture_uv(other), model.uv)


def test_painting_and_reading_back_is_exact_up_to_a_texel():
    model = load_head_model()
    painted = texel_map(model, 512).painted(model.vertices)
    uv = texture_uv(model)
    skin = np.flatnonzero(model.labels == 1)
    column, row = np.clip((uv[skin] * 512).astype(int), 0, 511).T
    apart = np.linalg.norm(painted[row, column] - model.vertices[skin], axis=1)
    assert np.median(apart) < 0.6 and np.quantile(apart, 0.99) < 3.0  # mm


def test_labels_are_painted_symmetrically():
    model = load_head_model()
    labels = label_map(model, 256)
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4, 5, 6}
    assert (labels == labels[:, ::-1]).mean() > 0.985


def test_the_main_island_is_the_skin():
    model = load_head_model()
    used = np.unique(model.triangles[islands_of(model) == 0])
    assert (model.labels[np.setdiff1d(np.arange(len(model.vertices)), used)] >= 5).all()


def test_islands_count_from_the_top_down():
    model = load_head_model()
    rows = [np.nonzero(island_map(model, 256) == number)[0].mean() for number in range(1, 6)]
    assert np.abs(rows[0] - rows[1]) < 0.5 and rows[1:] == sorted(rows[1:])  # eyes come first
    assert (islands_of(model) == 5).any() and islands_of(model).max() == 5
