"""Front and back depth of a triangle mesh, drawn by OpenGL on a node grid."""

import moderngl
import numpy as np

from stream.region import NodeGrid

_VERTEX = """
#version 330
uniform mat2x3 nodes_from_frame;   // rows of the affine, as columns of a mat2x3
uniform vec4 camera;               // fx, fy, cx, cy
uniform vec2 grid;                 // columns, rows
uniform vec2 depth_range;          // mm
in vec3 position_mm;
out float depth_mm;
void main() {
    vec2 frame_px = camera.xy * position_mm.xy / position_mm.z + camera.zw;
    vec2 node = vec3(frame_px, 1.0) * nodes_from_frame;
    depth_mm = position_mm.z;
    float z = (position_mm.z - depth_range.x) / (depth_range.y - depth_range.x);
    gl_Position = vec4((node + 0.5) / grid * 2.0 - 1.0, 2.0 * z - 1.0, 1.0);
}
"""
_FRAGMENT = """
#version 330
in float depth_mm;
out float colour;
void main() { colour = depth_mm; }
"""


class DepthRaster:
    """Draws the nearest and the farthest surface of one mesh topology.

    Args:
        context: an OpenGL 3.3 context.
        triangles: (T, 3) vertex numbers, of which the nearest surface is drawn.
        far_triangles: (F, 3) those of which the farthest is drawn; the same ones unless given.
    """

    def __init__(
        self,
        context: moderngl.Context,
        triangles: np.ndarray,
        far_triangles: np.ndarray | None = None,
    ) -> None:
        self._context = context
        self._program = context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._vertices = context.buffer(reserve=int(triangles.max() + 1) * 12)
        far_triangles = triangles if far_triangles is None else far_triangles
        self._indices = [
            context.buffer(np.ascontiguousarray(part, np.int32).tobytes())
            for part in (triangles, far_triangles)
        ]
        layout = [(self._vertices, "3f", "position_mm")]
        self._near, self._far = (
            context.vertex_array(self._program, layout, indices) for indices in self._indices
        )
        self._target: moderngl.Framebuffer | None = None

    def draw(
        self, vertices_mm: np.ndarray, camera: np.ndarray, grid: NodeGrid
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return front and back depth at the nodes of a grid.

        Args:
            vertices_mm: (V, 3) camera space, all with z > 0.
            camera: (3, 3) intrinsics, pixels.
            grid: the nodes.

        Returns:
            Two (rows, columns) float32 arrays in mm; 0 where the mesh does not reach.
        """
        near, far = float(vertices_mm[:, 2].min()) - 1, float(vertices_mm[:, 2].max()) + 1
        self._vertices.write(np.ascontiguousarray(vertices_mm, np.float32).tobytes())
        program = self._program
        program["nodes_from_frame"].write(grid.nodes_from_frame.astype(np.float32).tobytes())
        program["camera"].value = (camera[0, 0], camera[1, 1], camera[0, 2], camera[1, 2])
        program["grid"].value = (grid.columns, grid.rows)
        program["depth_range"].value = (near, far)
        target = self._framebuffer(grid)
        self._context.disable(moderngl.BLEND | moderngl.CULL_FACE)
        self._context.enable(moderngl.DEPTH_TEST)
        front = self._pass(self._near, target, "<", 1.0)
        back = self._pass(self._far, target, ">", 0.0)
        return front, back

    def release(self) -> None:
        """Give back what was made in the context."""
        self._release_target()
        for resource in (self._near, self._far, *self._indices, self._vertices, self._program):
            resource.release()

    def _release_target(self) -> None:
        if self._target is not None:
            for buffer in (self._target, *self._buffers):
                buffer.release()
            self._target = None

    def _pass(
        self,
        array: moderngl.VertexArray,
        target: moderngl.Framebuffer,
        keep: str,
        clear_depth: float,
    ) -> np.ndarray:
        target.use()
        self._context.depth_func = keep
        target.clear(depth=clear_depth)
        array.render()
        width, height = target.size
        return np.frombuffer(target.read(components=1, dtype="f4"), np.float32).reshape(
            height, width
        )

    def _framebuffer(self, grid: NodeGrid) -> moderngl.Framebuffer:
        size = (grid.columns, grid.rows)
        if self._target is None or self._target.size != size:
            self._release_target()
            self._buffers = (
                self._context.renderbuffer(size, 1, dtype="f4"),
                self._context.depth_renderbuffer(size),
            )
            self._target = self._context.framebuffer(*self._buffers)
        return self._target
