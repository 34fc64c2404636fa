"""Values that go on beyond what is known."""

import numpy as np
import pytest

from stream.nearest import Nearest


def test_each_pixel_takes_what_the_nearest_known_one_holds():
    known = np.zeros((5, 9), bool)
    known[2, 1] = known[2, 7] = True
    values = np.full((5, 9), 99.0)
    values[2, 1], values[2, 7] = 3.0, 4.0
    spread = Nearest.among(known).spread(values)
    assert (spread[:, :4] == 3.0).all()
    assert (spread[:, 5:] == 4.0).all()


def test_known_pixels_keep_their_colours_and_lie_at_no_distance():
    rng = np.random.default_rng(0)
    known, colours = rng.random((20, 30)) < 0.2, rng.random((20, 30, 3))
    nearest = Nearest.among(known)
    assert (nearest.spread(colours)[known] == colours[known]).all()
    assert (nearest.distance_px[known] == 0).all()
    y, x = np.nonzero(known)
    rows, columns = np.mgrid[:20, :30]
    true_px = np.hypot(rows[..., None] - y, columns[..., None] - x).min(axis=-1)
    assert np.abs(nearest.distance_px - true_px).max() < 0.1  # the transform's own error


def test_nothing_goes_on_from_nothing():
    with pytest.raises(ValueError, match="no pixel is known"):
        Nearest.among(np.zeros((4, 4), bool))
