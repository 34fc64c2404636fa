"""A virtual camera that video-call programs can pick, through pyvirtualcam."""

import logging
import platform
from pathlib import Path

import numpy as np
import pyvirtualcam

from stream.errors import UserError
from stream.frame import Frame
from stream.media.base import Sink, StreamInfo, check_size
from stream.media.pacing import Pacer

_log = logging.getLogger("voltface")
_DEFAULT_FPS = 30.0
_DEVICES = Path("/sys/class/video4linux")
_REMEDIES = {
    "Linux": "Install its driver: sudo apt install v4l2loopback-dkms, then: sudo modprobe "
    "v4l2loopback exclusive_caps=1 card_label=voltface",
    "Windows": "Install OBS Studio (https://obsproject.com), which brings the OBS Virtual "
    "Camera, start it once, then try again.",
    "Darwin": "Install OBS Studio (https://obsproject.com), press Start Virtual Camera in it "
    "once, allow it in the system settings, close OBS, then try again.",
}


def _device_of(name: str) -> str | None:
    """Return the device that ``camera:NAME`` means; on Linux a number or a label will do."""
    if not name:
        return None
    if platform.system() != "Linux" or name.startswith("/dev/"):
        return name
    if name.isdigit():
        return f"/dev/video{name}"
    for path in sorted(_DEVICES.glob("video*/name")):
        if path.read_text().strip() == name:
            return f"/dev/{path.parent.name}"
    return name


class VirtualCameraSink(Sink):
    """A virtual camera; the frames of a file are sent at their times.

    Args:
        name: of the device, empty for the first one that is free.
        info: of the stream.
        backend: of pyvirtualcam, None tries all.

    Raises:
        UserError: there is none; says what to install.
    """

    def __init__(self, name: str, info: StreamInfo, backend: str | None = None) -> None:
        self._info, self._pacer = info, Pacer(info.live)
        # Cameras send 4:2:0 pictures, whose sizes are even: an odd edge is cut off.
        self._width, self._height = info.width // 2 * 2, info.height // 2 * 2
        try:
            self._camera = pyvirtualcam.Camera(
                self._width,
                self._height,
                info.fps or _DEFAULT_FPS,
                device=_device_of(name),
                backend=backend,
            )
        except (RuntimeError, ValueError) as error:
            raise self._absent(name, error) from None
        self.description = f"virtual camera {self._camera.device}"

    def _absent(self, name: str, error: Exception) -> UserError:
        reason = "; ".join(line.strip().rstrip(".") for line in str(error).splitlines())
        return UserError(
            f"Cannot open the virtual camera {name}".rstrip(),
            reason or "there is none",
            _REMEDIES.get(platform.system(), "See the documentation of pyvirtualcam."),
        )

    def write(self, frame: Frame) -> None:
        """Send one frame when it is due."""
        check_size(frame, self._info)
        pixels = np.ascontiguousarray(frame.pixels[: self._height, : self._width])
        self._pacer.wait(frame.time_s)
        try:
            self._camera.send(pixels)
        except RuntimeError as error:
            raise UserError(
                f"The {self.description} stopped",
                str(error),
                "See that its driver is still loaded, then start again.",
            ) from None

    def close(self) -> None:
        """Give the virtual camera back."""
        self._camera.close()
