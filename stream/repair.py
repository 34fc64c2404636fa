"""Repair of pasted faces: a small generator, trained as half of a CycleGAN, goes over the result.

DepthNets §2.4: the picture with a pasted face is translated into the domain of real ones. What
the generator changes is brought back to the frame's resolution, and only in and around the pasted
face, so that the frame keeps its detail.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import cv2
import numpy as np

from engines.spec import WEIGHTS
from stream.networks import open_if_shipped
from stream.region import Region

if TYPE_CHECKING:
    from pathlib import Path

    from engines.engine import Engine
    from stream.refine import RefineEngine

SIZE = 128  # side of the square that the generator sees
PASTED, UNKNOWN = range(2)  # channels of the masks
_log = logging.getLogger("voltface")
_AROUND = 0.75  # half the square's side, in sides of the face
_REACH = 0.05  # of the square: so far around the face may change
_SHARE = 0.5  # of a new frame's change in what is shown


def open_repair(choice: str = "auto", weights: Path = WEIGHTS) -> Engine | None:
    """Open the network `repair`; None where it is not shipped.

    Args:
        choice: what runs it; see `--engine`.
        weights: folder of the network files.
    """
    engine = open_if_shipped("repair", choice, weights=weights)
    if engine is None:
        _log.warning("the network repair is not shipped: pasted faces stay as they are")
    return engine


def repair_region(points_px: np.ndarray) -> Region:
    """Return the square around a face that the generator sees; not clipped to the frame.

    Args:
        points_px: (478, 2 or more) keypoints.
    """
    low, high = points_px[:, :2].min(0), points_px[:, :2].max(0)
    half = _AROUND * float((high - low).max())
    x, y = (low + high) / 2
    x0, y0, side = round(x - half), round(y - half), max(round(2 * half), 2)
    return Region(x0, y0, x0 + side, y0 + side)


def taken(picture: np.ndarray, region: Region) -> np.ndarray:
    """Return a region of a picture as a whole; beyond the picture its border goes on."""
    height, width = picture.shape[:2]
    inside = region.clipped(width, height)
    if inside == region:
        return region.crop(picture)
    return cv2.copyMakeBorder(
        inside.crop(picture), inside.y0 - region.y0, region.y1 - inside.y1,
        inside.x0 - region.x0, region.x1 - inside.x1, cv2.BORDER_REPLICATE,
    )  # fmt: skip


def as_square(picture: np.ndarray) -> np.ndarray:
    """Resample a region to the generator's square."""
    way = cv2.INTER_LINEAR if picture.shape[0] <= SIZE else cv2.INTER_AREA
    return cv2.resize(picture, (SIZE, SIZE), interpolation=way)


def change_allowed(masks: np.ndarray) -> np.ndarray:
    """Return (S, S) float32, 0…1, where a picture may change: in and around what was pasted.

    Args:
        masks: (S, S, 2) uint8, how far a pixel is pasted, and how far nothing is known of it.
    """
    any_ = cv2.max(masks[..., PASTED], masks[..., UNKNOWN])
    size = 2 * round(_REACH * len(any_) / 2) + 1
    grown = cv2.dilate(any_, np.ones((size, size), np.uint8))
    return cv2.blur(grown, (size, size)).astype(np.float32) / 255


class FaceRepair:
    """Repairs one face from frame to frame; its change is carried along, so that it is calm.

    Args:
        engine: runs the network `repair`.
    """

    def __init__(self, engine: RefineEngine) -> None:
        self._engine = engine
        self._change: np.ndarray | None = None

    def apply(
        self, pixels: np.ndarray, points_px: np.ndarray, mask: np.ndarray, region: Region
    ) -> None:
        """Repair a pasted face in a frame, in place.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            points_px: (478, 2 or more) keypoints of the face.
            mask: (h, w) uint8, how far each pixel of a region is pasted.
            region: that part of the frame.
        """
        square = repair_region(points_px)
        pasted = np.zeros(pixels.shape[:2], np.uint8)
        region.crop(pasted)[:] = mask
        masks = taken(pasted, square)
        mended = self(taken(pixels, square), cv2.merge([masks, np.zeros_like(masks)]))
        inside = square.clipped(pixels.shape[1], pixels.shape[0])
        inside.crop(pixels)[:] = inside.moved_into(square).crop(mended)

    def __call__(self, picture: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """Return a region repaired.

        Args:
            picture: (n, n, 3) uint8 RGB, the square of `repair_region` at the frame's resolution.
            masks: (n, n, 2) uint8, see `change_allowed`.
        """
        small, told = as_square(picture), as_square(masks)
        planes = {"picture": small, "masks": told}
        ready = {
            name: np.ascontiguousarray(np.moveaxis(part, -1, 0)[None]).astype(np.float32) / 255
            for name, part in planes.items()
        }
        made = np.moveaxis(self._engine(**ready)["repaired"][0], 0, -1) * 255
        change = (made - small) * change_allowed(told)[..., None]
        if self._change is not None:
            change = self._change + _SHARE * (change - self._change)
        self._change = change
        # Frames differ in size as the face comes nearer, the square does not.
        grown = cv2.resize(change, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return cv2.add(picture, grown, dtype=cv2.CV_8U)
