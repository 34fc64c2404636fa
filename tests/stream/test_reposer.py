"""What the path of a frame does beside itself changes nothing but its speed."""

from dataclasses import replace

import numpy as np
import pytest
from videos import clip_frames

from stream.frame import Frame
from stream.helper import ThreadHelper
from stream.media import StreamInfo
from stream.networks import NetworkSettings
from stream.outlook import Outlook
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


IN_A_THREAD = replace(SETTINGS, helper=False)


@pytest.fixture(params=[True, False], ids=["process", "thread"])
def reposer(request):
    with Reposer(replace(SETTINGS, helper=request.param), INFO, StageTimer()) as made:
        yield made


def turned(reposer, pictures, first=0):
    frames = [Frame(pixels, first + n, (first + n) / 25) for n, pixels in enumerate(pictures)]
    return [reposer.process(frame, PoseRequest(yaw=20)).pixels for frame in frames]


def test_looking_ahead_and_beside_gives_the_same_pictures(reposer, monkeypatch):
    ahead = turned(reposer, PICTURES)
    assert all((shown != given).any() for shown, given in zip(ahead, PICTURES, strict=True))
    with Reposer(IN_A_THREAD, INFO, StageTimer()) as patient:

        def forget_what_was_seen_ahead(frame, faces, request):
            for followed in patient._followed.values():
                followed.ahead = None
            return fitted(frame, faces, request)

        fitted = patient._fitted
        monkeypatch.setattr(patient, "_fitted", forget_what_was_seen_ahead)
        np.testing.assert_array_equal(turned(patient, PICTURES), ahead)


def test_frames_that_overlap_look_as_those_that_do_not(reposer):
    frames = [Frame(pixels, n, n / 25) for n, pixels in enumerate(PICTURES)]
    shown, last = [], None
    for frame in frames:
        begun = reposer.begin(frame, PoseRequest(yaw=20))
        if last is not None:
            shown.append(last.finish().pixels)
        begun.go_on()
        last = begun
    shown.append(last.finish().pixels)
    with Reposer(IN_A_THREAD, INFO, StageTimer()) as one_by_one:
        np.testing.assert_array_equal(shown, turned(one_by_one, PICTURES))


def test_where_a_head_is_gone_nobody_looks(monkeypatch):
    looks, look = [], Outlook.glance
    with Reposer(IN_A_THREAD, INFO, StageTimer()) as reposer:
        turned(reposer, PICTURES[:3])
        monkeypatch.setattr(Outlook, "glance", lambda *given: looks.append(1) or look(*given))
        with monkeypatch.context() as gone:
            gone.setattr(reposer, "_track", lambda frame: [])
            left = turned(reposer, PICTURES[3:], first=3)
            reposer._outlook.call(Outlook.engines).result()  # all before it is done
            assert len(looks) == 1  # in the first frame without it
        np.testing.assert_array_equal(left, PICTURES[3:])
        back = turned(reposer, PICTURES[3:], first=6)
    assert all((shown != given).any() for shown, given in zip(back, PICTURES[3:], strict=True))
    assert len(looks) == 4


def test_a_helper_that_is_killed_costs_one_frame(caplog):
    with Reposer(replace(SETTINGS, helper=True), INFO, StageTimer()) as reposer:
        before = turned(reposer, PICTURES[:2])
        reposer._outlook._process.kill()
        lost, *after = turned(reposer, PICTURES[2:], first=2)
        assert isinstance(reposer._outlook, ThreadHelper)
    np.testing.assert_array_equal(lost, PICTURES[2])
    for shown, given in zip([*before, *after], PICTURES[:2] + PICTURES[3:], strict=True):
        assert (shown != given).any()
    assert "the helper process ended unexpectedly" in caplog.text


def test_a_picture_needs_no_other_process():
    with Reposer(SETTINGS, replace(INFO, still=True), StageTimer()) as reposer:
        assert isinstance(reposer._outlook, ThreadHelper)


def test_a_helper_that_cannot_start_is_done_without(monkeypatch, caplog):
    monkeypatch.setattr("stream.helper._START", "raise SystemExit(3)")
    with Reposer(SETTINGS, INFO, StageTimer()) as reposer:
        assert isinstance(reposer._outlook, ThreadHelper)
        assert (turned(reposer, PICTURES[:1])[0] != PICTURES[0]).any()
    assert "ended unexpectedly (code 3)" in caplog.text
