"""Fine detail of a source's skin, brought to the amount that the target's skin shows.

A sharp photo has pores, stubble and lines that a soft, smoothed or young face in a video has not;
drawn at full strength they look like charcoal on it. Two narrow bands of log brightness are
therefore parted from the texture beforehand, and drawn as strongly as the skin in the frame has
the same bands: the heart of multi-scale image harmonisation (Sunkavalli et al. 2010), with one
gain a band. Brows, lips, lids and nostrils have no part in it, and nothing is made stronger than
it is in the photo.

Letters: S texture side, V vertices.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.spatial import cKDTree

from stream.flatten import texture_uv
from stream.geometry import smoothstep
from stream.swap.shape import SKIN
from stream.swap.texture_map import SameModel, texel_map
from stream.triangles import within

if TYPE_CHECKING:
    from stream.head_model import HeadModel

DETAIL_RANGE = 1.0  # of log brightness: what 256 levels of a band span
# Widths of the bands' borders: pores and stubble up to the first, lines up to the second.
_WIDTHS = (0.012, 0.04)  # of the distance of the eyes
_LIFT = 4.0  # grey levels, before the logarithm
# Points of features that stay as they are, and how far they reach, mm.
_FEATURES_MM = ((range(36, 48), 2.0), (range(17, 27), 7.0), (range(48, 68), 3.0),
                (range(31, 36), 3.0))  # fmt: skip
_SOFT_MM = 4.0
_LEAST = (0.3, 0.85)  # gains of the two bands; with no lines at all a face is nobody's
_LEAST_PX = 500
_NOISE = 1e-3


def detail_bands(texture: np.ndarray, model: HeadModel) -> np.ndarray:
    """Part two bands of fine detail from a texture.

    Args:
        texture: (S, S, 3) uint8.
        model: the head model.

    Returns:
        (S, S, 2) uint8, log brightness: 0 at 128, DETAIL_RANGE for 256; 0 off plain skin.
    """
    size = len(texture)
    unit = _eyes_apart(SameModel(model)) * size
    where = _plain_texels(SameModel(model), size)
    bands = np.stack(_bands(_log_grey(texture), unit), axis=2) * where[..., None]
    return np.clip(np.round(128 + 256 / DETAIL_RANGE * bands), 0, 255).astype(np.uint8)


class Detail:
    """Follows how strongly the two bands of a source's skin are to be drawn on one face."""

    def __init__(self) -> None:
        self.gains = np.ones(2)

    def learn(
        self, own: np.ndarray, drawn: np.ndarray, inside: np.ndarray, eyes_px: float, share: float
    ) -> None:
        """Compare the bands of the frame's face with those of the drawn one.

        Args:
            own: (h, w, 3) uint8, the face of the frame.
            drawn: (h, w, 3) uint8, drawn with the gains as they are.
            inside: (h, w) bool, where both are skin.
            eyes_px: distance of the outer corners of the eyes.
            share: of the new gains in what is used.
        """
        if inside.sum() < _LEAST_PX:
            return
        pairs = zip(*(_bands(_log_grey(each), eyes_px) for each in (own, drawn)), strict=True)
        wanted = [
            float(np.median(np.abs(first[inside])) / (np.median(np.abs(second[inside])) + _NOISE))
            for first, second in pairs
        ]
        self.gains = np.clip(self.gains * np.array(wanted) ** share, _LEAST, 1.0)


def _log_grey(picture: np.ndarray) -> np.ndarray:
    return np.log(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) + _LIFT)


def _bands(logs: np.ndarray, eyes: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the two bands of (h, w) logarithms."""
    fine, coarse = (cv2.GaussianBlur(logs, (0, 0), max(width * eyes, 0.4)) for width in _WIDTHS)
    return logs - fine, fine - coarse


def _eyes_apart(key: SameModel) -> float:
    """Return the distance of the outer corners of the eyes in the texture, of its side."""
    model = key.model
    corners = model.triangles[model.points68_triangle[[36, 45]]]
    places = within(texture_uv(model), corners, model.points68_bary[[36, 45]])
    return float(np.linalg.norm(places[1] - places[0]))


@lru_cache(maxsize=4)
def _plain_texels(key: SameModel, size: int) -> np.ndarray:
    """Return (S, S) float32, 1 on skin without features."""
    model, points = key.model, key.model.points68()
    plain = (model.labels == SKIN).astype(np.float32)
    for part, reach_mm in _FEATURES_MM:
        away = cKDTree(points[list(part)]).query(model.vertices)[0]
        plain = plain * smoothstep(away, reach_mm, reach_mm + _SOFT_MM)
    return np.clip(texel_map(model, size).painted(plain[:, None])[..., 0], 0, 1)
