import numpy as np
import pytest

pytest.importorskip("torch")

from training.multiview.colour import matched_to, matching_table


def drawn(seed, low, high, count=4000):
    return np.random.default_rng(seed).integers(low, high, (count, 3)).astype(np.uint8)


def test_colours_get_the_histogram_of_others():
    colours, aims = drawn(0, 20, 120), drawn(1, 100, 220)
    table = matching_table(colours, aims)
    changed = np.stack([table[colours[:, c], c] for c in range(3)], axis=1)
    for share in (5, 25, 50, 75, 95):
        found, wanted = (np.percentile(some, share, axis=0) for some in (changed, aims))
        np.testing.assert_allclose(found, wanted, atol=3)
    assert (np.diff(table.astype(int), axis=0) >= 0).all()


def test_two_views_stay_alike():
    rng = np.random.default_rng(2)
    first = rng.integers(0, 255, (20, 30, 3)).astype(np.uint8)
    both = np.vstack([first, first[:, ::-1]])
    faces = np.zeros(both.shape[:2], bool)
    faces[2:18] = faces[22:38] = True
    changed = matched_to(both, faces, drawn(3, 50, 90))
    assert not np.array_equal(changed, both)
    np.testing.assert_array_equal(changed[:20], changed[20:][:, ::-1])


def test_too_few_colours_change_nothing():
    pixels = np.random.default_rng(4).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    inside = np.ones((8, 8), bool)
    np.testing.assert_array_equal(matched_to(pixels, inside, drawn(5, 0, 9, count=3)), pixels)
    np.testing.assert_array_equal(matched_to(pixels, ~inside, drawn(5, 0, 9)), pixels)
