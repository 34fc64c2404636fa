"""Render textured meshes with known depth and labels, for measuring and for the demo.

Head space and camera space are those of docs/architecture.md. The renderer is small on
purpose: one sun, a sky, alpha for hair, anti-aliasing by supersampling.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Any

import cv2
import moderngl
import numpy as np

from stream.gl import create_context

_VERTEX = """
#version 330
uniform vec4 camera;  // fx, fy, cx, cy in pixels
uniform vec2 size;
uniform mat4 camera_from_head;
in vec3 position; in vec3 normal; in vec2 uv; in float label;
out vec3 normal_v; out vec2 uv_v; out float depth_v; flat out float label_v;
void main() {
    vec4 p = camera_from_head * vec4(position, 1.0);
    vec2 pixel = camera.xy * p.xy / p.z + camera.zw;
    float near = 50.0, far = 20000.0;
    float z = (far + near) / (far - near) - 2.0 * far * near / ((far - near) * p.z);
    gl_Position = vec4((2.0 * pixel / size - 1.0) * p.z, z * p.z, p.z);
    normal_v = mat3(camera_from_head) * normal;
    uv_v = uv; depth_v = p.z; label_v = label;
}
"""

_FRAGMENT = """
#version 330
uniform sampler2D picture;
uniform vec3 sun;       // direction towards the light, camera space
uniform float ambient;
uniform bool soft;      // draw only what the opaque pass left out
in vec3 normal_v; in vec2 uv_v; in float depth_v; flat in float label_v;
layout(location = 0) out vec4 colour; layout(location = 1) out vec2 data;
void main() {
    vec4 texel = texture(picture, uv_v);
    if (soft ? texel.a >= 0.45 || texel.a < 0.02 : texel.a < 0.45) discard;
    vec3 n = normalize(normal_v);
    if (n.z > 0.0) n = -n;  // sheets of hair have two sides
    float sky = 0.5 - 0.5 * n.y;
    float light = ambient * (0.6 + 0.4 * sky) + (1.0 - ambient) * max(dot(n, sun), 0.0);
    vec3 linear = pow(texel.rgb, vec3(2.2)) * light * 1.5;
    colour = vec4(pow(min(linear, vec3(1.0)), vec3(1.0 / 2.2)), soft ? texel.a : 1.0);
    data = vec2(depth_v, label_v);
}
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A textured mesh.

    Attributes:
        vertices_mm: (V, 3) float32.
        triangles: (T, 3) int32.
        uv: (V, 2) float32, 0…1, origin at the top left of the texture.
        texture: (h, w, 4) uint8 RGBA; alpha below 0.45 is drawn softly.
        labels: (V,) uint8, labels of the contract.
        smooth_ids: (V,) int32; vertices with one number share one normal.
    """

    vertices_mm: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    labels: np.ndarray
    smooth_ids: np.ndarray


@dataclass(frozen=True, slots=True)
class Light:
    """A sun and an even sky.

    Attributes:
        sun: direction towards the sun, camera space (x right, y down, z forward).
        ambient: share of the sky, 0…1.
    """

    sun: tuple[float, float, float] = (-0.4, -0.6, -0.7)
    ambient: float = 0.45


@dataclass(frozen=True, slots=True)
class Rendering:
    """A picture with what is known about it.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        depth_mm: (H, W) float32, distance along z, nan where there is no head.
        labels: (H, W) uint8, labels of the contract, 0 background.
    """

    pixels: np.ndarray
    depth_mm: np.ndarray
    labels: np.ndarray


def vertex_normals(part: Part) -> np.ndarray:
    """Return (V, 3) float32 unit normals, area-weighted, shared across UV seams."""
    corners = part.vertices_mm[part.triangles].astype(np.float64)
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros((int(part.smooth_ids.max()) + 1, 3))
    np.add.at(total, part.smooth_ids[part.triangles], face[:, None])
    normals = total[part.smooth_ids]
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return (normals / np.maximum(length, 1e-12)).astype(np.float32)


class Renderer:
    """Draws parts before a background; a context manager that owns its OpenGL context."""

    def __init__(self, size: tuple[int, int], supersample: int = 2) -> None:
        """Prepare to render.

        Args:
            size: (width, height) of the pictures.
            supersample: colour samples per pixel and axis.
        """
        self._size, self._scale = size, supersample
        self._context = create_context()
        # moderngl's lookup is typed as a union of all members, of which only uniforms are used.
        self._program: Any = self._context.program(_VERTEX, _FRAGMENT)
        width, height = size[0] * supersample, size[1] * supersample
        self._colour = self._context.texture((width, height), 4)
        self._data = self._context.texture((width, height), 2, dtype="f4")
        depth = self._context.depth_renderbuffer((width, height))
        self._target = self._context.framebuffer([self._colour, self._data], depth)
        self._soft_target = self._context.framebuffer([self._colour], depth)

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._context.release()

    def render(
        self,
        parts: list[Part],
        camera_from_head: np.ndarray,
        camera: np.ndarray,
        background: np.ndarray,
        light: Light | None = None,
    ) -> Rendering:
        """Draw the parts in order of depth before the background.

        Args:
            parts: meshes in head space.
            camera_from_head: (4, 4) rigid transform, millimetres.
            camera: (3, 3) pinhole intrinsics, pixels.
            background: (H, W, 3) uint8 RGB of the renderer's size.
            light: the light; its default comes from the upper left.
        """
        self._clear(background)
        self._set_uniforms(camera_from_head, camera, light or Light())
        meshes = [self._upload(part) for part in parts]
        self._target.use()
        self._context.enable_only(moderngl.DEPTH_TEST)
        self._draw(meshes, soft=False)
        self._soft_target.use()
        self._context.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
        self._soft_target.depth_mask = False
        self._draw(meshes, soft=True)
        self._soft_target.depth_mask = True
        for mesh, texture in meshes:
            mesh.release()
            texture.release()
        return self._read()

    def _clear(self, background: np.ndarray) -> None:
        self._target.clear()
        large = cv2.resize(background, self._colour.size, interpolation=cv2.INTER_LINEAR)
        self._colour.write(np.dstack([large, np.full(large.shape[:2], 255, np.uint8)]).tobytes())

    def _set_uniforms(self, camera_from_head: np.ndarray, camera: np.ndarray, light: Light) -> None:
        scale = self._scale
        centre = (camera[0, 0], camera[1, 1], camera[0, 2], camera[1, 2])
        self._program["camera"].value = tuple(float(value) * scale for value in centre)
        self._program["size"].value = tuple(float(side) * scale for side in self._size)
        self._program["camera_from_head"].write(camera_from_head.T.astype("f4").tobytes())
        sun = np.array(light.sun) / np.linalg.norm(light.sun)
        self._program["sun"].value = tuple(sun.tolist())
        self._program["ambient"].value = light.ambient

    def _upload(self, part: Part) -> tuple[moderngl.VertexArray, moderngl.Texture]:
        labels = part.labels.astype(np.float32)[:, None]
        rows = np.hstack([part.vertices_mm, vertex_normals(part), part.uv, labels])
        vertices = self._context.buffer(np.ascontiguousarray(rows, np.float32).tobytes())
        index = self._context.buffer(part.triangles.astype(np.int32).tobytes())
        layout = [(vertices, "3f 3f 2f 1f", "position", "normal", "uv", "label")]
        height, width = part.texture.shape[:2]
        texture = self._context.texture((width, height), 4, part.texture.tobytes())
        texture.build_mipmaps()
        texture.anisotropy = 8.0
        return self._context.vertex_array(self._program, layout, index), texture

    def _draw(
        self, meshes: list[tuple[moderngl.VertexArray, moderngl.Texture]], soft: bool
    ) -> None:
        self._program["soft"].value = soft
        for mesh, texture in meshes:
            texture.use(0)
            mesh.render()

    def _read(self) -> Rendering:
        width, height = self._colour.size
        colour = np.frombuffer(self._colour.read(), np.uint8).reshape(height, width, 4)
        pixels = cv2.resize(colour[..., :3], self._size, interpolation=cv2.INTER_AREA)
        data = np.frombuffer(self._data.read(), np.float32).reshape(height, width, 2)
        middle = self._scale // 2
        depth, label = np.moveaxis(data[middle :: self._scale, middle :: self._scale], -1, 0)
        depth = np.where(depth > 0, depth, np.nan).astype(np.float32)
        return Rendering(pixels, depth, label.round().astype(np.uint8))
