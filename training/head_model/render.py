"""A small off-screen renderer for sheets and for the calibration of the tracked points."""

from dataclasses import dataclass
from types import TracebackType

import moderngl
import numpy as np

_VERTEX = """
#version 330
uniform mat4 clip_from_camera;
in vec3 position; in vec3 normal; in vec3 colour; in vec2 uv;
out vec3 v_normal; out vec3 v_colour; out vec2 v_uv; out vec3 v_position;
void main() {
    gl_Position = clip_from_camera * vec4(position, 1.0);
    v_normal = normal; v_colour = colour; v_uv = uv; v_position = position;
}
"""

_FRAGMENT = """
#version 330
uniform sampler2D skin; uniform bool textured; uniform float cutoff; uniform bool flag_back;
uniform vec3 light_directions[3]; uniform vec3 light_colours[3]; uniform vec3 ambient;
in vec3 v_normal; in vec3 v_colour; in vec2 v_uv; in vec3 v_position;
out vec4 fragment;
void main() {
    vec4 base = textured ? texture(skin, v_uv) : vec4(v_colour, 1.0);
    if (base.a < cutoff) discard;
    vec3 n = normalize(v_normal);
    if (!gl_FrontFacing) n = -n;
    vec3 light = ambient;
    for (int i = 0; i < 3; ++i) {
        light += light_colours[i] * max(dot(n, -light_directions[i]), 0.0);
    }
    vec3 halfway = normalize(-light_directions[0] - normalize(v_position));
    float shine = 0.06 * pow(max(dot(n, halfway), 0.0), 24.0);
    fragment = vec4(base.rgb * light + shine, base.a);
    if (flag_back && !gl_FrontFacing) fragment = vec4(0.9, 0.1, 0.6, 1.0);
}
"""


@dataclass(frozen=True, slots=True)
class Layer:
    """One mesh to draw.

    Attributes:
        vertices: (V, 3) camera space, mm.
        triangles: (T, 3) corner numbers.
        normals: (V, 3) unit normals.
        colours: (V, 3) 0…1, used where there is no picture.
        uv: (V, 2) texture coordinates of picture rows and columns, 0…1, v down.
        picture: (H, W, 3 or 4) uint8 texture, or None.
        cutoff: alpha below which a fragment is dropped.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    colours: np.ndarray | None = None
    uv: np.ndarray | None = None
    picture: np.ndarray | None = None
    cutoff: float = 0.0


@dataclass(frozen=True, slots=True)
class Light:
    """Three lamps and an ambient term; directions point the way the light travels."""

    directions: np.ndarray
    colours: np.ndarray
    ambient: tuple[float, float, float] = (0.3, 0.3, 0.3)


STUDIO = Light(
    directions=np.array([[0.35, 0.45, 0.82], [-0.75, 0.15, 0.6], [0.1, -0.8, 0.6]]),
    colours=np.array([[0.62] * 3, [0.22] * 3, [0.12] * 3]),
    ambient=(0.16, 0.16, 0.17),
)


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Average the face normals around each vertex, weighted by area: (V, 3)."""
    corners = vertices[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def clip_from_camera(camera: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Turn pinhole intrinsics into an OpenGL projection for camera space (y down, z forward)."""
    width, height = size
    near, far = 50.0, 5000.0
    matrix = np.zeros((4, 4))
    matrix[0, 0] = 2 * camera[0, 0] / width
    matrix[0, 2] = 2 * camera[0, 2] / width - 1
    matrix[1, 1] = -2 * camera[1, 1] / height
    matrix[1, 2] = 1 - 2 * camera[1, 2] / height
    matrix[2, 2] = (far + near) / (far - near)
    matrix[2, 3] = -2 * far * near / (far - near)
    matrix[3, 2] = 1.0
    return matrix


class Renderer:
    """Draw layers into an RGB picture; a context manager that owns an OpenGL context.

    Args:
        size: (width, height) in pixels.
        samples: multisampling.
    """

    def __init__(self, size: tuple[int, int], samples: int = 4) -> None:
        self.size = size
        self._gl = moderngl.create_context(standalone=True, backend="egl")
        self._program = self._gl.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._target = self._gl.framebuffer(
            self._gl.renderbuffer(size, 4, samples=samples),
            self._gl.depth_renderbuffer(size, samples=samples),
        )
        self._resolved = self._gl.simple_framebuffer(size, 4)
        self._textures: dict[int, tuple[np.ndarray, moderngl.Texture]] = {}

    def __enter__(self) -> "Renderer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gl.release()

    def draw(
        self,
        layers: list[Layer],
        camera: np.ndarray,
        light: Light = STUDIO,
        background: tuple[float, float, float] = (0.93, 0.93, 0.93),
        flag_back: bool = False,
    ) -> np.ndarray:
        """Render layers in order.

        Args:
            layers: meshes in camera space.
            camera: (3, 3) intrinsics, pixels.
            light: the lamps.
            background: RGB 0…1.
            flag_back: paint the back of triangles magenta, to find flipped ones.

        Returns:
            (H, W, 3) uint8 RGB.
        """
        self._target.use()
        self._gl.clear(*background, 1.0)
        self._gl.enable(moderngl.DEPTH_TEST | moderngl.BLEND)
        # The projection mirrors y, so counter-clockwise seen from outside stays so on screen.
        self._gl.front_face = "ccw"
        directions = light.directions / np.linalg.norm(light.directions, axis=1, keepdims=True)
        self._set("clip_from_camera", clip_from_camera(camera, self.size).T)
        self._set("light_directions", directions)
        self._set("light_colours", light.colours)
        self._program["ambient"] = light.ambient
        self._program["flag_back"] = flag_back
        for layer in layers:
            self._draw_layer(layer)
        self._gl.copy_framebuffer(self._resolved, self._target)
        width, height = self.size
        pixels = np.frombuffer(self._resolved.read(components=3), np.uint8)
        return pixels.reshape(height, width, 3)[::-1].copy()

    def _set(self, name: str, value: np.ndarray) -> None:
        self._program[name].write(np.ascontiguousarray(value, dtype="f4").tobytes())

    def _draw_layer(self, layer: Layer) -> None:
        count = len(layer.vertices)
        colours = np.full((count, 3), 0.78) if layer.colours is None else layer.colours
        uv = np.zeros((count, 2)) if layer.uv is None else layer.uv
        packed = np.hstack([layer.vertices, layer.normals, colours, uv]).astype("f4")
        self._program["textured"] = layer.picture is not None
        self._program["cutoff"] = layer.cutoff
        if layer.picture is not None:
            self._texture(layer.picture).use(0)
        points = self._gl.buffer(packed.tobytes())
        corners = self._gl.buffer(np.ascontiguousarray(layer.triangles, dtype="i4").tobytes())
        array = self._gl.vertex_array(
            self._program,
            [(points, "3f 3f 3f 2f", "position", "normal", "colour", "uv")],
            corners,
        )
        array.render()
        for item in (array, corners, points):
            item.release()

    def _texture(self, picture: np.ndarray) -> moderngl.Texture:
        if id(picture) not in self._textures:
            height, width, channels = picture.shape
            data = np.ascontiguousarray(picture).tobytes()
            texture = self._gl.texture((width, height), channels, data, alignment=1)
            texture.build_mipmaps()
            texture.anisotropy = 2.0
            self._textures[id(picture)] = (picture, texture)
        return self._textures[id(picture)][1]
