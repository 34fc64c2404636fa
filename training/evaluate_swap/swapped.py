"""Run the swap in this process over the frames of a clip, without coding losses."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from stream.errors import UserError
from stream.frame import Frame
from stream.media import StreamInfo
from stream.pose import PoseRequest
from stream.settings import Settings
from stream.stats import StageTimer
from stream.swap.casting import Role
from stream.swap.compose import Laid
from stream.swap.options import SwapSettings
from stream.swap.source import SourceFace, prepare_source
from stream.swap.swapper import Swapper


@dataclass(frozen=True, slots=True)
class Swapped:
    """A swapped clip.

    Attributes:
        frames: (H, W, 3) uint8 pictures.
        covers: what was laid over each frame, None where no face was swapped.
    """

    frames: list[np.ndarray]
    covers: list[Laid | None]


@lru_cache(maxsize=16)
def source_of(path: Path) -> SourceFace:
    """Prepare a photo once."""
    return prepare_source([path])


def swap_frames(
    frames: Sequence[np.ndarray], fps: float, source: Path, options: SwapSettings
) -> Swapped:
    """Take RGB frames through a fresh path, in order.

    Raises:
        UserError: if a stage failed, for the figures would be those of a plain copy.
    """
    said: list[str] = []
    complaints = logging.Handler(logging.ERROR)
    complaints.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("voltface")
    log.addHandler(complaints)
    height, width = frames[0].shape[:2]
    settings = replace(Settings(), swap=options)
    pictures, covers = [], []
    try:
        with Swapper(
            settings, StreamInfo(width, height, fps), StageTimer(),
            sources=[source_of(source)], roles=[Role(0)],
        ) as path:  # fmt: skip
            for index, pixels in enumerate(frames):
                frame = Frame(pixels, index, index / fps)
                pictures.append(path.process(frame, PoseRequest()).pixels)
                covers.append(path.covers[0] if path.covers else None)
    finally:
        log.removeHandler(complaints)
    if said:
        raise UserError("A stage failed", said[0], "Mend the stage")
    return Swapped(pictures, covers)
