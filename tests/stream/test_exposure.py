import numpy as np
import pytest

from stream.exposure import Exposure

PLACES = np.arange(200)


def scenery(seed=0):
    return np.random.default_rng(seed).integers(60, 200, (200, 3)).astype(float)


def looks(exposure, colours, gain, seed=0, noise=1.5):
    noisy = colours * gain + np.random.default_rng(seed).normal(0, noise, colours.shape)
    exposure.judge(PLACES, np.clip(np.round(noisy), 0, 255).astype(np.uint8))


def test_a_steady_camera_is_exactly_neutral():
    exposure = Exposure(200)
    for index in range(50):
        looks(exposure, scenery(), 1, index)
        assert exposure.neutral
    np.testing.assert_array_equal(exposure.gain, 1)


@pytest.mark.parametrize("last", [0.75, 1.2])
def test_a_drift_too_slow_for_one_look_adds_up(last):
    exposure = Exposure(200)
    for index in range(60):
        looks(exposure, scenery(), 1 + (last - 1) * index / 59, index)
    np.testing.assert_allclose(exposure.gain, last, rtol=0.03)


def test_white_balance_changes_the_channels_apart():
    exposure = Exposure(200)
    looks(exposure, scenery(), 1)
    looks(exposure, scenery(), np.array([1.1, 1.0, 0.85]), 1)
    np.testing.assert_allclose(exposure.gain, [1.1, 1, 0.85], rtol=0.02)


def test_something_that_moves_in_part_of_the_picture_is_no_exposure():
    exposure = Exposure(200)
    looks(exposure, scenery(), 1)
    changed = scenery()
    changed[:70] = scenery(1)[:70]
    looks(exposure, changed, 1, 1)
    np.testing.assert_allclose(exposure.gain, 1, atol=0.02)


def test_too_little_in_sight_or_too_dark_changes_nothing():
    exposure = Exposure(200)
    for gain in (1.0, 1.5):
        exposure.judge(PLACES[:20], np.full((20, 3), 100 * gain, np.uint8))
    dark = Exposure(200)
    for gain in (1.0, 1.5):
        dark.judge(PLACES, np.full((200, 3), 10 * gain, np.uint8))
    assert exposure.neutral
    assert dark.neutral


def test_new_places_are_taken_in_at_the_present_gain():
    exposure = Exposure(200)
    looks(exposure, scenery(), 1)
    looks(exposure, scenery(), 0.8, 1)
    exposure.forget_places()
    other = scenery(3)
    looks(exposure, other, 0.8, 2)
    looks(exposure, other, 1.0, 3)
    np.testing.assert_allclose(exposure.gain, 1, atol=0.02)


def test_colours_are_exposed_as_now_and_back():
    exposure, colours = Exposure(200), np.full((4, 5, 3), 100, np.uint8)
    assert exposure.now(colours) is colours
    exposure.gain = np.array([1.2, 1.0, 0.8])
    assert (exposure.now(colours) == (120, 100, 80)).all()
    assert (exposure.at_first(exposure.now(colours)) == colours).all()
