"""The governor: down when slow, up again with patience, never for files."""

import itertools
from dataclasses import replace

import pytest

from stream.governor import HIGH, LEVELS, LOW, VIDEO, Governor
from stream.settings import GovernorSettings

FRAME_S = 1 / 30


def feed(governor: Governor, spent_s: float, seconds: float) -> None:
    for _ in range(round(seconds / max(spent_s, FRAME_S))):
        governor.update(spent_s)


def live(quality: str = "auto") -> Governor:
    return Governor(GovernorSettings(), quality, fps=30.0, live=True)


def test_levels_fall_in_every_cost():
    for better, worse in itertools.pairwise(LEVELS):
        assert worse.hair_every >= better.hair_every
        assert worse.nodes <= better.nodes
        assert worse.matte_share <= better.matte_share
        assert worse.refine_every == 0 or worse.refine_every >= better.refine_every > 0
        assert worse != better


def test_slow_frames_lower_quality_step_by_step_to_the_lowest():
    governor = live()
    feed(governor, 2 * FRAME_S, 10)
    assert governor.quality is LOW
    assert [change["from"] for change in governor.changes] == [q.name for q in LEVELS[:-1]]
    assert governor.changes[0]["budget_ms"] == pytest.approx(33.33, abs=0.01)
    assert governor.changes[0]["frame_ms"] == pytest.approx(66.67, abs=0.1)


def test_one_slow_frame_changes_nothing():
    governor = live()
    feed(governor, 0.5 * FRAME_S, 2)
    governor.update(0.3)
    feed(governor, 0.5 * FRAME_S, 2)
    assert governor.quality is HIGH
    assert governor.changes == []


def test_quality_returns_but_needs_longer_than_it_took_to_fall():
    governor = live()
    feed(governor, 1.5 * FRAME_S, 1)
    assert governor.quality is LEVELS[1]
    feed(governor, 0.3 * FRAME_S, 3)
    assert governor.quality is LEVELS[1]
    feed(governor, 0.3 * FRAME_S, 5)
    assert governor.quality is HIGH


def test_between_the_two_thresholds_it_rests():
    governor = live()
    feed(governor, 1.5 * FRAME_S, 0.75)
    feed(governor, 0.8 * FRAME_S, 60)
    assert len(governor.changes) == 1


def test_it_does_not_swing_where_only_the_lower_level_fits():
    governor = live()
    for _ in range(round(600 / FRAME_S)):
        slow = governor.quality is HIGH
        governor.update((1.3 if slow else 0.4) * FRAME_S)
    assert len(governor.changes) < 16  # without growing patience there would be about 170


@pytest.mark.parametrize(("quality", "level"), [("low", LOW), ("high", HIGH)])
def test_the_users_word_is_kept(quality, level):
    governor = live(quality)
    feed(governor, 3 * FRAME_S, 5)
    feed(governor, 0.1 * FRAME_S, 30)
    assert governor.quality is level
    assert governor.changes == []


def test_a_file_keeps_high_quality_however_slow():
    picture = Governor(GovernorSettings(), "auto", fps=30.0, live=False, still=True)
    assert picture.quality is HIGH
    assert Governor(GovernorSettings(), "high", fps=30.0, live=False).quality is HIGH
    governor = Governor(GovernorSettings(), "auto", fps=30.0, live=False)
    feed(governor, 5 * FRAME_S, 10)
    assert governor.quality is VIDEO
    assert replace(VIDEO, refine_every=HIGH.refine_every) == HIGH
