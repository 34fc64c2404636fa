"""Completing textures."""

import numpy as np

from stream.head_model import load_head_model
from stream.swap.texture_complete import (
    completed,
    islands,
    with_margins,
    with_mirror,
    with_mouth_inside,
)
from stream.swap.texture_map import label_map, texel_map

SIZE = 128


def textures():
    rng = np.random.default_rng(0)
    half = rng.uniform(0.2, 0.5, (SIZE, SIZE // 2, 3)).astype(np.float32)
    return np.concatenate([half, half[:, ::-1]], axis=1)


def test_what_was_seen_stays():
    albedo, model = textures(), load_head_model()
    seen = np.zeros((SIZE, SIZE), np.float32)
    seen[:, :70] = 1
    whole = completed(albedo, seen, np.full_like(albedo, 0.3), model)
    assert np.abs(whole - albedo)[seen == 1].max() < 1e-4


def test_the_hidden_half_comes_from_the_mirror():
    albedo = textures()
    seen = np.zeros((SIZE, SIZE), np.float32)
    seen[:, : SIZE // 2] = 1
    spoiled = np.where(seen[..., None] > 0, albedo, 0.9).astype(np.float32)
    mixed, known = with_mirror(spoiled, seen)
    assert known.min() > 0.85
    assert np.abs(mixed - albedo).max() < 0.02


def test_a_step_in_level_is_taken_up_at_the_border():
    albedo = np.full((SIZE, SIZE, 3), 0.3, np.float32)
    albedo[:, SIZE // 2 :] *= 1.5  # the other side is brighter
    seen = np.ones((SIZE, SIZE), np.float32)
    seen[:, 80:] = 0
    mixed, _ = with_mirror(albedo, seen)
    assert mixed[:, 80].min() > 0.36  # not 0.3, as plainly mirrored


def test_where_neither_side_was_seen_the_expected_skin_continues():
    model = load_head_model()
    expected = np.full((SIZE, SIZE, 3), 0.2, np.float32)
    labels = label_map(model, SIZE)
    expected[labels == 3] = 0.1  # ears are darker
    albedo = 2 * expected
    seen = (labels == 1).astype(np.float32)
    albedo[seen == 0] = 0.9
    whole = completed(albedo, seen, expected, model)
    assert np.quantile(np.abs(whole[labels == 3] / 0.2 - 1), 0.9) < 0.05


def test_islands_part_the_texture():
    model = load_head_model()
    parts = islands(model, SIZE)
    assert np.array_equal(sum(parts), np.ones((SIZE, SIZE), np.float32))
    eyes = (label_map(model, SIZE) == 6) & (parts[0] == 0)
    assert eyes[:, : SIZE // 2].any() and eyes[:, SIZE // 2 :].any()


def test_the_inside_of_the_mouth_is_red_and_teeth_are_bright():
    model = load_head_model()
    level = np.array([0.9, 0.8, 0.7], np.float32)
    grey = np.full((SIZE, SIZE, 3), 0.3, np.float32)
    painted = with_mouth_inside(grey, level, model)
    labels, skin = label_map(model, SIZE), islands(model, SIZE)[0] > 0
    lining = painted[(labels == 5) & skin].mean(axis=0)
    assert lining[0] > 1.5 * lining[1]
    assert painted[(labels == 5) & ~skin].max() > 0.4
    assert np.array_equal(painted[labels == 1], grey[labels == 1])


def test_margins_continue_the_islands():
    model = load_head_model()
    covered = texel_map(model, SIZE).covered
    albedo = np.where(covered[..., None], 0.4, 0.0).astype(np.float32)
    assert np.abs(with_margins(albedo, model) - 0.4).max() < 1e-3
