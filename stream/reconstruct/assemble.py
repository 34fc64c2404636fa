"""From a textured surface to the mesh of a file: vertices split at seams, the neck closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream.geometry import vertex_normals
from stream.reconstruct.template import boundary_loop

if TYPE_CHECKING:
    from stream.reconstruct.texture import Textured

_SEAM_MM = 0.01  # so far apart lie the two sides of a seam in a solid
_FOOT_MM = 4.0  # a solid stands on a plane so far below the neck's lowest place


@dataclass(frozen=True, slots=True)
class FileMesh:
    """A mesh as files hold it: each vertex has one place in the texture.

    Attributes:
        vertices_mm: (N, 3) float64, in the space of the surface that it was made from.
        normals: (N, 3) unit normals.
        uv: (N, 2) float32, 0…1, v down.
        triangles: (M, 3) int64, counter-clockwise seen from outside.
        picture: (h, w, 3) uint8 RGB texture.
    """

    vertices_mm: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray
    picture: np.ndarray


def assembled(
    points_mm: np.ndarray, triangles: np.ndarray, textured: Textured, *, solid: bool
) -> FileMesh:
    """Return the mesh of a surface and its texture.

    Args:
        points_mm: (F, 3) the surface in head space.
        triangles: (T, 3).
        textured: its texture; no triangle at the open end of the neck is in the picture.
        solid: close the neck with a foot, and the seams of the texture, to one closed surface.
    """
    normals = vertex_normals(points_mm, triangles)
    count = len(points_mm)
    part = (~textured.in_picture).astype(np.int64)[:, None]
    kept, number = np.unique(triangles + part * count, return_inverse=True)
    split = number.reshape(-1, 3)
    uv = np.zeros((len(kept), 2), np.float32)
    uv[split.ravel()] = textured.corners_uv.reshape(-1, 2)
    vertices, normals = points_mm[kept % count], normals[kept % count]
    if not solid:
        return FileMesh(vertices, normals, uv, split, textured.picture)
    vertices = vertices - np.where(kept >= count, _SEAM_MM, 0)[:, None] * normals
    numbers = dict(zip(kept.tolist(), range(len(kept)), strict=True))
    seams = _seam_triangles(triangles, textured.in_picture, numbers, count)
    at_collar = np.array([numbers[int(v) + count] for v in boundary_loop(triangles)])
    mesh = FileMesh(vertices, normals, uv, np.concatenate([split, seams]), textured.picture)
    return _with_foot(mesh, at_collar, textured.swatch_uv)


def _seam_triangles(
    triangles: np.ndarray, in_picture: np.ndarray, numbers: dict[int, int], count: int
) -> np.ndarray:
    """Return (2 B, 3) slivers that join the two copies of the B edges of a seam."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    kind = np.tile(in_picture, 3)
    code = edges[:, 0] * count + edges[:, 1]
    inner = code[~kind]
    border = edges[kind & np.isin(edges[:, 1] * count + edges[:, 0], inner)]
    slivers = []
    for a, b in border.tolist():
        near_a, near_b = numbers[a], numbers[b]
        far_a, far_b = numbers[a + count], numbers[b + count]
        slivers += [(near_b, near_a, far_a), (near_b, far_a, far_b)]
    return np.array(slivers, np.int64).reshape(-1, 3)


def _with_foot(mesh: FileMesh, collar: np.ndarray, swatch_uv: np.ndarray) -> FileMesh:
    """Continue the neck straight down to a plane, and close it there."""
    ring = mesh.vertices_mm[collar]
    level = ring[:, 1].max() + _FOOT_MM
    below = ring.copy()
    below[:, 1] = level
    sole = below.copy()
    sole[:, 1] += _SEAM_MM
    centre = sole.mean(axis=0, keepdims=True)
    size, start = len(collar), len(mesh.vertices_mm)
    first, second, middle = start, start + size, start + 2 * size
    following = np.roll(np.arange(size), -1)
    here = np.arange(size)
    wall = _band(collar, collar[following], first + here, first + following)
    edge = _band(first + here, first + following, second + here, second + following)
    cap = np.stack([second + following, second + here, np.full(size, middle)], axis=1)
    down = np.broadcast_to([0.0, 1.0, 0.0], (size + 1, 3))
    return FileMesh(
        vertices_mm=np.concatenate([mesh.vertices_mm, below, sole, centre]),
        normals=np.concatenate([mesh.normals, mesh.normals[collar], down]),
        uv=np.concatenate(
            [mesh.uv, mesh.uv[collar], np.broadcast_to(swatch_uv, (size + 1, 2))]
        ).astype(np.float32),
        triangles=np.concatenate([mesh.triangles, wall, edge, cap]),
        picture=mesh.picture,
    )


def _band(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return the (2 C, 3) triangles below the directed edges a–b, down to c–d."""
    return np.concatenate([np.stack([b, a, c], axis=1), np.stack([b, c, d], axis=1)])
