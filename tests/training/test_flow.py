"""How far pixels of a face went, on pictures that are shifted by known steps."""

import cv2
import numpy as np
import pytest

from training.flow import Flow, unsteadiness

NOISE = np.random.default_rng(2).integers(0, 255, (300, 300, 3)).astype(np.uint8)
PICTURE = cv2.GaussianBlur(NOISE, (0, 0), 2)
PLACES = np.stack(np.meshgrid(np.arange(100, 200, 20), np.arange(100, 200, 20)), -1).reshape(-1, 2)


def shifted(right_px):
    return cv2.warpAffine(PICTURE, np.float32([[1, 0, right_px], [0, 1, 0]]), (300, 300))


@pytest.mark.parametrize("eyes_px", [50.0, 100.0, 150.0])
def test_a_shift_is_found_in_distances_of_the_eyes(eyes_px):
    follow = Flow(eyes_px)
    first = follow(PICTURE, PLACES.astype(float))
    assert np.isnan(first).all()
    moved = follow(shifted(3.0), PLACES + np.array([3.0, 0.0]))
    assert moved[:, 0] == pytest.approx(3.0 / eyes_px, abs=0.3 / eyes_px)
    assert moved[:, 1] == pytest.approx(0.0, abs=0.3 / eyes_px)


def test_a_face_that_was_lost_says_nothing_of_the_gap():
    follow = Flow(100.0)
    follow(PICTURE, PLACES.astype(float))
    follow.reset()
    assert np.isnan(follow(shifted(5.0), PLACES.astype(float))).all()


def test_even_motion_is_steady_and_shaking_is_not():
    even = np.full((8, 5, 2), 0.03)
    shaking = even * (-1.0) ** np.arange(8)[:, None, None]
    assert unsteadiness(even) == pytest.approx(0)
    assert unsteadiness(shaking) == pytest.approx(0.06 * np.sqrt(2))
    with_gap = np.where(np.arange(8)[:, None, None] == 3, np.nan, even)
    assert unsteadiness(with_gap) == pytest.approx(0)
