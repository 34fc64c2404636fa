"""The texture of a reconstructed head: what is completed, and how."""

import numpy as np
import pytest

from stream.reconstruct.complete import Chart, _joined, completed
from stream.reconstruct.texture import one_fan_each

SIDE = 256
SKIN, HAIR, SHIRT = (200.0, 150.0, 120.0), (60.0, 40.0, 20.0), (20.0, 40.0, 160.0)


def chart(left_light=1.0, side=SIDE):
    """A disc of skin with hair above and a shirt below; only its left two thirds are seen."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    colours = np.zeros((side, side, 3), np.float32)
    hair = (rows < 0.3).astype(np.float32)
    shirt = (rows > 0.8).astype(np.float32)
    for mask, colour in ((hair, HAIR), (shirt, SHIRT), (1 - hair - shirt, SKIN)):
        colours += mask[..., None] * np.float32(colour)
    colours *= np.where(columns < 0.5, left_light, 1.0)[..., None].astype(np.float32)
    weight = ((columns < 0.66) & (rows > 0.15)).astype(np.float32)
    shown = np.dstack([hair, shirt, 1 - hair - shirt])
    places = np.dstack([columns * 200, rows * 200, 0 * rows]).astype(np.float32)
    return Chart(colours * weight[..., None], weight, shown, hair, shirt, places)


def test_unseen_side_comes_from_its_mirror():
    filled = completed(chart(), (0.5, 0.5)).astype(float)
    assert np.abs(filled[128, 230] - SKIN).max() < 8
    assert np.abs(filled[240, 230] - SHIRT).max() < 8


def test_seen_colours_stay():
    known = chart()
    filled = completed(known, (0.5, 0.5)).astype(float)
    seen = known.weight == 1
    assert np.abs(filled - known.colours)[seen].max() <= 1


def test_borrowed_side_keeps_its_own_light():
    """Left of the middle is darker; what is borrowed from there shows as bright as its side."""
    filled = completed(chart(left_light=0.6, side=768), (0.5, 0.5)).astype(float)
    assert filled[384, 660].mean() == pytest.approx(np.mean(SKIN), rel=0.12)


def test_unseen_hair_is_filled_from_hair_alone():
    filled = completed(chart(), (0.5, 0.5)).astype(float)
    assert np.abs(filled[20, 128] - HAIR).max() < 15


def test_nothing_seen_gives_one_plain_colour():
    known = chart()
    none = Chart(known.colours * 0, known.weight * 0, known.shown, *(
        getattr(known, name) for name in ("hairy", "clothed", "places_mm")))  # fmt: skip
    assert completed(none, (0.5, 0.5)).std() == 0


def test_completion_is_the_same_every_time():
    assert np.array_equal(completed(chart(), (0.5, 0.5)), completed(chart(), (0.5, 0.5)))


def test_one_fan_each():
    """Two opposite triangles of a fan around one vertex cannot both be kept."""
    ring = np.arange(1, 7)
    fan = np.stack([np.zeros(6, int), ring, np.roll(ring, -1)], axis=1)
    chosen = np.array([1, 0, 0, 1, 0, 0], bool)
    kept = one_fan_each(fan, chosen)
    assert kept.sum() == 0
    side_by_side = np.array([1, 1, 0, 0, 0, 0], bool)
    assert np.array_equal(one_fan_each(fan, side_by_side), side_by_side)


def test_borrowed_colours_meet_those_beside_them():
    """Where both halves are seen they differ; what is borrowed beside it differs as much."""
    side = 256
    own, other = (np.full((side, side, 3), level, np.float32) for level in (80.0, 160.0))
    both = np.zeros((side, side), np.float32)
    both[:, : side // 2] = 1
    joined = 160.0 * _joined(own, other, both)[side // 2, :, 0]
    assert abs(joined[side // 4] - 80) < 8
    assert abs(joined[side // 2 + 4] - 80) < 20  # nothing jumps at the border
    assert joined[-1] > 140  # far from it the borrowed colours are their own
    assert (np.diff(joined[side // 2 :]) > -0.5).all()
    np.testing.assert_array_equal(_joined(own, other, 0 * both), 1)
