"""Every section of the settings and every level of quality reaches its stage."""

from dataclasses import replace

import numpy as np
import pytest
from videos import clip_frames

from stream.frame import Frame
from stream.governor import LEVELS, Quality
from stream.media import StreamInfo
from stream.pipeline import Reposer
from stream.pose import PoseRequest
from stream.settings import Settings
from stream.stats import StageTimer

PICTURES = clip_frames(5)
INFO = StreamInfo(width=640, height=480, fps=25.0)
REQUEST = PoseRequest(yaw=20)


def turned(settings: Settings, quality: Quality | None = None) -> np.ndarray:
    with Reposer(settings, INFO, StageTimer()) as reposer:
        if quality is not None:
            reposer.quality = quality
        frames = [Frame(pixels, index, index / 25) for index, pixels in enumerate(PICTURES)]
        return np.stack([reposer.process(frame, REQUEST).pixels for frame in frames]).astype(int)


@pytest.fixture(scope="module")
def repeatable() -> Settings:
    return replace(Settings(), plate=replace(Settings().plate, completion="inline"))


@pytest.fixture(scope="module")
def usual(repeatable) -> np.ndarray:
    return turned(repeatable)


def test_the_same_settings_give_the_same_pictures(repeatable, usual):
    assert (turned(repeatable) == usual).all()


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("limits", {"yaw": 5.0}),
        ("track", {"min_new_score": 1.1}),
        ("fit", {"expression_prior": 0.01, "noise_mm": 20.0}),
        ("matte", {"size": 128}),
        ("hair", {"largest_growth": 1.05}),
        ("mesh", {"cut_slope": 0.5}),
        ("plate", {"completion": "off"}),
    ],
)
def test_a_section_reaches_its_stage(repeatable, usual, section, values):
    changed = replace(getattr(repeatable, section), **values)
    pictures = turned(replace(repeatable, **{section: changed}))
    assert np.abs(pictures - usual).max() > 8


@pytest.mark.parametrize("level", range(1, len(LEVELS)))
def test_each_level_of_quality_does_less_and_still_turns_the_head(repeatable, usual, level):
    pictures = turned(repeatable, LEVELS[level])
    better = turned(repeatable, LEVELS[level - 1])
    assert (pictures != better).any()
    plain = np.stack(PICTURES).astype(int)
    assert np.abs(pictures - usual).mean() < 0.5 * np.abs(plain - usual).mean()
