"""Pictures that are one frame of a video codec: AVIF, and HEIC as telephones take it."""

from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from stream.errors import UserError
from stream.media.base import SourceOptions
from stream.media.convert import ToRgb
from stream.media.video_source import open_container


def read_packed_picture(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read an AVIF or HEIC upright and 8 bits deep.

    Returns:
        (H, W, 3) uint8 RGB and (H, W) uint8 opacity, None where there is none (of HEIC always).

    Raises:
        UserError: the file is damaged, or made of tiles.
    """
    with open_container(str(path), SourceOptions()) as container:
        pictures = list(container.streams.video)
        if not pictures:
            raise _damaged(path)
        if Disposition.dependent in pictures[0].disposition:
            raise UserError(
                f"Cannot read the picture {path}",
                "it is put together of tiles, as iPhones write HEIC",
                "Save it as JPEG: on an iPhone choose Settings, Camera, Formats, Most Compatible; "
                "on a Mac open it in Preview and choose Export.",
            )
        opacity = next((s for s in pictures if s.metadata.get("title") == "Alpha"), None)
        pixels = _pixels(path, container, pictures[0])
        if opacity is None:
            return pixels, None
    with open_container(str(path), SourceOptions()) as container:
        return pixels, _pixels(path, container, container.streams.video[opacity.index])[..., 0]


def _pixels(path: Path, container: InputContainer, stream: VideoStream) -> np.ndarray:
    """Return the first frame of a stream, (H, W, 3) uint8."""
    try:
        frame = next(container.decode(stream))
    except (av.FFmpegError, StopIteration):
        raise _damaged(path) from None
    to_rgb = ToRgb(stream.codec_context)
    ready = [*to_rgb.push(frame, 0.0), *to_rgb.flush()]
    return ready[0][0]


def _damaged(path: Path) -> UserError:
    reason = "it is damaged or cut off"
    return UserError(f"Cannot read the picture {path}", reason, "Save it again as PNG or JPEG.")
