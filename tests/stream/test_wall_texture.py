"""Texture without shapes goes on into a fill; shapes do not."""

import cv2
import numpy as np
import pytest

from stream.inpaint import complete
from stream.wall_texture import with_texture

SIZE = (240, 320)
HOLE = np.zeros(SIZE, np.uint8)
cv2.ellipse(HOLE, (160, 140), (70, 90), 0, 0, 360, 1, -1)


def plaster():
    noise = np.random.default_rng(3).normal(0, 1, SIZE).astype(np.float32)
    rough = cv2.GaussianBlur(noise, (0, 0), 1.2)
    grey = 190 + 9 * rough / rough.std() + np.linspace(-15, 15, SIZE[1])  # light from one side
    return np.uint8(np.clip(np.dstack([grey] * 3), 0, 255))


def stripes():
    waves = 128 + 90 * np.sign(np.sin(np.arange(SIZE[1]) / 9))
    return np.uint8(np.tile(waves[None, :, None], (SIZE[0], 1, 3)))


def rim(px):
    return (cv2.erode(HOLE, np.ones((2 * px + 1, 2 * px + 1))) == 0) & (HOLE > 0)


def roughness(picture, where):
    grey = picture[..., 0].astype(np.float32)
    return (grey - cv2.GaussianBlur(grey, (0, 0), 4))[where].std()


def test_a_rough_wall_stays_rough_where_it_was_hidden():
    wall = plaster()
    holed = np.where(HOLE[..., None] > 0, 0, wall)
    done = complete(np.uint8(holed), HOLE)
    assert 0.75 < roughness(done, rim(15)) / roughness(wall, HOLE == 0) < 1.25
    np.testing.assert_array_equal(done[HOLE == 0], wall[HOLE == 0])


def test_texture_is_not_the_same_along_a_row():
    done = complete(np.uint8(np.where(HOLE[..., None] > 0, 0, plaster())), HOLE)[..., 0]
    beside = np.abs(np.diff(done.astype(float), axis=1))
    assert np.median(beside[:, 1:][rim(15)[:, 2:]]) > 0.6 * np.median(beside[:, :80])


@pytest.mark.parametrize("picture", [stripes(), np.full((*SIZE, 3), 130, np.uint8)])
def test_shapes_and_plain_walls_are_left_alone(picture):
    filled = picture.astype(np.float32)
    assert with_texture(filled, picture, HOLE) is filled


def test_where_nothing_is_known_nothing_changes():
    filled = plaster().astype(np.float32)
    assert with_texture(filled, plaster(), np.ones(SIZE, np.uint8)) is filled


def test_light_goes_on_as_it_was_filled():
    wall = plaster()
    calm = cv2.GaussianBlur(wall, (0, 0), 12).astype(np.float32)
    done = with_texture(calm, np.uint8(np.where(HOLE[..., None] > 0, 0, wall)), HOLE)
    off = cv2.GaussianBlur(done - calm, (0, 0), 12)
    assert np.abs(off[HOLE > 0]).max() < 3
