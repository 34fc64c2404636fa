import math

import numpy as np
import pytest

from stream.geometry import angles_from_rotation, rotation_from_angles
from stream.smooth import OneEuro, OneEuroRotation, SmoothSettings, smoothing_share

SETTINGS = SmoothSettings(min_cutoff=1.2, beta=0.7, d_cutoff=0.9)


def one_euro_by_loop(values: list[float], times: list[float], settings: SmoothSettings) -> list:
    """The filter as the paper writes it, for one number at a time."""

    def share(cutoff: float, step: float) -> float:
        tau = 1 / (2 * math.pi * cutoff)
        return 1 / (1 + tau / step)

    out, speed = [values[0]], 0.0
    for i in range(1, len(values)):
        step = times[i] - times[i - 1]
        slope = (values[i] - out[-1]) / step
        a = share(settings.d_cutoff, step)
        speed = a * slope + (1 - a) * speed
        a = share(settings.min_cutoff + settings.beta * abs(speed), step)
        out.append(a * values[i] + (1 - a) * out[-1])
    return out


def test_vector_filter_equals_the_loop_at_a_variable_frame_rate() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 5)).cumsum(axis=0)
    times = np.cumsum(rng.uniform(0.01, 0.2, 60))
    smooth = OneEuro(SETTINGS)
    got = np.array([smooth(v, t) for v, t in zip(values, times, strict=True)])
    for column in range(5):
        want = one_euro_by_loop(values[:, column].tolist(), times.tolist(), SETTINGS)
        np.testing.assert_allclose(got[:, column], want, rtol=1e-12)


def test_first_value_passes_and_reset_forgets() -> None:
    smooth = OneEuro(SETTINGS)
    np.testing.assert_array_equal(smooth(np.array([3.0]), 0.0), [3.0])
    assert smooth(np.array([9.0]), 0.04)[0] < 8.5
    smooth.reset()
    np.testing.assert_array_equal(smooth(np.array([9.0]), 0.08), [9.0])


def test_time_that_does_not_pass_changes_nothing() -> None:
    smooth, turn = OneEuro(SETTINGS), OneEuroRotation(SETTINGS)
    smooth(np.array([1.0]), 1.0)
    turn(np.eye(3), 1.0)
    np.testing.assert_array_equal(smooth(np.array([5.0]), 1.0), [1.0])
    np.testing.assert_array_equal(turn(rotation_from_angles(30, 0, 0), 0.5), np.eye(3))


def test_noise_at_rest_shrinks_and_motion_does_not_lag() -> None:
    rng = np.random.default_rng(1)
    settings = SmoothSettings(min_cutoff=1.0, beta=5.0, d_cutoff=1.0)
    smooth = OneEuro(settings)
    rest = np.array([smooth(0.01 * rng.normal(size=1), i / 30)[0] for i in range(300)])
    assert rest[30:].std() < 0.006
    smooth.reset()
    ramp = np.array([smooth(np.array([i / 3.0]), i / 30)[0] for i in range(60)])  # 10 a second
    slow = OneEuro(SmoothSettings(1.0, 0.0, 1.0))
    lagging = np.array([slow(np.array([i / 3.0]), i / 30)[0] for i in range(60)])
    assert abs(ramp[-1] - 59 / 3) < 0.05
    assert abs(lagging[-1] - 59 / 3) > 1.0


def test_rotation_about_one_axis_equals_the_filter_of_its_angle() -> None:
    rng = np.random.default_rng(2)
    angles = 0.05 * rng.normal(size=40).cumsum()
    turn, line = OneEuroRotation(SETTINGS), OneEuro(SETTINGS)
    for i, angle in enumerate(angles):
        time_s = 0.03 * i + 0.001 * i**2
        got = turn(rotation_from_angles(math.degrees(angle), 0, 0), time_s)
        want = math.degrees(line(np.array([angle]), time_s)[0])
        assert angles_from_rotation(got)[0] == pytest.approx(want, abs=1e-9)


def test_rotation_filter_does_not_depend_on_the_frame() -> None:
    """Smoothing commutes with a rotation of the whole scene."""
    rng = np.random.default_rng(3)
    scene = rotation_from_angles(70, -40, 120)
    here, there = OneEuroRotation(SETTINGS), OneEuroRotation(SETTINGS)
    for i in range(20):
        rotation = rotation_from_angles(*(20 * rng.normal(size=3)))
        a, b = here(rotation, i / 25), there(scene @ rotation, i / 25)
        np.testing.assert_allclose(scene @ a, b, atol=1e-12)
        np.testing.assert_allclose(a @ a.T, np.eye(3), atol=1e-12)


def test_share_grows_with_cutoff_and_step() -> None:
    assert smoothing_share(1.0, 0.1) < smoothing_share(2.0, 0.1) < smoothing_share(2.0, 0.2) < 1
