"""Flattening: the face of a picture, resampled into the texture map of the head model.

The grid generator, the bilinear sampler and the self-occlusion mask of *3D Morphable Models as
Spatial Transformer Networks* (Bas et al. 2017, §2.2 and §2.3), with the perspective camera of
the live path in place of the paper's scaled orthographic one, a mask that also knows concave
places (the paper offers z-buffering as the exact way), and a weight that falls where the surface
is seen obliquely, so that several pictures can be blended by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import project, smoothstep, vertex_normals
from stream.swap.texture_map import texel_map, texture_uv

if TYPE_CHECKING:
    from stream.head_model import HeadModel
    from stream.swap.texture_map import TexelMap

__all__ = [
    "FlatTexture",
    "SampleGrid",
    "flatten",
    "flatten_by",
    "sample_grid",
    "texture_uv",
]

_GRAZING = (0.12, 0.55)  # cosine to the ray: nothing counts below, everything in full above
_TEXELS_PER_CELL = 2.7  # sides: of the texture, and of the depth buffer over the head
_HIDDEN_MM = (5.0, 10.0)  # behind the nearest surface: begins to be, and is hidden
_NEAREST_MM = 10.0


@dataclass(frozen=True, slots=True)
class FlatTexture:
    """A picture's face in the texture map.

    Attributes:
        colours: (S, S, 3) float32, 0…255; what the sampler read, also where it is hidden.
        seen: (S, S) float32, 0…1: 0 where hidden or off the picture, less where grazing.
    """

    colours: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True, slots=True)
class SampleGrid:
    """Where each texel lies in the picture: the output of the paper's grid generator.

    Attributes:
        places_px: (S, S, 2) float32 in picture pixels, pixel centres at +0.5; −1 off the surface.
        seen: (S, S) float32, as in FlatTexture but for the borders of the picture.
    """

    places_px: np.ndarray
    seen: np.ndarray

    def sample(self, picture: np.ndarray) -> np.ndarray:
        """Sample bilinearly (§2.3): V = Σ I_jk · max(0, 1 − |x − k|) · max(0, 1 − |y − j|).

        Args:
            picture: (H, W) or (H, W, C), uint8 or float32.

        Returns:
            (S, S) or (S, S, C) of the picture's type; beyond its border, the border.
        """
        x = self.places_px[..., 0] - np.float32(0.5)  # OpenCV counts centres at whole numbers
        y = self.places_px[..., 1] - np.float32(0.5)
        return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def inside(self, width: int, height: int) -> np.ndarray:
        """Return (S, S) bool, whether a texel lies in a picture of this size."""
        x, y = self.places_px[..., 0], self.places_px[..., 1]
        return (x >= 0) & (y >= 0) & (x <= width) & (y <= height)


def flatten(
    picture: np.ndarray,
    vertices_mm: np.ndarray,
    camera: np.ndarray,
    model: HeadModel,
    size: int = 512,
) -> FlatTexture:
    """Resample the face of a picture into the texture map of the head model.

    Where the picture is finer than the texels it is averaged first, so that nothing flickers.

    Args:
        picture: (H, W, 3) uint8 RGB.
        vertices_mm: (V, 3) the head's vertices in camera space, all with z > 0.
        camera: (3, 3) intrinsics of the picture, pixels.
        model: the head model, for its triangles and its texture map.
        size: side of the texture in texels.

    Returns:
        Colours and how well they were seen.

    Raises:
        ValueError: if the vertices are not those of the model, or lie behind the camera.
    """
    return flatten_by(sample_grid(vertices_mm, camera, model, size), picture)


def flatten_by(grid: SampleGrid, picture: np.ndarray) -> FlatTexture:
    """Resample a picture (H, W, 3) uint8 by a grid that is there already; see `flatten`."""
    height, width = picture.shape[:2]
    inside = grid.inside(width, height)
    small, scale = _averaged(picture, grid, inside)
    reduced = SampleGrid(grid.places_px * scale, grid.seen)
    return FlatTexture(reduced.sample(small).astype(np.float32), grid.seen * inside)


def sample_grid(
    vertices_mm: np.ndarray, camera: np.ndarray, model: HeadModel, size: int
) -> SampleGrid:
    """Return where each texel lies in the picture: grid generator and occlusion (§2.2, §2.3).

    The paper resamples the model once to a geometry image of size × size vertices and projects
    those; here texels are barycentric means of the model's own vertices, which is the same.

    Args:
        vertices_mm: (V, 3) camera space.
        camera: (3, 3) intrinsics, pixels.
        model: the head model.
        size: side of the texture in texels.
    """
    vertices = np.asarray(vertices_mm, np.float32)
    if vertices.shape != model.vertices.shape:
        raise ValueError(f"vertices are {vertices.shape}, not {model.vertices.shape}")
    if not vertices[:, 2].min() > _NEAREST_MM:
        raise ValueError("the head lies at or behind the camera")
    texels = texel_map(model, size)
    facing = _facing(vertices, model.triangles)
    on_texels = texels.on_texels(np.column_stack([vertices, facing]))
    places = project(on_texels[:, :3], camera.astype(np.float32))
    seen = smoothstep(on_texels[:, 3], *_GRAZING)
    cells = max(48, round(size / _TEXELS_PER_CELL))
    seen *= 1 - _hidden(places, on_texels[:, 2], on_texels[:, 3], camera, vertices, cells)
    return SampleGrid(_pictured(texels, places), texels.picture(seen))


def _facing(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return (V,) the cosine between a vertex's normal and the direction to the camera."""
    rays = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    return -(vertex_normals(vertices, triangles) * rays).sum(axis=1)


def _hidden(
    places_px: np.ndarray,
    depth_mm: np.ndarray,
    facing: np.ndarray,
    camera: np.ndarray,
    vertices: np.ndarray,
    cells: int,
) -> np.ndarray:
    """Return (N,) 0…1, whether another part of the head lies in front of each texel.

    The texels themselves fill a coarse depth buffer: they lie closer together on the picture
    than its cells do.
    """
    outline = project(vertices, camera.astype(np.float32))
    corner = outline.min(axis=0)
    extent = outline.max(axis=0) - corner
    cell_px = float(extent.max()) / cells + 1e-6
    columns, rows = ((places_px - corner) / cell_px).astype(np.int32).T
    columns, rows = np.clip(columns, 0, cells - 1), np.clip(rows, 0, cells - 1)
    buffer = np.full((cells, cells), np.inf, np.float32)
    outside = facing > 0
    np.minimum.at(buffer, (rows[outside], columns[outside]), depth_mm[outside])
    cell_mm = cell_px * float(np.median(depth_mm)) / camera[0, 0]
    # Within a cell an oblique surface spans some depth by itself.
    slope = np.sqrt(np.maximum(1 / np.maximum(facing, 0.15) ** 2 - 1, 0))
    behind = depth_mm - buffer[rows, columns] - cell_mm * slope
    return smoothstep(behind, *_HIDDEN_MM)


def _pictured(texels: TexelMap, places: np.ndarray) -> np.ndarray:
    return texels.picture(places, missing=-1.0)


def _averaged(
    picture: np.ndarray, grid: SampleGrid, inside: np.ndarray
) -> tuple[np.ndarray, float]:
    """Shrink a picture that is finer than the texels; return it and its scale."""
    step = _pixels_per_texel(grid, inside)
    factor = int(step)
    if factor < 2:
        return picture, 1.0
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    whole = picture[: height * factor, : width * factor]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), 1.0 / factor


def _pixels_per_texel(grid: SampleGrid, inside: np.ndarray) -> float:
    """Return how far apart neighbouring texels lie in the picture where they are seen."""
    apart = np.linalg.norm(np.diff(grid.places_px, axis=1), axis=2)
    seen = (grid.seen * inside)[:, 1:] > 0.5
    return float(np.median(apart[seen])) if seen.any() else 1.0
