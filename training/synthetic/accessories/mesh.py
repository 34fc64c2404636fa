"""Grids, tubes and bodies of revolution, from which all accessories are made."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from training.synthetic.scene import Label, Material, Surface


@dataclass(frozen=True, slots=True)
class Mesh:
    """A mesh without looks.

    Attributes:
        vertices_mm: (V, 3) float32.
        triangles: (T, 3) int32, counter-clockwise seen from outside in a y-up view.
        uv: (V, 2) float32, 0…1.
        smooth_ids: (V,) int32; vertices with one number share one normal.
    """

    vertices_mm: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    smooth_ids: np.ndarray


@lru_cache(maxsize=256)
def _grid_topology(
    rows: int, columns: int, closed: bool, looped: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    number = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    triangles = np.stack([a, b, c, b, d, c], axis=-1).reshape(-1, 3)
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    smooth = number.copy()
    if closed:
        smooth[:, -1] = smooth[:, 0]
    if looped:
        smooth[-1] = smooth[0]
    return triangles, np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float32), smooth.ravel()


def grid(
    points_mm: np.ndarray, closed: bool = False, looped: bool = False, flipped: bool = False
) -> Mesh:
    """Return the mesh of a (R, C, 3) net of points; u runs along columns, v along rows.

    Args:
        points_mm: the net; the outside is where columns × rows points.
        closed: whether the last column lies on the first.
        looped: whether the last row lies on the first.
        flipped: whether the outside is the other side.
    """
    rows, columns = points_mm.shape[:2]
    triangles, uv, smooth = _grid_topology(rows, columns, closed, looped)
    triangles = triangles[:, ::-1] if flipped else triangles
    return Mesh(points_mm.reshape(-1, 3).astype(np.float32), triangles, uv, smooth)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Return (…, 3) vectors of length 1."""
    length = np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    return vectors / np.maximum(length, 1e-9)


@lru_cache(maxsize=32)
def _circle(sides: int, square: float) -> np.ndarray:
    """Return (sides + 1, 2) points of a superellipse; `square` 1 is a circle, less is boxy."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    both = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.sign(both) * np.abs(both) ** square


def tube(
    path_mm: np.ndarray,
    radii_mm: np.ndarray | float,
    up: Sequence[float] | np.ndarray = (0.0, 0.0, -1.0),
    sides: int = 8,
    looped: bool = False,
    rounded: bool = True,
    square: float = 1.0,
) -> Mesh:
    """Return a tube along a path.

    Args:
        path_mm: (N, 3) points; a looped path repeats its first point at the end.
        radii_mm: one number, (N,) or (N, 2): along `up` and across it.
        up: direction of the first radius, made perpendicular to the path.
        sides: corners of the cross-section.
        looped: whether the path is a loop.
        rounded: whether open ends are closed by half-spheres.
        square: 1 for a round cross-section, down to 0.3 for a boxy one.
    """
    path = np.asarray(path_mm, np.float64)
    radii = np.broadcast_to(np.asarray(radii_mm, np.float64), (len(path),) if np.ndim(radii_mm) < 2
                            else (len(path), 2))  # fmt: skip
    radii = np.repeat(radii[:, None], 2, axis=1) if radii.ndim == 1 else radii
    tangent = np.gradient(path, axis=0)
    if looped:
        tangent[0] = tangent[-1] = path[1] - path[-2]
    tangent = unit(tangent)
    first = np.asarray(up, np.float64)
    first = unit(first - (tangent @ first)[:, None] * tangent)
    second = np.cross(tangent, first)
    if rounded and not looped:
        path, radii = _with_round_ends(path, radii, tangent)
        first, second = (np.pad(side, ((3, 3), (0, 0)), mode="edge") for side in (first, second))
    circle = _circle(sides, square)
    across = first[:, None] * (circle[:, :1] * radii[:, None, :1])
    along = second[:, None] * (circle[:, 1:] * radii[:, None, 1:])
    return grid(path[:, None] + across + along, closed=True, looped=looped)


def _with_round_ends(
    path: np.ndarray, radii: np.ndarray, tangent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    angle = np.radians([[85.0], [60.0], [32.0]])
    start = path[0] - np.sin(angle) * radii[0].min() * tangent[0]
    stop = path[-1] + np.sin(angle[::-1]) * radii[-1].min() * tangent[-1]
    ends = np.cos(angle) * radii[0], np.cos(angle[::-1]) * radii[-1]
    return np.concatenate([start, path, stop]), np.concatenate([ends[0], radii, ends[1]])


def lathe(
    profile_mm: Sequence[tuple[float, float]],
    origin_mm: np.ndarray,
    axis: np.ndarray,
    sides: int = 20,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Mesh:
    """Return a body of revolution.

    Args:
        profile_mm: (height along the axis, radius) from the lower end, outwards, to the upper.
        origin_mm: (3,) where the height is 0.
        axis: (3,) direction.
        sides: corners of the circle.
        stretch: factors of the radius across the axis: as upright as can be, and sideways.
    """
    profile = np.asarray(profile_mm, np.float64)
    axis = unit(np.asarray(axis, np.float64))
    upright = np.array([0.0, -1.0, 0.0]) if abs(axis[1]) < 0.9 else np.array([0.0, 0.0, -1.0])
    first = unit(upright - (axis @ upright) * axis)
    second = np.cross(axis, first)
    ring = _circle(sides, 1.0)
    ring = ring[:, :1] * first * stretch[0] + ring[:, 1:] * second * stretch[1]
    points = profile[:, None, :1] * axis + profile[:, None, 1:] * ring
    return grid(points + np.asarray(origin_mm, np.float64), closed=True)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Return the meshes as one; each keeps its normals."""
    counts = np.cumsum([0] + [len(mesh.vertices_mm) for mesh in meshes])[:-1]
    return Mesh(
        np.concatenate([mesh.vertices_mm for mesh in meshes]),
        np.concatenate([mesh.triangles + int(n) for mesh, n in zip(meshes, counts, strict=True)])
        .astype(np.int32),
        np.concatenate([mesh.uv for mesh in meshes]),
        np.concatenate([mesh.smooth_ids + int(n) for mesh, n in zip(meshes, counts, strict=True)])
        .astype(np.int32),
    )  # fmt: skip


def placed_uv(mesh: Mesh, left: float, top: float, right: float, bottom: float) -> Mesh:
    """Return the mesh with its UV squeezed into a rectangle of the texture."""
    scale = np.array([right - left, bottom - top], np.float32)
    uv = mesh.uv * scale + np.array([left, top], np.float32)
    return Mesh(mesh.vertices_mm, mesh.triangles, uv, mesh.smooth_ids)


def moved(mesh: Mesh, rotation: np.ndarray, shift_mm: np.ndarray) -> Mesh:
    """Return the mesh rotated by a (3, 3) matrix, then shifted."""
    vertices = (mesh.vertices_mm @ rotation.T + shift_mm).astype(np.float32)
    return Mesh(vertices, mesh.triangles, mesh.uv, mesh.smooth_ids)


def turn(about_x: float = 0.0, about_y: float = 0.0, about_z: float = 0.0) -> np.ndarray:
    """Return the (3, 3) rotation by degrees, first about x, then y, then z."""
    (sx, sy, sz), (cx, cy, cz) = (
        [float(f(np.radians(a))) for a in (about_x, about_y, about_z)] for f in (np.sin, np.cos)
    )
    x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(z @ y @ x)


def occluder(
    name: str, mesh: Mesh, texture: np.ndarray, material: Material, label: Label = Label.OCCLUDER
) -> Surface:
    """Return the mesh as a surface that is no part of the head."""
    count = len(mesh.vertices_mm)
    return Surface(
        name=name,
        vertices_mm=mesh.vertices_mm,
        triangles=mesh.triangles,
        uv=mesh.uv,
        texture=texture,
        labels=np.full(count, label, np.uint8),
        smooth_ids=mesh.smooth_ids,
        canonical_mm=np.full((count, 3), np.nan, np.float32),
        head_uv=np.full((count, 2), np.nan, np.float32),
        material=material,
    )


def painted(shade: np.ndarray, rgb: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the (H, W, 4) uint8 opaque texture of a (H, W) float32 shade times a colour."""
    texture = np.full((*shade.shape, 4), 255, np.uint8)
    colour = shade[..., None] * np.asarray(rgb, np.float32)
    texture[..., :3] = colour.clip(0, 255).astype(np.uint8)
    return texture


@lru_cache(maxsize=16)
def grain(size: int, strength: float, number: int = 0) -> np.ndarray:
    """Return (size, size) float32 shades around 1, as of cloth or leather."""
    noise = np.random.default_rng(number).normal(0, 1, (size, size)).astype(np.float32)
    rows = noise + np.roll(noise, 1, axis=0)
    soft = rows + np.roll(rows, 1, axis=1)
    return np.asarray(1 + 0.5 * strength * soft, np.float32)
