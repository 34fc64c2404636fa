"""Hair that falls before the shoulders."""

import numpy as np
import pytest

from training.synthetic.drape import Drape


@pytest.fixture(scope="module")
def scene():
    """Strands beside a head, from its front to its back, and a chest that bulges forwards."""
    z, y, side = np.meshgrid(np.linspace(-40, 80, 13), np.linspace(0, 400, 41), [-1.0, 1.0])
    hair = np.stack([80.0 * side.ravel(), y.ravel(), z.ravel() + 0.2 * y.ravel()], axis=1)
    number = np.arange(len(hair)).reshape(z.shape)  # (heights, strands, sides)
    quads = [
        np.stack([number[:-1, :-1], number[1:, :-1], number[:-1, 1:]], axis=-1),
        np.stack([number[1:, :-1], number[1:, 1:], number[:-1, 1:]], axis=-1),
    ]
    triangles = np.concatenate([quad.reshape(-1, 3) for quad in quads])
    x, down = np.meshgrid(np.linspace(-210, 210, 43), np.linspace(140, 620, 49))
    skin = np.stack([x.ravel(), down.ravel(), _chest_z(x, down).ravel()], axis=1)
    return Drape(hair, triangles, skin), hair, triangles, skin


def _chest_z(x, y):
    return -20.0 - 0.15 * (y - 140.0) + 0.001 * x * x


def test_none_is_moved_unless_asked_for(scene):
    drape, hair, triangles, skin = scene
    share = drape.share(0.0, 0)
    assert not share.any()
    np.testing.assert_array_equal(drape.lay(hair, skin, share), hair)
    assert drape.whole(triangles, share).all()


@pytest.mark.parametrize("side", [-1, 0, 1])
def test_front_strands_come_to_lie_on_the_chest(scene, side):
    drape, hair, _, skin = scene
    share = drape.share(0.8, side)
    laid = drape.lay(hair, skin, share)
    moved = share > 0
    assert moved.any() and (side == 0 or (np.sign(hair[moved, 0]) == side).all())
    np.testing.assert_array_equal(laid[~moved], hair[~moved])
    np.testing.assert_array_equal(laid[hair[:, 1] < 60], hair[hair[:, 1] < 60])
    low = moved & (hair[:, 1] > 180)
    x, y, z = laid[low].T
    before = _chest_z(x, y) - z
    assert before.min() > 12 and before.max() < 60  # over the clothes, and not in the air
    assert (np.sign(x) == np.sign(hair[low, 0])).all() and np.abs(x).max() < 140


def test_whole_strands_are_moved_the_foremost_first(scene):
    drape, hair, _, _ = scene
    few, many = drape.share(0.4, 0), drape.share(1.0, 0)
    assert 0 < few.sum() < many.sum() < 0.8 * (hair[:, 1] > 60).sum()
    assert (many >= few).all()
    strand = hair[:, 2] - 0.2 * hair[:, 1]  # what it was made with
    hanging = hair[:, 1] > 60
    assert strand[(few > 0) & hanging].max() <= strand[(few == 0) & hanging].min() + 1e-6


def test_nothing_is_stretched_between_front_and_back(scene):
    drape, hair, triangles, skin = scene
    share = drape.share(0.8, 0)
    kept = drape.whole(triangles, share)
    assert 0.9 < kept.mean() < 1.0
    laid = drape.lay(hair, skin, share)[triangles[kept]]
    edge = np.linalg.norm(laid - np.roll(laid, 1, axis=1), axis=2)
    assert edge.max() < 60
