"""What every source and every sink of frames promises."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from stream.closing import Closing
from stream.frame import Frame

UNSPECIFIED = 2
RGB_MATRIX = 0


@dataclass(frozen=True, slots=True)
class Colour:
    """How the numbers of a stream mean light, as code points of ITU-T H.273.

    Attributes:
        matrix: matrix coefficients; 0 is RGB, 1 BT.709, 5 and 6 BT.601, 9 BT.2020,
            2 is not told.
        full_range: True for 0…255, False for 16…235, None where it is not told.
        primaries: colour primaries, 2 is not told.
        transfer: transfer characteristics, 2 is not told.
    """

    matrix: int = UNSPECIFIED
    full_range: bool | None = None
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What is known of a stream before its first frame is handed out.

    Attributes:
        width: of the upright picture, pixels.
        height: of the upright picture, pixels.
        fps: mean frame rate, None where it is not known.
        frame_count: estimate for a progress bar, None where it is not known.
        live: frames come at their own pace and may be dropped.
        still: the input is a picture: one frame.
        name: for messages.
        colour: kept by the sinks.
        bit_depth: of the input's samples; frames are 8 bits deep always.
        time_base: seconds of one tick in which presentation times are exact.
        start_s: presentation time of the first frame on the input's own clock.
        ended: set by the source once its last frame was taken, not if it was left early;
            None where nobody tells.
        pixel_aspect: width of a pixel over its height.
        alpha: (H, W) uint8 opacity of a picture, None where it is opaque.
    """

    width: int
    height: int
    fps: float | None = None
    frame_count: int | None = None
    live: bool = False
    still: bool = False
    name: str = ""
    colour: Colour = Colour()
    bit_depth: int = 8
    time_base: Fraction = Fraction(1, 90_000)
    start_s: float = 0.0
    ended: threading.Event | None = field(default=None, compare=False, repr=False)
    pixel_aspect: Fraction = Fraction(1)
    alpha: np.ndarray | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How inputs are read.

    Attributes:
        camera_size: (width, height) asked of a camera; it may give another.
        camera_fps: frame rate asked of a camera.
        reconnect_s: for how long a vanished camera is searched for.
        timeout_s: for how long a URL may stay silent.
        queue_frames: how many frames of a file are decoded ahead.
    """

    camera_size: tuple[int, int] = (1280, 720)
    camera_fps: float = 30.0
    reconnect_s: float = 5.0
    timeout_s: float = 10.0
    queue_frames: int = 4


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """How outputs are written.

    Attributes:
        quality: constant rate factor of H.264 (lower is better, 18 is hard to tell apart).
        preset: effort of the H.264 encoder.
        still_s: length of the video that a picture becomes.
        picture_quality: 0…100 for JPEG and WebP.
        queue_frames: how many frames may wait for the encoder.
        title: of the preview window.
    """

    quality: int = 18
    preset: str = "superfast"
    still_s: float = 5.0
    picture_quality: int = 95
    queue_frames: int = 4
    title: str = "voltface"


class Source(Closing, ABC):
    """Frames of one input, in order, to be iterated over once.

    Attributes:
        info: what is known of the stream.
    """

    info: StreamInfo

    @property
    def dropped(self) -> int:
        """Frames that a live source skipped so far; 0 for files."""
        return 0

    @property
    def is_ready(self) -> bool:
        """Whether the next frame can be had without a wait."""
        return False

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames.

        Raises:
            UserError: the input ended in a way that the user must know of.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the input; harmless when repeated, quick even in mid-stream."""


class Sink(Closing, ABC):
    """A place for frames; they arrive in the order in which they are written.

    Attributes:
        description: for messages, such as ``out.mp4 (h264 1280x720)``.
    """

    description: str = ""

    @abstractmethod
    def write(self, frame: Frame) -> None:
        """Take one frame, whose pixels must not change afterwards.

        Raises:
            UserError: the output cannot be written any further.
            ValueError: the frame is not of the size that the sink was opened for.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish the output; harmless when repeated.

        Raises:
            UserError: the output could not be finished.
        """

    def poll_keys(self) -> list[str]:
        """Return the keys pressed since the last call, oldest first.

        Only a window has any: ``left right up down 0 c m space q``; closing it is ``q``.
        """
        return []


class NullSink(Sink):
    """A sink that keeps nothing, for measurements."""

    description = "null"

    def write(self, frame: Frame) -> None:
        """Forget the frame."""

    def close(self) -> None:
        """Do nothing."""


def check_size(frame: Frame, info: StreamInfo) -> None:
    """Raise ValueError where a frame is not of the size that was announced."""
    if frame.size != (info.width, info.height):
        raise ValueError(
            f"frame {frame.index}: expected {info.width}x{info.height} pixels, "
            f"got {frame.size[0]}x{frame.size[1]}"
        )
