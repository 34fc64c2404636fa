"""Figure 1 (right) of the paper: one face drawn at the poses of others, with the live parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from engines.opening import open_engine
from engines.spec import SPECS, WEIGHTS
from stream.affine import lift, solve_affine
from stream.errors import UserError
from stream.frame import Frame
from stream.gl import create_context
from stream.keypoint_depth import KeypointDepth
from stream.keypoint_mesh import face_triangles
from stream.keypoint_warp import KeypointWarp
from stream.track import FaceTracker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from training.depthnets.keypoints import KeypointSet

_CELL = 200


def figure_1(
    sources: Sequence[Path], targets: KeypointSet, path: Path, columns: int = 7,
    weights: Path = WEIGHTS,
) -> None:  # fmt: skip
    """Draw source faces at the pose and geometry of target faces.

    Args:
        sources: pictures with a face each.
        targets: faces with 478 points, turns and pictures, of which some are taken, from left to
            right.
        path: of the figure.
        columns: how many targets.
        weights: folder of the network file.

    Raises:
        UserError: if a picture shows no face.
        ValueError: if the targets lack turns or pictures.
    """
    if targets.yaw_deg is None or targets.pictures is None:
        raise ValueError("targets need turns and pictures")
    order = np.argsort(targets.yaw_deg)
    chosen = order[(np.linspace(0.08, 0.92, columns) * (len(order) - 1)).astype(int)]
    heads = [cv2.resize(targets.pictures[n], (_CELL, _CELL)) for n in chosen]
    rows = [[np.full_like(heads[0], 255), *heads]]
    context = create_context()
    warp = KeypointWarp(context)
    with open_engine(SPECS["keypoint_depth"], "onnxruntime", threads=1, weights=weights) as engine:
        for source in sources:
            pixels, points = _tracked(source)
            lifted = lift(points, KeypointDepth(engine)(points))
            row = [_shown(pixels, points)]
            for number in chosen:
                affine = solve_affine(lifted, (targets.points[number] + 0.5) * _CELL)
                drawn = warp.draw(
                    pixels, points, lifted[:, 2], affine, face_triangles(478), (_CELL, _CELL)
                )
                row.append(drawn[..., :3])
            rows.append(row)
    warp.release()
    context.release()
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = np.vstack([np.hstack(row) for row in rows])
    cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def _tracked(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a picture and find its face: pixels and (478, 2) points."""
    read = cv2.imread(str(path))
    if read is None:
        raise UserError(f"{path.name} cannot be read", "it is absent or no picture", "Name another")
    pixels = np.ascontiguousarray(read[..., ::-1])
    with FaceTracker(still=True) as tracker:
        faces = tracker.track(Frame(pixels))
    if not faces:
        raise UserError(f"{path.name} shows no face", "none was found", "Name another picture.")
    return pixels, faces[0].points_px[:, :2].astype(np.float64)


def _shown(pixels: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The source, cut around its face."""
    low, high = points.min(0), points.max(0)
    half = 0.75 * float((high - low).max())
    middle = (low + high) / 2
    scale = _CELL / (2 * half)
    matrix = np.array([[scale, 0, _CELL / 2], [0, scale, _CELL / 2]])
    matrix[:, 2] -= scale * middle
    return cv2.warpAffine(pixels, matrix, (_CELL, _CELL), flags=cv2.INTER_AREA)
