"""How good pasted faces are, with and without the network `repair`.

Of every frame of a clip: the step across the pasted face's edge, how far its features lie from
where they are asked to be, and how much it changes from one frame to the next beside how much the
clip itself does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.affine_settings import AffineSettings
from stream.affine_swap import AffineSwapper
from stream.frame import Frame
from stream.keypoint_mesh import EYES, OVAL
from stream.media import open_source
from stream.pose import PoseRequest
from stream.settings import Settings
from stream.stats import StageTimer
from stream.track import FaceTracker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SIDE = 128  # pixels of the square in which faces of neighbouring frames are compared
_EDGE = 0.05  # of the face's width: half the band around the edge
_SHOWN = 4  # frames of a clip in a sheet


@dataclass(frozen=True, slots=True)
class Scores:
    """Means over the frames of a clip.

    Attributes:
        seam: gradient in the band around the pasted face's edge, over that of the frame there.
        landmarks: distance of tracked points from those of the frame, % of the eyes' distance.
        flicker: grey levels by which the aligned face changes from frame to frame, over those
            of the clip.
    """

    seam: float
    landmarks: float
    flicker: float


def swap_scores(
    source: Path | str, clip: Path | str, options: AffineSettings, frames: int = 60
) -> tuple[Scores, list[np.ndarray]]:
    """Swap a clip's face and measure the result.

    Args:
        source: picture of the face that is put on.
        clip: video.
        options: of the affine method.
        frames: of the clip, from its start.

    Returns:
        The scores, and some of the frames, cut around the face.

    Raises:
        UserError: if the source shows no face.
        ValueError: if no frame of the clip does.
    """
    settings = replace(Settings(), affine=options)
    rows: list[tuple[float, float]] = []
    steps: list[tuple[float, float]] = []
    shown: list[np.ndarray] = []
    last: tuple[np.ndarray, np.ndarray] | None = None
    with (
        open_source(str(clip)) as opened,
        AffineSwapper(settings, opened.info, StageTimer(), sources=[source]) as path,
        FaceTracker(still=True) as before,
        FaceTracker(still=True) as after,
    ):
        for frame in opened:
            if frame.index >= frames:
                break
            swapped = path.process(frame, PoseRequest())
            points, found = _points(before, frame), _points(after, swapped)
            if points is None or found is None:
                last = None
                continue
            rows.append((_seam(swapped.pixels, frame.pixels, points), _error(found, points)))
            pair = aligned(swapped.pixels, points), aligned(frame.pixels, points)
            if last is not None:
                steps.append((_change(pair[0], last[0]), _change(pair[1], last[1])))
            last = pair
            if frame.index % max(1, frames // _SHOWN) == 0:
                shown.append(aligned(swapped.pixels, points, 256, 0.8))
    if not rows:
        raise ValueError(f"{clip}: no frame shows a face")
    seam, landmarks = np.mean(rows, axis=0)
    ours, theirs = np.mean(steps or [(0.0, 1.0)], axis=0)
    return Scores(float(seam), float(landmarks), float(ours / max(theirs, 1e-6))), shown


def compare(
    source: Path, clips: Sequence[Path], sheet: Path | None = None, frames: int = 60
) -> dict[str, dict[str, Scores]]:
    """Measure clips with and without `repair`: {clip: {"plain": …, "repaired": …}}.

    Args:
        source: picture of the face that is put on.
        clips: videos.
        sheet: picture to write: of every clip a row without, and one with.
        frames: of each clip.
    """
    found: dict[str, dict[str, Scores]] = {}
    strips = []
    for clip in clips:
        of_clip = found.setdefault(clip.name, {})
        for name, repair in (("plain", False), ("repaired", True)):
            options = replace(AffineSettings(), repair=repair)
            of_clip[name], shown = swap_scores(source, clip, options, frames)
            strips.append(np.hstack(shown[:_SHOWN]))
    if sheet is not None:
        width = min(strip.shape[1] for strip in strips)
        rows = np.vstack([strip[:, :width] for strip in strips])
        cv2.imwrite(str(sheet), cv2.cvtColor(rows, cv2.COLOR_RGB2BGR))
    return found


def as_table(found: dict[str, dict[str, Scores]]) -> str:
    """Return the scores as a table in Markdown."""
    lines = [
        "| clip | | seam | landmarks, % of the eyes' distance | flicker |",
        "| --- | --- | --- | --- | --- |",
    ]
    for clip, ways in found.items():
        lines += [
            f"| {clip} | {way} | {s.seam:.3f} | {s.landmarks:.2f} | {s.flicker:.3f} |"
            for way, s in ways.items()
        ]
    return "\n".join(lines)


def aligned(
    pixels: np.ndarray, points: np.ndarray, side: int = _SIDE, room: float = 0.5
) -> np.ndarray:
    """Return a face upright in a square: (side, side, 3) uint8.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        points: (478, 2) keypoints.
        side: of the square.
        room: of the square's side, over the face's height; half is the whole square.
    """
    right, left = (points[list(eye)].mean(axis=0) for eye in EYES)
    across = (left - right) / np.linalg.norm(left - right)
    down = np.array([-across[1], across[0]])
    height = float(np.ptp(points[list(OVAL)] @ down))
    centre = points[list(OVAL)].mean(axis=0)
    scale = side / (2 * room * height)
    linear = scale * np.stack([across, down])
    matrix = np.column_stack([linear, side / 2 - linear @ centre])
    return cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_AREA)


def _points(tracker: FaceTracker, frame: Frame) -> np.ndarray | None:
    faces = tracker.track(Frame(frame.pixels))
    return faces[0].points_px[:, :2].astype(np.float64) if faces else None


def _error(found: np.ndarray, points: np.ndarray) -> float:
    right, left = (points[list(eye)].mean(axis=0) for eye in EYES)
    return float(100 * np.linalg.norm(found - points, axis=1).mean() / np.linalg.norm(left - right))


def _change(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.float32) - other).mean())


def _seam(pixels: np.ndarray, before: np.ndarray, points: np.ndarray) -> float:
    outline = points[list(OVAL)].astype(np.float32)
    band = np.zeros(pixels.shape[:2], np.uint8)
    width = max(2, round(2 * _EDGE * float(np.ptp(outline[:, 0]))))
    cv2.polylines(band, [np.rint(outline).astype(np.int32)], True, 255, width)
    steps = []
    for picture in (pixels, before):
        grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
        slopes = (cv2.Sobel(grey, cv2.CV_32F, *way) / 8 for way in ((1, 0), (0, 1)))
        steps.append(float(cv2.magnitude(*slopes)[band > 0].mean()))
    return steps[0] / max(steps[1], 1e-6)
