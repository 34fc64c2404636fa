"""The warp: one OpenGL pass that draws the head at its new pose over the background plate.

The layer that moves is F = I − (1 − α)·B, premultiplied: what is left of the frame I when the
plate B behind it is taken away. Drawn at its new place over the plate, a head that does not move
gives back the frame itself, whatever errors matte and plate hold.
"""

import cv2
import moderngl
import numpy as np

from stream.mesh import HeadMesh, Sheet
from stream.pose import HeadMotion
from stream.region import Region

_VERTEX = """
#version 330
uniform vec4 camera;         // fx, fy, cx, cy
uniform vec4 region;         // x0, y0, width, height in frame pixels
uniform vec3 pivot;          // mm
uniform vec3 axis_angle;     // radians
uniform vec3 shift;          // mm
uniform vec2 depth_range;    // mm
in vec2 place_px;            // of the node in the frame, before the motion
in float depth_mm;
in float share;
in vec2 colours_px;          // where in the frame the node finds its colours
in float opacity;
in float yield_mm;
in vec3 gain;
out vec2 source_px;
flat out vec2 far_px;
out float target_mm;
out float cover;
out vec3 tint;
vec3 turned(vec3 p, vec3 w) {                       // Rodrigues
    float angle = length(w);
    if (angle < 1e-6) return p + cross(w, p);
    vec3 k = w / angle;
    return p * cos(angle) + cross(k, p) * sin(angle) + k * dot(k, p) * (1.0 - cos(angle));
}
void main() {
    source_px = far_px = colours_px;
    vec3 p = vec3((place_px - camera.zw) / camera.xy, 1.0) * depth_mm;
    p = pivot + turned(p - pivot, share * axis_angle) + share * shift;
    target_mm = p.z;
    cover = opacity;
    tint = gain;
    vec2 target_px = camera.xy * p.xy / p.z + camera.zw;
    vec2 ndc = (target_px - region.xy) / region.zw * 2.0 - 1.0;
    float z = (p.z + yield_mm - depth_range.x) / (depth_range.y - depth_range.x);
    gl_Position = vec4(ndc, 2.0 * z - 1.0, 1.0);
}
"""
# One program a sheet: a software renderer pays for every branch that it does not take.
_SOLID = """
#version 330
uniform sampler2D layer;     // F premultiplied, α
uniform vec4 region;
in vec2 source_px;
out vec4 colour;
void main() { colour = texture(layer, (source_px - region.xy) / region.zw); }
"""
_NEAR_SIDE = """
#version 330
uniform sampler2D layer;
uniform vec4 region;
in vec2 source_px;
out vec4 colour;
void main() {
    colour = texture(layer, (source_px - region.xy) / region.zw);
    if (colour.a < 0.002) discard;
}
"""
_MIRROR = """
#version 330
uniform sampler2D layer;
uniform vec4 region;
in vec2 source_px;
in float cover;
in vec3 tint;
out vec4 colour;
void main() {
    colour = cover * texture(layer, (source_px - region.xy) / region.zw);
    colour.rgb = min(colour.rgb * tint, colour.a);
    if (colour.a < 0.002) discard;
}
"""
_GAP = """
#version 330
uniform sampler2D layer;
uniform vec4 region;
in vec2 source_px;
flat in vec2 far_px;
out vec4 colour;
float stretch(mat2 source_from_target) {            // greatest magnification of the texture
    float det = determinant(source_from_target);
    float square = dot(source_from_target[0], source_from_target[0])
                 + dot(source_from_target[1], source_from_target[1]);
    float least = sqrt(max(square - sqrt(max(square * square - 4.0 * det * det, 0.0)), 0.0) / 2.0);
    return 1.0 / max(least, 1e-3);
}
void main() {
    float s = stretch(mat2(dFdx(source_px), dFdy(source_px)));
    vec2 source = mix(source_px, far_px, smoothstep(5.0, 15.0, s));
    colour = texture(layer, (source - region.xy) / region.zw);
    if (colour.a < 0.002) discard;
}
"""
_FAR_SIDE = """
#version 330
uniform sampler2D layer;
uniform vec4 region;
uniform float mm_per_px;
in vec2 source_px;
in float target_mm;
in float cover;
out vec4 colour;
float grazing() {                                   // 1 where the surface turns out of sight
    return smoothstep(4.0, 14.0, length(vec2(dFdx(target_mm), dFdy(target_mm))) / mm_per_px);
}
void main() {
    vec4 here = texture(layer, (source_px - region.xy) / region.zw);
    // Never seen through the soft edge of the near side; its own edge fades where it turns away.
    float alpha = clamp((here.a - 0.98) / 0.02, 0.0, 1.0) * (1.0 - grazing()) * cover;
    if (alpha < 0.002) discard;
    colour = vec4(here.rgb * alpha, alpha);
}
"""


_FRAGMENTS = {
    "solid": _SOLID, "far": _FAR_SIDE, "gap": _GAP, "near": _NEAR_SIDE, "mirror": _MIRROR,
}  # fmt: skip
_NODE_PARTS = (
    ("place_px", 2),
    ("depth_mm", 1),
    ("share", 1),
    ("colours_px", 2),
    ("opacity", 1),
    ("yield_mm", 1),
    ("gain", 3),
)


def premultiplied_layer(picture: np.ndarray, matte: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Return the layer that moves, F = I − (1 − α)·B with α as fourth channel.

    Args:
        picture: (h, w, 3) uint8 RGB of the frame, I.
        matte: (h, w) uint8, α · 255.
        plate: (h, w, 3) uint8 background, B.

    Returns:
        (h, w, 4) uint8; negative colours, which no light has, are 0.
    """
    uncovered = cv2.cvtColor(cv2.bitwise_not(matte), cv2.COLOR_GRAY2RGB)
    colours = cv2.subtract(picture, cv2.multiply(plate, uncovered, scale=1 / 255))
    layer = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA)
    cv2.insertChannel(matte, layer, 3)
    return layer


_HARD_EDGE = 40  # grey levels between a pixel's cover and the mean around it
_UNTURNED = "cw"  # winding of the mesh's triangles in a framebuffer whose y runs down


class Warp:
    """Draws head meshes; keeps the buffers and textures of one region size.

    Args:
        context: an OpenGL 3.3 context.
    """

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._programs = {
            kind: context.program(vertex_shader=_VERTEX, fragment_shader=fragment)
            for kind, fragment in _FRAGMENTS.items()
        }
        self._size: tuple[int, int] | None = None

    def draw(
        self, picture: np.ndarray, matte: np.ndarray, plate: np.ndarray, region: Region,
        mesh: HeadMesh, motion: HeadMotion, camera: np.ndarray, presence: float = 1.0,
    ) -> np.ndarray:  # fmt: skip
        """Return the region with the head at its new pose.

        Args:
            picture: (h, w, 3) uint8 RGB of the frame in the region.
            matte: (h, w) uint8 person matte, 255 inside.
            plate: (h, w, 3) uint8 background of the region.
            region: where they lie in the frame.
            mesh: geometry of the head.
            motion: the motion of the head.
            camera: (3, 3) intrinsics of the frame.
            presence: share of the motion, 0…1.

        Returns:
            (h, w, 3) uint8 RGB.
        """
        self._fit_buffers(region)
        self._target.use()
        self._target.clear(depth=1.0)
        self._layer.write(premultiplied_layer(picture, matte, plate))
        resting = resting_mask(mesh, region)
        self._colour.write(_background(picture, plate, resting))
        self._state()
        self._sheets(mesh, motion, camera, region, presence)
        out = self._target.read(components=4)
        drawn = np.frombuffer(out, np.uint8).reshape(region.height, region.width, 4)
        return antialiased(drawn, resting)

    def _sheets(
        self, mesh: HeadMesh, motion: HeadMotion, camera: np.ndarray, region: Region,
        presence: float,
    ) -> None:  # fmt: skip
        for sheet in mesh.sheets:
            if len(sheet.triangles):
                self._blend(sheet.kind != "solid")
                self._cull(sheet.kind == "far")
                program = self._programs[sheet.kind]
                _set_uniforms(program, region, motion, camera)
                share = sheet.share * presence
                parts = (sheet.places_px, sheet.depth_mm, share, sheet.colours_px,
                         sheet.opacity, sheet.yield_mm, _gain(sheet))  # fmt: skip
                self._sheet(program, np.dstack(parts).astype(np.float32), sheet.triangles)

    def _fit_buffers(self, region: Region) -> None:
        size = (region.width, region.height)
        if size == self._size:
            return
        self._release_buffers()
        context = self._context
        self._layer, self._colour = context.texture(size, 4), context.texture(size, 4)
        self._depth = context.depth_renderbuffer(size)
        self._target = context.framebuffer(self._colour, self._depth)
        self._layer.repeat_x = self._layer.repeat_y = False
        self._layer.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._size = size

    def _release_buffers(self) -> None:
        if self._size is not None:
            for buffer in (self._target, self._depth, self._colour, self._layer):
                buffer.release()
            self._size = None

    def release(self) -> None:
        """Give back the context and all that was made in it."""
        self._release_buffers()
        for program in self._programs.values():
            program.release()
        self._context.release()

    def _state(self) -> None:
        context = self._context
        context.front_face, context.cull_face = _UNTURNED, "front"
        context.enable(moderngl.DEPTH_TEST)
        context.depth_func = "<="
        context.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        self._layer.use(0)

    def _blend(self, wanted: bool) -> None:
        (self._context.enable if wanted else self._context.disable)(moderngl.BLEND)

    def _cull(self, unturned: bool) -> None:
        """Leave out triangles that look as they did before: of the far side, all in hiding."""
        (self._context.enable if unturned else self._context.disable)(moderngl.CULL_FACE)

    def _sheet(self, program: moderngl.Program, nodes: np.ndarray, triangles: np.ndarray) -> None:
        context = self._context
        node_buffer = context.buffer(nodes.tobytes())
        index_buffer = context.buffer(np.ascontiguousarray(triangles, np.int32).tobytes())
        layout = " ".join(
            f"{size}f" if name in program else f"{size}x4" for name, size in _NODE_PARTS
        )
        names = [name for name, _ in _NODE_PARTS if name in program]
        array = context.vertex_array(program, [(node_buffer, layout, *names)], index_buffer)
        array.render()
        for resource in (array, node_buffer, index_buffer):
            resource.release()


def _set_uniforms(
    program: moderngl.Program, region: Region, motion: HeadMotion, camera: np.ndarray
) -> None:
    reach = 400.0  # half the depth of any head with its hair, and then some
    middle = motion.pivot_mm[2] + motion.translation_mm[2] / 2
    slack = reach + abs(motion.translation_mm[2])
    values = {
        "camera": (camera[0, 0], camera[1, 1], camera[0, 2], camera[1, 2]),
        "region": (region.x0, region.y0, region.width, region.height),
        "pivot": tuple(motion.pivot_mm),
        "axis_angle": tuple(motion.axis_angle),
        "shift": tuple(motion.translation_mm),
        "depth_range": (middle - slack, middle + slack),
        "mm_per_px": motion.pivot_mm[2] / camera[0, 0],
    }
    for name, value in values.items():
        if name in program:  # the compiler drops what a sheet does not use
            program[name].value = value


def _gain(sheet: Sheet) -> np.ndarray:
    return np.ones((*sheet.depth_mm.shape, 3), np.float32) if sheet.gain is None else sheet.gain


def _background(picture: np.ndarray, plate: np.ndarray, resting: np.ndarray) -> np.ndarray:
    """Return (h, w, 4) what the head is drawn over: the plate, and the frame where it rests.

    The fourth channel gathers how far the head covers a pixel.
    """
    background = cv2.cvtColor(plate, cv2.COLOR_RGB2RGBA)
    cv2.insertChannel(np.zeros_like(resting), background, 3)
    return cv2.copyTo(cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA), resting, background)


def antialiased(drawn: np.ndarray, resting: np.ndarray) -> np.ndarray:
    """Soften outlines where the drawn head ends within one pixel, as folds of a surface do.

    Args:
        drawn: (h, w, 4) uint8, RGB and how far the head covers a pixel.
        resting: (h, w) uint8, nonzero where the frame shows; left alone, with its border.

    Returns:
        (h, w, 3) uint8. Edges that the matte made soft stay as they are.
    """
    colours, cover = cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB), cv2.extractChannel(drawn, 3)
    jump = cv2.compare(cv2.absdiff(cover, cv2.blur(cover, (3, 3))), _HARD_EDGE, cv2.CMP_GT)
    whole = cv2.compare(cv2.absdiff(cover, 127), 127, cv2.CMP_GE)  # 0, 254 or 255
    outline = cv2.bitwise_and(jump, whole)
    outline[cv2.dilate(resting, np.ones((3, 3), np.uint8)) > 0] = 0
    return cv2.copyTo(cv2.blur(colours, (3, 3)), outline, colours)


def resting_mask(mesh: HeadMesh, region: Region) -> np.ndarray:
    """Return (h, w) uint8, nonzero where a pixel of the region lies in a cell that rests."""
    grid = mesh.depth.grid
    step_x, step_y = grid.step_px
    rows, columns = mesh.resting.shape
    x = (np.arange(region.x0, region.x1) + 0.5 - grid.region.x0) / step_x
    y = (np.arange(region.y0, region.y1) + 0.5 - grid.region.y0) / step_y
    column = np.clip(x.astype(int), 0, columns - 1)
    row = np.clip(y.astype(int), 0, rows - 1)
    return mesh.resting.view(np.uint8)[row][:, column]
