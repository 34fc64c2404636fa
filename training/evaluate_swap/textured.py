"""Draw the head model with a texture, unlit: to look at sources and to measure them."""

from __future__ import annotations

from typing import Any

import moderngl
import numpy as np

from stream.geometry import pinhole_camera, rotation_from_angles
from stream.gl import create_context
from stream.head_model import HeadModel, load_head_model
from stream.swap.texture_map import texture_uv

DISTANCE_MM = 900.0
_BACKGROUND = 40 / 255
_VERTEX = """
#version 330
uniform vec4 camera;  // fx, fy, cx, cy
uniform vec2 size;
in vec3 position; in vec2 uv;
out vec2 place;
void main() {
    vec2 pixel = camera.xy * position.xy / position.z + camera.zw;
    float near = 50.0, far = 5000.0;
    float z = (far + near) / (far - near) - 2.0 * far * near / ((far - near) * position.z);
    gl_Position = vec4((2.0 * pixel / size - 1.0) * position.z, z * position.z, position.z);
    place = uv;
}
"""
_FRAGMENT = """
#version 330
uniform sampler2D skin;
in vec2 place;
out vec4 colour;
void main() { colour = vec4(texture(skin, place).rgb, 1.0); }
"""


class TexturedHead:
    """Draws textures on the head model.

    Args:
        side: of the pictures, pixels.
    """

    def __init__(self, side: int = 400) -> None:
        self.side, self._model = side, load_head_model()
        context = self._context = create_context()
        # moderngl types its lookup as a union of which only uniforms are used.
        self._program: Any = context.program(_VERTEX, _FRAGMENT)
        self._positions = context.buffer(reserve=12 * len(self._model.vertices))
        uv = context.buffer(np.ascontiguousarray(texture_uv(self._model)).tobytes())
        triangles = context.buffer(self._model.triangles.astype(np.int32).tobytes())
        layout = [(self._positions, "3f", "position"), (uv, "2f", "uv")]
        self._array = context.vertex_array(self._program, layout, triangles)
        colour = context.renderbuffer((side, side), 4, samples=4)
        depth = context.depth_renderbuffer((side, side), samples=4)
        self._target = context.framebuffer(colour, depth)
        self._plain = context.framebuffer(context.renderbuffer((side, side), 4))

    @property
    def model(self) -> HeadModel:
        """The head model."""
        return self._model

    def draw(
        self, texture: np.ndarray, shape: np.ndarray, yaw: float = 0.0, pitch: float = 0.0
    ) -> np.ndarray:
        """Draw a head, turned by angles in degrees.

        Args:
            texture: (S, S, 3) uint8 RGB.
            shape: (V, 3) mm, head space.
            yaw: degrees.
            pitch: degrees.

        Returns:
            (side, side, 3) uint8 RGB.
        """
        turned = shape @ rotation_from_angles(yaw, pitch, 0.0).T + [0, -35, DISTANCE_MM]
        camera = pinhole_camera(self.side, self.side, self.side * DISTANCE_MM / 280.0)
        size = (texture.shape[1], texture.shape[0])
        skin = self._context.texture(size, 3, np.ascontiguousarray(texture).tobytes(), alignment=1)
        skin.build_mipmaps()
        skin.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        self._positions.write(np.ascontiguousarray(turned, np.float32).tobytes())
        self._program["camera"].value = tuple(camera[[0, 1, 0, 1], [0, 1, 2, 2]])
        self._program["size"].value = (self.side, self.side)
        self._context.enable(moderngl.DEPTH_TEST)
        self._target.use()
        self._target.clear(_BACKGROUND, _BACKGROUND, _BACKGROUND, 1.0)
        skin.use(0)
        self._array.render()
        self._context.copy_framebuffer(self._plain, self._target)
        skin.release()
        data = np.frombuffer(self._plain.read(components=3, alignment=1), np.uint8)
        return data.reshape(self.side, self.side, 3)
