"""Front and back depth of a triangle mesh, drawn by OpenGL on a node grid."""

from typing import Any

import moderngl
import numpy as np

from stream.region import NodeGrid

_SIZES_KEPT = 3  # of framebuffers: the grid of the nodes, and what networks look at
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
        self._targets: dict[tuple[int, int], tuple[Any, ...]] = {}

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
        target = self._prepared(vertices_mm, camera, grid)
        front = self._pass(self._near, target, "<", 1.0)
        back = self._pass(self._far, target, ">", 0.0)
        return front, back

    def front(self, vertices_mm: np.ndarray, camera: np.ndarray, grid: NodeGrid) -> np.ndarray:
        """Return the front depth alone; arguments and result as in draw."""
        return self._pass(self._near, self._prepared(vertices_mm, camera, grid), "<", 1.0)

    def _prepared(
        self, vertices_mm: np.ndarray, camera: np.ndarray, grid: NodeGrid
    ) -> moderngl.Framebuffer:
        near, far = float(vertices_mm[:, 2].min()) - 1, float(vertices_mm[:, 2].max()) + 1
        self._vertices.write(np.ascontiguousarray(vertices_mm, np.float32).tobytes())
        program = self._program
        program["nodes_from_frame"].write(grid.nodes_from_frame.astype(np.float32).tobytes())
        program["camera"].value = (camera[0, 0], camera[1, 1], camera[0, 2], camera[1, 2])
        program["grid"].value = (grid.columns, grid.rows)
        program["depth_range"].value = (near, far)
        self._context.disable(moderngl.BLEND | moderngl.CULL_FACE)
        self._context.enable(moderngl.DEPTH_TEST)
        return self._framebuffer(grid)

    def release(self) -> None:
        """Give back what was made in the context."""
        self._release_targets()
        for resource in (self._near, self._far, *self._indices, self._vertices, self._program):
            resource.release()

    def _release_targets(self) -> None:
        for parts in self._targets.values():
            for part in parts:
                part.release()
        self._targets.clear()

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
        if size not in self._targets:
            if len(self._targets) >= _SIZES_KEPT:
                self._release_targets()
            colour = self._context.renderbuffer(size, 1, dtype="f4")
            depth = self._context.depth_renderbuffer(size)
            self._targets[size] = self._context.framebuffer(colour, depth), colour, depth
        return self._targets[size][0]
