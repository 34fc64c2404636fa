"""Clothes of synthetic people: a second skin over the shoulders with a neckline and a pattern."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.synthetic.meshes import Mesh, nothing
from training.synthetic.scene import Label, Material, Surface

_SLANT = np.array([0.0, 1.0, 0.35], np.float32)  # a neckline lies lower in front than behind
_TOP_MM, _BOTTOM_MM = 165.0, 420.0  # of slanted height; texture rows run from one to the other
_AXIS_Z_MM = 40.0  # of the neck
_TEXTURE = (128, 256)  # rows, columns
_KINDS = ("crew", "v", "high", "wide", "shirt")


@dataclass(frozen=True, slots=True)
class ClothesSpec:
    """What was drawn of the clothes.

    Attributes:
        kind: form of the neckline.
        depth_mm: how far below the collar it starts.
        thickness_mm: distance from the skin.
        colours: (2, 3) sRGB.
        pattern: `plain`, `stripes`, `checks`, `print`.
        seed: of the pattern.
    """

    kind: str
    depth_mm: float
    thickness_mm: float
    colours: tuple[tuple[int, int, int], tuple[int, int, int]]
    pattern: str
    seed: int


def sample_clothes(rng: np.random.Generator) -> ClothesSpec:
    """Draw clothes; dark and muted colours are commoner than bright ones."""
    first, second = (_colour(rng) for _ in range(2))
    kind = str(rng.choice(_KINDS, p=(0.4, 0.2, 0.1, 0.1, 0.2)))
    return ClothesSpec(
        kind=kind,
        depth_mm=float(rng.uniform(0.0, 25.0)),
        thickness_mm=float(rng.uniform(3.0, 10.0)),
        colours=(first, second),
        pattern=str(rng.choice(["plain", "stripes", "checks", "print"], p=(0.6, 0.15, 0.1, 0.15))),
        seed=int(rng.integers(1 << 31)),
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
        height = places_mm @ _SLANT
        self._triangles = triangles[(height[triangles] > _TOP_MM).any(axis=1)]
        self._rows, corners = np.unique(self._triangles, return_inverse=True)
        places = places_mm[self._rows]
        turn = np.arctan2(places[:, 0], _AXIS_Z_MM - places[:, 2])
        row = (places @ _SLANT - _TOP_MM) / (_BOTTOM_MM - _TOP_MM)
        canonical, head_uv = nothing(len(self._rows))
        self._mesh = Mesh(
            rows=np.arange(len(self._rows), dtype=np.int32),
            triangles=corners.reshape(-1, 3).astype(np.int32),
            uv=np.stack([turn / (2 * np.pi) + 0.5, row.clip(0, 1)], axis=-1).astype(np.float32),
            labels=np.full(len(self._rows), Label.BODY, np.uint8),
            canonical_mm=canonical.astype(np.float32),
            head_uv=head_uv.astype(np.float32),
        )

    def dress(self, skin_mm: np.ndarray, spec: ClothesSpec) -> Surface:
        """Make clothes for a body: `skin_mm` (N, 3) places of the unsplit skin."""
        points = skin_mm[self._rows]
        corners = points[self._mesh.triangles]
        face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals = np.zeros_like(points)
        for corner in range(3):
            np.add.at(normals, self._mesh.triangles[:, corner], face)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
        outward = points - [0.0, 300.0, _AXIS_Z_MM]
        normals *= np.sign((normals * outward).sum())  # whichever way the triangles are wound
        texture = cloth(spec)
        moved = points + spec.thickness_mm * normals
        return self._mesh.surface("clothes", moved, texture, Material(gloss=0.03, cutoff=0.5))


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
    front = np.cos((column / columns - 0.5) * 2 * np.pi)  # 1 in front, -1 behind
    across = np.abs(column / columns - 0.5)
    dip = {
        "crew": 10 * front,
        "v": 75 * np.clip(1 - across / 0.14, 0, 1),
        "high": -22 + 0 * front,
        "wide": 20 + 30 * np.clip(front, 0, 1) ** 0.5,
        "shirt": 48 * np.clip(1 - across / 0.07, 0, 1) - 12,
    }[spec.kind]
    edge = (18 + spec.depth_mm + dip) / (_BOTTOM_MM - _TOP_MM) * rows
    hem = np.clip(1 - np.abs(row - edge - 3) / 2.5, 0, 1)[..., None]
    picture *= 1 - 0.25 * hem
    alpha = np.clip(row - edge + 0.5, 0, 1) * 255
    return np.dstack([np.clip(picture, 0, 255), alpha]).astype(np.uint8)


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
    return np.zeros_like(row)
