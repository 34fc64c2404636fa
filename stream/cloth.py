"""Where cloth is, up to the edge that it has in the picture, and how much of it stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.region import resample_to_nodes
from stream.sight import BACKGROUND, BODY, FACE, NECK, clothes

if TYPE_CHECKING:
    from stream.region import NodeGrid
    from stream.sight import Sight

STAYS = 0.9  # of their share of the motion is taken from what is surely cloth
# Pixels of labels by which cloth takes some of the skin at its edge, and by which the head ends
# before it: on a collar nobody sees that, but along a jaw a strip of collar would show.
_TAKEN, _LEFT = np.ones((5, 5), np.uint8), np.ones((3, 3), np.uint8)
_AROUND, _NEAR_EDGE = np.ones((9, 9), np.uint8), 0.05  # pixels of labels, which end near an edge
_RADIUS, _EVEN = 6, 65.0  # of the guided filter, in these pixels and squared grey levels
_NO_SKIN = 0.02  # likelihood


@dataclass(frozen=True, slots=True)
class Cloth:
    """What is cloth at the nodes of a grid, all (rows, columns) float32 of about 0…1.

    Attributes:
        nearest: how likely the nearest of the person is cloth: the share of the motion falls there.
        share: of the person.
        taken: the same with what of the skin at its edge goes with it.
        left: the same with what of that the head leaves.
        neck: share of neck in the skin nearby.
    """

    nearest: np.ndarray
    share: np.ndarray
    taken: np.ndarray
    left: np.ndarray
    neck: np.ndarray

    @property
    def moves(self) -> np.ndarray:
        """(rows, columns) how much of the head's share of the motion is left to it."""
        return 1 - STAYS * self.nearest


def find_cloth(sight: Sight | None, grid: NodeGrid) -> Cloth | None:
    """Find cloth, or return None where nobody looked.

    Labels end near the edge of a collar, colours at it: a guided filter (He et al., "Guided image
    filtering", 2010) moves the one to the other.

    Args:
        sight: of the grid's region.
        grid: the nodes.
    """
    nearest = None if sight is None else clothes(sight)
    if sight is None or sight.labels is None or nearest is None:
        return None
    labels = sight.labels
    face, neck = labels[FACE], labels[NECK]
    cloth = labels[BODY] / np.maximum(1 - labels[BACKGROUND], 0.5)
    edge = cv2.dilate(face + neck, _AROUND) * cv2.dilate(cloth, _AROUND) > _NEAR_EDGE
    x, y, width, height = cv2.boundingRect(edge.view(np.uint8))
    if width:
        box = np.s_[y : y + height, x : x + width]
        picture = np.ascontiguousarray(sight.square[box])
        cloth[box] = cv2.ximgproc.guidedFilter(picture, cloth[box], _RADIUS, _EVEN)
    taken, left = cv2.dilate(cloth, _TAKEN), cv2.dilate(cloth, _LEFT)
    size = (grid.columns, grid.rows)
    cloth, taken, left, face, neck = (
        cv2.resize(share, size, interpolation=cv2.INTER_AREA)
        for share in (cloth, taken, left, face, neck)
    )
    face, neck = (cv2.blur(share, (5, 5)) for share in (face, neck))
    nearest = resample_to_nodes(nearest, grid)
    return Cloth(nearest, cloth, taken, left, neck / (face + neck + _NO_SKIN))
