import platform
import time

import numpy as np
import pytest
import pyvirtualcam

from stream.errors import UserError
from stream.frame import Frame
from stream.media import StreamInfo, open_sink, virtual_camera
from stream.media.virtual_camera import VirtualCameraSink

LIVE = StreamInfo(width=64, height=48, fps=25.0, live=True)


class FakeBackend:
    """A backend of pyvirtualcam that keeps what it is sent."""

    made: list = []  # noqa: RUF012

    def __init__(self, *, width, height, fps, fourcc, device, **_):
        if device == "taken":
            raise RuntimeError("device is in use")
        self.size, self.fps, self.name = (width, height), fps, device or "first"
        self.sent, self.closed, self.broken = [], 0, False
        FakeBackend.made.append(self)

    def send(self, frame):
        if self.broken:
            raise RuntimeError("the device went away")
        self.sent.append(frame.reshape(self.size[1], self.size[0], 3).copy())

    def close(self):
        self.closed += 1

    def device(self):
        return self.name

    def native_fourcc(self):
        return None


@pytest.fixture
def backend(monkeypatch):
    monkeypatch.setattr("pyvirtualcam.camera.BACKENDS", {})
    pyvirtualcam.register_backend("fake", FakeBackend)
    FakeBackend.made.clear()
    return FakeBackend


def picture(level, size=(64, 48)):
    return np.full((size[1], size[0], 3), (level, 2 * level, 3 * level), np.uint8)


def test_frames_arrive_as_rgb(backend):
    with open_sink("camera", LIVE) as sink:
        for level in (10, 20, 30):
            sink.write(Frame(picture(level)))
        assert sink.description == "virtual camera first"
        assert sink.poll_keys() == []
    (made,) = backend.made
    assert [frame[0, 0].tolist() for frame in made.sent] == [
        [10, 20, 30],
        [20, 40, 60],
        [30, 60, 90],
    ]
    assert (made.size, made.fps, made.closed) == ((64, 48), 25.0, 1)
    sink.close()
    assert made.closed == 1


def test_a_camera_is_picked_by_name(backend):
    with open_sink("camera:OBS Virtual Camera", LIVE) as sink:
        assert sink.description == "virtual camera OBS Virtual Camera"


def test_a_number_means_a_device_on_linux(backend, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    with open_sink("camera:5", LIVE) as sink:
        assert sink.description == "virtual camera /dev/video5"
    with open_sink("/dev/video6", LIVE) as sink:
        assert sink.description == "virtual camera /dev/video6"


def test_odd_edges_are_cut_off(backend):
    with open_sink("camera", StreamInfo(65, 49, live=True)) as sink:
        sink.write(Frame(picture(9, (65, 49))))
    assert backend.made[0].size == (64, 48)
    assert backend.made[0].fps == 30.0


def test_a_file_is_sent_at_its_pace(backend):
    began = time.perf_counter()
    with open_sink("camera", StreamInfo(64, 48, fps=25.0)) as sink:
        for index in range(11):
            sink.write(Frame(picture(1), index, index / 25.0))
    assert time.perf_counter() - began >= 0.39


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("Linux", ["v4l2loopback-dkms", "modprobe v4l2loopback"]),
        ("Windows", ["OBS Studio"]),
        ("Darwin", ["OBS Studio", "Start Virtual Camera"]),
    ],
)
def test_without_a_driver_the_error_says_what_to_install(backend, monkeypatch, system, words):
    monkeypatch.setattr(platform, "system", lambda: system)
    with pytest.raises(UserError) as caught:
        open_sink("camera:taken", LIVE)
    error = caught.value
    assert error.what == "Cannot open the virtual camera taken"
    assert "'fake' backend: device is in use" in error.why
    for word in words:
        assert word in error.remedy


@pytest.mark.skipif(platform.system() != "Linux", reason="the driver of Linux")
def test_the_real_backend_without_its_driver():
    with pytest.raises(UserError) as caught:
        VirtualCameraSink("/dev/video63", LIVE)
    assert "'v4l2loopback' backend" in caught.value.why
    assert "modprobe" in caught.value.remedy


def test_a_driver_that_goes_away(backend):
    with open_sink("camera", LIVE) as sink:
        sink.write(Frame(picture(1)))
        backend.made[0].broken = True
        with pytest.raises(UserError, match="the device went away"):
            sink.write(Frame(picture(2)))


def test_labels_of_linux(tmp_path, monkeypatch):
    folder = tmp_path / "video7"
    folder.mkdir()
    (folder / "name").write_text("voltface\n")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(virtual_camera, "_DEVICES", tmp_path)
    assert virtual_camera._device_of("voltface") == "/dev/video7"
    assert virtual_camera._device_of("other") == "other"
