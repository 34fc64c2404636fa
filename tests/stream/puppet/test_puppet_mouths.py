"""The inside of a puppet's mouth, seen and painted."""

import cv2
import numpy as np
import pytest

from stream.puppet.grain import blur_px
from stream.puppet.inside import eye_white, mouth_pictures, seen_teeth
from stream.puppet.painted import MouthPart, mouth_look, painted_mouth

RNG = np.random.default_rng(5)


def mouth_border(gap):
    x = np.linspace(40, 120, 21)
    bow = np.sin(np.pi * (x - 40) / 80)
    upper, lower = np.stack([x, 80 - gap / 2 * bow], 1), np.stack([x, 80 + gap / 2 * bow], 1)
    return np.concatenate([upper, lower[-2:0:-1]])


def test_shut_mouth_gets_teeth_in_the_light_of_the_face():
    picture = np.full((240, 160, 3), (190, 140, 120), np.uint8)
    bright, dark = (
        mouth_pictures(
            picture, mouth_border(0.0), 1.6, mouth_look(np.array(skin), None, None, 1), True
        )
        for skin in ((210.0, 170, 150), (60.0, 48, 42))
    )
    (jaw, window), (lower, _), (skull, same) = bright
    assert window == same
    assert jaw.shape == lower.shape == skull.shape == (window.height, window.width, 4)
    assert (jaw[..., 3] == 255).all()
    x, y = 80 - window.x0, 80 - window.y0
    tooth = skull[y - 2, x + 5]
    assert tooth[3] == 255
    assert tooth[:3].min() > 120
    assert skull[y + 12, x, 3] == 0  # below the upper teeth one looks past them
    assert jaw[y + 12, x, :3].mean() < tooth[:3].mean()
    assert dark[2][0][y - 2, x + 5, :3].mean() < 0.6 * tooth[:3].mean()


def test_open_mouth_keeps_what_the_photo_shows():
    picture = np.repeat(RNG.integers(60, 220, (240, 160, 1), dtype=np.uint8), 3, axis=2)
    border = mouth_border(24.0)
    look = mouth_look(np.full(3, 150.0), None, np.full(3, 170.0), 1)
    _, (_, window), (skull, _), (own, _) = mouth_pictures(picture, border, 1.6, look, False)
    x, y = 80 - window.x0, 80 - window.y0
    inside = np.s_[y - 8 : y + 9, x - 12 : x + 13]
    assert (skull[inside][..., :3] == window.crop(picture)[inside]).all()
    assert (skull[inside][..., 3] == 255).all()
    assert skull[-3, x, 3] == own[-3, x, 3] == 0
    assert (own[inside] == skull[inside]).all()


def test_what_is_no_teeth_does_not_hang_in_a_mouth_that_opens_wide():
    picture, border = open_mouth((60, 20, 20))
    look = mouth_look(np.array([190.0, 140, 120]), None, None, 1)
    shut = mouth_pictures(picture, border, 1.6, look, True)
    _, (_, window), (skull, _), (own, _) = mouth_pictures(picture, border, 1.6, look, False)
    assert (skull == shut[2][0]).all()
    x, y = 80 - window.x0, 80 - window.y0
    assert (own[y, x] == (60, 20, 20, 255)).all()


def open_mouth(colour):
    """A face with an open mouth that shows a colour between red lips."""
    picture = np.full((240, 160, 3), (190, 140, 120), np.uint8)
    border = mouth_border(24.0)
    cv2.fillPoly(picture, [np.rint(border).astype(np.int32)], colour)
    cv2.polylines(picture, [np.rint(border).astype(np.int32)], True, (170, 70, 70), 3)
    return picture, border


def test_teeth_have_the_colour_that_the_photo_shows():
    skin = np.array([190.0, 140, 120])
    picture, border = open_mouth((231, 224, 190))
    teeth = seen_teeth(picture, border, skin)
    assert teeth == pytest.approx([231, 224, 190], abs=4)
    assert (mouth_look(skin, None, teeth, 1).tooth == teeth).all()
    dark, border = open_mouth((60, 20, 20))
    assert seen_teeth(dark, border, skin) is None


def test_no_lip_stays_on_the_teeth_when_it_leaves_them():
    picture, border = open_mouth((231, 224, 190))
    look = mouth_look(np.array([190.0, 140, 120]), None, np.array([231.0, 224, 190]), 1)
    _, (_, window), (skull, _), _ = mouth_pictures(picture, border, 1.6, look, False)
    shown = skull[..., 3] > 250
    x, y = 80 - window.x0, 80 - window.y0
    teeth = skull[y - 4 : y + 22, x - 15 : x + 16][shown[y - 4 : y + 22, x - 15 : x + 16]]
    assert len(teeth) > 300
    assert (teeth[:, 0].astype(int) - teeth[:, 1] < 20).mean() > 0.99


def test_white_of_the_eyes_tells_the_light_on_teeth():
    skin = np.array([190.0, 150, 110])
    plain, warm = (
        mouth_look(skin, white, None, 1).tooth
        for white in (np.full(3, 200.0), np.array([200.0, 170, 90]))
    )
    assert warm[2] / warm[0] < 0.75 * plain[2] / plain[0]
    red, none = (
        mouth_look(skin, white, None, 1).tooth for white in (np.array([90.0, 50, 45]), None)
    )
    assert red == pytest.approx(none, rel=0.1)  # in the shadow of lids they tell nothing
    picture = np.full((120, 160, 3), (190, 150, 110), np.uint8)
    turn = np.linspace(0, 2 * np.pi, 17)[:16]
    border = np.stack([80 + 40 * np.cos(turn), 60 + 16 * np.sin(turn)], axis=1)
    cv2.fillPoly(picture, [np.rint(border).astype(np.int32)], (214, 205, 190))
    cv2.circle(picture, (80, 60), 12, (70, 50, 30), -1)
    iris = np.array([[80.0, 60], [92, 60], [80, 72], [68, 60], [80, 48]])
    assert eye_white(picture, border, iris) == pytest.approx([214, 205, 190], abs=3)
    shut = np.column_stack([border[:, 0], 60 + 0.02 * (border[:, 1] - 60)])
    assert eye_white(picture, shut, iris) is None


def test_teeth_are_never_blue_where_the_skin_is_not():
    skin = np.array([200.0, 160, 130])
    tooth = mouth_look(skin, np.array([170.0, 185, 200]), None, 1).tooth
    assert tooth[2] <= tooth[0]
    blue = np.array([90.0, 120, 200])  # on a stage in blue light they are
    lit = mouth_look(blue, np.array([120.0, 150, 230]), None, 1).tooth
    assert lit[2] > lit[0]


def test_a_blurred_photo_gets_a_blurred_mouth():
    sharp = RNG.integers(0, 2, (20, 20)).astype(np.uint8) * 200
    sharp = cv2.cvtColor(np.kron(sharp, np.ones((20, 20), np.uint8)), cv2.COLOR_GRAY2RGB)
    points = np.zeros((478, 2))
    points[33], points[263], points[10], points[152] = (60, 200), (340, 200), (200, 5), (200, 395)
    assert blur_px(sharp, points) < 0.7
    for sigma in (2.0, 4.0):
        told = blur_px(cv2.GaussianBlur(sharp, (0, 0), sigma), points)
        assert told == pytest.approx(sigma, rel=0.2)
    assert blur_px(np.full_like(sharp, 90), points) == 0
    skin, steps = np.array([190.0, 140, 120]), []
    for told in (0.3, 4.0):
        look = mouth_look(skin, None, None, 7, told)
        teeth = painted_mouth((60, 100), np.array([[20.0, 30], [80, 30]]), 1.5, look,
                              MouthPart.UPPER_TEETH)  # fmt: skip
        steps.append(np.abs(np.diff(teeth[..., 1], axis=0)).max())
    assert steps[1] < 0.4 * steps[0]


def test_mouths_differ_and_darken_towards_their_corners():
    skin = np.array([200.0, 160, 140])
    ends = np.array([[60.0, 100], [140, 100]])
    rows = [
        painted_mouth(
            (200, 200), ends, 1.6, mouth_look(skin, None, None, who), MouthPart.UPPER_TEETH
        )
        for who in (1, 1, 2)
    ]
    assert (rows[0] == rows[1]).all()
    assert np.abs(rows[0] - rows[2]).max() > 40
    line = rows[0][99, :, :3].mean(axis=1)
    assert line[95:106].mean() > 1.6 * line[65:70].mean()
