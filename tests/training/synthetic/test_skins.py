"""Skins: tones, and where paint lands."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from training.synthetic.skins import SkinSpec, sample_skin, tone_rgb

PLAIN = SkinSpec("x", 60.0, 0, 0, 0, 0, 0, 0, 0, 0, (150, 30, 45), 3)
FILES = ["skin_young_darkskinned_female_a.jpg", "skin_old_lightskinned_male_b.jpg"]


def _lab(rgb):
    return cv2.cvtColor(np.asarray(rgb, np.float32).reshape(1, 1, 3), cv2.COLOR_RGB2LAB)[0, 0]


@pytest.mark.parametrize("lightness", [22.0, 40.0, 60.0, 77.0])
def test_tones_have_their_lightness_and_a_warm_hue(lightness):
    lab = _lab(tone_rgb(replace(PLAIN, lightness=lightness)))
    assert lab[0] == pytest.approx(lightness, abs=1.5)
    assert lab[1] > 4 and lab[2] > 6


def test_skins_suit_sex_and_age():
    rng = np.random.default_rng(0)
    young = [sample_skin(rng, FILES, 0.0, 0.5) for _ in range(300)]
    old = [sample_skin(rng, FILES, 1.0, 1.0) for _ in range(300)]
    share = [np.mean([spec.file == FILES[0] for spec in specs]) for specs in (young, old)]
    assert share[0] > 0.85 and share[1] < 0.15
    assert any(spec.lipstick > 0 for spec in young) and not any(s.lipstick for s in old)
    assert any(spec.stubble > 0 for spec in old) and not any(s.stubble for s in young)
    light = [np.mean([s.lightness for s in specs]) for specs in (young, old)]
    assert light[0] < light[1] - 10
    assert all(22 <= spec.lightness <= 77 for spec in young + old)


@pytest.fixture(scope="module")
def painter(people):
    return people._painter


@pytest.fixture(scope="module")
def picture(people):
    return people._wardrobe.picture(people._wardrobe.skins_of(held_out=False)[0])


@pytest.mark.parametrize("lightness", [30.0, 50.0, 70.0])
def test_the_cheeks_get_the_tone_that_was_drawn(painter, picture, lightness):
    spec = replace(PLAIN, lightness=lightness)
    painted = painter.paint(picture, spec)
    assert painted.shape == (512, 512, 4) and painted.dtype == np.uint8
    face = painted[painter._face][:, :3].mean(axis=0) / 255
    assert _lab(face)[0] == pytest.approx(lightness, abs=4.0)


def _change(painter, picture, **strengths):
    plain = painter.paint(picture, PLAIN).astype(int)
    other = painter.paint(picture, replace(PLAIN, **strengths)).astype(int)
    return np.abs(other - plain)[..., :3].sum(axis=-1)


def test_paint_lands_where_it_belongs(painter, picture):
    lips = _change(painter, picture, lipstick=0.8)
    assert lips[painter._lips > 0.7].mean() > 40 and lips[painter._lips == 0].max() <= 1
    lids = _change(painter, picture, shadow=0.6)
    assert lids[painter._lids > 0.7].mean() > 20 and lids[painter._lids == 0].max() <= 1
    assert (painter._lips > 0.7).sum() > 20 and (painter._lids > 0.7).sum() > 20
    beard = _change(painter, picture, stubble=1.0)
    assert beard[painter._beard > 0.8].mean() > 25
    assert beard[painter._scalp > 0.9].mean() < 3


def test_a_shaved_scalp_is_darkened(painter, picture):
    bald, shaved = painter.paint(picture, PLAIN), painter.paint(picture, PLAIN, (30, 25, 20))
    top = painter._scalp > 0.9
    assert top.sum() > 2000
    assert shaved[top][:, :3].mean() < 0.6 * bald[top][:, :3].mean()


def test_one_seed_gives_one_skin(painter, picture):
    spotted = replace(PLAIN, blemishes=1.0, freckles=1.0)
    first, again = (painter.paint(picture, spotted) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (painter.paint(picture, replace(spotted, seed=4)) != first).any()
