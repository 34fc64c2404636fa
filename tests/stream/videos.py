"""Pictures and videos that several tests of the program need."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import stream
from stream.frame import Frame
from stream.media import StreamInfo, open_sink, open_source

CLIP = Path(stream.__file__).parent / "assets" / "demo.mp4"
FACE = CLIP.with_name("face.jpg")


def clip_frames(count: int) -> list[np.ndarray]:
    """Return the first frames of the demo clip."""
    with open_source(str(CLIP)) as source:
        return [frame.pixels for frame in source if frame.index < count]


def write_video(path: Path, pictures: Sequence[np.ndarray], fps: float = 25.0) -> None:
    """Write a video of RGB pictures."""
    height, width = pictures[0].shape[:2]
    with open_sink(str(path), StreamInfo(width=width, height=height, fps=fps)) as sink:
        for index, pixels in enumerate(pictures):
            sink.write(Frame(np.ascontiguousarray(pixels), index, index / fps))


def read_video(path: Path) -> list[np.ndarray]:
    """Return the frames of a video as (H, W, 3) int arrays."""
    with open_source(str(path)) as source:
        return [frame.pixels.astype(int) for frame in source]
