"""What lies before a face: hair over a forehead, hands, microphones, frames of glasses.

Of a source such parts are not pasted; before the face of the video they stay where they are.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import cv2
import numpy as np

from engines.spec import WEIGHTS
from stream.affine_pose import face_pose
from stream.composite import ABOVE_MM, BELOW_MM, SIDE_MM
from stream.networks import open_if_shipped
from stream.region import Region
from stream.repair import taken
from stream.segment import squared
from stream.sight import HAIR, OCCLUDER, as_input

if TYPE_CHECKING:
    from pathlib import Path

    from engines.engine import Engine
    from stream.refine import RefineEngine

_log = logging.getLogger("voltface")
_EVERY = 2  # frames
_SHARE = 0.5  # of a new look in what is remembered
_BEFORE = (0.35, 0.75)  # likelihoods at which something begins to lie before the face, and does
_GROWN = 5  # pixels of the squeezed crop: what lies before the face takes its edge along


def open_labeller(choice: str = "auto", weights: Path = WEIGHTS) -> Engine | None:
    """Open the network `head_segmentation`; None where it is not shipped.

    Args:
        choice: what runs it; see `--engine`.
        weights: folder of the network files.
    """
    return open_if_shipped("head_segmentation", choice, weights=weights)


class FaceCover:
    """Looks for what lies before one face, on every other frame.

    Args:
        labeller: runs `head_segmentation`; one engine may serve many faces.
    """

    def __init__(self, labeller: RefineEngine) -> None:
        self._labeller = labeller
        self._before: np.ndarray | None = None
        self._age = 0

    def within(self, pixels: np.ndarray, points_px: np.ndarray, region: Region) -> np.ndarray:
        """Return how far a face is hidden: (h, w) uint8 of a region, 255 where it is.

        Args:
            pixels: (H, W, 3) uint8 RGB, the frame.
            points_px: (478, 3) tracked points.
            region: of the frame.
        """
        head = head_crop(points_px)
        if self._before is None or self._age % _EVERY == 0:
            now = self._look(pixels, head)
            last = now if self._before is None else self._before
            self._before = last + np.float32(_SHARE) * (now - last)
        self._age += 1
        size = len(self._before)
        scale = np.array([head.width / size, head.height / size])
        # Middles of pixels lie at +0.5 on both sides.
        shift = (np.array(head[:2]) - region[:2] + 0.5 * scale - 0.5)[:, None]
        region_from_map = np.hstack([np.diag(scale), shift])
        grey = cv2.convertScaleAbs(self._before, alpha=255)
        return cv2.warpAffine(grey, region_from_map, (region.width, region.height))

    def _look(self, pixels: np.ndarray, head: Region) -> np.ndarray:
        """(256, 256) float32: what lies before the face in a squeezed crop."""
        square = squared(np.ascontiguousarray(taken(pixels, head)))
        labels = self._labeller(picture=as_input(square))["probabilities"][0]
        low, high = _BEFORE
        before = np.clip((labels[HAIR] + labels[OCCLUDER] - low) / (high - low), 0, 1)
        grown = cv2.dilate(before.astype(np.float32), np.ones((_GROWN, _GROWN), np.uint8))
        return cv2.blur(grown, (_GROWN, _GROWN))


def head_crop(points_px: np.ndarray) -> Region:
    """Return the part of a picture that the labeller sees around a face; not clipped.

    Args:
        points_px: (478, 3) tracked points.
    """
    pose = face_pose(points_px)
    x, y, _ = pose.centre_px
    side, above, below = (length * pose.scale for length in (SIDE_MM, ABOVE_MM, BELOW_MM))
    return Region(round(x - side), round(y - above), round(x + side) + 1, round(y + below) + 1)
