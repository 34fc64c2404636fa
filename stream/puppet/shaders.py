"""The shaders of the puppet: those of the warp, with displacements before the head's motion."""

from stream.warp_shaders import MOTION, STRETCH

VERTEX = (
    MOTION
    + """
uniform float fade;          // of the whole sheet
in vec3 offset_mm;           // displacement by the expression
void main() {
    cover = opacity * fade;
    placed(vec3((place_px - camera.zw) / camera.xy, 1.0) * depth_mm + offset_mm);
}
"""
)
_GRAIN = """
uniform sampler2D grain;
vec3 grained(vec2 place_px) {
    return texture(grain, place_px / vec2(textureSize(grain, 0))).rgb - 128.0 / 255.0;
}
"""
# Skin that nothing shows: smooth colours with the grain of what is seen.
UNDER = (
    """
#version 330
in vec2 source_px;
in float cover;
in vec3 tint;                // is the colour itself
out vec4 colour;
"""
    + _GRAIN
    + """
void main() {
    if (cover < 0.5) discard;  // it hides what yields to it, and so must not be half there
    colour = vec4(clamp(tint + grained(source_px), 0.0, 1.0), 1.0);
}
"""
)
_COARSE = (
    STRETCH
    + """
float times_drawn_out() {
    return clamp(stretch(mat2(dFdx(source_px), dFdy(source_px))), 1.0, 16.0);
}
// Colour, averaged across the streaks, with grain for what is lost by that.
vec3 coarse(vec3 skin, float drawn_out) {           // share of skin, and its place along it, px
    vec2 dx = dFdx(source_px), dy = dFdy(source_px);
    vec2 across = skin.x * 0.25 * (drawn_out - 1.0) * (dot(dx, dx) > dot(dy, dy) ? dx : dy);
    vec4 sum = vec4(0.0);
    for (int k = -2; k <= 2; k++)
        sum += texture(layer, (source_px + float(k) * across - region.xy) / region.zw);
    float lost = skin.x * (1.0 - 1.0 / drawn_out);
    return clamp(sum.rgb / max(sum.a, 1e-3) + lost * grained(skin.yz), 0.0, 1.0);
}
"""
)
# Skin that may be drawn out: as coarse as it is stretched, so that it shows no streaks.
SLOPE = (
    """
#version 330
uniform sampler2D layer;
uniform vec4 region;
in vec2 source_px;
in vec3 tint;                // how far it is skin, and where along it, px
out vec4 colour;
"""
    + _GRAIN
    + _COARSE
    + """
void main() {
    float s = times_drawn_out();
    colour = vec4(coarse(tint, s), 1.0);
}
"""
)
# The edge of the matte: drawn out it stays as narrow as it was.
EDGE = (
    """
#version 330
uniform sampler2D layer;
uniform vec4 region;
in vec2 source_px;
in vec3 tint;
in float cover;
out vec4 colour;
"""
    + _GRAIN
    + _COARSE
    + """
void main() {
    float s = times_drawn_out();
    float alpha = texture(layer, (source_px - region.xy) / region.zw).a;
    float narrower = clamp(0.4 / max(fwidth(alpha), 1e-3), 1.0, s);  // but never stepped
    // What is drawn out of a soft edge beside skin is mostly background; hidden skin lies there.
    float middle = 0.5 + 0.4 * tint.x * smoothstep(1.5, 3.0, s);
    // Never more than it was: half covered, its colour may be that of the background.
    alpha = cover * min(alpha, max((alpha - middle) * narrower + 0.5, 0.0));
    if (alpha < 0.002) discard;
    colour = vec4(alpha * coarse(tint, s), alpha);
}
"""
)
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
