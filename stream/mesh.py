"""The triangulated node grid that carries the picture of head, hair and neck."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from stream.far_side import FarSurface
from stream.frame import Head
from stream.geometry import invert_rigid, smoothstep
from stream.hair_depth import HeadDepth
from stream.triangles import grid_triangles


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """What is left out of the mesh.

    Attributes:
        cut_slope: a cell is a gap where depth changes by more than this many times its width.
        least_alpha: cells in which the matte stays below this carry nothing.
        solid_alpha: cells in which the matte stays above this hide what lies behind.
    """

    cut_slope: float = 12.0
    least_alpha: float = 0.02
    solid_alpha: float = 0.99


_FADING, _FADING_YIELD_MM = 0.3, 120.0  # of its opacity, lost by the far side; how it yields then
_FAR_YIELD_MM = 80.0  # of the far side to what the frame shows: the model is not as exact

SheetKind = Literal["solid", "worn", "under", "guard", "far", "gap", "near", "cut", "mirror"]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A triangulated surface over a grid of nodes, with a place and a colour for each.

    Attributes:
        kind: what it shows, in the order of drawing. ``solid`` is the inside of the near side;
            ``under`` is skin that nothing shows (`stream.underlay`), in one row of nodes; ``worn``
            what of the near side a motion draws out so far that such skin is better, and
            ``guard``, which shows nothing, hides what lies behind that (both `stream.worn`);
            ``far`` is the far side, ``gap`` the depth steps of the near side, ``near`` its edge,
            ``cut`` what of it ends at the edge of cloth (`stream.parting`), ``mirror`` the
            mirrored near side.
        places_px: (rows, columns, 2) float32 frame positions of the nodes before the motion.
        depth_mm: (rows, columns) float32 their camera-space depth.
        share: (rows, columns) float32 share of the motion that they follow.
        colours_px: (rows, columns, 2) float32 frame positions that give them their colours; of
            ``under`` places on the skin, mm, for its grain.
        opacity: (rows, columns) float32; of ``cut`` it is 0 along the line where it ends.
        yield_mm: (rows, columns) float32 how far behind its place a node counts where sheets
            compete for a pixel.
        triangles: (T, 3) int32 node numbers, row · columns + column.
        gain: (rows, columns, 3) float32 that its colours are multiplied with, or None for
            1; of ``under`` the colour itself, of ``worn`` the opacity of what lies over it,
            of ``cut`` its own, and the way, (x, y) px, to its colours,
            of ``far`` normals of the surface, of ``near`` the way, (x, y) px, to better colours
            and the share of them, of hair < 0, None for none.
        grain: of ``under``, standard deviation of its brightness, 0…1.
    """

    kind: SheetKind
    places_px: np.ndarray
    depth_mm: np.ndarray
    share: np.ndarray
    colours_px: np.ndarray
    opacity: np.ndarray
    yield_mm: np.ndarray
    triangles: np.ndarray
    gain: np.ndarray | None = None
    grain: float = 0.0


@dataclass(frozen=True, slots=True)
class HeadMesh:
    """The sheets that carry a head, in the order in which they are drawn.

    Attributes:
        depth: geometry at the nodes.
        sheets: gaps are those triangles of the near side that span a depth step, the farthest
            node last: a turn may open them, and what shows there is the far surface.
        resting: (rows − 1, columns − 1) bool, the cells in which nothing moves; they are not in
            the mesh, the frame itself shows there.
    """

    depth: HeadDepth
    sheets: tuple[Sheet, ...]
    resting: np.ndarray

    def sheet(self, kind: SheetKind) -> Sheet:
        """Return the sheet of a kind; all but `worn`, `under` and `mirror` are always there."""
        return next(sheet for sheet in self.sheets if sheet.kind == kind)


def nodes_in_head(sheet: Sheet, head: Head) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y and z of a sheet's nodes in head space, each (rows, columns) float32, mm."""
    head_from_camera = invert_rigid(head.camera_from_head).astype(np.float32)
    centre, focal = head.camera[:2, 2].astype(np.float32), np.float32(head.camera[0, 0])
    rays = (sheet.places_px - centre) / focal
    x, y, z = ((rays @ row[:2] + row[2]) * sheet.depth_mm + row[3] for row in head_from_camera[:3])
    return x, y, z


@lru_cache(maxsize=8)
def _cells(rows: int, columns: int) -> np.ndarray:
    """Return (C, 2, 3), the upper-left and the lower-right triangle of every cell of a grid.

    Drawn side by side they share their corners, of which a renderer keeps only the last ones.
    """
    return np.stack(np.split(grid_triangles(rows, columns), 2), axis=1)


def cell_extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and greatest of the four corner values of each cell, both flat."""
    corners = [values[:-1, :-1], values[:-1, 1:], values[1:, :-1], values[1:, 1:]]
    low = np.minimum(np.minimum(corners[0], corners[1]), np.minimum(corners[2], corners[3]))
    high = np.maximum(np.maximum(corners[0], corners[1]), np.maximum(corners[2], corners[3]))
    return low.ravel(), high.ravel()


def build_mesh(
    depth: HeadDepth, matte: np.ndarray, focal_px: float, settings: MeshSettings | None = None
) -> HeadMesh:
    """Triangulate the node grid, cut at depth steps and at the edge of the matte.

    Args:
        depth: geometry at the nodes.
        matte: (rows, columns) float32 person matte at the nodes.
        focal_px: focal length, to turn pixels into millimetres.
        settings: thresholds.
    """
    settings = settings or MeshSettings()
    rows, columns = depth.front_mm.shape
    cells = _cells(rows, columns)
    # The matte is finer than the nodes: a neighbouring node may hold the tip of a hair.
    near_matte = cv2.dilate(matte, np.ones((3, 3), np.uint8))
    filled = cell_extremes(near_matte)[1] > settings.least_alpha
    nearest, farthest = cell_extremes(depth.front_mm)
    width_mm = max(depth.grid.step_px) * nearest / focal_px
    smooth = farthest - nearest < settings.cut_slope * width_mm
    moving = cell_extremes(depth.turn)[1] > 0
    drawn = filled & moving
    front, gap = drawn & smooth, drawn & ~smooth
    inside = cell_extremes(cv2.erode(matte, np.ones((3, 3), np.uint8)))[0] > settings.solid_alpha
    solid, edge = front & inside, front & ~inside
    places = depth.grid.positions_px
    level, full = np.zeros_like(depth.front_mm), np.ones_like(depth.front_mm)
    near = (places, depth.front_mm, depth.turn, places, full, level)
    sheets = (
        Sheet("solid", *near, cells[solid].reshape(-1, 3)),
        _far_sheet(depth.far),
        Sheet("gap", *near, _farthest_last(cells[gap].reshape(-1, 3), depth.front_mm.ravel())),
        Sheet("near", *near, cells[edge].reshape(-1, 3)),
    )
    return HeadMesh(depth, sheets, ~moving.reshape(rows - 1, columns - 1))


def _far_sheet(far: FarSurface) -> Sheet:
    # Where it fades, it would hide what is seen behind it and show the background instead.
    faded = smoothstep(1 - far.opacity, 0.0, _FADING)
    behind = np.asarray(_FAR_YIELD_MM + _FADING_YIELD_MM * faded, np.float32)
    drawn = ((far.opacity > 0) & (far.share > 0))[0][far.triangles].any(axis=1)
    return Sheet("far", far.places_px, far.depth_mm, far.share, far.source_px, far.opacity, behind,
                 far.triangles[drawn], far.normals)  # fmt: skip


def _farthest_last(triangles: np.ndarray, depth_mm: np.ndarray) -> np.ndarray:
    """Rotate the corners of each triangle so that the farthest is the provoking one."""
    farthest = depth_mm[triangles].argmax(axis=1)
    order = (farthest[:, None] + np.array([1, 2, 3])) % 3
    return np.take_along_axis(triangles, order, axis=1)
