"""The table of a swap: each clip with each photo."""

from pathlib import Path
from typing import Annotated

import numpy as np
from tyro.conf import arg

from stream.swap.options import SwapSettings
from training.evaluate_repose import media, report
from training.evaluate_repose.faces import face_points
from training.evaluate_repose.options import Clips
from training.evaluate_swap import measures
from training.evaluate_swap.identity import descriptors
from training.evaluate_swap.swapped import Swapped, swap_frames

_IDENTITY_EVERY = 5


def run(
    clips: Clips,
    source: Annotated[tuple[Path, ...], arg(metavar="IMAGE …")],
    frames: int = 60,
    shape: float = SwapSettings().shape,
    judge: Annotated[str | None, arg(metavar="PYTHON")] = None,
    json: Path | None = None,
) -> None:
    """Measure the swap of each source onto each clip.

    Args:
        clips: clips to swap into.
        source: photos.
        frames: at most so many of each clip.
        shape: see `--shape` of the command.
        judge: interpreter that has dlib, for the column of identity; see `identity.py`.
        json: write the table there.
    """
    rows = []
    jobs = [(clip, photo) for clip in clips for photo in source]
    for clip, photo in report.progress(jobs, "swap", len(jobs)):
        read = media.read_clip(clip, frames)
        done = swap_frames(list(read.frames), read.fps, photo, SwapSettings(shape=shape))
        names: dict[str, report.Value] = {"clip": clip.stem, "source": photo.stem}
        rows.append(names | measured(list(read.frames), done, photo, judge))
    mean = report.mean_row(rows, clip="mean", source="")
    report.publish([*rows, mean], json, f"swap, shape {shape:g}")


def measured(
    before: list[np.ndarray], done: Swapped, photo: Path, judge: str | None
) -> dict[str, report.Value]:
    """Return the figures of one swapped clip."""
    swapped = [cover is not None for cover in done.covers]
    points = [face_points(picture) if on else None
              for picture, on in zip(before, swapped, strict=True)]  # fmt: skip
    after = [face_points(picture) if found is not None else None
             for picture, found in zip(done.frames, points, strict=True)]  # fmt: skip
    points = [one if other is not None else None for one, other in zip(points, after, strict=True)]
    errors = measures.point_errors(points, after)
    steps = np.array([
        measures.seam_steps(old, new, cover)
        for old, new, cover in zip(before, done.frames, done.covers, strict=True)
        if cover is not None
    ]).reshape(-1, 5).mean(axis=0)  # fmt: skip
    shaking = [measures.jerk(measures.point_courses(each)) for each in (points, after)]
    colours = [
        measures.jerk(measures.colour_courses(pictures, points))
        for pictures in (before, done.frames)
    ]
    return {
        "swapped %": 100.0 * float(np.mean(swapped)),
        "points %": 100 * float(np.mean(errors)) if errors else None,
        "mouth": measures.correlation(measures.mouth_openings(points),
                                      measures.mouth_openings(after)),
        "source nearer %": _nearer(before, done, points, after, photo, judge),
        "points flicker ×": shaking[1] / shaking[0],
        "colour flicker ×": colours[1] / colours[0],
        "seam ÷ inside": float(steps[0] / steps[4]),
        "change ÷ inside": float(steps[1] / steps[4]),
        "edge ÷ input's": float(steps[2] / steps[3]),
    }  # fmt: skip


def _nearer(
    before: list[np.ndarray],
    done: Swapped,
    points: list[np.ndarray | None],
    after: list[np.ndarray | None],
    photo: Path,
    judge: str | None,
) -> float | None:
    """Return on how many per cent of the frames the output is nearer to the source."""
    chosen = [n for n in range(0, len(before), _IDENTITY_EVERY) if after[n] is not None]
    picture = media.read_picture(photo)
    own = face_points(picture)
    if not chosen or own is None:
        return None
    pictures = [picture, *(before[n] for n in chosen), *(done.frames[n] for n in chosen)]
    found = [own, *(points[n] for n in chosen), *(after[n] for n in chosen)]
    boxes = [np.concatenate([one[:, :2].min(0), one[:, :2].max(0)])
             for one in found if one is not None]  # fmt: skip
    described = descriptors(pictures, boxes, judge)
    if described is None:
        return None
    source, targets, outputs = np.split(described, [1, 1 + len(chosen)])
    to_source = np.linalg.norm(outputs - source, axis=1)
    to_target = np.linalg.norm(outputs - targets, axis=1)
    return 100.0 * float((to_source < to_target).mean())
