"""Contact sheets: the head at many angles at 100 %, and strips over time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.evaluate_repose import media, report
from training.evaluate_repose.faces import face_points, head_box
from training.evaluate_repose.options import Clips
from training.evaluate_repose.program import InProcess

YAWS = (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)
PITCHES = (-20.0, -10.0, 0.0, 10.0, 20.0)
_WARM_UP = 12  # frames before the one shown, for tracker, identity and background
_MARGIN = 2.6  # side of the crop over the face's larger side


def _crop(pixels: np.ndarray) -> tuple[slice, slice]:
    points = face_points(pixels)
    if points is None:
        return slice(0, pixels.shape[0]), slice(0, pixels.shape[1])
    return head_box(points, (pixels.shape[1], pixels.shape[0]), _MARGIN)


def shown_frames(count: int, wanted: int) -> list[int]:
    """Return `wanted` frame numbers spread evenly over a clip of `count` frames."""
    return sorted({round((i + 0.5) * count / wanted - 0.5) for i in range(wanted)})


def reposed_at(
    frames: Sequence[np.ndarray], index: int, fps: float, yaw: float = 0.0, pitch: float = 0.0
) -> np.ndarray:
    """Re-pose frame `index` by a path that has seen the frames before it."""
    first = max(0, index - _WARM_UP)
    height, width = frames[index].shape[:2]
    out = frames[index]
    with InProcess((width, height), fps) as path:
        for frame in frames[first : index + 1]:
            # An angle of almost nothing goes the whole way; none at all may pass untouched.
            out = path.process(frame, yaw=yaw or 0.01, pitch=pitch)
    return out


def angle_rows(
    frames: Sequence[np.ndarray],
    index: int,
    fps: float,
    yaws: Sequence[float] = YAWS,
    pitches: Sequence[float] = PITCHES,
) -> list[list[np.ndarray | None]]:
    """Return two rows of crops of one frame: over yaw, and the input with those over pitch."""
    rows, columns = _crop(frames[index])
    source = frames[index][rows, columns]
    by_yaw: list[np.ndarray | None] = [
        report.labelled(reposed_at(frames, index, fps, yaw=yaw)[rows, columns], [f"yaw {yaw:+.0f}"])
        for yaw in yaws
    ]
    by_pitch: list[np.ndarray | None] = [
        report.labelled(
            reposed_at(frames, index, fps, pitch=pitch)[rows, columns], [f"pitch {pitch:+.0f}"]
        )
        for pitch in pitches
    ]
    return [by_yaw, [report.labelled(source, [f"input, frame {index}"]), *by_pitch]]


def run(clips: Clips, out: Path, frames: int = 2, limit: int = 300) -> None:
    """Draw contact sheets of heads turned to many angles, at 100 %.

    Args:
        clips: clips to turn.
        out: folder for the PNG files, one for each clip.
        frames: frames shown of each clip.
        limit: read no more frames of a clip.
    """
    for clip in clips:
        read = media.read_clip(clip, limit)
        rows: list[list[np.ndarray | None]] = []
        chosen = shown_frames(len(read.frames), frames)
        for index in report.progress(chosen, clip.name, len(chosen)):
            rows += angle_rows(read.frames, index, read.fps)
        media.write_picture(out / f"{clip.stem}.png", report.sheet(rows))


def run_strip(
    clips: Clips,
    out: Path,
    yaw: float = 20.0,
    pitch: float = 0.0,
    start: int = 30,
    frames: int = 8,
    step: int = 1,
) -> None:
    """Draw strips over time, input above output, at 100 %.

    Args:
        clips: clips to turn.
        out: folder for the PNG files, one for each clip.
        yaw: degrees added.
        pitch: degrees added.
        start: first frame shown.
        frames: frames shown.
        step: show every step-th frame.
    """
    for clip in clips:
        read = media.read_clip(clip, start + frames * step)
        height, width = read.frames[0].shape[:2]
        with InProcess((width, height), read.fps) as path:
            output = [
                path.process(frame, yaw=yaw, pitch=pitch)
                for frame in report.progress(read.frames, clip.name, len(read.frames))
            ]
        chosen = list(range(min(start, len(output) - 1), len(output), step))
        rows, columns = _crop(read.frames[chosen[0]])
        strips: list[list[np.ndarray | None]] = [
            [report.labelled(frames_of[i][rows, columns], [str(i)]) for i in chosen]
            for frames_of in (read.frames, output)
        ]
        media.write_picture(out / f"{clip.stem}_strip.png", report.sheet(strips))
