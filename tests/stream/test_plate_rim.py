"""A guess behind a head that meets what shows beside it."""

import cv2
import numpy as np

from stream.plate_rim import RIM_STEP, fitted_to_rim

HEAD = cv2.circle(np.zeros((240, 320), np.uint8), (160, 120), 70, 255, -1)
COARSE = np.s_[::RIM_STEP, ::RIM_STEP]
GUESSED = HEAD[COARSE]
BESIDE = cv2.bitwise_not(cv2.dilate(HEAD, np.ones((9, 9), np.uint8)))[COARSE]


def plain(colour):
    return np.full((240, 320, 3), colour, np.uint8)


def ring(width_px):
    """(h, w) bool: the outermost pixels of the head."""
    inside = cv2.distanceTransform(HEAD, cv2.DIST_L2, 5)
    return (inside > 4) & (inside <= width_px)


def test_a_stale_guess_takes_the_tone_of_what_shows_and_keeps_its_own_farther_in():
    room, guess = plain((90, 100, 110)), plain((190, 200, 210))
    fitted = fitted_to_rim(guess, GUESSED, room, BESIDE).astype(int)
    assert np.abs(fitted[ring(14)] - room[0, 0]).mean() < 30
    middle = np.abs(fitted[120, 160] - room[0, 0]).mean()
    assert middle > 1.5 * np.abs(fitted[ring(14)] - room[0, 0]).mean()


def test_a_guess_that_fits_is_left_alone():
    room = plain((90, 100, 110))
    guess = plain((92, 99, 110))
    assert fitted_to_rim(guess, GUESSED, room, BESIDE) is guess


def test_what_is_remembered_stays():
    room, guess = plain((90, 100, 110)), plain((190, 200, 210))
    guessed = GUESSED.copy()
    guessed[:, : 160 // RIM_STEP] = 0
    fitted = fitted_to_rim(guess, guessed, room, BESIDE)
    assert (fitted[:, :144] == guess[:, :144]).all()
    assert (fitted[120, 220] != guess[120, 220]).any()


def test_lamps_beside_a_head_do_not_glow_into_the_guess():
    room, guess = plain(60), plain(60)
    room[np.arange(240) % 21 < 3] = 255
    lit = fitted_to_rim(guess, GUESSED, room, BESIDE).astype(int)
    assert np.abs(lit - guess).max() < 5


def test_hues_stay():
    red, white = plain((160, 30, 50)), plain((90, 90, 90))
    fitted = fitted_to_rim(red, GUESSED, white, BESIDE).astype(int)
    assert np.abs(fitted - red).max() < 20
