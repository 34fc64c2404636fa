"""Contact sheets and strips of the swap: input and output side by side, close up."""

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from tyro.conf import arg

from stream.swap.options import SwapSettings
from training.evaluate_repose import media, report
from training.evaluate_repose.faces import face_points
from training.evaluate_repose.options import Clips
from training.evaluate_swap.swapped import swap_frames

_AROUND = 0.85  # of the face's longer extent, to either side of its middle


def run(
    clips: Clips,
    source: Annotated[tuple[Path, ...], arg(metavar="IMAGE …")],
    out: Path,
    at: tuple[int, ...] = (10, 40),
    side: int = 480,
    shape: float = SwapSettings().shape,
) -> None:
    """Write a sheet: one row for each clip with each photo, frames before and after.

    Args:
        clips: clips to swap into.
        source: photos.
        out: the picture.
        at: frames that are shown.
        side: of each part, pixels.
        shape: see `--shape` of the command.
    """
    rows = []
    jobs = [(clip, photo) for clip in clips for photo in source]
    for clip, photo in report.progress(jobs, "sheet", len(jobs)):
        read = media.read_clip(clip, max(at) + 1)
        done = swap_frames(list(read.frames), read.fps, photo, SwapSettings(shape=shape))
        row: list[np.ndarray | None] = []
        for number in at:
            if number < len(read.frames):
                pair = (read.frames[number], done.frames[number])
                row += close_up(*pair, side)
        rows.append(row)
    media.write_picture(out, report.sheet(rows))


def close_up(before: np.ndarray, after: np.ndarray, side: int) -> list[np.ndarray]:
    """Cut the face of the first picture out of both; all of them where there is no face."""
    points = face_points(before)
    height, width = before.shape[:2]
    middle, half = np.array([width, height]) / 2, max(width, height) / 2
    if points is not None:
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        middle, half = (low + high) / 2, _AROUND * float((high - low).max())
    scale = side / (2 * half)
    out_from_in = np.array(
        [[scale, 0, side / 2 - scale * middle[0]], [0, scale, side / 2 - scale * middle[1]]]
    )
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return [cv2.warpAffine(one, out_from_in, (side, side), flags=way) for one in (before, after)]
