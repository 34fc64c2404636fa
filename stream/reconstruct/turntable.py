"""A film of a head that turns once about itself, textured and shaded, by OpenGL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import moderngl
import numpy as np

from stream.closing import Closing
from stream.frame import Frame
from stream.geometry import pinhole_camera, rotation_from_angles
from stream.media import StreamInfo, open_sink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stream.reconstruct.assemble import FileMesh

SIZE = (480, 600)  # width, height
_FPS, _FRAMES = 24, 72
_FOCAL_PX, _DISTANCE_MM = 1300.0, 900.0
_BACKGROUND = (0.93, 0.93, 0.94)
_NEAR_MM, _FAR_MM = 200.0, 2500.0
_SAMPLES = 4
_VERTEX = """
#version 330
uniform mat4 clip_from_head; uniform mat3 camera_from_head;
in vec3 position; in vec3 normal; in vec2 uv;
out vec3 v_normal; out vec2 v_uv;
void main() {
    gl_Position = clip_from_head * vec4(position, 1.0);
    v_normal = camera_from_head * normal; v_uv = uv;
}
"""
_FRAGMENT = """
#version 330
uniform sampler2D picture;
uniform vec3 clay;      // colour instead of the picture, where positive
in vec3 v_normal; in vec2 v_uv;
out vec4 colour;
void main() {
    vec3 n = normalize(v_normal);
    if (!gl_FrontFacing) n = -n;
    float lamp = max(dot(n, normalize(vec3(-0.35, -0.45, -0.8))), 0.0);
    float rim = max(dot(n, normalize(vec3(0.8, -0.2, 0.2))), 0.0);
    // The picture has its own light in it: shape is only hinted at.
    float light = clay.r > 0.0 ? 0.25 + 0.65 * lamp + 0.15 * rim : 0.82 + 0.2 * lamp + 0.06 * rim;
    vec3 base = clay.r > 0.0 ? clay : texture(picture, v_uv).rgb;
    colour = vec4(min(base * light, vec3(1.0)), 1.0);
}
"""


class HeadRenderer(Closing):
    """Draws one mesh from any side; y is down and z away from the camera, as in head space.

    Args:
        context: OpenGL.
        mesh: the head, in head space.
        size: (width, height) of the pictures.
    """

    def __init__(
        self, context: moderngl.Context, mesh: FileMesh, size: tuple[int, int] = SIZE
    ) -> None:
        self._context, self._size = context, size
        self._program = context.program(_VERTEX, _FRAGMENT)
        packed = np.hstack([mesh.vertices_mm, mesh.normals, mesh.uv]).astype("f4")
        self._points = context.buffer(packed.tobytes())
        self._corners = context.buffer(mesh.triangles.astype("i4").tobytes())
        layout = [(self._points, "3f 3f 2f", "position", "normal", "uv")]
        self._array = context.vertex_array(self._program, layout, self._corners)
        height, width = mesh.picture.shape[:2]
        pixels = np.ascontiguousarray(mesh.picture).tobytes()
        self._texture = context.texture((width, height), 3, pixels, alignment=1)
        self._texture.build_mipmaps()
        self._target = context.framebuffer(
            context.renderbuffer(size, 4, samples=_SAMPLES),
            context.depth_renderbuffer(size, samples=_SAMPLES),
        )
        self._resolved = context.simple_framebuffer(size, 4)
        low, high = mesh.vertices_mm.min(axis=0), mesh.vertices_mm.max(axis=0)
        self._middle = np.array([0.0, (low[1] + high[1]) / 2, 0.0])
        self._scale = 330.0 / max(high[1] - low[1], high[0] - low[0], 1.0)

    def close(self) -> None:
        """Give back what was made in the OpenGL context."""
        for item in (
            self._array, self._points, self._corners, self._texture, self._program,
            *self._target.color_attachments, self._target.depth_attachment, self._target,
            self._resolved,
        ):  # fmt: skip
            item.release()

    def draw(
        self, yaw: float, pitch: float = 0.0, clay: tuple[float, float, float] | None = None
    ) -> np.ndarray:
        """Return (h, w, 3) uint8 RGB of the head turned by degrees.

        Args:
            yaw: the nose goes to the right.
            pitch: it goes up.
            clay: one colour for all, to show the shape; the texture unless given.
        """
        turn = rotation_from_angles(yaw, pitch, 0.0)
        pose = np.eye(4)
        pose[:3, :3] = turn * self._scale
        pose[:3, 3] = [0, 0, _DISTANCE_MM] - pose[:3, :3] @ self._middle
        width, height = self._size
        clip = clip_from_camera(pinhole_camera(width, height, _FOCAL_PX * height / 640), self._size)
        self._program["clip_from_head"].write((clip @ pose).T.astype("f4").tobytes())
        self._program["camera_from_head"].write(turn.T.astype("f4").tobytes())
        self._program["clay"].value = clay or (-1.0, 0.0, 0.0)
        self._target.use()
        self._context.enable(moderngl.DEPTH_TEST)
        self._context.disable(moderngl.CULL_FACE | moderngl.BLEND)
        self._context.depth_func, self._context.front_face = "<", "ccw"
        self._target.clear(*_BACKGROUND, 1.0, depth=1.0)
        self._texture.use(0)
        self._array.render()
        self._context.copy_framebuffer(self._resolved, self._target)
        pixels = np.frombuffer(self._resolved.read(components=3, alignment=1), np.uint8)
        return pixels.reshape(height, width, 3)[::-1].copy()


def clip_from_camera(camera: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the (4, 4) OpenGL projection of a pinhole camera (y down, z away)."""
    width, height = size
    span = _FAR_MM - _NEAR_MM
    return np.array(
        [
            [2 * camera[0, 0] / width, 0, 2 * camera[0, 2] / width - 1, 0],
            [0, -2 * camera[1, 1] / height, 1 - 2 * camera[1, 2] / height, 0],
            [0, 0, (_FAR_MM + _NEAR_MM) / span, -2 * _FAR_MM * _NEAR_MM / span],
            [0, 0, 1, 0],
        ]
    )


def write_turntable(path: Path, context: moderngl.Context, mesh: FileMesh) -> None:
    """Write a film of the head that turns once.

    Args:
        path: a video file, or a gif.
        context: OpenGL.
        mesh: the head, in head space.

    Raises:
        UserError: it cannot be written.
    """
    info = StreamInfo(*SIZE, fps=float(_FPS), frame_count=_FRAMES)
    with HeadRenderer(context, mesh) as renderer, open_sink(str(path), info) as sink:
        for frame in _turning(renderer):
            sink.write(frame)


def _turning(renderer: HeadRenderer) -> Iterator[Frame]:
    for index in range(_FRAMES):
        yield Frame(renderer.draw(360.0 * index / _FRAMES), index, index / _FPS)
