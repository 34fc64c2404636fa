"""Draws a portrait: the sheets of its head, displaced, and the face that opens eyes and mouth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import moderngl
import numpy as np

from stream.outlines import antialiased
from stream.puppet.grain import grained_background, skin_grain
from stream.puppet.shaders import EDGE, FACE, MIRROR, PATCH, SLOPE, UNDER, VERTEX
from stream.puppet.sheets import drawn_sheets
from stream.puppet.topology import grid_triangles
from stream.warp import motion_uniforms, resting_mask
from stream.warp_shaders import FRAGMENTS

if TYPE_CHECKING:
    from stream.mesh import Sheet
    from stream.pose import HeadMotion
    from stream.puppet.portrait import Portrait
    from stream.region import Region

_STATIC = (
    ("place_px", 2), ("depth_mm", 1), ("share", 1), ("colours_px", 2), ("opacity", 1),
    ("yield_mm", 1), ("gain", 3),
)  # fmt: skip
_STATIC_FLOATS = sum(size for _, size in _STATIC)


@dataclass(frozen=True, slots=True)
class FaceMesh:
    """The face as it is drawn over the grid.

    Attributes:
        places_px: (N, 2) float32.
        depth_mm: (N,) float32.
        share: (N,) float32 of the head's motion.
        opacity: (N,) float32.
        triangles: (T, 3) int32.
    """

    places_px: np.ndarray
    depth_mm: np.ndarray
    share: np.ndarray
    opacity: np.ndarray
    triangles: np.ndarray


@dataclass(frozen=True, slots=True)
class Patch:
    """A picture seen through an opening of the face.

    Attributes:
        places_px, depth_mm: (N, 2), (N,) float32 where its vertices are before the head's motion.
        colours_px: (N, 2) float32 places in the frame that give them their colours.
        shade: (N,) float32, 1 in full light.
        opacity: (N,) float32.
    """

    places_px: np.ndarray
    depth_mm: np.ndarray
    colours_px: np.ndarray
    shade: np.ndarray
    opacity: np.ndarray


class _Target:
    """What is drawn into: one sample a pixel, or several that are averaged."""

    def __init__(self, context: moderngl.Context, size: tuple[int, int], smooth: bool) -> None:
        samples = min(_SAMPLES, context.max_samples) if smooth else 0
        self._context = context
        colour = context.renderbuffer(size, 4, samples=samples)
        depth = context.depth_renderbuffer(size, samples=samples)
        self.frame = context.framebuffer(colour, depth)
        self._parts = [self.frame, colour, depth]
        self._result = self.frame
        if samples:
            shown = context.renderbuffer(size, 4)
            self._result = context.framebuffer(shown)
            self._parts += [self._result, shown]

    def read(self) -> bytes:
        """Return the RGBA bytes of what was drawn."""
        if self._result is not self.frame:
            self._context.copy_framebuffer(self._result, self.frame)
        return bytes(self._result.read(components=4))

    def release(self) -> None:
        for part in self._parts:
            part.release()


class _Drawable:
    """Buffers of one mesh: what stays, what changes, and its triangles."""

    def __init__(
        self, context: moderngl.Context, program: moderngl.Program, static: np.ndarray,
        triangles: np.ndarray, offsets: moderngl.Buffer,
    ) -> None:  # fmt: skip
        self.program = program
        self.static = context.buffer(np.ascontiguousarray(static, np.float32).tobytes())
        some = triangles if len(triangles) else np.zeros((1, 3))  # no buffer may be empty
        self._indices = context.buffer(np.ascontiguousarray(some, np.int32).tobytes())
        layout = " ".join(f"{n}f" if name in program else f"{n}x4" for name, n in _STATIC)
        names = [name for name, _ in _STATIC if name in program]
        content = [(self.static, layout, *names), (offsets, "3f", "offset_mm")]
        self._array = context.vertex_array(program, content, self._indices)

    def render(self) -> None:
        self._array.render()

    def release(self) -> None:
        for part in (self._array, self._indices, self.static):
            part.release()


class Stage:
    """Draws one portrait again and again.

    Args:
        context: an OpenGL 3.3 context.
        portrait: the photo.
        face: its face.
        windows: pictures behind the openings: (h, w, 4) uint8 premultiplied, and the region of
            the photo that each spans.
        strips: (T, 3) int32 triangles of the patch that shows each picture, and how many
            vertices it has.
    """

    def __init__(
        self, context: moderngl.Context, portrait: Portrait, face: FaceMesh,
        windows: list[tuple[np.ndarray, Region]], strips: list[tuple[np.ndarray, int]],
    ) -> None:  # fmt: skip
        self._context, self._portrait = context, portrait
        shaders = {**FRAGMENTS, "under": UNDER, "slope": SLOPE, "edge": EDGE,
                   "mirror": MIRROR, "face": FACE, "patch": PATCH}  # fmt: skip
        self._programs = {
            kind: context.program(vertex_shader=VERTEX, fragment_shader=fragment)
            for kind, fragment in shaders.items()
        }
        region = portrait.region
        self._resting = resting_mask(portrait.mesh, region)
        self._make_targets(region)
        self._make_sheets()
        self._make_face(face, windows, strips)

    def _make_targets(self, region: Region) -> None:
        context, portrait, size = self._context, self._portrait, (region.width, region.height)
        picture = np.ascontiguousarray(region.crop(portrait.pixels))
        self._layer = _texture(context, portrait.layer)
        self._photo = _texture(context, _without_clothes(picture, portrait.clothes[..., 3]))
        self._cloth = _texture(context, portrait.clothes)
        self._inside = _texture(context, portrait.lining)
        self._grain = _texture(
            context, skin_grain(portrait.pixels, portrait.face.points_px[:, :2].astype(float))
        )
        self._grain.repeat_x = self._grain.repeat_y = True
        self._plates = []
        for plate in (grained_background(picture, portrait.plate), portrait.plate_at_rest):
            behind = np.dstack([plate, np.zeros(size[::-1], np.uint8)])
            cv2.copyTo(np.dstack([picture, behind[..., 3]]), self._resting, behind)
            self._plates.append(np.ascontiguousarray(behind))
        self._behind = context.texture(size, 4, self._plates[1].tobytes())
        self._moved = 0.0
        self._ground = context.framebuffer(self._behind)
        self._targets = {smooth: _Target(context, size, smooth) for smooth in (False, True)}

    def _make_sheets(self) -> None:
        context, mesh = self._context, self._portrait.mesh
        nodes = mesh.depth.front_mm.size
        self._still = context.buffer(np.zeros((nodes, 3), np.float32).tobytes())
        self._moving = context.buffer(reserve=nodes * 12)
        self._sheets: list[tuple[str, _Drawable]] = []
        for one in drawn_sheets(mesh, self._portrait.skin, self._portrait.head.camera[0, 0]):
            offsets = self._still if one.program in _STIFF else self._moving
            program = self._programs[one.program]
            drawable = _Drawable(context, program, _static(one.sheet), one.sheet.triangles, offsets)
            self._sheets.append((one.program, drawable))
        self._make_clothes()

    def _make_clothes(self) -> None:
        """Lay every other node of the grid under the clothes, which hardly move."""
        context, portrait = self._context, self._portrait
        near = portrait.mesh.sheet("near")
        chosen = np.ix_(*(_every_other(length) for length in near.share.shape))
        rows, columns = near.share[chosen].shape
        # Where their depth is a guess far behind, they still hide the neck that goes on in them.
        least_mm = self._portrait.head.camera_from_head[2, 3] + _CLOTH_BEHIND_MM
        level = np.minimum(-_CLOTH_YIELD_MM, least_mm - near.depth_mm).astype(np.float32)
        sheet = replace(near, yield_mm=level, share=np.zeros_like(near.share))
        static = _static(sheet).reshape(*near.share.shape, -1)[chosen].reshape(-1, _STATIC_FLOATS)
        numbers = np.arange(near.share.size).reshape(near.share.shape)
        self._worn = numbers[chosen].ravel()
        self._body_moving = context.buffer(reserve=len(self._worn) * 12)
        program = self._programs["face"]
        self._clothes, self._lining = (
            _Drawable(
                context, program, static, _triangles_of(layer[..., 3], rows, columns),
                self._body_moving,
            )
            for layer in (portrait.clothes, portrait.lining)
        )  # fmt: skip

    def _make_face(
        self, face: FaceMesh, windows: list[tuple[np.ndarray, Region]],
        strips: list[tuple[np.ndarray, int]],
    ) -> None:  # fmt: skip
        context, count = self._context, len(face.places_px)
        static = np.column_stack(
            [face.places_px, face.depth_mm, face.share, face.places_px, face.opacity,
             np.full(count, -FACE_YIELD_MM), np.ones((count, 3))]
        )  # fmt: skip
        self._face_moving = context.buffer(reserve=count * 12)
        program = self._programs["face"]
        self._face = _Drawable(context, program, static, face.triangles, self._face_moving)
        self._windows = [(_texture(context, picture), region) for picture, region in windows]
        self._patches = []
        for triangles, vertices in strips:
            empty = np.zeros((vertices, _STATIC_FLOATS), np.float32)
            still = context.buffer(np.zeros((vertices, 3), np.float32).tobytes())
            program = self._programs["patch"]
            self._patches.append((_Drawable(context, program, empty, triangles, still), still))

    def draw(
        self, motion: HeadMotion, grid_mm: np.ndarray, clothes_mm: np.ndarray, face_mm: np.ndarray,
        patches: list[Patch], hidden_side: float = 1.0, moved: float = 1.0, smooth: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Return the portrait's region as it moves.

        Args:
            motion: of the head.
            grid_mm: (nodes, 3) float32 displacements of the grid before the motion.
            clothes_mm: (nodes, 3) float32 of the clothes.
            face_mm: (N, 3) float32 of the face.
            patches: what is seen through the openings, one for each window.
            hidden_side: how far the mirrored half is needed, 0…1.
            moved: how far the head uncovers what it hid at rest, 0…1.
            smooth: sample every outline several times; without a graphics card that takes
                twice the time.

        Returns:
            (h, w, 3) uint8 RGB.
        """
        context = self._context
        self._moving.write(np.ascontiguousarray(grid_mm, np.float32))
        self._body_moving.write(np.ascontiguousarray(clothes_mm[self._worn], np.float32))
        self._face_moving.write(np.ascontiguousarray(face_mm, np.float32))
        self._set_background(moved)
        target = self._targets[smooth]
        target.frame.use()
        target.frame.clear(depth=1.0)
        context.copy_framebuffer(target.frame, self._ground)
        target.frame.use()
        self._set_motion(motion)
        self._set_blending()
        self._draw_cloth(self._lining, self._inside, target.frame, moved)
        self._draw_sheets({"mirror": hidden_side, "under": moved})
        self._draw_cloth(self._clothes, self._cloth, target.frame)
        self._draw_face(patches)
        region = self._portrait.region
        out = np.frombuffer(target.read(), np.uint8)
        return antialiased(out.reshape(region.height, region.width, 4), self._resting)

    def _set_background(self, moved: float) -> None:
        step = round(moved * _PLATE_STEPS) / _PLATE_STEPS
        if step != self._moved:
            self._moved = step
            mixed = cv2.addWeighted(self._plates[0], step, self._plates[1], 1 - step, 0)
            self._behind.write(mixed)

    def _set_motion(self, motion: HeadMotion) -> None:
        camera, region = self._portrait.head.camera, self._portrait.region
        values = {**motion_uniforms(motion, camera, region), "fade": 1.0, "grain": _GRAIN_UNIT}
        for program in self._programs.values():
            for name, value in values.items():
                if name in program:
                    program[name].value = value

    def _set_blending(self) -> None:
        context = self._context
        context.front_face, context.cull_face = "cw", "front"
        context.enable(moderngl.DEPTH_TEST)
        context.depth_func = "<="
        context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        context.enable(moderngl.BLEND)  # also inside, where the matte may have pinholes

    def _draw_sheets(self, wanted: dict[str, float]) -> None:
        """Draw the sheets, some of them only as far as they are wanted, 0…1."""
        context = self._context
        self._layer.use(0)
        self._grain.use(_GRAIN_UNIT)
        for kind, sheet in self._sheets:
            if kind in wanted:
                if wanted[kind] == 0:
                    continue
                self._programs[kind]["fade"].value = wanted[kind]
            (context.enable if kind == "far" else context.disable)(moderngl.CULL_FACE)
            sheet.render()

    def _draw_cloth(
        self, cloth: _Drawable, texture: moderngl.Texture, frame: moderngl.Framebuffer,
        fade: float = 1.0,
    ) -> None:  # fmt: skip
        self._context.disable(moderngl.CULL_FACE)
        cloth.program["fade"].value = fade
        texture.use(0)
        # It hides what was drawn, and nothing that comes: a chin is always before a collar.
        frame.depth_mask = False
        cloth.render()
        frame.depth_mask = True

    def _draw_face(self, patches: list[Patch]) -> None:
        self._context.disable(moderngl.CULL_FACE)
        rows = zip(patches, self._patches, self._windows, strict=True)
        for patch, (drawable, _), (texture, window) in rows:
            count = len(patch.places_px)
            static = np.column_stack(
                [patch.places_px, patch.depth_mm, np.ones((count, 1)), patch.colours_px,
                 patch.opacity, np.full(count, -PATCH_YIELD_MM),
                 np.repeat(patch.shade[:, None], 3, axis=1)]
            )  # fmt: skip
            drawable.static.write(static.astype(np.float32))
            program = drawable.program
            program["window"].value = (window.x0, window.y0, window.width, window.height)
            texture.use(0)
            drawable.render()
        self._photo.use(0)
        self._face.render()

    def release(self) -> None:
        """Give back what was made in the context."""
        for _, sheet in self._sheets:
            sheet.release()
        for drawable, still in self._patches:
            drawable.release()
            still.release()
        for texture, _ in self._windows:
            texture.release()
        for part in (
            self._face, self._face_moving, self._clothes, self._lining, self._body_moving,
            self._cloth, self._inside,
            self._moving, self._still, *self._targets.values(), self._ground, self._behind,
            self._photo, self._layer, self._grain,
            *self._programs.values(),
        ):  # fmt: skip
            part.release()


_STIFF = ("under", "far", "mirror")  # sheets that do not follow expressions
_GRAIN_UNIT = 1  # where the texture of the grain is bound
_SAMPLES = 4  # of a pixel
_PLATE_STEPS = 32  # from the background at rest to that of a head that moved
_CLOTH_YIELD_MM, _CLOTH_BEHIND_MM = 6.0, 60.0
FACE_YIELD_MM, PATCH_YIELD_MM = 9.0, 8.0  # before the grid, which spans the openings


def _every_other(length: int) -> np.ndarray:
    """Return every other number below a length, and the last."""
    return np.unique(np.append(np.arange(0, length, 2), length - 1))


def _triangles_of(cover: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Return (T, 3) int32 triangles of a grid over a picture, those near what is covered."""
    share = (cover > 0).astype(np.float32)
    cells = cv2.resize(share, (columns - 1, rows - 1), interpolation=cv2.INTER_AREA)
    some = cv2.dilate(cells, np.ones((3, 3), np.uint8)).ravel() > 0
    return grid_triangles(rows, columns)[np.tile(some, 2)]


def _without_clothes(picture: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Return (h, w, 4) uint8 premultiplied: a picture where clothes do not cover it."""
    bare = 255 - cover
    return np.dstack([cv2.multiply(picture, cv2.merge([bare] * 3), scale=1 / 255), bare])


def _static(sheet: Sheet) -> np.ndarray:
    shape = (*sheet.depth_mm.shape, 3)
    gain = np.ones(shape, np.float32) if sheet.gain is None else sheet.gain
    parts = (sheet.places_px, sheet.depth_mm, sheet.share, sheet.colours_px, sheet.opacity,
             sheet.yield_mm, gain)  # fmt: skip
    return np.dstack(parts).reshape(-1, _STATIC_FLOATS)


def _texture(context: moderngl.Context, picture: np.ndarray) -> moderngl.Texture:
    height, width = picture.shape[:2]
    texture = context.texture((width, height), 4, np.ascontiguousarray(picture).tobytes())
    texture.repeat_x = texture.repeat_y = False
    texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
    return texture
