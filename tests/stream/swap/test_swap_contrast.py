"""How deep the darks of a face are, and how far those of a source are squeezed into them."""

import cv2
import numpy as np
import pytest
from swap_faces import SIZE, face_of, head, shaped

from stream.swap.contrast import Darks, depth_of_darks
from stream.swap.holes import EYES
from stream.swap.shape import EYES_MM

ONE = head()
POINTS = face_of(ONE).points_px[:, :2]
EYES_PX = EYES_MM * ONE.camera[0, 0] / 700


def picture(skin, dark, points=POINTS):
    pixels = np.full((SIZE[1], SIZE[0], 3), skin, np.uint8)
    for eye in EYES:
        cv2.fillPoly(pixels, [np.round(points[eye]).astype(np.int32)], (dark,) * 3)
    return pixels


def test_depth_is_the_logarithm_of_skin_over_dark():
    found = depth_of_darks(picture(150, 40), POINTS, EYES_PX)
    assert found == pytest.approx(np.log(154 / 44), abs=0.2)  # the blur takes some
    assert depth_of_darks(picture(150, 90), POINTS, EYES_PX) < 0.6


def test_shut_eyes_tiny_faces_and_eyes_off_the_picture_say_nothing():
    shut = POINTS.copy()
    for eye in EYES:
        shut[eye, 1] = shut[eye, 1].mean()
    assert depth_of_darks(picture(150, 40), shut, EYES_PX) is None
    assert depth_of_darks(picture(150, 40), POINTS, 5.0) is None
    assert depth_of_darks(picture(150, 40), POINTS + 2000, EYES_PX) is None


def test_what_is_as_dark_as_the_sources_eyes_becomes_as_dark_as_the_targets():
    shape, _ = shaped()
    pixels = picture(150, 60, shape.tracked_px)
    own = depth_of_darks(pixels, shape.tracked_px, shape.eyes_px)
    squeeze = Darks()(pixels, shape, 1.5)
    assert 1.5 / (1 + squeeze * 1.5) == pytest.approx(own, abs=1e-6)
    assert 0.1 / (1 + squeeze * 0.1) > 0.08  # what hardly differs from skin hardly changes


def test_a_wink_is_no_change_of_light():
    shape, _ = shaped()
    darks = Darks()
    first = darks(picture(150, 90, shape.tracked_px), shape, 1.5)
    for eye in EYES:
        shape.tracked_px[eye, 1] = shape.tracked_px[eye, 1].mean()
    assert darks(picture(150, 150), shape, 1.5) == first


def test_darks_follow_slowly():
    shape, _ = shaped()
    darks = Darks()
    first = darks(picture(150, 60, shape.tracked_px), shape, 1.5)
    for _ in range(4):
        later = darks(picture(150, 30, shape.tracked_px), shape, 1.5)
    assert 0.3 * first < later < first
