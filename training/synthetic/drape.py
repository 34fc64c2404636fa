"""Long hair that falls over the shoulders to the front, instead of down the back."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.stats import rankdata

_EAR_MM = 60.0  # head space y below which hair hangs freely
_LIES_MM = (75.0, 170.0)  # head space y over which it leaves its place and comes to lie
_INNER_MM, _OUTER_MM = 46.0, 118.0  # |x| of the strands next to the face, and of the last ones
_MOST = 0.7  # of the strands of a side; the others belong to the back of the head
_CLEAR_MM = 19.0  # from the skin: clothes lie between
_COLLAR_MM = 150.0  # head space y below which skin is chest and shoulders
_GRID_MM, _SMOOTH_MM = 16.0, 20.0  # of the map of the chest
_GRID = (22, 36)  # columns and rows of it
_LAYER = 0.12  # how much of their distances from the head hair in layers keeps
_CUT = 0.5  # triangles between strands of which one lies before the shoulder are left out


class Drape:
    """Lays strands of one style before the shoulders.

    Strands are told by the place where they pass the ear: each vertex below belongs to the one
    from which a way upwards along the mesh leads to it.

    Args:
        rest_mm: (N, 3) the style on the plain head, head space.
        triangles: (T, 3) of it.
        skin_mm: (M, 3) skin of that head.
    """

    def __init__(self, rest_mm: np.ndarray, triangles: np.ndarray, skin_mm: np.ndarray) -> None:
        self._side = np.where(rest_mm[:, 0] < 0, -1.0, 1.0)
        self._hangs = rest_mm[:, 1] > _EAR_MM
        self._order = _order(_passed_ear(rest_mm, triangles), self._side, self._hangs)
        self._body = np.flatnonzero(
            (skin_mm[:, 1] > _COLLAR_MM) & (skin_mm[:, 2] < 50.0) & (np.abs(skin_mm[:, 0]) < 220.0)
        )

    def share(self, front: float, sides: int) -> np.ndarray:
        """Tell which vertices lie before the shoulders: (N,) 0 or 1.

        Args:
            front: 0…1, how many of the strands of a side do.
            sides: -1 those at negative x, 1 at positive, 0 both.
        """
        chosen = (self._order < _MOST * front) & self._hangs
        return (chosen & ((sides == 0) | (self._side == np.sign(sides)))).astype(np.float32)

    def lay(self, hair_mm: np.ndarray, skin_mm: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Move strands forwards onto the chest: (N, 3) mm.

        Args:
            hair_mm: (N, 3) the style on a person.
            skin_mm: (M, 3) that person's skin.
            share: of `share`.
        """
        moved = np.flatnonzero(share)
        if len(moved) == 0:
            return hair_mm
        points = hair_mm[moved]
        across = _INNER_MM + self._order[moved] * (_OUTER_MM - _INNER_MM)
        x = self._side[moved] * np.minimum(across, np.abs(points[:, 0]) + 20.0)
        surface = _looked_up(_chest(skin_mm[self._body]), x, points[:, 1])
        thick = _LAYER * np.linalg.norm(points[:, [0, 2]], axis=1)
        target = np.column_stack([x, points[:, 1], surface - _CLEAR_MM - thick])
        ramp = np.clip((points[:, 1] - _LIES_MM[0]) / (_LIES_MM[1] - _LIES_MM[0]), 0.0, 1.0)
        ramp = (ramp * ramp * (3.0 - 2.0 * ramp))[:, None]
        laid = hair_mm.copy()
        laid[moved] += ramp * (target - points)
        return laid

    def whole(self, triangles: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Tell which (T, 3) triangles of the style stay: (T,) bool.

        Between strands that lie before and behind a shoulder nothing is stretched.
        """
        corners = share[triangles]
        apart = corners.max(axis=1) - corners.min(axis=1) > _CUT
        return ~(apart & self._hangs[triangles].all(axis=1))


def _order(ear_z: np.ndarray, side: np.ndarray, hangs: np.ndarray) -> np.ndarray:
    """Return (N,) 0…1: how many of the hanging strands of a side lie farther in front."""
    order = np.ones(len(ear_z))
    for number in (-1.0, 1.0):
        own = np.flatnonzero(hangs & (side == number))
        order[own] = rankdata(ear_z[own]) / max(len(own), 1)
    return order


def _chest(body_mm: np.ndarray) -> np.ndarray:
    """Smooth (B, 3) places of chest and shoulders to a map of their z: `_GRID` rows, columns."""
    columns, rows = _GRID
    x = (np.arange(columns) - (columns - 1) / 2) * _GRID_MM
    y = _COLLAR_MM + np.arange(rows) * _GRID_MM
    across = np.exp(-0.5 * ((x[:, None] - body_mm[:, 0]) / _SMOOTH_MM) ** 2)  # (columns, B)
    down = np.exp(-0.5 * ((y[:, None] - body_mm[:, 1]) / _SMOOTH_MM) ** 2)  # (rows, B)
    weight = down @ across.T + 1e-9
    return ((down * body_mm[:, 2]) @ across.T / weight).astype(np.float32)


def _looked_up(chest: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Read the map of the chest at (N,) places, those beyond its edges at the edge."""
    column = (x / _GRID_MM + (_GRID[0] - 1) / 2).astype(np.float32)
    row = ((y - _COLLAR_MM) / _GRID_MM).astype(np.float32)
    read = cv2.remap(
        chest, column[:, None], row[:, None], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return read[:, 0]


def _passed_ear(points_mm: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return (N,) the z at which each vertex's strand passes the ear; above it the own z."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    way = points_mm[edges[:, 1]] - points_mm[edges[:, 0]]
    steep = -way[:, 1] / np.maximum(np.linalg.norm(way, axis=1), 1e-6)  # upwards is -y
    upper = np.arange(len(points_mm))
    order = np.argsort(steep)  # the steepest comes last and stays
    order = order[steep[order] > 0.2]
    upper[edges[order, 0]] = edges[order, 1]
    ear_z = points_mm[:, 2].copy()
    for vertex in np.argsort(points_mm[:, 1]):  # from the top: those above are known
        if points_mm[vertex, 1] > _EAR_MM:
            ear_z[vertex] = ear_z[upper[vertex]]
    return ear_z
