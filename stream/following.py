"""How much of the head's motion each part of a person follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.geometry import project, transform_points

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.head_model import HeadModel

_UNSEEN_SHARE = 0.01  # of the motion: less is no motion, and need not be drawn
_SCALP = 2  # label of the head model
CHIN, _UPPER_LIP = 152, 0  # tracked points
_BORDER_MM = 12.0, 35.0  # above the frame's lower border: over so much a motion comes to rest
_CHIN_EDGE_MM = 8.0  # so far below its tip may the edge of a chin be seen


def follow_share(
    points_head_mm: np.ndarray, chin_mm: np.ndarray, nape_mm: np.ndarray, neck_mm: float
) -> np.ndarray:
    """Return how much of the head's motion points follow: 1 above the jaw, 0 at the collar.

    Args:
        points_head_mm: (..., 3) head space.
        chin_mm: (3,) tip of the chin, head space.
        nape_mm: (3,) where skull and neck meet behind, head space.
        neck_mm: fall from 1 to 0, measured downwards.
    """
    x, y, z = points_head_mm[..., 0], points_head_mm[..., 1], points_head_mm[..., 2]
    along = np.clip((z - chin_mm[2]) / (nape_mm[2] - chin_mm[2]), 0.0, 1.0)
    jaw_y = chin_mm[1] + along * (nape_mm[1] - chin_mm[1])
    # Shoulders rise beside the neck: what lies wide of it lets go earlier than the throat.
    wide = 0.6 * np.maximum(np.abs(x) - 75.0, 0.0)
    below = np.clip((y - jaw_y + wide * (y > jaw_y)) / neck_mm, 0.0, 1.0)
    share = 1.0 - below * below * (3.0 - 2.0 * below)
    return np.maximum(share - _UNSEEN_SHARE, 0.0) / (1.0 - _UNSEEN_SHARE)


def chin_and_nape(model: HeadModel, head: Head, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (3,) the tip of the chin and (3,) where skull and neck meet behind, head space.

    Args:
        model: the head model.
        head: the fitted head.
        shape: (V, 3) its shape.
    """
    points = model.points478(head.identity, head.expression)
    chin, upper_lip = points[CHIN], points[_UPPER_LIP]
    # The skull base lies at the height of the upper lip on a head held upright.
    nape = np.array([0.0, upper_lip[1], shape[model.labels == _SCALP, 2].max() * 0.75])
    return chin, nape


def border_share(y_px: np.ndarray, head: Head, chin_mm: np.ndarray) -> np.ndarray:
    """Return shares, by frame row, that fall to 0 at the lower border of the frame.

    What the border cuts off is not there to be moved in, so the body stays there. A chin that the
    frame shows goes with its head all the same, or its lower edge would stay on the neck.

    Args:
        y_px: frame rows, any shape.
        head: the fitted head.
        chin_mm: (3,) tip of the chin, head space.
    """
    height_px = 2 * head.camera[1, 2]
    px_a_mm = head.camera[1, 1] / head.camera_from_head[2, 3]
    chin_px = project(transform_points(head.camera_from_head, chin_mm), head.camera)[1]
    below_mm = (height_px - chin_px) / px_a_mm - _CHIN_EDGE_MM
    reach_px = px_a_mm * np.clip(below_mm, *_BORDER_MM)
    inside = np.clip((height_px - y_px) / reach_px, 0, 1)
    return inside * inside * (3 - 2 * inside)
