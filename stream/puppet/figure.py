"""A portrait that acts: from an act to a picture."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.closing import Closing
from stream.geometry import project, smoothstep, transform_points
from stream.pose import seen_angles
from stream.puppet.acting import Act, head_motion
from stream.puppet.body import Body
from stream.puppet.border import Border
from stream.puppet.fields import FACING, FaceFields, Slit, at_nodes
from stream.puppet.grain import blur_px
from stream.puppet.inside import (
    border_around,
    eye_picture,
    eye_white,
    mouth_pictures,
    seen_teeth,
)
from stream.puppet.painted import mouth_look
from stream.puppet.sheets import without_covered
from stream.puppet.stage import FaceMesh, Patch, Stage
from stream.puppet.topology import (
    LEFT_IRIS,
    OVAL,
    POINTS,
    RIGHT_IRIS,
    FaceLayout,
    Opening,
    face_layout,
    grid_triangles,
)
from stream.symmetry import hidden_half_share

if TYPE_CHECKING:
    import moderngl

    from stream.head_model import HeadModel
    from stream.mesh import HeadMesh
    from stream.pose import HeadMotion
    from stream.puppet.portrait import Portrait
    from stream.region import Region

_LARGE_PX = 170  # between the eyes' outer corners: larger faces want a finer mesh
_ROWS = 6  # of vertices across an opening
_FRINGE_PX = 1.0  # over which borders of lids and lips are soft
_MIRROR_YIELD_MM = 40.0
_UPPER_SHADOW, _LOWER_SHADOW, _SHADOW_MM = 0.35, 0.2, 1.3
_DARK_INSIDE = 0.45  # light within a mouth that hardly opens
_LIT_AT_MM, _TEETH_LIT_AT_MM = (4.0, 24.0), (7.0, 14.0)  # gaps: tongue and throat, lower teeth
_SAME_GAP_MM = (0.3, 1.5)  # by which lips may move to be where they were, and no longer are
_TEETH_BEHIND_MM = 4.0
_UNCOVERS = (0.001, 0.008)  # of the region's height: movement that begins to, and does
_OPAQUE = 0.999
_CHEEKS = np.array([50, 280, 205, 425, 5, 195])
_EYE_CORNERS = np.array([33, 263])
_CHIN = 152
_JAW = (0.5, 0.7)  # of the way from the eyes to the chin: where it begins, and is
_NEAR_CLOTHES_MM = (40.0, 60.0)  # which a bowed head may reach


class Figure(Closing):
    """Draws a portrait as it acts.

    Args:
        context: an OpenGL 3.3 context.
        model: the head model.
        portrait: the photo.

    Attributes:
        photo_mouth: gap of the photo's lips over the width of the eyes' corners.
    """

    def __init__(self, context: moderngl.Context, model: HeadModel, portrait: Portrait) -> None:
        corners_px = portrait.face.points_px[_EYE_CORNERS, :2]
        large = np.linalg.norm(corners_px[1] - corners_px[0]) > _LARGE_PX
        layout = self._layout = face_layout(model, 2 if large else 1)
        fields = self._fields = FaceFields(model, portrait, layout)
        portrait = replace(portrait, mesh=_behind_the_face(portrait.mesh, fields))
        self._neck_joint = model.neck_joint
        self._body, self._border = Body(portrait), Border(portrait)
        corners = fields.rest_mm[_EYE_CORNERS, :2]
        self._eyes_mm = float(np.linalg.norm(corners[1] - corners[0]))
        self._outermost_mm = fields.rest_mm[OVAL]
        self.photo_mouth = fields.mouth.open_mm(fields.rest_mm) / self._eyes_mm
        face, self._followed = _face_mesh(fields, layout, portrait)
        opaque = (face.opacity[face.triangles] > _OPAQUE).all(axis=1)
        bare = without_covered(portrait.mesh, face.places_px, face.triangles, opaque)
        portrait = replace(portrait, mesh=bare)
        self._portrait = portrait
        triangles = [grid_triangles(_ROWS, len(opening.upper)) for opening in layout.openings]
        count = [_ROWS * len(opening.upper) for opening in layout.openings]
        order = [0] * (3 if fields.mouth_shut else 4) + [1, 2]  # the mouth shows several pictures
        self._stage = Stage(
            context, portrait, face, self._windows(), [(triangles[n], count[n]) for n in order]
        )

    def close(self) -> None:
        """Give back what was made in the context."""
        self._stage.release()

    def _windows(self) -> list[tuple[np.ndarray, Region]]:
        fields, portrait, layout = self._fields, self._portrait, self._layout
        pixels, points = portrait.pixels, portrait.face.points_px[:, :2].astype(float)
        mouth, right, left = (
            border_around(opening, fields.places_px.astype(float)) for opening in layout.openings
        )
        px_per_mm = portrait.head.camera[0, 0] / float(fields.rest_mm[13, 2])
        x, y = np.clip(points[_CHEEKS].T.astype(int), 0, np.array(portrait.size)[:, None] - 1)
        skin = np.median(pixels[y, x].astype(float), axis=0)
        whites = [
            white
            for eye, iris in ((right, RIGHT_IRIS), (left, LEFT_IRIS))
            if (white := eye_white(pixels, eye, points[iris])) is not None
        ]
        teeth = None if fields.mouth_shut else seen_teeth(pixels, mouth, skin)
        look = mouth_look(
            skin,
            np.mean(whites, axis=0) if whites else None,
            teeth,
            zlib.crc32(np.rint(points).astype(np.int32).tobytes()),
            blur_px(pixels, points),
        )
        return [
            *mouth_pictures(pixels, mouth, px_per_mm, look, fields.mouth_shut),
            eye_picture(pixels, right, points[RIGHT_IRIS]),
            eye_picture(pixels, left, points[LEFT_IRIS]),
        ]

    def draw(self, act: Act, *, smooth: bool = False) -> np.ndarray:
        """Return the (H, W, 3) uint8 photo as it acts.

        Args:
            act: what it does.
            smooth: let no outline be stepped, which takes longer.
        """
        portrait, fields = self._portrait, self._fields
        wanted_mm = None if act.mouth is None else act.mouth * self._eyes_mm
        moved, jaw_mm = fields.displaced(act.units, wanted_mm, act.eyes)
        motion = self._motion(act)
        vertices = fields.at_vertices(moved)
        roll = float(act.angles[2] - seen_angles(portrait.head.camera_from_head)[2])
        body, clothes = self._body.moved(act.shift_mm, roll)
        drawn = self._stage.draw(
            motion, fields.at_grid(moved) + body, clothes, vertices[self._followed],
            self._patches(act, motion, jaw_mm, vertices),
            hidden_half_share(portrait.head, motion), self._uncovering(motion), smooth,
        )  # fmt: skip
        pixels = portrait.pixels.copy()
        portrait.region.crop(pixels)[:] = drawn
        return pixels

    def _motion(self, act: Act) -> HeadMotion:
        return self._border.kept(head_motion(self._portrait.head, self._neck_joint, act))

    def _uncovering(self, motion: HeadMotion) -> float:
        """Return how far a motion uncovers what the head hides at rest, 0…1."""
        camera = self._portrait.head.camera
        whole = motion.blended(np.array(1.0), np.array(1.0))
        before = project(self._outermost_mm, camera)
        moved_px = np.abs(project(transform_points(whole, self._outermost_mm), camera) - before)
        return float(smoothstep(float(moved_px.max()) / self._portrait.region.height, *_UNCOVERS))

    def points_px(self, act: Act) -> np.ndarray:
        """Return (468, 2) where the tracked points of the face lie as it acts."""
        wanted_mm = None if act.mouth is None else act.mouth * self._eyes_mm
        moved, _ = self._fields.displaced(act.units, wanted_mm, act.eyes)
        whole = self._motion(act).blended(np.array(1.0), np.array(1.0))
        points = transform_points(whole, self._fields.rest_mm + moved)
        return project(points, self._portrait.head.camera)

    def _as_in_the_photo(self, mouth_mm: np.ndarray) -> np.ndarray:
        """Return (rows · columns,) 1 where lips are apart as in the photo, 0 where they are not."""
        at_rest = _between(self._fields.vertices_mm, self._layout.openings[0], _ROWS)
        change = np.abs(_gaps_mm(mouth_mm) - _gaps_mm(at_rest))
        return np.tile(1 - smoothstep(change, *_SAME_GAP_MM), _ROWS)

    def _patches(
        self, act: Act, motion: HeadMotion, jaw_mm: np.ndarray, vertices: np.ndarray
    ) -> list[Patch]:
        camera, head = self._portrait.head.camera, self._portrait.head
        now_mm = self._fields.vertices_mm + vertices
        meshes = [_between(now_mm, opening, _ROWS) for opening in self._layout.openings]
        places = [project(mesh, camera) for mesh in meshes]
        mouth_mm = self._fields.rest_mm[13]
        px_per_mm = camera[0, 0] / mouth_mm[2]
        behind = _TEETH_BEHIND_MM * _slant(motion, mouth_mm) * px_per_mm
        jaw = jaw_mm[:2] * px_per_mm
        shade = _shade_of_lips(meshes[0], _ROWS) if self._fields.mouth_shut else None
        deep, lower = (
            _light_inside(meshes[0], _ROWS, gaps_mm) * (1.0 if shade is None else shade)
            for gaps_mm in (_LIT_AT_MM, _TEETH_LIT_AT_MM)
        )
        patches = [
            _patch(meshes[0], places[0], places[0] + behind - jaw, deep),
            _patch(meshes[0], places[0], places[0] + behind - jaw, lower),
            _patch(meshes[0], places[0], places[0] + behind, shade),
        ]
        if not self._fields.mouth_shut:
            own = self._as_in_the_photo(meshes[0])
            patches.append(_patch(meshes[0], places[0], places[0] + behind, opacity=own))
        gaze = head.camera_from_head[:2, :2] @ act.gaze
        for n, slit in ((1, self._fields.right_eye), (2, self._fields.left_eye)):
            look = _eye_shift(slit, self._layout.openings[n]) @ gaze[None]
            shift = look * slit.width_mm * camera[0, 0] / float(meshes[n][:, 2].mean())
            patches.append(_patch(meshes[n], places[n], places[n] - shift))
        return patches


def _gaps_mm(mesh_mm: np.ndarray) -> np.ndarray:
    """Return (columns,) how far an opening is open."""
    grid = mesh_mm.reshape(_ROWS, -1, 3)
    return np.asarray(np.linalg.norm(grid[-1] - grid[0], axis=1))


def _behind_the_face(mesh: HeadMesh, fields: FaceFields) -> HeadMesh:
    """Let the mirrored half yield wherever the photo shows the face itself."""
    sheets = list(mesh.sheets)
    for number, sheet in enumerate(sheets):
        if sheet.kind == "mirror":
            seen = fields.well_seen(sheet.places_px.reshape(-1, 2).astype(float))
            yields = sheet.yield_mm + _MIRROR_YIELD_MM * seen.reshape(sheet.yield_mm.shape)
            sheets[number] = replace(sheet, yield_mm=yields)
    return replace(mesh, sheets=tuple(sheets))


def _patch(
    mesh_mm: np.ndarray, places_px: np.ndarray, colours_px: np.ndarray,
    shade: np.ndarray | None = None, opacity: np.ndarray | None = None,
) -> Patch:  # fmt: skip
    full = np.ones(len(mesh_mm), np.float32)
    lit, cover = (full if part is None else part for part in (shade, opacity))
    return Patch(places_px, mesh_mm[:, 2], colours_px, lit, cover)


def _shade_of_lips(mesh_mm: np.ndarray, rows: int) -> np.ndarray:
    """Return (rows · columns,) how the lips take the light from what lies behind them."""
    grid = mesh_mm.reshape(rows, -1, 3)
    gap_mm = np.linalg.norm(grid[-1] - grid[0], axis=1)
    below = np.linspace(0, 1, rows)[:, None] * gap_mm
    above = np.linspace(1, 0, rows)[:, None] * gap_mm
    shade = 1 - _UPPER_SHADOW * np.exp(-below / _SHADOW_MM)
    return (shade * (1 - _LOWER_SHADOW * np.exp(-above / _SHADOW_MM))).ravel()


def _light_inside(mesh_mm: np.ndarray, rows: int, lit_at_mm: tuple[float, float]) -> np.ndarray:
    """Return (rows · columns,) the light in a mouth: little where little comes in.

    Args:
        mesh_mm: (rows · columns, 3) vertices across the opening.
        rows: of vertices.
        lit_at_mm: gaps between the lips at which it begins to be lit, and fully is.
    """
    grid = mesh_mm.reshape(rows, -1, 3)
    gap_mm = float(np.linalg.norm(grid[-1] - grid[0], axis=1).max())
    lit = _DARK_INSIDE + (1 - _DARK_INSIDE) * smoothstep(gap_mm, *lit_at_mm)
    return np.full(len(mesh_mm), lit, np.float32)


def _slant(motion: HeadMotion, place_mm: np.ndarray) -> np.ndarray:
    """Return (2,) how far what lies behind a place shifts against it, per mm of depth."""
    turn = motion.blended(np.array(1.0), np.array(0.0))[:3, :3]
    now = turn @ (place_mm - motion.pivot_mm) + motion.pivot_mm + motion.translation_mm
    ray = turn.T @ now
    return np.asarray(ray[:2] / ray[2] - place_mm[:2] / place_mm[2])


def _eye_shift(slit: Slit, opening: Opening) -> np.ndarray:
    """Return (rows · columns, 1) how far places of an eye follow its gaze: not at the corners."""
    along = np.linspace(0, 1, len(opening.upper))
    follow = np.clip(5.0 * along * (1 - along), 0, 1)
    return np.tile(follow, _ROWS)[:, None]


def _between(points: np.ndarray, opening: Opening, rows: int) -> np.ndarray:
    """Return (rows · columns, 3) points from the upper to the lower border of an opening."""
    share = np.linspace(0, 1, rows)[:, None, None]
    upper, lower = points[opening.upper], points[opening.lower]
    return (upper + share * (lower - upper)).reshape(-1, points.shape[1])


def _jaw(fields: FaceFields, portrait: Portrait) -> np.ndarray:
    """Return (P,) 1 where the face ends in the outline of its jaw, before clothes.

    Elsewhere it passes into what is around it.
    """
    eyes, chin = fields.rest_mm[_EYE_CORNERS].mean(axis=0), fields.rest_mm[_CHIN]
    down = chin - eyes
    height = (fields.rest_mm - eyes) @ down / (down @ down)
    bare = (portrait.clothes[..., 3] < 128).astype(np.uint8)
    px_mm = chin[2] / portrait.head.camera[0, 0]
    away_mm = cv2.distanceTransform(bare, cv2.DIST_L2, 5) * px_mm
    corner = np.array([portrait.region.x0, portrait.region.y0])
    xy = (fields.points_px - corner).astype(np.float32)[None]
    away_mm = cv2.remap(away_mm, xy, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
    return np.asarray(smoothstep(height, *_JAW) * (1 - smoothstep(away_mm, *_NEAR_CLOTHES_MM)))


def _face_mesh(
    fields: FaceFields, layout: FaceLayout, portrait: Portrait
) -> tuple[FaceMesh, np.ndarray]:
    """Return the face with soft borders, and the vertex that each of its vertices follows."""
    inside = np.ones(POINTS)
    inside[OVAL] = 0
    jaw = layout.refine @ _jaw(fields, portrait)
    opacity = np.clip(layout.refine @ inside, 0, 1)
    # What is seen too obliquely would smear when it turns to the camera.
    opacity *= np.clip((fields.facing - FACING[0]) / (FACING[1] - FACING[0]), 0, 1)
    opacity = np.maximum(opacity, jaw)
    opacity[layout.rim] = 0
    count = len(fields.places_px)
    places, follows, triangles = [fields.places_px], [np.arange(count)], [layout.triangles]
    slits = (fields.mouth, fields.right_eye, fields.left_eye)
    for slit, opening in zip(slits, layout.openings, strict=True):
        for border, sign in ((opening.upper, 1.0), (opening.lower, -1.0)):
            first = sum(len(part) for part in places)
            inner = fields.places_px[border] + sign * _FRINGE_PX * slit.axis[:2]
            inner[[0, -1]] = fields.places_px[border[[0, -1]]]
            places.append(inner.astype(np.float32))
            follows.append(border)
            new = np.arange(first, first + len(border))
            triangles.append(np.stack([border[:-1], border[1:], new[:-1]], axis=1))
            triangles.append(np.stack([border[1:], new[1:], new[:-1]], axis=1))
    followed, all_px = np.concatenate(follows), np.concatenate(places)
    opacity = np.concatenate([opacity, np.zeros(len(all_px) - count)])
    depth = portrait.mesh.depth
    share = at_nodes(depth.turn, depth.grid, all_px)
    mesh = FaceMesh(
        all_px, fields.depth_mm[followed], share, opacity.astype(np.float32),
        np.concatenate(triangles).astype(np.int32),
    )  # fmt: skip
    return mesh, followed
