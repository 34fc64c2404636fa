"""The paper's image warper as a command: files in, picture out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.errors import UserError
from stream.gl import create_context
from stream.keypoint_mesh import face_triangles, triangulate
from stream.keypoint_warp import KeypointWarp
from training.depthnets.text import read_affine, read_depth, read_keypoints, read_triangles

if TYPE_CHECKING:
    from pathlib import Path


def warp_files(
    source: Path, keypoints: Path, depth: Path, affine: Path, out: Path,
    triangles: Path | None = None, *, nearest: bool = False,
) -> None:  # fmt: skip
    """Warp a picture by files in the paper's formats; write RGBA of the source's size.

    Args:
        source: the picture.
        keypoints: rows of x and y in its pixels.
        depth: one number a keypoint.
        affine: two rows of four numbers.
        out: PNG; black where the face is not, alpha 255 everywhere, as the paper's warper writes.
        triangles: rows of three keypoint numbers from 0; a mesh of the face unless given.
        nearest: of triangles that lie over each other the nearest shows, smaller depth being
            nearer; else the later of the list, as in the paper's warper.

    Raises:
        UserError: if a file cannot be read or they do not belong together.
    """
    picture = cv2.imread(str(source), cv2.IMREAD_COLOR)
    if picture is None:
        raise UserError(
            f"{source.name} cannot be read", "it is absent or no picture", "Name a PNG."
        )
    points, depths = read_keypoints(keypoints), read_depth(depth)
    if len(points) != len(depths):
        raise UserError(
            f"{depth.name} does not belong to {keypoints.name}",
            f"it has {len(depths)} depths for {len(points)} keypoints",
            "Write one depth a keypoint.",
        )
    mesh = _mesh(points, triangles)
    matrix = read_affine(affine)
    context = create_context()
    warp = KeypointWarp(context)
    try:
        drawn = warp.draw(
            np.ascontiguousarray(picture[..., ::-1]), points, depths, matrix, mesh,
            nearest=nearest, wrap=True,
        )  # fmt: skip
    finally:
        warp.release()
        context.release()
    opaque = np.dstack([drawn[..., 2::-1], np.full(drawn.shape[:2], 255, np.uint8)])
    out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(out), opaque):
        raise UserError(f"{out.name} cannot be written", "the folder refuses it", "Name a PNG.")


def _mesh(points: np.ndarray, triangles: Path | None) -> np.ndarray:
    if triangles is not None:
        return read_triangles(triangles, len(points))
    return face_triangles(len(points)) if len(points) in (66, 68, 478) else triangulate(points)
