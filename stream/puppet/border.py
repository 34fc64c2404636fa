"""A head that the photo's border cuts: it may not come off the border, or its cut would show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import project, transform_points
from stream.puppet.fields import unprojected

if TYPE_CHECKING:
    from stream.pose import HeadMotion
    from stream.puppet.portrait import Portrait

_INSIDE = 0.5  # of the matte, and of the head's motion: less is none of the head's
_MOST_MM = 30.0  # by which a head is held: beyond, the neck would look stretched
_INWARD = {"top": (0.0, 1.0), "left": (1.0, 0.0), "right": (-1.0, 0.0)}  # in the picture


class Border:
    """Keeps the cut edges of a head on the photo's upper border and at its sides.

    Args:
        portrait: the photo.
    """

    def __init__(self, portrait: Portrait) -> None:
        self._camera = portrait.head.camera
        depth, region = portrait.mesh.depth, portrait.region
        shape = depth.turn.shape
        matte = cv2.resize(portrait.matte, shape[::-1], interpolation=cv2.INTER_AREA)
        head = (matte > 255 * _INSIDE) & (depth.turn > _INSIDE)
        places = depth.grid.positions_px.reshape(*shape, 2)
        parts: dict[str, tuple[bool, tuple[int | slice, int | slice]]] = {
            "top": (region.y0 == 0, (0, slice(None))),
            "left": (region.x0 == 0, (slice(None), 0)),
            "right": (region.x1 == portrait.size[0], (slice(None), -1)),
        }
        self._cuts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for side, (at_border, line) in parts.items():
            if at_border and head[line].any():
                px = places[line][head[line]].astype(float)
                points = unprojected(px, depth.front_mm[line][head[line]], self._camera)
                self._cuts.append((np.array(_INWARD[side]), px, points))

    def kept(self, motion: HeadMotion) -> HeadMotion:
        """Return a motion of the head, shifted so that its cut edges stay out of the picture."""
        whole = motion.blended(np.array(1.0), np.array(1.0))
        back_mm = np.zeros(3)
        for inward, before_px, points in self._cuts:
            moved = transform_points(whole, points)
            inside_px = (project(moved, self._camera) - before_px) @ inward
            worst = int(inside_px.argmax())
            mm_per_px = moved[worst, 2] / self._camera[0, 0]
            back_mm[:2] -= max(inside_px[worst], 0.0) * mm_per_px * inward
        held_mm = np.clip(back_mm, -_MOST_MM, _MOST_MM)
        return replace(motion, translation_mm=motion.translation_mm + held_mm)
