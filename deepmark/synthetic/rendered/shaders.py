"""The programs that the renderer gives to OpenGL, in its language GLSL."""

SEEN_INSIDE = 0.25
"""Metres inside the edges up to which the inner side of a surface is surely seen, see FRAGMENT."""

VERTEX = """
#version 330
uniform mat4 camera;
in vec3 in_position;
in vec3 in_normal;
in vec3 in_inside;
in vec3 in_inside_too;
in vec2 in_around;
in vec2 in_along;
in vec3 in_tint;
out vec3 position;
out vec3 normal;
out vec3 inside;
out vec3 inside_too;
out vec2 around;
out vec2 along;
out vec3 tint;
out float depth;
void main() {
    position = in_position;
    normal = in_normal;
    inside = in_inside;
    inside_too = in_inside_too;
    around = in_around;
    along = in_along;
    tint = in_tint;
    gl_Position = camera * vec4(in_position, 1.0);
    depth = gl_Position.w;
}
"""

_MARGIN = """
in vec3 inside;
in vec3 inside_too;
float margin_of() {
    vec3 least = min(inside, inside_too);
    return min(least.x, min(least.y, least.z));
}
"""

FRAGMENT = (
    """
#version 330
uniform sampler2D cloth;
uniform sampler2D wrinkles;
uniform sampler2DShadow shadow_map;
uniform mat4 shadow_camera;
uniform vec3 towards, lamp, sky, ground;
uniform float repeat, bump, wrinkle, gloss, hem, seam, buttons, button;
in vec3 position;
in vec3 normal;
in vec2 around;
in vec2 along;
in vec3 tint;
in float depth;
out vec4 color;
"""
    + _MARGIN
    + """
vec2 turned(vec2 step) {
    // the change of the angle around the axis: without the jump of atan at the seam
    return vec2((around.x * step.y - around.y * step.x) / max(dot(around, around), 1e-8), 0.0);
}
float from_seam() {
    // metres: at both sides of the trunk and of legs, and at the inner side of arms
    if (along.y > 0.12) return abs(around.x);
    return along.y < 0.06 && around.x > 0.0 ? 1.0 : abs(around.y);
}
vec3 buttoned(vec3 albedo) {
    // down the middle of the trunk's front, or along the left edge of an open one; the border of a closed one is a seam
    bool open = inside_too.y < 0.5;
    if (around.x <= 0.0 || along.y < 0.12 || (open && around.y < 0.0)) return albedo;
    float across = open ? inside_too.y - 0.015 : around.y;
    float away = length(vec2(across, mod(along.x, buttons) - 0.5 * buttons));
    if (!open) albedo *= 1.0 - 0.4 * smoothstep(0.002, 0.0, abs(across - 0.016));
    albedo *= 1.0 - 0.5 * smoothstep(0.009, 0.006, away);  // its shadow
    vec3 disc = vec3(button * (0.75 + 0.25 * smoothstep(0.0045, 0.003, away)));  // with a darker rim
    return mix(albedo, disc, smoothstep(0.0065, 0.0058, away));
}
void main() {
    float margin = margin_of();
    if (!gl_FrontFacing && margin > 0.3) discard;  // far inside a garment
    float alpha = clamp(margin / max(fwidth(margin), 1e-6) + 0.5, 0.0, 1.0);
    if (alpha <= 0.0) discard;
    vec2 place = vec2(atan(around.y, around.x) * along.y, along.x);
    vec2 by_x = vec2(turned(dFdx(around)).x * along.y, dFdx(along.x));
    vec2 by_y = vec2(turned(dFdy(around)).x * along.y, dFdy(along.x));
    vec3 albedo = textureGrad(cloth, place / repeat, by_x / repeat, by_y / repeat).rgb;
    albedo = albedo * albedo * tint;
    vec3 unit = normalize(normal);
    if (bump > 0.0) {
        vec2 size = vec2(wrinkle);
        float height = bump * textureGrad(wrinkles, place / size, by_x / size, by_y / size).r;
        vec3 px = dFdx(position), py = dFdy(position);
        vec3 r1 = cross(py, unit), r2 = cross(unit, px);
        float area = dot(px, r1);
        unit = normalize(abs(area) * unit - sign(area) * (dFdx(height) * r1 + dFdy(height) * r2));
    }
    float inner = gl_FrontFacing ? 1.0 : 0.0;
    if (inner < 0.5) unit = -unit;
    vec3 at = (shadow_camera * vec4(position + 0.006 * unit, 1.0)).xyz * 0.5 + 0.5;
    float lit = texture(shadow_map, vec3(at.xy, at.z - 0.004));
    float wrapped = clamp((dot(unit, towards) + 0.25) / 1.25, 0.0, 1.0);
    vec3 around_light = mix(ground, sky, 0.5 + 0.5 * unit.z);
    vec3 light = around_light + lamp * wrapped * (0.12 + 0.88 * lit);
    if (hem > 0.0) {
        float stitch = smoothstep(0.004, 0.0, abs(margin - hem)) + smoothstep(0.005, 0.0, margin);
        albedo *= 1.0 - 0.35 * clamp(stitch, 0.0, 1.0);
    }
    if (gl_FrontFacing) albedo *= 1.0 - seam * smoothstep(0.005, 0.001, from_seam());
    if (buttons > 0.0 && gl_FrontFacing) albedo = buttoned(albedo);
    float shine = gloss * pow(max(dot(unit, normalize(towards + vec3(0.0, -1.0, 0.0))), 0.0), 24.0) * lit;
    vec3 result = albedo * light * (inner > 0.5 ? 1.0 : 0.45) + shine * lamp;
    color = vec4(sqrt(clamp(result, 0.0, 1.0)), alpha);
}
"""
)

IDENTITY_FRAGMENT = (
    """
#version 330
uniform float first;
in float depth;
out vec2 found;
"""
    + _MARGIN
    + """
void main() {
    if (margin_of() < 0.0) discard;
    found = vec2(first + float(gl_PrimitiveID), depth);
}
"""
)

SHADOW_FRAGMENT = (
    """
#version 330
"""
    + _MARGIN
    + """
void main() {
    if (margin_of() < 0.0) discard;
}
"""
)
