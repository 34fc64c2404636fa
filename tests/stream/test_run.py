"""The loop: order, counts, keys, interruption, pictures without a face, progress."""

import io
import os
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from stream.errors import UserError
from stream.frame import Frame
from stream.governor import Governor
from stream.interrupt import Interruption
from stream.path import Begun
from stream.pose import PoseRequest
from stream.progress import ProgressReport
from stream.run import Watch, run
from stream.settings import GovernorSettings
from stream.stats import Stats


class FakeSource:
    def __init__(self, count=5, still=False, dropped=0, is_ready=False, live=False):
        self.info = SimpleNamespace(still=still, name="in.png", fps=25.0, live=live)
        self.count, self.dropped, self.is_ready = count, dropped, is_ready

    def __iter__(self):
        for index in range(self.count):
            pixels = np.zeros((4, 6, 3), np.uint8)
            pixels[:, 0] = index + 1
            yield Frame(pixels, index, index / 25.0, time.perf_counter())


class FakeSink:
    def __init__(self, keys=None):
        self.frames, self.keys = [], dict(keys or {})

    def write(self, frame):
        self.frames.append(frame)

    def poll_keys(self):
        return self.keys.pop(len(self.frames), [])


class FakeReposer:
    def __init__(self, faces=1, on_frame=None):
        self.faces_tracked = self.last_faces = faces
        self.engines = {"face_mesh": {"backend": "mediapipe"}}
        self.quality, self.requests, self.on_frame = None, [], on_frame
        self.pressed, self.steps = [], []

    def press(self, key):
        self.pressed.append(key)

    def begin(self, frame, request):
        self.requests.append(request)
        return Begun(self.parts(frame), self.failed)

    def failed(self, error):
        raise error

    def parts(self, frame):
        self.steps.append((frame.index, "looked"))
        yield
        if self.on_frame:
            self.on_frame(frame)
        self.steps.append((frame.index, "drawn"))
        yield
        self.steps.append((frame.index, "shown"))
        return frame

    def bypassed(self, frame):
        return frame


def go(source=None, sink=None, reposer=None, request_at=None, report=None, frames_max=None):
    source, sink, reposer = source or FakeSource(), sink or FakeSink(), reposer or FakeReposer()
    stats = Stats()
    governor = Governor(GovernorSettings(), "auto", 25.0, live=False)
    with Interruption() as interruption:
        watch = Watch(
            stats, governor, report or (lambda stats: None), interruption, frames_max=frames_max
        )
        run(source, sink, reposer, request_at or (lambda time_s: PoseRequest()), watch)
    return stats, sink, reposer


@pytest.mark.parametrize("is_ready", [True, False])
def test_every_frame_passes_in_order_and_is_counted(is_ready):
    seen = []
    source = FakeSource(is_ready=is_ready)
    stats, sink, reposer = go(source, report=lambda stats: seen.append(stats.frames_out))
    assert [frame.index for frame in sink.frames] == [0, 1, 2, 3, 4]
    assert (stats.frames_in, stats.frames_out, stats.frames_dropped) == (5, 5, 0)
    assert seen == [1, 2, 3, 4, 5]
    assert stats.engines == reposer.engines
    assert stats.faces_tracked == 1
    assert {"capture", "sink"} <= set(stats.timer.summary())
    assert reposer.quality.name == "high"
    assert not stats.interrupted


def test_requests_follow_the_time_of_the_source():
    _, _, reposer = go(request_at=lambda time_s: PoseRequest(yaw=time_s * 100))
    assert [request.yaw for request in reposer.requests] == pytest.approx([0, 4, 8, 12, 16])


def test_drops_during_the_set_up_are_not_counted():
    source = FakeSource(dropped=7)

    def drop_two(frame):
        if frame.index == 2:
            source.dropped += 2

    stats, _, _ = go(source=source, reposer=FakeReposer(on_frame=drop_two))
    assert (stats.frames_in, stats.frames_out, stats.frames_dropped) == (7, 5, 2)


def test_keys_turn_bypass_mirror_and_quit():
    keys = {1: ["right"], 2: ["space", "m"], 4: ["q"]}
    stats, sink, reposer = go(sink=FakeSink(keys))
    assert [request.yaw for request in reposer.requests] == [0.0, 2.0]
    assert stats.frames_out == 4
    assert sink.frames[1].pixels[0, 0, 0] == 2
    assert sink.frames[2].pixels[0, -1, 0] == 3  # mirrored
    assert sink.frames[2].pixels[0, 0, 0] == 0
    assert reposer.pressed == ["right", "space", "m", "q"]  # a path may have keys of its own


def test_a_picture_without_a_face_is_refused_before_it_is_written():
    sink = FakeSink()
    with pytest.raises(UserError, match=r"no face found in the picture in\.png"):
        go(source=FakeSource(1, still=True), sink=sink, reposer=FakeReposer(faces=0))
    assert sink.frames == []


def test_a_video_without_a_face_passes():
    stats, _, _ = go(reposer=FakeReposer(faces=0))
    assert stats.frames_out == 5


def test_a_limit_of_frames_is_kept():
    stats, _, _ = go(frames_max=2)
    assert (stats.frames_in, stats.frames_out) == (2, 2)
    assert not stats.interrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_frame_in_hand(number):
    def stop(frame):
        if frame.index == 2:
            os.kill(os.getpid(), number)

    stats, sink, _ = go(reposer=FakeReposer(on_frame=stop))
    assert [frame.index for frame in sink.frames] == [0, 1, 2]
    assert stats.interrupted


def test_a_signal_breaks_off_an_endless_wait_for_the_source():
    class Stuck(FakeSource):
        def __iter__(self):
            yield Frame(np.zeros((2, 2, 3), np.uint8))
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            threading.Event().wait(30)

    begun_s = time.perf_counter()
    stats, sink, _ = go(source=Stuck())
    assert stats.interrupted
    assert len(sink.frames) == 1
    assert time.perf_counter() - begun_s < 20


def test_the_third_signal_stops_at_once_and_handlers_are_restored():
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("raised", "comes_out"),
    [
        (ImportError("initialization failed"), KeyboardInterrupt),
        (UserError("a", "b", "c"), UserError),
    ],
)
def test_what_a_library_makes_of_a_signal_is_an_interruption_all_the_same(raised, comes_out):
    with pytest.raises(comes_out), Interruption() as interruption, interruption.waiting():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            raise raised from None


@pytest.mark.parametrize("place", ["source", "path", "sink"])
def test_a_fault_anywhere_comes_out_with_statistics_complete(place):
    class Broken(FakeSource):
        def __iter__(self):
            yield from super().__iter__()
            raise UserError("the camera is gone", "unplugged", "Plug it in")

    def fail(frame):
        if frame.index == 3:
            raise RuntimeError("path")

    sink = FakeSink()
    if place == "sink":
        sink.write = lambda frame: (_ for _ in ()).throw(OSError(28, "No space left"))
    stats = Stats()
    governor = Governor(GovernorSettings())
    with Interruption() as interruption, pytest.raises((UserError, RuntimeError, OSError)):
        source = Broken() if place == "source" else FakeSource()
        reposer = FakeReposer(on_frame=fail if place == "path" else None)
        watch = Watch(stats, governor, lambda stats: None, interruption)
        run(source, sink, reposer, lambda time_s: PoseRequest(), watch)
    assert stats.frames_out == {"source": 5, "path": 3, "sink": 0}[place]
    assert stats.end_s > stats.start_s > 0


def test_progress_shows_a_bar_on_a_terminal_and_lines_elsewhere(monkeypatch):
    monkeypatch.setattr("stream.progress._BAR_EVERY_S", 0.0)
    monkeypatch.setattr("stream.progress._LINE_EVERY_S", 0.0)
    stats = Stats(frames_out=30, start_s=1.0, end_s=2.0)
    for terminal, said in ((True, "30.0 fps"), (False, "30 of 90 frames, 30.0 fps, 2 s left")):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=terminal, width=100)
        with ProgressReport(90, console=console) as report:
            report.update(stats)
        assert said in stream.getvalue()


def test_quiet_progress_says_nothing(monkeypatch):
    monkeypatch.setattr("stream.progress._LINE_EVERY_S", 0.0)
    stream = io.StringIO()
    with ProgressReport(90, quiet=True, console=Console(file=stream)) as report:
        report.update(Stats(frames_out=30, start_s=1.0, end_s=2.0))
    assert stream.getvalue() == ""


def test_the_next_frame_is_looked_at_while_one_is_drawn():
    _, _, reposer = go(FakeSource(3, is_ready=True))
    assert reposer.steps == [
        (0, "looked"), (0, "drawn"), (1, "looked"), (0, "shown"), (1, "drawn"),
        (2, "looked"), (1, "shown"), (2, "drawn"), (2, "shown"),
    ]  # fmt: skip


@pytest.mark.parametrize("live", [True, False])
def test_no_frame_waits_for_one_that_is_not_there_or_while_somebody_watches(live):
    _, _, reposer = go(FakeSource(2, is_ready=live, live=live))
    assert reposer.steps == [
        (frame, part) for frame in range(2) for part in ("looked", "drawn", "shown")
    ]


def test_what_is_late_does_not_wait_for_the_next():
    late = FakeReposer(on_frame=lambda frame: time.sleep(0.06))
    _, _, reposer = go(FakeSource(2, is_ready=True), reposer=late)
    assert [frame for frame, _ in reposer.steps] == [0, 0, 0, 1, 1, 1]
