"""The preview window."""

import math
import os
import subprocess
import sys
from typing import Any

import cv2

from stream.errors import UserError
from stream.frame import Frame
from stream.media.base import Sink, SinkOptions, StreamInfo, check_size
from stream.media.pacing import Pacer

_LONGEST_SIDE_PX = 1280
_PROBE_S = 20.0
# What OpenCV calls the arrow keys: X11, Windows, macOS
_KEYS = {
    **dict.fromkeys((65361, 2424832, 63234), "left"),
    **dict.fromkeys((65362, 2490368, 63232), "up"),
    **dict.fromkeys((65363, 2555904, 63235), "right"),
    **dict.fromkeys((65364, 2621440, 63233), "down"),
    # 0 of the number pad under X11
    **dict.fromkeys((ord("0"), 65456), "0"),
    **dict.fromkeys((ord("c"), ord("C")), "c"),
    **dict.fromkeys((ord("m"), ord("M")), "m"),
    **dict.fromkeys((ord("q"), ord("Q"), 27), "q"),
    ord(" "): "space",
    # What a path of its own takes: see stream.swap.controls.
    **{ord(key): key for key in "12345678zxet"},
}
_CHARACTER = 0xFF


def key_name(code: int) -> str | None:
    """Name a key code of OpenCV: ``left right up down 0 c m space q``, else None."""
    if code < 0:
        return None
    # Shift and lock keys set bits above the character.
    return _KEYS.get(code) or _KEYS.get(code & 0xFFFF) or _KEYS.get(code & _CHARACTER)


def window_problem() -> str | None:
    """Tell why no window can be opened, None where one can.

    Without a display OpenCV ends the whole program, so another one tries first.
    """
    if not sys.platform.startswith("linux"):
        return None
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)"
    attempt = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"
    try:
        probe = subprocess.run(  # noqa: S603 - this interpreter and a fixed text
            [sys.executable, "-P", "-c", attempt],
            capture_output=True,
            timeout=_PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the display does not answer"
    return "the display cannot be opened" if probe.returncode else None


class WindowSink(Sink):
    """A window that shows the frames, those of a file at their times, and reports keys.

    Args:
        info: of the stream.
        options: the title.
        toolkit: stands in for OpenCV in tests.

    Raises:
        UserError: no window can be opened.
    """

    def __init__(self, info: StreamInfo, options: SinkOptions, toolkit: Any = None) -> None:  # noqa: ANN401
        problem = window_problem() if toolkit is None else None
        self._ui = toolkit or cv2
        self._info, self._title = info, options.title
        self._pacer = Pacer(info.live)
        self._keys: list[str] = []
        self._open = False
        self.description = "window"
        try:
            if problem is None:
                self._show()
        except cv2.error as error:
            problem = error.err or str(error)
        if problem is not None:
            raise UserError(
                "Cannot open the preview window",
                problem,
                "Run it on the desktop itself, or choose another output: a video file, camera "
                "or null.",
            )

    def _show(self) -> None:
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
        self._ui.namedWindow(self._title, flags)
        scale = min(1.0, _LONGEST_SIDE_PX / max(self._info.width, self._info.height))
        width, height = self._info.width * scale, self._info.height * scale
        self._ui.resizeWindow(self._title, max(1, round(width)), max(1, round(height)))
        self._open = True

    def write(self, frame: Frame) -> None:
        """Show one frame when it is due, and listen for keys meanwhile."""
        check_size(frame, self._info)
        if not self._open:
            return
        self._ui.imshow(self._title, cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR))
        self._listen(1)
        while self._open and (left_s := self._pacer.left_s(frame.time_s)) > 0.0:
            self._listen(math.ceil(left_s * 1000.0))

    def _listen(self, milliseconds: int) -> None:
        key = key_name(self._ui.waitKeyEx(milliseconds))
        if key is not None:
            self._keys.append(key)
        if self._ui.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
            self._open = False
            self._keys.append("q")

    def poll_keys(self) -> list[str]:
        """Return the keys pressed since the last call; closing the window is ``q``."""
        keys, self._keys = self._keys, []
        return keys

    def close(self) -> None:
        """Close the window."""
        if self._open:
            self._open = False
            self._ui.destroyWindow(self._title)
