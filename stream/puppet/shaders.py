"""The shaders of the puppet: those of the warp, with displacements before the head's motion."""

VERTEX = """
#version 330
uniform vec4 camera;         // fx, fy, cx, cy
uniform vec4 region;         // x0, y0, width, height in frame pixels
uniform vec3 pivot;          // mm
uniform vec3 axis_angle;     // radians
uniform vec3 shift;          // mm
uniform vec2 depth_range;    // mm
uniform float fade;          // of the whole sheet
in vec2 place_px;            // in the photo
in float depth_mm;
in float share;
in vec2 colours_px;
in float opacity;
in float yield_mm;
in vec3 gain;
in vec3 offset_mm;           // displacement by the expression
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
    vec3 p = vec3((place_px - camera.zw) / camera.xy, 1.0) * depth_mm + offset_mm;
    p = pivot + turned(p - pivot, share * axis_angle) + share * shift;
    target_mm = p.z;
    cover = opacity * fade;
    tint = gain;
    vec2 target_px = camera.xy * p.xy / p.z + camera.zw;
    vec2 ndc = (target_px - region.xy) / region.zw * 2.0 - 1.0;
    float z = (p.z + yield_mm - depth_range.x) / (depth_range.y - depth_range.x);
    gl_Position = vec4(ndc, 2.0 * z - 1.0, 1.0);
}
"""
FACE = """
#version 330
uniform sampler2D layer;
uniform vec4 region;
in vec2 source_px;
in float cover;
out vec4 colour;
void main() {
    colour = cover * texture(layer, (source_px - region.xy) / region.zw);
    if (colour.a < 0.002) discard;
}
"""
PATCH = """
#version 330
uniform sampler2D layer;
uniform vec4 window;         // of the photo, spanned by the layer
in vec2 source_px;
in float cover;
in vec3 tint;                // shade of what is around
out vec4 colour;
void main() {
    colour = cover * texture(layer, (source_px - window.xy) / window.zw);
    colour.rgb *= tint;
    if (colour.a < 0.002) discard;
}
"""
