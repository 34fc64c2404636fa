"""Measure the shipped `keypoint_depth` on faces whose depth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.opening import open_engine
from engines.spec import SPECS, WEIGHTS
from stream.affine import apply_affine, lift, solve_affine
from stream.keypoint_depth import KeypointDepth
from training.depthnets.keypoints import draw_pairs
from training.depthnets.measure import depth_corr, mse, mse_norm

if TYPE_CHECKING:
    from pathlib import Path

    from training.depthnets.keypoints import KeypointSet

_PAIRS = 4000


def measure_shipped(faces: KeypointSet, weights: Path = WEIGHTS) -> dict[str, float]:
    """Run the network as the live path does, and compare with the truth.

    Args:
        faces: (N, 478) points with known depth.
        weights: folder of the network file.

    Returns:
        DepthCorr (at most 478) and its share; the mean over faces of the correlation over a
        face's points; mean error in % of the true range of depths; MSE and MSE_norm of eq. 3 for
        pairs of one person, by this depth and by the true one.

    Raises:
        ValueError: if depth is not known.
    """
    if faces.depth is None:
        raise ValueError("the true depth is needed")
    with open_engine(SPECS["keypoint_depth"], "onnxruntime", threads=1, weights=weights) as engine:
        depth = KeypointDepth(engine)(faces.points)
    of_faces = [np.corrcoef(a, b)[0, 1] for a, b in zip(depth, faces.depth, strict=True)]
    error = np.abs(depth - faces.depth).mean(1) / np.ptp(faces.depth, axis=1)
    corr = depth_corr(depth, faces.depth)
    found = {
        "depth_corr": corr,
        "depth_corr_share": corr / faces.size,
        "correlation_in_a_face": float(np.mean(of_faces)),
        "error_percent_of_range": 100 * float(error.mean()),
    }
    rng = np.random.default_rng(0)
    first, second = draw_pairs(faces, _PAIRS, rng, same_person=True)
    target = faces.points[second]
    for name, known in (("estimated", depth), ("true", faces.depth)):
        lifted = lift(faces.points[first], known[first])
        placed = apply_affine(solve_affine(lifted, target), lifted)
        found[f"mse_{name}_depth"] = mse(placed, target)
        found[f"mse_norm_{name}_depth"] = mse_norm(placed, target)
    return {name: round(value, 4) for name, value in found.items()}
