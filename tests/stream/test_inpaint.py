import cv2
import numpy as np
import pytest
from scenes import rough_room

from stream.inpaint import complete

SIZE = 160


def holed(picture, top=50, bottom=110, left=55, right=105):
    hidden = np.zeros(picture.shape[:2], np.uint8)
    hidden[top:bottom, left:right] = 255
    pierced = picture.copy()
    pierced[hidden > 0] = 0
    return pierced, hidden


def stripes(direction):
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    phase = rows if direction == "across" else columns if direction == "down" else rows + columns
    band = (phase // 10 % 2)[..., None]
    return (band * np.array([150, 90, 60]) + 50).astype(np.uint8)


@pytest.mark.parametrize("direction", ["across", "down", "slanting"])
def test_lines_go_on_behind_the_hole(direction):
    truth = stripes(direction)
    pierced, hidden = holed(truth)
    error = np.abs(complete(pierced, hidden).astype(float) - truth)[hidden > 0].mean()
    assert error < 12  # a flat fill: 50


def test_what_is_known_stays():
    truth = rough_room(SIZE, SIZE)
    pierced, hidden = holed(truth)
    filled = complete(pierced, hidden)
    np.testing.assert_array_equal(filled[hidden == 0], truth[hidden == 0])
    assert filled.dtype == np.uint8


def test_where_nothing_repeats_no_things_are_copied_but_fine_texture_stays():
    truth = rough_room(SIZE, SIZE)
    pierced, hidden = holed(truth)
    filled = complete(pierced, hidden)
    inside = cv2.erode(hidden, np.ones((9, 9), np.uint8)) > 0
    coarse = cv2.GaussianBlur(filled, (0, 0), 6).astype(float)
    assert coarse[inside].std() < 0.5 * cv2.GaussianBlur(truth, (0, 0), 6)[hidden == 0].std()
    fine = np.abs(filled - cv2.GaussianBlur(filled, (0, 0), 1.5).astype(float))
    assert np.median(fine[inside]) > 0.15 * np.median(fine[hidden == 0])


def test_nothing_is_copied_from_what_is_doubtful():
    truth = stripes("across")
    pierced, hidden = holed(truth)
    doubtful = np.zeros_like(hidden)
    doubtful[20:50] = 255
    pierced[20:50] = (255, 0, 255)
    filled = complete(pierced, hidden, doubtful).astype(int)
    purple = (np.abs(filled - (255, 0, 255)).sum(-1) < 60) & (hidden > 0)
    assert purple[55:].mean() < 0.002  # at the rim it may fade in


def test_a_plain_wall_gets_no_steps():
    truth = np.broadcast_to(np.linspace(90, 200, SIZE)[None, :, None], (SIZE, SIZE, 3)).astype(
        np.uint8
    )
    pierced, hidden = holed(truth)
    filled = complete(pierced, hidden).astype(float)
    assert np.abs(filled - truth)[hidden > 0].mean() < 6
    assert np.abs(np.diff(filled, axis=0)).max() < 12


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (33, 40), (40, 300), (500, 64), (97, 131)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.97, 1.0])
def test_any_size_and_any_share_of_hole(shape, share):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    hidden = (np.arange(shape[0])[:, None] < share * shape[0]) * np.ones(shape)
    filled = complete(picture, hidden.astype(np.uint8))
    assert filled.shape == picture.shape
    np.testing.assert_array_equal(filled[hidden == 0], picture[hidden == 0])


def test_the_same_question_gets_the_same_answer():
    pierced, hidden = holed(rough_room(SIZE, SIZE))
    np.testing.assert_array_equal(complete(pierced, hidden), complete(pierced, hidden))


def test_a_pattern_beside_a_plain_wall_is_not_copied_onto_the_wall():
    truth = stripes("across")
    truth[:, : SIZE // 2] = (110, 100, 95)
    pierced, hidden = holed(truth, left=45, right=115)
    filled = complete(pierced, hidden).astype(float)
    wall = np.zeros(hidden.shape, bool)
    wall[50:110, 45:65] = True  # of the hole, what is nearest to the wall
    assert np.abs(filled - truth)[wall].mean() < 8
    assert filled[60:100, 100:114].std() > 20  # the pattern carries on at its own side
