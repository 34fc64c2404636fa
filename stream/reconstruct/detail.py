"""Fine relief of the skin from the picture: wrinkles, pores, brows.

Sela, Richardson, Kimmel 2017, supplement B.2, after Beeler et al. 2010: what is darker than its
surroundings lies deeper. The picture's low frequencies are taken away by heat that flows on the
surface; what remains pushes each vertex along its normal. Letters in shapes: V vertices.

    fine_mm, fine_triangles = add_detail(vertices_mm, triangles, pixels, camera)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import cg

from stream.geometry import project, smoothstep, vertex_normals
from stream.reconstruct.registration import cotangent_laplacian
from stream.reconstruct.template import loop_step

if TYPE_CHECKING:
    from collections.abc import Sequence

_MM2_PER_CM2 = 100.0
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Immerkær 1996, with every other pixel: cameras smear their noise over neighbours.
_NOISE = np.zeros((5, 5), np.float32)
_NOISE[::2, ::2] = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6
_GRAZING = (0.2, 0.5)  # cosines between which a surface begins to count
_CELL_PX = 2.0  # of the coarse depth buffer
_BEHIND_MM = 4.0  # farther behind the front of its cell a vertex is hidden


@dataclass(frozen=True, slots=True)
class DetailSettings:
    """How relief is made.

    Attributes:
        heat_cm2: dt of eq. 9. The paper gives 0.2 without a unit; in cm² relief up to about
            6 mm wide passes, which is what wrinkles have.
        share: η of eq. 14.
        gain_mm: γ of eq. 11: height of what is brighter than its surroundings by as much as the
            face is bright.
        passes: how often eq. 13 is applied to what the surface does not show yet; 1 is the
            paper's single step, which shows only what differs between neighbours.
        largest: contrasts are bent so that none exceeds this: borders of lips and brows are
            colour more than relief.
        grain_px: least and largest blur of the picture before it is read, against the camera's
            noise.
        grain: noise that may remain after the blur, as a share of the face's brightness.
        finest_mm: edges are not divided below this.
        most_vertices: nor into more vertices than this.
    """

    heat_cm2: float = 0.2
    share: float = 0.2
    gain_mm: float = 12.0
    passes: int = 30
    largest: float = 0.16
    grain_px: tuple[float, float] = (0.8, 3.0)
    grain: float = 0.014
    finest_mm: float = 0.5
    most_vertices: int = 320_000


def add_detail(
    vertices: np.ndarray,
    triangles: np.ndarray,
    picture: np.ndarray,
    camera: np.ndarray,
    weight: np.ndarray | None = None,
    settings: DetailSettings | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Divide a surface finely and give it the relief that the picture shows.

    Who carries more than places (texture coordinates, labels) takes `divided` and `with_relief`.

    Args:
        vertices: (V, 3) mm, camera space, a surface whose edges have one or two triangles.
        triangles: (T, 3), wound as the head model's.
        picture: (H, W, 3) uint8 RGB.
        camera: (3, 3) intrinsics, pixel centres at +0.5.
        weight: (V,) 0…1, how much relief each vertex may take; everywhere 1 unless given. Eyes,
            teeth and hair should have 0.
        settings: how.

    Returns:
        (F, 3) float32 vertices and (G, 3) triangles. The first V vertices are those given, moved.
    """
    settings = settings or DetailSettings()
    matrix, fine = divided(vertices, triangles, camera, settings)
    places = np.asarray(matrix @ np.asarray(vertices, np.float64))
    fine_weight = None if weight is None else matrix @ np.asarray(weight, np.float64)
    moved = with_relief(places, fine, picture, camera, fine_weight, settings)
    return moved.astype(np.float32), fine


def with_relief(
    vertices: np.ndarray,
    triangles: np.ndarray,
    picture: np.ndarray,
    camera: np.ndarray,
    weight: np.ndarray | None = None,
    settings: DetailSettings | None = None,
) -> np.ndarray:
    """Give a surface that is fine enough the relief that the picture shows.

    Arguments are those of `add_detail`; edges should be about as long as a pixel is wide.

    Returns:
        (V, 3) float64 moved vertices, mm; those that the picture does not show stay.
    """
    settings = settings or DetailSettings()
    places = np.asarray(vertices, np.float64)
    normals = vertex_normals(places, triangles).astype(np.float64)
    allowed = seen_share(places, normals, camera, picture.shape[:2])
    if weight is not None:
        allowed = allowed * weight
    contrast = face_contrast(places, triangles, allowed, picture, camera, settings)
    rings = Rings(places, normals, triangles)
    data = settings.gain_mm * rings.relief(contrast, settings.passes)
    return displaced(places, normals, data, rings.fairing(), settings.share, allowed)


def divided(
    vertices: np.ndarray, triangles: np.ndarray, camera: np.ndarray, settings: DetailSettings
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Divide a surface by Loop's scheme until its edges are about as long as a pixel.

    Returns:
        (F, V) matrix that carries values from given to fine vertices, and (G, 3) triangles.
    """
    triangles = np.asarray(triangles, np.int64)
    matrix = sparse.identity(len(vertices), format="csr")
    places = np.asarray(vertices, np.float64)
    pixel = float(np.median(places[:, 2])) / float(camera[0, 0])
    finest = max(settings.finest_mm, pixel)
    while 4 * len(places) < settings.most_vertices:
        edge = places[triangles[:, 0]] - places[triangles[:, 1]]
        if np.median(np.linalg.norm(edge, axis=1)) < 1.4 * finest:
            break
        level = loop_step(triangles, len(places))
        matrix, triangles = (level.matrix @ matrix).tocsr(), level.triangles
        places = level.matrix @ places
    return matrix, triangles


def seen_share(
    vertices: np.ndarray, normals: np.ndarray, camera: np.ndarray, size: Sequence[int]
) -> np.ndarray:
    """Tell how well the picture shows each vertex: (V,) 0…1; 0 for what is hidden or beyond it.

    Args:
        vertices: (V, 3) mm, camera space, dense enough to hide what is behind them.
        normals: (V, 3).
        camera: (3, 3).
        size: height and width of the picture.
    """
    rays = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    facing = smoothstep(-(normals * rays).sum(axis=1), *_GRAZING)
    places = project(vertices, camera)
    cells = np.floor(places / _CELL_PX).astype(np.int64)
    cells -= cells.min(axis=0)
    number = cells[:, 1] * (cells[:, 0].max() + 1) + cells[:, 0]
    front = np.full(number.max() + 1, np.inf)
    np.minimum.at(front, number, vertices[:, 2])
    clear = vertices[:, 2] < front[number] + _BEHIND_MM
    inside = (places > 0).all(axis=1) & (places < [size[1], size[0]]).all(axis=1)
    return facing * (clear & inside)


def face_contrast(
    vertices: np.ndarray,
    triangles: np.ndarray,
    allowed: np.ndarray,
    picture: np.ndarray,
    camera: np.ndarray,
    settings: DetailSettings,
) -> np.ndarray:
    """Return (V,) μ: how much brighter each vertex is than its surroundings, bounded.

    Brightness counts in units of the face's own, so that exposure does not matter.

    Args:
        vertices: (V, 3) mm, camera space.
        triangles: (T, 3).
        allowed: (V,) 0…1; what has 0 tells nothing and is filled in by the heat's flow.
        picture: (H, W, 3) uint8 RGB.
        camera: (3, 3).
        settings: blur, heat and bound.
    """
    grey = picture.astype(np.float32) @ _LUMA
    places = (project(vertices, camera) - 0.5).astype(np.float32)
    told = allowed > 0
    if not told.any():
        return np.zeros(len(vertices))
    level = max(float(np.median(_read(grey, places[told]))), 1.0)
    rough = np.abs(_read(cv2.filter2D(grey, -1, _NOISE), np.rint(places[told])))
    noise = float(np.median(rough)) / 0.6745
    # A Gaussian blur of s pixels leaves 1 / (2 √π s) of noise that differs from pixel to pixel.
    blur = float(np.clip(noise / (2 * np.sqrt(np.pi) * settings.grain * level), *settings.grain_px))
    brightness = _read(cv2.GaussianBlur(grey, (0, 0), blur), places) / level
    high = high_pass(brightness, vertices, triangles, settings.heat_cm2 * _MM2_PER_CM2, allowed)
    return settings.largest * np.tanh(high / settings.largest)


def high_pass(
    values: np.ndarray,
    vertices: np.ndarray,
    triangles: np.ndarray,
    heat_mm2: float,
    weight: np.ndarray | None = None,
) -> np.ndarray:
    """μ = τ − (I − dt·Δ)⁻¹·τ (eq. 9): what heat that flows for a while does not keep.

    Args:
        values: (V,) τ.
        vertices: (V, 3) mm.
        triangles: (T, 3).
        heat_mm2: dt.
        weight: (V,) 0…1, how much each value is known; what is not known does not flow into
            what is, and gets 0.

    Returns:
        (V,) μ.
    """
    laplacian, areas = cotangent_laplacian(vertices, triangles)
    known = np.ones(len(values)) if weight is None else np.asarray(weight, np.float64)
    mass = np.maximum(areas, 1e-9)
    matrix = (sparse.diags(mass) + heat_mm2 * laplacian).tocsr()
    about = sparse.diags(1 / matrix.diagonal())
    smooth = [
        cg(matrix, mass * side, x0=side, rtol=1e-6, atol=0.0, maxiter=500, M=about)[0]
        for side in (known * values, known)
    ]
    return np.where(known > 0, values - smooth[0] / np.maximum(smooth[1], 1e-9), 0.0)


class Rings:
    """The neighbours of each vertex, weighed by α = exp(−‖v − v_i‖) (eqs. 10 to 13).

    Args:
        vertices: (V, 3) mm.
        normals: (V, 3) unit normals.
        triangles: (T, 3).

    Attributes:
        rows, columns: (E,) each vertex v, and a neighbour v_i.
        alpha: (E,) weights, which sum up to 1 around each vertex.
        rise: (E,) ⟨v − v_i, n(v)⟩ mm.
        attenuation: (E,) 1 − |rise| / ‖v − v_i‖, small where the surface curves (eq. 13).
    """

    def __init__(self, vertices: np.ndarray, normals: np.ndarray, triangles: np.ndarray) -> None:
        pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        both = np.concatenate([pairs, pairs[:, ::-1]])
        count = self._count = len(vertices)
        code = np.unique(both[:, 0] * count + both[:, 1])
        self.rows, self.columns = code // count, code % count
        step = vertices[self.rows] - vertices[self.columns]
        length = np.maximum(np.linalg.norm(step, axis=1), 1e-9)
        self.rise = (step * normals[self.rows]).sum(axis=1)
        self.attenuation = 1 - np.abs(self.rise) / length
        alpha = np.exp(-length)
        self.alpha = alpha / np.bincount(self.rows, alpha, count)[self.rows]

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return (V,) the α-weighted mean over the neighbours of (E,) values of pairs."""
        return np.bincount(self.rows, self.alpha * values, self._count)

    def plain_step(self, contrast: np.ndarray, gain: float) -> np.ndarray:
        """δ_μ of eq. 12 with the γ of eq. 11: differences of height become γ times those of μ.

        It flattens the surface by its own curvature, so that `relief` is what is used.
        """
        return self.mean(gain * (contrast[self.rows] - contrast[self.columns]) - self.rise)

    def attenuated_step(self, contrast: np.ndarray) -> np.ndarray:
        """δ_μ of eq. 13: differences of μ, less where the surface curves."""
        return self.mean((contrast[self.rows] - contrast[self.columns]) * self.attenuation)

    def relief(self, contrast: np.ndarray, passes: int) -> np.ndarray:
        """Apply eq. 13 again and again to what of μ the relief does not show yet; (V,)."""
        weights = self.alpha * self.attenuation
        shape = (self._count, self._count)
        neighbours = sparse.csr_matrix((weights, (self.rows, self.columns)), shape)
        own = np.asarray(neighbours.sum(axis=1)).ravel()
        height = np.zeros(self._count)
        for _ in range(passes):
            left = contrast - height
            height = height + own * left - neighbours @ left
        return height

    def fairing(self) -> np.ndarray:
        """δ_s: one explicit step of fairing, proportional to the mean curvature; (V,) mm."""
        return -self.mean(self.rise)


def displaced(
    vertices: np.ndarray,
    normals: np.ndarray,
    data: np.ndarray,
    fairing: np.ndarray,
    share: float,
    weight: np.ndarray,
) -> np.ndarray:
    """Move vertices: v' = v + (η·δ_μ + (1 − η)·δ_s)·n (eq. 14), as far as a weight allows; (V, 3).

    Args:
        vertices: (V, 3) mm.
        normals: (V, 3) unit normals.
        data: (V,) δ_μ mm.
        fairing: (V,) δ_s mm.
        share: η.
        weight: (V,) 0…1.
    """
    step = share * data + (1 - share) * fairing
    return vertices + (weight * step)[:, None] * normals


def _read(picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return (N,) values at (N, 2) places, whole numbers at pixel centres.

    Between pixels values are interpolated: where vertices lie closer than pixels, the nearest
    pixel, which the paper takes, would make terraces.
    """
    parts = np.array_split(places, len(places) // 30_000 + 1)  # cv2.remap takes < 2¹⁵ columns
    read = [
        cv2.remap(picture, part[None], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        for part in parts
    ]
    return np.concatenate(read).astype(np.float64)
