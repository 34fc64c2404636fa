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

from dataclasses import dataclass
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
    "FaceView",
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
_STEP_MM = 12.0  # between neighbours: one is before the other
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


@dataclass(frozen=True, slots=True)
class FaceView:
    """What the network says of one face, at the pixels of its crop.

    Attributes:
        crop: where it looked.
        fitted_mm: (SIZE, SIZE) depth of the head that it was given, 0 where that is not.
        found_mm: (SIZE, SIZE) depth that it answers; it means nothing where the head is not.
        share: (SIZE, SIZE) 0…1, how far to follow it: not at all at the border of head or crop.
        camera_from_head: (4, 4) pose of the head that it was given.
    """

    crop: Crop
    fitted_mm: np.ndarray
    found_mm: np.ndarray
    share: np.ndarray
    camera_from_head: np.ndarray

    def change_mm(self) -> np.ndarray:
        """Return (SIZE, SIZE) what it changes; nan off the head, and beside steps in its depth.

        A network blurs the outline of a nose before a cheek, so that depth is wrong on both sides.
        """
        there = self.fitted_mm > 0
        far = np.where(there, self.fitted_mm, 0).astype(np.float32)
        near = np.where(there, self.fitted_mm, np.inf).astype(np.float32)
        around = np.ones((3, 3), np.uint8)
        step = cv2.dilate(far, around) - cv2.erode(near, around)
        beside = cv2.dilate((there & (step > _STEP_MM)).view(np.uint8), np.ones((5, 5), np.uint8))
        return np.where(there & (beside == 0), self.found_mm - self.fitted_mm, np.nan)

    def places(self, points_px: np.ndarray) -> np.ndarray:
        """Return (…, 2) columns and rows of the crop's maps for (…, 2) places in the frame."""
        matrix = self.crop.matrix(SIZE)
        return (points_px @ matrix[:, :2].T + matrix[:, 2] - 0.5).astype(np.float32)

    def at(self, values: np.ndarray, points_px: np.ndarray) -> np.ndarray:
        """Return (N, M) float32 values of one of its maps at (N, M, 2) places in the frame.

        nan beyond the crop, and beside what is nan.
        """
        return cv2.remap(
            values.astype(np.float32), self.places(points_px), None, cv2.INTER_LINEAR,
            borderValue=(float("nan"),),
        )  # fmt: skip


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
        view = self.view(pixels, face, head)
        there = view.fitted_mm > 0
        change = view.share * (view.found_mm - view.fitted_mm)
        return view.at(np.where(there, view.fitted_mm + change, np.nan), grid.positions_px)

    def view(self, pixels: np.ndarray, face: Face, head: Head) -> FaceView:
        """Return what the network says of a face; the arguments are those of `refined`."""
        crop = depth_crop(face.points_px)
        fitted_mm, found_mm = self.in_crop(pixels, head, crop)
        inside = np.zeros((SIZE + 2, SIZE + 2), np.uint8)
        inside[1:-1, 1:-1] = fitted_mm > 0
        share = np.clip(cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1] / _EDGE, 0, 1)
        return FaceView(crop, fitted_mm, found_mm, share, head.camera_from_head)

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
