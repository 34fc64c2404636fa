"""Where the skin's brightness tells its relief: not at brows, lashes, lips and nostrils.

They are darker than the skin around them because they are of another colour, or lie in the shade,
and "what is dark lies deep" (pix2vertex, supplement B.2) makes furrows of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from stream.geometry import smoothstep

if TYPE_CHECKING:
    from stream.head_model import HeadModel

# Tracked points around each part, in order; what lies between them belongs to it.
_BROWS = (
    (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
)
_EYES = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
_LIPS = (
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146),
)
_NOSTRILS = ((98, 97, 2, 326, 327, 294, 19, 64),)
_STEP_MM = 1.0
_CLEAR_MM = (3.0, 7.0)  # from such a part: nothing is told, all is


def plain_skin(model: HeadModel, vertices_mm: np.ndarray) -> np.ndarray:
    """Return (N,) 0…1, how far brightness tells relief at places of the mean head.

    Args:
        model: the head model.
        vertices_mm: (N, 3) places on it, head space.
    """
    points = model.points478().astype(np.float64)
    parts = [_filled(points[list(part)]) for part in (*_BROWS, *_EYES, *_LIPS, *_NOSTRILS)]
    away, _ = cKDTree(np.concatenate(parts)).query(vertices_mm)
    return smoothstep(away, *_CLEAR_MM)


def _filled(outline: np.ndarray) -> np.ndarray:
    """Return (M, 3) places about a millimetre apart on the fan that a closed line spans."""
    middle, places = outline.mean(axis=0), []
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        along = np.linspace(0, 1, 2 + int(np.linalg.norm(end - start) / _STEP_MM))[:, None]
        rim = start + along * (end - start)
        inward = np.linspace(0, 1, 2 + int(np.linalg.norm(middle - start) / _STEP_MM))
        places.append((rim[:, None] + inward[:, None] * (middle - rim)[:, None]).reshape(-1, 3))
    return np.concatenate(places)
