"""The landmark fit of pictures, as the live path makes it: D_S and V of the light variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engines.opening import open_engine
from engines.spec import SPECS, WEIGHTS
from stream.closing import Closing
from stream.face_3dmm import FaceReader
from stream.fit import HeadFitter
from stream.fit_state import FitSettings
from stream.frame import Face, Frame, Head
from stream.geometry import transform_points
from stream.gl import create_context
from stream.head_model import load_head_model
from stream.raster import DepthRaster
from stream.reconstruct.face_depth import (
    NOSE_TIP,
    along_ray,
    model_depth,
    normalised,
    unit_ray,
)
from stream.track import FaceTracker
from training.evaluate_fit import unsmoothed

if TYPE_CHECKING:
    from pathlib import Path

    from stream.face_3dmm import Crop


@dataclass(frozen=True, slots=True)
class FittedFace:
    """A face of a picture, tracked and fitted.

    Attributes:
        face: the tracked points.
        head: the fitted head.
        tip: (3,) the fitted tip of the nose, camera space, mm.
    """

    face: Face
    head: Head
    tip: np.ndarray


class LandmarkFits(Closing):
    """Fits the head model to faces of unrelated pictures, and draws its depth.

    Args:
        weights: folder of the network files; `face_3dmm` gives the fit its start.
    """

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self.model = load_head_model()
        self._tracker = FaceTracker(1, still=True)
        self._engine = open_engine(SPECS["face_3dmm"], "onnxruntime", threads=1, weights=weights)
        self._reader = FaceReader(self._engine)
        self._fitter = HeadFitter(self.model, unsmoothed(FitSettings()))
        self._context = create_context()
        self.raster = DepthRaster(self._context, self.model.triangles)

    def close(self) -> None:
        """Give back networks and the OpenGL context."""
        self._tracker.close()
        self._engine.close()
        self.raster.release()
        self._context.release()

    def track(self, pixels: np.ndarray) -> Face | None:
        """Find the largest face of an (H, W, 3) uint8 picture; None if there is none."""
        faces = self._tracker.track(Frame(np.ascontiguousarray(pixels)))
        return faces[0] if faces else None

    def fit(self, pixels: np.ndarray) -> FittedFace | None:
        """Find and fit the largest face of an (H, W, 3) uint8 picture; None if there is none."""
        face, frame = self.track(pixels), Frame(np.ascontiguousarray(pixels))
        if face is None:
            return None
        guess = self._reader.read(frame, [face])[0]
        self._fitter.reset()
        return self.placed(face, self._fitter.fit(face, frame.size, 0.0, guess))

    def fit_together(
        self,
        faces: tuple[Face, Face],
        sizes: tuple[tuple[int, int], tuple[int, int]],
        looks: int,
        step_s: float,
    ) -> tuple[FittedFace, FittedFace]:
        """Fit two views of one head, which agree on its identity.

        Args:
            faces: tracked in either view.
            sizes: (width, height) of the pictures.
            looks: how often each is looked at in turn, until the identity suits both.
            step_s: time that counts as passed between looks.
        """
        self._fitter.reset()
        heads: list[Head] = []
        for look in range(2 * looks):
            one = Face(0, faces[look % 2].points_px)
            heads.append(self._fitter.fit(one, sizes[look % 2], look * step_s))
        first, second = heads[-2:]
        return self.placed(faces[0], first), self.placed(faces[1], second)

    def placed(self, face: Face, head: Head) -> FittedFace:
        """Add to a fit where its nose is."""
        tip = self.model.points478(head.identity, head.expression)[NOSE_TIP]
        return FittedFace(face, head, transform_points(head.camera_from_head, tip))

    def depth(self, fitted: FittedFace, crop: Crop, size: int, side: float) -> np.ndarray:
        """Draw the normalised depth of a fit (eq. 7).

        Args:
            fitted: what to draw.
            crop: where.
            size: side of the result, pixels.
            side: of the crop that normalised depth refers to, frame pixels.

        Returns:
            (size, size) float32, inf off the head.
        """
        head = fitted.head
        shape = self.model.shape(head.identity, head.expression)
        placed = transform_points(head.camera_from_head, shape)
        depth_mm = model_depth(self.raster, placed, head.camera, crop, size)
        tip_mm = float(fitted.tip @ unit_ray(crop, head.camera))
        along = along_ray(crop, head.camera, size)
        value = normalised(depth_mm * along, tip_mm, float(head.camera[0, 0]), side)
        return np.where(depth_mm > 0, value, np.float32(np.inf))
