"""Draws values of a surface's vertices into its texture chart, by OpenGL."""

from __future__ import annotations

import moderngl
import numpy as np

_VERTEX = """
#version 330
in vec2 place; in vec4 value;
out vec4 v_value;
void main() { gl_Position = vec4(place * 2.0 - 1.0, 0.0, 1.0); v_value = value; }
"""
_FRAGMENT = """
#version 330
in vec4 v_value;
out vec4 colour;
void main() { colour = v_value; }
"""


def draw_chart(
    context: moderngl.Context, uv: np.ndarray, triangles: np.ndarray, values: np.ndarray, side: int
) -> np.ndarray:
    """Interpolate values of vertices over a texture chart.

    Args:
        context: OpenGL.
        uv: (F, 2) 0…1, v down the rows.
        triangles: (T, 3).
        values: (F, 4).
        side: of the chart, texels.

    Returns:
        (side, side, 4) float32; nan where no triangle is.
    """
    program = context.program(_VERTEX, _FRAGMENT)
    packed = np.hstack([uv, values]).astype("f4")
    points, corners = context.buffer(packed.tobytes()), context.buffer(triangles.astype("i4"))
    array = context.vertex_array(program, [(points, "2f 4f", "place", "value")], corners)
    target = context.framebuffer(context.renderbuffer((side, side), 4, dtype="f4"))
    target.use()
    context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
    target.clear(*[float("nan")] * 4)
    array.render()
    found = np.frombuffer(target.read(components=4, dtype="f4"), np.float32)
    for item in (array, corners, points, *target.color_attachments, target, program):
        item.release()
    return found.reshape(side, side, 4)
