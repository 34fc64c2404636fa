"""Seams: the picture away from the head stays, and nothing shows where the change ends."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from training.evaluate_repose import media, report
from training.evaluate_repose.faces import face_points, grown, head_region
from training.evaluate_repose.options import Clips
from training.evaluate_repose.program import InProcess

_CHANGED = 3  # grey levels from which a pixel counts as changed
_REACH = 0.8  # the head may move by this share of the face's height
_YAWS = (-30.0, -15.0, 15.0, 30.0)
_PITCHES = (-20.0, -10.0, 10.0, 20.0)


def boundary(changed: np.ndarray) -> np.ndarray:
    """Return the (H, W) bool band, three pixels wide, along the border of a (H, W) mask."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    closed = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, kernel)
    small = np.ones((3, 3), np.uint8)
    return (cv2.dilate(opened, small) - cv2.erode(opened, small)).astype(bool)


def steepness(pixels: np.ndarray) -> np.ndarray:
    """Return the (H, W) length of the gradient of grey, levels a pixel."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across = cv2.Scharr(grey, cv2.CV_32F, 1, 0) / 32.0
    down = cv2.Scharr(grey, cv2.CV_32F, 0, 1) / 32.0
    return np.hypot(across, down)


def reach(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: the head with all that its motion may touch, the neck included."""
    face_px = float(np.linalg.norm((points[10] - points[152])[:2]))
    return grown(head_region(pixels, points), _REACH * face_px)


def compare(source: np.ndarray, output: np.ndarray, points: np.ndarray) -> dict[str, report.Value]:
    """Measure one re-posed frame against its input.

    Args:
        source: RGB frame.
        output: the same after re-posing.
        points: (478, 3) Face Mesh points of the input.

    Returns:
        How far it differs beyond the head's reach (worst level, share of pixels in %), and the
        mean gradient on the border of the change in input and output, whole and below the
        chin, where no true contour of the head is.
    """
    change = cv2.absdiff(source, output).max(axis=2)
    far = ~reach(source, points)
    band = boundary(change > _CHANGED)
    chin = band.copy()
    chin[: int(points[152, 1])] = False
    before, after = steepness(source), steepness(output)
    means = {
        f"{name} {when}": float(of[mask].mean()) if mask.any() else None
        for name, mask in (("border", band), ("neck", chin))
        for when, of in (("in", before), ("out", after))
    }
    worst = int(change[far].max()) if far.any() else 0
    share = float(100 * (change[far] > 0).mean()) if far.any() else 0.0
    return {"far worst": worst, "far % changed": share, **means}


def run(
    clips: Clips, frame: int = 30, sheets: Path | None = None, json: Path | None = None
) -> None:
    """Look for seams at yaw −30…30 and pitch −20…20, and at almost no turn.

    Args:
        clips: clips to turn.
        frame: number of the frame that is looked at.
        sheets: folder for pictures of the change and its border.
        json: write the table there.
    """
    requests = [("yaw", yaw) for yaw in _YAWS] + [("pitch", pitch) for pitch in _PITCHES]
    rows: list[report.Row] = []
    identity: list[report.Row] = []
    for clip in clips:
        frames = media.read_clip(clip, frame + 1).frames
        source, points = frames[-1], face_points(frames[-1])
        if points is None:
            print(f"{clip.name}: no face in frame {len(frames) - 1}")
            continue
        for name, value in report.progress(requests, clip.name, len(requests)):
            output = _last(frames, **{name: value})
            rows.append(
                {"clip": clip.name, "request": f"{name} {value:+.0f}"}
                | compare(source, output, points)
            )
            if sheets is not None:
                target = sheets / f"{clip.stem}_{name}{value:+.0f}.png"
                media.write_picture(target, _picture(source, output))
        identity.append(identity_row(clip.name, source, _last(frames, yaw=0.01), points))
    report.publish(rows, json, "seams")
    report.publish(identity, None, "almost no turn (0.01°)")


def identity_row(
    name: str, source: np.ndarray, output: np.ndarray, points: np.ndarray
) -> dict[str, report.Value]:
    """Compare a frame with what a request of almost nothing makes of it."""
    near, head = reach(source, points), head_region(source, points)
    return {
        "clip": name,
        "PSNR head": media.psnr(source, output, head),
        "PSNR around": media.psnr(source, output, near & ~head),
        "worst": int(cv2.absdiff(source, output).max()),
    }


def _last(frames: Sequence[np.ndarray], **request: float) -> np.ndarray:
    height, width = frames[0].shape[:2]
    out = frames[-1]
    with InProcess((width, height)) as path:
        for frame in frames[-20:]:
            out = path.process(frame, **request)
    return out


def _picture(source: np.ndarray, output: np.ndarray) -> np.ndarray:
    change = cv2.absdiff(source, output).max(axis=2)
    band = boundary(change > _CHANGED)
    marked = output.copy()
    marked[band] = (255, 0, 255)
    grey = cv2.convertScaleAbs(np.dstack([change] * 3), alpha=2.0)
    return report.sheet([[source, output, grey, marked]])
