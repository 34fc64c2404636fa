"""The shader that draws faces, against its twin in numpy, and the folds that it adds."""

import numpy as np
import pytest
from swap_faces import MODEL, SIZE, shaped

from stream.gl import create_context
from stream.region import Region
from stream.swap.detail import DETAIL_RANGE
from stream.swap.draw import FaceDrawer, Look, drawn_colours
from stream.swap.tension import fold_levels


def none(size):
    return np.full((size, size, 2), 128, np.uint8)


WHOLE = np.ones(len(MODEL.vertices), np.float32)
REGION = Region(0, 0, *SIZE)


@pytest.fixture
def drawer():
    made = FaceDrawer(create_context(), MODEL)
    yield made
    made.release()


def light(gain, added, bare):
    row = np.array([*gain, *added, *bare], np.float32)
    return np.tile(row, (len(MODEL.vertices), 1))


@pytest.mark.parametrize("colour", [(200, 160, 140), (90, 70, 60), (40, 25, 20), (150, 60, 70)])
@pytest.mark.parametrize("squeeze", [0.0, 0.8])
def test_the_shader_does_what_its_twin_says(drawer, colour, squeeze):
    lit = light((0.7, 0.8, 0.9), (0.05, 0.04, 0.03), np.array([190, 150, 130]) / 255)
    texture = np.full((64, 64, 3), colour, np.uint8)
    drawer.add_texture(0, texture, np.full((64, 64), 128, np.uint8), none(64))
    shape, _ = shaped()
    drawn = drawer.draw(0, shape, lit, WHOLE, REGION, Look(squeeze=squeeze))
    inside = drawn[..., 3] == 255
    assert inside.sum() > 5000
    wanted = drawn_colours(texture[:1, 0].astype(np.float32), lit[:1], squeeze)[0]
    # Worst seen: 0.5, by rounding.
    assert np.abs(drawn[inside][:, :3] - wanted).max() < 1.5


def test_folds_are_drawn_as_far_as_they_shall(drawer):
    lit = light((1, 1, 1), (0, 0, 0), np.array([200, 160, 140]) / 255)
    texture = np.full((64, 64, 3), (200, 160, 140), np.uint8)
    drawer.add_texture(0, texture, fold_levels(np.full((64, 64), -0.3, np.float32)), none(64))
    shape, _ = shaped()
    levels = []
    for folded in (0.0, 0.5, 1.0):
        drawn = drawer.draw(0, shape, lit, WHOLE, REGION, folded=folded * WHOLE)
        levels.append(drawn[drawn[..., 3] == 255][:, 1].mean())
    wanted = 160 * np.exp([0, -0.15, -0.3])
    assert levels == pytest.approx(wanted, abs=2.5)


def test_a_fold_is_redder_than_the_skin_beside_it(drawer):
    lit = light((1, 1, 1), (0, 0, 0), np.array([200, 160, 140]) / 255)
    texture = np.full((64, 64, 3), (200, 160, 140), np.uint8)
    drawer.add_texture(0, texture, fold_levels(np.full((64, 64), -0.3, np.float32)), none(64))
    shape, _ = shaped()
    drawn = drawer.draw(0, shape, lit, WHOLE, REGION, folded=WHOLE)
    red, green, blue = drawn[drawn[..., 3] == 255][:, :3].mean(axis=0) / (200, 160, 140)
    assert red > green + 0.03 > blue + 0.06


def test_detail_is_drawn_with_the_gains_of_its_bands(drawer):
    lit = light((1, 1, 1), (0, 0, 0), np.array([160, 160, 160]) / 255)
    bands = none(64)
    bands[..., 0], bands[..., 1] = 128 - 51, 128 + 26  # log brightness −0.2 and +0.1
    texture = np.full((64, 64, 3), 160, np.uint8)
    drawer.add_texture(0, texture, np.full((64, 64), 128, np.uint8), bands)
    shape, _ = shaped()
    for gains, change in (((1, 1), 0.0), ((0, 1), 0.2), ((1, 0.5), -0.05)):
        drawn = drawer.draw(0, shape, lit, WHOLE, REGION, Look(detail=gains))
        level = drawn[drawn[..., 3] == 255][:, 1].mean()
        assert level == pytest.approx(160 * np.exp(change * DETAIL_RANGE), abs=2)


def test_skin_at_a_grazing_angle_keeps_detail(drawer):
    rng = np.random.default_rng(1)
    texture = rng.integers(90, 200, (1024, 1024, 1)).repeat(3, 2).astype(np.uint8)
    drawer.add_texture(0, texture, np.full((1024, 1024), 128, np.uint8), none(1024))
    lit = light((1, 1, 1), (0, 0, 0), (0.55, 0.55, 0.55))
    shape, _ = shaped(yaw=50)
    sharp = drawer.draw(0, shape, lit, WHOLE, REGION)
    drawer._program["grazing"].value = 0.0
    soft = drawer.draw(0, shape, lit, WHOLE, REGION)
    inside = soft[..., 3] == 255
    assert sharp[inside][:, 0].std() > 1.05 * soft[inside][:, 0].std()
