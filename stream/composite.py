"""Where a head is worked on, and how the re-posed region goes back into the frame."""

import cv2
import numpy as np

from stream.frame import Head
from stream.geometry import project
from stream.mesh import HeadMesh, Sheet
from stream.pose import HeadMotion
from stream.region import Region
from stream.symmetry import moved_nodes

# How far a head with hair and neck reaches from the middle of the cranium.
SIDE_MM, ABOVE_MM, BELOW_MM = 180.0, 180.0, 265.0
_EVERY = 3  # so many nodes of a row tell how far a sheet reaches, but for as many cells
_SEEN = ("solid", "near")  # sheets that the frame shows where they are before the motion
_SNAP_PX = 16  # regions grow in such steps, so that buffers are seldom made anew


def head_region(head: Head, size: tuple[int, int]) -> Region:
    """Return the part of a frame that holds a head with its hair, neck and shoulders.

    Args:
        head: the fitted head.
        size: (width, height) of the frame.
    """
    scale = head.camera[0, 0] / head.camera_from_head[2, 3]
    x, y = project(head.camera_from_head[:3, 3], head.camera)
    return _snapped(
        x - SIDE_MM * scale, y - ABOVE_MM * scale, x + SIDE_MM * scale, y + BELOW_MM * scale
    ).clipped(*size)


def moving_region(mesh: HeadMesh, motion: HeadMotion, camera: np.ndarray) -> Region:
    """Return the part of the frame that a motion changes: where it takes from and puts to.

    Args:
        mesh: the head's mesh.
        motion: its motion.
        camera: (3, 3) intrinsics.

    Returns:
        A region, not clipped; empty where nothing moves.
    """
    low, high = [], []
    for sheet, used in _once(mesh.sheets):
        nodes = np.flatnonzero(used & (sheet.share.ravel() > 0))
        if len(nodes) == 0:
            continue
        nodes = nodes[::_EVERY]
        before = sheet.places_px.reshape(-1, 2)[nodes]
        after = moved_nodes(
            before, sheet.depth_mm.ravel()[nodes], sheet.share.ravel()[nodes], motion, camera
        )
        seen = [before] * (sheet.kind in _SEEN)
        low += [places.min(axis=0) for places in (after, *seen)]
        high += [places.max(axis=0) for places in (after, *seen)]
    if not low:
        return Region(0, 0, 0, 0)
    slack = (_EVERY + 1) * max(mesh.depth.grid.step_px)
    x0, y0 = np.min(low, axis=0) - slack
    x1, y1 = np.max(high, axis=0) + slack
    return _snapped(x0, y0, x1, y1)


def _once(sheets: tuple[Sheet, ...]) -> list[tuple[Sheet, np.ndarray]]:
    """Return one sheet for each set of nodes, and (N,) bool which nodes are drawn by any."""
    found: dict[tuple[int, int], tuple[Sheet, np.ndarray]] = {}
    for sheet in sorted(sheets, key=lambda sheet: sheet.kind not in _SEEN):
        visible = sheet.opacity.ravel() > 0
        key = id(sheet.places_px), id(sheet.depth_mm)
        _, used = found.setdefault(key, (sheet, np.zeros(visible.size, bool)))
        drawn = np.zeros(visible.size, bool)
        drawn[sheet.triangles.ravel()] = True
        used |= drawn & visible
    return list(found.values())


def _snapped(x0: float, y0: float, x1: float, y1: float) -> Region:
    low = np.floor(np.array([x0, y0]) / _SNAP_PX).astype(int) * _SNAP_PX
    high = np.ceil(np.array([x1, y1]) / _SNAP_PX).astype(int) * _SNAP_PX
    return Region(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def matte_at_frame(matte: np.ndarray, region: Region) -> np.ndarray:
    """Return a matte at the frame's own resolution: (h, w) uint8, 255 inside.

    Args:
        matte: float32 of any resolution that spans the region.
        region: of the frame.
    """
    grey = cv2.convertScaleAbs(matte, alpha=255.0)
    return cv2.resize(grey, (region.width, region.height), interpolation=cv2.INTER_LINEAR)


def paste(pixels: np.ndarray, drawn: np.ndarray, region: Region) -> None:
    """Put a drawn region into a frame, in place.

    By construction it equals the frame where nothing moves, so no seam needs hiding.
    """
    region.crop(pixels)[:] = drawn
