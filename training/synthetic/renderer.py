"""Draw a synthetic person: linear light, a matte, and the exact truth of every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import moderngl
import numpy as np

from stream.closing import Closing
from stream.gl import create_context
from training.synthetic import shaders
from training.synthetic.scene import Camera, Label, Layers, Lighting, Portrait, Surface

_SHADOW_SIZE = 512
_SHADOW_REACH_MM = 260.0  # half the side of what the shadowed lamp lights
_TEXTURES_KEPT = 48
MOST_LAMPS = 4
_ON_SKIN = ("brows", "lashes")  # part of the skin for the truth
_SHADOWLESS = ("teeth", "tongue", "eyes", "brows", "lashes")  # too thin, or inside the head
_LAYOUT = "3f 3f 2f 1f 3f 2f"
_NAMES = ("position", "normal", "uv", "label", "canonical", "head_uv")


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A surface on the graphics side: all share one buffer, each has a range of indices."""

    surface: Surface
    texture: moderngl.Texture
    first: int
    count: int


def surface_normals(surface: Surface) -> np.ndarray:
    """Return (V, 3) float32 unit normals, weighed by area, shared across texture seams."""
    a, b, c = (surface.vertices_mm[surface.triangles[:, corner]] for corner in range(3))
    face = np.cross(b - a, c - a)
    corners = surface.smooth_ids[surface.triangles].ravel()
    count = int(surface.smooth_ids.max()) + 1
    total = np.stack(
        [np.bincount(corners, np.repeat(face[:, axis], 3), count) for axis in range(3)], axis=-1
    )
    normals = total[surface.smooth_ids]
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(length > 1e-9, normals / np.maximum(length, 1e-9), [0.0, 0.0, -1.0])
    return normals.astype(np.float32)


class SceneRenderer(Closing):
    """Draws portraits; a context manager that owns an OpenGL context without a window.

    Args:
        size: (width, height) of the pictures.
        supersample: colour samples per pixel and axis.
    """

    def __init__(self, size: tuple[int, int], supersample: int = 2) -> None:
        self.size, self._scale = size, supersample
        context = self._context = create_context()
        # moderngl's lookup is typed as a union of all members, of which only uniforms are used.
        self._shade: Any = context.program(shaders.VERTEX, shaders.SHADE)
        self._front: Any = context.program(shaders.VERTEX, shaders.FRONT)
        self._truth: Any = context.program(shaders.VERTEX, shaders.TRUTH)
        self._cast: Any = context.program(shaders.SHADOW_VERTEX, shaders.SHADOW)
        large = (size[0] * supersample, size[1] * supersample)
        self._colour = context.texture(large, 4, dtype="f2")
        self._matte = context.texture(large, 4)
        depth = context.depth_renderbuffer(large)
        self._picture = context.framebuffer([self._colour, self._matte], depth)
        self._maps = [context.texture(size, 4, dtype="f4") for _ in range(3)]
        self._data = context.framebuffer(self._maps, context.depth_renderbuffer(size))
        self._shadow = context.depth_texture((_SHADOW_SIZE, _SHADOW_SIZE))
        self._shadow.compare_func = "<="
        self._shadow.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._shadow_target = context.framebuffer(depth_attachment=self._shadow)
        self._textures: dict[int, tuple[np.ndarray, moderngl.Texture]] = {}

    def close(self) -> None:
        """Give back the OpenGL context."""
        self._context.release()

    def draw(self, portrait: Portrait, camera: Camera, lighting: Lighting) -> Layers:
        """Draw one person from one place in one light.

        Args:
            portrait: who, posed.
            camera: from where; its size is the renderer's.
            lighting: in which light.

        Raises:
            ValueError: when the camera has another size.
        """
        if tuple(camera.size) != tuple(self.size):
            raise ValueError(f"camera of {camera.size}, renderer of {self.size}")
        with self._context:  # another renderer's may be the current one
            drawn, buffers = self._upload(portrait)
            self._place(camera, lighting)
            arrays = self._arrays(buffers)
            self._context.enable_only(moderngl.DEPTH_TEST)
            if lighting.shadowed >= 0:
                self._draw_shadow(drawn, arrays[2])
            self._draw_picture(drawn, arrays[0], arrays[3])
            layers = self._read(drawn, arrays[1])
            for thing in (*arrays, *buffers):
                thing.release()
        return layers

    # --- upload -----------------------------------------------------------------------------

    def _upload(self, portrait: Portrait) -> tuple[list[_Drawn], tuple[moderngl.Buffer, ...]]:
        rows, indices, drawn, vertex, first = [], [], [], 0, 0
        for surface in portrait.surfaces:
            rows.append(
                np.column_stack(
                    [surface.vertices_mm, surface_normals(surface), surface.uv, surface.labels,
                     surface.canonical_mm, surface.head_uv]
                ).astype(np.float32, copy=False)
            )  # fmt: skip
            indices.append(surface.triangles.ravel() + vertex)
            count = surface.triangles.size
            drawn.append(_Drawn(surface, self._texture(surface.texture), first, count))
            vertex, first = vertex + len(surface.vertices_mm), first + count
        vertices = self._context.buffer(np.concatenate(rows).tobytes())
        index = self._context.buffer(np.concatenate(indices).astype(np.int32).tobytes())
        return drawn, (vertices, index)

    def _texture(self, picture: np.ndarray) -> moderngl.Texture:
        """Upload a texture once; the array is kept with it, so that its id stays its own."""
        kept = self._textures.get(id(picture))
        if kept is None:
            if len(self._textures) >= _TEXTURES_KEPT:
                _, oldest = self._textures.pop(next(iter(self._textures)))
                oldest.release()
            height, width = picture.shape[:2]
            texture = self._context.texture((width, height), 4, picture.tobytes())
            texture.build_mipmaps()
            texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
            kept = self._textures[id(picture)] = picture, texture
        return kept[1]

    def _arrays(self, buffers: tuple[moderngl.Buffer, ...]) -> list[moderngl.VertexArray]:
        vertices, index = buffers
        arrays = []
        for program in (self._shade, self._truth, self._cast, self._front):
            parts, names = [], []
            for size, name in zip(_LAYOUT.split(), _NAMES, strict=True):
                used = name in program
                parts.append(size if used else f"{4 * int(size[0])}x")
                names += [name] if used else []
            layout = [(vertices, " ".join(parts), *names)]
            arrays.append(self._context.vertex_array(program, layout, index))
        return arrays

    # --- uniforms ---------------------------------------------------------------------------

    def _place(self, camera: Camera, lighting: Lighting) -> None:
        matrix = camera.camera_from_head.T.astype("f4").tobytes()
        k = camera.intrinsics
        for program, scale in (
            (self._shade, self._scale), (self._front, self._scale), (self._truth, 1)
        ):  # fmt: skip
            program["camera"].value = tuple(
                float(value) * scale for value in (k[0, 0], k[1, 1], k[0, 2], k[1, 2])
            )
            program["size"].value = tuple(float(side) * scale for side in self.size)
            program["camera_from_head"].write(matrix)
        count = min(len(lighting.directions), MOST_LAMPS)
        for name, values in (
            ("lamp_direction", lighting.directions),
            ("lamp_colour", lighting.colours),
        ):
            padded = np.zeros((MOST_LAMPS, 3), "f4")
            padded[:count] = values[:count]
            self._shade[name].write(padded.tobytes())
        self._shade["sky"].write(lighting.sky.astype("f4").tobytes())
        self._shade["lamps"].value = count
        self._shade["shadowed"].value = lighting.shadowed
        if lighting.shadowed >= 0:
            seen = _shadow_matrix(lighting.directions[lighting.shadowed], camera.camera_from_head)
            self._shade["shadow_from_camera"].write(seen.T.astype("f4").tobytes())
            from_head = seen @ camera.camera_from_head
            self._cast["shadow_from_head"].write(from_head.T.astype("f4").tobytes())

    # --- passes -----------------------------------------------------------------------------

    def _draw_shadow(self, drawn: list[_Drawn], array: moderngl.VertexArray) -> None:
        self._shadow_target.clear(depth=1.0)
        self._shadow_target.use()
        for item in drawn:
            if not item.surface.material.lens and item.surface.name not in _SHADOWLESS:
                item.texture.use(0)
                self._cast["cutoff"].value = item.surface.material.cutoff
                array.render(vertices=item.count, first=item.first)

    def _draw_picture(
        self, drawn: list[_Drawn], array: moderngl.VertexArray, front: moderngl.VertexArray
    ) -> None:
        self._picture.clear()
        self._picture.use()
        self._shade["picture"].value, self._shade["shadow"].value = 0, 1
        self._shadow.use(1)
        solid = [item for item in drawn if not item.surface.material.lens]
        self._draw_front(solid, front)
        self._context.depth_func = "=="  # what is hidden is not shaded
        self._picture.depth_mask = False
        for item in solid:
            self._shaded(item, array, 0)
        self._context.depth_func = "<"
        self._context.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
        self._context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        for item in solid:
            if item.surface.material.soft:
                self._shaded(item, array, 1)
        for item in drawn:
            if item.surface.material.lens:
                self._shaded(item, array, 2)
        self._picture.depth_mask = True
        self._context.enable_only(moderngl.DEPTH_TEST)

    def _draw_front(self, items: list[_Drawn], array: moderngl.VertexArray) -> None:
        """Lay down the depth of what is in front, so that nothing behind it need be shaded."""
        self._picture.color_mask = [(False,) * 4] * 2
        for item in items:
            item.texture.use(0)
            self._front["cutoff"].value = item.surface.material.cutoff
            array.render(vertices=item.count, first=item.first)
        self._picture.color_mask = [(True,) * 4] * 2

    def _shaded(self, item: _Drawn, array: moderngl.VertexArray, stage: int) -> None:
        material, program = item.surface.material, self._shade
        program["gloss"].value, program["shininess"].value = material.gloss, material.shininess
        program["scatter"].value, program["cutoff"].value = material.scatter, material.cutoff
        program["pass"].value = stage
        program["hairy"].value = item.surface.name in ("hair", "beard")
        item.texture.use(0)
        array.render(vertices=item.count, first=item.first)

    def _draw_truth(self, items: list[_Drawn], array: moderngl.VertexArray) -> None:
        self._data.clear()
        self._data.use()
        for item in items:
            item.texture.use(0)
            self._truth["cutoff"].value = item.surface.material.cutoff
            array.render(vertices=item.count, first=item.first)

    # --- reading ----------------------------------------------------------------------------

    def _read(self, drawn: list[_Drawn], array: moderngl.VertexArray) -> Layers:
        light = _array(self._colour, np.float16).astype(np.float32)
        light = cv2.resize(light, self.size, interpolation=cv2.INTER_AREA)
        matte = _array(self._matte, np.uint8)[..., 0]
        matte = cv2.resize(np.ascontiguousarray(matte), self.size, interpolation=cv2.INTER_AREA)
        self._draw_truth([item for item in drawn if item.surface.name in ("skin", "eyes")], array)
        face = _array(self._maps[0], np.float32)[..., 0]
        self._draw_truth([item for item in drawn if _is_true(item.surface)], array)
        where, facing, same = (_array(item, np.float32) for item in self._maps)
        seen = where[..., 0] > 0
        labels = np.where(seen, np.rint(where[..., 1]), 0).astype(np.uint8)
        return Layers(
            colour=np.ascontiguousarray(light[..., :3]),
            alpha=np.clip(light[..., 3], 0.0, 1.0),
            hair_alpha=matte.astype(np.float32) / 255,
            depth_mm=np.where(seen, where[..., 0], np.float32(np.nan)),
            labels=labels,
            normals=np.where(seen[..., None], facing[..., :3], np.float32(np.nan)),
            head_uv=np.where(seen[..., None], where[..., 2:], np.float32(np.nan)),
            canonical_mm=np.where(seen[..., None], same[..., :3], np.float32(np.nan)),
            face_depth_mm=np.where(face > 0, face, np.float32(np.nan)),
        )


def _is_true(surface: Surface) -> bool:
    """Tell whether a surface is what a pixel shows: not brows, nor clear glass."""
    if surface.material.lens:
        return bool((surface.labels == Label.OCCLUDER).any())
    return surface.name not in _ON_SKIN


def _array(texture: moderngl.Texture, kind: type) -> np.ndarray:
    width, height = texture.size
    return np.frombuffer(texture.read(), kind).reshape(height, width, texture.components)


def _shadow_matrix(towards: np.ndarray, camera_from_head: np.ndarray) -> np.ndarray:
    """Look along a lamp's light at the head: (4, 4) clip space of the shadow from camera space."""
    forward = -np.asarray(towards, float)
    side = np.cross(forward, [0.0, 1.0, 0.0] if abs(forward[1]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    rotation = np.stack([side, np.cross(forward, side), forward])
    middle = camera_from_head[:3, 3] + camera_from_head[:3, :3] @ [0.0, 60.0, 0.0]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation / _SHADOW_REACH_MM
    matrix[:3, 3] = -rotation @ middle / _SHADOW_REACH_MM
    return matrix
