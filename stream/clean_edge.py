"""Edges of the head that a motion draws out, in the colours of what lies a little further inside.

In the soft rim of a matte the room shines through, and cameras draw a bright line around things.
At its own width nobody sees that; drawn out to three times as much it is the edge of a sticker.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import smoothstep

if TYPE_CHECKING:
    from stream.mesh import HeadMesh

_SOFT = (0.4, 0.95)  # matte, of the nodes around too: where an edge begins, and ends
_INSIDE_NODES = 1.2  # so far from the edge its colours are the head's own
_INSIDE_HAIR_NODES = 3.0  # the room shines between strands for longer
_OUTLINE_NODES = 1.5  # blur that leaves of hairs and holes only the outline


def with_clean_edge(
    mesh: HeadMesh, matte: np.ndarray, stretch: np.ndarray, hair: np.ndarray
) -> HeadMesh:
    """Return a mesh whose soft edge takes its colours further inside where it is drawn out.

    Of hair only the hue is taken: strands and the room between them differ in brightness.

    Args:
        mesh: the head's mesh.
        matte: (rows, columns) float32 person matte at the nodes.
        stretch: (rows, columns) magnification by the motion, as of `stretch_of`.
        hair: (rows, columns) likelihood of hair.
    """
    outline = cv2.GaussianBlur(matte, (0, 0), _OUTLINE_NODES)
    uphill = np.dstack([cv2.Sobel(outline, cv2.CV_32F, 1, 0), cv2.Sobel(outline, cv2.CV_32F, 0, 1)])
    steep = np.maximum(np.linalg.norm(uphill, axis=-1, keepdims=True), 1e-3)
    rim = 1 - smoothstep(cv2.erode(matte, np.ones((3, 3), np.uint8)), *_SOFT)
    nodes = _INSIDE_NODES + (_INSIDE_HAIR_NODES - _INSIDE_NODES) * hair
    inward_px = uphill / steep * (rim * nodes)[..., None] * max(mesh.depth.grid.step_px)
    share = np.clip(stretch - 1, 0, 1) * (1 - 2 * hair)
    gain = np.dstack([inward_px, share]).astype(np.float32)
    sheets = (replace(s, gain=gain) if s.kind == "near" else s for s in mesh.sheets)
    return replace(mesh, sheets=tuple(sheets))
