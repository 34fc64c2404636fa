"""Live cameras, read with OpenCV."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from stream.errors import UserError
from stream.frame import Frame
from stream.media.base import RGB_MATRIX, Colour, SourceOptions, StreamInfo
from stream.media.handoff import ThreadedSource

_log = logging.getLogger("voltface")
_RETRY_S = 0.25
# The systems' own interfaces, so that no other is tried and complains on standard error.
_INTERFACES = {"linux": cv2.CAP_V4L2, "darwin": cv2.CAP_AVFOUNDATION, "win32": cv2.CAP_DSHOW}


class Capture(Protocol):
    """The part of ``cv2.VideoCapture`` that is used here."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Tell whether the camera answers."""

    def read(self) -> tuple[bool, np.ndarray | None]:
        """Wait for the next picture, (H, W, 3) uint8 BGR."""

    def get(self, number: int) -> float:
        """Return a property, 0 where it is not known."""

    def release(self) -> None:
        """Give the camera back."""


Opener = Callable[[int | str, SourceOptions], Capture]


def open_capture(device: int | str, options: SourceOptions) -> Capture:
    """Open a camera with OpenCV and ask for a size and a rate."""
    level = cv2.getLogLevel()
    cv2.setLogLevel(0)
    try:
        capture = cv2.VideoCapture(device, _INTERFACES.get(sys.platform, cv2.CAP_ANY))
    finally:
        cv2.setLogLevel(level)
    if capture.isOpened():
        # Uncompressed pictures of this size do not fit through USB 2 at full rate.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.camera_size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.camera_size[1])
        capture.set(cv2.CAP_PROP_FPS, options.camera_fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def list_cameras() -> list[str]:
    """Name the cameras that exist, such as ``camera:0 (/dev/video0, Webcam)``."""
    if sys.platform == "linux":
        return [
            f"camera:{path.name.removeprefix('video')} (/dev/{path.name}, {_label(path)})"
            for path in sorted(Path("/sys/class/video4linux").glob("video*"))
        ]
    return [f"camera:{number}" for number in range(4) if _answers(number)]


def _label(path: Path) -> str:
    try:
        return (path / "name").read_text().strip()
    except OSError:
        return "unnamed"


def _answers(number: int) -> bool:
    capture = open_capture(number, SourceOptions())
    answers = capture.isOpened()
    capture.release()
    return answers


def _first_picture(capture: Capture) -> np.ndarray | None:
    if not capture.isOpened():
        return None
    ok, picture = capture.read()
    return picture if ok else None


def _absent(name: str) -> UserError:
    cameras = list_cameras()
    found = "these exist: " + ", ".join(cameras) if cameras else "no camera was found"
    return UserError(
        f"Cannot open the {name}",
        f"it does not answer; {found}",
        "Plug it in, close programs that use it, and see that this program may use cameras; "
        "a video file can stand in for it.",
    )


class CameraSource(ThreadedSource):
    """A live camera; of its pictures only the newest waits.

    Raises:
        UserError: there is no such camera, or it vanished and did not come back.
    """

    def __init__(
        self, device: int | str, options: SourceOptions, opener: Opener = open_capture
    ) -> None:
        self._device, self._options, self._opener = device, options, opener
        name = f"camera {device}"
        self._capture = opener(device, options)
        first = _first_picture(self._capture)
        if first is None:
            self._capture.release()
            raise _absent(name)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        info = StreamInfo(
            width=first.shape[1],
            height=first.shape[0],
            fps=fps if 1.0 <= fps <= 1000.0 else options.camera_fps,
            live=True,
            name=name,
            colour=Colour(matrix=RGB_MATRIX),
        )
        super().__init__(info, options.queue_frames)

    def _read(self) -> Iterator[Frame]:
        began_s, index = None, 0
        while not self._done.is_set():
            ok, picture = self._capture.read()
            if not ok or picture is None:
                self._reconnect()
                continue
            now_s = time.perf_counter()
            began_s = now_s if began_s is None else began_s
            yield Frame(self._to_rgb(picture), index, now_s - began_s, now_s)
            index += 1

    def _to_rgb(self, picture: np.ndarray) -> np.ndarray:
        size = (self.info.width, self.info.height)
        if picture.shape[1::-1] != size:  # after a reconnection it may have changed
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    def _reconnect(self) -> None:
        """Open the camera again.

        Raises:
            UserError: it stayed away for longer than ``reconnect_s``.
        """
        _log.warning("%s gives no pictures any more: looking for it", self.info.name)
        give_up_s = time.perf_counter() + self._options.reconnect_s
        while time.perf_counter() < give_up_s and not self._done.is_set():
            self._capture.release()
            self._capture = self._opener(self._device, self._options)
            if _first_picture(self._capture) is not None:
                _log.warning("%s is back", self.info.name)
                return
            self._done.wait(_RETRY_S)
        if not self._done.is_set():
            raise UserError(
                f"The {self.info.name} vanished",
                "it was unplugged or another program took it",
                "Plug it in again and start anew; what was written so far is kept.",
            )

    def _release(self) -> None:
        self._capture.release()
