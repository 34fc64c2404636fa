"""Hair that hangs beside the neck, closed to a tube around it.

A frame shows its outline and the side towards the camera. Flat as that is, it would turn like a
flag: narrower on the side that goes away, torn open on the other. A tube of the same outline stays
as wide as it is however it is turned. In front it shows what the frame shows there; behind, the
strip of hair along the outline folded over, level by level, so that strands hang as they hang.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.directions import outermost_run
from stream.geometry import project, smoothstep
from stream.region import looked_up
from stream.sight import HAIR
from stream.triangles import grid_triangles

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.region import Region
    from stream.sight import Sight

_LEVELS_MM = np.arange(0.0, 161.0, 20.0)  # below the middle of the cranium
_FROM_MM, _TO_MM = (0.0, 40.0), (100.0, 160.0)  # levels: scalp covers higher ones, cloth lower
_BESIDE_NECK = (_LEVELS_MM >= 60) & (_LEVELS_MM <= 140)  # levels at which hair that hangs is seen
_MOSTLY = 0.6  # of these levels
_STEP_MM, _WIDEST_MM = 2.5, 140.0  # of the looks along a level
_HAIR, _LEAST_MM = 0.5, 8.0  # likelihood; less of it beside the neck is none
_JOINT_MM = (20.0, 200.0)  # levels: hair hangs below the ears, and lower down around the joint
_BACK_MM, _DEEP = 95.0, 0.65  # the tube's back, from the cranium's middle; its front over its width
_BEHIND = np.radians(np.arange(0.0, 91.0, 15.0))  # angles from the middle of the back to the side
_BEFORE = np.array([1, 2, 3]) / 3  # shares of the way from the side to where hair ends in front
_RIM = 0.91  # of the tube's radius: the room shines through what lies outside
_FOLD_MM, _OUTER = 70.0, 0.7  # behind the outline, where the strip ends; how much of it is used
_INNER = 0.9  # of the hair seen in front: nearer to its inner end it is half skin
_FADE = np.radians([20.0, 60.0])  # beyond the back, of a side without hair of its own
_BULK = np.ones((1, 5), np.uint8)  # looks: what is narrower is a strand
_ONE_LEVEL = np.ones((1, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class HairPatch:
    """Part of the far side of a head.

    Attributes:
        points: (S, 3) camera space, mm.
        source_px: (S, 2) frame positions that give colours.
        opacity: (S,) 0…1.
        outside: (T, 3) int32 triangles, counter-clockwise seen from outside in a y-up view.
    """

    points: np.ndarray
    source_px: np.ndarray
    opacity: np.ndarray
    outside: np.ndarray

    def joined(self, other: HairPatch) -> HairPatch:
        """Return both as one."""
        return HairPatch(
            np.concatenate([self.points, other.points]),
            np.concatenate([self.source_px, other.source_px]),
            np.concatenate([self.opacity, other.opacity]),
            np.concatenate([self.outside, other.outside + len(self.points)]),
        )


@dataclass(frozen=True, slots=True)
class _Beside:
    """Hair at each level on the left and right of the picture, from the tube's axis."""

    outer_mm: np.ndarray  # (2, L) where it ends
    width_mm: np.ndarray  # (2, L)
    there: np.ndarray  # (2, L) bool


def hanging_hair(
    head: Head, joint_mm: np.ndarray, sight: Sight, matte: np.ndarray, region: Region
) -> HairPatch | None:
    """Return the tube of the hair that hangs beside a neck, or None where none is seen.

    Args:
        head: the fitted head.
        joint_mm: (3,) about which it turns, head space.
        sight: what the networks saw of the region.
        matte: (rows, columns) float32 of the person over the region: between single hairs that
            stand off, labels are those of hair, and colours those of the room.
        region: of the frame.
    """
    share = sight.share(HAIR)
    if share is None:
        return None
    share = share * cv2.resize(matte, share.shape[::-1])
    pose = head.camera_from_head
    down = pose[:3, 1]
    sideways = np.cross(down, [0.0, 0.0, 1.0])  # in the picture, so that outlines agree
    sideways /= np.linalg.norm(sideways)
    behind_mm = joint_mm[2] * smoothstep(_LEVELS_MM, *_JOINT_MM)
    axis = pose[:3, 3] + behind_mm[:, None] * pose[:3, 2] + _LEVELS_MM[:, None] * down
    beside = _beside(axis, sideways, share, head, region)
    if beside is None:
        return None
    frame = np.stack([sideways, np.cross(sideways, down)])
    halves = [_half(right, beside, axis, behind_mm, frame) for right in (0, 1)]
    halves[0] = tuple(part[:, :0:-1] for part in halves[0])  # the back's middle is there once
    points, source, opacity = (np.concatenate(parts, axis=1) for parts in zip(*halves, strict=True))
    triangles = grid_triangles(*opacity.shape)[:, ::-1]
    seen = (opacity.ravel()[triangles] > 0).any(axis=1)
    places = project(source.reshape(-1, 3), head.camera)
    return HairPatch(points.reshape(-1, 3), places, opacity.ravel(), triangles[seen])


def _half(
    right: int, beside: _Beside, axis: np.ndarray, behind_mm: np.ndarray, frame: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return one half of the tube, level by level from the middle of the back to the front.

    Args:
        right: 0 for the half on the left of the picture, 1 for the other.
        beside: the hair.
        axis: (L, 3) the tube's middle, camera space, mm.
        behind_mm: (L,) how far it lies behind the cranium's.
        frame: (2, 3) unit vectors to the right and to the back.

    Returns:
        (L, N, 3) points, (L, N, 3) places in the plane of the outline whose colours they have,
        (L, N) opacity.
    """
    own = beside.there[right]
    outer, width = (
        np.where(own, values[right], values[1 - right])[:, None]
        for values in (beside.outer_mm, beside.width_mm)
    )
    ends = np.pi - np.arcsin(np.clip(1 - _INNER * width / outer, 0, 1))  # of the hair in front
    before = np.pi / 2 + _BEFORE * (ends - np.pi / 2)
    angle = np.concatenate([np.broadcast_to(_BEHIND, (len(outer), len(_BEHIND))), before], axis=1)
    in_front = angle > np.pi / 2 + 1e-6
    across = outer * np.sin(angle)
    deep = np.where(in_front, _DEEP * outer, (_BACK_MM - behind_mm)[:, None]) * np.cos(angle)
    sign = 2 * right - 1
    points = axis[:, None] + (sign * across)[..., None] * frame[0] + deep[..., None] * frame[1]
    turns = np.abs(angle - np.pi / 2) * outer / _FOLD_MM / 2
    inwards = 2 * np.abs(turns - np.round(turns)) * np.minimum(_OUTER * width, _FOLD_MM)
    source = np.where(in_front, np.minimum(across, _RIM * outer), _RIM * outer - inwards)
    source *= np.where(own, sign, -sign)[:, None]
    borrowed = beside.there[1 - right][:, None] * (1 - smoothstep(angle, *_FADE))
    opacity = np.where(own[:, None], 1.0, borrowed)
    opacity *= (smoothstep(_LEVELS_MM, *_FROM_MM) * (1 - smoothstep(_LEVELS_MM, *_TO_MM)))[:, None]
    return points, axis[:, None] + source[..., None] * frame[0], opacity


def _beside(
    axis: np.ndarray, sideways: np.ndarray, share: np.ndarray, head: Head, region: Region
) -> _Beside | None:
    """Return the hair beside the neck, or None where on neither side any hangs."""
    sides = [_along_levels(axis, sign * sideways, share, head, region) for sign in (-1, 1)]
    outer, width = (np.array(values) for values in zip(*sides, strict=True))
    seen = width >= _LEAST_MM
    hangs = seen[:, _BESIDE_NECK].mean(axis=1) >= _MOSTLY
    if not hangs.any():
        return None
    for number in np.flatnonzero(hangs):  # an ear ring parts no hair
        known = _LEVELS_MM[seen[number]]
        for values in (outer, width):
            values[number] = np.interp(_LEVELS_MM, known, values[number][seen[number]])
    width = cv2.erode(width, _ONE_LEVEL)
    outer, width = (cv2.blur(values, (3, 1)) for values in (outer, width))
    lower = np.logical_or.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    return _Beside(outer, width, lower & hangs[:, None])


def _along_levels(
    axis: np.ndarray, sideways: np.ndarray, share: np.ndarray, head: Head, region: Region
) -> tuple[np.ndarray, np.ndarray]:
    """Return (L,) mm from the axis to where hair ends on one side, and (L,) its width there."""
    mm = np.arange(10.0, _WIDEST_MM, _STEP_MM)
    places = project(axis[:, None] + mm[:, None] * sideways, head.camera)
    hair = looked_up(share, places, region) > _HAIR
    # Single strands that stand off hide nothing: the tube ends with the bulk of the hair.
    hair = cv2.morphologyEx(hair.astype(np.uint8), cv2.MORPH_OPEN, _BULK) > 0
    before, last = outermost_run(hair)
    return mm[last], np.where(hair.any(axis=1), (last - before) * _STEP_MM, 0.0)
