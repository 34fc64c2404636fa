"""The far eye of a head that turns to the front: it stays or is mirrored as a whole."""

import numpy as np
import pytest

from stream.sight import EYES, FACE
from tests.stream.test_mesh import GRID
from tests.stream.test_overhang import mirror_of, mock_sight

EYE = slice(0.66, 0.82)  # share of the crop's width
INSIDE = np.s_[8:-8, round(0.69 * GRID.columns) : round(0.79 * GRID.columns)]


def sight_with_eye(columns=EYE, rows=slice(60, 200)):
    sight = mock_sight()
    part = np.s_[rows, round(256 * columns.start) : round(256 * columns.stop)]
    sight.labels[EYES][part], sight.labels[FACE][part] = 1, 0
    return sight


def yields(sight, curved):
    """How far the near side yields to its mirror, mm, where the eye is."""
    return mirror_of(sight, curved=curved).sheet("near").yield_mm[INSIDE]


def test_moderately_drawn_out_it_stays_where_skin_yields_in_part():
    skin, eye = (yields(sight, 0.06) for sight in (mock_sight(), sight_with_eye()))
    assert skin.min() > 1
    assert np.ptp(skin) > 20
    assert eye.max() == 0


def test_drawn_out_too_far_it_goes_as_a_whole():
    assert yields(sight_with_eye(), 0.4).min() > 59


@pytest.mark.parametrize("place", [(slice(0.2, 0.4),), (slice(0.7, 0.72), slice(90, 95))])
def test_the_eye_that_is_seen_well_and_a_speck_of_one_change_nothing(place):
    plain = mirror_of(mock_sight(), curved=0.06).sheet("near").yield_mm
    seen = mirror_of(sight_with_eye(*place), curved=0.06).sheet("near").yield_mm
    np.testing.assert_array_equal(seen, plain)
