"""Beards: soft shells over cheeks, jaw, chin and upper lip, with strands in their alpha."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy import sparse
from scipy.interpolate import LinearNDInterpolator

from stream.head_model import load_head_model
from training.synthetic.accessories.fitting import Fit
from training.synthetic.accessories.spec import AccessorySpec
from training.synthetic.scene import Label, Material, Surface

_SIZE = 256
_VARIANTS = 4
_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_CHEEK_DEG = (0, 8, 14, 25, 38, 55, 67, 78, 84, 180)  # angle from the face's middle to the ear
_CHEEK_TOP_MM = (100, 99, 100, 102, 93, 73, 52, 46, 60, 200)
_LIPS_MARGIN_MM = 1.0


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What a style is on the mean head; rows of the arrays are the vertices in use."""

    vertices: np.ndarray
    triangles: np.ndarray
    weight: np.ndarray
    uv: np.ndarray
    normals_from_faces: sparse.csr_matrix
    canonical_mm: np.ndarray
    head_uv: np.ndarray


def beard(spec: AccessorySpec, fit: Fit, hair_rgb: tuple[int, int, int]) -> list[Surface]:
    """Return the shells of the beard `spec.beard`, the innermost first, in head space."""
    style = spec.beard or "full"
    rng = spec.rng(4)
    pattern = _pattern(style)
    layers = int(rng.integers(3, 6))
    length = float(rng.choice((3.0, 5.0, 8.0), p=(0.4, 0.4, 0.2)))
    hang = float(rng.uniform(0, 14)) if length > 6 and style != "moustache" else 0.0
    grey = float(rng.uniform(-0.12, 0.18))
    rgb = np.array(hair_rgb, np.float32) * (1 + grey) + 8 * max(grey, 0)
    variant = int(rng.integers(_VARIANTS))
    points = fit.head_mm[pattern.vertices]
    normals = _normals(pattern, points)
    surfaces = []
    for layer in range(layers):
        height = layer / (layers - 1)
        offset = 0.8 + (length - 0.8) * height
        rise = pattern.weight[:, None] * offset + 0.4
        placed = points + normals * rise
        placed[:, 1] += pattern.weight * hang * height**1.5 * _chin(pattern)
        surfaces.append(_shell(pattern, placed, _texture(style, variant, layer, layers, rgb)))
    return surfaces


def _shell(pattern: _Pattern, placed_mm: np.ndarray, texture: np.ndarray) -> Surface:
    count = len(placed_mm)
    return Surface(
        name="beard",
        vertices_mm=placed_mm.astype(np.float32),
        triangles=pattern.triangles,
        uv=pattern.uv,
        texture=texture,
        labels=np.full(count, Label.HAIR, np.uint8),
        smooth_ids=np.arange(count, dtype=np.int32),
        canonical_mm=pattern.canonical_mm,
        head_uv=pattern.head_uv,
        material=Material(gloss=0.1, cutoff=0.45, soft=True),
    )


def _chin(pattern: _Pattern) -> np.ndarray:
    """Return (V,) 0…1: how much of a long beard's hang a vertex takes, most under the chin."""
    x, y, _ = pattern.canonical_mm.T
    return np.asarray(_smooth((y - 128) / 30) * _smooth((58 - np.abs(x)) / 40))


def _normals(pattern: _Pattern, points_mm: np.ndarray) -> np.ndarray:
    corners = points_mm[pattern.triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = pattern.normals_from_faces @ face
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9))


def _smooth(share: np.ndarray) -> np.ndarray:
    share = share.clip(0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def lips_distance(points_mm: np.ndarray) -> np.ndarray:
    """Return (N,) distance of mean-head points from the lips' outline in x and y, inside < 0."""
    model = load_head_model()
    outline = model.points478_mean[list(_LIPS), :2].astype(np.float32)
    return np.array(
        [-cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in points_mm[:, :2]]
    )


def _style_weight(style: str, points_mm: np.ndarray) -> np.ndarray:
    """Return (N,) density 0…1 of a style on points of the mean head."""
    x, y, z = points_mm.T
    side = np.degrees(np.arctan2(np.abs(x), -z))
    fade = np.interp(side, (25, 40), (12, 24))  # on the cheek a beard thins out slowly
    weight = _smooth((y - np.interp(side, _CHEEK_DEG, _CHEEK_TOP_MM)) / fade + 0.26)
    jaw = np.interp(z, (-89, -45, -10), (163, 133, 108))
    weight *= _smooth((22 - (y - jaw)) / 18) * _smooth((86 - side) / 12)
    lips = lips_distance(points_mm)
    weight *= np.where(z < -70, _smooth((lips - _LIPS_MARGIN_MM) / 3), 1.0)
    if style == "goatee":
        weight *= _smooth((36 - np.abs(x)) / 8) * (z < -45)
    if style == "moustache":
        weight *= _smooth((36 - np.abs(x)) / 10) * _smooth((122 - y) / 8) * (z < -70)
    return np.asarray(weight)


@lru_cache(maxsize=8)
def _pattern(style: str) -> _Pattern:
    model = load_head_model()
    skin = np.isin(model.labels, (1, 4)).astype(np.float32)
    weight = _style_weight(style, model.vertices) * skin
    lips = np.where(model.vertices[:, 2] < -70, lips_distance(model.vertices), 99.0)
    allowed = (skin > 0) & (lips > 0.5) & (model.vertices[:, 2] < 20)
    corners = model.triangles
    keep = (weight[corners] > 0.01).any(axis=1) & allowed[corners].all(axis=1)
    vertices, triangles = np.unique(corners[keep], return_inverse=True)
    triangles = triangles.reshape(-1, 3).astype(np.int32)
    head_uv = model.uv[vertices]
    low, high = head_uv.min(axis=0), head_uv.max(axis=0)
    uv = 0.02 + 0.96 * (head_uv - low) / (high - low)
    ones = np.ones(triangles.size, np.float32)
    faces = np.repeat(np.arange(len(triangles)), 3)
    incidence = sparse.csr_matrix((ones, (triangles.ravel(), faces)))
    return _Pattern(
        vertices, triangles, weight[vertices].astype(np.float32), uv.astype(np.float32),
        incidence, model.vertices[vertices], head_uv,
    )  # fmt: skip


@lru_cache(maxsize=4)
def _places(style: str) -> np.ndarray:
    """Return (256, 256, 3) places on the mean head of the texels, nan outside the beard."""
    pattern = _pattern(style)
    v, u = (np.mgrid[0:_SIZE, 0:_SIZE] + 0.5) / _SIZE
    lookup = LinearNDInterpolator(pattern.uv, pattern.canonical_mm)
    return np.asarray(lookup(u, v))


@lru_cache(maxsize=16)
def _strands(style: str, variant: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (256, 256) float32 density and height of the hair, 0…1, and its shade around 1."""
    rng = np.random.default_rng(variant)
    places = np.nan_to_num(_places(style), nan=0.0)
    x, y, z = np.moveaxis(places, -1, 0)
    along = np.degrees(np.arctan2(x, -z)) * 1.6 - 0.35 * np.sign(x) * (y - 100)
    down = y + 0.9 * z
    fine = _fibres(rng, 0.8, along, down, 9.0)
    coarse = _fibres(rng, 2.6, along, down, 11.0)
    patchy = _fibres(rng, 9.0, along, down, 9.0)
    weight = _style_weight(style, places.reshape(-1, 3)).reshape(_SIZE, _SIZE)
    weight = weight * (np.abs(places).sum(axis=-1) > 0)
    # Rough edges: where the weight is between, the noise decides how far hair goes.
    between = 4 * weight * (1 - weight)
    density = (weight + between * (0.24 * patchy + 0.14 * coarse + 0.1 * fine)).clip(0, 1)
    height = density**0.8 * (0.64 + 0.17 * fine + 0.09 * coarse + 0.05 * patchy)
    shade = 0.9 + 0.2 * fine + 0.1 * coarse
    rough = (density * (1.15 + 0.25 * fine * between)).clip(0, 1)
    return rough.astype(np.float32), height.clip(0, 1).astype(np.float32), shade


def _fibres(
    rng: np.random.Generator, width_mm: float, along: np.ndarray, down: np.ndarray, length_mm: float
) -> np.ndarray:
    """Return noise of mean 0 and deviation 1, stretched along the strands."""
    noise = cv2.GaussianBlur(rng.normal(0, 1, (256, 256)).astype(np.float32), (0, 0), 1.0)
    noise /= noise.std()
    columns = np.mod(along / width_mm * 1.5, 255).astype(np.float32)
    rows = np.mod(down / length_mm * 1.5, 255).astype(np.float32)
    return cv2.remap(noise, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


@lru_cache(maxsize=64)
def _alpha(style: str, variant: int, layer: int, layers: int) -> np.ndarray:
    """Return (256, 256) uint8 alpha of a layer: what of the hair is that high."""
    density, height, _ = _strands(style, variant)
    if layer == 0:  # the roots and their shadow on the skin, soft all along the edge
        return (255 * (density - 0.04).clip(0, 0.98)).astype(np.uint8)
    level = 0.18 + 0.62 * layer / layers
    return (255 * ((height - level) * 4.5 + 0.4).clip(0, 1)).astype(np.uint8)


def _texture(style: str, variant: int, layer: int, layers: int, rgb: np.ndarray) -> np.ndarray:
    shade = _shades(style, variant)
    depth = 0.75 + 0.3 * layer / layers  # roots lie in shadow
    texture = np.empty((_SIZE, _SIZE, 4), np.uint8)
    levels = np.arange(256, dtype=np.float32) / 128 * depth
    for channel in range(3):
        table = (levels * rgb[channel] + 3).clip(0, 255).astype(np.uint8)
        texture[..., channel] = table[shade]
    texture[..., 3] = _alpha(style, variant, layer, layers)
    return texture


@lru_cache(maxsize=16)
def _shades(style: str, variant: int) -> np.ndarray:
    return (_strands(style, variant)[2] * 128).clip(0, 255).astype(np.uint8)
