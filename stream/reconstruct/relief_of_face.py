"""Takes over what the network `face_depth` knows better of a face than the fitted head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from stream.geometry import project

if TYPE_CHECKING:
    from stream.reconstruct.face_depth import FaceView

_FACING = (0.1, 0.3)  # cosine between which a place is seen too obliquely, and well
_LARGEST_MM = 15.0  # more is a fault of the network
_STIFF = 0.1  # weight of smoothness, λ
_REST = 0.01  # of staying, where nothing is seen


class FaceRelief:
    """Moves faces of one topology along the lines of sight.

    Args:
        laplacian: (S, S) of the surface.
        weight: (S,) 0…1, where the surface is face.
    """

    def __init__(self, laplacian: sparse.csc_matrix, weight: np.ndarray) -> None:
        self._laplacian, self._weight = laplacian, weight

    def moved(
        self, skin: np.ndarray, normals: np.ndarray, view: FaceView, camera: np.ndarray,
        turned_mm: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Return the surface with the network's depth where the face is seen.

        Args:
            skin: (S, 3) camera space, mm.
            normals: (S, 3) of it.
            view: what the network says.
            camera: (3, 3) intrinsics.
            turned_mm: (S,) how much farther each place was in the head that the network was given.

        Returns:
            (S, 3): the minimum of Σ w (t − Δ)² + λ ‖∇t‖², along the lines of sight.
        """
        places = project(skin, camera)[:, None]
        change = view.at(view.change_mm(), places)[:, 0]
        share = np.nan_to_num(view.at(view.share, places)[:, 0])
        facing = -np.einsum("nd,nd->n", normals, skin) / np.linalg.norm(skin, axis=1)
        low, high = _FACING
        weight = self._weight * np.clip((facing - low) / (high - low), 0, 1) * np.isfinite(change)
        if not (weight > 0.5).any():
            return skin
        delta = np.nan_to_num(change) + turned_mm
        # The head may have been placed anew since the network saw it: its distance stays.
        delta -= np.median(delta[weight > 0.5])
        delta = share * np.clip(delta, -_LARGEST_MM, _LARGEST_MM)
        system = sparse.diags(weight + _REST * (1 - self._weight) + 1e-6)
        solver = splu((system + _STIFF * self._laplacian).tocsc())
        along = solver.solve(weight * delta)
        return skin * (1 + along / skin[:, 2])[:, None]
