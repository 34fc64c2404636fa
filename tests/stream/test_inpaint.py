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


def test_grain_goes_on_without_the_edge_of_the_hole():
    rng = np.random.default_rng(3)
    side = 6 * SIZE  # so that grain is finer than what pieces are fitted on
    truth = np.clip(120 + rng.normal(0, 8, (side, side, 3)), 0, 255).astype(np.uint8)
    pierced, hidden = holed(truth, *(6 * np.array([50, 110, 55, 105])))
    filled = complete(pierced, hidden).astype(float)
    inside = hidden > 0
    fine = filled - cv2.GaussianBlur(filled, (0, 0), 1.5)
    assert fine[inside].std() > 0.6 * fine[~inside].std()
    rim = inside & (cv2.erode(hidden, np.ones((5, 5), np.uint8)) == 0)
    assert abs(filled[rim].mean() - 120) < 3


def test_a_thing_at_the_rim_ends_within_its_own_width():
    truth = np.full((SIZE, SIZE, 3), 60, np.uint8)
    truth[70:80, 105:130] = 255  # a lamp that meets the hole
    pierced, hidden = holed(truth)
    filled = complete(pierced, hidden).astype(float)
    beside = hidden > 0
    beside[66:84] = False
    assert filled[beside].max() < 90


def test_a_fill_that_fits_is_hardly_changed():
    pierced, hidden = holed(rough_room(SIZE, SIZE))
    first = complete(pierced, hidden)
    np.testing.assert_array_equal(complete(pierced, hidden), first)
    again = complete(first, hidden, begun=True)
    moved = np.abs(again.astype(float) - first)[hidden > 0].mean()
    other = np.abs(pierced.astype(float) - first)[hidden > 0].mean()
    assert moved < 0.15 * other


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


def test_a_pattern_beside_a_plain_wall_is_not_copied_onto_the_wall():
    truth = stripes("across")
    truth[:, : SIZE // 2] = (110, 100, 95)
    pierced, hidden = holed(truth, left=45, right=115)
    filled = complete(pierced, hidden).astype(float)
    wall = np.zeros(hidden.shape, bool)
    wall[50:110, 45:65] = True  # of the hole, what is nearest to the wall
    assert np.abs(filled - truth)[wall].mean() < 8
    assert filled[60:100, 100:114].std() > 20  # the pattern carries on at its own side
