"""Fragment shaders that tell where the colours of a drawn head come from, instead of the colours.

Each gives how far a sheet covers a pixel (alpha) and how far its colour is a guess (red,
premultiplied): always where it is mirrored, hardly on the far side and hidden skin, by its stretch
elsewhere. Those two are guesses, too, but with strands, grain and sharp edges, which the network
would blur: the one never counts as such, the other little. Nor does what hardly goes with the head:
where neck, collar and room meet, the network would make a pale smudge of all three.
`stream.warp.Warp.provenance` draws with them.
"""

_STRETCH = "1.6, 4.0"  # magnification from which a colour begins, and has come, to be a guess
_TORN = "1.4, 3.0"  # the same across a depth step, which a turn opens
_FOLLOWS = "0.45, 0.85"  # share of the motion from which a colour may be, and fully is, a guess

# What a sheet tells of a pixel that it covers; alpha gathers how far any does.
TELL = f"""
    guessed *= smoothstep({_FOLLOWS}, follows);
    colour = vec4(guessed * covered, 0.0, 0.0, covered);
"""
_HEAD = f"""
#version 330
uniform sampler2D layer;     // α is its fourth channel
uniform vec4 region;         // x0, y0, width, height in frame pixels
uniform vec2 px_a_pixel;     // frame pixels that a pixel drawn here is wide and high
in vec2 source_px;
flat in vec2 far_px;
in float cover;
in float follows;
out vec4 colour;
float alpha(vec2 place_px) {{ return texture(layer, (place_px - region.xy) / region.zw).a; }}
float stretch() {{                                   // greatest magnification of the texture
    mat2 m = mat2(dFdx(source_px) / px_a_pixel.x, dFdy(source_px) / px_a_pixel.y);
    float det = determinant(m);
    float square = dot(m[0], m[0]) + dot(m[1], m[1]);
    float least = sqrt(max(square - sqrt(max(square * square - 4.0 * det * det, 0.0)), 0.0) / 2.0);
    return 1.0 / max(least, 1e-3);
}}
void tell(float covered, float guessed) {{
    if (covered < 0.002) discard;{TELL}}}
"""
_SEEN = f"void main() {{ tell(alpha(source_px), smoothstep({_STRETCH}, stretch())); }}"
_NEAR = f"void main() {{ tell(cover * alpha(source_px), smoothstep({_STRETCH}, stretch())); }}"
_CUT = f"""
void main() {{
    tell(step(0.0, cover) * alpha(source_px), smoothstep({_STRETCH}, stretch()));
}}
"""
_GUARD = "void main() { if (alpha(source_px) < 0.5) discard; colour = vec4(0.0); }"
_MIRROR = "void main() { tell(cover * alpha(source_px), 1.0); }"
_UNDER = "void main() { tell(step(0.5, cover), 0.3); }"
_FAR = "void main() { tell(smoothstep(0.5, 0.9, alpha(source_px)) * cover, 0.0); }"
_GAP = f"""
void main() {{
    float s = stretch();
    tell(alpha(mix(source_px, far_px, smoothstep(5.0, 15.0, s))), smoothstep({_TORN}, s));
}}
"""

FRAGMENTS: dict[str, str] = {
    "solid": _HEAD + _SEEN, "far": _HEAD + _FAR, "gap": _HEAD + _GAP,
    "near": _HEAD + _NEAR, "mirror": _HEAD + _MIRROR, "under": _HEAD + _UNDER,
    "worn": _HEAD + _SEEN, "guard": _HEAD + _GUARD, "clean": _HEAD + _NEAR,
    "cut": _HEAD + _CUT,
}  # fmt: skip
