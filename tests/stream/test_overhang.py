import numpy as np
import pytest

from stream.mesh import build_mesh
from stream.overhang import Overhang
from stream.sight import FACE, HAIR, Sight
from stream.symmetry import with_mirror_half
from tests.stream.test_mesh import (
    CAMERA,
    GRID,
    PICTURE,
    mock_depth,
    mock_head,
    mock_matte,
    motion_of,
)


def mock_sight(hair_from=1.0, hair_to=1.0):
    """A face, with hair between two shares of the crop's width."""
    labels = np.zeros((9, 256, 256), np.float32)
    labels[FACE] = 1
    columns = np.s_[:, round(256 * hair_from) : round(256 * hair_to)]
    labels[HAIR][columns], labels[FACE][columns] = 1, 0
    return Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32), labels)


def mirror_of(sight, overhang=None, curved=0.0, angle=0.4):
    """The nose of the head points to the right: its right side is the one that hides."""
    round_mm = 600 + (GRID.positions_px[..., 0] - 100) ** 2 * curved
    mesh = build_mesh(mock_depth(round_mm), mock_matte(), CAMERA[0, 0])
    head, motion = mock_head(25), motion_of(angle)
    return with_mirror_half(mesh, PICTURE, mock_matte(), head, motion, sight, overhang)


def test_bare_skin_is_not_mirrored_over_hair_that_hangs_over_the_other_cheek():
    bare, covered = mirror_of(mock_sight()), mirror_of(mock_sight(0.7))
    places, opacity = (getattr(bare.sheet("mirror"), name) for name in ("places_px", "opacity"))
    over_hair = (places[..., 0] > 40 + 0.75 * 120) & (opacity > 0.5)
    assert over_hair.any()
    assert covered.sheet("mirror").opacity[over_hair].max() < 0.1


def test_hair_that_hangs_over_a_cheek_yields_to_no_mirror():
    hair = np.s_[3:-3, round(0.8 * GRID.columns) : -3]
    bare, covered = (mirror_of(mock_sight(hair), curved=0.06) for hair in (1.0, 0.7))
    assert bare.sheet("near").yield_mm[hair].max() > 10
    assert covered.sheet("near").yield_mm[hair].max() < 1


@pytest.mark.parametrize("sight", [mock_sight(0.0, 0.3), mock_sight(0.0), mock_sight()])
def test_hair_on_the_near_side_or_on_both_changes_nothing(sight):
    plain = mirror_of(None).sheet("mirror").opacity
    np.testing.assert_array_equal(mirror_of(sight).sheet("mirror").opacity, plain)


def test_what_hangs_is_told_with_inertia_and_comes_and_goes_softly():
    overhang = Overhang()
    away = overhang.sides[1]
    for _ in range(40):
        mirror_of(mock_sight(0.7), overhang)
    assert away.hangs
    assert away.strength == 1
    mirror_of(mock_sight(), overhang)
    assert away.hangs  # one look does not tell
    for _ in range(200):
        mirror_of(mock_sight(), overhang)
        if not away.hangs:
            break
    assert not away.hangs
    assert 0 < away.strength < 1
    assert overhang.sides[0].strength is None  # of the other side nothing was seen


def test_of_a_side_of_which_little_is_seen_a_wide_turn_shows_the_mirror():
    narrow, wide = (mirror_of(mock_sight(0.75), angle=angle) for angle in (0.4, 1.7))
    plain = mirror_of(None, angle=1.7).sheet("mirror").opacity
    np.testing.assert_array_equal(wide.sheet("mirror").opacity, plain)
    assert narrow.sheet("mirror").opacity.sum() < 0.9 * plain.sum()


def test_without_labels_nothing_is_kept():
    sight = Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32))
    plain = mirror_of(None).sheet("mirror").opacity
    np.testing.assert_array_equal(mirror_of(sight).sheet("mirror").opacity, plain)
