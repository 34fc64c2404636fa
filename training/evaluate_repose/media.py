"""Read clips, read and write pictures: RGB uint8 everywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from stream.errors import UserError


@dataclass(frozen=True, slots=True)
class Clip:
    """The frames of a clip in memory.

    Attributes:
        frames: (H, W, 3) uint8 RGB pictures, in order of presentation.
        fps: frames a second.
    """

    frames: tuple[np.ndarray, ...]
    fps: float


def iterate_clip(path: Path) -> Iterator[np.ndarray]:
    """Decode the first video stream of a file, frame by frame, as RGB."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            yield frame.to_ndarray(format="rgb24")


def read_clip(path: Path, limit: int | None = None) -> Clip:
    """Read at most `limit` frames of a clip.

    Raises:
        UserError: if nothing can be decoded.
    """
    frames = []
    try:
        with av.open(str(path)) as container:
            fps = float(container.streams.video[0].average_rate or 25)
        for frame in iterate_clip(path):
            frames.append(frame)
            if limit is not None and len(frames) >= limit:
                break
    except (OSError, IndexError, av.FFmpegError) as error:
        raise UserError(f"{path.name} cannot be read", str(error), "Name a video file.") from error
    if not frames:
        raise UserError(f"{path.name} holds no frames", "nothing came out", "Name a video file.")
    return Clip(tuple(frames), fps)


def write_clip(path: Path, frames: Sequence[np.ndarray], fps: float = 25.0) -> None:
    """Write RGB frames without loss (FFV1, RGB), for feeding them to the program."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=max(1, round(fps)))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "bgr0"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


def read_picture(path: Path) -> np.ndarray:
    """Read a picture as RGB."""
    stored = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if stored is None:
        raise UserError(f"{path.name} cannot be read", "no picture is in it", "Name a picture.")
    return cv2.cvtColor(stored, cv2.COLOR_BGR2RGB)


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write an RGB picture; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)):
        raise UserError(
            f"{path.name} cannot be written", "the format or folder refuses", "Use .png."
        )


def psnr(first: np.ndarray, second: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB (at most 99) of two uint8 pictures."""
    error = (first.astype(np.float64) - second.astype(np.float64)) ** 2
    chosen = error if mask is None else error[mask]
    if chosen.size == 0:
        return float("nan")
    return float(min(99.0, 10 * np.log10(255**2 / max(float(chosen.mean()), 1e-12))))
