"""The shaders that draw a head; `stream.warp` says what they are for."""

# What every sheet has: where its nodes are, and where a motion puts them.
MOTION = """
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
out vec2 at;                 // the same in the texture of the region
flat out vec2 far_px;
out float cover;
out float moved_px;          // by the motion
out vec3 tint;
out float angle;             // of the motion, radians
out float follows;           // share of the motion
centroid out vec3 outwards;  // the normal after it, of sheets whose gain is one
vec3 turned(vec3 p, vec3 w) {                       // Rodrigues
    float angle = length(w);
    if (angle < 1e-6) return p + cross(w, p);
    vec3 k = w / angle;
    return p * cos(angle) + cross(k, p) * sin(angle) + k * dot(k, p) * (1.0 - cos(angle));
}
void placed(vec3 p) {                               // after the motion, into the region
    vec3 turn = share * axis_angle;
    angle = length(turn);
    follows = share;
    outwards = turned(gain, turn);
    p = pivot + turned(p - pivot, turn) + share * shift;
    source_px = far_px = colours_px;
    at = (colours_px - region.xy) / region.zw;
    tint = gain;
    vec2 target_px = camera.xy * p.xy / p.z + camera.zw;
    moved_px = length(target_px - colours_px);
    vec2 ndc = (target_px - region.xy) / region.zw * 2.0 - 1.0;
    float z = (p.z + yield_mm - depth_range.x) / (depth_range.y - depth_range.x);
    gl_Position = vec4(ndc, 2.0 * z - 1.0, 1.0);
}
"""
VERTEX = (
    MOTION
    + """
void main() {
    cover = opacity;
    placed(vec3((place_px - camera.zw) / camera.xy, 1.0) * depth_mm);
}
"""
)
# No part of a person is brighter than white: what is more is room that the plate misses, and must
# not fly along with the head. At rest it stays, so that the frame comes back as it was.
_WITHIN_WHITE = """
in float moved_px;
vec4 within_white(vec4 c) {
    return vec4(min(c.rgb, mix(vec3(1.0), c.aaa, smoothstep(0.5, 4.0, moved_px))), c.a);
}
"""
STRETCH = """
float stretch(mat2 source_from_target) {            // greatest magnification of the texture
    float det = determinant(source_from_target);
    float square = dot(source_from_target[0], source_from_target[0])
                 + dot(source_from_target[1], source_from_target[1]);
    float least = sqrt(max(square - sqrt(max(square * square - 4.0 * det * det, 0.0)), 0.0) / 2.0);
    return 1.0 / max(least, 1e-3);
}
"""
# One program a sheet: a software renderer pays for every branch that it does not take.
_SOLID = """
#version 330
uniform sampler2D layer;     // F premultiplied, α
in vec2 at;
out vec4 colour;
void main() { colour = texture(layer, at); }
"""
_NEAR_SIDE = (
    """
#version 330
uniform sampler2D layer;
in vec2 at;
in float cover;
out vec4 colour;
"""
    + _WITHIN_WHITE
    + """
void main() {
    colour = cover * texture(layer, at);
    if (colour.a < 0.002) discard;
    colour = within_white(colour);
}
"""
)
_CLEAN_EDGE = (
    """
#version 330
uniform sampler2D layer;
uniform sampler2D calm;      // the same without strands: they would bend along the way
uniform vec4 region;
in vec2 at;
in float cover;
in vec3 tint;                // the way to better colours, px, and the share of them; of hair, < 0
out vec4 colour;
"""
    + _WITHIN_WHITE
    + """
float brightness(vec3 c) { return dot(c, vec3(0.299, 0.587, 0.114)); }
float strands(float r) {     // of those around: a lit one has some more, the room much more
    float more = max(r - 1.0, 0.0);
    return min(r, 1.0) + more / (1.0 + more / 0.4);
}
void main() {
    colour = texture(layer, at);
    if (tint.z != 0.0 && (tint.z < 0.0 || colour.a < 1.0)) {
        vec4 inside = texture(calm, at + tint.xy / region.zw);
        float steep = clamp((colour.a - 0.5) * (1.0 + max(tint.z, 0.0)) + 0.5, 0.0, 1.0);
        vec4 better = inside / max(inside.a, 0.5) * steep;
        if (tint.z < 0.0) {
            better.rgb *= strands(brightness(colour.rgb) / max(brightness(better.rgb), 0.01));
        }
        float share = smoothstep(0.5, 0.8, texture(layer, at + tint.xy / region.zw).a);
        if (tint.z > 0.0) share *= 1.0 - smoothstep(0.9, 1.0, colour.a);
        colour = mix(colour, vec4(better.rgb, steep), share * abs(tint.z));
    }
    colour *= cover;
    if (colour.a < 0.002) discard;
    colour = within_white(colour);
}
"""
)
_CUT = (
    """
#version 330
uniform sampler2D layer;
uniform vec4 region;
uniform vec3 axis_angle;
in vec2 source_px;
in vec2 at;
in float cover;              // 0 along the line where it ends
in vec3 tint;                // opacity, and the way to its colours, px
out vec4 colour;
"""
    + _WITHIN_WHITE
    + STRETCH
    + """
void main() {
    float torn = smoothstep(3.0, 6.0, stretch(mat2(dFdx(source_px), dFdy(source_px))));
    float inside = clamp(cover / max(fwidth(cover), 1e-5) + 0.5, 0.0, 1.0);
    inside *= tint.x * (1.0 - torn);
    vec2 way = tint.yz * smoothstep(0.0, 0.07, length(axis_angle));  // at rest all stays
    colour = inside * texture(layer, at + way / region.zw);
    if (colour.a < 0.002) discard;
    colour = within_white(colour);
}
"""
)
_MIRROR = """
#version 330
uniform sampler2D layer;
in vec2 at;
in float cover;
in vec3 tint;
out vec4 colour;
void main() {
    colour = cover * texture(layer, at);
    colour.rgb = min(colour.rgb * tint, colour.a);
    if (colour.a < 0.002) discard;
}
"""
_UNDER = """
#version 330
uniform float grain;         // standard deviation of brightness
in vec2 source_px;           // mm on the skin, so that grain goes with it
in float cover;
in vec3 tint;                // is the colour itself
out vec4 colour;
float chance(vec2 cell) {                           // a hash of whole numbers: cheaper than sines
    uvec2 c = uvec2(ivec2(cell));
    uint h = c.x * 1597334677u ^ c.y * 3812015801u;
    h = (h ^ (h >> 15)) * 2246822519u;
    return float(h >> 8) / 16777216.0 - 0.5;
}
float noise(vec2 p) {                               // standard deviation about 0.19
    vec2 cell = floor(p), f = p - cell;
    return mix(mix(chance(cell), chance(cell + vec2(1.0, 0.0)), f.x),
               mix(chance(cell + vec2(0.0, 1.0)), chance(cell + vec2(1.0, 1.0)), f.x), f.y);
}
void main() {
    if (cover < 0.5) discard;  // it hides what yields to it, and so must not be half there
    float rough = grain > 0.0 ? grain / 0.19 * noise(source_px) : 0.0;
    colour = vec4(tint + rough, 1.0);
}
"""
_WORN = (
    """
#version 330
uniform sampler2D layer;
in vec2 at;
in float cover;
in vec3 tint;                // opacity of the near side, which comes over it
out vec4 colour;
"""
    + _WITHIN_WHITE
    + """
void main() {               // both together cover as much as the near side would in one piece
    colour = texture(layer, at);
    colour *= min(cover / max(1.0 - colour.a * tint.x, 1e-3), 1.0);
    if (colour.a < 0.002) discard;
    colour = within_white(colour);
}
"""
)
_GUARD = """
#version 330
uniform sampler2D layer;
in vec2 at;
in float cover;
out vec4 colour;
void main() {
    if (texture(layer, at).a < 0.85) discard;  // a soft edge hides no hair behind it
    colour = vec4(0.0);
}
"""
_GAP = (
    """
#version 330
uniform sampler2D layer;
uniform vec4 region;
in vec2 source_px;
flat in vec2 far_px;
out vec4 colour;
"""
    + STRETCH
    + """
void main() {
    float s = stretch(mat2(dFdx(source_px), dFdy(source_px)));
    vec2 source = mix(source_px, far_px, smoothstep(5.0, 15.0, s));
    colour = texture(layer, (source - region.xy) / region.zw);
    if (colour.a < 0.002) discard;
}
"""
)
_FAR_SIDE = """
#version 330
uniform sampler2D layer;
uniform vec4 region;
uniform vec4 camera;
in vec2 at;
in float cover;
in float angle;
centroid in vec3 outwards;
out vec4 colour;
float facing() {                                    // cosine between surface and line of sight
    vec2 ray = (gl_FragCoord.xy + region.xy - camera.zw) / camera.xy;
    return -dot(normalize(outwards), normalize(vec3(ray, 1.0)));
}
void main() {
    vec4 here = texture(layer, at);
    // Its edge is soft as that of hair, its colours are without the room, and at rest it is not.
    float alpha = smoothstep(0.5, 0.9, here.a) * smoothstep(0.0, 0.15, facing()) * cover;
    alpha *= smoothstep(0.0, 0.07, angle);
    if (alpha < 0.002) discard;
    colour = vec4(here.rgb / here.a * alpha, alpha);
}
"""

FRAGMENTS: dict[str, str] = {
    "worn": _WORN, "under": _UNDER, "guard": _GUARD, "solid": _SOLID, "far": _FAR_SIDE, "gap": _GAP,
    "near": _NEAR_SIDE, "clean": _CLEAN_EDGE, "cut": _CUT, "mirror": _MIRROR,
}  # fmt: skip
