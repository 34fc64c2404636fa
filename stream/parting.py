"""Where skin meets cloth, a turn parts them: the head goes, the collar stays.

In one mesh the cells between them would be drawn out, and a collar would follow the jaw like
rubber. So each such cell is there twice, once as part of the head and once as cloth, each up to
the line between them; what opens shows the hidden skin (`stream.underlay`), and where none is
known, the drawn-out cell beneath it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.cloth import STAYS
from stream.geometry import smoothstep
from stream.mesh import cell_extremes

if TYPE_CHECKING:
    from stream.cloth import Cloth
    from stream.hair_depth import HeadDepth
    from stream.mesh import HeadMesh, Sheet, SheetKind
    from stream.region import NodeGrid

_NEAR_SIDE: tuple[SheetKind, ...] = ("solid", "near", "gap")
_MIXED = (0.1, 0.98)  # likelihood of cloth between which a cell is neither
_SKIN = 0.5  # likelihood nearby: hair that lies on cloth stays with it
_SURE, _REACH = 0.7, np.ones((7, 7), np.uint8)  # share of cloth, and nodes from there on
_EDGE = 0.3  # share of cloth
# Share of the motion that is left nearly all along the edge of a collar: below the one it is
# no longer close, above the other it is.
_CLOSE = (0.3, 0.45)
_LONG_MM = (50.0, 70.0)  # the same of how long its edge is: ear rings and straps are shorter
_LINE = 0.5  # of a triangle, at most, is what the line's soft pixel reaches beyond it
_CLOTH_BEHIND_MM, _NECK_BEHIND_MM = 25.0, 60.0  # a jaw goes over a collar, a neck goes into it
_NECK = (0.1, 0.5)  # share of neck in the skin, from which it goes into a collar
_HEM_NODES, _HEM_BLUR_NODES = 1.1, 1.5  # where cloth ends, its colours lie so far inside
_HEM = (0.5, 0.98)  # blurred share of cloth, from its edge to its inside
_BARE = (0.02, 0.3)  # share of cloth in what is mirrored
_FRINGE = np.ones((5, 5), np.uint8)  # of nodes beside cloth that are not mirrored
_BELOW_MM = 400.0  # drawn-out cells yield to all skin


@dataclass(slots=True)
class Collar:
    """Whether the collar of one head is close to its jaw, from frame to frame."""

    is_close: bool = False

    def look(self, left: float, long_mm: float) -> bool:
        """Return whether it is, with some inertia, so that a picture does not flicker.

        Args:
            left: share of the motion that is left nearly all along its edge.
            long_mm: the longest piece of that.
        """
        bound = 0 if self.is_close else 1
        self.is_close = left > _CLOSE[bound] and long_mm > _LONG_MM[bound]
        return self.is_close


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a mesh lies across the edge of cloth.

    Attributes:
        rest: the mesh without it.
        below: in one piece, as it was.
        above: the cloth and the head, apart.
    """

    rest: HeadMesh
    below: Sheet
    above: tuple[Sheet, Sheet]


def parted(
    mesh: HeadMesh, beside_skin: np.ndarray, opacity: np.ndarray, yield_mm: np.ndarray,
    node_mm: float, collar: Collar | None = None,
) -> Parts | None:  # fmt: skip
    """Take a mesh apart along the edge of cloth, or return None where it has none.

    Cloth that lies farther down a neck, where little of the motion is left, is drawn out too
    gently to be seen: there one piece has no seams.

    Args:
        mesh: the head's mesh.
        beside_skin: (rows, columns) likelihood of skin nearby.
        opacity: (rows, columns) float32 of what is drawn of its near side.
        yield_mm: (rows, columns) how far what is not yields to hidden skin.
        node_mm: distance of neighbouring nodes at the head.
        collar: of the head, where frames follow each other.
    """
    depth, cloth = mesh.depth, mesh.depth.cloth
    if cloth is None:
        return None
    across = _across(cloth, beside_skin)
    if not across.any():
        return None
    left_there = float(np.percentile(depth.free_turn[:-1, :-1][across], 10))
    if not (collar or Collar()).look(left_there, _longest(across) * node_mm):
        return None
    sheets = [mesh.sheet(kind) for kind in _NEAR_SIDE]
    inside = [_in_cells(sheet, across) for sheet in sheets]
    if not any(part.any() for part in inside):
        return None
    torn = np.concatenate([s.triangles[i] for s, i in zip(sheets, inside, strict=True)])
    whole = replace(mesh.sheet("near"), triangles=torn)
    beside_cut = cv2.blur(_used([whole], opacity.shape).astype(np.float32), (3, 3))
    behind = _CLOTH_BEHIND_MM * cloth.nearest * beside_cut
    neck_mm = _NECK_BEHIND_MM * smoothstep(cloth.neck, *_NECK)  # behind what it goes into
    behind += neck_mm * (1 - cloth.nearest)
    left = [
        replace(s, triangles=s.triangles[~i], yield_mm=s.yield_mm + behind)
        for s, i in zip(sheets, inside, strict=True)
    ]
    above = _apart(whole, depth, _used(left, opacity.shape), cloth, opacity, neck_mm)
    # What is mirrored is the head alone, and no strip of it that cloth holds.
    bare = 1 - smoothstep(cv2.dilate(cloth.share, _FRINGE), *_BARE)
    left += [
        replace(s, opacity=s.opacity * bare, yield_mm=s.yield_mm + behind)
        for s in mesh.sheets
        if s.kind == "mirror"
    ]
    by_kind = {sheet.kind: sheet for sheet in left}
    rest = replace(mesh, sheets=tuple(by_kind.get(s.kind, s) for s in mesh.sheets))
    far_mm = yield_mm + _BELOW_MM * smoothstep(cloth.taken, 0, _EDGE)
    return Parts(rest, _below(whole, far_mm), above)


def _across(cloth: Cloth, beside_skin: np.ndarray) -> np.ndarray:
    """Return (rows - 1, columns - 1) bool, the cells along the edge of cloth.

    One cell more to each side: at the border of the cut nodes are those of the rest.

    Args:
        cloth: at the nodes.
        beside_skin: (rows, columns) likelihood of skin nearby.
    """
    low = cell_extremes(np.minimum(cloth.share, cloth.nearest))[0]
    high = cell_extremes(np.maximum(cloth.taken, cloth.nearest))[1]
    mixed = (high > _MIXED[0]) & (low < _MIXED[1])
    beside_cloth = cv2.dilate((cloth.share > _SURE).astype(np.float32), _REACH)
    mixed &= cell_extremes(beside_skin * beside_cloth * cloth.unlike)[1] > _SKIN
    rows, columns = beside_skin.shape
    cells = mixed.reshape(rows - 1, columns - 1).astype(np.uint8)
    return cv2.dilate(cells, np.ones((3, 3), np.uint8)) > 0


def _longest(cells: np.ndarray) -> int:
    """Return how many cells wide or high the largest connected piece of bool cells is."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(cells.view(np.uint8))
    return int(stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(initial=0))


def _apart(
    whole: Sheet, depth: HeadDepth, used: np.ndarray, cloth: Cloth, opacity: np.ndarray,
    neck_mm: np.ndarray,
) -> tuple[Sheet, Sheet]:  # fmt: skip
    """Return the cloth of a sheet, and the head.

    Args:
        whole: the sheet.
        depth: of its nodes.
        used: (rows, columns) bool, nodes that other sheets have, too: moved, they would crack.
        cloth: at the nodes.
        opacity: (rows, columns) of the head.
        neck_mm: (rows, columns) how far its neck counts as behind what it goes into.
    """
    goes = np.where(used, depth.turn, depth.free_turn)
    stays = np.where(used, depth.turn, (1 - STAYS) * depth.free_turn)
    full = np.ones_like(opacity)
    hem, plain = _hem_px(cloth, depth.grid), np.zeros((*full.shape, 2), np.float32)
    gains = np.dstack([full, hem]), np.dstack([opacity, plain])
    return (
        _cut(whole, stays, cloth.taken - _EDGE, gains[0], _CLOTH_BEHIND_MM * full),
        _cut(whole, goes, _EDGE - cloth.taken, gains[1], neck_mm),
    )


def _hem_px(cloth: Cloth, grid: NodeGrid) -> np.ndarray:
    """Return (rows, columns, 2) float32 the way, px, to where a hem has the colours of cloth.

    What goes with cloth reaches a little over the skin beside it, which would stay as a strip.
    """
    # What is nearest does not end at the room, from which no colours shall be kept.
    outline = cv2.GaussianBlur(cv2.max(cloth.share, cloth.nearest), (0, 0), _HEM_BLUR_NODES)
    right, down = cv2.Sobel(outline, cv2.CV_32F, 1, 0), cv2.Sobel(outline, cv2.CV_32F, 0, 1)
    nodes = _HEM_NODES * (1 - smoothstep(outline, *_HEM))
    nodes /= cv2.max(cv2.magnitude(right, down), 1e-3)
    step_x, step_y = grid.step_px
    return cv2.merge([right * nodes * np.float32(step_x), down * nodes * np.float32(step_y)])


def _cut(
    sheet: Sheet, share: np.ndarray, inside: np.ndarray, gain: np.ndarray, behind_mm: np.ndarray
) -> Sheet:
    """Return a sheet that ends in a sharp line, where (rows, columns) `inside` is 0."""
    corners = inside.ravel()[sheet.triangles].T
    most, least = corners.max(axis=0), corners.min(axis=0)
    drawn = most + _LINE * (most - least) > 0  # elsewhere nothing is left of it
    return replace(
        sheet, kind="cut", share=share.astype(np.float32), opacity=inside.astype(np.float32),
        yield_mm=sheet.yield_mm + behind_mm, gain=gain.astype(np.float32),
        triangles=sheet.triangles[drawn],
    )  # fmt: skip


def _below(whole: Sheet, behind_mm: np.ndarray) -> Sheet:
    nothing = np.zeros((*whole.opacity.shape, 3), np.float32)  # comes over it
    most, full = float(whole.yield_mm.max(initial=0)), np.ones_like(whole.opacity)
    return replace(whole, kind="worn", yield_mm=most + behind_mm, opacity=full, gain=nothing)


def _in_cells(sheet: Sheet, cells: np.ndarray) -> np.ndarray:
    """Return (T,) bool: which triangles of a sheet lie in (rows - 1, columns - 1) cells."""
    columns = sheet.depth_mm.shape[1]
    a, b, c = sheet.triangles.T
    row = np.minimum(np.minimum(a, b), c) // columns
    left = np.minimum(np.minimum(a % columns, b % columns), c % columns)
    return np.asarray(cells[row, left])


def _used(sheets: list[Sheet], shape: tuple[int, ...]) -> np.ndarray:
    """Return (rows, columns) bool: which nodes of a grid the triangles of sheets stand on."""
    used = np.zeros(shape, bool)
    for sheet in sheets:
        used.reshape(-1)[sheet.triangles] = True
    return used
