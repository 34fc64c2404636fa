"""Shoulders that follow a little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.puppet.fields import unprojected

if TYPE_CHECKING:
    from stream.puppet.portrait import Portrait

# Share of the head's shift, by axis: who leans aside takes his shoulders along, or the neck would
# leave its collar.
_SHIFT = np.array([0.65, 0.25, 0.0])
_ROLL = 0.12  # share of the head's roll
_TAPER_MM = 60.0  # towards borders of the region beyond which nothing moves
_LEAN_MM = 120.0  # towards its lower border: so high leans a body that the picture shows further


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
        self._still = 1 - np.clip(depth.turn.reshape(-1, 1), 0, 1).astype(np.float32)
        # At the photo's own lower border the body goes on unseen: it may shift, not rise.
        sides = np.minimum(places[:, 0] - region.x0, region.x1 - places[:, 0])
        below = region.y1 - places[:, 1]
        cut = region.y1 >= portrait.size[1]
        across = _taper(sides * mm_per_px)
        across = across * (1.0 if cut else _taper(below * mm_per_px, _LEAN_MM))
        up = across * _taper(below * mm_per_px)
        self._share = np.column_stack([across, up, 0 * up]).astype(np.float32)
        points = unprojected(places, depth.front_mm.ravel(), camera)
        pose = portrait.head.camera_from_head
        arm = points[:, :2] - (pose[:2, 3] + 260.0 * pose[:2, 1])
        lean = np.column_stack([-arm[:, 1], arm[:, 0], 0 * up]) * self._share
        self._lean = lean.astype(np.float32)

    def moved(self, shift_mm: np.ndarray, roll_deg: float) -> tuple[np.ndarray, np.ndarray]:
        """Return (nodes, 3) float32 displacements of the skin, and of clothes over it.

        Clothes go with the body, also where the neck below them turns with the head.

        Args:
            shift_mm: (3,) of the head.
            roll_deg: how far the head is tilted against the photo.
        """
        shifted = self._share * (_SHIFT * shift_mm).astype(np.float32)
        clothes = shifted + np.float32(np.radians(_ROLL * roll_deg)) * self._lean
        return self._still * clothes, clothes


def _taper(distance_mm: np.ndarray, over_mm: float = _TAPER_MM) -> np.ndarray:
    share = np.clip(distance_mm / over_mm, 0, 1)
    return np.asarray(share * share * (3 - 2 * share))
