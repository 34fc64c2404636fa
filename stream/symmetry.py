"""What a turned head hides, taken from its mirror half.

A head that is seen from the side shows one cheek, one ear and the hair on one side. When it is
turned towards the camera the other half comes into sight; the near half, mirrored in the plane
of symmetry, is the best guess of it. What the frame itself contradicts is left out: a mirrored
node that would have been seen, and was not, is carved away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.fill import pull_push
from stream.geometry import invert_rigid, project, smoothstep, transform_points
from stream.mesh import HeadMesh, Sheet, nodes_in_head
from stream.overhang import Overhang, hidden_side
from stream.region import node_mm, reduced
from stream.sight import EYES
from stream.triangles import touched
from stream.underlay import seen_as

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.hair_depth import HeadDepth
    from stream.overhang import Kept
    from stream.pose import HeadMotion
    from stream.region import NodeGrid
    from stream.sight import Sight

_YAW = (4.0, 10.0)  # degrees: a head seen more frontally hides nothing that its mirror shows
_TURN = (2.0, 8.0)  # degrees that the hidden side must come nearer
_HIDDEN_MM = (4.0, 12.0)  # behind what is seen: a mirrored node begins to be, and is, hidden
_MIRROR_YIELD_MM, _SMEAR_YIELD_MM = 3.0, 60.0  # to good colours, and to the mirror
_SOONER = 4.0  # seen colours yield before their mirror is opaque, so that it comes in softly
_STRETCH = (1.4, 2.6)  # magnification at which the frame's own colours begin and cease to do
_EYE_STRETCH = (2.6, 2.9)  # the same of an eye
_EYE_PX = (60.0, 150.0)  # pixels of an eye: of fewer, drawn out, none can be made
_AROUND_EYE = np.ones((5, 5), np.uint8)  # nodes
_SLOPE = (8.0, 20.0)  # depth over width, at which a node is seen too obliquely to be mirrored
_CARVE_SLACK_MM = 12.0  # halves are not quite alike: so far outside the outline is no contradiction
_DARK, _GAINS = 12.0, (0.4, 2.0)  # grey levels that damp the ratio of dark colours; bounds of it
_HUE_CHANGE, _LIGHT_CHANGE = 0.04, 0.35  # of log colour, from side to side, by light alone
_SKULL_MM = (79.0, 69.0, 104.0)  # from the cranium's middle to its side, crown and back
_OFF_MM = (18.0, 30.0)  # of it: a bun is there once, and would float beside the other half
_SPOT_MM = 20.0  # what is smaller, of shown or left out, is chance
_SURE = (0.5, 0.9)  # matte: what is not surely the head is not mirrored


def with_mirror_half(
    mesh: HeadMesh, picture: np.ndarray, matte: np.ndarray, head: Head, motion: HeadMotion,
    sight: Sight | None = None, overhang: Overhang | None = None,
) -> HeadMesh:  # fmt: skip
    """Put the mirrored near side where a motion shows what is missing or would be smeared.

    Args:
        mesh: the head's mesh.
        picture: (h, w, 3) uint8 RGB of the mesh's region.
        matte: (rows, columns) float32 person matte at the nodes.
        head: the fitted head.
        motion: what is to be done with it.
        sight: what the networks saw.
        overhang: of the head, where frames follow each other.

    Returns:
        The mesh itself where nothing hidden comes into sight.
    """
    revealed = hidden_half_share(head, motion)
    if revealed == 0:
        return mesh
    near, depth = mesh.sheet("near"), mesh.depth
    places, mirrored_mm = mirrored_nodes(near, head)
    free = replace(near, share=depth.free_turn)  # it parts from cloth, which stays
    nodes, in_head = _on_the_grid(places, depth.grid), nodes_in_head(near, head)
    stretch = stretch_of(free, depth.grid, motion, head.camera)
    smeared = _smeared(stretch, in_head[0], matte, depth, head, sight)
    kept = None
    if sight is not None:
        angle = float(np.linalg.norm(motion.axis_angle))
        side = overhang or Overhang()
        kept = side.kept(in_head, matte, nodes, depth, head, sight, angle)
    sure = smoothstep(cv2.erode(matte, np.ones((3, 3), np.uint8)), *_SURE)
    slope = _slope(depth, head)
    opacity = _missing(nodes, mirrored_mm, matte, depth, smeared, slope, head) * revealed * sure
    opacity *= 1 - smoothstep(slope, *_SLOPE)
    opacity *= 1 - smoothstep(_off_the_skull(*in_head), *_OFF_MM)
    opacity = _in_one_piece(opacity, node_mm(depth.grid, head), kept)
    if kept is not None:
        smeared = smeared * (1 - kept.seen)
    triangles = np.concatenate([mesh.sheet("solid").triangles, near.triangles])
    triangles = triangles[touched(opacity > 0, triangles)]  # the rest shows nothing
    gain = _light_of_the_other_side(picture, nodes, opacity, depth)
    mirror = Sheet("mirror", places, mirrored_mm, free.share, near.colours_px, opacity,
                   np.full_like(opacity, _MIRROR_YIELD_MM), triangles,
                   gain)  # fmt: skip
    # A soft edge before the mirrored half would show the room through it.
    yields = np.maximum(np.minimum(_SOONER * smeared, 1), 1 - sure)
    yielding = tuple(
        replace(sheet, yield_mm=sheet.yield_mm + _SMEAR_YIELD_MM * yields)
        if sheet.kind != "far"
        else sheet
        for sheet in mesh.sheets
    )
    return replace(mesh, sheets=(*yielding, mirror))


def hidden_half_share(head: Head, motion: HeadMotion) -> float:
    """Return how far a motion turns a head's hidden side into sight: 0 not at all, 1 clearly."""
    sight = head.camera_from_head[:3, 3] / np.linalg.norm(head.camera_from_head[:3, 3])
    side = np.cross(sight, head.camera_from_head[:3, 1])
    nose = -head.camera_from_head[:3, 2]
    turned = motion.blended(np.array(1.0), np.array(0.0))[:3, :3] @ nose
    sines = np.array([nose @ side, turned @ side])
    before, after = np.degrees(np.arcsin(np.clip(sines, -1, 1)))
    change = (before - after) * np.sign(before)
    return float(smoothstep(np.abs(before), *_YAW) * smoothstep(change, *_TURN))


def mirrored_nodes(near: Sheet, head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Reflect the nodes of a sheet in the head's plane of symmetry.

    Returns:
        (rows, columns, 2) float32 frame positions and (rows, columns) float32 depth, mm.
    """
    camera = head.camera
    rays = (near.places_px - camera[:2, 2]) / camera[0, 0]
    points = np.dstack([rays * near.depth_mm[..., None], near.depth_mm])
    in_head = transform_points(invert_rigid(head.camera_from_head), points)
    in_head[..., 0] *= -1
    mirrored = transform_points(head.camera_from_head, in_head)
    return project(mirrored, camera).astype(np.float32), mirrored[..., 2].astype(np.float32)


def _off_the_skull(x_mm: np.ndarray, y_mm: np.ndarray, z_mm: np.ndarray) -> np.ndarray:
    """Return how far nodes lie beside, above and behind a skull, mm; less than 0 within it."""
    parts = x_mm, cv2.min(y_mm, 0.0), cv2.max(z_mm, 0.0)
    squares = [(part / half) ** 2 for part, half in zip(parts, _SKULL_MM, strict=True)]
    return np.asarray((np.sqrt(sum(squares)) - 1) * _SKULL_MM[0])


def _on_the_grid(places_px: np.ndarray, grid: NodeGrid) -> np.ndarray:
    """Return (rows, columns, 2) float32 (column, row) of places in the frame."""
    affine = grid.nodes_from_frame.astype(np.float32)
    return np.asarray(places_px @ affine[:, :2].T + affine[:, 2])


def moved_nodes(
    places_px: np.ndarray, depth_mm: np.ndarray, share: np.ndarray, motion: HeadMotion,
    camera: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return the (..., 2) frame positions of nodes after a motion.

    Args:
        places_px: (..., 2) before it.
        depth_mm: (...,) before it.
        share: (...,) of the motion that each node follows.
        motion: the motion.
        camera: (3, 3) intrinsics.
    """
    centre, focal = camera[:2, 2].astype(np.float32), np.float32(camera[0, 0])
    rays = np.asarray((places_px - centre) / focal)
    pivot = motion.pivot_mm.astype(np.float32)
    at = rays[..., 0] * depth_mm - pivot[0], rays[..., 1] * depth_mm - pivot[1], depth_mm - pivot[2]
    angle = np.linalg.norm(motion.axis_angle)
    axis = (motion.axis_angle / max(angle, 1e-9)).astype(np.float32)
    share = np.asarray(np.clip(share, 0, 1), np.float32)
    turn = share * np.float32(angle)
    cosine, sine = np.cos(turn), np.sin(turn)
    along = (axis[0] * at[0] + axis[1] * at[1] + axis[2] * at[2]) * (1 - cosine)
    shift = motion.translation_mm.astype(np.float32)
    moved = []
    for i in range(3):  # Rodrigues' formula
        j, k = (i + 1) % 3, (i + 2) % 3
        across = axis[j] * at[k] - axis[k] * at[j]
        moved.append(at[i] * cosine + across * sine + axis[i] * along + pivot[i] + share * shift[i])
    u = camera[0, 0] * moved[0] / moved[2] + camera[0, 2]
    v = camera[1, 1] * moved[1] / moved[2] + camera[1, 2]
    return np.stack([u, v], axis=-1).astype(np.float32)


def _smeared(
    stretch: np.ndarray, x_mm: np.ndarray, matte: np.ndarray, depth: HeadDepth, head: Head,
    sight: Sight | None,
) -> np.ndarray:  # fmt: skip
    """Return (rows, columns) 0 where a motion keeps the texture's scale, 1 where it smears.

    The far eye is one thing: half of it and half of the other one are none, and the other one
    mirrored looks elsewhere. So all of it stays, or goes, by its mean, unless it is tiny.

    Args:
        stretch: (rows, columns) as of `stretch_of`.
        x_mm: (rows, columns) of the nodes in head space.
        matte: (rows, columns) float32 person matte.
        depth: of the head.
        head: the fitted head.
        sight: what the networks saw.
    """
    smeared = smoothstep(stretch, *_STRETCH)
    if sight is None or sight.labels is None:
        return smeared
    eye = matte * seen_as(sight, depth, EYES) * (hidden_side(head) * x_mm > 0)
    there = float(smoothstep(eye.sum() * np.prod(depth.grid.step_px), *_EYE_PX))
    if there == 0:
        return smeared
    drawn_out = smoothstep(np.average(stretch, weights=eye), *_EYE_STRETCH)
    around = there * cv2.blur(cv2.dilate(eye, _AROUND_EYE), (3, 3))
    return np.asarray(smeared + around * (drawn_out - smeared))


def stretch_of(near: Sheet, grid: NodeGrid, motion: HeadMotion, camera: np.ndarray) -> np.ndarray:
    """Return (rows, columns) how many times as long a motion makes the texture at each node."""
    return stretches_of(near, grid, motion, camera)[..., 0]


def stretches_of(near: Sheet, grid: NodeGrid, motion: HeadMotion, camera: np.ndarray) -> np.ndarray:
    """Return (rows, columns, 2) what `stretch_of` does, and how many times as high."""
    moved = moved_nodes(near.places_px, near.depth_mm, near.share, motion, camera)
    (x_by_y, x_by_x), (y_by_y, y_by_x) = (np.gradient(plane) for plane in cv2.split(moved))
    wide = cv2.magnitude(x_by_x, y_by_x) / grid.step_px[0]
    high = cv2.magnitude(x_by_y, y_by_y) / grid.step_px[1]
    upwards = np.abs(y_by_y) / grid.step_px[1]
    return cv2.GaussianBlur(cv2.merge([np.maximum(wide, high), upwards]), (0, 0), 1.0)


def _slope(depth: HeadDepth, head: Head) -> np.ndarray:
    """Return (rows, columns) float32 depth over width of the near side."""
    slope_y, slope_x = np.gradient(depth.front_mm)
    step_x, step_y = depth.grid.step_px
    mm_per_px = depth.front_mm / head.camera[0, 0]
    slope = np.hypot(slope_x / step_x, slope_y / step_y) / mm_per_px
    return cv2.GaussianBlur(slope.astype(np.float32), (0, 0), 1.0)


def _missing(
    nodes: np.ndarray, depth_mm: np.ndarray, matte: np.ndarray, depth: HeadDepth,
    smeared: np.ndarray, slope: np.ndarray, head: Head,
) -> np.ndarray:  # fmt: skip
    """Return (rows, columns) 1 where the frame has nothing good for a mirrored node.

    It was hidden, or it is seen but the motion smears it; a node that would have been seen
    before the background does not exist.
    """
    slack = max(1, round(_CARVE_SLACK_MM / node_mm(depth.grid, head)))
    around = np.ones((2 * slack + 1, 2 * slack + 1), np.uint8)
    near_person, within = cv2.dilate(matte, around), cv2.erode(matte, np.ones((3, 3), np.uint8))
    # At the outline, the model's error must not bring the hidden into sight.
    seen_mm = within * depth.front_mm + (1 - within) * cv2.erode(depth.front_mm, around)
    person = cv2.remap(near_person, nodes, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    seen_mm = cv2.remap(seen_mm, nodes, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    smeared = cv2.remap(smeared, nodes, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    slope = cv2.remap(slope, nodes, None, cv2.INTER_LINEAR)
    # Along the normal: where a surface is seen obliquely, depth alone overstates the distance.
    hidden = smoothstep((depth_mm - seen_mm) / np.sqrt(1 + slope * slope), *_HIDDEN_MM)
    return np.maximum(hidden, smeared) * smoothstep(person, 0.2, 0.7)


def _in_one_piece(opacity: np.ndarray, between_mm: float, kept: Kept | None) -> np.ndarray:
    """Close holes of (rows, columns) opacity, then leave out islands: both would show as spots.

    Args:
        opacity: of the mirrored nodes.
        between_mm: distance of neighbouring nodes.
        kept: what they may not replace, or None.
    """
    side = 2 * max(1, round(_SPOT_MM / between_mm / 2)) + 1
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    closed = cv2.morphologyEx(opacity, cv2.MORPH_CLOSE, around)
    if kept is not None:
        closed *= 1 - kept.mirrored
    return cv2.morphologyEx(closed, cv2.MORPH_OPEN, around)


def _light_of_the_other_side(
    picture: np.ndarray, nodes: np.ndarray, opacity: np.ndarray, depth: HeadDepth
) -> np.ndarray:
    """Return (rows, columns, 3) gains that give mirrored colours the light of their new side.

    Where a node's mirror place is seen too, the ratio of the two colours is known; elsewhere it
    is continued smoothly.
    """
    grid = depth.grid
    colours = reduced(picture, (grid.columns, grid.rows))
    colours = cv2.GaussianBlur(colours.astype(np.float32), (0, 0), 1.5) + _DARK
    there = cv2.remap(colours, nodes, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    ratio = np.clip(there / colours, *_GAINS)
    known = np.clip(1 - opacity * 2, 0, 1) * depth.coverage * _alike(np.log(ratio))
    return np.exp(cv2.GaussianBlur(pull_push(np.log(ratio), known), (0, 0), 3.0))


def _alike(log_ratio: np.ndarray) -> np.ndarray:
    """Return (rows, columns) near 1 where both sides show the same stuff, and light alone differs.

    Light changes brightness much and hue little; hair that lies over one cheek changes both.
    """
    brightness = log_ratio.mean(axis=-1, keepdims=True)
    hue = np.abs(log_ratio - brightness).max(axis=-1) / _HUE_CHANGE
    return 1 / (1 + hue**2 + (brightness[..., 0] / _LIGHT_CHANGE) ** 4)
