"""Histogram matching of the face's colours, the same for all views of a head (§IV)."""

from __future__ import annotations

import cv2
import numpy as np

_LEAST = 64  # pixels; fewer make no histogram


def matching_table(colours: np.ndarray, aims: np.ndarray) -> np.ndarray:
    """Return the (256, 3) uint8 table that gives colours the histogram of others.

    Args:
        colours: (N, 3) uint8.
        aims: (M, 3) uint8.
    """
    table = np.empty((256, 3), np.uint8)
    for channel in range(3):
        shares, wanted = (_cumulated(some[:, channel]) for some in (colours, aims))
        levels = np.interp(shares, wanted, np.arange(256))
        table[:, channel] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return table


def matched_to(pixels: np.ndarray, faces: np.ndarray, aims: np.ndarray) -> np.ndarray:
    """Change the colours of pictures so that their faces have the histogram of another face.

    Args:
        pixels: (H, W, 3) uint8; several views below each other get one change, which keeps
            them alike.
        faces: (H, W) bool, where their faces are.
        aims: (M, 3) uint8 colours of the other face.
    """
    if faces.sum() < _LEAST or len(aims) < _LEAST:
        return pixels
    return cv2.LUT(pixels, matching_table(pixels[faces], aims)[:, None, :])


def _cumulated(values: np.ndarray) -> np.ndarray:
    """Return (256,) share of values up to the middle of each level, rising everywhere."""
    counts = np.bincount(values, minlength=256) + 1e-6
    total = np.cumsum(counts)
    return (total - counts / 2) / total[-1]
