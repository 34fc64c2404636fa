"""Headphones: a band over the crown and a cup on each ear."""

import numpy as np

from training.synthetic.accessories.fitting import (
    CROWN_ORIGIN_MM,
    Fit,
    crown_radii,
    sample_radii,
    side_profile,
)
from training.synthetic.accessories.mesh import (
    Mesh,
    grain,
    joined,
    lathe,
    occluder,
    painted,
    placed_uv,
    tube,
)
from training.synthetic.accessories.spec import AccessorySpec
from training.synthetic.scene import Material, Surface

_SHELLS = ((24, 24, 26), (200, 200, 204), (60, 62, 70), (150, 30, 34), (40, 60, 110),
           (220, 205, 180), (110, 112, 116))  # fmt: skip
_PADS = ((18, 18, 20), (40, 34, 30), (70, 70, 74))


def headphones(spec: AccessorySpec, fitted: Fit) -> list[Surface]:
    """Return a pair of headphones in head space; the texture's left half is shell, right pad."""
    rng = spec.rng(3)
    radius, thick = float(rng.uniform(33, 41)), float(rng.uniform(15, 22))
    yokes, meshes = [], []
    for side in (-1, 1):
        cup, yoke = _cup(fitted, side, radius, thick)
        meshes += cup
        yokes.append(yoke)
    meshes += _band(fitted, yokes, rng)
    if rng.random() < 0.3:
        meshes.append(_boom(yokes[0], fitted))
    shell = _SHELLS[int(rng.integers(len(_SHELLS)))]
    texture = painted(np.ones((64, 64), np.float32), shell)
    texture[:, 32:] = painted(grain(64, 0.08)[:, 32:], _PADS[int(rng.integers(len(_PADS)))])
    return [occluder("headphones", joined(meshes), texture, Material(gloss=0.35, shininess=30.0))]


def _shell(mesh: Mesh) -> Mesh:
    return placed_uv(mesh, 0.05, 0.0, 0.42, 1.0)


def _pad(mesh: Mesh) -> Mesh:
    return placed_uv(mesh, 0.58, 0.0, 0.95, 1.0)


def _cup(fitted: Fit, side: int, radius: float, thick: float) -> tuple[list[Mesh], np.ndarray]:
    """Return cushion and shell of one cup, and where the band joins it."""
    ear = fitted.ears_mm[0 if side < 0 else 1]
    centre = (ear.min(axis=0) + ear.max(axis=0)) / 2
    depths, widths = side_profile(fitted.head_mm, side)
    inner = float(np.interp(centre[2], depths, widths)) - 1.0
    outer = max(float((side * ear[:, 0]).max()) + 3.0, inner + 16.0)
    deep = outer - inner
    origin = np.array([side * inner, centre[1], centre[2]])
    axis = np.array([side, 0.06, 0.05])
    cushion = [(0.0, radius * 0.6), (0.0, radius * 0.85), (deep * 0.25, radius),
               (deep * 0.75, radius), (deep, radius * 0.92)]  # fmt: skip
    cap = [(deep - 1, radius * 0.93), (deep + thick * 0.3, radius * 0.93),
           (deep + thick * 0.75, radius * 0.78), (deep + thick * 0.9, radius * 0.6),
           (deep + thick * 0.82, radius * 0.5), (deep + thick * 0.85, 0.1)]  # fmt: skip
    stretch = (1.12, 0.92)
    pieces = [_pad(lathe(cushion, origin, axis, 24, stretch))]
    pieces.append(_shell(lathe(cap, origin, axis, 24, stretch)))
    yoke = origin + np.array([side * (deep + 0.25 * thick), -radius * 1.05, 0.0])
    return pieces, yoke


def _band(fitted: Fit, yokes: list[np.ndarray], rng: np.random.Generator) -> list[Mesh]:
    """Return the band from yoke to yoke over the crown, and its padding."""
    radii = crown_radii(fitted.head_mm)
    gap, wide = float(rng.uniform(9, 18)), float(rng.uniform(8, 15))
    z = float(np.mean([yoke[2] for yoke in yokes])) + float(rng.uniform(-14, 10))
    elevation = np.radians(np.linspace(18, 162, 25))
    azimuth = np.where(elevation < np.pi / 2, -np.pi / 2, np.pi / 2)
    folded = np.minimum(elevation, np.pi - elevation)
    distance = sample_radii(radii, azimuth, folded) + gap
    lateral = -np.cos(elevation) * distance
    arc = np.stack([lateral, -np.sin(elevation) * distance, np.full(25, z)], axis=1)
    arc += np.array([0, CROWN_ORIGIN_MM[1], 0])
    path = np.concatenate([yokes[0][None], arc, yokes[1][None]])
    path[1:-1] = (path[:-2] + 2 * path[1:-1] + path[2:]) / 4
    thick = float(rng.uniform(2.0, 3.5))
    across = np.stack([np.full(len(path), wide), np.full(len(path), thick)], axis=1)
    across[[0, 1, -2, -1], 0] = min(wide, 8.0)
    shell = tube(path, across, (0, 0, -1), 10, square=0.6)
    cushion = path[8:-8] - unit_up(path[8:-8]) * thick * 1.6
    below = np.array([[wide * 0.85, gap * 0.32]] * len(cushion))
    return [_shell(shell), _pad(tube(cushion, below, (0, 0, -1), 10))]


def unit_up(points_mm: np.ndarray) -> np.ndarray:
    """Return (N, 3) directions away from the crown's origin within the band's plane."""
    away = points_mm - np.array([0, CROWN_ORIGIN_MM[1], 0])
    away[:, 2] = 0
    return np.asarray(away / np.linalg.norm(away, axis=1, keepdims=True))


def _boom(yoke: np.ndarray, fitted: Fit) -> Mesh:
    """Return the arm of a headset's microphone, from the cup to beside the mouth."""
    mouth = fitted.points_mm[61]
    start = yoke + np.array([0, 45.0, -12.0])
    bend = (start + mouth) / 2 + np.array([-22.0, 14.0, -6.0])
    stop = mouth + np.array([-14.0, 8.0, -16.0])
    t = np.linspace(0, 1, 12)[:, None]
    path = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * stop
    return _shell(tube(path, np.append(np.full(9, 1.8), (4.5, 5.5, 5.0)), (0, -1, 0), 8))
