"""The texture of a reconstructed head: the picture, and beside it a chart of the whole skin.

Where the picture shows the surface well, triangles take their colours from the picture itself.
The others take them from the chart, a texture of the whole head that is completed where the
picture does not show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import project, vertex_normals
from stream.raster import DepthRaster
from stream.reconstruct.chart import draw_chart
from stream.reconstruct.complete import Chart, completed
from stream.reconstruct.template import boundary_loop
from stream.reconstruct.visible import Visibility
from stream.region import NodeGrid

if TYPE_CHECKING:
    import moderngl

    from stream.reconstruct.look import HeadLook
    from stream.reconstruct.surface import Surface

_SIDES = (1024, 1536)  # texels along the chart's side, for small and for large heads
_LARGE_PX = 700  # a region of so many rows holds a large head
_DEPTH_SIDE = 768  # nodes along a region's side, at which hiding is tested
_MOST_PICTURE = 4096  # texels along the picture's longer side
_WELL = 0.5  # a triangle whose corners are seen so well takes the picture's own colours
_GUTTER = 9  # texels by which the chart goes beyond its triangles
_FAN_ROUNDS = 64


@dataclass(frozen=True, slots=True)
class Textured:
    """A surface with its texture.

    Attributes:
        corners_uv: (T, 3, 2) float32 texture place of each triangle's corners, 0…1, v down.
        in_picture: (T,) bool, triangles that take their colours from the picture's part.
        picture: (h, w, 3) uint8 RGB; the picture lies in its upper left corner.
        swatch_uv: (2,) a place of one plain colour, for the cut of the neck.
    """

    corners_uv: np.ndarray
    in_picture: np.ndarray
    picture: np.ndarray
    swatch_uv: np.ndarray


class Texturer:
    """Gives surfaces their textures.

    Args:
        context: OpenGL.
        centre_uv: the middle of the face in the chart, whose mirror of (u, v) is (1 − u, v).
    """

    def __init__(
        self, context: moderngl.Context, centre_uv: tuple[float, float] = (0.5, 0.5)
    ) -> None:
        self._context, self._centre_uv = context, centre_uv

    def textured(self, look: HeadLook, surface: Surface) -> Textured:
        """Return the texture of a surface, and the place of every corner in it."""
        points = surface.vertices_mm
        grid = NodeGrid(look.region, _DEPTH_SIDE, _DEPTH_SIDE)
        raster = DepthRaster(self._context, surface.triangles)
        front = raster.front(points, look.head.camera, grid)
        raster.release()
        sight = Visibility(look, surface.maps, front)
        normals = vertex_normals(points, surface.triangles)
        facing = -np.einsum("nd,nd->n", normals, points) / np.linalg.norm(points, axis=1)
        seen = sight.weight(points, facing, np.maximum(surface.hairy, surface.clothed))
        in_picture = (seen[surface.triangles] > _WELL).all(axis=1)
        at_collar = np.isin(surface.triangles, boundary_loop(surface.triangles)).any(axis=1)
        in_picture = one_fan_each(surface.triangles, in_picture & ~at_collar)
        side = _SIDES[int(look.region.height > _LARGE_PX)]
        chart = self._chart(sight, surface, facing, side)
        return _atlas(look, surface, in_picture, chart)

    def _chart(
        self, sight: Visibility, surface: Surface, facing: np.ndarray, side: int
    ) -> np.ndarray:
        """Return (side, side, 3) uint8, the whole skin in the chart."""
        points, mesh = surface.vertices_mm, (surface.uv, surface.triangles)
        drawn = draw_chart(self._context, *mesh, np.column_stack([points, facing]), side)
        kind = np.column_stack([surface.hairy, surface.clothed, np.zeros((len(points), 2))])
        kinds = draw_chart(self._context, *mesh, kind, side // 4)
        hairy, clothed = (
            cv2.resize(_spread(np.ascontiguousarray(kinds[..., k]), 3), (side, side))
            for k in range(2)
        )
        there = np.isfinite(drawn[..., 0])
        near = np.flatnonzero((there & (drawn[..., 3] > 0)).ravel())
        flat = drawn.reshape(-1, 4)[near]
        seen = sight.weight(flat[:, :3], flat[:, 3], np.maximum(hairy, clothed).ravel()[near])
        weight, colours = np.zeros(side * side, np.float32), np.zeros((side * side, 3), np.float32)
        weight[near], colours[near] = np.clip(seen / _WELL, 0, 1), sight.colours(flat[:, :3])
        shown = np.zeros((side * side, 3), np.float32)
        shown[near] = sight.kinds(flat[:, :3])
        known = Chart(
            colours.reshape(side, side, 3),
            weight.reshape(side, side),
            shown.reshape(side, side, 3),
            hairy,
            clothed,
            drawn[..., :3],
        )
        whole = completed(known, self._centre_uv)
        return _with_gutter(whole, there)


def _spread(values: np.ndarray, rounds: int) -> np.ndarray:
    """Replace nan beside known values by their mean, a texel a round; the rest by 0."""
    for _ in range(rounds):
        known = np.isfinite(values).astype(np.float32)
        total = cv2.blur(np.nan_to_num(values), (3, 3))
        count = cv2.blur(known, (3, 3))
        values = np.where(known > 0, values, np.where(count > 0, total / (count + 1e-9), np.nan))
    return np.nan_to_num(values).astype(np.float32)


def _with_gutter(chart: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Continue a chart a little beyond its triangles, so that nothing bleeds in at its rim."""
    inside = there.astype(np.uint8)
    rim = cv2.dilate(inside, np.ones((_GUTTER, _GUTTER), np.uint8)) - inside
    total = cv2.blur((chart * inside[..., None]).astype(np.float32), (2 * _GUTTER,) * 2)
    count = cv2.blur(inside.astype(np.float32), (2 * _GUTTER,) * 2)
    spread = total / np.maximum(count, 1e-6)[..., None]
    return np.where(rim[..., None] > 0, spread, chart).astype(np.uint8)


def one_fan_each(triangles: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Give up triangles until those that are left make one fan around every vertex.

    Where the border between two kinds of triangles meets itself in a vertex, a seam along it
    could not be closed.

    Args:
        triangles: (T, 3) of a surface that is wound consistently.
        chosen: (T,) bool.

    Returns:
        (T,) bool, some of the chosen ones.
    """
    chosen = chosen.copy()
    count = int(triangles.max()) + 1
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    code, back = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    order = np.argsort(code)
    place = np.searchsorted(code, back, sorter=order).clip(0, len(code) - 1)
    partner = order[place]  # the half-edge the other way round
    paired = code[partner] == back
    for _ in range(_FAN_ROUNDS):
        kind = np.tile(chosen, 3)
        border = kind & ~(paired & kind[partner])
        double = np.bincount(edges[border, 0], minlength=count) > 1
        if not double.any():
            break
        chosen &= ~double[triangles].any(axis=1)
    return chosen


def _atlas(look: HeadLook, surface: Surface, in_picture: np.ndarray, chart: np.ndarray) -> Textured:
    """Put picture and chart beside each other."""
    pixels, points, triangles = look.pixels, surface.vertices_mm, surface.triangles
    height, width = pixels.shape[:2]
    shrink = min(1.0, _MOST_PICTURE / max(height, width))
    if shrink < 1:
        size = round(width * shrink), round(height * shrink)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    h, w = pixels.shape[:2]
    side = len(chart)
    beside = (w + side) * max(h, side) <= max(w, side) * (h + side)
    x, y = (w, 0) if beside else (0, h)
    total = (max(h, side), w + side) if beside else (h + side, max(w, side))
    picture = np.zeros((*total, 3), np.uint8)
    picture[:h, :w] = pixels
    picture[y : y + side, x : x + side] = chart
    scale = np.array([total[1], total[0]], np.float64)
    in_photo = project(points, look.head.camera) * [w / width, h / height] / scale
    in_chart = (surface.uv * side + [x, y]) / scale
    corners = np.where(in_picture[:, None, None], in_photo[triangles], in_chart[triangles])
    swatch = (np.array([x, y]) + 0.004 * side) / scale
    return Textured(corners.astype(np.float32), in_picture, picture, swatch)
