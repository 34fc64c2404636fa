"""Re-posing without a head model, to compare with: a thin-plate warp of Face Mesh's points."""

import cv2
import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

_MESH_POINTS = 468  # without the irises, whose depth Face Mesh does not measure
_GRID_PX = 8  # the warp is evaluated on this grid and interpolated between
_SMOOTHING = 1.0
_NEIGHBOURS = 12


def similarity_from_points(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the (d, d + 1) similarity that brings (N, d) source points nearest to the target.

    Rotation and scale are the least-squares ones, without mirroring; columns 0…d−1 hold
    scale × rotation, the last the translation.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    from_centre, to_centre = source - source_mean, target - target_mean
    u, size, vt = np.linalg.svd(to_centre.T @ from_centre)
    sign = np.ones(len(size))
    sign[-1] = np.sign(np.linalg.det(u @ vt))
    scale = float((size * sign).sum() / (from_centre**2).sum())
    linear = scale * (u * sign) @ vt
    return np.column_stack([linear, target_mean - linear @ source_mean])


def visible(points: np.ndarray) -> np.ndarray:
    """Return (N,) which of the (N, 3) points are not behind others, seen along z.

    A point counts as hidden when a close neighbour in the picture lies in front of it by much
    more than their distance: there the surface has folded over.
    """
    tree = cKDTree(points[:, :2])
    distance, neighbour = tree.query(points[:, :2], k=_NEIGHBOURS)
    typical = np.median(distance[:, 1])
    in_front = points[:, 2:] - points[neighbour, 2] > 2.0 * distance + typical
    return ~in_front.any(axis=1)


def thin_plate(picture: np.ndarray, points: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Warp a picture so that its face takes another pose and keeps its expression.

    The points are moved rigidly and scaled in 3D onto the goal; a thin-plate spline through
    the visible ones carries the whole picture along, background and all.

    Args:
        picture: (H, W, 3) uint8.
        points: (N, 3) Face Mesh points of the picture, pixels, z in the same scale.
        goal: (N, 3) Face Mesh points whose pose is wanted.
    """
    source = points[:_MESH_POINTS]
    moved = np.column_stack([source, np.ones(len(source))])
    moved = moved @ similarity_from_points(source, goal[:_MESH_POINTS]).T
    seen = visible(source) & visible(moved)
    return warp_by_points(picture, source[seen, :2], moved[seen, :2])


def warp_by_points(picture: np.ndarray, source: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Warp a picture by the thin-plate spline that takes (N, 2) source points to moved ones."""
    height, width = picture.shape[:2]
    columns = np.arange(0, width + _GRID_PX, _GRID_PX, dtype=np.float64)
    rows = np.arange(0, height + _GRID_PX, _GRID_PX, dtype=np.float64)
    grid = np.stack(np.meshgrid(columns, rows), axis=-1)
    # Points count pixel centres at +0.5, the picture operations at 0.
    spline = RBFInterpolator(
        moved - 0.5, source - 0.5, kernel="thin_plate_spline", smoothing=_SMOOTHING
    )
    coarse = spline(grid.reshape(-1, 2)).reshape(grid.shape).astype(np.float32)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    fine = cv2.remap(coarse, x / _GRID_PX, y / _GRID_PX, cv2.INTER_LINEAR)
    return cv2.remap(
        picture, fine[..., 0], fine[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
