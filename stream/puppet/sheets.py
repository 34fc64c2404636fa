"""The sheets of a portrait's head, as they are drawn: skin seen obliquely apart from the rest.

A turn towards the camera stretches what the photo shows at a grazing angle. Hair may be drawn
out, it has strands; skin would show streaks, and so gets the colours of a coarser picture, as
coarse as it is stretched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import smoothstep
from stream.mesh import cell_extremes

if TYPE_CHECKING:
    from stream.mesh import HeadMesh, Sheet

_FINE = 4  # of the grid, in which it is found what the face covers
_STEEP = 0.9  # depth over width, from which on the largest turn stretches to be seen
_LEAST_SKIN = 0.05  # of a sheet's triangles: less is none
_SKIN = (0.35, 0.75)  # likelihood that begins to be skin, and is


@dataclass(frozen=True, slots=True)
class DrawnSheet:
    """A sheet and what draws it.

    Attributes:
        program: its shader.
        sheet: nodes and triangles; of ``slope`` and ``edge`` the gain tells how far it is skin,
            and the place along the surface, in pixels, right and down.
    """

    program: str
    sheet: Sheet


def drawn_sheets(mesh: HeadMesh, skin: np.ndarray, focal_px: float) -> list[DrawnSheet]:
    """Return the sheets of a head in the order of drawing, steep skin as a sheet of its own.

    Args:
        mesh: of the head.
        skin: (rows, columns) float32 how likely its nodes show bare skin, 0…1.
        focal_px: focal length.
    """
    share = smoothstep(cv2.dilate(skin, np.ones((3, 3), np.uint8)), *_SKIN)
    told = np.dstack([share, _along_the_surface(mesh, focal_px)]).astype(np.float32)
    drawn = []
    for sheet in mesh.sheets:
        if sheet.kind == "solid":
            steep = _steep_skin(sheet, mesh, share, focal_px)
            drawn.append(DrawnSheet("solid", replace(sheet, triangles=sheet.triangles[~steep])))
            slope = replace(sheet, triangles=sheet.triangles[steep], gain=told)
            drawn.append(DrawnSheet("slope", slope))
        elif sheet.kind == "near":
            drawn.append(DrawnSheet("edge", replace(sheet, gain=told)))
        else:
            drawn.append(DrawnSheet(sheet.kind, sheet))
    return [one for one in drawn if len(one.sheet.triangles)]


def _along_the_surface(mesh: HeadMesh, focal_px: float) -> np.ndarray:
    """Return (rows, columns, 2) how far nodes lie along the surface, in pixels of the photo."""
    front, steps = mesh.depth.front_mm, mesh.depth.grid.step_px
    px_mm = front / focal_px
    lengths = []
    for axis, step in ((1, steps[0]), (0, steps[1])):
        rise = np.diff(front, axis=axis, prepend=np.take(front, [0], axis)) / px_mm
        lengths.append(np.cumsum(np.hypot(step, rise), axis=axis))
    return np.dstack(lengths)


def without_covered(
    mesh: HeadMesh, places_px: np.ndarray, triangles: np.ndarray, opaque: np.ndarray
) -> HeadMesh:
    """Leave out of the inside of a head what an opaque surface always hides.

    Args:
        mesh: of the head.
        places_px: (N, 2) vertices of the surface, where the head rests.
        triangles: (T, 3) of them.
        opaque: (T,) bool, triangles that hide what is behind them.
    """
    grid = mesh.depth.grid
    nodes = grid.nodes_at(places_px)
    covered = np.zeros((grid.rows * _FINE, grid.columns * _FINE), np.uint8)
    places = np.rint((nodes[triangles] + 0.5) * _FINE - 0.5).astype(np.int32)
    for hides in (True, False):  # what is not opaque lets through what is behind, whatever it is
        for corners in places[opaque == hides]:
            cv2.fillConvexPoly(covered, corners, int(hides))
    inner = cv2.erode(covered, np.ones((3 * _FINE, 3 * _FINE), np.uint8))
    inner = inner.reshape(grid.rows, _FINE, grid.columns, _FINE).min(axis=(1, 3)).ravel() > 0
    sheets = (
        replace(sheet, triangles=sheet.triangles[~inner[sheet.triangles].all(axis=1)])
        if sheet.kind == "solid"
        else sheet
        for sheet in mesh.sheets
    )
    return replace(mesh, sheets=tuple(sheets))


def _steep_skin(sheet: Sheet, mesh: HeadMesh, skin: np.ndarray, focal_px: float) -> np.ndarray:
    """Return (T,) bool, triangles of skin that a turn may stretch."""
    nearest, farthest = cell_extremes(mesh.depth.front_mm)
    width_mm = max(mesh.depth.grid.step_px) * nearest / focal_px
    steep = ((farthest - nearest) / width_mm > _STEEP).reshape(mesh.resting.shape)
    nodes = np.zeros(mesh.depth.front_mm.shape, bool)
    for rows in (slice(0, -1), slice(1, None)):
        for columns in (slice(0, -1), slice(1, None)):
            nodes[rows, columns] |= steep
    wanted = (nodes & (skin > _LEAST_SKIN)).ravel()
    return np.asarray(wanted[sheet.triangles].any(axis=1))
