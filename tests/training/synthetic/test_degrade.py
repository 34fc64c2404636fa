import cv2
import numpy as np
import pytest

from training.synthetic import degrade
from training.synthetic.degrade import photograph, srgb_encoded


@pytest.fixture(scope="module")
def scene():
    """A smooth scene with an edge, linear light from black to beyond white."""
    y, x = np.mgrid[0:1:128j, 0:1:128j]
    light = np.stack([x, 0.2 + 0.6 * y, 1.2 * x * y], axis=2)
    light[40:80, 50:90] = [0.5, 0.25, 0.15]
    return light.astype(np.float32)


def _srgb(linear):
    return [12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055 for v in linear]


def test_a_perfect_camera_encodes_srgb(scene):
    picture = photograph(scene, np.random.default_rng(0), strength=0.0)
    wanted = np.rint(255 * srgb_encoded(scene)).astype(int)
    assert picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - wanted).max() <= 1


def test_srgb_follows_the_standard():
    values = [0.0, 0.001, 0.0031308, 0.01, 0.18, 0.5, 1.0]
    assert srgb_encoded(np.array(values, np.float32)) == pytest.approx(_srgb(values), abs=1e-4)
    assert srgb_encoded(np.float32([-1.0, 7.0])) == pytest.approx([0.0, 1.0], abs=1e-6)


def test_a_perfect_camera_does_not_depend_on_chance(scene):
    first, second = (photograph(scene, np.random.default_rng(seed), 0.0) for seed in (1, 2))
    assert np.array_equal(first, second)


def test_one_seed_gives_one_photograph_and_the_scene_stays(scene):
    before = scene.copy()
    first, second, other = (photograph(scene, np.random.default_rng(s)) for s in (5, 5, 6))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert np.array_equal(scene, before)


def test_faults_grow_with_strength(scene):
    perfect = photograph(scene, np.random.default_rng(0), 0.0).astype(float)
    errors = [
        np.mean([
            np.abs(photograph(scene, np.random.default_rng([9, k]), strength) - perfect).mean()
            for k in range(40)
        ])
        for strength in (0.25, 0.5, 1.0)
    ]  # fmt: skip
    assert 1.0 < errors[0] < errors[1] < errors[2] < 40.0


def test_photographs_vary_but_show_the_scene(scene):
    perfect = photograph(scene, np.random.default_rng(0), 0.0).astype(float)
    means, likeness = [], []
    for k in range(80):
        picture = photograph(scene, np.random.default_rng([3, k])).astype(float)
        means.append(picture.mean() / perfect.mean())
        likeness.append(np.corrcoef(picture.ravel(), perfect.ravel())[0, 1])
    assert 0.85 < np.mean(means) < 1.12
    assert np.std(means) > 0.08
    assert min(likeness) > 0.75
    assert np.median(likeness) > 0.93


def test_no_fault_moves_the_scene():
    """Blur and resampling must leave a point where it was, or the truth would not hold."""
    scene = np.full((128, 128, 3), 0.02, np.float32)
    cv2.circle(scene, (64, 50), 9, (0.8, 0.8, 0.8), -1)
    y, x = np.mgrid[0:128, 0:128]
    for k in range(60):
        picture = photograph(scene, np.random.default_rng([11, k])).astype(float).mean(axis=2)
        weight = np.maximum(picture - 0.5 * picture.max(), 0.0)
        centre = (weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()
        assert centre == pytest.approx((64.0, 50.0), abs=0.8)


def test_noise_is_stronger_in_the_light_and_has_no_mean():
    rng = np.random.default_rng(2)
    spread = {}
    for level in (0.05, 0.6):
        flat = np.full((96, 96, 3), level, np.float32)
        noisy = [degrade._noisy(flat, rng, 1.0) - flat for _ in range(40)]
        assert abs(np.mean(noisy)) < 0.002
        spread[level] = np.std(noisy)
    assert spread[0.6] > 1.5 * spread[0.05] > 0


def test_motion_blur_keeps_light():
    flat = np.full((64, 64, 3), 0.4, np.float32)
    for seed in range(30):
        blurred = degrade._motion_blurred(flat, np.random.default_rng(seed), 1.0)
        assert np.allclose(blurred, 0.4, atol=1e-4)


def test_wrong_matrices_leave_grey_grey():
    grey = np.repeat(np.linspace(0.2, 0.8, 32, dtype=np.float32)[None, :, None], 3, axis=2)
    changed = 0
    for seed in range(120):
        picture = degrade._recoloured(grey, np.random.default_rng(seed), 1.0)
        assert np.ptp(picture, axis=2).max() < 1e-4
        changed += picture is not grey
    assert 5 < changed < 40


def test_lost_resolution_and_compression_keep_size_and_type(scene):
    picture = srgb_encoded(scene[:96])
    for seed in range(30):
        rng = np.random.default_rng(seed)
        assert degrade._resampled(picture, rng, 1.0).shape == picture.shape
        pixels = degrade._compressed(picture, rng, 1.0)
        assert pixels.shape == picture.shape
        assert pixels.dtype == np.uint8


def test_a_video_codec_loses_detail_and_moves_nothing(scene):
    pixels = np.rint(255 * srgb_encoded(scene)).astype(np.uint8)[:97, :95]  # odd sizes too
    lost = []
    for rate_factor in (20, 30, 40):
        first, second = (degrade._h264(pixels, rate_factor, (3, -2)) for _ in range(2))
        assert np.array_equal(first, second)
        assert first.shape == pixels.shape and first.dtype == np.uint8
        lost.append(np.abs(first.astype(float) - pixels).mean())
    assert 0.1 < lost[0] < lost[2] < 12.0
