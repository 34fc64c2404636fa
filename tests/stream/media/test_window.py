import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.errors import UserError
from stream.frame import Frame
from stream.media import SinkOptions, StreamInfo, open_sink, window_problem
from stream.media.window import WindowSink, key_name

LIVE = StreamInfo(width=64, height=48, fps=25.0, live=True)


class FakeToolkit:
    """What OpenCV would do with a window."""

    def __init__(self, keys=()):
        self.keys, self.shown, self.calls, self.visible = list(keys), [], [], 1.0

    def namedWindow(self, title, flags):  # noqa: N802
        self.calls.append(("open", title))

    def resizeWindow(self, title, width, height):  # noqa: N802
        self.calls.append(("resize", width, height))

    def imshow(self, title, picture):
        self.shown.append(picture.copy())

    def waitKeyEx(self, milliseconds):  # noqa: N802
        if self.keys:
            return self.keys.pop(0)
        time.sleep(milliseconds / 1000)
        return -1

    def getWindowProperty(self, title, number):  # noqa: N802
        return self.visible

    def destroyWindow(self, title):  # noqa: N802
        self.calls.append(("close", title))


def frame(index=0, size=(64, 48)):
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[..., 0] = 200
    return Frame(pixels, index, index / 25.0)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (65361, "left"),
        (65362, "up"),
        (65363, "right"),
        (65364, "down"),
        (2424832, "left"),
        (2490368, "up"),
        (2555904, "right"),
        (2621440, "down"),
        (63234, "left"),
        (63232, "up"),
        (63235, "right"),
        (63233, "down"),
        (ord("0"), "0"),
        (65456, "0"),
        (ord("m"), "m"),
        (ord("M"), "m"),
        (ord(" "), "space"),
        (ord("q"), "q"),
        (27, "q"),
        (0x100000 | ord("q"), "q"),
        (0x100000 | 65361, "left"),
        (-1, None),
        (ord("x"), "x"),
        (ord("y"), None),
        (65505, None),
        (65289, None),
    ],
)
def test_key_names(code, name):
    assert key_name(code) == name


def test_frames_are_shown_and_keys_reported_in_order():
    ui = FakeToolkit([65361, 65363, ord("m")])
    with WindowSink(LIVE, SinkOptions(title="test"), ui) as sink:
        for index in range(4):
            sink.write(frame(index))
        assert sink.poll_keys() == ["left", "right", "m"]
        assert sink.poll_keys() == []
    assert ui.shown[0][0, 0].tolist() == [0, 0, 200]  # OpenCV wants blue first
    assert ui.calls == [("open", "test"), ("resize", 64, 48), ("close", "test")]


def test_closing_the_window_is_q_and_the_rest_goes_unseen():
    ui = FakeToolkit()
    with WindowSink(LIVE, SinkOptions(), ui) as sink:
        sink.write(frame())
        ui.visible = 0.0
        sink.write(frame(1))
        assert sink.poll_keys() == ["q"]
        sink.write(frame(2))
    assert len(ui.shown) == 2
    assert ("close", "voltface") not in ui.calls


def test_a_large_picture_fits_the_screen():
    ui = FakeToolkit()
    WindowSink(StreamInfo(3840, 2160, live=True), SinkOptions(), ui).close()
    assert ("resize", 1280, 720) in ui.calls


def test_a_file_is_shown_at_its_pace_and_keys_are_heard_meanwhile():
    ui = FakeToolkit()
    began = time.perf_counter()
    with WindowSink(StreamInfo(64, 48, fps=25.0), SinkOptions(), ui) as sink:
        for index in range(6):
            if index == 3:
                ui.keys = [-1, ord(" ")]
            sink.write(frame(index))
        assert sink.poll_keys() == ["space"]
    assert 0.19 <= time.perf_counter() - began < 3.0


def test_a_toolkit_that_refuses():
    class Headless(FakeToolkit):
        def namedWindow(self, title, flags):  # noqa: N802
            raise cv2.error("The function is not implemented")

    with pytest.raises(UserError, match="Cannot open the preview window"):
        WindowSink(LIVE, SinkOptions(), Headless())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have a desktop")
@pytest.mark.parametrize("display", [None, ":987"])
def test_without_a_display_the_user_is_told(monkeypatch, display):
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(UserError) as caught:
        open_sink("window", LIVE)
    assert "display" in caught.value.why
    assert "another output" in caught.value.remedy


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb (package xvfb) is not installed")
def test_a_real_window(tmp_path):
    number = f":{os.getpid() % 500 + 90}"
    server = subprocess.Popen(
        ["Xvfb", number, "-screen", "0", "800x600x24"], stderr=subprocess.DEVNULL
    )
    code = """
import numpy as np
from stream.frame import Frame
from stream.media import StreamInfo, open_sink, window_problem
assert window_problem() is None, window_problem()
with open_sink("window", StreamInfo(64, 48, live=True)) as sink:
    for index in range(5):
        sink.write(Frame(np.zeros((48, 64, 3), np.uint8), index))
    assert sink.poll_keys() == []
"""
    environment = {
        **os.environ,
        "DISPLAY": number,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path]),
    }
    try:
        time.sleep(1.0)
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    finally:
        server.terminate()
        server.wait(10)


def test_window_problem_says_nothing_or_why():
    problem = window_problem()
    assert problem is None or "display" in problem
