"""Smooth filling of unknown pixels from known ones (pull–push over a pyramid)."""

import cv2
import numpy as np


def pull_push(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Fill unknown places with a smooth continuation of the known ones.

    Averages of what is known are pulled up a pyramid until every cell has one, then pushed
    back down into the cells that had none (Gortler et al., The Lumigraph, 1996, §3.4.2).

    Args:
        values: (H, W) or (H, W, C) float32; ignored where unknown.
        known: (H, W) float32 confidence, 0…1.

    Returns:
        Array like ``values``; equal to it where the confidence is 1. Zero if nothing is known.
    """
    levels = [(_weighted(values, known), known.astype(np.float32))]
    while max(levels[-1][1].shape) > 1 and levels[-1][1].min() < 1:
        levels.append(_half(*levels[-1]))
    total, weight = levels.pop()
    filled = total / _like(np.maximum(weight, 1e-6), total)
    while levels:
        total, weight = levels.pop()
        size = (weight.shape[1], weight.shape[0])
        above = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)
        filled = total + _like(1 - weight, total) * above
    return filled


def mean_around(
    values: np.ndarray, known: np.ndarray, sigma: float, least: float = 1e-3
) -> np.ndarray:
    """Blur by a Gaussian as far as values are known.

    Args:
        values: (H, W) or (H, W, C) float32.
        known: (H, W) float32 weights, 0…1.
        sigma: of the Gaussian, pixels.
        least: weight that counts where less of it lies around; the mean fades to 0 there.

    Returns:
        Array like ``values``.
    """
    total = cv2.GaussianBlur(values * _like(known, values), (0, 0), sigma)
    weight = np.maximum(cv2.GaussianBlur(known, (0, 0), sigma), least)
    return np.asarray(total / _like(weight, total))


def _half(total: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
    total = cv2.resize(total, size, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    # Saturate: a cell that is known in one part passes as known with that part's mean.
    saturated = np.minimum(weight * 4, 1.0)
    return total * _like(saturated / np.maximum(weight, 1e-6), total), saturated


def _weighted(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    weight = _like(known.astype(np.float32), values)
    return np.where(weight > 0, values, 0).astype(np.float32) * weight


def _like(weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    return weight[..., None] if values.ndim == 3 else weight
