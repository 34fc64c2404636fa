"""Lays the fitted head on the tracked points, so that picture and surface agree.

The head model cannot express every face; what is left between its points and the tracked ones is
spread over the surface: the displacement δ that minimises Σ ‖B δ − Δ‖² + λ ‖∇δ‖², across the
line of sight, where B are the points' places on the surface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from stream.geometry import project

if TYPE_CHECKING:
    from stream.frame import Face, Head
    from stream.head_model import HeadModel
    from stream.reconstruct.template import Template

_STIFF = 3.0  # λ
_REST = 1e-3  # pulls what no point is near to where it was
_LARGEST_MM = 8.0  # of what is left at a point: more is a fault of the tracker
_IRIS = 468  # points from here on follow the gaze


class Anchors:
    """Displaces heads of one topology.

    Args:
        model: the head model.
        template: its closed skin.
    """

    def __init__(self, model: HeadModel, template: Template) -> None:
        count = len(template.skin)
        number = np.full(len(model.vertices), -1)
        number[template.skin] = np.arange(count)
        corners = number[model.triangles[model.points478_triangle[:_IRIS]]]
        self._chosen = np.flatnonzero((corners >= 0).all(axis=1))
        corners, bary = corners[self._chosen], model.points478_bary[self._chosen]
        rows = np.repeat(np.arange(len(corners)), 3)
        places = (bary.ravel(), (rows, corners.ravel()))
        self._points = sparse.coo_matrix(places, (len(corners), count)).tocsr()
        system = self._points.T @ self._points + _STIFF * template.laplacian()
        self._solver = splu((system + _REST * sparse.identity(count)).tocsc())

    def laid(self, skin: np.ndarray, face: Face, head: Head) -> np.ndarray:
        """Return (S, 3) skin that lies on the tracked points as the camera sees it.

        Args:
            skin: (S, 3) camera space, mm.
            face: the tracked points.
            head: whose camera it is.
        """
        points = self._points @ skin
        off_px = face.points_px[self._chosen, :2] - project(points, head.camera)
        off_mm = off_px * (points[:, 2:] / head.camera[0, 0])
        length = np.linalg.norm(off_mm, axis=1, keepdims=True)
        off_mm *= np.minimum(1.0, _LARGEST_MM / np.maximum(length, 1e-9))
        moved = skin.copy()
        moved[:, :2] += self._solver.solve(self._points.T @ off_mm)
        return moved
