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
// With the skin's own grain for what an average has lost.
vec3 with_grain(vec3 mean, vec3 skin, float drawn_out) {    // share of skin, and its place, px
    return clamp(mean + skin.x * (1.0 - 1.0 / drawn_out) * grained(skin.yz), 0.0, 1.0);
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
vec4 seen(vec2 place_px) { return texture(layer, (place_px - region.xy) / region.zw); }
// The mean over so many pixels of the picture to both sides, across its streaks.
vec4 mean_across(float reach_px) {
    vec2 dx = dFdx(source_px), dy = dFdy(source_px);
    vec2 step = 0.5 * reach_px * (dot(dx, dx) > dot(dy, dy) ? dx : dy);
    vec4 sum = vec4(0.0);
    for (int k = -2; k <= 2; k++) sum += seen(source_px + float(k) * step);
    return 0.2 * sum;
}
vec3 colour_of(vec4 layer) { return layer.rgb / max(layer.a, 1e-3); }
// An edge that is drawn out as a whole: else each step between its pixels would end in a spike.
vec4 mean_edge(float drawn_out) { return mean_across(min(2.0 * (drawn_out - 1.0), 5.0)); }
// What the mean edge covers, and the pixel itself does not, has the mean's colour.
vec3 within(vec4 mean) {
    vec4 own = seen(source_px);
    return min(own.rgb + (1.0 - own.a) * colour_of(mean), 1.0);
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
    vec3 mean = colour_of(mean_across(0.5 * tint.x * (s - 1.0)));
    colour = vec4(with_grain(mean, tint, s), 1.0);
}
"""
)
_SOFT = """
#version 330
uniform sampler2D layer;
uniform vec4 region;
in vec2 source_px;
in vec3 tint;
in float cover;
out vec4 colour;
"""
# The edge of the matte: drawn out it stays as narrow as it was.
EDGE = (
    _SOFT
    + _GRAIN
    + _COARSE
    + """
void main() {
    float s = times_drawn_out();
    vec4 mean = mean_edge(s);
    float narrower = clamp(0.4 / max(fwidth(mean.a), 1e-3), 1.0, s);  // but never stepped
    // What is drawn out of a soft edge beside skin is mostly background; hidden skin lies there.
    float middle = 0.5 + 0.4 * tint.x * smoothstep(1.5, 3.0, s);
    // Never more than it was: half covered, its colour may be that of the background.
    float alpha = cover * min(mean.a, max((mean.a - middle) * narrower + 0.5, 0.0));
    if (alpha < 0.002) discard;
    vec3 hair = within(mean), skin = with_grain(colour_of(mean), tint, s);
    colour = vec4(alpha * mix(hair, skin, tint.x), alpha);
}
"""
)
# The mirrored half, in the light of its new side.
MIRROR = (
    _SOFT
    + _COARSE
    + """
void main() {
    vec4 mean = mean_edge(times_drawn_out());
    float alpha = cover * mean.a;
    if (alpha < 0.002) discard;
    colour = vec4(alpha * min(within(mean) * tint, 1.0), alpha);
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
