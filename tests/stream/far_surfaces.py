"""Far sides of made-up heads: grids of nodes, seen from behind."""

import numpy as np

from stream.far_side import FarSurface
from stream.geometry import vertex_normals
from stream.region import NodeGrid
from stream.triangles import grid_triangles


def far_surface(
    grid: NodeGrid, depth_mm: np.ndarray, share: np.ndarray, opacity: np.ndarray, camera: np.ndarray
) -> FarSurface:
    """Return a far side with a node behind each of a grid, in the colours in front of it."""
    triangles = grid_triangles(grid.rows, grid.columns)
    rays = (grid.positions_px - camera[:2, 2]) / camera[0, 0]
    points = np.dstack([rays * depth_mm[..., None], depth_mm]).reshape(-1, 3)
    normals = vertex_normals(points, triangles[:, ::-1])
    parts = grid.positions_px, depth_mm, share, grid.positions_px, opacity, normals
    places, mm, follow, source, cover, outwards = (
        np.asarray(part, np.float32).reshape(1, depth_mm.size, -1) for part in parts
    )
    flat = (value[..., 0] for value in (mm, follow, cover))
    mm, follow, cover = flat
    return FarSurface(places, mm, follow, source, cover, outwards, triangles)
