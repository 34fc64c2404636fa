"""The depth of an open mouth: teeth lie close behind the lips, not in the cavity of the model."""

import cv2
import numpy as np

from stream.fill import pull_push
from stream.region import NodeGrid

# Tracked points along the inner border of the lips, once around.
INNER_LIPS = np.array(
    [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]
)
_TEETH_MM = 3.0  # behind the inner border of the lips
_EASE_NODES = 2.0  # from that border to the teeth
_AROUND_NODES = 4  # looked at beside the mouth
_SUB = 4  # bits of a node's fraction that cv2.fillPoly reads


def with_teeth(front_mm: np.ndarray, points_px: np.ndarray, grid: NodeGrid) -> np.ndarray:
    """Close an open mouth by a sheet from lip to lip, where teeth and tongue are seen.

    The head model's mouth is a cavity, seen through the lips. Teeth that took their depth from
    there would bend into a wedge as soon as the head turns.

    Args:
        front_mm: (rows, columns) float32 depth of the model at the nodes, 0 where it is not.
        points_px: (478, 2) tracked points as the model has them, frame pixels.
        grid: the nodes.

    Returns:
        (rows, columns) float32; the same array where the mouth is shut.
    """
    lips = grid.nodes_at(points_px[INNER_LIPS])
    low = np.floor(lips.min(axis=0)).astype(int) - _AROUND_NODES
    high = np.ceil(lips.max(axis=0)).astype(int) + _AROUND_NODES + 1
    low, high = np.maximum(low, 0), np.minimum(high, front_mm.shape[::-1])
    if (high - low).min() <= 2 * _AROUND_NODES:
        return front_mm
    part = np.s_[low[1] : high[1], low[0] : high[0]]
    inside = np.zeros(tuple((high - low)[::-1]), np.uint8)
    corners = np.rint((lips - low) * (1 << _SUB)).astype(np.int32)
    cv2.fillPoly(inside, [corners], 1, shift=_SUB)
    hidden = cv2.dilate(inside, np.ones((3, 3), np.uint8))
    drawn = front_mm[part]
    known = ((hidden == 0) & (drawn > 0)).astype(np.float32)
    if not known.any():
        return front_mm
    lips_mm = cv2.GaussianBlur(pull_push(drawn, known), (0, 0), 1.0)
    share = np.clip(cv2.distanceTransform(inside, cv2.DIST_L2, 3) / _EASE_NODES, 0, 1)
    result = front_mm.copy()
    result[part] = np.where(hidden > 0, lips_mm + _TEETH_MM * share, drawn)
    return result
