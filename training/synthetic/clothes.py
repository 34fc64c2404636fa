"""Clothes of synthetic people: a second skin over the shoulders with a neckline and a pattern."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from training.synthetic.collars import (
    AXIS_Z_MM,
    SLANT,
    CollarSpec,
    NeckMap,
    about_neck,
    collar,
    sample_collar,
)
from training.synthetic.meshes import Mesh, nothing
from training.synthetic.scene import Label, Material, Surface

_TOP_MM, _BOTTOM_MM = 165.0, 420.0  # of slanted height; texture rows run from one to the other
_TEXTURE = (128, 256)  # rows, columns
_COVERED_MM = 14.0  # below the edge of the cloth the skin is left out
_HEM_MM = 600.0  # how far the body is continued below its mesh
_KINDS = ("crew", "v", "high", "wide", "shirt")
_COLLAR_SHARE, _JACKET_SHARE = 0.45, 0.5  # of people; of those with a shirt's collar


@dataclass(frozen=True, slots=True)
class ClothesSpec:
    """What was drawn of the clothes.

    Attributes:
        kind: form of the neckline.
        depth_mm: how far below the collar it starts.
        thickness_mm: distance from the skin.
        colours: (2, 3) sRGB.
        pattern: `plain`, `stripes`, `checks`, `print`, or `jacket`: the second colour, open over
            a shirt of the first.
        seed: of the pattern.
        collar: what lies about the neck, or None.
    """

    kind: str
    depth_mm: float
    thickness_mm: float
    colours: tuple[tuple[int, int, int], tuple[int, int, int]]
    pattern: str
    seed: int
    collar: CollarSpec | None = None


def sample_clothes(rng: np.random.Generator) -> ClothesSpec:
    """Draw clothes; dark and muted colours are commoner than bright ones."""
    first, second = (_colour(rng) for _ in range(2))
    kind = str(rng.choice(_KINDS, p=(0.4, 0.2, 0.1, 0.1, 0.2)))
    plain = ClothesSpec(
        kind=kind,
        depth_mm=float(rng.uniform(0.0, 25.0)),
        thickness_mm=float(rng.uniform(3.0, 10.0)),
        colours=(first, second),
        pattern=str(rng.choice(["plain", "stripes", "checks", "print"], p=(0.6, 0.15, 0.1, 0.15))),
        seed=int(rng.integers(1 << 31)),
    )
    return _with_collar(plain, rng) if rng.random() < _COLLAR_SHARE else plain


def _with_collar(spec: ClothesSpec, rng: np.random.Generator) -> ClothesSpec:
    """Draw a collar and what goes with it."""
    drawn = sample_collar(rng, spec.colours[0], spec.colours[1])
    if drawn.kind != "shirt":
        return replace(spec, kind="high", depth_mm=0.0, collar=drawn)
    jacket = rng.random() < _JACKET_SHARE
    return replace(
        spec,
        kind="high" if drawn.tie != "none" else "shirt",
        depth_mm=0.0,
        colours=(drawn.rgb, spec.colours[1]),
        pattern="jacket" if jacket else spec.pattern,
        collar=replace(drawn, tie_rgb=_colour(rng)),
    )


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    hue, saturation, value = rng.uniform(0, 180), 255 * rng.beta(1.0, 1.8), 255 * rng.beta(1.1, 1.3)
    pixel = np.array([[(hue, saturation, value)]], np.uint8)
    red, green, blue = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return red, green, blue


class Tailor:
    """Cuts clothes from the body below the neck.

    Args:
        triangles: (T, 3) of the unsplit skin.
        places_mm: (N, 3) of its vertices on a head laid on the head model's mean.
    """

    def __init__(self, triangles: np.ndarray, places_mm: np.ndarray) -> None:
        self._neck = NeckMap(places_mm)
        self._turn, self._height = about_neck(places_mm)
        below = triangles[(self._height[triangles] > _TOP_MM).any(axis=1)]
        self._rows, corners = np.unique(below, return_inverse=True)
        self._upper = corners.reshape(-1, 3).astype(np.int32)
        self._rim, skirt = _skirt(self._upper, places_mm[self._rows])
        count = len(self._rows) + len(self._rim)
        rows = np.concatenate([self._rows, self._rows[self._rim]])
        down = (self._height[rows] - _TOP_MM) / (_BOTTOM_MM - _TOP_MM)
        down[len(self._rows) :] = 1.0
        canonical, head_uv = nothing(count)
        self._mesh = Mesh(
            rows=np.arange(count, dtype=np.int32),
            triangles=np.concatenate([self._upper, skirt]),
            uv=np.stack([self._turn[rows], down.clip(0, 1)], axis=-1).astype(np.float32),
            labels=np.full(count, Label.BODY, np.uint8),
            canonical_mm=canonical.astype(np.float32),
            head_uv=head_uv.astype(np.float32),
        )

    def covered(self, spec: ClothesSpec) -> np.ndarray:
        """Tell which vertices of the unsplit skin lie well under the cloth: (N,) bool."""
        edge = _edge(spec, self._turn.astype(np.float32)) * (_BOTTOM_MM - _TOP_MM) + _TOP_MM
        return self._height > edge + _COVERED_MM

    def dress(self, skin_mm: np.ndarray, spec: ClothesSpec, texture: np.ndarray) -> list[Surface]:
        """Make clothes for a body, and what lies about its neck.

        Args:
            skin_mm: (N, 3) places of the unsplit skin, head space.
            spec: what was drawn.
            texture: of `cloth`.
        """
        surfaces = [self._shell(skin_mm, spec, texture)]
        if spec.collar is not None:
            surfaces += collar(spec.collar, self._neck.of(skin_mm))
        return surfaces

    def _shell(self, skin_mm: np.ndarray, spec: ClothesSpec, texture: np.ndarray) -> Surface:
        """Lay a second skin about the body."""
        points = skin_mm[self._rows]
        a, b, c = (points[self._upper[:, corner]] for corner in range(3))
        face, corners = np.cross(b - a, c - a), self._upper.ravel()
        normals: np.ndarray = np.stack(
            [np.bincount(corners, np.repeat(face[:, axis], 3), len(points)) for axis in range(3)],
            axis=-1,
        )
        normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
        outward = points - [0.0, 300.0, AXIS_Z_MM]
        normals *= np.sign((normals * outward).sum())  # whichever way the triangles are wound
        moved = points + spec.thickness_mm * normals
        hem = moved[self._rim] + [0.0, _HEM_MM, 0.0]
        placed = np.concatenate([moved, hem]).astype(np.float32)
        return self._mesh.surface("clothes", placed, texture, Material(gloss=0.03, cutoff=0.5))


def _skirt(triangles: np.ndarray, points_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Continue a mesh below its lowest open edges, where the body is cut off.

    Returns:
        (R,) vertices along those edges; (S, 3) triangles between them and copies of them, which
        are numbered after the mesh's own vertices.
    """
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    _, first, count = np.unique(
        np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True
    )
    free = edges[first[count == 1]]
    free = free[(points_mm[free] @ SLANT > _TOP_MM + 60.0).all(axis=1)]
    rim, local = np.unique(free, return_inverse=True)
    copies = local.reshape(-1, 2) + len(points_mm)
    one = np.column_stack([free[:, 1], free[:, 0], copies[:, 0]])
    two = np.column_stack([free[:, 1], copies[:, 0], copies[:, 1]])
    return rim, np.concatenate([one, two]).astype(np.int32)


def cloth(spec: ClothesSpec) -> np.ndarray:
    """Draw (128, 256, 4) uint8 RGBA: columns go about the neck, rows down, the top is cut out."""
    rng = np.random.default_rng(spec.seed)
    rows, columns = _TEXTURE
    row, column = np.mgrid[0:rows, 0:columns].astype(np.float32)
    share = _pattern(spec, rng, row, column)[..., None]
    first, second = (np.array(colour, np.float32) for colour in spec.colours)
    picture = first * (1 - share) + second * share
    folds = cv2.resize(rng.standard_normal((6, 24)).astype(np.float32), (columns, rows))
    weave = rng.standard_normal((rows, columns)).astype(np.float32)
    picture *= (1 + 0.06 * folds + 0.03 * weave)[..., None]
    edge = _edge(spec, column / columns) * rows
    hem = np.clip(1 - np.abs(row - edge - 3) / 2.5, 0, 1)[..., None]
    picture *= 1 - 0.25 * hem
    alpha = np.clip(row - edge + 0.5, 0, 1) * 255
    return np.dstack([np.clip(picture, 0, 255), alpha]).astype(np.uint8)


def _edge(spec: ClothesSpec, turn: np.ndarray) -> np.ndarray:
    """Height of the neckline, 0 at the top of the texture … 1, at turns about the neck 0…1."""
    front = np.cos((turn - 0.5) * 2 * np.pi)  # 1 in front, -1 behind
    across = np.abs(turn - 0.5)
    dip = {
        "crew": 10 * front,
        "v": 75 * np.clip(1 - across / 0.14, 0, 1),
        "high": -22 + 0 * front,
        "wide": 2 + 46 * np.clip(front, 0, 1) ** 0.7,
        "shirt": 48 * np.clip(1 - across / 0.07, 0, 1) - 12,
    }[spec.kind]
    return (18 + spec.depth_mm + dip) / (_BOTTOM_MM - _TOP_MM)


def _pattern(
    spec: ClothesSpec, rng: np.random.Generator, row: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """(rows, columns) float32 share of the second colour."""
    period = rng.uniform(6, 24)
    bands = (np.sin(2 * np.pi * row / period) > 0.2).astype(np.float32)
    if spec.pattern == "stripes":
        return bands
    if spec.pattern == "checks":
        across = (np.sin(2 * np.pi * column / period) > 0.2).astype(np.float32)
        return 0.5 * bands + 0.5 * across
    if spec.pattern == "print":
        blot = cv2.resize(rng.random((8, 16)).astype(np.float32), row.shape[::-1])
        return (blot > 0.6).astype(np.float32)
    if spec.pattern == "jacket":  # lapels meet over the chest
        half = rng.uniform(0.035, 0.075) * (1 - row / (rng.uniform(0.8, 1.4) * len(row)))
        return (np.abs(column / row.shape[1] - 0.5) > half.clip(0, None)).astype(np.float32)
    return np.zeros_like(row)
