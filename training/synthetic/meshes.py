"""Meshes of synthetic people that never change: which vertex, which texel, which counterpart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.spatial import cKDTree

from training.synthetic.scene import Label, Material, Surface

if TYPE_CHECKING:
    from stream.head_model import HeadModel
    from training.head_model.dress import Part

_NEAR_MM = 12.0  # a vertex of eyes or teeth farther from the head model has no counterpart


@dataclass(frozen=True, slots=True)
class Mesh:
    """A mesh whose vertices are split where its texture map is cut.

    Attributes:
        rows: (V,) vertices of the unsplit mesh.
        triangles: (T, 3) int32, of the split vertices.
        uv: (V, 2) float32, origin at the top left.
        labels: (V,) uint8, `Label`.
        canonical_mm, head_uv: counterparts on the head model, nan where there is none.
    """

    rows: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    labels: np.ndarray
    canonical_mm: np.ndarray
    head_uv: np.ndarray

    def surface(
        self, name: str, points_mm: np.ndarray, texture: np.ndarray, material: Material
    ) -> Surface:
        """Place the mesh: `points_mm` (N, 3) are those of the unsplit mesh."""
        return Surface(
            name=name,
            vertices_mm=np.ascontiguousarray(points_mm[self.rows], np.float32),
            triangles=self.triangles,
            uv=self.uv,
            texture=texture,
            labels=self.labels,
            smooth_ids=self.rows,
            canonical_mm=self.canonical_mm,
            head_uv=self.head_uv,
            material=material,
        )


def split(
    triangles: np.ndarray,
    corners_uv: np.ndarray,
    uv: np.ndarray,
    labels: np.ndarray,
    counterpart: tuple[np.ndarray, np.ndarray],
) -> Mesh:
    """Give every pair of vertex and texel in use a vertex of its own.

    Args:
        triangles: (T, 3) vertex numbers.
        corners_uv: (T, 3) texel numbers.
        uv: (…, 2) texture places, origin at the bottom left.
        labels: (N,) uint8 of the unsplit vertices.
        counterpart: (N, 3) and (N, 2), on the mean head and in its texture map.
    """
    pairs = np.stack([triangles.ravel(), corners_uv.ravel()], axis=1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    rows = unique[:, 0].astype(np.int32)
    return Mesh(
        rows=rows,
        triangles=inverse.reshape(-1, 3).astype(np.int32),
        uv=(uv[unique[:, 1]] * [1, -1] + [0, 1]).astype(np.float32),
        labels=labels[rows].astype(np.uint8),
        canonical_mm=counterpart[0][rows].astype(np.float32),
        head_uv=counterpart[1][rows].astype(np.float32),
    )


def counterparts(
    model: HeadModel, points_mm: np.ndarray, kinds: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Find what eyes, teeth or tongue correspond to on the head model's mean.

    Args:
        model: the head model.
        points_mm: (N, 3) place on a head that is rigidly laid on the mean.
        kinds: region labels of the head model among which to look.

    Returns:
        (N, 3) mm and (N, 2), nan farther away than 12 mm.
    """
    among = np.flatnonzero(np.isin(model.labels, kinds))
    distance, nearest = cKDTree(model.vertices[among]).query(points_mm)
    far = (distance > _NEAR_MM)[:, None]
    rows = among[nearest]
    return np.where(far, np.nan, model.vertices[rows]), np.where(far, np.nan, model.uv[rows])


def nothing(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return counterparts of what has none: hair, clothes, things."""
    return np.full((count, 3), np.nan), np.full((count, 2), np.nan)


def part_mesh(part: Part, label: Label, counterpart: tuple[np.ndarray, np.ndarray]) -> Mesh:
    """Split a part of the wardrobe, all of one label."""
    labels = np.full(len(part.refs), label, np.uint8)
    return split(part.triangles, part.corners_uv, part.uv, labels, counterpart)


def small_texture(picture: np.ndarray, size: int) -> np.ndarray:
    """Bring a texture to RGBA of at most `size` a side."""
    scale = min(1.0, size / max(picture.shape[:2]))
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if picture.shape[2] == 4:
        return np.ascontiguousarray(picture)
    return np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
