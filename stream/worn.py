"""What of the seen skin a motion draws out of few pixels, and the hidden skin that takes its place.

A cheek that was seen at a grazing angle smears when the head turns it to the camera, and where
skin meets hair or clothes farther off, the cells of the mesh between them tear. There skin in its
calm colours (`stream.underlay`) looks better, passing softly into what was well seen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.clean_edge import with_clean_edge
from stream.geometry import smoothstep
from stream.mesh import nodes_in_head
from stream.parting import parted
from stream.region import node_mm
from stream.sight import BODY, HAIR
from stream.symmetry import stretches_of
from stream.triangles import touched
from stream.underlay import DRAWN, JAW, seen_as, skin_share

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.mesh import HeadMesh, Sheet
    from stream.parting import Collar
    from stream.pose import HeadMotion
    from stream.region import NodeGrid
    from stream.sight import Sight

_WORN = (2.0, 3.6)  # magnification at which seen skin begins and ceases to be good
_SHADED = (1.3, 2.2)  # the same below the jaw: the line of shade along it would become a beard
_SMEARED = (1.4, 2.6)  # the same at the soft edge of the matte, of the room behind it
_FRINGE = (1.6, 3.0)  # the same at the rim of skin before the room, which then is no outline
_LOOSE = (2.2, 4.0)  # the same of hair: single ones become scribbles
_SINGLE = (0.15, 0.5)  # matte at the nodes: of single hairs, and of locks
_LEAST_WORN = 0.01
# What is worn yields to skin of its own place; beyond these magnifications it spans a depth step,
# and yields to whatever skin lies behind.
_WORN_YIELD_MM, _TORN_YIELD_MM, _TORN = 80.0, 300.0, (3.0, 6.0)
_SHADED_YIELD_MM = 110.0  # below the jaw: to its underside, not to the neck behind it
_GAP_YIELD_MM = 90.0  # of what closes a depth step: any other guess is better
_EYES_MM = (50.0, 65.0)  # below the middle of the head: glasses and temples end, cheeks begin
_CHEEK_MM = (22.0, 36.0)  # beside it
_CHIN_MM = (150.0, 160.0)  # below it, along the jaw: chins end
_SOFT = (0.4, 0.95)  # matte: where the near side's edge is soft, and where not
_OTHER = (0.6, 0.95)  # likelihood of hair and clothes, which skin does not take the place of
_EAR = (0.3, 0.7)  # the same of ears and their rings, and of what is kept to its rim
_RING_MM = 20.0  # below ears: so far down do their rings hang, which labels hardly show
_SLACK_MM = 8.0  # around skin
_BESIDE = np.ones((3, 3), np.uint8)


def mended(
    mesh: HeadMesh, under: Sheet | None, matte: np.ndarray, sight: Sight, head: Head,
    motion: HeadMotion, collar: Collar | None = None,
) -> HeadMesh:  # fmt: skip
    """Return a mesh on which what a motion draws out too far is replaced.

    Args:
        mesh: the head's mesh.
        under: hidden skin, as of `Underlay.sheet`, or None.
        matte: (rows, columns) float32 person matte at the nodes.
        sight: what the networks saw.
        head: the fitted head.
        motion: what is to be done with it.
        collar: of the head, where frames follow each other.
    """
    free = replace(mesh.sheet("near"), share=mesh.depth.free_turn)  # cloth is parted from it
    stretches = stretches_of(free, mesh.depth.grid, motion, head.camera)
    hair = seen_as(sight, mesh.depth, HAIR)
    clean = with_clean_edge(mesh, matte, stretches[..., 0], cv2.dilate(hair, _BESIDE))
    if under is None:
        return clean
    return _with_skin(clean, under, matte, stretches, hair, sight, head, collar)


def _with_skin(
    mesh: HeadMesh, under: Sheet, matte: np.ndarray, stretches: np.ndarray, hair: np.ndarray,
    sight: Sight, head: Head, collar: Collar | None,
) -> HeadMesh:  # fmt: skip
    """Put hidden skin beneath a mesh, and in the place of skin that a motion draws out too far.

    The soft edge of seen skin fades before it where a motion draws that edge out: what shines
    through there is the background of another place.
    """
    near, depth, stretch = mesh.sheet("near"), mesh.depth, stretches[..., 0]
    between_mm = node_mm(depth.grid, head)
    slack = max(1, round(_SLACK_MM / between_mm))
    around = np.ones((2 * slack + 1, 2 * slack + 1), np.uint8)
    beside_skin = cv2.dilate(skin_share(sight, depth), around)
    bare = beside_skin * (1 - hair)
    fading = smoothstep(stretch, *_SMEARED) * bare * (1 - smoothstep(matte, *_SOFT))
    fading = np.maximum(fading, smoothstep(stretch, *_LOOSE) * (1 - smoothstep(matte, *_SINGLE)))
    ears = np.zeros_like(matte) if depth.ears is None else depth.ears
    whole = near.opacity * (1 - fading * (1 - smoothstep(ears, *_EAR)))
    wide, other = cv2.dilate(stretches, _BESIDE), seen_as(sight, depth, BODY, HAIR)
    cheeks, below = _worn(wide, near, head, depth.chin_drop_mm)
    worn = np.maximum(cheeks, below) * beside_skin
    # Their border with skin is worn, too: it is that which is drawn out.
    worn *= 1 - smoothstep(cv2.erode(ears, _BESIDE), *_EAR)
    worn *= 1 - smoothstep(cv2.erode(other, _BESIDE), *_OTHER)
    rim = 1 - smoothstep(cv2.erode(matte, _BESIDE), *_SOFT)  # the room shines through
    # Where a turned jaw or neck ends, hidden skin knows better than a fringe of drawn out pixels.
    fringe = smoothstep(wide[..., 0], *_FRINGE) * rim * worn * _beside(under, depth.grid, around)
    kept = np.maximum(_with_rings(ears, between_mm), cv2.dilate(other, _BESIDE))
    whole *= 1 - fringe * (1 - smoothstep(kept, *_EAR))
    torn = np.maximum(smoothstep(stretch, *_TORN), rim)
    yield_mm = _WORN_YIELD_MM + (_TORN_YIELD_MM - _WORN_YIELD_MM) * torn
    yield_mm = np.maximum(yield_mm, _WORN_YIELD_MM + (_SHADED_YIELD_MM - _WORN_YIELD_MM) * below)
    bare_skin = beside_skin * (1 - cv2.dilate(hair, around))  # hair may lie over cloth
    left = (whole * (1 - worn)).astype(np.float32)
    parts = parted(mesh, bare_skin, left, yield_mm, between_mm, collar)
    if parts is None:
        return replace(mesh, sheets=_layered(mesh, under, whole, worn, yield_mm))
    inside, *rest = _layered(parts.rest, under, whole, worn, yield_mm)
    return replace(mesh, sheets=(inside, parts.below, *rest, *parts.above))


def _beside(under: Sheet, grid: NodeGrid, around: np.ndarray) -> np.ndarray:
    """Return (rows, columns) uint8, 1 where hidden skin that is drawn lies around a node."""
    nodes = np.rint(grid.nodes_at(under.places_px[under.opacity >= DRAWN])).astype(int)
    column, row = nodes[((nodes >= 0) & (nodes < (grid.columns, grid.rows))).all(axis=1)].T
    there = np.zeros((grid.rows, grid.columns), np.uint8)
    there[row, column] = 1
    return np.asarray(cv2.dilate(there, around))


def _with_rings(ears: np.ndarray, between_mm: float) -> np.ndarray:
    """Return (rows, columns) likelihood of ears, and of what hangs from them."""
    down = max(1, round(_RING_MM / between_mm))
    return np.asarray(cv2.dilate(ears, np.ones((down + 1, 3), np.uint8), anchor=(1, down)))


def _layered(
    mesh: HeadMesh, under: Sheet, whole: np.ndarray, worn: np.ndarray, yield_mm: np.ndarray
) -> tuple[Sheet, ...]:
    """Put skin between what of the near side is worn and what of it is left.

    Args:
        mesh: without both.
        under: the skin.
        whole: (rows, columns) opacity of the near side.
        worn: (rows, columns) share of it that skin may take the place of.
        yield_mm: (rows, columns) how far it yields to that skin.
    """
    near, solid, gap = mesh.sheet("near"), mesh.sheet("solid"), mesh.sheet("gap")
    left = (whole * (1 - worn)).astype(np.float32)
    inner, outer, across = (_worn_triangles(sheet, worn) for sheet in (solid, near, gap))
    parts = [s.triangles[w] for s, w in ((solid, inner), (near, outer), (gap, across))]
    guard = replace(near, kind="guard", triangles=np.concatenate(parts))
    most = float(near.yield_mm.max(initial=0))  # to a mirrored half: hidden skin yields to both
    drawn = replace(
        guard, kind="worn", opacity=(whole * worn).astype(np.float32), gain=np.dstack([left] * 3),
        yield_mm=most + yield_mm,
    )  # fmt: skip
    under = replace(under, yield_mm=most + under.yield_mm)
    soft = np.concatenate([parts[0], near.triangles, parts[2]])
    changed = {
        "near": replace(near, opacity=left, triangles=soft),
        "solid": replace(solid, triangles=solid.triangles[~inner]),
        "gap": replace(
            gap, triangles=gap.triangles[~across], yield_mm=gap.yield_mm + _GAP_YIELD_MM
        ),
    }
    inside, *rest = (changed.get(sheet.kind, sheet) for sheet in mesh.sheets)
    return inside, drawn, under, guard, *rest  # most of the skin lies behind what is inside


def _worn_triangles(sheet: Sheet, worn: np.ndarray) -> np.ndarray:
    """Return (T,) bool: which triangles of a sheet have a node that is worn."""
    return touched(worn > _LEAST_WORN, sheet.triangles)


def _worn(
    stretches: np.ndarray, near: Sheet, head: Head, chin_drop_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows, columns) how far what is drawn out is no good, of cheeks and below the jaw.

    From the eyes up glasses and hair cross the skin; the middle of a face is good to the chin.

    Args:
        stretches: (rows, columns, 2) magnification, as of `stretches_of`.
        near: the near side.
        head: whose.
        chin_drop_mm: how far below the fitted chin its own ends.
    """
    x_mm, y_mm, _ = nodes_in_head(near, head)
    aside_mm = np.abs(x_mm)
    below = smoothstep(y_mm + JAW * aside_mm - chin_drop_mm, *_CHIN_MM)
    cheeks = smoothstep(y_mm, *_EYES_MM) * smoothstep(aside_mm, *_CHEEK_MM)
    cheeks *= smoothstep(stretches[..., 0], *_WORN)
    return cheeks, below * smoothstep(stretches[..., 1], *_SHADED)
