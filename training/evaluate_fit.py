"""Measure tracking and fitting on clips.

    OPENBLAS_NUM_THREADS=1 python -m training.evaluate_fit [CLIP ...] [--sheet SHEET.png]

For each clip: the mean distance between the tracked points and the same points of the fitted
head, projected, in percent of the distance between the outer eye corners, before and after
smoothing; the range of the angles; how steady the head's distance is; times. Without CLIP all
clips of the data folder are taken. The sheet shows the head model drawn over frames. The
variable is for honest times: the program itself sets it.
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from stream.fit import FitSettings, HeadFitter
from stream.frame import Face, Frame, Head
from stream.geometry import angles_from_rotation, project, transform_points
from stream.head_model import HeadModel, load_head_model
from stream.media import open_source
from stream.smooth import SmoothSettings
from stream.track import FaceTracker

_SUFFIXES = {".mp4", ".mpg", ".gif", ".mov", ".mkv", ".jpg", ".png"}
_EYE_CORNERS = (33, 263)
_FACE_POINTS = 468
_LABEL_COLOURS = np.array(
    [
        (0, 0, 0),
        (255, 200, 90),  # face skin
        (90, 160, 255),  # scalp
        (255, 90, 200),  # ear
        (120, 255, 120),  # neck
        (255, 60, 60),  # mouth interior
        (255, 255, 255),  # eyes
    ],
    np.float32,
)
_OFF = SmoothSettings(min_cutoff=1e9)


@dataclass(frozen=True, slots=True)
class Sample:
    """One face in one frame.

    Attributes:
        error: mean distance of the points in % of the inter-ocular distance, unsmoothed.
        smooth_error: the same after smoothing.
        solid_error: unsmoothed, in % of the inter-ocular distance with depth, which does not
            shrink when the head turns.
        angles: yaw, pitch, roll in degrees, after smoothing.
        distance_mm: from the camera.
        fit_ms: time of one fit.
    """

    error: float
    smooth_error: float
    solid_error: float
    angles: np.ndarray
    distance_mm: float
    fit_ms: float


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame with its fitted heads, for the sheet."""

    pixels: np.ndarray
    heads: list[Head]


def unsmoothed(settings: FitSettings) -> FitSettings:
    """Return the settings with all smoothing off."""
    return replace(settings, place=_OFF, distance=_OFF, turn=_OFF, expression=_OFF)


def model_points_px(model: HeadModel, head: Head) -> np.ndarray:
    """Return the (478, 2) projected points of a fitted head."""
    points = model.points478(head.identity, head.expression)
    return project(transform_points(head.camera_from_head, points), head.camera)


def point_errors_px(model: HeadModel, head: Head, face: Face) -> np.ndarray:
    """Return the (468,) distances between fitted and tracked points, without the irises."""
    offset = model_points_px(model, head) - face.points_px[:, :2]
    return np.linalg.norm(offset, axis=1)[:_FACE_POINTS]


def sample(model: HeadModel, face: Face, raw: Head, smooth: Head, fit_ms: float) -> Sample:
    """Measure one face."""
    right, left = (face.points_px[corner] for corner in _EYE_CORNERS)
    flat = float(np.linalg.norm((left - right)[:2]))
    solid = float(np.linalg.norm(left - right))
    error = float(point_errors_px(model, raw, face).mean())
    return Sample(
        100 * error / flat,
        100 * float(point_errors_px(model, smooth, face).mean()) / flat,
        100 * error / solid,
        angles_from_rotation(smooth.camera_from_head[:3, :3]),
        float(smooth.camera_from_head[2, 3]),
        fit_ms,
    )


@dataclass(frozen=True, slots=True)
class ClipResult:
    """What was measured on one clip."""

    name: str
    samples: list[Sample]
    track_ms: list[float]
    cuts: list[int]
    faces: int
    shots: list[Shot]


def evaluate_clip(path: Path, model: HeadModel, tracker: FaceTracker, shots: int) -> ClipResult:
    """Track and fit one clip, with its largest face."""
    settings = FitSettings()
    raw_fitter, fitter = HeadFitter(model, unsmoothed(settings)), HeadFitter(model, settings)
    result = ClipResult(path.name, [], [], [], 0, [])
    ids: set[int] = set()
    every = max(1, _frame_count(path) // shots) if shots else 1
    tracker.reset()
    for frame in _frames(path):
        start = time.perf_counter()
        faces = tracker.track(frame)
        result.track_ms.append(1e3 * (time.perf_counter() - start))
        if tracker.cut:
            result.cuts.append(frame.index)
        heads = []
        for face in faces:
            start = time.perf_counter()
            heads.append(fitter.fit(face, frame.size, frame.time_s))
            fit_ms = 1e3 * (time.perf_counter() - start)
            raw = raw_fitter.fit(face, frame.size, frame.time_s)
            ids.add(face.id)
            if face.fresh and face.presence == 1.0:
                result.samples.append(sample(model, face, raw, heads[-1], fit_ms))
        if shots and frame.index % every == every // 2:
            result.shots.append(Shot(frame.pixels, heads))
    return replace(result, faces=len(ids))


def _frames(path: Path) -> Iterator[Frame]:
    with open_source(str(path)) as source:
        yield from source


def _frame_count(path: Path) -> int:
    return sum(1 for _ in _frames(path))


def table_row(result: ClipResult) -> str:
    """Return one line of the table."""
    if not result.samples:
        return f"{result.name[:24]:24} no face"
    angles = np.array([one.angles for one in result.samples])
    ranges = " ".join(f"{low:+4.0f}…{high:+4.0f}" for low, high in _ranges(angles))
    distance = np.array([one.distance_mm for one in result.samples])
    error, smooth, solid, fit_ms = (
        np.array([getattr(one, name) for one in result.samples])
        for name in ("error", "smooth_error", "solid_error", "fit_ms")
    )
    fit, track = (
        np.percentile(times[1:] or times, [50, 95]) for times in (list(fit_ms), result.track_ms)
    )
    return (
        f"{result.name[:24]:24} {len(error):4} {error.mean():5.2f} {np.percentile(error, 95):5.2f} "
        f"{smooth.mean():5.2f} {np.percentile(smooth, 95):5.2f} {solid.mean():5.2f}  {ranges}  "
        f"{distance.mean():5.0f} {distance.std():4.0f}  {fit[0]:4.1f} {fit[1]:4.1f}  "
        f"{track[0]:4.1f} {track[1]:4.1f}  {result.faces} {result.cuts}"
    )


def _ranges(angles: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(angles.min(axis=0).tolist(), angles.max(axis=0).tolist(), strict=True))


HEADER = (
    "errors in % of the inter-ocular distance; angles and distance (mm) after smoothing\n"
    "clip                        n   raw   p95  smth   p95 solid  yaw       pitch     roll"
    "         z   sd   fit ms     track ms  ids cuts"
)


def draw_head(pixels: np.ndarray, head: Head, model: HeadModel, alpha: float = 0.45) -> np.ndarray:
    """Return a copy of a picture with a fitted head shaded over it, far triangles first."""
    points = transform_points(
        head.camera_from_head, model.shape(head.identity, head.expression)
    ).astype(np.float64)
    corners = points[model.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-9)
    facing = -np.sum(normals * corners.mean(axis=1), axis=1)
    facing /= np.linalg.norm(corners.mean(axis=1), axis=1)
    colour = (
        _LABEL_COLOURS[model.labels[model.triangles[:, 0]]]
        * (0.35 + 0.65 * facing.clip(0))[:, None]
    )
    places = np.round(project(corners, head.camera) * 16).astype(np.int32)
    layer, mask = pixels.copy(), np.zeros(pixels.shape[:2], np.uint8)
    for index in np.argsort(-corners[:, :, 2].mean(axis=1)):
        if facing[index] > 0:
            cv2.fillConvexPoly(layer, places[index], tuple(colour[index].tolist()), shift=4)
            cv2.fillConvexPoly(mask, places[index], (255,), shift=4)
    blended = cv2.addWeighted(layer, alpha, pixels, 1 - alpha, 0)
    return np.where(mask[..., None] > 0, blended, pixels)


def sheet(results: list[ClipResult], model: HeadModel, height: int = 300) -> np.ndarray:
    """Return the frames of all clips with their heads, each beside the plain frame."""
    rows = []
    for result in results:
        cells = []
        for shot in result.shots:
            drawn = shot.pixels
            for head in shot.heads:
                drawn = draw_head(drawn, head, model)
            cells += [_crop(picture, shot.heads, height) for picture in (shot.pixels, drawn)]
        if cells:
            rows.append(np.hstack(cells))
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def _crop(pixels: np.ndarray, heads: list[Head], size: int) -> np.ndarray:
    """Cut a square around the first head, and scale it to (size, size)."""
    height, width = pixels.shape[:2]
    x, y, half = width / 2, height / 2, max(height, width) / 2
    if heads:
        head = heads[0]
        x, y = project(head.camera_from_head[:3, 3], head.camera)
        half = 190 * head.camera[0, 0] / head.camera_from_head[2, 3]
        y += 0.3 * half
    scale = size / (2 * half)
    matrix = np.array([[scale, 0, size / 2 - scale * x], [0, scale, size / 2 - scale * y]])
    return cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_AREA)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--sheet", type=Path, help="write a picture of the fitted heads")
    parser.add_argument("--frames", type=int, default=4, help="frames of a clip on the sheet")
    options = parser.parse_args()
    data = Path(os.environ.get("VOLTFACE_DATA", "../shared/data")) / "dev_clips"
    clips = options.clips or sorted(p for p in data.iterdir() if p.suffix in _SUFFIXES)
    model = load_head_model()
    results = []
    print(HEADER)
    with FaceTracker() as tracker:
        for clip in clips:
            results.append(
                evaluate_clip(clip, model, tracker, options.frames if options.sheet else 0)
            )
            print(table_row(results[-1]), flush=True)
    if options.sheet:
        picture = sheet(results, model)
        cv2.imwrite(str(options.sheet), picture[..., ::-1])


if __name__ == "__main__":
    main()
