"""The network `face_depth` at run time: the depth of a face, finer than the fitted head's.

Learning Monocular Face Reconstruction using Multi-View Supervision (Shu et al. 2020): DepthNet
§III-D, with the paper's normalised depth (eq. 7). The network sees a square around the face and
the depth of the fitted head model there, the paper's D_S, and answers with the depth of the face.

Normalised depth is D' = a · r + c, where r is how far a point lies behind the tip of the nose,
in crop sides at the nose's distance: r = (D − ξ) · f / (ξ · side), with ξ the depth of the tip, f
the focal length and side that of the crop in pixels. So it says nothing of distance and size,
which one picture does not tell. Depth D counts along the ray through the crop's middle, as if the
camera were turned there: where the crop lies in the picture, and whether the picture was cropped
before, cannot be seen in it either. D' is 0 where there is no face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.face_3dmm import CROP_PER_FACE as _LOOSE
from stream.face_3dmm import SIZE, Crop, crop_ray, cut, face_crop, network_input
from stream.geometry import transform_points
from stream.region import NodeGrid, Region

if TYPE_CHECKING:
    from stream.face_3dmm import Network
    from stream.frame import Face, Head
    from stream.head_model import HeadModel
    from stream.raster import DepthRaster

__all__ = [
    "CROP_PER_FACE",
    "GAIN",
    "NOSE_TIP",
    "OFFSET",
    "SIZE",
    "FaceDepth",
    "along_ray",
    "denormalised",
    "depth_crop",
    "model_depth",
    "normalised",
    "unit_ray",
]  # fmt: skip

CROP_PER_FACE = 1.5  # the crop's side over the longer extent of the tracked face
GAIN, OFFSET = -1.5, 0.75  # a and c of eq. 7: the tip at 0.75, half a side behind it at 0
NOSE_TIP = 1  # of the tracked points
_EDGE = 6  # pixels of the crop over which the network's answer fades into the fit


def depth_crop(points_px: np.ndarray) -> Crop:
    """Return the square that the network looks at, from (≥ 468, ≥ 2) tracked points."""
    loose = face_crop(points_px)
    return Crop(loose.x, loose.y, loose.side * CROP_PER_FACE / _LOOSE)


def unit_ray(crop: Crop, camera: np.ndarray) -> np.ndarray:
    """Return the (3,) unit ray in camera space through the middle of a crop."""
    ray = crop_ray(crop, camera)
    return ray / np.linalg.norm(ray)


def along_ray(crop: Crop, camera: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Return what turns depth along the optical axis into depth along the crop's ray.

    Args:
        crop: where.
        camera: (3, 3) intrinsics of the frame.
        size: side of the result, pixels.

    Returns:
        (size, size) float64 factors at the middles of the crop's pixels, about 1.
    """
    steps = ((np.arange(size) + 0.5) / size - 0.5) * crop.side
    x = (crop.x + steps - camera[0, 2]) / camera[0, 0]
    y = (crop.y + steps - camera[1, 2]) / camera[1, 1]
    ray = unit_ray(crop, camera)
    return ray[0] * x[None] + ray[1] * y[:, None] + ray[2]


def normalised(depth_mm: np.ndarray, tip_mm: float, focal_px: float, side_px: float) -> np.ndarray:
    """Turn depth in mm along the crop's ray into normalised depth (eq. 7).

    Args:
        depth_mm: any shape.
        tip_mm: depth of the tip of the nose along the same ray, the paper's ξ.
        focal_px: focal length, in pixels of the frame.
        side_px: of the crop, likewise.
    """
    return GAIN * (depth_mm - tip_mm) * (focal_px / (tip_mm * side_px)) + OFFSET


def denormalised(value: np.ndarray, tip_mm: float, focal_px: float, side_px: float) -> np.ndarray:
    """Turn normalised depth into mm along the crop's ray; undoes `normalised`."""
    return tip_mm + (value - OFFSET) / GAIN * (tip_mm * side_px / focal_px)


def model_depth(
    raster: DepthRaster, vertices_mm: np.ndarray, camera: np.ndarray, crop: Crop, size: int = SIZE
) -> np.ndarray:
    """Draw the depth of the fitted head at the pixels of a crop, for D_S of eq. 10.

    Args:
        raster: draws the model's triangles.
        vertices_mm: (V, 3) camera space.
        camera: (3, 3) intrinsics of the frame.
        crop: where.
        size: side of the result, pixels.

    Returns:
        (size, size) float32 mm along the optical axis, 0 where the head is not.
    """
    seen = np.vstack([crop.matrix(size), [0.0, 0.0, 1.0]]) @ camera
    seen[:2, 2] -= 0.5  # nodes of this grid are the pixels' centres
    grid = NodeGrid(Region(0, 0, size - 1, size - 1), size, size)
    return raster.draw(vertices_mm, seen, grid)[0].copy()


class FaceDepth:
    """Asks the network for the depth of faces.

    Args:
        engine: of `face_depth`: called with `picture` and `face_depth`, returns `depth`.
        raster: draws the triangles of the head model.
        model: the head model.
    """

    def __init__(self, engine: Network, raster: DepthRaster, model: HeadModel) -> None:
        self._engine, self._raster, self._model = engine, raster, model

    def refined(self, pixels: np.ndarray, face: Face, head: Head, grid: NodeGrid) -> np.ndarray:
        """Return the depth of a face at the nodes of a region.

        Args:
            pixels: (H, W, 3) uint8 RGB, the frame.
            face: the tracked face.
            head: the head model fitted to it.
            grid: the nodes.

        Returns:
            (rows, columns) float32 mm; nan where the fitted head or the crop is not. At the
            border of either it is the fitted head's depth.
        """
        crop = depth_crop(face.points_px)
        fitted_mm, found_mm = self.in_crop(pixels, head, crop)
        there = fitted_mm > 0
        inside = np.zeros((SIZE + 2, SIZE + 2), np.uint8)
        inside[1:-1, 1:-1] = there
        share = np.clip(cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1] / _EDGE, 0, 1)
        mixed = np.where(there, fitted_mm + share * (found_mm - fitted_mm), np.nan)
        scale = SIZE / crop.side
        matrix = np.array(
            [
                [scale, 0, 0.5 * SIZE - 0.5 - scale * crop.x],
                [0, scale, 0.5 * SIZE - 0.5 - scale * crop.y],
            ]
        )
        places = cv2.transform(grid.positions_px, matrix).astype(np.float32)
        return cv2.remap(
            mixed.astype(np.float32), places[..., 0], places[..., 1], cv2.INTER_LINEAR,
            borderValue=(float("nan"),),
        )  # fmt: skip

    def in_crop(self, pixels: np.ndarray, head: Head, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
        """Return depth in a crop: (SIZE, SIZE) mm from the camera, of the fit and of the network.

        The first is 0 where the head is not; there the second means nothing.
        """
        shape = self._model.shape(head.identity, head.expression)
        vertices_mm = transform_points(head.camera_from_head, shape)
        fitted_mm = model_depth(self._raster, vertices_mm, head.camera, crop)
        tip = self._model.points478(head.identity, head.expression)[NOSE_TIP]
        ray, along = unit_ray(crop, head.camera), along_ray(crop, head.camera)
        tip_mm = float(transform_points(head.camera_from_head, tip) @ ray)
        scale = (tip_mm, float(head.camera[0, 0]), crop.side)
        there = fitted_mm > 0
        given = np.stack([np.where(there, normalised(fitted_mm * along, *scale), 0.0), there])
        picture = network_input(cut(pixels, crop)[None])
        found = self._engine(picture=picture, face_depth=given[None].astype(np.float32))["depth"]
        return fitted_mm, denormalised(found[0, 0], *scale) / along
