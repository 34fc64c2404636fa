from pathlib import Path

import numpy as np
import pytest

from stream.errors import UserError
from stream.frame import Frame
from stream.media import NullSink, StreamInfo, open_sink, open_source
from stream.media.specs import Kind, camera_device, classify, path_of, scheme_of

INFO = StreamInfo(width=4, height=2, fps=25.0)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("camera", Kind.CAMERA),
        ("camera:1", Kind.CAMERA),
        ("camera:OBS Virtual Camera", Kind.CAMERA),
        ("/dev/video0", Kind.CAMERA),
        ("window", Kind.WINDOW),
        ("null", Kind.NULL),
        ("rtsp://host/x", Kind.URL),
        ("SRT://host:1", Kind.URL),
        ("file:///tmp/x.mp4", Kind.FILE),
        ("camera.mp4", Kind.FILE),
        ("./camera", Kind.FILE),
        ("C:\\clips\\a.mp4", Kind.FILE),
        ("a b.mov", Kind.FILE),
    ],
)
def test_what_a_spec_names(spec, kind):
    assert classify(spec) is kind


@pytest.mark.parametrize(
    ("spec", "device"), [("camera", 0), ("camera:3", 3), ("/dev/video2", "/dev/video2")]
)
def test_camera_devices(spec, device):
    assert camera_device(spec) == device


def test_schemes_and_paths():
    assert scheme_of("RTMP://x") == "rtmp"
    assert scheme_of("C:\\x") == ""
    assert path_of("file:///a/b%20c.mp4") == Path("/a/b c.mp4")
    assert path_of("~/x.mp4") == Path.home() / "x.mp4"


@pytest.mark.parametrize("spec", ["window", "null"])
def test_outputs_are_no_inputs(spec):
    with pytest.raises(UserError, match="is an output"):
        open_source(spec)


@pytest.mark.parametrize("spec", ["", "  "])
def test_nothing_was_named(spec):
    with pytest.raises(UserError, match="empty"):
        open_source(spec)


def test_unknown_addresses():
    with pytest.raises(UserError, match="not a kind of address"):
        open_source("gopher://host/x")
    with pytest.raises(UserError, match="no way to send"):
        open_sink("https://host/x", INFO)


def test_null_takes_everything():
    with open_sink("null", INFO) as sink:
        sink.write(Frame(np.zeros((2, 4, 3), np.uint8)))
        assert isinstance(sink, NullSink)
        assert sink.description == "null"
        assert sink.poll_keys() == []
