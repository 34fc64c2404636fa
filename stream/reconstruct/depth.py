"""Depth and labels of a reconstructed head in the picture's own pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.nearest import Nearest
from stream.reconstruct.maps import contract_labels
from stream.region import NodeGrid, Region
from stream.sight import BACKGROUND, BODY, HAIR

if TYPE_CHECKING:
    from stream.head_model import HeadModel
    from stream.raster import DepthRaster
    from stream.reconstruct.look import HeadLook
    from stream.reconstruct.surface import Surface


def depth_and_labels(
    look: HeadLook, surface: Surface, model: HeadModel, raster: DepthRaster
) -> tuple[np.ndarray, np.ndarray]:
    """Return depth and labels as `voltface reconstruct … .npz` holds them.

    Args:
        look: of the head.
        surface: of the head.
        model: the head model.
        raster: draws the surface's triangles.

    Returns:
        (H, W) float32 mm from the camera, nan where there is no head, and (H, W) uint8 labels of
        the contract.
    """
    region = look.region
    drawn = surface_depth(surface.vertices_mm, look.head.camera, region, raster)
    covered = drawn > 0
    labels = contract_labels(look, model, covered)
    is_head = ~np.isin(labels, (BACKGROUND, BODY))
    size = region.width, region.height
    loose = cv2.resize(surface.maps.front_mm, size, interpolation=cv2.INTER_LINEAR)
    loose = np.where(labels == HAIR, loose, continued(drawn))
    depth = np.where(is_head, np.where(covered, drawn, loose), np.nan)
    height, width = look.pixels.shape[:2]
    whole = np.full((height, width), np.nan, np.float32)
    named = np.zeros((height, width), np.uint8)
    region.crop(whole)[:] = depth
    region.crop(named)[:] = labels
    return whole, named


def continued(depth_mm: np.ndarray) -> np.ndarray:
    """Return (h, w) depth that is everywhere: beside the surface that of its nearest pixel."""
    surface = depth_mm > 0
    return Nearest.among(surface).spread(depth_mm) if surface.any() else depth_mm


def surface_depth(
    vertices_mm: np.ndarray, camera: np.ndarray, region: Region, raster: DepthRaster
) -> np.ndarray:
    """Return (h, w) float32 depth of a surface at the pixel centres of a region, 0 beside it."""
    at_centres = camera.copy()
    at_centres[:2, 2] -= 0.5 + np.array([region.x0, region.y0])
    # Nodes lie on the corners of a region: of one smaller by a pixel, on the pixels' centres.
    grid = NodeGrid(Region(0, 0, region.width - 1, region.height - 1), region.width, region.height)
    return raster.front(vertices_mm, at_centres, grid)


def depth_picture(depth_mm: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 of an (H, W) depth: near is bright, what is no head is black."""
    known = np.isfinite(depth_mm)
    if not known.any():
        return np.zeros((*depth_mm.shape, 3), np.uint8)
    near, far = np.percentile(depth_mm[known], [0.2, 99.8])
    grey = 40 + 215 * (far - np.nan_to_num(depth_mm, nan=far)) / max(far - near, 1e-3)
    grey = np.where(known, np.clip(grey, 40, 255), 0).astype(np.uint8)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
