"""Where ears lie, and what hangs at them.

A fitted head has ears of its own place and size, and where the ears of the picture differ, they
share the steep depth of the cheek beside them: a turn would smear lobes and ear rings over the
jaw. No part of an ear lies before its root, so what is seen as one is put behind that, and what
hangs below it, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import smoothstep
from stream.region import node_mm, resample_to_nodes
from stream.sight import BACKGROUND, EAR, HAIR, OCCLUDER

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.region import NodeGrid
    from stream.sight import Sight

_ROOT = 0.1  # of an ear's vertices lie before the plane of its root
_SURE = (0.4, 0.7)  # likelihood of what is put there
_HANGS_MM, _ASIDE_MM = 40.0, 3.0  # below a lobe, and beside it: ear rings
_SOFT_NODES, _BESIDE = 2.0, np.ones((5, 5), np.uint8)  # where ears meet hair
_MARGIN = 6  # nodes around, into which a change fades
_LARGEST_MM = 90.0  # that anything goes back: more is no ear


def find_ears(head: Head, grid: NodeGrid, sight: Sight) -> np.ndarray | None:
    """Return (rows, columns) float32, how surely a node shows an ear or what hangs at it.

    Args:
        head: the fitted head.
        grid: the nodes.
        sight: what the networks saw there.

    Returns:
        Likelihoods, 0…1; None where no ear is seen.
    """
    if sight.labels is None:
        return None
    likely = resample_to_nodes(sight.labels[EAR], grid)
    reach = _reach(head, grid)
    found = _around(likely, reach)
    if found is None:
        return None
    ear = likely[found]
    ring = cv2.dilate(ear, np.ones((reach[0] + 1, 2 * reach[1] + 1), np.uint8), anchor=reach[::-1])
    behind, thing = (
        resample_to_nodes(sight.labels[label], grid)[found] for label in (BACKGROUND, OCCLUDER)
    )
    np.maximum(ear, ring * (behind + thing), out=ear)
    return likely


def behind_roots(
    front_mm: np.ndarray, ears: np.ndarray, ear_z_mm: np.ndarray, head: Head, grid: NodeGrid,
    sight: Sight,
) -> np.ndarray:  # fmt: skip
    """Return the depth of what is seen with ears and ear rings no nearer than where ears begin.

    Args:
        front_mm: (rows, columns) float32 at the nodes.
        ears: (rows, columns) float32, as of `find_ears`.
        ear_z_mm: (E,) head-space z of the vertices of both ears.
        head: the fitted head.
        grid: the nodes.
        sight: what the networks saw there.

    Returns:
        (rows, columns) float32.
    """
    found = _around(ears, (0, 0))
    if found is None or sight.labels is None:
        return front_mm
    root = _plane_mm(float(np.quantile(ear_z_mm, _ROOT)), head, grid.positions_px[found])
    back = smoothstep(ears[found], *_SURE) * np.clip(root - front_mm[found], 0, _LARGEST_MM)
    # Hair goes on over an ear: torn off at its edge it would show a comb of streaks.
    hair = cv2.dilate(resample_to_nodes(sight.labels[HAIR], grid)[found], _BESIDE)
    back += hair * (cv2.GaussianBlur(back, (0, 0), _SOFT_NODES) - back)
    put = front_mm.copy()
    put[found] += back
    return put


def _reach(head: Head, grid: NodeGrid) -> tuple[int, int]:
    """Return how many nodes rings hang below an ear, and beside it."""
    between_mm = node_mm(grid, head)
    down, aside = (max(1, round(mm / between_mm)) for mm in (_HANGS_MM, _ASIDE_MM))
    return down, aside


def _around(ear: np.ndarray, reach: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return the rows and columns of what may be changed, or None where no ear is seen."""
    x, y, width, height = cv2.boundingRect(cv2.compare(ear, _SURE[0], cv2.CMP_GT))
    if width == 0:
        return None
    side = reach[1] + _MARGIN
    return (
        slice(max(y - _MARGIN, 0), y + height + reach[0] + _MARGIN),
        slice(max(x - side, 0), x + width + side),
    )


def _plane_mm(z_mm: float, head: Head, places_px: np.ndarray) -> np.ndarray:
    """Return (rows, columns) float32 camera-space depth of the plane of a head-space z."""
    normal, origin = head.camera_from_head[:3, 2], head.camera_from_head[:3, 3]
    rays = (places_px - head.camera[:2, 2].astype(np.float32)) / np.float32(head.camera[0, 0])
    along = rays @ normal[:2].astype(np.float32) + np.float32(normal[2])
    return np.float32(z_mm + normal @ origin) / np.maximum(along, np.float32(0.2))
