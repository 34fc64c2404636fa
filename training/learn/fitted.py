"""Depth of the fitted head model in synthetic pictures: what the live path knows of a head.

The live path fits the head model to tracked points, and its errors are those of that fit. A
prepared set therefore gets, beside the exact depth, the depth of a head model whose identity,
expression and pose are off by about as much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.closing import Closing
from stream.frame import Head
from stream.geometry import transform_points
from stream.gl import create_context
from stream.head_model import load_head_model
from stream.raster import DepthRaster
from stream.region import NodeGrid, Region
from training.learn.prepared import DEPTH_UNIT_MM, NOWHERE, PreparedSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

FIELD = "fitted_depth"
_IDENTITY_NOISE, _EXPRESSION_NOISE = 0.4, 0.06  # standard deviations; shares of a face unit
_TURN_NOISE = np.radians(1.5)
_DISTANCE_NOISE = 0.02  # share of the distance


def add_fitted_depth(
    data: PreparedSet, folder: Path, progress: Callable[[Iterable], Iterable] | None = None
) -> None:
    """Draw the field `fitted_depth` of a prepared set, in the units of its other depths."""
    side = data.size
    target = np.lib.format.open_memmap(
        folder / f"{FIELD}.npy", "w+", "float16", (data.count, side, side)
    )
    with FittedDepth(side) as fitted:
        for index in progress(range(data.count)) if progress else range(data.count):
            head = fitted_head(data, index)
            target[index] = fitted.draw(
                head.identity, head.expression, head.camera_from_head, head.camera
            )
    target.flush()


class FittedDepth(Closing):
    """Draws the depth of the head model in pictures.

    Args:
        side: of the pictures, pixels.
    """

    def __init__(self, side: int) -> None:
        self._model, self._context = load_head_model(), create_context()
        self._raster = DepthRaster(self._context, self._model.triangles)
        # Nodes lie on the corners of a region: one of side − 1 has them a pixel apart.
        self._grid = NodeGrid(Region(0, 0, side - 1, side - 1), side, side)

    def draw(
        self,
        identity: np.ndarray,
        expression: np.ndarray,
        camera_from_head: np.ndarray,
        intrinsics: np.ndarray,
    ) -> np.ndarray:
        """Return (S, S) depth relative to the head's centre, in the units of a prepared set.

        Args:
            identity: (80,) standard deviations.
            expression: (52,) face units.
            camera_from_head: (4, 4), mm.
            intrinsics: (3, 3) of the picture, pixel centres at +0.5.
        """
        camera = np.array(intrinsics, np.float64)
        camera[:2, 2] -= 0.5  # pixel centres
        pose = np.asarray(camera_from_head, np.float64)
        vertices_mm = transform_points(pose, self._model.shape(identity, expression))
        front, _ = self._raster.draw(vertices_mm, camera, self._grid)
        relative = (front - pose[2, 3]) / DEPTH_UNIT_MM
        return np.where(front > 0, relative, np.float32(NOWHERE))

    def close(self) -> None:
        """Give back the OpenGL context."""
        self._raster.release()
        self._context.release()


def fitted_head(data: PreparedSet, index: int) -> Head:
    """Return the head of a sample as a fit might find it: a little off, always in the same way."""
    rng = np.random.default_rng([int(data.recipe["seed"]), index, 77])
    identity = data["identity"][index] + rng.normal(0, _IDENTITY_NOISE, 80)
    expression = data["expression"][index] + rng.normal(0, _EXPRESSION_NOISE, 52)
    return Head(
        face_id=0,
        identity=identity.astype(np.float32),
        expression=np.clip(expression, 0, 1).astype(np.float32),
        camera_from_head=_disturbed(data["camera_from_head"][index].astype(np.float64), rng),
        camera=data["intrinsics"][index].astype(np.float64),
    )


def _disturbed(pose: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn a pose a little and move it along its ray."""
    off = pose.copy()
    off[:3, :3] = cv2.Rodrigues(rng.normal(0, _TURN_NOISE, 3))[0] @ pose[:3, :3]
    off[:3, 3] *= 1 + rng.normal(0, _DISTANCE_NOISE)
    return off
