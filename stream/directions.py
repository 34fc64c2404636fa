"""Values by direction in the picture, seen from the middle of a head: 72 bins from +x clockwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from stream.region import NodeGrid

ANGLES = 72


def middles() -> np.ndarray:
    """Return (72,) the direction in the middle of each bin, radians."""
    return np.asarray((np.arange(ANGLES) + 0.5) / ANGLES * 2 * np.pi)


def rays() -> np.ndarray:
    """Return (72, 2) unit vectors through the middle of each bin."""
    return np.stack([np.cos(middles()), np.sin(middles())], axis=-1)


def ends_inside(grid: NodeGrid, centre_px: np.ndarray, radius_px: np.ndarray) -> np.ndarray:
    """Return (72,) bool, where a ray of this length from a centre ends inside a grid."""
    x, y = (centre_px + radius_px[:, None] * rays()).T
    region = grid.region
    return (x > region.x0) & (x < region.x1) & (y > region.y0) & (y < region.y1)


def along_rays(
    values: np.ndarray, grid: NodeGrid, centre_px: np.ndarray, radius_px: np.ndarray
) -> np.ndarray:
    """Sample (rows, columns) float32 values of the nodes along each direction.

    Args:
        values: at the nodes.
        grid: the nodes.
        centre_px: (2,) where the rays begin.
        radius_px: (72, N) places along them.

    Returns:
        (72, N) float32.
    """
    points = centre_px + radius_px[..., None] * rays()[:, None]
    nodes = grid.nodes_at(points).astype("f4")
    return cv2.remap(values, nodes, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def outermost_run(there: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the last run of True begins and ends in each row of (R, N) bool.

    Returns:
        (R,) the number before its first place, -1 where it begins with the row, and (R,) its last.
    """
    count = there.shape[1]
    last = count - 1 - there[:, ::-1].argmax(axis=1)
    bare = ~there & (np.arange(count) < last[:, None])
    before = np.where(bare.any(axis=1), count - 1 - bare[:, ::-1].argmax(axis=1), -1)
    return before, last


def bins_of(angle: np.ndarray) -> np.ndarray:
    """Return the direction bins, 0…71, of angles in radians."""
    return np.floor(angle / (2 * np.pi) * ANGLES).astype(int) % ANGLES


def at_angle(by_bin: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Interpolate (72,) values by direction at angles in radians."""
    place = angle / (2 * np.pi) * ANGLES - 0.5
    low = np.floor(place).astype(int)
    part = place - low
    return by_bin[low % ANGLES] * (1 - part) + by_bin[(low + 1) % ANGLES] * part


def circular_blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Smooth (72,) values by direction; sigma in bins."""
    reach = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.concatenate([values[-reach:], values, values[:reach]])
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def circular_least(values: np.ndarray) -> np.ndarray:
    """Return (72,) the least of each value and its two neighbours by direction."""
    return np.minimum(np.minimum(np.roll(values, 1), np.roll(values, -1)), values)


def outline_radius(offsets_px: np.ndarray) -> np.ndarray:
    """Return (72,) distances of the outermost of (S, 2) points by direction."""
    return _extreme_radius(offsets_px, np.maximum, 0.0)


def inner_radius(offsets_px: np.ndarray) -> np.ndarray:
    """Return (72,) distances of the innermost of (S, 2) points by direction."""
    return _extreme_radius(offsets_px, np.minimum, np.inf)


def _extreme_radius(offsets_px: np.ndarray, extreme: np.ufunc, start: float) -> np.ndarray:
    bins = bins_of(np.arctan2(offsets_px[:, 1], offsets_px[:, 0]))
    radius = np.full(ANGLES, start)
    extreme.at(radius, bins, np.linalg.norm(offsets_px, axis=1))
    known = np.flatnonzero(radius != start)
    if len(known) == 0:
        return np.ones(ANGLES)
    radius = np.interp(np.arange(ANGLES), known, radius[known], period=ANGLES)
    return np.maximum(circular_blur(radius, 1.0), 1e-3)
