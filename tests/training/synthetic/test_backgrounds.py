import numpy as np
import pytest

from stream.errors import UserError
from training.synthetic.background_rooms import draw_room
from training.synthetic.background_textures import octave_noise, sine, texture
from training.synthetic.backgrounds import BRIGHTEST, DARKEST, KINDS, BackgroundLibrary, _defocused

SIZE = (160, 128)


@pytest.fixture(scope="module")
def library(data_dir):
    return BackgroundLibrary(data_dir)


def test_backgrounds_have_the_exposure_of_a_room(library):
    drawn = [library.sample(np.random.default_rng([1, k]), SIZE) for k in range(150)]
    assert {(picture.shape, picture.dtype.name) for picture in drawn} == {
        ((128, 160, 3), "float32")
    }
    means = np.array([picture.mean() for picture in drawn])
    assert means.min() >= DARKEST
    assert means.max() <= BRIGHTEST
    assert means.std() > 0.08
    assert min(float(picture.min()) for picture in drawn) >= 0.0
    assert np.mean([picture.max() > 1.0 for picture in drawn]) > 0.2
    assert all(np.isfinite(picture).all() for picture in drawn)


def test_backgrounds_differ_in_detail_from_bare_to_full(library):
    detail = []
    for k in range(150):
        picture = np.minimum(library.sample(np.random.default_rng([2, k]), SIZE), 1.0).mean(axis=2)
        detail.append(np.abs(np.diff(picture, axis=1)).mean() / picture.mean())
    low, high = np.quantile(detail, [0.1, 0.9])
    assert low < 0.01
    assert high > 0.04


def test_one_seed_gives_one_background(library):
    first, second, other = (library.sample(np.random.default_rng(seed), SIZE) for seed in (7, 7, 8))
    assert np.array_equal(first, second)
    assert not np.allclose(first, other)


def test_libraries_opened_apart_draw_the_same(library, data_dir):
    again = BackgroundLibrary(data_dir)
    for seed in range(12):
        pair = [one.sample(np.random.default_rng(seed), (64, 64)) for one in (library, again)]
        assert np.array_equal(*pair)


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_kind_fills_any_size_and_varies(library, kind):
    drawn = [library._draw(kind, np.random.default_rng(seed), (96, 72)) for seed in range(6)]
    assert all(picture.shape == (72, 96, 3) for picture in drawn)
    assert all(picture.dtype == np.float32 for picture in drawn)
    assert all(np.isfinite(picture).all() and picture.min() >= -1e-6 for picture in drawn)
    assert np.std([picture.mean(axis=(0, 1)) for picture in drawn], axis=0).max() > 0.01


def test_shares_of_kinds_make_one():
    assert sum(KINDS.values()) == pytest.approx(1.0)


def test_backdrops_are_green_or_blue(library):
    for seed in range(20):
        mean = library._draw("backdrop", np.random.default_rng(seed), (64, 64)).mean(axis=(0, 1))
        assert mean[0] < 0.6 * max(mean[1], mean[2])


def test_defocus_keeps_light_and_spreads_it():
    light = np.zeros((128, 128, 3), np.float32)
    light[64, 64] = 100.0
    for radius in (1.0, 3.0, 6.0, 12.0):
        blurred = _defocused(light, radius)
        assert blurred.sum() == pytest.approx(light.sum(), rel=0.02)
        lit = np.flatnonzero(blurred[..., 0].max(axis=0) > 0.25 * blurred.max())
        assert np.ptp(lit) + 1 == pytest.approx(2 * radius + 1, abs=2 + 0.35 * radius)
    assert _defocused(light, 0.2) is light


def test_rooms_hold_things_and_lamps():
    outside = np.full((32, 32, 3), 128, np.uint8)
    edges, lit = [], []
    for seed in range(40):
        pixels, glow = draw_room(np.random.default_rng(seed), SIZE, outside)
        assert pixels.shape == (128, 160, 3)
        assert glow.shape == (128, 160)
        edges.append((np.abs(np.diff(pixels.astype(int), axis=1)).max(axis=2) > 25).mean())
        lit.append((glow > 20).mean())
    assert np.median(edges) > 0.01
    assert 0.1 < np.mean(np.array(lit) > 0.01) < 0.95


def test_textures_use_all_their_makers():
    drawn = [texture(np.random.default_rng(seed), (48, 40)) for seed in range(40)]
    assert {picture.shape for picture in drawn} == {(40, 48, 3)}
    assert {picture.dtype.name for picture in drawn} == {"uint8"}
    assert len({picture.tobytes() for picture in drawn}) == 40


def test_octave_noise_is_centred_and_smooth_where_asked():
    rng = np.random.default_rng(0)
    coarse = np.stack([octave_noise(rng, (64, 64), (2, 2), 1) for _ in range(60)])
    fine = np.stack([octave_noise(rng, (64, 64), (30, 30), 1) for _ in range(60)])
    assert abs(coarse.mean()) < 0.15
    assert 0.4 < coarse.std() < 1.3
    assert np.abs(np.diff(coarse)).mean() < 0.3 * np.abs(np.diff(fine)).mean()


def test_table_of_sines():
    turns = np.linspace(-3, 3, 200)
    assert np.abs(sine(turns) - np.sin(2 * np.pi * turns)).max() < 0.01


def test_a_folder_without_maps_is_an_error_for_the_user(tmp_path):
    with pytest.raises(UserError, match="HDR maps"):
        BackgroundLibrary(tmp_path)
