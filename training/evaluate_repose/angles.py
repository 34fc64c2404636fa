"""Requested against measured turn: does `--yaw 20` turn the head by 20°?"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from training.evaluate_repose import media, report
from training.evaluate_repose.calibrate import own_gains
from training.evaluate_repose.faces import AXES, METHODS, gain, measured_angles
from training.evaluate_repose.options import Clips
from training.evaluate_repose.program import InProcess
from training.evaluate_repose.sheet import shown_frames

_REQUESTS = {
    "yaw": (-20.0, -10.0, 10.0, 20.0),
    "pitch": (-15.0, -8.0, 8.0, 15.0),
    "roll": (-15.0, 15.0),
}
_WARM_UP = 15


def turns(
    frames: Sequence[np.ndarray], index: int, axis: str, value: float
) -> dict[str, np.ndarray] | None:
    """Return the measured change (yaw, pitch, roll) by both methods for one request."""
    height, width = frames[0].shape[:2]
    out = frames[index]
    with InProcess((width, height)) as path:
        for frame in frames[max(0, index - _WARM_UP) : index + 1]:
            out = path.process(frame, **{axis: value})
    before, after = measured_angles(frames[index]), measured_angles(out)
    if before is None or after is None:
        return None
    return {method: after[method] - before[method] for method in before}


def clip_rows(clip: Path, count: int) -> list[dict[str, report.Value]]:
    """Measure every request on frames spread over a clip: one row for each request."""
    frames = media.read_clip(clip, 200).frames
    rows: list[dict[str, report.Value]] = []
    jobs = [(axis, value) for axis, values in _REQUESTS.items() for value in values]
    for axis, value in report.progress(jobs, clip.name, len(jobs)):
        found = [turns(frames, i, axis, value) for i in shown_frames(len(frames), count)]
        seen = [f for f in found if f is not None]
        row: dict[str, report.Value] = {"clip": clip.name, "axis": axis, "requested": value}
        for method in METHODS:
            mean = np.mean([f[method] for f in seen], axis=0) if seen else np.full(3, np.nan)
            row |= {f"{name} ({method})": float(v) for name, v in zip(AXES, mean, strict=True)}
        rows.append(row)
    return rows


def gain_rows(rows: Sequence[report.Row], own: Mapping[tuple[str, str], float]) -> list[report.Row]:
    """Return the gain of each axis over all rows, by both methods, with what leaks elsewhere.

    Args:
        rows: of `clip_rows`.
        own: the gains of the measure itself, which the corrected ones are divided by.
    """
    out: list[report.Row] = []
    for axis in AXES:
        chosen = [row for row in rows if row["axis"] == axis]
        asked = [_number(row["requested"]) for row in chosen]
        line: dict[str, report.Value] = {"axis": axis}
        for method in METHODS:
            found = gain(asked, [_number(row[f"{axis} ({method})"]) for row in chosen])
            measure = own.get((axis, method), float("nan"))
            others = [a for a in AXES if a != axis]
            leak = [abs(_number(row[f"{a} ({method})"])) for row in chosen for a in others]
            line[f"gain ({method})"] = found
            line[f"the measure's own ({method})"] = measure
            line[f"corrected ({method})"] = found / measure
            line[f"mean |other axes| ({method})"] = float(np.nanmean(leak)) if leak else None
        out.append(line)
    return out


def _number(value: report.Value) -> float:
    return float("nan") if value is None else float(value)


def run(
    clips: Clips,
    frames: int = 3,
    data: Path = Path("../shared/data"),
    json: Path | None = None,
) -> None:
    """Compare requested with measured turns, by axis.

    Args:
        clips: clips to turn.
        frames: frames of each clip.
        data: the data folder; its makehuman heads calibrate the measure.
        json: write the table of requests there.
    """
    rows = [row for clip in clips for row in clip_rows(clip, frames)]
    report.publish(rows, json, "requested and measured change, degrees")
    report.publish(gain_rows(rows, own_gains(data)), None, "gain")
