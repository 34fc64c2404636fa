"""Front and back depth of a triangle mesh, drawn by OpenGL on a node grid."""

from typing import Any

import moderngl
import numpy as np

from stream.region import NodeGrid

_SIZES_KEPT = 3  # of framebuffers: the grid of the nodes, and what networks look at
_NOTHING_MM = 1e30  # where the mesh does not reach
_VERTEX = """
#version 330
uniform mat2x3 nodes_from_frame;   // rows of the affine, as columns of a mat2x3
uniform vec4 camera;               // fx, fy, cx, cy
uniform vec2 grid;                 // columns, rows
in vec3 position_mm;
out float depth_mm;
void main() {
    vec2 frame_px = camera.xy * position_mm.xy / position_mm.z + camera.zw;
    vec2 node = vec3(frame_px, 1.0) * nodes_from_frame;
    depth_mm = position_mm.z;
    gl_Position = vec4((node + 0.5) / grid * 2.0 - 1.0, 0.0, 1.0);
}
"""
_FRAGMENT = """
#version 330
uniform float farthest_too;   // 0 or 1
in float depth_mm;
out vec2 extremes;
void main() { extremes = vec2(depth_mm, -depth_mm * farthest_too); }
"""


class DepthRaster:
    """Draws the nearest and the farthest surface of one mesh topology.

    Args:
        context: an OpenGL 3.3 context.
        triangles: (T, 3) vertex numbers, of which the nearest surface is drawn.
        far_triangles: (F, 3) those among them of which the farthest is drawn, too; all unless
            given.
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
        both = triangles if far_triangles is None else far_triangles
        only_near = _without(triangles, both)
        self._indices = [
            context.buffer(np.ascontiguousarray(_close_by(part), np.int32).tobytes())
            for part in (both, only_near)
            if len(part)
        ]
        layout = [(self._vertices, "3f", "position_mm")]
        self._arrays = [
            context.vertex_array(self._program, layout, indices) for indices in self._indices
        ]
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
        drawn = self._drawn(vertices_mm, camera, grid, 2)
        return _front(drawn[..., 0]), np.abs(drawn[..., 1])

    def front(self, vertices_mm: np.ndarray, camera: np.ndarray, grid: NodeGrid) -> np.ndarray:
        """Return the front depth alone; arguments and result as in draw."""
        return _front(self._drawn(vertices_mm, camera, grid, 1)[..., 0])

    def _drawn(
        self, vertices_mm: np.ndarray, camera: np.ndarray, grid: NodeGrid, channels: int
    ) -> np.ndarray:
        """Return (rows, columns, channels) float32: least depth, and least depth times −1.

        Both are found in one pass, by blending: most of the time goes into vertices.
        """
        self._vertices.write(np.ascontiguousarray(vertices_mm, np.float32).tobytes())
        program, context = self._program, self._context
        program["nodes_from_frame"].write(grid.nodes_from_frame.astype(np.float32).tobytes())
        program["camera"].value = (camera[0, 0], camera[1, 1], camera[0, 2], camera[1, 2])
        program["grid"].value = (grid.columns, grid.rows)
        target = self._framebuffer(grid)
        target.use()
        context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        context.enable(moderngl.BLEND)
        context.blend_equation = moderngl.MIN
        target.clear(_NOTHING_MM, 0.0)
        for array, farthest_too in zip(self._arrays, (1.0, 0.0), strict=False):
            program["farthest_too"].value = farthest_too
            array.render()
        context.blend_equation = moderngl.FUNC_ADD
        context.disable(moderngl.BLEND)
        raw = target.read(components=channels, dtype="f4")
        return np.frombuffer(raw, np.float32).reshape(grid.rows, grid.columns, channels)

    def release(self) -> None:
        """Give back what was made in the context."""
        self._release_targets()
        for resource in (*self._arrays, *self._indices, self._vertices, self._program):
            resource.release()

    def _release_targets(self) -> None:
        for parts in self._targets.values():
            for part in parts:
                part.release()
        self._targets.clear()

    def _framebuffer(self, grid: NodeGrid) -> moderngl.Framebuffer:
        size = (grid.columns, grid.rows)
        if size not in self._targets:
            if len(self._targets) >= _SIZES_KEPT:
                self._release_targets()
            extremes = self._context.renderbuffer(size, 2, dtype="f4")
            self._targets[size] = self._context.framebuffer(extremes), extremes
        return self._targets[size][0]


def _front(least_mm: np.ndarray) -> np.ndarray:
    return np.where(least_mm < _NOTHING_MM, least_mm, np.float32(0))


def _without(triangles: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Return those of (T, 3) triangles that are not among some of them."""
    known = set(map(tuple, some.tolist()))
    return triangles[[tuple(triangle) not in known for triangle in triangles.tolist()]]


def _close_by(triangles: np.ndarray) -> np.ndarray:
    """Put triangles that share vertices next to each other: a vertex is then moved once."""
    return triangles[np.argsort(triangles.min(axis=1), kind="stable")]
