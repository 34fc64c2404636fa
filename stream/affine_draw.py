"""Draws textured face meshes for the live path: one OpenGL pass, two places to take colour from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import moderngl
import numpy as np

from stream.keypoint_warp import spread_depth

if TYPE_CHECKING:
    from stream.region import Region

_VERTEX = """
#version 330
uniform vec2 size;
in vec2 place_px;
in float depth;              // −1 near … 1 far
in vec2 own_px;
in vec2 mirror_px;
in float mirrored;
in vec3 gain;
in float cover;
out vec2 own, partner;
out float share, opacity;
out vec3 light;
void main() {
    own = own_px; partner = mirror_px; share = mirrored; light = gain;
    opacity = cover;
    gl_Position = vec4(2.0 * place_px / size - 1.0, depth, 1.0);
}
"""
_FRAGMENT = """
#version 330
uniform sampler2D source;
in vec2 own, partner;
in float share, opacity;
in vec3 light;
out vec4 colour;
void main() {
    vec2 texels = vec2(textureSize(source, 0));
    vec3 seen = texture(source, own / texels).rgb;
    if (share > 0.0) {
        vec3 hidden = texture(source, partner / texels).rgb * light;
        seen = mix(seen, hidden, share);
    }
    colour = vec4(seen, opacity);
}
"""
_LAYOUT = "2f 1f 2f 2f 1f 3f 1f"
_NAMES = ("place_px", "depth", "own_px", "mirror_px", "mirrored", "gain", "cover")
_STEP_PX = 64  # buffers grow in such steps


class FaceMesh(NamedTuple):
    """Where each corner goes and where its colour comes from; letters: N corners.

    Attributes:
        places_px: (N, 2) in the picture that is drawn.
        depth: (N,) in any unit, smaller is nearer.
        own_px: (N, 2) in the texture.
        mirror_px: (N, 2) the partner on the other side of the face, in the texture.
        mirrored: (N,) share of the partner's colour.
        gain: (N, 3) by which that is multiplied.
        cover: (N,) opacity, 0…1.
        triangles: (T, 3) int32 corner numbers.
    """

    places_px: np.ndarray
    depth: np.ndarray
    own_px: np.ndarray
    mirror_px: np.ndarray
    mirrored: np.ndarray
    gain: np.ndarray
    cover: np.ndarray
    triangles: np.ndarray


class FaceDrawer:
    """Draws meshes into regions of frames; keeps textures and buffers.

    Args:
        context: an OpenGL 3.3 context; closing it is the caller's.
    """

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._program = context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._held: list[moderngl.Buffer | moderngl.Framebuffer | moderngl.Renderbuffer] = []
        self._size = (0, 0)

    def texture(self, pixels: np.ndarray, *, many_sizes: bool) -> moderngl.Texture:
        """Put a picture where it can be drawn from; releasing it is the caller's.

        Args:
            pixels: (h, w, 3) uint8 RGB.
            many_sizes: it will be drawn smaller than it is, too, so that it needs a pyramid.
        """
        data = np.ascontiguousarray(pixels)
        texture = self._context.texture(data.shape[1::-1], 3, data, alignment=1)
        texture.repeat_x = texture.repeat_y = False
        if many_sizes:
            texture.build_mipmaps()
            texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        return texture

    def draw(self, texture: moderngl.Texture, mesh: FaceMesh, region: Region) -> np.ndarray:
        """Draw a mesh, of which the nearest surface shows.

        Args:
            texture: of the face; see `texture`.
            mesh: in pixels of the frame.
            region: what of the frame is drawn.

        Returns:
            (h, w, 4) uint8: RGB, not weighted, and opacity; 0 where the mesh is not.
        """
        self._fit(region.width, region.height)
        target = self._target
        target.use()
        target.viewport = (0, 0, region.width, region.height)
        target.clear(depth=1.0)
        self._context.enable_only(moderngl.DEPTH_TEST)
        self._context.depth_func = "<"
        self._program["size"].value = (region.width, region.height)
        texture.use(0)
        places = mesh.places_px - (region.x0, region.y0)
        nodes = np.column_stack([places, spread_depth(mesh.depth), *mesh[2:7]]).astype(np.float32)
        vertices = self._context.buffer(nodes.tobytes())
        indices = self._context.buffer(np.ascontiguousarray(mesh.triangles, np.int32).tobytes())
        array = self._context.vertex_array(self._program, [(vertices, _LAYOUT, *_NAMES)], indices)
        array.render()
        for part in (array, vertices, indices):
            part.release()
        read = target.read(viewport=target.viewport, components=4, alignment=1)
        return np.frombuffer(read, np.uint8).reshape(region.height, region.width, 4)

    def _fit(self, width: int, height: int) -> None:
        if width <= self._size[0] and height <= self._size[1]:
            return
        self._release_buffers()
        grown = (max(width, self._size[0]), max(height, self._size[1]))
        self._size = (-(-grown[0] // _STEP_PX) * _STEP_PX, -(-grown[1] // _STEP_PX) * _STEP_PX)
        colour = self._context.renderbuffer(self._size, 4)
        depth = self._context.depth_renderbuffer(self._size)
        self._target = self._context.framebuffer(colour, depth)
        self._held = [self._target, colour, depth]

    def _release_buffers(self) -> None:
        for part in self._held:
            part.release()
        self._held = []

    def release(self) -> None:
        """Give back what was made in the context; textures and the context stay."""
        self._release_buffers()
        self._size = (0, 0)
        self._program.release()
