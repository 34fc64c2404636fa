"""GLSL of the renderer of synthetic people."""

VERTEX = """
#version 330
uniform vec4 camera;  // fx, fy, cx, cy in pixels
uniform vec2 size;
uniform mat4 camera_from_head;
in vec3 position; in vec3 normal; in vec2 uv; in float label; in vec3 canonical; in vec2 head_uv;
out vec3 place; out vec3 towards; out vec2 texel; flat out float kind;
out vec3 counterpart; out vec2 chart;
invariant gl_Position;  // passes compare depths for equality
void main() {
    vec4 p = camera_from_head * vec4(position, 1.0);
    vec2 pixel = camera.xy * p.xy / p.z + camera.zw;
    float near = 60.0, far = 6000.0;
    float z = (far + near) / (far - near) - 2.0 * far * near / ((far - near) * p.z);
    gl_Position = vec4((2.0 * pixel / size - 1.0) * p.z, z * p.z, p.z);
    place = p.xyz; towards = mat3(camera_from_head) * normal;
    texel = uv; kind = label; counterpart = canonical; chart = head_uv;
}
"""

# Diffuse light after Ramamoorthi and Hanrahan 2001 (irradiance by nine harmonics), lamps with
# Blinn's highlight; light wraps around skin farther in red than in blue, as under real skin.
SHADE = """
#version 330
uniform sampler2D picture;
uniform sampler2DShadow shadow;
uniform mat4 shadow_from_camera;
uniform int shadowed;
uniform vec3 sky[9];
uniform vec3 lamp_direction[4];
uniform vec3 lamp_colour[4];
uniform int lamps;
uniform float gloss, shininess, scatter, cutoff;
uniform int pass;  // 0 opaque, 1 soft edges, 2 lenses
uniform bool hairy;
in vec3 place; in vec3 towards; in vec2 texel; flat in float kind;
layout(location = 0) out vec4 colour; layout(location = 1) out vec4 matte;

vec3 radiance(vec3 n, vec3 band) {
    return max(vec3(0.0), band.x * 0.282095 * sky[0]
        + band.y * 0.488603 * (n.y * sky[1] + n.z * sky[2] + n.x * sky[3])
        + band.z * (1.092548 * (n.x * n.y * sky[4] + n.y * n.z * sky[5] + n.x * n.z * sky[7])
        + 0.315392 * (3.0 * n.z * n.z - 1.0) * sky[6]
        + 0.546274 * (n.x * n.x - n.y * n.y) * sky[8]));
}

float lit(vec3 n) {
    vec4 p = shadow_from_camera * vec4(place + 2.5 * n, 1.0);
    if (any(greaterThan(abs(p.xyz), vec3(1.0)))) return 1.0;
    vec3 at = 0.5 * p.xyz + 0.5;
    float sum = 0.0;
    for (int i = -1; i <= 1; ++i) for (int j = -1; j <= 1; ++j)
        sum += texture(shadow, at + vec3(vec2(i, j) / 384.0, -0.002));
    return sum / 9.0;
}

void main() {
    vec4 t = texture(picture, texel);
    if (pass == 0 && t.a < cutoff) discard;
    if (pass == 1 && (t.a >= cutoff || t.a < 0.03)) discard;
    vec3 n = towards / max(length(towards), 1e-6), view = normalize(-place);
    if (dot(n, view) < 0.0) n = -n;  // sheets of hair and cloth have two sides
    vec3 albedo = pow(t.rgb, vec3(2.2));
    float open = kind == 5.0 ? 0.35 : (kind == 6.0 ? 0.65 : 1.0);  // light that reaches a mouth
    vec3 diffuse = open * radiance(n, vec3(1.0, 2.0 / 3.0, 0.25));
    float edge = pow(1.0 - max(dot(n, view), 0.0), 5.0);
    vec3 mirror = reflect(-view, n);
    vec3 shine = open * gloss * (0.12 + 0.88 * edge) * radiance(mirror, vec3(1.0, 0.9, 0.6));
    vec3 wrap = scatter * vec3(0.32, 0.14, 0.07);
    for (int i = 0; i < lamps; ++i) {
        float cosine = dot(n, lamp_direction[i]);
        if (cosine + wrap.r <= 0.0) continue;  // turned away: no need to ask for shadows
        float s = i == shadowed ? lit(n) : 1.0;
        vec3 passed = mix(vec3(s), sqrt(vec3(s)), scatter * vec3(0.6, 0.2, 0.1)) * open;
        vec3 wrapped = (cosine + wrap) / ((1.0 + wrap) * (1.0 + wrap));
        diffuse += passed * lamp_colour[i] * max(wrapped, 0.0);
        float glint = pow(max(dot(n, normalize(lamp_direction[i] + view)), 0.0), shininess);
        shine += s * open * lamp_colour[i] * gloss * (0.25 + edge) * glint
            * (shininess + 2.0) / 8.0 * max(cosine, 0.0);
    }
    float alpha = pass == 0 ? 1.0 : t.a;
    vec3 light = albedo * diffuse * alpha + shine * (pass == 1 ? alpha : 1.0);
    if (pass == 2) alpha = clamp(alpha + max(max(shine.r, shine.g), shine.b), 0.0, 1.0);
    colour = vec4(light, alpha);
    matte = vec4(hairy ? alpha : 0.0, 0.0, 0.0, alpha);
}
"""

FRONT = """
#version 330
uniform sampler2D picture;
uniform float cutoff;
in vec2 texel;
void main() { if (cutoff > 0.0 && texture(picture, texel).a < cutoff) discard; }
"""

TRUTH = """
#version 330
uniform sampler2D picture;
uniform float cutoff;
in vec3 place; in vec3 towards; in vec2 texel; flat in float kind; in vec3 counterpart;
in vec2 chart;
layout(location = 0) out vec4 where; layout(location = 1) out vec4 facing;
layout(location = 2) out vec4 same;
void main() {
    if (texture(picture, texel).a < cutoff) discard;
    vec3 n = towards / max(length(towards), 1e-6);
    if (dot(n, place) > 0.0) n = -n;
    where = vec4(place.z, kind, chart);
    facing = vec4(n, 1.0);
    same = vec4(counterpart, 1.0);
}
"""

SHADOW_VERTEX = """
#version 330
uniform mat4 shadow_from_head;
in vec3 position; in vec2 uv;
out vec2 texel;
void main() { gl_Position = shadow_from_head * vec4(position, 1.0); texel = uv; }
"""

SHADOW = """
#version 330
uniform sampler2D picture;
uniform float cutoff;
in vec2 texel;
void main() { if (texture(picture, texel).a < cutoff) discard; }
"""
