"""What shows beside shoulders while the head above them turns."""

import numpy as np

from stream.geometry import pinhole_camera
from stream.hair_depth import HeadDepth
from stream.pose import HeadMotion
from stream.region import NodeGrid, Region
from stream.still_outline import Turning, _continue_plain, show_beside
from tests.stream.far_surfaces import far_surface

WIDTH, HEIGHT = 320, 400
REGION = Region(10, 20, 10 + WIDTH, 20 + HEIGHT)
CAMERA = pinhole_camera(WIDTH + 40, HEIGHT + 40)
SHOULDERS, GUESS = 300, (90, 60, 40)  # their upper edge; colour of the plate around the person
BAND = 8  # pixels around the person that the plate guesses


def _depth(share):
    """A flat person, who follows a motion by so much in the lower part of the region."""
    grid = NodeGrid.over(REGION, 80)
    front = np.full((grid.rows, grid.columns), 600, np.float32)
    low = grid.positions_px[..., 1] - REGION.y0 > SHOULDERS - 60
    turn = np.where(low, share, 1).astype(np.float32)
    return HeadDepth(grid, front, turn, front, far_surface(grid, front, turn, turn, CAMERA))


def _scene(room=(180, 170, 160)):
    rng = np.random.default_rng(1)
    picture = np.clip(np.array(room) + rng.normal(0, 2, (HEIGHT, WIDTH, 3)), 0, 255)
    picture = picture.astype(np.uint8)
    plate = picture.copy()
    plate[SHOULDERS - BAND :] = GUESS
    picture[SHOULDERS:] = (30, 40, 90)
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[SHOULDERS:] = 255
    return picture, alpha, plate


def _shown(scene, share, yaw=0.3):
    picture, alpha, plate = scene
    plate = plate.copy()
    motion = HeadMotion(np.array([0.0, 0.0, 700.0]), np.array([0.0, yaw, 0.0]), np.zeros(3))
    show_beside(picture, alpha, plate, Turning.of(_depth(share), motion, CAMERA))
    return plate


def test_beside_shoulders_the_frame_shows_and_goes_on_where_they_uncover_it():
    scene = _scene()
    plate = _shown(scene, 0.02)
    np.testing.assert_array_equal(plate[SHOULDERS - 7, 160], scene[0][SHOULDERS - 7, 160])
    under = plate[SHOULDERS + 2, 60:260].astype(int)
    assert np.abs(under - scene[0][SHOULDERS - 7, 160]).max() < 20


def test_what_goes_on_ends_in_no_dark_marks():
    picture, guess = np.full((120, 120, 3), 200, np.uint8), np.full((120, 120, 3), 150, np.uint8)
    shows, within = np.zeros((120, 120), np.uint8), np.full((120, 120), 255, np.uint8)
    shows[:, :30] = 255
    _continue_plain(guess, picture, shows, within, step_px=4)
    assert (guess[:, :30] == 200).all()
    assert (guess[:, 80:] == 150).all()
    assert (np.diff(guess[..., 0].astype(int), axis=1) <= 1).all()  # one goes over into the other


def test_what_lies_deep_behind_them_stays_a_guess():
    plate = _shown(_scene(), 0.02)
    assert (plate[SHOULDERS + 80 :] == GUESS).all()


def test_a_patterned_room_is_shown_but_not_smeared_on():
    scene = _scene()
    scene[0][:SHOULDERS, ::8] = 20
    plate = _shown(scene, 0.02)
    np.testing.assert_array_equal(plate[SHOULDERS - 7, 160], scene[0][SHOULDERS - 7, 160])
    assert (plate[SHOULDERS + 2, 60:260] == GUESS).all()


def test_beside_what_turns_the_guess_stands():
    scene = _scene()
    np.testing.assert_array_equal(_shown(scene, 0.9), scene[2])


def test_where_nothing_moves_there_is_nothing_to_do():
    scene = _scene()
    np.testing.assert_array_equal(_shown(scene, 0.0)[SHOULDERS:], scene[2][SHOULDERS:])


def test_nobody_in_sight():
    picture, alpha, plate = _scene()
    scene = picture, np.zeros_like(alpha), plate
    np.testing.assert_array_equal(_shown(scene, 0.02), plate)
