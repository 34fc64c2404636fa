"""Drawing the swapped face: one OpenGL pass over the triangles of the skin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import moderngl
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from stream.flatten import texture_uv
from stream.geometry import smoothstep
from stream.swap.detail import DETAIL_RANGE
from stream.swap.shape import EAR, EYES, MOUTH, NECK, SCALP, SKIN
from stream.swap.tension import FOLD_RANGE
from stream.swap.texture_map import SameModel

if TYPE_CHECKING:
    from stream.head_model import HeadModel
    from stream.region import Region
    from stream.swap.shape import FaceShape

_FEATURES = slice(17, 68)  # of the iBUG points: brows, nose, eyes, lips
# How far behind lids and lips (iBUG points) their linings are drawn.
_LININGS_MM = (EYES, slice(36, 48), 9.0), (MOUTH, slice(48, 68), 14.0)
_CORE_MM = (14.0, 30.0)  # from those: belongs to them, and does not
_GRAZING = 0.5  # half way to the shorter side of a pixel's footprint: sharper, and calm
_GREY = np.array([0.3, 0.59, 0.11], np.float32)
# Tints that differ from the skin's are kept less where the light changes tints much, which makes
# blotches of them, and in what is dark: brows would turn blue or green.
_TINT, _TINT_IN_DARK, _DARK = 0.85, 0.25, (0.2, 0.6)
# Grey hair or stubble is bluer than any skin, and as a share of a paler skin would be blue indeed.
_TINT_OF_COOL, _COOL = 0.5, 0.3
_FOLD_TINT = np.array([0.7, 1.0, 1.3])  # light in a fold has met skin more than once
_SHADED = np.array([0.8, 1.0, 1.2])  # likewise of any skin in shade; black hair stays black
_VERTEX = """
#version 330
uniform vec4 region;         // x0, y0, width, height in frame pixels
uniform vec2 depth_range;    // mm
in vec2 place_px;
in float depth_mm;
in vec3 gain;
in vec3 lift;                // what is added, 0…1
in vec3 bare;                // colour of the source's skin, 0…1
in float folded;             // how far folds of the texture are drawn, 0…1
in vec2 uv;
in float cover;
out vec2 place_uv;
out float folds;
out vec3 factor;
out vec3 added;
out vec3 skin;
out float opacity;
void main() {
    place_uv = uv;
    factor = gain;
    added = lift;
    skin = bare;
    opacity = cover;
    folds = folded;
    vec2 ndc = (place_px - region.xy) / region.zw * 2.0 - 1.0;
    float z = (depth_mm - depth_range.x) / (depth_range.y - depth_range.x);
    gl_Position = vec4(ndc, 2.0 * z - 1.0, 1.0);
}
"""
_FRAGMENT = """
#version 330
uniform sampler2D face;      // colours, and log brightness of folds
uniform vec3 fold_range;     // of that, over the range of a texel; folds are redder than shade
uniform sampler2D detail;    // log brightness of fine detail, in two bands
uniform vec2 stronger;       // gains of the bands beyond 1, over the range of a texel
uniform float squeeze;       // of the depth of what is darker than plain skin
uniform float blur;          // levels of the texture's pyramid
uniform float grazing;       // share of the stretch that makes it sharper
uniform vec3 grey;           // shares of the channels in brightness
uniform vec4 tint;           // most that is kept, share of it in the dark, dark from, to
uniform vec3 shaded;         // exponents of skin in shade, that is not hair
uniform vec2 cool;           // share of it in what is bluer than skin, and by how much surely is
in vec2 place_uv;
in vec3 factor;
in vec3 added;
in vec3 skin;
in float opacity;
in float folds;
out vec4 colour;
// Levels between the longer and the shorter side of a pixel's footprint in the texture. The
// pyramid takes the longer one, and is blurred where the skin is seen at a grazing angle.
float stretch() {
    vec2 right = dFdx(place_uv), down = dFdy(place_uv);
    float a = dot(right, right), b = dot(down, down), both = dot(right, down);
    float apart = sqrt((a - b) * (a - b) + 4.0 * both * both);
    return 0.5 * log2((a + b + apart) / max(a + b - apart, 1e-12));
}
void main() {
    vec4 texel = texture(face, place_uv, blur - min(grazing * stretch(), 1.0));
    vec2 bands = texture(detail, place_uv, blur).rg - 128.0 / 255.0;
    vec3 own = texel.rgb * exp(folds * fold_range * (texel.a - 128.0 / 255.0)
                               + dot(stronger, bands));
    float shown = max(dot(own, grey) / dot(skin, grey), 1e-3);
    float depth = max(-log(shown), 0.0);
    float lighter = exp(depth - depth / (1.0 + squeeze * depth));
    float plain = shown * lighter;                   // relative to plain skin
    vec3 tinted = own / skin * lighter;
    float most = max(factor.r, max(factor.g, factor.b));
    float least = min(factor.r, min(factor.g, factor.b));
    float keep = tint.x * least / most * mix(tint.y, 1.0, smoothstep(tint.z, tint.w, shown));
    float cooler = (tinted.b - tinted.r) / plain;    // hair, stubble
    keep *= mix(1.0, cool.x, smoothstep(0.0, cool.y, cooler));
    vec3 shade = pow(vec3(plain), mix(vec3(1.0), shaded, smoothstep(tint.z, tint.w, shown)));
    colour = vec4(factor * skin * mix(shade, tinted, keep) + added, opacity);
}
"""


@dataclass(frozen=True, slots=True)
class Look:
    """How a texture is drawn.

    Attributes:
        blur: levels of the texture's pyramid; below 0 is sharper than fits the size.
        squeeze: of darks, see `stream.swap.contrast`; 0 leaves them as in the photo.
        detail: gains of the two bands of `stream.swap.detail`.
    """

    blur: float = 0.0
    squeeze: float = 0.0
    detail: tuple[float, float] = (1.0, 1.0)


class FaceDrawer:
    """Draws faces; keeps the textures of the sources.

    Args:
        context: an OpenGL 3.3 context.
        model: the head model.
    """

    def __init__(self, context: moderngl.Context, model: HeadModel) -> None:
        self._context = context
        self._program = context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._program["grazing"].value = _GRAZING
        self._program["grey"].value = tuple(_GREY)
        self._program["fold_range"].value = tuple(_FOLD_TINT * FOLD_RANGE * 255 / 256)
        self._program["detail"].value = 1
        self._program["tint"].value = (_TINT, _TINT_IN_DARK, *_DARK)
        self._program["shaded"].value = tuple(_SHADED)
        self._program["cool"].value = (_TINT_OF_COOL, _COOL)
        triangles = drawn_triangles(model)
        self._used, numbers = np.unique(triangles, return_inverse=True)
        self._triangles = context.buffer(numbers.astype(np.int32).tobytes())
        self._uv = context.buffer(texture_uv(model)[self._used].astype(np.float32).tobytes())
        self._moving = context.buffer(reserve=len(self._used) * 13 * 4)
        self._cover = context.buffer(reserve=len(self._used) * 4)
        self._array = context.vertex_array(
            self._program,
            [(self._moving, "2f 1f 3f 3f 3f 1f", "place_px", "depth_mm", "gain", "lift", "bare",
              "folded"),
             (self._uv, "2f", "uv"), (self._cover, "1f", "cover")],
            self._triangles,
        )  # fmt: skip
        self._textures: dict[int, tuple[moderngl.Texture, moderngl.Texture]] = {}
        self._size: tuple[int, int] | None = None

    def add_texture(
        self, number: int, texture: np.ndarray, folds: np.ndarray, detail: np.ndarray
    ) -> None:
        """Keep the (S, S, 3) texture, (S, S) folds and (S, S, 2) detail of a source, all uint8."""
        for old in self._textures.pop(number, ()):
            old.release()
        self._textures[number] = (
            self._kept(np.dstack([texture, folds])), self._kept(detail)
        )  # fmt: skip

    def _kept(self, texels: np.ndarray) -> moderngl.Texture:
        height, width, channels = texels.shape
        kept = self._context.texture((width, height), channels, texels.tobytes())
        kept.build_mipmaps()
        kept.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        kept.repeat_x = kept.repeat_y = False
        return kept

    def draw(
        self,
        number: int,
        shape: FaceShape,
        light: np.ndarray,
        cover: np.ndarray,
        region: Region,
        look: Look = Look(),
        folded: np.ndarray | float = 0.0,
    ) -> np.ndarray:
        """Draw a face into a region.

        Args:
            number: of the source whose texture is taken.
            shape: where its vertices lie.
            light: (V, 9) factors of the texture's colours, what is added to them, 0…1, and the
                colour of the texture's skin; see `stream.swap.light.relit`.
            cover: (V,) how far each vertex covers the frame.
            region: of the frame.
            look: how it is drawn.
            folded: (V,) how far the folds of the texture are drawn, 0…1.

        Returns:
            (h, w, 4) uint8 RGB and how far the face covers a pixel; not to be written to.
        """
        used = self._used
        target = self._fit_buffers(region)
        packed = np.empty((len(used), 13), np.float32)
        packed[:, :2], packed[:, 2] = shape.drawn_px[used], shape.depth_mm[used]
        packed[:, 3:12] = light[used]
        packed[:, 12] = np.broadcast_to(folded, len(cover))[used]
        self._moving.write(packed.tobytes())
        self._cover.write(cover[used].astype(np.float32).tobytes())
        program = self._program
        program["region"].value = (region.x0, region.y0, region.width, region.height)
        program["depth_range"].value = (
            float(packed[:, 2].min()) - 5,
            float(packed[:, 2].max()) + 5,
        )
        program["blur"].value, program["squeeze"].value = look.blur, look.squeeze
        program["stronger"].value = tuple((np.array(look.detail) - 1) * DETAIL_RANGE * 255 / 256)
        target.use()
        target.clear(depth=1.0)
        context = self._context
        context.enable_only(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        context.depth_func, context.front_face, context.cull_face = "<", "cw", "back"
        for place, texture in enumerate(self._textures[number]):
            texture.use(place)
        self._array.render()
        drawn = np.frombuffer(target.read(components=4), np.uint8)
        return drawn.reshape(region.height, region.width, 4)

    def _fit_buffers(self, region: Region) -> moderngl.Framebuffer:
        size = (region.width, region.height)
        if size != self._size:
            self._release_buffers()
            context = self._context
            self._parts = context.renderbuffer(size, 4), context.depth_renderbuffer(size)
            self._target = context.framebuffer(*self._parts)
            self._size = size
        return self._target

    def _release_buffers(self) -> None:
        if self._size is not None:
            for part in (self._target, *self._parts):
                part.release()
            self._size = None

    def release(self) -> None:
        """Give back the context and all that was made in it."""
        self._release_buffers()
        for texture in sum(self._textures.values(), ()):
            texture.release()
        self._textures.clear()
        for part in (self._array, self._triangles, self._uv, self._moving, self._cover,
                     self._program):  # fmt: skip
            part.release()
        self._context.release()


def drawn_colours(texture: np.ndarray, light: np.ndarray, squeeze: float = 0.0) -> np.ndarray:
    """Return what colours of a texture are drawn as: the fragment shader in numpy.

    Args:
        texture: (N, 3) 0…255.
        light: (N, 9) as in `FaceDrawer.draw`.
        squeeze: as in `Look`.

    Returns:
        (N, 3) 0…255, not clipped.
    """
    factor, added, skin = light[:, :3], light[:, 3:6], light[:, 6:9]
    own = texture / 255
    shown = np.maximum(own @ _GREY / (skin @ _GREY), 1e-3)[:, None]
    depth = np.maximum(-np.log(shown), 0)
    lighter = np.exp(depth - depth / (1 + squeeze * depth))
    keep = _TINT * (factor.min(axis=1) / factor.max(axis=1))[:, None]
    keep = keep * (_TINT_IN_DARK + (1 - _TINT_IN_DARK) * smoothstep(shown, *_DARK))
    cooler = ((own[:, 2] / skin[:, 2] - own[:, 0] / skin[:, 0]) / shown[:, 0])[:, None]
    keep = keep * (1 - (1 - _TINT_OF_COOL) * smoothstep(cooler, 0.0, _COOL))
    warm = 1 + (_SHADED - 1) * smoothstep(shown, *_DARK)
    mixed = (1 - keep) * (shown * lighter) ** warm + keep * lighter * own / skin
    return 255 * (factor * skin * mixed + added)


def drawn_triangles(model: HeadModel) -> np.ndarray:
    """Return (T, 3) the triangles of the face's skin and of what it lines inside.

    Behind lids and lips the surface goes on into eye sockets and mouth. Nothing of that is shown,
    but the soft edges of what stays the target's have colours to fade from. The throat, which
    would look out under a raised jaw, is left out.
    """
    drawn = model.labels == SKIN
    for label, part, reach_mm in _LININGS_MM:
        away = cKDTree(model.points68()[part]).query(model.vertices)[0]
        drawn |= (model.labels == label) & (away < reach_mm)
    inside = drawn[model.triangles].all(axis=1)
    triangles = model.triangles[inside]
    ends = np.concatenate([triangles[:, :2], triangles[:, 1:]])
    count = len(model.vertices)
    graph = sparse.coo_matrix((np.ones(len(ends)), ends.T), (count, count))
    _, patch = connected_components(graph, directed=False)
    return triangles[patch[triangles[:, 0]] == np.bincount(patch).argmax()]


def soft_border(model: HeadModel, softness: float, seen: np.ndarray) -> np.ndarray:
    """Return (V,) float32 how far each vertex covers the frame: 1 inside, 0 at the border.

    Beyond brows, eyes, nose and mouth, skin that no photo showed does not cover: the frame's own,
    in whose colours the rest is drawn, is better than a guess.

    Args:
        model: the head model.
        softness: 0…1.
        seen: (V,) 0…1, whether the source was seen; see `seen_at_vertices`.
    """
    away, from_features = _distances(SameModel(model))
    core = 1 - smoothstep(from_features, *_CORE_MM)
    border = smoothstep(away, 2.0, 4.0 + 20.0 * softness)
    return border * np.maximum(core, smoothstep(seen, 0.35, 0.9))


def seen_at_vertices(model: HeadModel, seen: np.ndarray) -> np.ndarray:
    """Return (V,) float32, 0…1, how well the surroundings of each vertex were seen.

    Args:
        model: the head model.
        seen: (S, S) uint8, 255 where a photo showed a texel.
    """
    size = len(seen)
    # Small gaps, as in the folds of a smile, were filled from close by and are no guesses.
    small, large = (np.ones((size // part, size // part), np.uint8) for part in (14, 40))
    eroded = cv2.erode(cv2.morphologyEx(seen, cv2.MORPH_CLOSE, small), large)
    soft = cv2.GaussianBlur(eroded.astype(np.float32) / 255, (0, 0), size / 60)
    places = texture_uv(model) * size - 0.5
    return cv2.remap(soft, places[:, 0], places[:, 1], cv2.INTER_LINEAR).ravel()


@lru_cache(maxsize=2)
def _distances(key: SameModel) -> tuple[np.ndarray, np.ndarray]:
    """Return (V,) mm to hairline, ears or neck, 0 beyond; and (V,) mm to the features."""
    model = key.model
    border = model.vertices[np.isin(model.labels, (SCALP, EAR, NECK))]
    away = cKDTree(border).query(model.vertices)[0]
    features = cKDTree(model.points68()[_FEATURES]).query(model.vertices)[0]
    outside = np.isin(model.labels, (SCALP, EAR, NECK))
    return np.where(outside, 0, away).astype(np.float32), features
