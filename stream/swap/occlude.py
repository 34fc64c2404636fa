"""What is in front of a face: hands, hair, glasses, microphones, by the segmentation network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.segment import squared
from stream.sight import BODY, HAIR, OCCLUDER, as_input

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engines.engine import Engine
    from stream.region import Region
    from stream.swap.shape import FaceShape

_BEARD = np.array([0, 205, 136, 150, 176, 152, 400, 379, 365, 425])  # hull of what grows
_BEARD_GROWN = 0.16  # of the distance of the eyes
_LOW, _HIGH = 0.25, 0.75  # shares that are surely free, and surely covered
_EDGE = 0.02  # of the distance of the eyes: width over which an edge is sought in the picture
_EDGE_GREY = 12.0  # grey levels: edges that are weaker do not count


@dataclass(frozen=True, slots=True)
class Front:
    """What is in front of one face.

    Attributes:
        hair, things: (256, 256) float32, how likely a pixel shows hair; hands and things.
        region: of the frame, which they span.
    """

    hair: np.ndarray
    things: np.ndarray
    region: Region

    def at(self, places_px: np.ndarray) -> np.ndarray:
        """Return (N,) how far places of the frame, (N, 2), are covered."""
        size = self.hair.shape[0]
        scale = np.array([size / self.region.width, size / self.region.height])
        column, row = (((places_px - self.region[:2]) * scale).astype(int).clip(0, size - 1)).T
        return np.minimum(self.hair[row, column] + self.things[row, column], 1)


def look_in_front(labeller: Engine, crop_rgb: np.ndarray, region: Region) -> Front:
    """Look at the crop around a head.

    Args:
        labeller: engine of `head_segmentation`.
        crop_rgb: (h, w, 3) uint8, the region of the frame.
        region: likewise.
    """
    shares = labeller(picture=as_input(squared(crop_rgb)))["probabilities"][0]
    return Front(shares[HAIR], shares[BODY] + shares[OCCLUDER], region)


def with_nearer(front: Front, outlines: Sequence[np.ndarray]) -> Front:
    """Return what is in front of a face, with the faces of people before it.

    To the network, which looks at one head, they are skin as well.

    Args:
        front: what the network saw.
        outlines: (N, 2) points of each nearer face in frame pixels.
    """
    size = front.things.shape[0]
    scale = np.array([size / front.region.width, size / front.region.height])
    faces = np.zeros((size, size), np.uint8)
    for points_px in outlines:
        hull = cv2.convexHull(((points_px - front.region[:2]) * scale).astype(np.float32))
        cv2.fillConvexPoly(faces, np.round(hull).astype(np.int32), 1)
    return replace(front, things=np.maximum(front.things, faces)) if faces.any() else front


def covered(front: Front, shape: FaceShape, region: Region, crop: np.ndarray) -> np.ndarray:
    """Return what is in front of a face, with edges where the picture has them.

    A beard is hair, but no occluder: around the mouth hair does not count.

    Args:
        front: what the network saw.
        shape: the geometry of the face.
        region: of the frame, what is wanted.
        crop: (h, w, 3) uint8, the frame there.

    Returns:
        (h, w) uint8, 255 where something is in front.
    """
    hair = front.hair * (1 - _beard(front, shape))
    whole = np.minimum(hair + front.things, 1)
    scale_x, scale_y = (side / whole.shape[0] for side in (front.region.width, front.region.height))
    region_from_whole = np.array(
        [[scale_x, 0, front.region.x0 + 0.5 * scale_x - 0.5 - region.x0],
         [0, scale_y, front.region.y0 + 0.5 * scale_y - 0.5 - region.y0]]
    )  # fmt: skip
    full = cv2.warpAffine(whole, region_from_whole, (region.width, region.height),
                          flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    if float(full.max()) < _LOW:
        return np.zeros(full.shape, np.uint8)
    full = _with_edges(full, crop, shape.eyes_px)
    return cv2.convertScaleAbs(np.clip((full - _LOW) / (_HIGH - _LOW), 0, 1), alpha=255)


def _with_edges(shares: np.ndarray, crop: np.ndarray, eyes_px: float) -> np.ndarray:
    """Bring the borders of shares to the edges of the picture (He, Sun, Tang 2010)."""
    factor = max(1, round(eyes_px / 45))  # finer than that no border is known
    size = (max(8, crop.shape[1] // factor), max(8, crop.shape[0] // factor))
    guide = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    small = cv2.resize(shares, size, interpolation=cv2.INTER_AREA)
    radius = max(2, round(3 * _EDGE * eyes_px / factor))
    sharp = cv2.ximgproc.guidedFilter(guide, small, radius, _EDGE_GREY**2)
    return cv2.resize(sharp, crop.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _beard(front: Front, shape: FaceShape) -> np.ndarray:
    """Return (256, 256) float32, 1 around mouth and chin, softly 0 beyond."""
    size = front.hair.shape[0]
    scale = np.array([size / front.region.width, size / front.region.height])
    hull = cv2.convexHull(((shape.tracked_px[_BEARD] - front.region[:2]) * scale).astype(np.int32))
    grown = _BEARD_GROWN * shape.eyes_px * float(scale.mean())
    mask = np.zeros((size, size), np.float32)
    cv2.fillConvexPoly(mask, hull, 1.0)
    cv2.polylines(mask, [hull], True, 1.0, max(1, round(2 * grown)))
    return cv2.GaussianBlur(mask, (0, 0), max(0.8, grown / 2))
