"""Every section of the settings and every level of quality reaches its stage."""

from dataclasses import replace

import numpy as np
import pytest
from videos import FACE, clip_frames

from stream import session
from stream.frame import Frame
from stream.governor import LEVELS, Quality
from stream.media import SinkOptions, SourceOptions, StreamInfo
from stream.pipeline import Reposer
from stream.pose import PoseRequest
from stream.settings import Settings
from stream.stats import StageTimer

PICTURES = clip_frames(5)
INFO = StreamInfo(width=640, height=480, fps=25.0)
REQUEST = PoseRequest(yaw=20)


def turned(settings: Settings, *qualities: Quality) -> np.ndarray:
    """Turn the head in every picture, with the qualities in turn."""
    with Reposer(settings, INFO, StageTimer()) as reposer:
        done = []
        for index, pixels in enumerate(PICTURES):
            if qualities:
                reposer.quality = qualities[index % len(qualities)]
            done.append(reposer.process(Frame(pixels, index, index / 25), REQUEST).pixels)
        return np.stack(done).astype(int)


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
        ("mesh", {"least_alpha": 0.9}),
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


def test_quality_may_change_at_any_frame(repeatable, usual, caplog):
    pictures = turned(repeatable, *LEVELS)
    assert not caplog.records  # a stage that fails lets the frame pass and says so
    plain = np.stack(PICTURES).astype(int)
    assert np.abs(pictures - usual).mean() < 0.5 * np.abs(plain - usual).mean()


def test_the_ends_get_their_options(tmp_path, monkeypatch):
    seen = {}

    def remember(name, real):
        def opened(*arguments, options, **others):
            seen[name], seen[f"{name} with"] = options, others
            return real(*arguments, options=options, **others)

        monkeypatch.setattr(session, name, opened)

    remember("open_source", session.open_source)
    remember("open_sink", session.open_sink)
    settings = replace(
        Settings(), source=SourceOptions(timeout_s=3.0), sink=SinkOptions(picture_quality=5)
    )
    output = tmp_path / "out.jpg"
    session.perform(session.Job(str(FACE), str(output), settings, quiet=True))
    assert seen["open_source"].timeout_s == 3.0
    assert seen["open_source with"] == {"repeat_still": False}  # a picture gives a picture
    assert output.stat().st_size < 0.5 * FACE.stat().st_size
