from types import SimpleNamespace

import numpy as np
import pytest

from stream.puppet import lips
from stream.puppet.acting import Act
from stream.puppet.lips import BELIEVED, LipReading, read_lips

REST = Act(np.zeros(52), None, (1.0, 1.0), np.zeros(2), np.zeros(3), np.zeros(3))


class FakeFigure:
    """Draws a picture whose brightness says how far the mouth is open."""

    def draw(self, act):
        return np.full((4, 4, 3), round(1000 * act.mouth), np.uint8)


class FakeFinder:
    """Sees a face in whatever is bright enough."""

    def __init__(self, blind=False):
        self.blind, self.times = blind, []

    def track(self, frame):
        self.times.append(frame.time_s)
        return [] if self.blind else [int(frame.pixels[0, 0, 0]) / 1000]

    def fit(self, frame, faces):
        return faces


@pytest.fixture
def finder(monkeypatch):
    """A tracker that misses gaps below 0.04 and exaggerates those above by a fifth."""

    def measure(face, head, middle):
        return SimpleNamespace(mouth=np.array([1.2 * max(face - 0.04, 0.0)]))

    monkeypatch.setattr(lips, "measure", measure)
    return FakeFinder()


def test_what_the_tracker_misses_is_made_up_for(finder):
    reading = read_lips(FakeFigure(), REST, finder, np.zeros(3))
    assert (np.diff(finder.times) > 0).all()
    for wanted in (0.06, 0.09, 0.12):
        assert 1.2 * (reading.gap_for(wanted) - 0.04) == pytest.approx(wanted, abs=0.01)


def test_gaps_stay_within_reason(finder):
    reading = read_lips(FakeFigure(), REST, finder, np.zeros(3))
    assert reading.gap_for(0.0) == 0.0
    assert reading.gap_for(0.01) < 0.03  # however little the tracker sees of it
    gaps = [reading.gap_for(read) for read in np.linspace(0, 0.6, 61)]
    assert (np.diff(gaps) >= 0).all()
    assert gaps[-1] >= 0.75 * 0.6
    nothing = LipReading(np.array([0.0, 0.2]), np.array([0.0, 1e-4]))
    assert nothing.gap_for(0.1) < 0.2


def test_a_mouth_that_nobody_sees_is_believed():
    assert read_lips(FakeFigure(), REST, FakeFinder(blind=True), np.zeros(3)) is BELIEVED
    assert BELIEVED.gap_for(0.13) == pytest.approx(0.13)
