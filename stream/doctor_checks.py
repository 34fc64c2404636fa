"""What ``voltface doctor`` tries: each check does the thing and says what came of it.

A check returns a line about what works, and raises what went wrong: a UserError where the part
is not here, a PartError where it is here but fails; both say how to mend it. For anything else
the check's own remedy is shown.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.backends import BACKENDS
from engines.cuda import nvidia_driver_present
from engines.errors import EngineAbsentError
from engines.probe import prove
from stream.errors import UserError
from stream.frame import Frame
from stream.system_packages import install_command

_TRIANGLE_VERTEX = """
#version 330
void main() {
    vec2 corners[3] = vec2[](vec2(-1, -1), vec2(3, -1), vec2(-1, 3));
    gl_Position = vec4(corners[gl_VertexID], 0, 1);
}
"""
_TRIANGLE_FRAGMENT = """
#version 330
out vec4 colour;
void main() { colour = vec4(0.2, 0.4, 0.8, 1.0); }
"""


class PartError(UserError):
    """A part that is here but does not do its work."""


@dataclass(frozen=True, slots=True)
class Check:
    """One part of what voltface needs or can use.

    Attributes:
        title: what the table calls it.
        run: does it, and returns what works.
        remedy: how to mend it, where the failure does not say so itself.
        needed: whether the main job stands still without it.
    """

    title: str
    run: Callable[[], str]
    remedy: str
    needed: bool = False


def _opengl() -> str:
    from stream.gl import create_context  # noqa: PLC0415

    try:
        context = create_context()
    except UserError as error:
        if sys.platform == "linux" and not find_library("EGL") and not find_library("GL"):
            raise
        raise PartError(error.what, error.why, error.remedy) from error
    try:
        target = context.simple_framebuffer((16, 16))
        target.use()
        program = context.program(_TRIANGLE_VERTEX, _TRIANGLE_FRAGMENT)
        context.vertex_array(program, []).render(vertices=3)
        pixel = tuple(target.read(viewport=(8, 8, 1, 1)))
        name = f"{context.info['GL_RENDERER']}, OpenGL {context.version_code / 100:.1f}"
    finally:
        context.release()
    if pixel != (51, 102, 204):
        why = f"a triangle came out as {pixel}"
        raise PartError(f"{name} draws wrongly", why, "Update the graphics driver")
    return name


def _tracking() -> str:
    import mediapipe  # noqa: PLC0415

    from stream.face_mesh import FaceNet  # noqa: PLC0415
    from stream.media import read_picture  # noqa: PLC0415

    pixels, _ = read_picture(Path(__file__).parent / "assets" / "face.jpg")
    scores = []
    for still in (True, False):
        with FaceNet(still=still) as net:
            regions = net.detect(pixels, far=False)
            mesh = net.mesh(pixels, regions[0]) if regions else None
            runner = net.as_stats["face_mesh"]["backend"]
        if mesh is None:
            remedy = "Install it anew: pip install --force-reinstall mediapipe==0.10.21"
            why = f"but with its mesh in {runner} does not find a face that is there"
            raise PartError("MediaPipe runs", why, remedy)
        scores.append(mesh.score)
    found = f"MediaPipe {mediapipe.__version__} found a face, certainty {min(scores):.2f}"
    return f"{found}; {runner} runs its mesh for videos"


def _head_model() -> str:
    from stream.head_model import load_head_model  # noqa: PLC0415

    return f"{len(load_head_model().vertices)} vertices"


def _codecs() -> str:
    """Write a short video and read it back."""
    from stream.media import StreamInfo, open_sink, open_source  # noqa: PLC0415

    count, level = 8, 20
    info = StreamInfo(width=64, height=48, fps=25.0, frame_count=count)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "check.mp4")
        with open_sink(path, info) as sink:
            for index in range(count):
                pixels = np.full((48, 64, 3), level * (index + 1), np.uint8)
                sink.write(Frame(pixels, index, index / 25.0, time.perf_counter()))
            kind = sink.description
        with open_source(path) as source:
            means = [frame.pixels.mean() for frame in source]
    if len(means) != count or np.abs(np.diff(means) - level).max() > 4:
        why = f"{count} frames became {len(means)}, or other ones"
        raise PartError("a video is not read as it was written", why, "pip install --upgrade av")
    return f"written and read back: {kind.replace('check.mp4 ', '')}"


def _camera() -> str:
    from stream.media import list_cameras, open_source  # noqa: PLC0415

    cameras = list_cameras()
    if not cameras:
        why = "this system knows of none"
        raise UserError("no camera", why, "Plug one in; files and URLs work without")
    try:
        with open_source("camera") as source:
            width, height = next(iter(source)).size
    except UserError as error:
        raise PartError(error.what, error.why, error.remedy) from error
    return f"{', '.join(cameras)}; gives {width}x{height}"


def _virtual_camera() -> str:
    from stream.media import StreamInfo, open_sink  # noqa: PLC0415

    info = StreamInfo(width=640, height=480, fps=30.0, live=True)
    with open_sink("camera", info) as sink:
        sink.write(Frame(np.zeros((480, 640, 3), np.uint8)))
        return sink.description


def _window() -> str:
    from stream.media import StreamInfo, open_sink  # noqa: PLC0415

    info = StreamInfo(width=320, height=240, fps=30.0, live=True)
    try:
        with open_sink("window", info) as sink:
            sink.write(Frame(np.zeros((240, 320, 3), np.uint8)))
            sink.poll_keys()
            return sink.description
    except UserError as error:
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            raise PartError(error.what, error.why, _WINDOW_REMEDY) from error
        raise


def _engine(name: str) -> Callable[[], str]:
    """Return a check that builds a network with a backend, runs it and compares its answer."""

    def check() -> str:
        try:
            return prove(name)
        except EngineAbsentError:
            raise
        except UserError as error:
            raise PartError(error.what, error.why, error.remedy) from error

    return check


def _nvidia() -> str:
    if not nvidia_driver_present():
        raise UserError("no NVIDIA driver", "none is installed", "Only needed for TensorRT")
    return "driver loads"


_GL_REMEDY = install_command(
    apt="libegl1 libgl1 libgl1-mesa-dri libgles2",
    dnf="mesa-libEGL mesa-libGL mesa-dri-drivers",
    pacman="mesa libglvnd",
)
_WINDOW_REMEDY = install_command(
    apt="libsm6 libxext6 libxcb1", dnf="libSM libXext libxcb", pacman="libsm libxext libxcb"
)
_REINSTALL = f"{sys.executable} -m pip install --force-reinstall"
_ENGINE_TITLES = {
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "tensorrt": "TensorRT",
    "tensorrt-rtx": "TensorRT for RTX",
}


def _reinstall(engine: str) -> str:
    return f"{BACKENDS[engine].install} --force-reinstall"


CHECKS: dict[str, Check] = {
    "opengl": Check("OpenGL", _opengl, _GL_REMEDY, needed=True),
    "tracking": Check("face tracking", _tracking, f"{_REINSTALL} mediapipe==0.10.21", needed=True),
    "head_model": Check("head model", _head_model, f"{_REINSTALL} voltface", needed=True),
    "codecs": Check("video files", _codecs, f"{_REINSTALL} av", needed=True),
    "camera": Check("camera", _camera, "plug a camera in and close what else uses it"),
    "virtual_camera": Check("virtual camera", _virtual_camera, "see the README, For streamers"),
    "window": Check("preview window", _window, _WINDOW_REMEDY),
    "nvidia": Check("NVIDIA driver", _nvidia, "install the driver of the card"),
    **{
        name.replace("-", "_"): Check(title, _engine(name), _reinstall(name))
        for name, title in _ENGINE_TITLES.items()
    },
}
