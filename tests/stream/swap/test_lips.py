"""Lips of the target in the source's colour."""

import cv2
import numpy as np
from swap_faces import SIZE, shaped

from stream.region import Region
from stream.swap.holes import INNER_LIPS, OUTER_LIPS
from stream.swap.lips import Lips

SKIN, RED, PALE, TEETH = (190, 140, 120), (170, 50, 60), (180, 120, 105), (200, 195, 190)
REGION = Region(0, 0, *SIZE)
OPEN = {"jawOpen": 0.6}


def face(shape, lips):
    picture = np.full((SIZE[1], SIZE[0], 3), SKIN, np.uint8)
    for part, colour in ((OUTER_LIPS, lips), (INNER_LIPS, TEETH)):
        cv2.fillPoly(picture, [np.round(shape.points_px[part]).astype(np.int32)], colour)
    return picture


def drawn_face(shape, lips):
    return np.dstack([face(shape, lips), np.full(SIZE[::-1], 255, np.uint8)])


def lower_lip(shape):
    return np.round(shape.points_px[[14, 17]].mean(axis=0)).astype(int)


def dyed(own, source, shape, hidden=None):
    under = face(shape, own)
    Lips()(under, drawn_face(shape, source), shape, REGION, hidden)
    return under


def redness(colour):
    red, green, _ = np.asarray(colour, float)
    return red / green


def test_lipstick_pales_on_who_wears_none_and_comes_with_who_does():
    shape, _ = shaped(expression=OPEN)
    x, y = lower_lip(shape)
    assert redness(dyed(RED, PALE, shape)[y, x]) < 0.85 * redness(RED)
    assert redness(dyed(PALE, RED, shape)[y, x]) > 1.2 * redness(PALE)


def test_teeth_and_skin_keep_their_colour():
    shape, _ = shaped(expression=OPEN)
    before, after = face(shape, RED), dyed(RED, PALE, shape)
    x, y = np.round(shape.points_px[[13, 14]].mean(axis=0)).astype(int)
    for place in ((y, x), tuple(np.round(shape.points_px[152]).astype(int)[::-1])):
        assert np.abs(before[place].astype(int) - after[place]).max() <= 2


def test_lips_of_one_colour_stay_as_they_are():
    shape, _ = shaped(expression=OPEN)
    before, after = face(shape, RED), dyed(RED, RED, shape)
    assert np.abs(before.astype(int) - after).max() <= 3


def test_lips_off_the_frame_are_no_matter():
    shape, _ = shaped(expression=OPEN)
    far = Region(0, 0, 40, 40)
    under = np.full((40, 40, 3), SKIN, np.uint8)
    Lips()(under, np.dstack([under, np.full((40, 40), 255, np.uint8)]), shape, far, None)
    assert (under == SKIN).all()


def test_a_hand_before_the_mouth_keeps_its_colour():
    shape, _ = shaped(expression=OPEN)
    hidden = np.full(SIZE[::-1], 255, np.uint8)
    assert (dyed(RED, PALE, shape, hidden) == face(shape, RED)).all()
