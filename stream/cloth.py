"""Where cloth is at the nodes of a mesh, and how much of it stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2

from stream.region import reduced, resample_to_nodes
from stream.sight import FACE, NECK, see_cloth

if TYPE_CHECKING:
    import numpy as np

    from stream.region import NodeGrid
    from stream.sight import Sight

STAYS = 0.9  # of their share of the motion is taken from what is surely cloth
_NO_SKIN = 0.02  # likelihood


@dataclass(frozen=True, slots=True)
class Cloth:
    """What is cloth at the nodes of a grid, all (rows, columns) float32 of about 0…1.

    Attributes:
        nearest: how likely the nearest of the person is cloth: the share of the motion falls there.
        share: of the person.
        taken: the same with what of the skin at its edge goes with it.
        neck: share of neck in the skin nearby.
        unlike: how surely it has other colours than the skin nearby.
    """

    nearest: np.ndarray
    share: np.ndarray
    taken: np.ndarray
    neck: np.ndarray
    unlike: np.ndarray

    @property
    def moves(self) -> np.ndarray:
        """(rows, columns) how much of the head's share of the motion is left to it."""
        return 1 - STAYS * self.nearest


def find_cloth(sight: Sight | None, grid: NodeGrid) -> Cloth | None:
    """Find cloth at the nodes, or return None where nobody looked.

    Args:
        sight: of the grid's region.
        grid: the nodes.
    """
    if sight is None or sight.labels is None:
        return None
    labels, size = sight.labels, (grid.columns, grid.rows)
    seen = see_cloth(labels, sight.square) if sight.cloth is None else sight.cloth
    parts = seen.share, seen.taken, seen.unlike, labels[FACE], labels[NECK]
    share, taken, unlike, face, neck = (reduced(part, size) for part in parts)
    face, neck = (cv2.blur(skin, (5, 5)) for skin in (face, neck))
    nearest = resample_to_nodes(seen.nearest, grid)
    return Cloth(nearest, share, taken, neck / (face + neck + _NO_SKIN), unlike)
