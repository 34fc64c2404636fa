import numpy as np
import pytest

from training.learn.augment import (
    Variation,
    bent,
    cropped,
    part_recoloured,
    recoloured,
    sample_crop,
    sheened,
)

SIDE = 64
STILL = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    depth = rng.normal(0, 1, (SIDE, SIDE)).astype(np.float16)
    depth[:10] = np.inf
    return {
        "pixels": rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8),
        "labels": rng.integers(0, 9, (SIDE, SIDE), dtype=np.uint8),
        "alpha": rng.integers(0, 255, (SIDE, SIDE), dtype=np.uint8),
        "depth": depth,
    }


def test_a_crop_that_changes_nothing_gives_everything_back():
    given = arrays()
    for name, value in cropped(given, STILL, SIDE).items():
        np.testing.assert_allclose(value, given[name].astype(value.dtype), err_msg=name)


def test_a_shift_moves_all_maps_alike_and_fills_the_rim():
    given = arrays()
    moved = cropped(given, np.array([[1.0, 0, 5], [0, 1.0, 0]]), SIDE)
    for name in given:
        np.testing.assert_allclose(
            moved[name][:, 5:], given[name][:, :-5].astype(moved[name].dtype), err_msg=name
        )
    assert (moved["labels"][:, :5] == 0).all() and np.isinf(moved["depth"][:, :5]).all()
    np.testing.assert_array_equal(moved["pixels"][:, :4], moved["pixels"][:, 4:5].repeat(4, 1))


def test_mirroring_swaps_left_and_right():
    given = arrays()
    mirrored = cropped(given, np.array([[-1.0, 0, SIDE], [0, 1.0, 0]]), SIDE)
    np.testing.assert_array_equal(mirrored["pixels"], given["pixels"][:, ::-1])


def test_crops_stay_within_their_variation():
    rng = np.random.default_rng(1)
    variation = Variation(
        scale=1.2, shift=0.1, turn_deg=10, squeeze=(0.8, 1.0), mirror=False, window=1.0
    )
    for _ in range(300):
        crop = sample_crop(rng, SIDE, variation)
        determinant = np.linalg.det(crop[:, :2])
        assert 1 / 1.2**2 - 1e-6 <= determinant <= 1.2**2 + 1e-6
        middle = crop @ [SIDE / 2, SIDE / 2, 1]
        assert np.abs(middle - SIDE / 2).max() <= 0.1 * SIDE + 1e-6


def test_half_of_the_crops_are_mirrored():
    rng = np.random.default_rng(2)
    turned = [np.linalg.det(sample_crop(rng, SIDE, Variation())[:, :2]) < 0 for _ in range(400)]
    assert 0.4 < np.mean(turned) < 0.6


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_colours_change_by_the_strength_given(strength):
    pixels = arrays()["pixels"]
    rng = np.random.default_rng(3)
    change = [
        np.abs(recoloured(pixels, rng, strength).astype(int) - pixels).mean() for _ in range(20)
    ]
    assert (np.mean(change) > 5) == (strength > 0)
    assert strength > 0 or max(change) == 0


def test_windows_show_all_parts_of_the_picture():
    rng = np.random.default_rng(4)
    variation = Variation(scale=1, shift=0, turn_deg=0, squeeze=(1, 1), mirror=False, window=0.5)
    assert variation.side(SIDE) == SIDE // 2
    corners = np.array([-sample_crop(rng, SIDE, variation)[:, 2] for _ in range(300)])
    assert corners.min() >= -1e-9 and corners.max() <= SIDE / 2 + 1e-9
    assert corners.min(0).max() < 4 and corners.max(0).min() > SIDE / 2 - 4


def test_bending_moves_pixels_and_labels_alike():
    rng = np.random.default_rng(5)
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[SIDE // 4 : SIDE // 2, SIDE // 4 : SIDE // 2] = 2
    sample = {
        "pixels": np.repeat(100 * labels[..., None], 3, axis=2),
        "labels": labels,
        "alpha": 100 * labels,
    }
    found = bent(sample, rng, 0.04)
    assert (found["labels"] != labels).mean() > 0.005
    assert set(np.unique(found["labels"])) <= {0, 2}
    agree = (found["pixels"][..., 0] > 100) == (found["labels"] == 2)
    assert agree.mean() > 0.99
    np.testing.assert_allclose(found["pixels"][..., 0], found["alpha"], atol=1)
    same = bent(sample, rng, 0.0)
    assert all(np.array_equal(same[name], sample[name]) for name in sample)


def test_one_part_changes_its_colours():
    rng = np.random.default_rng(6)
    pixels = np.full((SIDE, SIDE, 3), 120, np.uint8)
    part = np.zeros((SIDE, SIDE), bool)
    part[:, : SIDE // 2] = True
    changed = part_recoloured(pixels, part, rng, 2.0).astype(int)
    assert np.abs(changed[:, : SIDE // 2 - 5] - 120).mean() > 3
    assert np.abs(changed[:, SIDE // 2 + 5 :] - 120).max() == 0


def test_streaks_lie_on_their_part_alone():
    rng = np.random.default_rng(7)
    pixels = np.full((SIDE, SIDE, 3), 120, np.uint8)
    part = np.zeros((SIDE, SIDE), bool)
    part[:, : SIDE // 2] = True
    changed = np.stack([sheened(pixels, part, rng, 0.8) for _ in range(8)]).astype(int)
    inside = changed[:, :, : SIDE // 2 - 5]
    assert np.abs(inside - 120).max() > 30
    assert inside.std(axis=(1, 2)).max() > 8  # streaks, not one tone
    assert np.abs(changed[:, :, SIDE // 2 + 5 :] - 120).max() == 0
