"""Outlines of what is drawn with one sample a pixel."""

import cv2
import numpy as np
import pytest

from stream.outlines import antialiased, smoothed

NEAR, FAR = 1_000_000_000, 3_000_000_000
SIDE, FINER = 96, 16
MOVES = np.zeros((SIDE, SIDE), np.uint8)


def drawn(covers):
    """Colours and depth of a surface before another, one sample a pixel, and the true colours.

    Args:
        covers: tells of places (x, y) in pixels whether the nearer surface covers them.
    """
    fine = (np.arange(SIDE * FINER) + 0.5) / FINER
    share = covers(*np.meshgrid(fine, fine)).astype(np.float64)
    share = share.reshape(SIDE, FINER, SIDE, FINER).mean(axis=(1, 3))
    middle = np.arange(SIDE) + 0.5
    there = covers(*np.meshgrid(middle, middle))
    grey = np.where(there, 200, 40).astype(np.uint8)
    truth = 40 + 160 * share
    return cv2.merge([grey] * 3), np.where(there, NEAR, FAR).astype(np.uint32), truth


def error(colours, truth):
    return np.abs(colours[..., 0].astype(float) - truth)[4:-4, 4:-4].sum()


@pytest.mark.parametrize(
    ("slope", "left"),  # steps of one pixel tell least of where the line runs
    [
        (0.0, 1),
        (0.13, 0.3),
        (0.45, 0.45),
        (1.0, 0.75),
        (2.2, 0.45),
        (9, 0.3),
        (-0.3, 0.4),
        (-4, 0.4),
    ],
)
def test_a_straight_outline_comes_near_to_what_many_samples_would_draw(slope, left):
    colours, depth, truth = drawn(lambda x, y: y - SIDE / 2 > slope * (x - SIDE / 2 + 0.3))
    before = error(colours, truth)
    after = error(smoothed(colours, depth, 1000, MOVES), truth)
    assert after <= left * before + 1


def test_a_round_outline_loses_its_steps():
    colours, depth, truth = drawn(lambda x, y: np.hypot(x - 50, y - 45) < 31)
    before = error(colours, truth)
    assert error(smoothed(colours, depth, 1000, MOVES), truth) < 0.5 * before


def test_lines_within_a_surface_stay_sharp():
    colours, depth, _ = drawn(lambda x, y: y > 0.4 * x)
    same = np.full_like(depth, NEAR) + np.arange(SIDE, dtype=np.uint32)  # it slopes gently
    np.testing.assert_array_equal(smoothed(colours.copy(), same, 1000, MOVES), colours)


def test_what_rests_stays_as_it_is():
    colours, depth, _ = drawn(lambda x, y: y > 0.4 * x)
    rests = MOVES.copy()
    rests[:, :50] = 255
    out = smoothed(colours.copy(), depth, 1000, rests)
    np.testing.assert_array_equal(out[:, :50], colours[:, :50])
    assert (out[:, 50:] != colours[:, 50:]).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (5, 1), (33, 17)])
def test_pictures_of_any_size_are_taken(shape):
    rng = np.random.default_rng(3)
    colours = rng.integers(0, 255, (*shape, 3), dtype=np.uint8)
    depth = rng.integers(0, 2**32, shape, dtype=np.uint32)
    out = smoothed(colours.copy(), depth, 2**28, np.zeros(shape, np.uint8))
    assert out.shape == colours.shape
    assert out.min() >= colours.min()
    assert out.max() <= colours.max()


def test_hard_outlines_are_softened_and_soft_ones_left():
    drawn = np.zeros((20, 40, 4), np.uint8)
    drawn[:, 10:20] = (200, 100, 50, 255)  # ends within a pixel
    ramp = np.linspace(1, 0, 12)[None, :, None]
    drawn[:, 20:32] = np.round(ramp * (200, 100, 50, 255))
    out = antialiased(drawn, np.zeros((20, 40), np.uint8))
    assert 0 < out[10, 9, 0] < 200
    assert 0 < out[10, 10, 0] < 200
    np.testing.assert_array_equal(out[:, 12:], drawn[:, 12:, :3])
    np.testing.assert_array_equal(out[:, :8], drawn[:, :8, :3])


def test_a_picture_without_an_outline_stays_as_it_is():
    drawn = np.random.default_rng(4).integers(0, 255, (20, 40, 4), dtype=np.uint8)
    drawn[..., 3] = 255  # all head
    np.testing.assert_array_equal(antialiased(drawn, np.zeros((20, 40), np.uint8)), drawn[..., :3])
