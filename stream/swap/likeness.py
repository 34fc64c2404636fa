"""Who is alike? A descriptor of a face that depends little on pose, expression and light.

It joins what the network `face_identity` sees in the skin, unwrapped on the head model, with the
identity that was fitted to the tracked points.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from engines.spec import WEIGHTS
from stream.closing import Closing
from stream.face_3dmm import cut, face_crop
from stream.geometry import project, transform_points
from stream.head_model import load_head_model
from stream.networks import open_if_shipped
from stream.swap.texture_map import SameModel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stream.frame import Head
    from stream.head_model import HeadModel

_log = logging.getLogger("voltface")

TRIANGLES = 640  # of bare skin, at which colours are read
FEATURES = 128
LENGTH = FEATURES + 80  # of a descriptor
# Of pairs of different people, one in twenty is more alike than the first in clips, and fewer
# among synthetic people; above the second it takes other evidence, such as that nobody else is
# more alike (docs/networks/face_identity.md).
LIKELY, DOUBTFUL = 0.6, 0.45

_SHAPE_WEIGHT = 0.5  # of the fitted identity beside the network's features
_LEAST_FACING = 0.25
_BROWS = (70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285)  # fmt: skip  # noqa: E501
_BROW_REACH_MM = 7.0  # hair grows there
_PLACE = np.array([0.5, 0.5])


class Likeness(Closing):
    """Describes faces, and compares descriptions.

    Args:
        choice: what runs the network; see `--engine`.
        weights: folder of the network files; without the network, the shape alone describes.
    """

    def __init__(self, choice: str = "auto", weights: Path = WEIGHTS) -> None:
        self._model = load_head_model()
        self._engine = open_if_shipped("face_identity", choice, threads=1, weights=weights)

    def close(self) -> None:
        """Give the network back; closing twice does no harm."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def describe(
        self, pixels: np.ndarray, head: Head, offset_mm: np.ndarray | None = None
    ) -> np.ndarray:
        """Describe a face.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            head: as fitted to it.
            offset_mm: (V, 3) head space, what the model leaves out of it, where that is known
                (`stream.swap.source_shape.residual_offset`): the skin is read more surely.

        Returns:
            (208,) float32 of unit length.
        """
        features = np.zeros(FEATURES, np.float32)
        if self._engine is not None:
            skin = unwrapped_skin(pixels, head, self._model, offset_mm)
            features = _unit(self._engine(skin=skin[None, :, :, None])["features"][0])
        shape = _unit(head.identity[:80] * _strengths(SameModel(self._model)))
        return _unit(np.concatenate([features, _SHAPE_WEIGHT * shape]))

    @staticmethod
    def score(a: np.ndarray, b: np.ndarray) -> float:
        """Return how alike two descriptors are: −1…1."""
        return float(np.dot(a, b))

    @staticmethod
    def mean(descriptors: Sequence[np.ndarray]) -> np.ndarray:
        """Return the descriptor of a person seen several times: (208,) of unit length."""
        return _unit(np.sum(descriptors, axis=0))


def unwrapped_skin(
    pixels: np.ndarray, head: Head, model: HeadModel, offset_mm: np.ndarray | None = None
) -> np.ndarray:
    """Read the colours of a face's skin in a fixed order: (4, 640) float32.

    Rows are red, green and blue, 0…1, and whether the place is seen, 0 or 1.
    """
    pose, camera = head.camera_from_head, head.camera
    points = transform_points(pose, model.points478(head.identity, head.expression))
    crop = face_crop(project(points, camera))
    shape = model.shape(head.identity, head.expression)
    corners = transform_points(pose, shape if offset_mm is None else shape + offset_mm)
    corners = corners[skin_triangles(model)].astype(np.float64)
    centres = corners.mean(axis=1)
    places_px = project(centres, camera)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(across, axis=1) * np.linalg.norm(centres, axis=1)
    facing = -(across * centres).sum(axis=1) / np.maximum(length, 1e-9)
    inside = ((places_px >= 0) & (places_px <= pixels.shape[1::-1])).all(axis=1)
    matrix = crop.matrix()
    in_crop = (places_px @ matrix[:, :2].T + matrix[:, 2] - _PLACE).astype(np.float32)
    picture = cut(pixels, crop)
    colours = cv2.remap(
        picture, in_crop[:, None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    seen = inside & (facing > _LEAST_FACING)
    return np.concatenate([colours[:, 0].T / np.float32(255), seen[None].astype(np.float32)])


def skin_triangles(model: HeadModel) -> np.ndarray:
    """Return (640, 3) triangles of bare face skin, spread evenly over the face by area."""
    return _skin_triangles(SameModel(model))


@lru_cache(maxsize=2)
def _skin_triangles(key: SameModel) -> np.ndarray:
    model = key.model
    inner = model.triangles[(model.labels[model.triangles] == 1).all(axis=1)]
    centres = model.vertices[inner].mean(axis=1)
    brows = model.points478_mean[list(_BROWS)]
    apart = np.linalg.norm(centres[:, None] - brows[None], axis=2).min(axis=1)
    inner, centres = inner[apart > _BROW_REACH_MM], centres[apart > _BROW_REACH_MM]
    chosen = [int(np.argmin(centres[:, 2]))]  # farthest-point sampling from the nose's tip
    distance = np.linalg.norm(centres - centres[chosen[0]], axis=1)
    while len(chosen) < min(TRIANGLES, len(inner)):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(centres - centres[chosen[-1]], axis=1))
    return inner[np.sort(chosen)]


@lru_cache(maxsize=2)
def _strengths(key: SameModel) -> np.ndarray:
    """Return (80,) how far one standard deviation of each component moves the face."""
    model = key.model
    basis = model.identity_basis[:80, model.labels == 1]
    return np.sqrt((basis**2).sum(axis=(1, 2)))


def _unit(values: np.ndarray) -> np.ndarray:
    result = np.asarray(values, np.float32)
    return result / max(float(np.linalg.norm(result)), 1e-6)
