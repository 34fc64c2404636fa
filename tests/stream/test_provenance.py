from dataclasses import replace

import numpy as np
import pytest

from stream.gl import create_context
from stream.warp import Warp
from tests.stream.test_warp import REGION, _motion, _scene

SIDE = 128


@pytest.fixture(scope="module")
def warp():
    return Warp(create_context())


def told(warp, yaw, size=SIDE):
    camera, mesh, picture, plate = _scene()
    warp.draw(*picture, plate, REGION, mesh, _motion(yaw, (0, 0, 0)), camera)
    cover, doubt, rest = np.moveaxis(warp.provenance(size).astype(int), -1, 0)
    return cover, doubt, rest


def test_nothing_is_known_before_anything_was_drawn():
    with pytest.raises(ValueError, match="nothing was drawn"):
        Warp(create_context()).provenance()


def test_the_cover_is_where_the_head_was_drawn(warp):
    camera, mesh, picture, _ = _scene()
    nobody = np.zeros((REGION.height, REGION.width, 3), np.uint8)
    white = np.dstack([picture[1]] * 3)  # as white as the matte is dense, before black
    drawn = warp.draw(white, picture[1], nobody, REGION, mesh, _motion(0.3), camera)
    cover = warp.provenance(REGION.width)[..., 0].astype(int)
    assert cover.shape == (REGION.width, REGION.width)
    rows = (np.arange(REGION.width) + 0.5) * REGION.height / REGION.width
    seen = drawn[rows.astype(int), :, 0].astype(int)
    off = np.abs(cover - seen)[warp.provenance(REGION.width)[..., 2] == 0]
    assert off.mean() < 6  # edges, which are softened
    assert (off > 64).mean() < 0.02


def test_a_head_that_turns_shows_more_and_more_guesses(warp):
    shares = []
    for yaw in (0.1, 0.6, 0.9):
        cover, doubt, _ = told(warp, yaw)
        assert (doubt <= cover + 1).all()
        shares.append(doubt.sum() / cover.sum())
    assert shares[0] < 0.001
    assert 0.01 < shares[1] < 0.5 * shares[2]


def test_guesses_lie_on_the_side_that_comes_into_sight(warp):
    _, one, _ = told(warp, 0.5)
    _, other, _ = told(warp, -0.5)
    columns = np.arange(SIDE)
    centres = [(doubt.sum(axis=0) * columns).sum() / doubt.sum() for doubt in (one, other)]
    assert abs(centres[0] - centres[1]) > 0.25 * SIDE
    assert (centres[0] - SIDE / 2) * (centres[1] - SIDE / 2) < 0


def test_what_hardly_goes_with_the_head_is_no_guess(warp):
    camera, mesh, picture, plate = _scene()
    lazy = [replace(sheet, share=0.4 * sheet.share) for sheet in mesh.sheets]
    doubts = []
    for sheets, yaw in ((mesh.sheets, 0.8), (lazy, 2.0)):  # both are turned by as much
        moved = replace(mesh, sheets=tuple(sheets))
        warp.draw(*picture, plate, REGION, moved, _motion(yaw, (0, 0, 0)), camera)
        doubts.append(warp.provenance(SIDE)[..., 1].max())
    assert doubts[0] > 100
    assert doubts[1] == 0


def test_what_rests_is_covered_by_nothing(warp):
    cover, doubt, rest = told(warp, 0.4)
    assert set(np.unique(rest)) <= {0, 255}
    assert (cover[rest > 0] == 0).all()
    assert (doubt[rest > 0] == 0).all()


def test_telling_does_not_change_what_is_drawn_next(warp):
    camera, mesh, picture, plate = _scene()
    arguments = (*picture, plate, REGION, mesh, _motion(), camera)
    first = warp.draw(*arguments)
    once, small = warp.provenance(SIDE), warp.provenance(40)
    again = warp.provenance(SIDE)
    np.testing.assert_array_equal(once, again)
    assert small.shape == (40, 40, 3)
    assert abs(float(small.mean()) - float(once.mean())) < 4
    np.testing.assert_array_equal(warp.draw(*arguments), first)
