"""Fine detail of the skin: parted from a texture, and brought to the amount that a frame shows."""

import numpy as np
import pytest
from swap_faces import MODEL

from stream.flatten import texture_uv
from stream.swap.detail import DETAIL_RANGE, Detail, detail_bands

RNG = np.random.default_rng(5)
INSIDE = np.ones((200, 200), bool)


def skin(amount, size=200):
    noise = RNG.normal(0, amount, (size, size, 1))
    return np.clip(150 * np.exp(noise), 0, 255).astype(np.uint8).repeat(3, 2)


def bands_at(levels, point):
    place = texture_uv(MODEL)[np.linalg.norm(MODEL.vertices - point, axis=1).argmin()]
    x, y = (place * len(levels)).astype(int)
    return np.abs(levels[y - 3 : y + 4, x - 3 : x + 4].astype(float) - 128).mean()


def test_bands_hold_the_pores_of_plain_skin_and_leave_features_alone():
    levels = detail_bands(skin(0.1, 512), MODEL)
    assert levels.shape == (512, 512, 2)
    points = MODEL.points478_mean
    cheek, brow, lip = (bands_at(levels, points[n]) for n in (50, 105, 0))
    assert cheek > 0.03 * 256 / DETAIL_RANGE
    assert brow < 0.2 * cheek and lip < 0.2 * cheek


def test_a_plain_texture_has_no_detail():
    assert (detail_bands(np.full((128, 128, 3), 150, np.uint8), MODEL) == 128).all()


def test_strong_pores_are_drawn_as_weak_as_the_frames():
    own, drawn = skin(0.05), skin(0.1)
    detail = Detail()
    detail.learn(own, drawn, INSIDE, 150.0, 1.0)
    assert detail.gains[0] == pytest.approx(0.5, abs=0.08)


def test_nothing_is_stronger_than_in_the_photo_nor_gone():
    detail = Detail()
    detail.learn(skin(0.1), skin(0.02), INSIDE, 150.0, 1.0)
    assert (detail.gains == 1).all()
    detail.learn(skin(0.0), skin(0.1), INSIDE, 150.0, 1.0)
    assert (detail.gains >= 0.2).all() and (detail.gains < 0.9).all()


def test_a_face_that_is_hardly_seen_teaches_nothing():
    detail = Detail()
    detail.learn(skin(0.02), skin(0.1), np.zeros((200, 200), bool), 150.0, 1.0)
    assert (detail.gains == 1).all()
