"""Temporal noise: on a still head, what moves in the output that did not in the input."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from stream.errors import UserError
from training.evaluate_repose import media, program, report
from training.evaluate_repose.faces import (
    RIGID_POINTS,
    face_points,
    grown,
    head_region,
    interocular,
)
from training.evaluate_repose.options import Clips

_HIGH_PASS_FRAMES = 2.0  # what changes more slowly than this counts as motion, not as noise


@dataclass(frozen=True, slots=True)
class Motion:
    """How much landmarks move, in % of the inter-ocular distance.

    Attributes:
        jitter: all points, what remains above a slow motion (root mean square).
        rigid_jitter: the same of points that move with the skull only.
        movement: all points, about their mean over the window (root mean square).
    """

    jitter: float
    rigid_jitter: float
    movement: float


def high_pass(tracks: np.ndarray) -> np.ndarray:
    """Take the slow motion out of (T, N, 2) tracks: what a Gaussian over time keeps."""
    return tracks - gaussian_filter1d(tracks, _HIGH_PASS_FRAMES, axis=0, mode="nearest")


def root_mean_square(offsets: np.ndarray) -> float:
    """Return the root of the mean squared length of (..., 2) offsets."""
    return float(np.sqrt((offsets**2).sum(axis=-1).mean()))


def motion_of(tracks: np.ndarray) -> Motion:
    """Measure (T, 478, 3) Face Mesh tracks of a window."""
    unit = 100.0 / float(np.mean([interocular(points) for points in tracks]))
    flat = tracks[..., :2]
    quick = high_pass(flat) * unit
    about_mean = (flat - flat.mean(axis=0)) * unit
    return Motion(
        root_mean_square(quick),
        root_mean_square(quick[:, RIGID_POINTS]),
        root_mean_square(about_mean),
    )


def stillest_window(tracks: np.ndarray, length: int) -> int:
    """Return the first frame of the `length` frames in which the skull moves least.

    Args:
        tracks: (T, 478, 3), rows of nan where no face was found.
        length: frames of the window; at most T.
    """
    skull = tracks[:, RIGID_POINTS, :2]
    starts = range(len(tracks) - length + 1)
    spread = [skull[s : s + length].std(axis=0).mean() for s in starts]
    if not np.isfinite(spread).any():
        raise UserError(
            "No window to measure", "a face is missing in every one", "Name another clip."
        )
    return int(np.nanargmin(spread))


def track_points(frames: Sequence[np.ndarray], label: str) -> np.ndarray:
    """Return (T, 478, 3) points of each frame by itself; nan where no face is found."""
    missing = np.full((478, 3), np.nan)
    found = [face_points(frame) for frame in report.progress(frames, label, len(frames))]
    return np.stack([missing if points is None else points for points in found])


def flicker(frames: Sequence[np.ndarray], mask: np.ndarray) -> float:
    """Return the mean absolute change of grey from frame to frame inside a mask."""
    grey = np.stack([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)[mask] for f in frames]).astype(np.float32)
    return float(np.abs(np.diff(grey, axis=0)).mean()) if mask.any() else float("nan")


@dataclass(frozen=True, slots=True)
class Regions:
    """Where flicker is measured; (H, W) bool each.

    Attributes:
        head_in: head of the input.
        head_out: head of the output.
        ring: background around both.
        uncovered: background that the head of the input hides.
    """

    head_in: np.ndarray
    head_out: np.ndarray
    ring: np.ndarray
    uncovered: np.ndarray


def regions(source: np.ndarray, output: np.ndarray, chin_row: float, unit_px: float) -> Regions:
    """Find the regions of a frame and its re-posed twin.

    Args:
        source: RGB frame.
        output: the same after re-posing.
        chin_row: the ring ends at this row, above the shoulders.
        unit_px: inter-ocular distance; the ring is half of it wide.
    """
    masks = []
    for pixels in (source, output):
        points = face_points(pixels)
        empty = np.zeros(pixels.shape[:2], bool)
        masks.append(empty if points is None else head_region(pixels, points))
    both = masks[0] | masks[1]
    ring = grown(both, 0.6 * unit_px) & ~grown(both, 0.12 * unit_px)
    ring[int(chin_row) :] = False
    return Regions(masks[0], masks[1], ring, masks[0] & ~masks[1])


def compare(
    source: Sequence[np.ndarray], output: Sequence[np.ndarray], source_tracks: np.ndarray
) -> dict[str, report.Value]:
    """Measure the noise of a window of frames and of what the program made of them."""
    output_tracks = track_points(output, "output")
    seen = np.isfinite(output_tracks[:, 0, 0]) & np.isfinite(source_tracks[:, 0, 0])
    before, after = motion_of(source_tracks[seen]), motion_of(output_tracks[seen])
    middle = len(source) // 2
    chin_row, unit_px = source_tracks[middle, 152, 1], interocular(source_tracks[middle])
    where = regions(source[middle], output[middle], chin_row, unit_px)
    return {
        "jitter in %": before.jitter,
        "out %": after.jitter,
        "ratio": after.jitter / before.jitter,
        "rigid ratio": after.rigid_jitter / before.rigid_jitter,
        "movement ratio": after.movement / before.movement,
        "head flicker in": flicker(source, where.head_in),
        "head out": flicker(output, where.head_out),
        "ring in": flicker(source, where.ring),
        "ring out": flicker(output, where.ring),
        "uncovered out": flicker(output, where.uncovered),
        "lost": int((~seen).sum()),
    }


def run(
    clips: Clips,
    length: int = 48,
    requests: Sequence[str] = ("yaw=15", "pitch=10"),
    json: Path | None = None,
) -> None:
    """Measure the temporal noise that re-posing adds, on the stillest part of clips.

    Args:
        clips: clips in which a head is still for a while.
        length: frames of the window.
        requests: options of the program as name=value.
        json: write the table there.
    """
    rows = []
    for clip in clips:
        frames = media.read_clip(clip).frames
        tracks = track_points(frames, clip.name)
        wanted = min(length, len(frames))
        start = stillest_window(tracks, wanted)
        window = slice(start, start + wanted)
        for request in requests:
            name, value = request.split("=")
            with tempfile.TemporaryDirectory() as folder:
                target = Path(folder) / "out.mp4"
                program.repose(clip, target, [f"--{name}", value])
                output = media.read_clip(target).frames
            if len(output) != len(frames):
                why = f"{len(frames)} went in, {len(output)} came out"
                raise UserError(f"Frames of {clip.name} are missing", why, "Look at the sink.")
            found = compare(frames[window], output[window], tracks[window])
            place = {"clip": clip.name, "frames": f"{start}–{start + wanted - 1}"}
            rows.append({**place, "request": request, **found})
    report.publish(rows, json, "temporal noise on a still head")
