"""The shaders of the puppet: those of the warp, with displacements before the head's motion."""

from stream.warp_shaders import MOTION

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
