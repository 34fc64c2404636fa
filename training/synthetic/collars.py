"""Collars, neckties, turtlenecks and scarves: cloth that stands or lies about the neck.

A white collar next to a lit neck is what a network without them takes for skin.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from training.synthetic.accessories.mesh import Mesh, grain, grid, joined, occluder, painted
from training.synthetic.scene import Label, Material, Surface

SLANT = np.array([0.0, 1.0, 0.35], np.float32)  # cloth about a neck lies lower in front
AXIS_Z_MM = 40.0  # of the neck
_HEIGHTS_MM = np.arange(108.0, 372.0, 6.0)  # of the map of neck and chest, slanted
_TURNS = np.linspace(0.0, 1.0, 73)  # about the neck, 0.5 in front
_ROUND_MM = 380.0  # about a neck: what a turn of 1 is worth when near vertices are sought
_NEAREST = 5
_COLUMNS = 45
_BASE_MM = 186.0  # slanted height at which a collar is sewn on
_CLOTH_MM = 2.5  # thickness of what is folded
_KINDS, _ODDS = ("shirt", "roll", "scarf"), (0.7, 0.17, 0.13)
_TIES, _TIE_ODDS = ("none", "long", "bow"), (0.6, 0.33, 0.07)


@dataclass(frozen=True, slots=True)
class CollarSpec:
    """What was drawn of a collar.

    Attributes:
        kind: `shirt`, `roll` (a turtleneck) or `scarf`.
        stand_mm: how far it stands up along the neck.
        fall_mm: how long the part is that is folded over.
        point_mm: by how much that is longer in front.
        gap_mm: between neck and cloth.
        lean: radians by which what is folded over stands off the vertical.
        open: half of the opening in front, in turns about the neck.
        rgb: sRGB.
        tie: `none`, `long` or `bow`.
        tie_rgb: sRGB.
        seed: of folds.
    """

    kind: str
    stand_mm: float
    fall_mm: float
    point_mm: float
    gap_mm: float
    lean: float
    open: float
    rgb: tuple[int, int, int]
    tie: str
    tie_rgb: tuple[int, int, int]
    seed: int


def sample_collar(
    rng: np.random.Generator, rgb: tuple[int, int, int], other_rgb: tuple[int, int, int]
) -> CollarSpec:
    """Draw a collar; most shirts are white or nearly so.

    Args:
        rng: source of chance.
        rgb: of the clothes, which the collar of a coloured shirt has, too.
        other_rgb: of a tie or scarf.
    """
    kind = str(rng.choice(_KINDS, p=_ODDS))
    tied = kind == "shirt"
    tie = str(rng.choice(_TIES, p=_TIE_ODDS)) if tied else "none"
    high = (26.0, 46.0) if tied else (40.0, 74.0)
    stand = float(rng.uniform(*high))
    fall = float(rng.uniform(38, 62)) if tied else stand * float(rng.uniform(0.75, 1.2))
    gaps = {"shirt": (1.0, 9.0), "roll": (1.0, 5.0), "scarf": (8.0, 24.0)}[kind]
    return CollarSpec(
        kind=kind,
        stand_mm=stand,
        fall_mm=fall,
        point_mm=float(rng.uniform(5, 40)) if tied else 0.0,
        gap_mm=float(rng.uniform(*gaps)),
        lean=float(rng.uniform(0.3, 0.75)) if tied else float(rng.uniform(0.05, 0.3)),
        open=0.0 if not tied else 0.006 if tie != "none" else float(rng.uniform(0.004, 0.06)),
        rgb=_white(rng) if tied and rng.random() < 0.65 else (other_rgb, rgb)[tied],
        tie=tie,
        tie_rgb=other_rgb,
        seed=int(rng.integers(1 << 31)),
    )


def _white(rng: np.random.Generator) -> tuple[int, int, int]:
    """Draw a white as shirts have it, some a little blue or cream."""
    level, warmth = float(rng.uniform(196, 252)), rng.normal(0, 5)
    tint = rng.normal(0, 5, 3) + warmth * np.array([1, 0, -1])
    red, green, blue = np.clip(level + tint, 0, 255).astype(int).tolist()
    return red, green, blue


def about_neck(places_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) turns about the neck, 0…1 with 0.5 in front, and (N,) slanted heights, mm."""
    turn = np.arctan2(places_mm[:, 0], AXIS_Z_MM - places_mm[:, 2]) / (2 * np.pi) + 0.5
    return turn, places_mm @ SLANT


class NeckMap:
    """Where on a person's skin the places about the neck lie.

    Args:
        places_mm: (N, 3) vertices of the unsplit skin, of a head laid on the head model's mean.
    """

    def __init__(self, places_mm: np.ndarray) -> None:
        turn, height = about_neck(places_mm)
        near = (height > _HEIGHTS_MM[0] - 6) & (height < _HEIGHTS_MM[-1] + 12)
        near &= np.abs(places_mm[:, 0]) < 190.0
        rows = np.flatnonzero(near)
        rows = np.concatenate([rows, rows, rows])  # once about the neck, and again on both sides
        turns = np.concatenate([turn[near], turn[near] - 1, turn[near] + 1])
        known = np.stack([turns * _ROUND_MM, height[rows]], axis=1)
        wanted = np.stack(np.meshgrid(_TURNS * _ROUND_MM, _HEIGHTS_MM), axis=-1)
        distance, found = cKDTree(known).query(wanted, k=_NEAREST)
        weight = 1 / (distance + 1.0) ** 2
        self._rows, self._weight = rows[found], weight / weight.sum(axis=-1, keepdims=True)

    def of(self, skin_mm: np.ndarray) -> np.ndarray:
        """Return the (heights, turns, 3) float32 places of a person's skin, head space, mm."""
        places = (self._weight[..., None] * skin_mm[self._rows]).sum(axis=2)
        # The first column is the last one, too.
        around = np.concatenate([places[:, -4:-1], places, places[:, 1:4]], axis=1)
        return np.ascontiguousarray(cv2.blur(around.astype(np.float32), (5, 3))[:, 3:-3])


def collar(spec: CollarSpec, neck: np.ndarray) -> list[Surface]:
    """Return a collar, and the tie if there is one, in head space.

    Args:
        spec: what was drawn.
        neck: as of `NeckMap.of`.
    """
    rng = np.random.default_rng(spec.seed)
    shade = grain(128, 0.02, spec.seed % 8) * _stitched()
    mesh = grid(_net(spec, neck, rng), closed=spec.open == 0)
    surfaces = [_cloth("collar", mesh, painted(shade, spec.rgb))]
    if spec.tie != "none":
        tie = _long(spec, neck) if spec.tie == "long" else _bow(spec, neck)
        surfaces.append(_cloth("tie", tie, painted(_striped(rng), spec.tie_rgb)))
    return surfaces


def _cloth(name: str, mesh: Mesh, texture: np.ndarray) -> Surface:
    return occluder(name, mesh, texture, Material(gloss=0.04), Label.BODY)


def _net(spec: CollarSpec, neck: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (rows, columns, 3) mm: up along the neck, over, and down again outside."""
    turn = np.linspace(0.5 + spec.open, 1.5 - spec.open, _COLUMNS)
    out, count = _outwards(turn), int(rng.integers(2, 6))
    waves = np.sin(2 * np.pi * (turn * count + rng.random()))
    folds = (0.12 * spec.gap_mm * waves)[:, None] if spec.kind == "scarf" else 0.0
    rows = []
    for share in np.linspace(0, 1, 5):  # what stands
        place = _at(neck, turn, _BASE_MM - share * spec.stand_mm)
        rows.append(place + out * (spec.gap_mm + folds))
    top = rows[-1] + out * 2 * _CLOTH_MM
    rows.append((rows[-1] + top) / 2 - [0, _CLOTH_MM, 0])
    from_edge = np.minimum(turn - 0.5, 1.5 - turn)
    point = np.exp(-((from_edge / 0.07) ** 2))
    aside = 0.45 * point * np.where(turn < 1.0, 1.0, -1.0)  # points spread
    tangent = np.stack([-out[:, 2], 0 * turn, out[:, 0]], axis=1)
    down = out * np.sin(spec.lean) + np.array([0, np.cos(spec.lean), 0])
    length = spec.fall_mm + spec.point_mm * point
    for share in np.linspace(0, 1, 6):  # what is folded over
        rows.append(top + share * length[:, None] * (down + aside[:, None] * tangent))
    return np.stack(rows)


def _outwards(turn: np.ndarray) -> np.ndarray:
    """Return (N, 3) level directions away from the neck's axis."""
    angle = (turn - 0.5) * 2 * np.pi
    return np.stack([np.sin(angle), 0 * angle, -np.cos(angle)], axis=1)


def _at(neck: np.ndarray, turn: np.ndarray, height_mm: np.ndarray | float) -> np.ndarray:
    """Read (N, 3) places of the map at turns about the neck and slanted heights."""
    column = np.mod(turn, 1.0) * (len(_TURNS) - 1)
    row = (np.broadcast_to(height_mm, turn.shape) - _HEIGHTS_MM[0]) / 6.0
    grid_xy = np.stack([column, row], axis=-1).astype(np.float32)[:, None]
    read = cv2.remap(neck, grid_xy, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read[:, 0], np.float64)


def _down_the_front(spec: CollarSpec, neck: np.ndarray, heights_mm: np.ndarray) -> np.ndarray:
    """Return (N, 3) places before the shirt's buttons."""
    place = _at(neck, np.full(len(heights_mm), 0.5), heights_mm)
    return place - [0, 0, spec.gap_mm + 9.0]


def _long(spec: CollarSpec, neck: np.ndarray) -> Mesh:
    """Return knot and blade of a tie."""
    top = _BASE_MM - 0.75 * spec.stand_mm
    knot = _band(spec, neck, top + np.linspace(0, 30, 5), np.linspace(17, 11, 5), 8.0)
    heights = top + np.linspace(26, 165, 9)
    return joined([knot, _band(spec, neck, heights, np.linspace(11, 34, 9), 2.0)])


def _band(
    spec: CollarSpec, neck: np.ndarray, heights_mm: np.ndarray, half_mm: np.ndarray, bulge: float
) -> Mesh:
    """Return cloth down the front, of half a width at each height, arched by `bulge` mm."""
    across = np.linspace(-1, 1, 7)
    middle = _down_the_front(spec, neck, heights_mm)[:, None]
    side = np.stack([across, 0 * across, -bulge / 20 * (1 - across**2)], axis=-1)
    scale = np.stack([half_mm, 0 * half_mm + 1, 0 * half_mm + 20], axis=-1)
    return grid(middle + side[None] * scale[:, None])


def _bow(spec: CollarSpec, neck: np.ndarray) -> Mesh:
    """Return a bow tie: two wings and what holds them."""
    across = np.linspace(-1, 1, 15)
    half = np.interp(np.abs(across), [0, 0.15, 0.9, 1], [8, 8, 24, 21])
    middle = _down_the_front(spec, neck, np.array([_BASE_MM - 0.5 * spec.stand_mm]))[0]
    up = np.linspace(-1, 1, 5)[:, None]
    wings = np.stack(
        [0 * up + 56 * across, up * half, 9 * across**2 - 5 * (1 - up**2) * np.abs(across)],
        axis=-1,
    )
    knot = np.stack([9 * across + 0 * up, 11 * up + 0 * across, -6 - 4 * (1 - across**2) + 0 * up],
                    axis=-1)  # fmt: skip
    return joined([grid(middle + wings), grid(middle + knot)])


def _stitched() -> np.ndarray:
    """Return (128, 128) shades of folded cloth: a line along its edge, darker inside."""
    row = np.linspace(0, 1, 128, dtype=np.float32)[:, None]
    line = 1 - 0.12 * np.exp(-(((row - 0.95) / 0.012) ** 2))
    return np.asarray(line * np.interp(row, [0, 0.4, 0.5], [0.82, 0.95, 1.0]), np.float32)


def _striped(rng: np.random.Generator) -> np.ndarray:
    """Return (128, 128) shades of a tie: plain, or slanted stripes."""
    y, x = np.mgrid[0:128, 0:128].astype(np.float32) / 128
    stripes = np.sin(2 * np.pi * (y * rng.uniform(4, 14) + x * rng.uniform(1, 4))) > 0
    strength = float(rng.uniform(0.0, 0.6)) * (rng.random() < 0.5)
    return np.asarray(grain(128, 0.03) * (1 - strength * stripes), np.float32)
