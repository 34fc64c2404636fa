"""Caps, beanies and hoods: domes over the crown, each with a brim of its own course."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from training.synthetic.accessories.fitting import (
    CROWN_ORIGIN_MM,
    Fit,
    crown_directions,
    crown_radii,
    fit,
    sample_radii,
)
from training.synthetic.accessories.mesh import (
    Mesh,
    grain,
    grid,
    joined,
    lathe,
    occluder,
    painted,
    placed_uv,
    tube,
)
from training.synthetic.accessories.spec import AccessorySpec
from training.synthetic.scene import Material, Surface

_COLUMNS = 49
_AZIMUTH = np.linspace(0, 2 * np.pi, _COLUMNS)
_FROM_FRONT = np.abs((_AZIMUTH + np.pi) % (2 * np.pi) - np.pi)  # 0 at the face, π behind
_HOOD_SIDES = np.radians(50) < _FROM_FRONT  # columns beside and behind the opening for the face
_HOOD_ROWS = 20
_CLOTH = ((28, 30, 36), (120, 30, 32), (36, 52, 92), (64, 74, 60), (200, 196, 186), (90, 90, 94),
          (150, 110, 60), (20, 70, 80), (170, 90, 120), (220, 170, 40), (16, 16, 18))  # fmt: skip
# Elevation of the brim in degrees over the angle from the front, seen from the crown's origin.
_BRIMS = {
    "cap": ((0, 30, 70, 95, 115, 180), (11, 9, -3, -7, -12, -24)),
    "beanie": ((0, 30, 65, 95, 180), (10, 7, -6, -15, -24)),
    "hood": ((0, 22, 36, 46, 54, 180), (21, 18, 5, -18, -40, -40)),
}


@dataclass(frozen=True, slots=True)
class _Dome:
    """How far a hat stands off the crown's origin.

    Attributes:
        head: (28, 48) radii of the head.
        brim: (49,) elevation of the brim, radians.
        offset: mm between head and hat at the brim.
        lift: further mm at the top.
    """

    head: np.ndarray
    brim: np.ndarray
    offset: float
    lift: float

    def radii(self, azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
        """Return the radii of the hat; arrays of one shape."""
        height = np.maximum(np.sin(elevation), 0)
        return sample_radii(self.head, azimuth, elevation) + self.offset + self.lift * height

    def points(self, rows: int, offset: float = 0.0, top: float = np.pi / 2) -> np.ndarray:
        """Return (rows, 49, 3) net from the elevation `top` down to the brim."""
        share = np.linspace(0, 1, rows)[:, None]
        elevation = top + (self.brim - top) * share
        azimuth = np.broadcast_to(_AZIMUTH, elevation.shape)
        radii = self.radii(azimuth, elevation) + offset
        return CROWN_ORIGIN_MM + crown_directions(azimuth, elevation) * radii[..., None]


def hat(spec: AccessorySpec, fitted: Fit) -> list[Surface]:
    """Return the hat of the kind `spec.hat`, in head space."""
    rng, dome = _dome(spec, fitted)
    rgb = np.array(_CLOTH[int(rng.integers(len(_CLOTH)))], np.float32)
    if spec.hat == "hood" and spec.cloth_rgb is not None:
        rgb = np.array(spec.cloth_rgb, np.float32)
    make = {"cap": _cap, "beanie": _beanie, "hood": _hood}[spec.hat or "cap"]
    return make(dome, rgb, rng)


def tucked(spec: AccessorySpec, surface: Surface, head_mm: np.ndarray) -> Surface:
    """Return hair (or brows, lashes) pressed under the person's hat; as it is without a hat.

    Args:
        spec: what the person wears.
        surface: hair in head space, before the neck turns.
        head_mm: (5013, 3) vertices of the head model, as for `accessories`.
    """
    if spec.hat is None:
        return surface
    _, dome = _dome(spec, fit(np.asarray(head_mm, np.float32)))
    arm = surface.vertices_mm - CROWN_ORIGIN_MM
    length = np.sqrt((arm * arm).sum(axis=1))
    elevation = np.arcsin((-arm[:, 1] / np.maximum(length, 1e-6)).clip(-1, 1))
    azimuth = np.arctan2(arm[:, 0], -arm[:, 2])
    brim = np.interp(np.mod(azimuth, 2 * np.pi), _AZIMUTH, dome.brim)
    # Just below the brim hair may swell again, over ten degrees.
    free = ((brim - elevation) / np.radians(10.0)).clip(0, 1)
    inside = (spec.hat == "hood") & (np.abs(azimuth) > np.radians(50))
    free = np.where(inside, 0.0, free)
    limit = dome.radii(azimuth, np.maximum(elevation, brim)) + 60.0 * free**2
    limit -= 7.0 if spec.hat == "hood" else 2.5
    # A hood hangs straight below its dome: what counts there is the distance from the vertical.
    level = np.cos(np.minimum(brim, 0)) / np.maximum(np.cos(elevation), 0.05)
    limit = np.where(inside & (elevation < brim), (0.9 * limit - 4.0) * level, limit)
    shrink = np.where(free < 1, np.minimum(1.0, limit / np.maximum(length, 1e-6)), 1.0)
    vertices = (arm * shrink[:, None] + CROWN_ORIGIN_MM).astype(np.float32)
    return replace(surface, vertices_mm=vertices)


def _dome(spec: AccessorySpec, fitted: Fit) -> tuple[np.random.Generator, _Dome]:
    rng = spec.rng(2)
    kind = spec.hat or "cap"
    angles, elevations = _BRIMS[kind]
    slant = float(rng.normal(0, 2.5)) * np.cos(_AZIMUTH) + float(rng.uniform(-3, 3))
    brim = np.interp(np.degrees(_FROM_FRONT), angles, elevations) + slant
    smooth = (np.roll(brim[:-1], 1) + brim[:-1] + np.roll(brim[:-1], -1)) / 3
    offset = float(rng.uniform(*{"cap": (6, 9), "beanie": (6, 9), "hood": (16, 26)}[kind]))
    lift = float(rng.uniform(*{"cap": (10, 20), "beanie": (3, 26), "hood": (4, 16)}[kind]))
    radians = np.radians(np.append(smooth, smooth[0]))
    return rng, _Dome(crown_radii(fitted.head_mm), radians, offset, lift)


def _cap(dome: _Dome, rgb: np.ndarray, rng: np.random.Generator) -> list[Surface]:
    crown = placed_uv(grid(dome.points(13), closed=True, flipped=True), 0.0, 0.0, 1.0, 0.74)
    band = _band(dome, 2.0, 0.5)
    button = lathe([(0, 5.5), (2.0, 5.0), (3.5, 0.1)], dome.points(2)[0, 0], np.array([0, -1.0, 0]))
    visor_rgb = rgb if rng.random() < 0.7 else np.array(_CLOTH[int(rng.integers(len(_CLOTH)))])
    texture = painted(_cap_shade(), rgb)
    texture[200:] = painted(_cap_shade()[200:], visor_rgb)
    if rng.random() < 0.5:
        _paint_badge(texture, rng)
    meshes = [crown, band, placed_uv(button, 0.4, 0.02, 0.45, 0.06), *_visor(dome, rng)]
    return [occluder("hat", joined(meshes), texture, Material(gloss=0.05))]


def _band(dome: _Dome, thickness: float, inset: float) -> Mesh:
    """Return the hem along the brim."""
    rim = dome.points(2, inset - 1.0)[1]
    return placed_uv(tube(rim, thickness, (0, -1, 0), 6, looped=True), 0.0, 0.72, 1.0, 0.76)


def _visor(dome: _Dome, rng: np.random.Generator) -> list[Mesh]:
    """Return the peak: a sheet from the front of the brim, arched and pointing down a little."""
    count = 17
    reach, arch = float(rng.uniform(58, 72)), float(rng.uniform(6, 22))
    down = float(rng.uniform(0.1, 0.4))
    spread = np.linspace(-1, 1, count)
    azimuth = spread * np.radians(52.0)
    elevation = np.interp(np.mod(azimuth, 2 * np.pi), _AZIMUTH, dome.brim)
    radii = dome.radii(azimuth, elevation) - 1.0
    root = CROWN_ORIGIN_MM + crown_directions(azimuth, elevation) * radii[:, None]
    share = np.linspace(0, 1, 8)[:, None]
    forward = reach * (1 - np.abs(spread) ** 2.6) * share
    side = root[:, 0] * (1 + 0.04 * np.sin(np.pi * share))
    y = root[:, 1] + forward * down + arch * share * spread**2 * 0.6 - arch * 0.15 * share
    top = np.stack([side, y, root[:, 2] - forward], axis=-1)
    under = top + np.array([0, 2.6, 0])
    edge = tube(top[-1] + np.array([0, 1.3, 0]), 1.6, (0, -1, 0), 6)
    sheets = [grid(top[:, ::-1]), grid(under), edge]
    return [placed_uv(sheet, 0.0, 0.8, 1.0, 0.99) for sheet in sheets]


@lru_cache(maxsize=1)
def _cap_shade() -> np.ndarray:
    """Return (256, 256) shades: six panels with seams above, the visor with its rows below."""
    y, x = np.mgrid[0:256, 0:256].astype(np.float32) / 255
    seam = np.abs((x * 6 + 0.0) % 1 - 0.5)
    shade = grain(256, 0.02) * (1 - 0.25 * np.exp(-(((seam - 0.5) / 0.02) ** 2)))
    shade *= 1 - 0.2 * np.exp(-(((np.abs(seam - 0.5) - 0.05) / 0.012) ** 2))
    rows = 1 - 0.12 * (np.sin(y * 260) > 0.7)
    return np.asarray(np.where(y > 0.78, rows * grain(256, 0.02), shade), np.float32)


def _paint_badge(texture: np.ndarray, rng: np.random.Generator) -> None:
    """Sew a badge of a random form on the front of the cap, in place; the front is at u = 0."""
    y, x = np.mgrid[0:256, 0:256].astype(np.float32)
    x = np.minimum(x, 255 - x)
    form = (x / rng.uniform(9, 20)) ** 2 + ((y - 140) / rng.uniform(14, 30)) ** 2
    badge = (form < 1) & ((form > 0.55) | (np.sin(x * rng.uniform(0.3, 1.2)) > 0))
    texture[badge, :3] = rng.integers(0, 256, 3)


def _beanie(dome: _Dome, rgb: np.ndarray, rng: np.random.Generator) -> list[Surface]:
    net = dome.points(15)
    slouch = float(rng.uniform(0, 22))
    share = np.linspace(1, 0, 15)[:, None] ** 2
    net[..., 2] += slouch * share
    crown = placed_uv(grid(net, closed=True, flipped=True), 0.0, 0.0, 1.0, 0.7)
    meshes = [crown]
    if rng.random() < 0.75:
        meshes.append(_cuff(dome, float(rng.uniform(0.3, 0.5))))
    else:
        meshes.append(_band(dome, 2.5, 0.0))
    if rng.random() < 0.2:
        bobble = [(-24 * np.cos(a), max(24 * np.sin(a), 0.05)) for a in np.linspace(0, np.pi, 10)]
        meshes.append(
            placed_uv(
                lathe(bobble, net[0, 0] + [0, -18, 0], np.array([0, -1.0, 0])), 0, 0, 0.2, 0.2
            )
        )
    texture = painted(_knit(int(rng.integers(3))), rgb)
    if rng.random() < 0.3:
        stripe = slice(70, 100)
        other = _CLOTH[int(rng.integers(len(_CLOTH)))]
        texture[stripe] = painted(_knit(0)[stripe], other)
    return [occluder("hat", joined(meshes), texture, Material(gloss=0.02))]


def _cuff(dome: _Dome, height: float) -> Mesh:
    """Return the folded edge of a beanie: a band around its lowest part."""
    upper = replace(dome, brim=dome.brim + height)
    rows = [(upper, 0.5), (upper, 4.0), (replace(dome, brim=dome.brim + height / 2), 5.5),
            (dome, 4.0), (dome, -1.0)]  # fmt: skip
    net = np.stack([row.points(2, offset)[1] for row, offset in rows])
    return placed_uv(grid(net, closed=True, flipped=True), 0.0, 0.72, 1.0, 1.0)


@lru_cache(maxsize=3)
def _knit(number: int) -> np.ndarray:
    """Return (256, 256) shades of ribs."""
    y, x = np.mgrid[0:256, 0:256].astype(np.float32) / 256
    ribs = (64, 44, 85)[number]
    stitch = 0.08 * np.sin(2 * np.pi * (y * 70 + 0.5 * np.sin(2 * np.pi * ribs * x)))
    return ((0.8 + 0.2 * np.sin(2 * np.pi * ribs * x) + stitch) * grain(256, 0.06)).astype(
        np.float32
    )


def _hood(dome: _Dome, rgb: np.ndarray, rng: np.random.Generator) -> list[Surface]:
    """Return a hood: a dome whose sides and back go on down to the shoulders."""
    net = dome.points(_HOOD_ROWS)
    net = np.concatenate([net, _hanging(net[-1], rng)])
    signed = _signed_azimuth()
    outwards = np.stack([np.sin(signed), np.zeros(_COLUMNS), -np.cos(signed)], axis=1)
    slack = 24.0 * np.linspace(1, 0, _HOOD_ROWS) ** 0.7
    net[:_HOOD_ROWS, :, 2] += slack[:, None] * (_FROM_FRONT / np.pi)
    folds = np.sin(_AZIMUTH * int(rng.integers(5, 10)) + rng.uniform(0, 6))[:, None]
    depth = np.linspace(0, 1, len(net))[:, None, None] ** 2 * _HOOD_SIDES[:, None] * 3.0
    net = net + depth * folds * outwards
    shell = grid(net, closed=True, flipped=True)
    row, column = np.divmod(shell.triangles, _COLUMNS)
    cloth = (_HOOD_SIDES[column] | (row < _HOOD_ROWS)).all(axis=1)
    shell = placed_uv(replace(shell, triangles=shell.triangles[cloth]), 0.0, 0.0, 1.0, 0.9)
    hem = placed_uv(
        tube(_hood_edge(net), 3.5, (0.1, -0.2, -1), 8, looped=True), 0.0, 0.92, 1.0, 1.0
    )
    texture = painted(_fleece(), rgb)
    return [occluder("hat", joined([shell, hem]), texture, Material(gloss=0.02))]


def _signed_azimuth() -> np.ndarray:
    return np.asarray((_AZIMUTH + np.pi) % (2 * np.pi) - np.pi)


def _hanging(low_mm: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (9, 49, 3) cloth below the dome's lowest row; its edges close towards the throat."""
    fall, closing = float(rng.uniform(125, 150)), float(rng.uniform(10, 26))
    share = np.linspace(0, 1, 10)[1:, None]
    level = np.linalg.norm((low_mm - CROWN_ORIGIN_MM)[:, [0, 2]], axis=1)
    signed = _signed_azimuth()
    from_edge = (1 - (_FROM_FRONT - np.radians(52)) / 2.2).clip(0)
    azimuth = signed - np.sign(signed) * np.radians(closing) * share**0.9 * from_edge
    radius = level * (1 - 0.24 * share**1.5)  # gathered about the neck, the end in the collar
    middle = CROWN_ORIGIN_MM[2] + 10.0 * share
    cloth = np.stack([
        radius * np.sin(azimuth),
        low_mm[:, 1] + fall * share,
        middle - radius * np.cos(azimuth),
    ], axis=-1)  # fmt: skip
    return np.where(_HOOD_SIDES[:, None], cloth, low_mm)


def _hood_edge(net_mm: np.ndarray) -> np.ndarray:
    """Return the closed border of the hood: brow, one edge down, the collar, the other edge up."""
    left, right = np.flatnonzero(_HOOD_SIDES)[[0, -1]]
    brow, collar = net_mm[_HOOD_ROWS - 1], net_mm[-1]
    return np.concatenate([
        brow[:left], net_mm[_HOOD_ROWS - 1 :, left], collar[left + 1 : right],
        net_mm[_HOOD_ROWS - 1 :, right][::-1], brow[right + 1 :],
    ])  # fmt: skip


@lru_cache(maxsize=1)
def _fleece() -> np.ndarray:
    return np.asarray(0.95 * grain(256, 0.03, 3), np.float32)
