"""How much light from above reaches each part of a head: less under the chin and behind the jaw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.face_3dmm import DISPLAY_GAMMA
from stream.geometry import vertex_normals

if TYPE_CHECKING:
    from stream.head_model import HeadModel

_INSIDE = (5, 6)  # labels of the head model: mouth and eyes throw no shadow on skin
_LEAST = 0.05  # no skin is black
_AT_ONCE = 128  # vertices: memory for all would not be worth it


def skylight(model: HeadModel, vertices: np.ndarray) -> np.ndarray:
    """Return how bright a sky makes skin, from below 1 (hidden from it) to above (facing it).

    The sky shines 1 + u from a direction of which the upward part is u, -1…1. What the head
    itself takes of it is added up over the head's vertices as over small discs (form factors of
    disc to point, as M. Bunnell, "Dynamic ambient occlusion and indirect lighting", GPU Gems 2).

    Args:
        model: the head model; its mean is measured.
        vertices: (S,) of it.

    Returns:
        (S,) float32 factors of sRGB colours; only their ratios mean something.
    """
    points = model.vertices.astype(np.float32)
    normals = vertex_normals(points, model.triangles).astype(np.float32)
    discs = np.flatnonzero(~np.isin(model.labels, _INSIDE))
    area = _areas(points, model.triangles)[discs]
    parts = np.array_split(vertices, len(vertices) // _AT_ONCE + 1)
    left = [_left(points[p], normals[p], points[discs], normals[discs], area) for p in parts]
    return np.asarray(np.concatenate(left).clip(_LEAST) ** (1 / DISPLAY_GAMMA), np.float32)


def _left(
    at: np.ndarray, facing: np.ndarray, discs: np.ndarray, towards: np.ndarray, area: np.ndarray
) -> np.ndarray:
    """Return (S,) what (S, 3) places facing (S, 3) get of the sky over (D, 3) discs."""
    square = (at * at).sum(1)[:, None] + (discs * discs).sum(1) - 2 * at @ discs.T
    square = np.maximum(square, 1e-3)
    received = facing @ discs.T - (facing * at).sum(1)[:, None]  # cosine times distance
    given = at @ towards.T - (discs * towards).sum(1)
    taken = area * received.clip(0) * given.clip(0) / (square * (np.pi * square + area))
    upwards = (at[:, 1:2] - discs[:, 1]) / np.sqrt(square)
    free = 1 - 2 / 3 * facing[:, 1]  # of the whole sky, which a cosine weighs
    return np.asarray(free - (taken * (1 + upwards)).sum(axis=1))


def _areas(points_mm: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return (V,) float32 mm² of surface around each vertex."""
    a, b, c = (points_mm[triangles[:, i]] for i in range(3))
    third = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6
    return np.bincount(triangles.ravel(), np.repeat(third, 3), len(points_mm)).astype(np.float32)
