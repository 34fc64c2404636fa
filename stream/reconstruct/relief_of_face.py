"""Takes over what the network `face_depth` knows better of a face than the fitted head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from stream.geometry import project
from stream.reconstruct.face_depth import FaceDepth

if TYPE_CHECKING:
    from stream.face_3dmm import Network
    from stream.head_model import HeadModel
    from stream.raster import DepthRaster
    from stream.reconstruct.look import HeadLook
    from stream.region import NodeGrid

_FACING = (0.1, 0.3)  # cosine between which a place is seen too obliquely, and well
_LARGEST_MM = 15.0  # more is a fault of the network
_STIFF = 0.1  # weight of smoothness, λ
_REST = 0.01  # of staying, where nothing is seen


class FaceRelief:
    """Moves faces of one topology along the lines of sight.

    Args:
        engine: of `face_depth`.
        raster: draws the head model's triangles.
        model: the head model.
        laplacian: (S, S) of the surface.
        weight: (S,) 0…1, where the surface is face.
    """

    def __init__(
        self, engine: Network, raster: DepthRaster, model: HeadModel,
        laplacian: sparse.csc_matrix, weight: np.ndarray,
    ) -> None:  # fmt: skip
        self._network = FaceDepth(engine, raster, model)
        self._laplacian, self._weight = laplacian, weight

    def moved(
        self, skin: np.ndarray, normals: np.ndarray, look: HeadLook, grid: NodeGrid,
        bare_mm: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Return the surface with the network's depth where the face is seen.

        Args:
            skin: (S, 3) camera space, mm.
            normals: (S, 3) of it.
            look: of the head.
            grid: nodes over the look's region.
            bare_mm: (rows, columns) depth of the fitted head there, 0 where it is not.

        Returns:
            (S, 3): the minimum of Σ w (t − Δ)² + λ ‖∇t‖², along the lines of sight.
        """
        found = self._network.refined(look.pixels, look.face, look.head, grid)
        known = np.isfinite(found) & (bare_mm > 0)
        change = np.where(known, np.clip(found - bare_mm, -_LARGEST_MM, _LARGEST_MM), 0)
        places = project(skin, look.head.camera) @ grid.nodes_from_frame[:, :2].T
        nodes = (places + grid.nodes_from_frame[:, 2]).astype(np.float32)[:, None]
        delta = cv2.remap(change.astype(np.float32), nodes, None, cv2.INTER_LINEAR)[:, 0]
        there = cv2.remap(known.astype(np.float32), nodes, None, cv2.INTER_LINEAR)[:, 0]
        facing = -np.einsum("nd,nd->n", normals, skin) / np.linalg.norm(skin, axis=1)
        low, high = _FACING
        weight = self._weight * np.clip((facing - low) / (high - low), 0, 1) * (there > 0.99)
        system = sparse.diags(weight + _REST * (1 - self._weight) + 1e-6)
        solver = splu((system + _STIFF * self._laplacian).tocsc())
        along = solver.solve(weight * delta)
        return skin * (1 + along / skin[:, 2])[:, None]
