"""The quick way from YUV to RGB, beside FFmpeg's exact one."""

from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from stream.media.convert import ToRgb
from stream.media.planar import is_planar

WIDTH, HEIGHT = 96, 64
NOT_STATED = SimpleNamespace(color_primaries=2, color_trc=2)
BT709, BT601, BT2020 = 1, 6, 9
LIMITED, FULL = 1, 2


def frame_of(pixel_format: str, matrix: int = BT709, colour_range: int = LIMITED, width=WIDTH):
    """Make a frame of soft coloured blobs, some of them too bright for RGB."""
    chance = np.random.default_rng(5)
    frame = av.VideoFrame(width, HEIGHT, pixel_format)
    for plane in frame.planes:
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        coarse = chance.integers(0, 256, (6, 8), dtype=np.uint8)
        size = (plane.width, plane.height)
        rows[:, : plane.width] = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        plane.update(rows.tobytes())
    frame.colorspace, frame.color_range = matrix, colour_range
    return frame


def exact(frame: av.VideoFrame, monkeypatch) -> np.ndarray:
    """Convert by FFmpeg."""
    with monkeypatch.context() as slow:
        slow.setattr("stream.media.convert.is_planar", lambda frame: False)
        return next(ToRgb(NOT_STATED).push(frame, 0.0))[0].astype(int)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p"])
@pytest.mark.parametrize("matrix", [BT709, BT601, BT2020])
@pytest.mark.parametrize("colour_range", [LIMITED, FULL])
def test_it_is_as_good_as_exact(pixel_format, matrix, colour_range, monkeypatch):
    frame = frame_of(pixel_format, matrix, colour_range)
    ((quick, time_s),) = ToRgb(NOT_STATED).push(frame, 2.5)
    assert is_planar(frame)
    assert (quick.shape, quick.dtype, time_s) == ((HEIGHT, WIDTH, 3), np.uint8, 2.5)
    off = quick - exact(frame, monkeypatch)
    assert np.abs(off).max() <= 3
    assert abs(off.mean()) < 0.15


@pytest.mark.parametrize(("pixel_format", "width"), [("yuv420p", 95), ("nv12", 96), ("gray", 96)])
def test_what_it_cannot_do_is_left_to_ffmpeg(pixel_format, width, monkeypatch):
    frame = frame_of(pixel_format, width=width)
    assert not is_planar(frame)
    shown = next(ToRgb(NOT_STATED).push(frame, 0.0))[0]
    np.testing.assert_array_equal(shown, exact(frame, monkeypatch))


def test_a_stream_that_changes_its_size_keeps_the_first():
    rgb = ToRgb(NOT_STATED)
    first = next(rgb.push(frame_of("yuv420p"), 0.0))[0]
    other = next(rgb.push(frame_of("yuv420p", width=2 * WIDTH), 0.1))[0]
    again = next(rgb.push(frame_of("yuv420p"), 0.2))[0]
    assert other.shape == first.shape
    np.testing.assert_array_equal(again, first)
