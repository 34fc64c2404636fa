"""Look at synthetic samples: pictures of their truth, and whether a face detector agrees."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import cv2
import mediapipe as mp
import numpy as np

from training.synthetic.dataset import stream
from training.synthetic.scene import Label

_LABEL_RGB = np.array(
    [(0, 0, 0), (230, 180, 150), (120, 70, 30), (250, 120, 90), (200, 140, 110), (200, 30, 60),
     (60, 160, 250), (70, 90, 200), (60, 220, 90)], np.uint8,
)  # fmt: skip


def truth_strip(arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Lay out one sample and its truth side by side.

    Returns:
        (H, 8·W, 3) uint8 RGB: picture with points, labels, depth, depth of the skin alone,
        normals, place on the mean head, UV, hair matte.
    """
    marked = arrays["pixels"].copy()
    for point, seen in zip(arrays["points478"], arrays["visible478"], strict=True):
        if np.isfinite(point).all():
            x, y = (round(float(v)) for v in point[:2])
            cv2.circle(marked, (x, y), 0, (0, 255, 0) if seen else (255, 0, 0), -1)
    canonical = np.nan_to_num(arrays["canonical_mm"].astype(np.float32) / 260 + 0.5)
    uv = np.nan_to_num(arrays["head_uv"].astype(np.float32))
    maps = [
        np.nan_to_num(arrays["normals"].astype(np.float32) * 0.5 + 0.5),
        canonical,
        np.dstack([uv, np.zeros(uv.shape[:2], np.float32)]),
        np.repeat(arrays["hair_alpha"][..., None] / 255.0, 3, axis=2),
    ]
    pictures = [np.clip(each * 255, 0, 255).astype(np.uint8) for each in maps]
    depths = [_depth_picture(arrays[name]) for name in ("depth_mm", "face_depth_mm")]
    return np.hstack([marked, _LABEL_RGB[arrays["labels"]], *depths, *pictures])


def _depth_picture(depth_mm: np.ndarray) -> np.ndarray:
    near, far = np.nanpercentile(depth_mm, [1, 99])
    grey = np.nan_to_num((far - depth_mm) / max(far - near, 1.0), nan=0.0)
    return np.repeat((np.clip(grey, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)


def detector_check(data_dir: Path, count: int, seed: int) -> dict[str, dict[str, float]]:
    """Ask MediaPipe's Face Mesh for the face in each picture.

    Args:
        data_dir: the data folder.
        count: pictures to draw.
        seed: of the set.

    Returns:
        For each band of turn (|yaw| in degrees), over all pictures and over those whose face is
        free (see `is_free`): pictures, share found, and the median distance of the found points
        from the true ones in per cent of the distance of the outer corners of the eyes.
    """
    bands = {"0-15": (0, 15), "15-30": (15, 30), "30-50": (30, 50), "50-70": (50, 70)}
    names = [f"{name}{kind}" for kind in ("", " free") for name in bands]
    rows: dict[str, list[float]] = {name: [] for name in names}
    settings = {"static_image_mode": True, "max_num_faces": 1, "refine_landmarks": True}
    with mp.solutions.face_mesh.FaceMesh(**settings, min_detection_confidence=0.3) as mesh:
        for _, arrays, facts in stream(data_dir, seed, count, workers=2):
            found = mesh.process(arrays["pixels"]).multi_face_landmarks
            error = _error(arrays, found[0].landmark) if found else np.nan
            for name, (low, high) in bands.items():
                if low <= abs(float(facts["yaw"])) < high:
                    rows[name].append(error)
                    if is_free(arrays):
                        rows[f"{name} free"].append(error)
    return {name: _summary(errors) for name, errors in rows.items() if errors}


def is_free(arrays: dict[str, np.ndarray]) -> bool:
    """Tell whether a face is in the picture and little but its own beard hides it.

    All points lie in the picture, and of the pixels between them less than a fifth shows hair of
    the head, hands, cups, microphones, frames or dark glasses.
    """
    size = arrays["labels"].shape[0]
    points = arrays["points478"][:, :2]
    if not ((points >= 0) & (points < size)).all():
        return False
    outline = cv2.convexHull(points.round().astype(np.int32))
    face = cv2.fillConvexPoly(np.zeros((size, size), np.uint8), outline, 1) > 0
    face &= np.isfinite(arrays["face_depth_mm"])
    own = np.isfinite(arrays["canonical_mm"][..., 0])  # beards have a place on the head
    covered = np.isin(arrays["labels"], (Label.HAIR, Label.OCCLUDER)) & ~own
    return bool(covered[face].mean() < 0.2) if face.any() else False


def processor_seconds() -> float:
    """Return the processor time of this process and its running workers; 0 off Linux."""
    workers = [process.pid for process in multiprocessing.active_children()]
    files = [Path(f"/proc/{pid}/stat") for pid in workers]
    if not Path("/proc/self/stat").is_file():
        return 0.0
    # After the name in brackets: state is field 3, user and system time are 14 and 15.
    ticks = [file.read_text().rpartition(")")[2].split()[11:13] for file in files]
    own = time.process_time()
    return own + sum(int(tick) for pair in ticks for tick in pair) / os.sysconf("SC_CLK_TCK")


def _summary(errors: list[float]) -> dict[str, float]:
    seen = np.isfinite(errors)
    error = round(float(np.median(np.array(errors)[seen])), 2) if seen.any() else float("nan")
    found = round(float(seen.mean()), 3)
    return {"pictures": len(errors), "found": found, "error_percent": error}


def _error(arrays: dict[str, np.ndarray], landmarks: list) -> float:
    height, width = arrays["pixels"].shape[:2]
    found = np.array([(point.x * width, point.y * height) for point in landmarks])
    true = arrays["points478"]
    # Turned heads: the projected distance shrinks, so that depth is counted too.
    scale = np.linalg.norm(arrays["camera_from_head"][2, 3]) / arrays["intrinsics"][0, 0]
    eyes_px = 89.0 / scale
    seen = arrays["visible478"]
    apart = np.linalg.norm(found - true[:, :2], axis=1)[seen if seen.any() else slice(None)]
    return float(100 * apart.mean() / eyes_px)
