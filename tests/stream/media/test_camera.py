import threading
import time

import cv2
import numpy as np
import pytest

from stream.errors import UserError
from stream.media import SourceOptions, camera, list_cameras, open_source
from stream.media.camera import CameraSource

QUICK = SourceOptions(reconnect_s=0.6)


class FakeCapture:
    """A camera that gives numbered pictures until it is unplugged."""

    def __init__(self, pictures=10**9, size=(64, 48), opened=True, pace_s=0.002):
        self.left, self.size, self.opened, self.pace_s = pictures, size, opened, pace_s
        self.given, self.released = 0, 0

    def isOpened(self):  # noqa: N802
        return self.opened

    def get(self, number):
        return 30.0 if number == cv2.CAP_PROP_FPS else 0.0

    def read(self):
        time.sleep(self.pace_s)
        if not self.opened or self.left <= 0:
            return False, None
        self.left -= 1
        self.given += 1
        picture = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        picture[..., 0] = 250  # blue in the order of OpenCV
        return True, picture

    def release(self):
        self.released += 1


class Port:
    """Opens one capture after the other."""

    def __init__(self, *captures):
        self.captures, self.opened = list(captures), []

    def __call__(self, device, options):
        capture = self.captures.pop(0) if self.captures else FakeCapture(opened=False)
        self.opened.append((device, capture))
        return capture


def test_frames_are_rgb_live_and_timed():
    port = Port(FakeCapture())
    with CameraSource(1, QUICK, port) as source:
        frames = [frame for frame, _ in zip(source, range(5), strict=False)]
        info = source.info
    assert (info.width, info.height, info.fps) == (64, 48, 30.0)
    assert info.live
    assert not info.still
    assert info.frame_count is None
    assert info.name == "camera 1"
    assert frames[0].pixels[0, 0].tolist() == [0, 0, 250]
    times = [frame.time_s for frame in frames]
    assert times[0] >= 0
    assert all(np.diff(times) > 0)
    assert all(
        frame.captured_s - frames[0].captured_s == pytest.approx(frame.time_s - frames[0].time_s)
        for frame in frames
    )
    assert port.opened[0][1].released == 1


def test_a_slow_consumer_gets_the_newest_frame_and_the_others_are_counted():
    capture = FakeCapture()
    with CameraSource(0, QUICK, Port(capture)) as source:
        frames = iter(source)
        first = next(frames)
        time.sleep(0.3)
        second = next(frames)
        assert second.index - first.index > 5
        assert source.dropped >= second.index - first.index - 1
        assert time.perf_counter() - second.captured_s < 0.1


def test_an_absent_camera_names_those_that_exist(monkeypatch):
    monkeypatch.setattr(camera, "list_cameras", lambda: ["camera:2 (/dev/video2, Webcam)"])
    with pytest.raises(UserError) as caught:
        CameraSource(7, QUICK, Port(FakeCapture(opened=False)))
    assert "camera 7" in caught.value.what
    assert "camera:2 (/dev/video2, Webcam)" in caught.value.why
    assert "Plug it in" in caught.value.remedy


def test_the_real_opener_refuses_an_absent_camera(capfd):
    with pytest.raises(UserError, match="Cannot open the camera 63"), open_source("camera:63"):
        pass
    assert capfd.readouterr().err == ""  # OpenCV says nothing beside our message
    assert isinstance(list_cameras(), list)


def test_no_camera_at_all(monkeypatch):
    monkeypatch.setattr(camera, "list_cameras", list)
    with pytest.raises(UserError, match="no camera was found"):
        CameraSource(0, QUICK, Port(FakeCapture(opened=False)))


def test_a_camera_that_opens_but_gives_nothing():
    capture = FakeCapture(pictures=0)
    with pytest.raises(UserError, match="does not answer"):
        CameraSource(0, QUICK, Port(capture))
    assert capture.released == 1


def test_an_unplugged_camera_is_said_after_a_search():
    port = Port(FakeCapture(pictures=6))
    began = time.perf_counter()
    seen = []
    with CameraSource(0, QUICK, port) as source, pytest.raises(UserError) as caught:
        for frame in source:
            seen.append(frame.index)
    assert 0.6 <= time.perf_counter() - began < 3.0
    assert "vanished" in caught.value.what
    assert "unplugged" in caught.value.why
    assert "Plug it in again" in caught.value.remedy
    assert seen[-1] == 4  # one picture was spent on looking at its size
    assert len(port.opened) > 2  # it was searched for more than once


def test_a_camera_that_comes_back_goes_on_in_its_size(caplog):
    port = Port(FakeCapture(pictures=3), FakeCapture(opened=False), FakeCapture(size=(128, 96)))
    with CameraSource(0, SourceOptions(reconnect_s=5.0), port) as source:
        frames = [frame for frame, _ in zip(source, range(12), strict=False)]
    assert {frame.size for frame in frames} == {(64, 48)}
    assert all(np.diff([frame.time_s for frame in frames]) > 0)
    assert "is back" in caplog.text


def test_closing_is_quick_while_the_driver_blocks():
    capture = FakeCapture()
    with CameraSource(0, QUICK, Port(capture)) as source:
        next(iter(source))
        blocked = threading.Event()
        capture.read = lambda: (blocked.wait(10.0), (False, None))[1]
        time.sleep(0.05)
        began = time.perf_counter()
    assert time.perf_counter() - began < 2.0
    blocked.set()


def test_closing_is_quick_while_a_camera_is_searched_for():
    with CameraSource(0, SourceOptions(reconnect_s=60.0), Port(FakeCapture(pictures=2))) as source:
        next(iter(source))
        time.sleep(0.3)
        began = time.perf_counter()
    assert time.perf_counter() - began < 2.0


def test_camera_names():
    with pytest.raises(UserError, match="named by its number"), open_source("camera:Webcam"):
        pass
