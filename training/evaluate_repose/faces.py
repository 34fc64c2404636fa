"""What Face Mesh and the person mask see in a single picture."""

import importlib.util
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import cv2
import mediapipe as mp
import numpy as np

from stream.errors import UserError
from stream.geometry import angles_from_rotation, orthonormalise, pinhole_camera
from training.evaluate_repose.baselines import similarity_from_points

# Points that move with the skull: forehead, bridge and tip of the nose, temples, cheekbones,
# corners of the eyes, in front of the ears. Lips, lids, brows and chin are left out.
RIGID_POINTS = np.array(
    [
        *(10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 108, 337, 67, 297, 109, 338, 103, 332),
        *(127, 356, 234, 454, 116, 345, 117, 346, 50, 280, 33, 133, 362, 263, 93, 323, 21, 251),
    ]
)
AXES = ("yaw", "pitch", "roll")
METHODS = ("depth", "picture")
_OUTER_EYE_CORNERS = (33, 263)
_CHIN, _FOREHEAD = 152, 10


def _data_dir() -> Path:
    return Path(os.environ.get("VOLTFACE_DATA", "../shared/data"))


@cache
def crossframe_module() -> ModuleType:
    """Import `crossframe.py` from $VOLTFACE_EVAL, by default ../shared/eval.

    Raises:
        UserError: if it is not there.
    """
    path = Path(os.environ.get("VOLTFACE_EVAL", "../shared/eval")) / "crossframe.py"
    if not path.is_file():
        raise UserError(
            "The cross-frame measure is absent",
            f"{path} is not there",
            "Set VOLTFACE_EVAL to the folder that holds crossframe.py.",
        )
    spec = importlib.util.spec_from_file_location("crossframe", path)
    assert spec is not None and spec.loader is not None  # noqa: S101  the file exists
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _face_mesh() -> mp.solutions.face_mesh.FaceMesh:
    return mp.solutions.face_mesh.FaceMesh(
        static_image_mode=True, max_num_faces=1, refine_landmarks=True
    )


@cache
def _person_mask() -> mp.solutions.selfie_segmentation.SelfieSegmentation:
    return mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)


def face_points(pixels: np.ndarray) -> np.ndarray | None:
    """Return (478, 3) points of the clearest face of an RGB picture, pixels, or None."""
    found = _face_mesh().process(np.ascontiguousarray(pixels)).multi_face_landmarks
    if not found:
        return None
    height, width = pixels.shape[:2]
    return np.array([[p.x * width, p.y * height, p.z * width] for p in found[0].landmark])


def interocular(points: np.ndarray) -> float:
    """Return the distance between the outer corners of the eyes in the picture, pixels."""
    first, second = points[_OUTER_EYE_CORNERS, :2]
    return float(np.linalg.norm(first - second))


def head_region(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: person pixels above the chin line and near the face, hair included."""
    person = _person_mask().process(np.ascontiguousarray(pixels)).segmentation_mask > 0.5
    height, width = person.shape
    chin, up = points[_CHIN, :2], (points[_FOREHEAD] - points[_CHIN])[:2]
    face_px = float(np.linalg.norm(up))
    up = up / max(face_px, 1e-6)
    x, y = np.meshgrid(np.arange(width) + 0.5 - chin[0], np.arange(height) + 0.5 - chin[1])
    above = x * up[0] + y * up[1] > -0.05 * face_px
    beside = np.abs(x * up[1] - y * up[0]) < 0.9 * face_px
    return person & above & beside


def grown(mask: np.ndarray, radius_px: float) -> np.ndarray:
    """Return the (H, W) bool mask of what lies within a distance of a mask."""
    if not mask.any():
        return mask.astype(bool)
    away = cv2.distanceTransform((~mask.astype(bool)).astype(np.uint8), cv2.DIST_L2, 5)
    return away <= radius_px


def head_box(points: np.ndarray, size: tuple[int, int], margin: float) -> tuple[slice, slice]:
    """Return (rows, columns) of a square about the face, `margin` × its larger side wide."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    half = margin * float((high - low).max()) / 2
    centre = (low + high) / 2
    left, top = np.maximum(centre - half, 0).astype(int)
    right, bottom = np.minimum(centre + half, size).astype(int)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


@cache
def canonical_face() -> np.ndarray:
    """Return the (468, 3) canonical face in head axes (x right, y down, z forward), cm.

    Raises:
        UserError: if the data folder is absent.
    """
    path = _data_dir() / "mediapipe_ref" / "canonical_face_model.obj"
    if not path.is_file():
        raise UserError(
            "The canonical face is absent", f"{path} is not there", "Set VOLTFACE_DATA."
        )
    lines = [line.split() for line in path.read_text().splitlines() if line.startswith("v ")]
    return np.array([[float(v) for v in line[1:4]] for line in lines]) * [1.0, -1.0, -1.0]


def rotation_by_procrustes(points: np.ndarray) -> np.ndarray:
    """Return the (3, 3) rotation of a face from its 3D points and the canonical face."""
    fit = similarity_from_points(canonical_face()[RIGID_POINTS], points[RIGID_POINTS])
    return orthonormalise(fit[:, :3])


def rotation_by_pnp(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the (3, 3) rotation of a face from its points in the picture alone.

    Args:
        points: (478, 3) Face Mesh points; their depth is not used.
        size: (width, height) of the picture.
    """
    # The start keeps the solver off the mirrored solution behind the camera.
    start = cv2.Rodrigues(rotation_by_procrustes(points))[0]
    distance = np.array([[0.0], [0.0], [60.0]])
    _, rotation, _ = cv2.solvePnP(
        canonical_face()[RIGID_POINTS],
        points[RIGID_POINTS, :2],
        pinhole_camera(*size),
        np.zeros(4),
        start,
        distance,
        useExtrinsicGuess=True,
        flags=cv2.SOLVEPNP_ITERATIVE,
    )
    return cv2.Rodrigues(rotation)[0]


def measured_angles(pixels: np.ndarray) -> dict[str, np.ndarray] | None:
    """Return yaw, pitch, roll in degrees by two methods, or None where no face is found.

    "depth" aligns Face Mesh's 3D points with the canonical face; "picture" uses only their
    place in the picture and a pinhole camera, and so does not lean on Face Mesh's depth.
    """
    points = face_points(pixels)
    if points is None:
        return None
    size = (pixels.shape[1], pixels.shape[0])
    return {
        "depth": angles_from_rotation(rotation_by_procrustes(points)),
        "picture": angles_from_rotation(rotation_by_pnp(points, size)),
    }


def gain(requested: Sequence[float], measured: Sequence[float]) -> float:
    """Return the least-squares factor from requested to measured turns."""
    asked, got = np.asarray(requested), np.asarray(measured)
    good = np.isfinite(got)
    total = float((asked[good] ** 2).sum())
    return float((asked[good] * got[good]).sum() / total) if total else float("nan")
