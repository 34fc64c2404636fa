"""Ears that are whole down to their roots, and cheeks that go back to them gently.

What labels call an ear ends short of its lobe, of the tragus and of the fold that joins it to the
cheek. Where the depth of the cheek began inside of them, a turn drew them out over the side of the
face, which a photo from the front hardly shows: wide, flat ears. That side is skin without much in
it, and there the depth may go back over some millimetres, which a turn shows as smooth skin.

A photo that is turned shows that side on one half, and the other half is its mirror.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.ears import behind_roots
from stream.geometry import smoothstep
from stream.pose import seen_angles
from stream.region import node_mm

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.hair_depth import HeadDepth
    from stream.head_model import HeadModel
    from stream.sight import Sight

_EAR_LABEL = 3  # of the head model
_EAR = (0.4, 0.7)  # likelihood of an ear that begins to count, and does
_YAW = (
    4.0,
    10.0,
)  # degrees, at which one ear begins to be seen well, and the other's mirror is drawn
_SHORT_MM = 7.0  # by which labels are too short
_CHEEK_MM, _AROUND_MM = (
    4.0,
    20.0,
)  # standard deviation of the step to the cheek; all that it reaches


def with_whole_ears(depth: HeadDepth, model: HeadModel, head: Head, sight: Sight) -> HeadDepth:
    """Return depth in which all of an ear lies behind its root, and not what labels call so alone.

    Args:
        depth: of the head.
        model: the head model.
        head: the fitted head.
        sight: what the networks saw there.
    """
    frontal = 1 - float(smoothstep(abs(seen_angles(head.camera_from_head)[0]), *_YAW))
    if depth.ears is None or frontal == 0:
        return depth
    of_mm = node_mm(depth.grid, head)
    wide, all_around = (
        cv2.dilate(depth.ears, _disc(reach_mm / of_mm)) for reach_mm in (_SHORT_MM, _AROUND_MM)
    )
    ear_z_mm = model.shape(head.identity, head.expression)[model.labels == _EAR_LABEL, 2]
    roots_mm = behind_roots(depth.front_mm, all_around, ear_z_mm, head, depth.grid, sight)
    share = cv2.GaussianBlur(smoothstep(wide, *_EAR), (0, 0), _CHEEK_MM / of_mm) * frontal
    front_mm = depth.front_mm + share * np.maximum(roots_mm - depth.front_mm, 0)
    return replace(depth, front_mm=front_mm.astype(np.float32))


def _disc(radius: float) -> np.ndarray:
    side = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
