import numpy as np
import pytest

from stream.head_model import load_head_model
from stream.puppet.fields import without_pits
from stream.puppet.topology import MOUTH, POINTS


@pytest.fixture(scope="module")
def points():
    """The tracked points of the mean head, 700 mm before the camera."""
    return load_head_model().points478_mean[:POINTS] + np.array([0.0, 0.0, 700.0])


def test_an_open_mouth_is_no_pit(points):
    seen = points[:, 2] + 1.5
    seen[MOUTH.lower[1:-1]] += 20.0
    found = without_pits(seen, points)
    assert found == pytest.approx(points[:, 2] + 1.5, abs=0.6)


def test_what_is_seen_at_large_is_followed(points):
    seen = points[:, 2] + 0.05 * points[:, 0]
    found = without_pits(seen, points)
    assert np.corrcoef(found - points[:, 2], points[:, 0])[0, 1] > 0.99
    assert np.abs(found - seen).max() < 2.0
