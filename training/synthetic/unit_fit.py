"""Say in the head model's face units how a face moved by other means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import lsq_linear

if TYPE_CHECKING:
    from stream.head_model import HeadModel

_PRIOR = 0.3  # how much what was asked for counts, beside the unit's own motion
_ENDS = (0.0, 1.0)


class UnitFit:
    """Finds strengths of face units, 0…1, whose motion is nearest to a given one.

    Least squares over the 478 tracked points, which lie densely where expressions show: on
    lids, lips and brows. Each strength is drawn to the one that was asked for, so that a shut
    eye stays a shut eye where two models shut it by different ways.

    Args:
        model: the head model.
    """

    def __init__(self, model: HeadModel) -> None:
        self._corners = model.triangles[model.points478_triangle]  # (478, 3)
        self._bary = model.points478_bary
        self._flat = model.points478_expression.reshape(len(model.expression_names), -1)
        gram = self._flat.astype(np.float64) @ self._flat.T
        self._prior = _PRIOR * np.diag(gram) + 1e-3
        # With R'R the normal matrix, |R e - R'^-1 b| is the misfit but for a constant.
        self._root = np.linalg.cholesky(gram + np.diag(self._prior)).T

    def __call__(self, offsets_mm: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Fit one face.

        Args:
            offsets_mm: (V, 3) from the same head at rest, head space.
            asked: (E,) strengths from which the motion came.

        Returns:
            (E,) float32 strengths, 0…1.
        """
        points = np.einsum("nk,nkd->nd", self._bary, offsets_mm[self._corners])
        # Not by BLAS: for this little it would start threads, which costs more than it saves.
        side = np.einsum("en,n->e", self._flat, points.ravel()) + self._prior * asked
        target = np.linalg.solve(self._root.T, side)
        found = lsq_linear(self._root, target, bounds=_ENDS, method="bvls").x
        return np.clip(found, *_ENDS).astype(np.float32)
