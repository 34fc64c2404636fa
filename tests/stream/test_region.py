import numpy as np
import pytest

from stream.region import NodeGrid, Region, mix_in


def pictures(height, width):
    random = np.random.default_rng(height)
    return [random.integers(0, 256, (height, width, 3), np.uint8) for _ in range(2)]


@pytest.mark.parametrize("size", [(1, 1), (63, 5), (64, 64), (65, 40), (201, 77)])
def test_so_much_of_another_picture_is_mixed_in(size):
    picture, other = pictures(*size)
    share = np.random.default_rng(1).integers(0, 256, size, np.uint8)
    share[size[0] // 3 : size[0] // 2] = 0
    share[:, : size[1] // 3] = 255
    much = share[..., None] / 255
    wanted = picture * (1 - much) + other * much
    mix_in(picture, other, share)
    assert np.abs(picture - wanted).max() <= 1  # both parts are rounded
    assert (picture[share == 255] == other[share == 255]).all()


def test_a_part_of_a_picture_is_mixed_in_place_and_the_rest_stays():
    picture, other = pictures(150, 90)
    before, part = picture.copy(), np.s_[3:-5, 7:-2]
    share = np.zeros((142, 81), np.uint8)
    share[70:100, 20:60] = 255
    mix_in(picture[part], other[part], share)
    wanted = before.copy()
    wanted[73:103, 27:67] = other[73:103, 27:67]
    np.testing.assert_array_equal(picture, wanted)


def test_places_of_nodes_are_told_by_their_columns_and_rows():
    grid = NodeGrid(Region(30, 10, 130, 60), columns=21, rows=11)
    told = grid.nodes_at(grid.positions_px)
    np.testing.assert_allclose(told[..., 0], np.arange(21)[None].repeat(11, axis=0), atol=1e-4)
    np.testing.assert_allclose(told[..., 1], np.arange(11)[:, None].repeat(21, axis=1), atol=1e-4)
    np.testing.assert_allclose(grid.nodes_at(np.array([32.5, 12.5])), (0.5, 0.5))
