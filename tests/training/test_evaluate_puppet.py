"""The figures of the puppet on tracks whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from stream.puppet.driver import Measure
from training.evaluate_puppet import Row, Seen, score

RNG = np.random.default_rng(8)
FACE = RNG.uniform(0, 200, (478, 3))
FACE[[33, 263], :2] = (50, 100), (150, 100)
PHOTO, DRIVER = np.zeros(4), np.full(4, 2.0)


def seen(angles=(0.0, 0.0, 0.0), mouth=0.1, eyes=0.3, shift_px=0.0, identity=PHOTO):
    """What tracker and fit see of a face 100 px between the outer corners of its eyes."""
    angles, gaps = np.array(angles, float), np.array([mouth])
    found = Measure(np.zeros(52), angles, np.zeros(3), gaps, np.full(2, eyes), np.zeros(2))
    return Seen(FACE + np.array([shift_px, 0.0, 0.0]), found, identity)


def course(count=12, shake_px=0.0, gain=1.0, off_px=0.0, blink=1.0):
    """A driver who nods and talks, and a portrait that follows with a gain."""
    rows = []
    for number in range(count):
        yaw, pitch, gap = 10 * np.sin(number), 4 * np.cos(number), 0.1 + 0.05 * np.sin(2 * number)
        shake = (-1) ** number
        before = seen((yaw, pitch, 1.0), gap, 0.3 + 0.1 * np.sin(number), shake, DRIVER)
        after = seen((yaw, gain * pitch, 1.0), gap, 0.3, shake * shake_px)
        wanted = after.points_px[:468, :2] + np.array([off_px, 0.0])
        colours = 100 + shake * np.multiply.outer((1.0, blink), np.ones((15, 3)))
        flow = shake * np.multiply.outer((0.02, 0.01), np.ones((468, 2)))
        rows.append(Row(before, after, wanted, colours, flow))
    return rows


def test_who_follows_exactly_scores_one():
    result = score(course(), PHOTO)
    assert result.frames == 12
    assert result.mouth == pytest.approx(1)
    assert result.turn[:2] == pytest.approx((1, 1))
    assert result.gain[:2] == pytest.approx((1, 1))
    assert result.points == pytest.approx(0, abs=1e-9)
    assert np.isnan(result.eyes)  # what never changes cannot be compared
    assert result.identity == 1.0


def test_weak_nods_and_misplaced_points_are_told():
    result = score(course(gain=0.6, off_px=3.0), PHOTO)
    assert result.gain[1] == pytest.approx(0.6)
    assert result.turn[1] == pytest.approx(1)
    assert result.points == pytest.approx(3.0)


def test_flicker_is_out_over_in():
    for shake_px in (0.5, 2.0):
        result = score(course(shake_px=shake_px), PHOTO)
        assert result.flicker == pytest.approx(shake_px)
        assert result.drawn == pytest.approx(shake_px)
    assert score(course(blink=0.7), PHOTO).colour == pytest.approx(0.7)
    assert score(course(), PHOTO).flow == pytest.approx(0.5)


def test_identity_counts_frames_nearer_to_the_photo():
    rows = course(8)
    rows[:2] = [replace(row, after=replace(row.after, identity=DRIVER)) for row in rows[:2]]
    assert score(rows, PHOTO).identity == pytest.approx(0.75)
