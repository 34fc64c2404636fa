"""What the path of a frame does beside itself changes nothing but its speed."""

from dataclasses import replace

import numpy as np
import pytest
from videos import clip_frames

from stream.frame import Frame
from stream.media import StreamInfo
from stream.networks import NetworkSettings
from stream.pipeline import Reposer
from stream.pose import PoseRequest
from stream.settings import Settings
from stream.stats import StageTimer

PICTURES = clip_frames(6)
INFO = StreamInfo(width=640, height=480, fps=25.0)
SETTINGS = replace(
    Settings(),
    plate=replace(Settings().plate, completion="inline"),
    networks=NetworkSettings(False, False, False, False),  # one looks less often when ahead
)


@pytest.fixture
def reposer():
    with Reposer(SETTINGS, INFO, StageTimer()) as made:
        yield made


def turned(reposer, pictures, first=0):
    frames = [Frame(pixels, first + n, (first + n) / 25) for n, pixels in enumerate(pictures)]
    return [reposer.process(frame, PoseRequest(yaw=20)).pixels for frame in frames]


def test_looking_ahead_gives_the_same_pictures(reposer, monkeypatch):
    ahead = turned(reposer, PICTURES)
    assert all((shown != given).any() for shown, given in zip(ahead, PICTURES, strict=True))
    with Reposer(SETTINGS, INFO, StageTimer()) as patient:
        monkeypatch.setattr(patient, "_look_ahead", lambda pixels: None)
        np.testing.assert_array_equal(turned(patient, PICTURES), ahead)


def test_where_a_head_is_gone_nobody_looks(reposer, monkeypatch):
    turned(reposer, PICTURES[:3])
    looks, look = [], reposer._sight.glance
    monkeypatch.setattr(reposer._sight, "glance", lambda *given: looks.append(1) or look(*given))
    with monkeypatch.context() as gone:
        gone.setattr(reposer, "_track", lambda frame: [])
        left = turned(reposer, PICTURES[3:], first=3)
        reposer._beside.submit(int).result()  # all before it is done
        assert len(looks) == 1  # in the first frame without it
    np.testing.assert_array_equal(left, PICTURES[3:])
    back = turned(reposer, PICTURES[3:], first=6)
    assert all((shown != given).any() for shown, given in zip(back, PICTURES[3:], strict=True))
    assert len(looks) == 4
