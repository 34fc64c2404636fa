"""The ways of estimating depth that are compared: all see the same picture and the same pose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.closing import Closing
from stream.fit import HeadFitter
from stream.geometry import transform_points
from stream.hair_depth import HairDepth
from stream.raster import DepthRaster
from stream.reconstruct.depth import surface_depth
from stream.reconstruct.head import Reconstructor
from stream.region import NodeGrid, resample_to_nodes
from stream.settings import Settings
from stream.stats import StageTimer

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.reconstruct.face_depth import FaceView
    from stream.reconstruct.look import HeadLook
    from stream.region import Region

_FACE_NODES = 400  # along the region, for the network of the face


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one method says of a picture.

    Attributes:
        depth_mm: (H, W) float32 along z, nan where it says nothing.
        camera: (3, 3) intrinsics in which it counts.
    """

    depth_mm: np.ndarray
    camera: np.ndarray


class Methods(Closing):
    """Runs all methods on pictures.

    Args:
        detail: also measure the fusion with fine detail.
    """

    def __init__(self, *, detail: bool = False) -> None:
        self._detail = detail
        self._timer = StageTimer()
        self._reconstructor = Reconstructor(Settings(), self._timer)
        self._model = self._reconstructor.looker.model
        self._raster = DepthRaster(
            self._reconstructor.context,
            self._model.triangles,
            self._model.triangles_of(1, 2, 3, 4),
        )

    def close(self) -> None:
        """Give back the networks and the OpenGL context."""
        self._raster.release()
        self._reconstructor.close()

    def estimates(self, pixels: np.ndarray) -> dict[str, Estimate]:
        """Return the depth of the nearest head by method.

        Args:
            pixels: (H, W, 3) uint8 RGB.

        Returns:
            Nothing where no face is found.
        """
        looks = self._reconstructor.looker.look(pixels)
        if not looks:
            return {}
        look = looks[0]
        landmarks = self._landmark_fit(look)
        mean = replace(
            landmarks,
            identity=np.zeros_like(landmarks.identity),
            expression=np.zeros_like(landmarks.expression),
        )
        plain, seen = landmarks.camera, look.head.camera
        found = {
            "mean head": Estimate(self._of_model(mean, look), plain),
            "landmark fit": Estimate(self._of_model(landmarks, look), plain),
            "analytic depth": Estimate(self._analytic(look, landmarks), plain),
            "analytic depth, turned": Estimate(self._analytic(look, look.head), seen),
            "hair_depth": Estimate(self._of_nodes(look.depth.front_mm, look), seen),
            "fusion": Estimate(self._fusion(look, detail=False), seen),
        }
        if look.face_view is not None:
            found["face_depth"] = Estimate(_of_face_view(look.face_view, look), seen)
        if self._detail:
            found["fusion, --detail"] = Estimate(self._fusion(look, detail=True), seen)
        return found

    def depths(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Return (H, W) float32 depth of the nearest head by method, each in its own camera."""
        return {name: found.depth_mm for name, found in self.estimates(pixels).items()}

    def _fusion(self, look: HeadLook, *, detail: bool) -> np.ndarray:
        surface = self._reconstructor.surface(look, detail=detail)
        return self._reconstructor.depth(look, surface)[0]

    def _landmark_fit(self, look: HeadLook) -> Head:
        """Fit the head model to the tracked points alone, as the first version did."""
        height, width = look.pixels.shape[:2]
        return HeadFitter(self._model, Settings().fit).fit(look.face, (width, height), 0.0, None)

    def _of_model(self, head: Head, look: HeadLook) -> np.ndarray:
        shape = self._model.shape(head.identity, head.expression)
        vertices = transform_points(head.camera_from_head, shape)
        depth = surface_depth(vertices, head.camera, look.region, self._raster)
        return _whole(np.where(depth > 0, depth, np.nan), look.region, look.pixels)

    def _analytic(self, look: HeadLook, head: Head) -> np.ndarray:
        """Return (H, W) depth of a head by the stage without its network."""
        grid = look.depth.grid
        hair = HairDepth(self._model, self._raster, Settings().hair)
        matte = resample_to_nodes(look.matte, grid)
        return self._of_nodes(hair.estimate(head, matte, grid, look.sight).front_mm, look)

    def _of_nodes(self, front_mm: np.ndarray, look: HeadLook) -> np.ndarray:
        """Bring depth at nodes to the pixels of the person."""
        region, grid = look.region, look.depth.grid
        depth = at_pixels(front_mm, grid)
        matte = cv2.resize(look.matte, (region.width, region.height))
        return _whole(np.where(matte > 0.5, depth, np.nan), region, look.pixels)


def _of_face_view(view: FaceView, look: HeadLook) -> np.ndarray:
    """Return (H, W) depth by the network alone, where the head is that it was given."""
    grid = NodeGrid.over(look.region, _FACE_NODES)
    there = np.where(view.fitted_mm > 0, view.found_mm, np.nan)
    return _whole(at_pixels(view.at(there, grid.positions_px), grid), look.region, look.pixels)


def at_pixels(nodes: np.ndarray, grid: NodeGrid) -> np.ndarray:
    """Return (h, w) values at the pixel centres of a grid's region."""
    step_x, step_y = grid.step_px
    x, y = np.meshgrid(
        (np.arange(grid.region.width, dtype=np.float32) + 0.5) / np.float32(step_x),
        (np.arange(grid.region.height, dtype=np.float32) + 0.5) / np.float32(step_y),
    )
    return cv2.remap(nodes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _whole(depth: np.ndarray, region: Region, pixels: np.ndarray) -> np.ndarray:
    result = np.full(pixels.shape[:2], np.nan, np.float32)
    region.crop(result)[:] = depth
    return result
