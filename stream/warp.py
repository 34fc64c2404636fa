"""The warp: one OpenGL pass that draws the head at its new pose over the background plate.

The layer that moves is F = I − (1 − α)·B, premultiplied: what is left of the frame I when the
plate B behind it is taken away. Drawn at its new place over the plate, a head that does not move
gives back the frame itself, whatever errors matte and plate hold.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import moderngl
import numpy as np

from stream.draw_target import DrawTarget
from stream.geometry import smoothstep
from stream.mesh import HeadMesh, Sheet
from stream.outlines import smoothed
from stream.pose import HeadMotion
from stream.provenance import FRAGMENTS as PROVENANCE
from stream.region import NodeGrid, Region, halved
from stream.warp_shaders import FRAGMENTS, VERTEX

_PLACE_PARTS = "2f 1f 1f 2f", "place_px", "depth_mm", "share", "colours_px"
_LOOK_PARTS = "1f 1f 3f", "opacity", "yield_mm", "gain"


def premultiplied_layer(picture: np.ndarray, matte: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Return the layer that moves, F = I − (1 − α)·B with α as fourth channel.

    Args:
        picture: (h, w, 3) uint8 RGB of the frame, I.
        matte: (h, w) uint8, α · 255.
        plate: (h, w, 3) uint8 background, B.

    Returns:
        (h, w, 4) uint8; negative colours, which no light has, are 0.
    """
    uncovered = cv2.cvtColor(cv2.bitwise_not(matte), cv2.COLOR_GRAY2RGB)
    colours = cv2.subtract(picture, cv2.multiply(plate, uncovered, scale=1 / 255))
    layer = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA)
    cv2.insertChannel(matte, layer, 3)
    return layer


_REACH_MM = 800.0  # half the depth of any head with its hair, and what sheets yield
_NEIGHBOURS = np.ones((3, 3), np.uint8)
_SMOOTH_FROM = 0.07  # radians
_FARTHEST = 2**32  # of the depth that is drawn
_OUTLINE_MM = 8.0  # of depth, by which a pixel of a head ends before the next one
_UNTURNED = "cw"  # winding of the mesh's triangles in a framebuffer whose y runs down


class Warp:
    """Draws head meshes; keeps the buffers and textures of one region size.

    Args:
        context: an OpenGL 3.3 context.
        samples: coverage samples a pixel, so that a jaw has a smooth outline before its neck, too;
            fewer where the context has no more. They take time where the processor draws.
    """

    def __init__(self, context: moderngl.Context, samples: int = 0) -> None:
        self._context = context
        self._samples = min(samples, context.max_samples)
        self._programs = {
            kind: context.program(vertex_shader=VERTEX, fragment_shader=fragment)
            for kind, fragment in FRAGMENTS.items()
        }
        self._programs["clean"]["calm"] = 1
        self._tellers = {
            kind: context.program(vertex_shader=VERTEX, fragment_shader=fragment)
            for kind, fragment in PROVENANCE.items()
        }
        self._sizes: tuple[tuple[int, int], tuple[int, int]] | None = None
        self._drawn: _Drawn | None = None
        self._told: moderngl.Framebuffer | None = None

    @property
    def context(self) -> moderngl.Context:
        """The context that it draws in."""
        return self._context

    def draw(
        self, picture: np.ndarray, matte: np.ndarray, plate: np.ndarray, region: Region,
        mesh: HeadMesh, motion: HeadMotion, camera: np.ndarray, presence: float = 1.0,
    ) -> np.ndarray:  # fmt: skip
        """Return the region with the head at its new pose; arguments as of `begin`.

        Returns:
            (h, w, 3) uint8 RGB.
        """
        self.begin(picture, matte, plate, region, mesh, motion, camera, presence)
        return self.finish()

    def begin(
        self, picture: np.ndarray, matte: np.ndarray, plate: np.ndarray, region: Region,
        mesh: HeadMesh, motion: HeadMotion, camera: np.ndarray, presence: float = 1.0,
    ) -> None:  # fmt: skip
        """Have a region drawn with the head at its new pose, while the caller goes on.

        Args:
            picture: (h, w, 3) uint8 RGB of the frame in the region.
            matte: (h, w) uint8 person matte, 255 inside.
            plate: (h, w, 3) uint8 background of the region.
            region: where they lie in the frame.
            mesh: geometry of the head.
            motion: the motion of the head.
            camera: (3, 3) intrinsics of the frame.
            presence: share of the motion, 0…1.
        """
        self._forget()
        self._fit_buffers(region, mesh.depth.grid)
        resting = resting_mask(mesh, region)
        layer = premultiplied_layer(picture, matte, plate)
        self._layer.write(layer)
        self._calm.write(_calmed(layer, self._calm.size))
        # Samples beside a cell that rests would else show the plate between it and the mesh.
        behind = cv2.dilate(resting, _NEIGHBOURS) if self._samples else resting
        self._target.begin(_background(picture, plate, behind))
        self._state()
        sheets = self._sheets(mesh, presence)
        self._drawn = _Drawn(mesh, motion, camera, region, presence, resting, sheets)
        self._render(self._programs, self._drawn, (1.0, 1.0))
        self._target.hurry()

    def finish(self) -> np.ndarray:
        """Return the region that was begun last.

        Returns:
            (h, w, 3) uint8 RGB.

        Raises:
            ValueError: before anything was begun.
        """
        done = self._drawn
        if done is None:
            raise ValueError("Warp.finish: nothing was begun")
        colours = cv2.cvtColor(self._target.read(), cv2.COLOR_RGBA2RGB)
        if self._samples:
            return colours
        # At rest the picture's own outlines are drawn, which are smooth.
        angle = done.presence * float(np.linalg.norm(done.motion.axis_angle))
        strength = float(smoothstep(angle, 0.0, _SMOOTH_FROM))
        if not strength:
            return colours
        least = _OUTLINE_MM * _FARTHEST / (2 * _slack_mm(done.motion))
        return smoothed(colours, self._target.read_depth(), least, done.resting, strength)

    def provenance(self, size: int = 256) -> np.ndarray:
        """Return what is known of the pixels that were last drawn, squeezed to a square.

        Returns:
            (size, size, 3) uint8: how far the head covers a pixel; how far its colour is a guess,
            as of what is mirrored, of the far side, or drawn out of few pixels; 255 where the
            frame itself shows since nothing moves there.

        Raises:
            ValueError: before anything was drawn.
        """
        drawn = self._drawn
        if drawn is None:
            raise ValueError("Warp.provenance: nothing was drawn yet")
        target = self._square(size)
        target.use()
        target.clear(depth=1.0)
        self._state()
        region = drawn.region
        self._render(self._tellers, drawn, (region.width / size, region.height / size))
        told = np.frombuffer(target.read(components=4), np.uint8).reshape(size, size, 4)
        bare = cv2.compare(told[..., 3], 0, cv2.CMP_EQ)
        resting = resting_mask(drawn.mesh, region, (size, size))
        return cv2.merge([told[..., 3], told[..., 0], cv2.bitwise_and(bare, resting)])

    def _sheets(self, mesh: HeadMesh, presence: float) -> "list[_SheetBuffers]":
        """Upload the sheets that have triangles, in the order of drawing."""
        context = self._context
        buffers: list[_SheetBuffers] = []
        placed: dict[tuple[int, ...], moderngl.Buffer] = {}  # most sheets have the same places
        for sheet in mesh.sheets:
            if len(sheet.triangles):
                parts = sheet.places_px, sheet.depth_mm, sheet.share, sheet.colours_px
                places = placed.get(tuple(map(id, parts)))
                if places is None:
                    places = context.buffer(_places(sheet, presence))
                    placed[tuple(map(id, parts))] = places
                triangles = np.ascontiguousarray(sheet.triangles, np.int32)
                own = context.buffer(_looks(sheet)), context.buffer(triangles)
                cleaned = sheet.kind == "near" and sheet.gain is not None
                buffers.append(("clean" if cleaned else sheet.kind, places, *own))
        return buffers

    def _render(
        self,
        programs: dict[str, moderngl.Program],
        drawn: "_Drawn",
        px_a_pixel: tuple[float, float],
    ) -> None:
        values = motion_uniforms(drawn.motion, drawn.camera, drawn.region)
        values["px_a_pixel"] = px_a_pixel
        values["grain"] = max(sheet.grain for sheet in drawn.mesh.sheets)
        for kind, *buffers in drawn.sheets:
            self._blend(kind != "solid")
            self._cull(kind in ("far", "mirror"))
            program = programs[kind]
            _set_uniforms(program, values)
            self._sheet(program, *buffers)

    def _square(self, size: int) -> moderngl.Framebuffer:
        if self._told is None or self._told.width != size:
            self._release_square()
            sides = (size, size)
            self._told_parts = (
                self._context.renderbuffer(sides, 4),
                self._context.depth_renderbuffer(sides),
            )
            self._told = self._context.framebuffer(*self._told_parts)
        return self._told

    def _release_square(self) -> None:
        if self._told is not None:
            for buffer in (self._told, *self._told_parts):
                buffer.release()
            self._told = None

    def _forget(self) -> None:
        """Give back the sheets that were last drawn."""
        if self._drawn is not None:
            for buffer in {b for _, *buffers in self._drawn.sheets for b in buffers}:
                buffer.release()
            self._drawn = None

    def _fit_buffers(self, region: Region, grid: NodeGrid) -> None:
        size, calm = sizes = (region.width, region.height), _calm_size(region, grid)
        if sizes == self._sizes:
            return
        self._release_buffers()
        context = self._context
        self._layer, self._calm = context.texture(size, 4), context.texture(calm, 4)
        self._target = DrawTarget(context, size, self._samples)
        for texture in (self._layer, self._calm):
            texture.repeat_x = texture.repeat_y = False
            texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._sizes = sizes

    def _release_buffers(self) -> None:
        if self._sizes is not None:
            for buffer in (self._target, self._layer, self._calm):
                buffer.release()
            self._sizes = None

    def release(self) -> None:
        """Give back the context and all that was made in it."""
        self._forget()
        self._release_square()
        self._release_buffers()
        for program in (*self._programs.values(), *self._tellers.values()):
            program.release()
        self._context.release()

    def _state(self) -> None:
        context = self._context
        context.front_face, context.cull_face = _UNTURNED, "front"
        context.enable(moderngl.DEPTH_TEST)
        context.depth_func = "<="
        context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        self._layer.use(0)
        self._calm.use(1)

    def _blend(self, wanted: bool) -> None:
        (self._context.enable if wanted else self._context.disable)(moderngl.BLEND)

    def _cull(self, unturned: bool) -> None:
        """Leave out triangles that look as they did before.

        Of the far side all of these are in hiding. Of a mirrored surface they are its inside: where
        it folds at its outline, that would show through the outside in specks.
        """
        (self._context.enable if unturned else self._context.disable)(moderngl.CULL_FACE)

    def _sheet(
        self, program: moderngl.Program, places: moderngl.Buffer, looks: moderngl.Buffer,
        triangles: moderngl.Buffer,
    ) -> None:  # fmt: skip
        # What the compiler dropped is skipped.
        content = [(places, *_PLACE_PARTS), (looks, *_LOOK_PARTS)]
        array = self._context.vertex_array(program, content, triangles, skip_errors=True)
        array.render()
        array.release()


# Shader; places and looks of the nodes; triangles.
_SheetBuffers = tuple[str, moderngl.Buffer, moderngl.Buffer, moderngl.Buffer]


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What was drawn last, and its buffers, so that more can be told of it at little cost."""

    mesh: HeadMesh
    motion: HeadMotion
    camera: np.ndarray
    region: Region
    presence: float
    resting: np.ndarray
    sheets: list[_SheetBuffers]


def motion_uniforms(motion: HeadMotion, camera: np.ndarray, region: Region) -> dict[str, Any]:
    """Return what the shaders of `stream.warp_shaders` want to know of a motion."""
    middle = motion.pivot_mm[2] + motion.translation_mm[2] / 2
    slack = _slack_mm(motion)
    return {
        "camera": (camera[0, 0], camera[1, 1], camera[0, 2], camera[1, 2]),
        "region": (region.x0, region.y0, region.width, region.height),
        "pivot": tuple(motion.pivot_mm),
        "axis_angle": tuple(motion.axis_angle),
        "shift": tuple(motion.translation_mm),
        "depth_range": (middle - slack, middle + slack),
    }


def _slack_mm(motion: HeadMotion) -> float:
    """Return how far before and behind a head there is room for depth."""
    return _REACH_MM + abs(float(motion.translation_mm[2]))


def _set_uniforms(program: moderngl.Program, values: dict[str, Any]) -> None:
    for name, value in values.items():
        member = program.get(name, None)
        if member is not None:  # the compiler drops what a sheet does not use
            member.value = value


def _calmed(layer: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a layer at a much smaller (width, height), averaged; by halves, which is quick."""
    while layer.shape[1] >= 2 * size[0] and layer.shape[0] >= 2 * size[1]:
        layer = halved(layer)
    return cv2.resize(layer, size, interpolation=cv2.INTER_AREA)


def _calm_size(region: Region, grid: NodeGrid) -> tuple[int, int]:
    """Return how wide and high the layer is without the strands that are finer than the nodes."""
    sides = zip((region.width, region.height), grid.step_px, strict=True)
    width, height = (max(round(side / step), 1) for side, step in sides)
    return width, height


def _places(sheet: Sheet, presence: float) -> np.ndarray:
    """Return (rows, columns, 6) float32, what `_PLACE_PARTS` names of each node of a sheet."""
    nodes = np.empty((*sheet.depth_mm.shape, 6), np.float32)
    nodes[..., :2] = sheet.places_px
    nodes[..., 2] = sheet.depth_mm
    np.multiply(sheet.share, presence, out=nodes[..., 3], casting="same_kind")
    nodes[..., 4:] = sheet.colours_px
    return nodes


def _looks(sheet: Sheet) -> np.ndarray:
    """Return (rows, columns, 5) float32, what `_LOOK_PARTS` names of each node of a sheet."""
    nodes = np.empty((*sheet.depth_mm.shape, 5), np.float32)
    nodes[..., 0] = sheet.opacity
    nodes[..., 1] = sheet.yield_mm
    nodes[..., 2:] = 1.0 if sheet.gain is None else sheet.gain
    return nodes


def _background(picture: np.ndarray, plate: np.ndarray, resting: np.ndarray) -> np.ndarray:
    """Return (h, w, 4) what the head is drawn over: the plate, and the frame where it rests.

    The fourth channel gathers how far the head covers a pixel.
    """
    colours = cv2.copyTo(picture, resting, plate.copy())
    background = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA)
    cv2.insertChannel(resting, background, 3)
    return background


def resting_mask(mesh: HeadMesh, region: Region, size: tuple[int, int] | None = None) -> np.ndarray:
    """Return (h, w) uint8, 255 where a pixel of the region lies in a cell that rests, else 0.

    Args:
        mesh: the mesh.
        region: a rectangle of the frame.
        size: (w, h) of the answer; the region's own unless given.
    """
    grid = mesh.depth.grid
    step_x, step_y = grid.step_px
    rows, columns = mesh.resting.shape
    width, height = size or (region.width, region.height)
    x = region.x0 + (np.arange(width) + 0.5) * (region.width / width)
    y = region.y0 + (np.arange(height) + 0.5) * (region.height / height)
    column = np.clip(((x - grid.region.x0) / step_x).astype(int), 0, columns - 1)
    row = np.clip(((y - grid.region.y0) / step_y).astype(int), 0, rows - 1)
    return (mesh.resting[:, column] * np.uint8(255))[row]  # whole rows copy fast
