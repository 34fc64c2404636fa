"""Shoulders that follow a little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.puppet.fields import unprojected

if TYPE_CHECKING:
    from stream.puppet.portrait import Portrait

_SHIFT = np.array([0.3, 0.25, 0.0])  # share of the head's shift, by axis
_ROLL = 0.12  # share of the head's roll
_TAPER_MM = 60.0  # towards borders of the region beyond which nothing moves


class Body:
    """Displaces what does not turn with the head.

    Args:
        portrait: the photo.
    """

    def __init__(self, portrait: Portrait) -> None:
        depth, region = portrait.mesh.depth, portrait.region
        places = depth.grid.positions_px.reshape(-1, 2)
        camera = portrait.head.camera
        mm_per_px = float(portrait.head.camera_from_head[2, 3] / camera[0, 0])
        still = 1 - np.clip(depth.turn.ravel(), 0, 1)
        width, height = portrait.size
        # At the photo's own lower border the body goes on unseen: it may shift, not rise.
        sides = [
            np.where(region.x0 > 0, places[:, 0] - region.x0, np.inf),
            np.where(region.x1 < width, region.x1 - places[:, 0], np.inf),
        ]
        below = region.y1 - places[:, 1]
        across = _taper(np.minimum(*sides) * mm_per_px)
        across = across * (_taper(below * mm_per_px) if region.y1 < height else 1.0)
        up = across * _taper(below * mm_per_px)
        self._share = still[:, None] * np.column_stack([across, up, 0 * up])
        points = unprojected(places, depth.front_mm.ravel(), camera)
        pose = portrait.head.camera_from_head
        arm = points[:, :2] - (pose[:2, 3] + 260.0 * pose[:2, 1])
        self._lean = np.column_stack([-arm[:, 1], arm[:, 0], 0 * up]) * self._share

    def moved(self, shift_mm: np.ndarray, roll_deg: float) -> np.ndarray:
        """Return (nodes, 3) float32 displacements.

        Args:
            shift_mm: (3,) of the head.
            roll_deg: how far the head is tilted against the photo.
        """
        lean = np.radians(_ROLL * roll_deg) * self._lean
        return np.asarray(self._share * (_SHIFT * shift_mm) + lean, np.float32)


def _taper(distance_mm: np.ndarray) -> np.ndarray:
    share = np.clip(distance_mm / _TAPER_MM, 0, 1)
    return np.asarray(share * share * (3 - 2 * share))
