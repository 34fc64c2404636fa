"""Hair: what is drawn, how it is bent, how it is dyed."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from training.synthetic.hair import (
    HELD_OUT_STYLES,
    STYLES,
    HairDresser,
    HairSpec,
    recoloured,
    sample_hair,
)

PLAIN = HairSpec("long01", "brown", (108, 76, 52), 1.0, 1.0, False, 0.0, 30.0, 1.0, 0.0, 5)


def _drawn(count, male=0.5, age=0.5, dark=False, held_out=False):
    rng = np.random.default_rng(4)
    return [sample_hair(rng, male, age, dark, held_out) for _ in range(count)]


def test_training_never_sees_the_held_out_styles():
    styles = {spec.style for male in (0.0, 0.5, 1.0) for spec in _drawn(400, male)}
    assert styles.isdisjoint(HELD_OUT_STYLES)
    assert styles == (set(STYLES) - set(HELD_OUT_STYLES)) | {"bald", "shaved"}


def test_validation_sees_nothing_else():
    assert {spec.style for spec in _drawn(60, held_out=True)} == set(HELD_OUT_STYLES)


def test_men_are_bald_more_often_and_old_people_grey():
    bald = [Counter(s.style for s in _drawn(500, male))["bald"] for male in (0.0, 1.0)]
    assert bald[0] == 0 and bald[1] > 20
    grey = [sum(s.colour in ("grey", "white") for s in _drawn(500, 0.5, a)) for a in (0.4, 0.95)]
    assert grey[1] > 4 * grey[0]


def test_dark_skin_rarely_goes_with_fair_hair():
    fair = [sum(s.colour in ("blond", "red") for s in _drawn(500, dark=d)) for d in (False, True)]
    assert fair[1] < 0.5 * fair[0]


@pytest.fixture(scope="module")
def curtain():
    """A strip of hair that hangs 10 mm before a wall of skin."""
    heights = np.linspace(-60.0, 180.0, 25)
    skin = np.stack([0 * heights, np.minimum(heights, 60.0), 0 * heights], axis=1)
    hair = np.stack([0 * heights + 5.0, heights, 0 * heights - 10.0], axis=1)
    uv = np.stack([0 * heights, np.linspace(0, 1, 25)], axis=1)
    rows = np.arange(len(hair) - 2)
    strip = np.column_stack([rows, rows + 1, rows + 2])
    return HairDresser(hair, skin, uv, strip), hair, skin


def test_plain_hair_stays_where_it_was_placed(curtain):
    dresser, hair, skin = curtain
    np.testing.assert_allclose(dresser.shape(hair, skin, PLAIN, False), hair, atol=1e-4)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_swept_fringe_leaves_the_eyes_free(side):
    heights = np.linspace(-60.0, 120.0, 40)
    x = side * np.tile(np.linspace(-15.0, 90.0, 12), 40)
    y = np.repeat(heights, 12)
    hair = np.stack([x, y, 0 * x - 105.0], axis=1)
    skin = hair + np.array([0.0, 0.0, 12.0])
    rows = np.arange(len(hair) - 13)
    triangles = np.column_stack([rows, rows + 1, rows + 12])
    dresser = HairDresser(hair, skin, np.zeros((len(hair), 2)), triangles)
    swept = dresser.shape(hair, skin, replace(PLAIN, fringe=1.0), False)
    low, high = y > 50.0, y < -25.0
    assert (side * swept[low, 0] > 45.0).all()  # all to its own side, beside the pupils
    assert (swept[low, 2] >= hair[low, 2]).all()  # and back round the head
    np.testing.assert_allclose(swept[high], hair[high], atol=1e-4)


def test_most_fringes_are_swept_and_some_hang():
    amounts = np.array([spec.fringe for spec in _drawn(300)])
    assert 0.6 < (amounts > 0.7).mean() < 0.9 and (amounts < 0.15).any()


def test_long_hair_lies_before_the_shoulders_of_most_who_wear_it():
    long = [spec for spec in _drawn(600) if spec.style == "long01"]
    before = [spec for spec in long if spec.front > 0]
    assert len(long) > 60 and 0.6 < len(before) / len(long) < 0.9
    assert {spec.front_side for spec in before} == {-1, 0, 1}
    assert all(0.6 <= spec.front <= 1 for spec in before)
    assert not any(spec.front for spec in _drawn(300) if spec.style != "long01")


def test_children_are_neither_bald_nor_grey():
    young = [sample_hair(np.random.default_rng(n), 0.9, 0.2, False, False) for n in range(300)]
    assert not {"bald", "shaved"} & {spec.style for spec in young}
    assert not {"grey", "white"} & {spec.colour for spec in young}


def test_volume_length_and_parting(curtain):
    dresser, hair, skin = curtain
    wide = dresser.shape(hair, skin, replace(PLAIN, volume=1.4), False)
    assert wide[0, 2] == pytest.approx(1.4 * hair[0, 2], abs=1e-3)
    long = dresser.shape(hair, skin, replace(PLAIN, length=1.5), False)
    assert long[-1, 1] > hair[-1, 1] + 50
    np.testing.assert_allclose(long[hair[:, 1] < 60], hair[hair[:, 1] < 60], atol=1e-4)
    other = dresser.shape(hair, skin, replace(PLAIN, mirrored=True), False)
    np.testing.assert_allclose(other[:, 0], -hair[:, 0], atol=1e-4)


def test_curls_swing_by_their_strength(curtain):
    dresser, hair, skin = curtain
    curly = dresser.shape(hair, skin, replace(PLAIN, curl_mm=4.0), False) - hair
    assert 0.5 < np.abs(curly).max() <= 4.0
    np.testing.assert_allclose(curly[:, 1], 0, atol=1e-4)


def test_headphones_press_the_crown_only(curtain):
    dresser, hair, skin = curtain
    pressed = dresser.shape(hair, skin, PLAIN, True)
    away = np.linalg.norm(pressed - skin, axis=1)
    assert away[hair[:, 1] < 15].max() < 5.01
    np.testing.assert_allclose(pressed[hair[:, 1] > 50], hair[hair[:, 1] > 50], atol=1e-4)


def test_dyeing_takes_the_colour_and_keeps_the_strands():
    rng = np.random.default_rng(0)
    picture = rng.integers(40, 200, (64, 32, 4)).astype(np.uint8)
    picture[..., 3] = 255
    picture[:8, :, 3] = 0
    red = recoloured(picture, replace(PLAIN, rgb=(180, 40, 30)), 64)
    assert red.shape == picture.shape and red.dtype == np.uint8
    mean = red[8:, :, :3].reshape(-1, 3).mean(axis=0)
    assert mean[0] > 3 * mean[1] > 3 * 20
    assert (red[:8, :, 3] == 0).all() and (red[8:, :, 3] == 255).all()
    light = picture[8:, :, :3].mean(axis=2).ravel()
    assert np.corrcoef(light, red[8:, :, 0].ravel())[0, 1] > 0.7
    assert recoloured(picture, PLAIN, 32).shape == (32, 16, 4)
