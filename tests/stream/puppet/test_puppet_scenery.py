import cv2
import numpy as np
import pytest

from stream.puppet.layers import background_at_rest, moving_layer
from stream.puppet.scenery import parted_from_scenery
from stream.sight import BACKGROUND, BODY, Sight

SIZE, CENTRE, RADIUS = 200, (100, 100), 55
HAIR, TALL = (60, 50, 45), 12
PX_MM = 1.0


def away_px():
    y, x = np.indices((SIZE, SIZE))
    return np.hypot(x - CENTRE[0], y - CENTRE[1])


def head_before(scenery):
    """Dark hair before scenery, and a matte whose soft edge is 10 pixels too wide."""
    rng = np.random.default_rng(3)
    picture = scenery.copy()
    cv2.circle(picture, CENTRE, RADIUS, HAIR, -1, cv2.LINE_AA)
    picture = np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
    share = np.clip((RADIUS + TALL - away_px()) / 6, 0, 0.75)
    share[away_px() < RADIUS] = 1
    return picture, np.rint(255 * share).astype(np.uint8)


def window():
    """Bright and coloured, in bars."""
    scenery = np.full((SIZE, SIZE, 3), (150, 200, 190), np.uint8)
    scenery[:, ::14] = scenery[:, 1::14] = (120, 60, 50)
    return scenery


def sight(**labels):
    named = {"background": BACKGROUND, "cloth": BODY}
    shares = np.zeros((9, SIZE, SIZE), np.float32)
    for name, share in labels.items():
        shares[named[name]] = share
    square = np.zeros((SIZE, SIZE, 3), np.uint8)
    return Sight(square, np.ones((SIZE, SIZE), np.float32), shares if labels else None)


BESIDE = (away_px() > RADIUS + 3) & (away_px() < RADIUS + TALL)
INSIDE = away_px() < RADIUS - 3


@pytest.mark.parametrize("seen", [sight(), sight(background=(away_px() > RADIUS).astype(float))])
def test_scenery_beside_a_head_is_taken_out_of_its_matte(seen):
    picture, matte = head_before(window())
    parted = parted_from_scenery(picture, matte, seen, PX_MM)
    assert matte[BESIDE].mean() > 120
    assert parted.matte[BESIDE].mean() < 15
    assert parted.matte[INSIDE].mean() > 250
    assert (parted.matte <= matte).all()


def test_the_edge_that_is_left_is_no_step():
    picture, matte = head_before(window())
    edge = parted_from_scenery(picture, matte, sight(), PX_MM).matte[CENTRE[1]].astype(int)
    assert np.abs(np.diff(edge)).max() < 150


def test_scenery_of_the_colour_of_the_head_cannot_be_told_from_it():
    dark = np.full((SIZE, SIZE, 3), HAIR, np.uint8)
    picture, matte = head_before(dark)
    parted = parted_from_scenery(picture, matte, sight(), PX_MM)
    assert parted.matte[BESIDE].mean() > 0.9 * matte[BESIDE].mean()
    told = sight(background=(away_px() > RADIUS).astype(float))
    assert parted_from_scenery(picture, matte, told, PX_MM).matte[BESIDE].mean() < 30


def test_clothes_are_left_as_they_are():
    picture, matte = head_before(window())
    cloth = np.zeros((SIZE, SIZE))
    cloth[SIZE // 2 :] = 1
    parted = parted_from_scenery(
        picture, matte, sight(cloth=cloth, background=(away_px() > RADIUS) * (1 - cloth)), PX_MM
    ).matte
    lower, upper = np.zeros((2, SIZE, SIZE), bool)
    lower[110:], upper[:90] = True, True
    assert (parted[lower] == matte[lower]).all()
    assert parted[BESIDE & upper].mean() < 15


def test_loose_hair_is_not_seen_as_scenery():
    picture, matte = head_before(window())
    cv2.line(picture, (100, 40), (100, 30), HAIR, 2)
    parted = parted_from_scenery(picture, matte, sight(), PX_MM)
    assert parted.hidden[36:44, 99:101].min() > 60
    far = (away_px() > RADIUS + 8) & (np.abs(np.indices((SIZE, SIZE))[1] - 100) > 20)
    assert (parted.hidden[far] == 0).mean() > 0.9
    assert (parted.hidden >= parted.matte).all()


def test_mixed_pixels_have_the_colour_of_the_head_and_odd_ones_their_own():
    picture, matte = head_before(np.full((SIZE, SIZE, 3), (150, 200, 190), np.uint8))
    picture[40:44, 98:102] = np.add(HAIR, (150, 200, 190)) // 2  # half hair, half scenery
    picture[98:102, 40:44] = (220, 30, 30)
    parted = parted_from_scenery(picture, matte, sight(), PX_MM)
    assert np.abs(parted.own[41:43, 99:101].astype(int) - HAIR).max() < 15
    assert np.abs(parted.own[99:101, 41:43].astype(int) - (220, 30, 30)).max() < 15
    assert (parted.own[~parted.asked] == picture[~parted.asked]).all()


def test_a_wrong_background_does_not_colour_the_layer_that_moves():
    picture, matte = head_before(window())
    parted = parted_from_scenery(picture, matte, sight(), PX_MM)
    red = np.full_like(picture, (190, 60, 60))  # guessed: what it really hides is a window
    layer = moving_layer(picture, parted.matte, red, parted.own)
    naive = moving_layer(picture, matte, red, picture)
    tinted = [
        float((part[BESIDE][:, 1].astype(int) - part[BESIDE][:, 0]).mean())
        for part in (naive, layer)
    ]
    assert tinted[0] > 15 and abs(tinted[1]) < 4
    at_rest = background_at_rest(picture, layer, parted.background(red))
    shown = layer[..., :3] + (1 - layer[..., 3:] / 255.0) * at_rest
    assert np.abs(shown - picture).max() <= 1


def test_a_picture_without_scenery_stays_as_it_is():
    picture, _ = head_before(window())
    full = np.full((SIZE, SIZE), 255, np.uint8)
    parted = parted_from_scenery(picture, full, sight(), PX_MM)
    assert (parted.matte == 255).all() and (parted.hidden == 255).all()
    assert not parted.asked.any()
    assert (parted.background(window()) == window()).all()
