"""What a synthetic picture is made of, and what is known of it.

Head space and camera space are those of docs/architecture.md: millimetres, x right, y down,
z forward, the head's origin in the middle of the cranium. Everything here is drawn from a
`numpy.random.Generator`, so one seed and one index always give one picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np


class Label(IntEnum):
    """Labels of a pixel: those of the contract, and what hides the head."""

    BACKGROUND = 0
    FACE = 1
    HAIR = 2
    EAR = 3
    NECK = 4
    MOUTH = 5
    EYES = 6
    BODY = 7
    OCCLUDER = 8  # hands, microphones, cups, frames of glasses, caps, headphones


@dataclass(frozen=True, slots=True)
class Material:
    """How a surface answers light.

    Attributes:
        gloss: strength of the highlight, 0…1.
        shininess: exponent of the highlight.
        scatter: 0…1, how far light softens under the surface, as in skin.
        cutoff: alpha below which a texel is not there.
        soft: whether texels between 0.02 and the cut-off are blended, as hair tips are.
        lens: whether the surface lets what is behind it through (lenses of glasses).
    """

    gloss: float = 0.1
    shininess: float = 20.0
    scatter: float = 0.0
    cutoff: float = 0.0
    soft: bool = False
    lens: bool = False


@dataclass(frozen=True, slots=True)
class Surface:
    """A textured mesh in head space.

    Attributes:
        name: `skin`, `hair`, `eyes`, `brows`, `lashes`, `teeth`, `tongue`, `clothes`, `collar`,
            `tie`, `glasses`, `lenses`, `hat`, `headphones`, `hand`, `microphone`, `cup`, `beard`.
        vertices_mm: (V, 3) float32, posed: expression and pose of the neck are already in.
        triangles: (T, 3) int32.
        uv: (V, 2) float32, 0…1, origin at the top left of the texture.
        texture: (h, w, 4) uint8 RGBA, sRGB.
        labels: (V,) uint8, `Label`.
        smooth_ids: (V,) int32; vertices with one number share one normal.
        canonical_mm: (V, 3) float32, where the vertex lies on the mean head; nan where it has no
            counterpart there.
        head_uv: (V, 2) float32, UV of the head model; nan where it has no counterpart.
        material: how it answers light.
    """

    name: str
    vertices_mm: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    labels: np.ndarray
    smooth_ids: np.ndarray
    canonical_mm: np.ndarray
    head_uv: np.ndarray
    material: Material = field(default_factory=Material)


@dataclass(frozen=True, slots=True)
class Portrait:
    """One person with one expression and one turn of the neck, ready to be rendered.

    Attributes:
        surfaces: all meshes, in head space.
        model_vertices_mm: (5013, 3) float32, the registered head model, posed as the surfaces
            are; skin without hair.
        identity: (80,) float32 coefficients of the head model.
        expression: (52,) float32 face units.
        facts: what was drawn, for statistics (`sex`, `age`, `origin`, `skin`, `tone`, `hair`,
            `glasses`, `beard`, `hat`, `source` …).
    """

    surfaces: tuple[Surface, ...]
    model_vertices_mm: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    facts: Mapping[str, str | float]


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole camera.

    Attributes:
        size: (width, height) in pixels.
        intrinsics: (3, 3) float64, pixel centres at +0.5.
        camera_from_head: (4, 4) float64, mm.
    """

    size: tuple[int, int]
    intrinsics: np.ndarray
    camera_from_head: np.ndarray


@dataclass(frozen=True, slots=True)
class Lighting:
    """Light of a scene, linear RGB, camera space.

    Attributes:
        sky: (9, 3) float32, second-order spherical harmonics of the radiance that arrives.
        directions: (N, 3) float32 unit vectors towards the lamps, N ≤ 4.
        colours: (N, 3) float32 strength of the lamps.
        shadowed: number of the lamp that throws a shadow, or -1.
        facts: what was drawn, for statistics.
    """

    sky: np.ndarray
    directions: np.ndarray
    colours: np.ndarray
    shadowed: int = 0
    facts: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layers:
    """What the renderer draws of a scene, before a background and a camera's faults.

    Attributes:
        colour: (H, W, 3) float32, linear RGB, premultiplied by `alpha`.
        alpha: (H, W) float32, 0…1, coverage of everything in the foreground.
        hair_alpha: (H, W) float32, 0…1, coverage by hair alone (the hair matte).
        depth_mm: (H, W) float32, nan where nothing is.
        labels: (H, W) uint8, `Label`.
        normals: (H, W, 3) float32, camera space, nan where nothing is.
        head_uv: (H, W, 2) float32, nan where the head model has no counterpart.
        canonical_mm: (H, W, 3) float32, likewise.
        face_depth_mm: (H, W) float32, depth of the skin alone, under hair and occluders.
    """

    colour: np.ndarray
    alpha: np.ndarray
    hair_alpha: np.ndarray
    depth_mm: np.ndarray
    labels: np.ndarray
    normals: np.ndarray
    head_uv: np.ndarray
    canonical_mm: np.ndarray
    face_depth_mm: np.ndarray


@dataclass(frozen=True, slots=True)
class Sample:
    """A finished picture and its truth.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, after the camera.
        layers: what was rendered.
        points478_px: (478, 3) float32: x, y in pixels, z depth in mm.
        visible478: (478,) bool.
        points68_px: (68, 3) float32.
        visible68: (68,) bool.
        portrait: who it is.
        camera: where from.
        lighting: in which light.
        facts: everything that was drawn by name, for statistics.
    """

    pixels: np.ndarray
    layers: Layers
    points478_px: np.ndarray
    visible478: np.ndarray
    points68_px: np.ndarray
    visible68: np.ndarray
    portrait: Portrait
    camera: Camera
    lighting: Lighting
    facts: Mapping[str, str | float]
