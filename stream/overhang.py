"""Hair that hangs over one side of a face only, and what of that side its mirror may not replace.

A curtain of hair over one cheek contradicts the other half, in which that cheek and its ear are
bare: mirrored there, they would stand beside the curtain and tear it. Where it begins in the frame,
it goes on; the mirror then completes no more than the skin before it. Which it is, is a matter of
the head, and not of a place on it: along a border from node to node, hair would end in tatters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import invert_rigid, smoothstep
from stream.region import node_mm
from stream.sight import BACKGROUND, EAR, EYES, FACE, HAIR
from stream.underlay import seen_as

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.hair_depth import HeadDepth
    from stream.sight import Sight

_HEIGHT_MM, _ASIDE_MM = (40.0, 110.0), 30.0  # below and beside the cranium's middle: cheek, ear
_EAR_MM = (-25.0, -10.0)  # behind that middle: ears begin there, which hair before them hides
_OVER = (0.07, 0.11)  # share of a cheek under hair, below which none hangs there, and above which
_LEAST_MM2 = 200.0  # seen of a side: less tells nothing
# What must be seen of it, of what is seen of the other side, for each radian that it is turned by:
# of less no hair can be drawn, and a head has nothing but the mirror.
_ENOUGH = (0.45, 0.7)
_MEMORY = 0.95  # of what was seen, from frame to frame
_CHANGE = 0.15  # a frame, so that the picture does not jump
_HAIR, _BLUR_NODES = (0.3, 0.7), 1.0  # likelihood, of what begins to be kept, and is


def hidden_side(head: Head) -> float:
    """Return the sign of x, in head space, on the side that a head turns from the camera."""
    return -float(np.sign(invert_rigid(head.camera_from_head)[0, 3]))


@dataclass(slots=True)
class _Side:
    """What is known of one side of a face."""

    hair_mm2: float = 0.0  # of it, where the other side shows skin; what was seen lately
    seen_mm2: float = 0.0
    hangs: bool = False
    strength: float | None = None  # follows `hangs`

    def look(self, hair_mm2: float, seen_mm2: float) -> float:
        """Return how far hair counts as hanging over it, 0…1."""
        self.hair_mm2 = _MEMORY * self.hair_mm2 + hair_mm2
        self.seen_mm2 = _MEMORY * self.seen_mm2 + seen_mm2
        if self.seen_mm2 > _LEAST_MM2:
            self.hangs = self.hair_mm2 > _OVER[0 if self.hangs else 1] * self.seen_mm2
        now = 1.0 if self.hangs else 0.0
        before = now if self.strength is None else self.strength
        self.strength = before + min(max(now - before, -_CHANGE), _CHANGE)
        return self.strength


@dataclass(frozen=True, slots=True)
class Kept:
    """What a mirror may not replace, both (rows, columns) float32, 0…1.

    Attributes:
        seen: how far what nodes show stays as it is.
        mirrored: how far they may not be shown on the other side.
    """

    seen: np.ndarray
    mirrored: np.ndarray


@dataclass(slots=True)
class Overhang:
    """Over which sides of one face hair hangs, from frame to frame."""

    sides: tuple[_Side, _Side] = field(default_factory=lambda: (_Side(), _Side()))

    def kept(
        self, in_head: tuple[np.ndarray, ...], matte: np.ndarray, nodes: np.ndarray,
        depth: HeadDepth, head: Head, sight: Sight, angle: float,
    ) -> Kept | None:  # fmt: skip
        """Return what the mirror half of a head may not replace, or None for no such thing.

        Args:
            in_head: (rows, columns) float32 x, y and z of the nodes in head space, mm.
            matte: (rows, columns) float32 person matte.
            nodes: (rows, columns, 2) float32 (column, row) at which each node's mirror lies.
            depth: of the head.
            head: the fitted head.
            sight: what the networks saw.
            angle: that the head is turned by, radians.
        """
        if sight.labels is None:
            return None
        x_mm, y_mm, z_mm = in_head
        away = hidden_side(head)
        hair, skin = seen_as(sight, depth, HAIR), seen_as(sight, depth, FACE, EAR, EYES)
        cheeks = matte * (hair + skin) * ((y_mm > _HEIGHT_MM[0]) & (y_mm < _HEIGHT_MM[1]))
        there = cheeks * (away * x_mm > _ASIDE_MM)
        other = cv2.remap(skin, nodes, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        over = np.array([(there * hair * other).sum(), there.sum()])
        near = float((cheeks * (away * x_mm < -_ASIDE_MM)).sum())
        strength = self.sides[int(away > 0)].look(*over * node_mm(depth.grid, head) ** 2)
        strength *= float(smoothstep(over[1] / max(near * angle, 1e-3), *_ENOUGH))
        if strength == 0:
            return None
        beyond = cv2.GaussianBlur(hair + seen_as(sight, depth, BACKGROUND), (0, 0), _BLUR_NODES)
        seen = np.asarray(strength * smoothstep(beyond, *_HAIR), np.float32)
        mirrored = cv2.remap(seen, nodes, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        behind = np.asarray(strength * smoothstep(z_mm, *_EAR_MM), np.float32)
        return Kept(seen, cv2.max(mirrored, behind))
