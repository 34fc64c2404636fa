import cv2
import numpy as np
import pytest

from stream.refine import COVER, DOUBT, REST, UNKNOWN
from training.experiments.refine_corrupt import corrupted

SIDE = 256


def scene():
    """A textured picture with somebody round in it."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (32, 32, 3), np.uint8)
    picture = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    matte = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(matte, (128, 140), (60, 85), 0, 0, 360, 255, -1)
    return picture, matte


def test_the_same_generator_spoils_in_the_same_way():
    picture, matte = scene()
    first, second = (corrupted(picture, matte, np.random.default_rng(7)) for _ in range(2))
    other = corrupted(picture, matte, np.random.default_rng(8))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize("seed", range(6))
def test_only_what_the_masks_call_a_guess_is_spoilt(seed):
    picture, matte = scene()
    before = picture.copy()
    coarse, masks = corrupted(picture, matte, np.random.default_rng(seed))
    np.testing.assert_array_equal(picture, before)
    changed = np.abs(coarse.astype(int) - picture).max(axis=-1) > 0
    assert 0.002 < changed.mean() < 0.5
    guess = cv2.dilate(cv2.max(masks[..., DOUBT], masks[..., UNKNOWN]), np.ones((5, 5), np.uint8))
    assert (guess[changed] > 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_masks_agree_with_each_other(seed):
    picture, matte = scene()
    _, masks = corrupted(picture, matte, np.random.default_rng(seed))
    masks = masks.astype(int)
    assert (masks[..., DOUBT] <= masks[..., COVER]).all()
    assert (masks[..., UNKNOWN] + masks[..., COVER] <= 255).all()
    assert (masks[..., REST] == 0).all()


def test_faults_lie_along_the_edge():
    picture, matte = scene()
    inside = cv2.erode(matte, np.ones((91, 91), np.uint8)) > 0
    outside = cv2.dilate(matte, np.ones((91, 91), np.uint8)) == 0
    for seed in range(8):
        coarse, _ = corrupted(picture, matte, np.random.default_rng(seed))
        np.testing.assert_array_equal(coarse[inside | outside], picture[inside | outside])


def test_nobody_leaves_the_picture_whole():
    picture, matte = scene()
    coarse, masks = corrupted(picture, np.zeros_like(matte), np.random.default_rng(0))
    np.testing.assert_array_equal(coarse, picture)
    assert not masks.any()
