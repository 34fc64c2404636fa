"""The face between its keypoints, drawn anew under an affine: step 5 of DepthNets §2.1.

The source picture is the texture of a mesh over the keypoints; every keypoint, with its depth,
goes to where the 2×4 affine puts it, and what lies between follows. Nothing is trained here.
"""

import moderngl
import numpy as np

from stream.affine import apply_affine, depth_row, lift

_VERTEX = """
#version 330
uniform vec2 target_size;
in vec2 target_px;
in float depth;            // −1 near … 1 far
in vec2 at_px;
out vec2 source_px;
void main() {
    source_px = at_px;
    gl_Position = vec4(2.0 * target_px / target_size - 1.0, depth, 1.0);
}
"""
# Cards and software differ in how finely they weigh neighbours (often 1/256), so the four are
# fetched and weighed here: the same picture everywhere.
_FRAGMENT = """
#version 330
uniform sampler2D source;
uniform bool wrap;
in vec2 source_px;
out vec4 colour;
vec4 texel(ivec2 at) {
    ivec2 size = textureSize(source, 0);
    ivec2 wrapped = ((at % size) + size) % size;
    return texelFetch(source, wrap ? wrapped : clamp(at, ivec2(0), size - 1), 0);
}
void main() {
    vec2 place = source_px - 0.5;
    ivec2 at = ivec2(floor(place));
    vec2 share = place - vec2(at);
    vec4 upper = mix(texel(at), texel(at + ivec2(1, 0)), share.x);
    vec4 lower = mix(texel(at + ivec2(0, 1)), texel(at + ivec2(1, 1)), share.x);
    colour = vec4(mix(upper, lower, share.y).rgb, 1.0);
}
"""
_BACK, _FRONT = 0.9, -0.9  # depths are spread over this range


class KeypointWarp:
    """Draws textured keypoint meshes; keeps the buffers of one source and one target size.

    Args:
        context: an OpenGL 3.3 context, as `stream.gl.create_context` gives.
    """

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._program = context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._sizes: tuple[tuple[int, int], tuple[int, int]] | None = None

    def draw(
        self, source: np.ndarray, points_px: np.ndarray, depth: np.ndarray, affine: np.ndarray,
        triangles: np.ndarray, size: tuple[int, int] | None = None, *, nearest: bool = True,
        wrap: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Return the face where the affine puts it.

        Args:
            source: (h, w, 3) uint8 RGB.
            points_px: (K, 2) keypoints in it, pixel centres at +0.5.
            depth: (K,) their depths, larger is farther away.
            affine: (2, 4) target_from_source in pixels.
            triangles: (T, 3) keypoint numbers.
            size: (width, height) of the result; the source's unless given.
            nearest: where triangles overlap, the nearest one shows, its depth completed by
                `depth_row`; otherwise the last of the list, as in the paper's own warper, which
                drops depth before drawing. Depths whose sign is not known need the latter.
            wrap: beyond its border the source begins anew, as there; else its border goes on.

        Returns:
            (height, width, 4) uint8: RGB, and 255 where the face is; 0 elsewhere.
        """
        size = size or (source.shape[1], source.shape[0])
        self._fit(source, size)
        lifted = lift(points_px, depth).astype(np.float64)
        placed = apply_affine(affine.astype(np.float64), lifted)
        near_far = spread_depth(lifted @ depth_row(affine)[:3]) if nearest else np.zeros(len(depth))
        self._draw(np.column_stack([placed, near_far, points_px]), triangles, size, wrap)
        told = np.frombuffer(self._target.read(components=4), np.uint8)
        return told.reshape(size[1], size[0], 4)

    def _draw(
        self, nodes: np.ndarray, triangles: np.ndarray, size: tuple[int, int], wrap: bool
    ) -> None:
        context = self._context
        self._target.use()
        self._target.clear(depth=1.0)
        context.enable_only(moderngl.DEPTH_TEST)
        context.depth_func = "<="  # of equals, the later one
        self._source.use(0)
        self._program["target_size"].value = size
        self._program["wrap"].value = wrap
        vertices = context.buffer(nodes.astype(np.float32).tobytes())
        indices = context.buffer(np.ascontiguousarray(triangles, np.int32).tobytes())
        content = [(vertices, "2f 1f 2f", "target_px", "depth", "at_px")]
        array = context.vertex_array(self._program, content, indices)
        array.render()
        for part in (array, vertices, indices):
            part.release()

    def _fit(self, source: np.ndarray, size: tuple[int, int]) -> None:
        height, width = source.shape[:2]
        if self._sizes != ((width, height), size):
            self._release_buffers()
            self._source = self._context.texture((width, height), 3, alignment=1)
            self._colour = self._context.renderbuffer(size, 4)
            self._depth = self._context.depth_renderbuffer(size)
            self._target = self._context.framebuffer(self._colour, self._depth)
            self._sizes = (width, height), size
        self._source.write(np.ascontiguousarray(source), alignment=1)

    def _release_buffers(self) -> None:
        if self._sizes is not None:
            for buffer in (self._target, self._colour, self._depth, self._source):
                buffer.release()
            self._sizes = None

    def release(self) -> None:
        """Give back what was made in the context; the context stays."""
        self._release_buffers()
        self._program.release()


def spread_depth(depth: np.ndarray) -> np.ndarray:
    """Stretch depths over what the z-buffer holds."""
    low, high = float(depth.min()), float(depth.max())
    return _FRONT + (_BACK - _FRONT) * (depth - low) / max(high - low, 1e-12)
