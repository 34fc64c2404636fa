"""What the paper measures: MSE, MSE_norm, DepthCorr."""

import numpy as np

from training.depthnets.keypoints import EYE_CORNERS, PAPER_CROP_PX


def squared_errors(placed: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return (N,) mean squared differences of coordinates, of (N, K, 2) points."""
    return ((placed - target) ** 2).mean((1, 2))


def mse(placed: np.ndarray, target: np.ndarray) -> float:
    """MSE of Table 1, in squared pixels of an 80×80 crop; points in units of the crop."""
    return float(squared_errors(placed, target).mean()) * PAPER_CROP_PX**2


def mse_norm(placed: np.ndarray, target: np.ndarray) -> float:
    """MSE_norm of Table 1: mean distance of points, in % of the target's distance of the eyes.

    The distance is that of the outer corners. The paper gives no unit; its eight figures behave
    like roots of those of MSE, as distances do.
    """
    right, left = EYE_CORNERS[target.shape[1]]
    eyes = np.linalg.norm(target[:, right] - target[:, left], axis=1)
    distance = np.linalg.norm(placed - target, axis=2).mean(1)
    return float((distance / eyes).mean()) * 100


def depth_corr(estimated: np.ndarray, true: np.ndarray) -> float:
    """DepthCorr of Tables 2 and 3: Σ_k |corr(estimated depth of k, true depth of k)|.

    Args:
        estimated: (N, K), one row a pair.
        true: (N, K).

    Returns:
        0…K; a keypoint whose estimate never changes adds nothing.
    """
    a = estimated - estimated.mean(0)
    b = true - true.mean(0)
    lengths = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    products = np.abs((a * b).sum(0))
    return float(np.where(lengths > 0, products / np.maximum(lengths, 1e-30), 0).sum())
