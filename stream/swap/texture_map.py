"""The texture map of face swap: where each vertex of the head model lies in a texture."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from stream.errors import UserError

if TYPE_CHECKING:
    from stream.head_model import HeadModel

MAP_PATH = Path(__file__).resolve().parents[2] / "engines" / "weights" / "texture_map.npz"

_SUBPIXEL_BITS = 6


class SameModel:
    """A key for caches: equal only where it holds the very same model, which it keeps alive."""

    __slots__ = ("model",)

    def __init__(self, model: HeadModel) -> None:
        self.model = model

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameModel) and other.model is self.model

    def __hash__(self) -> int:
        return id(self.model)


def texture_uv(model: HeadModel) -> np.ndarray:
    """Return the texture places of the head model's vertices for face swap.

    For the head model that is shipped this is a map of its own, made by
    ``python -m training.swap_texture_map``, with more room for eyes, nose and lips than the
    model's Tutte map has; for other models it is ``model.uv``. It is symmetric: the mirror of
    (u, v) is (1 − u, v); and no triangle folds, so that it can be undone exactly.

    Args:
        model: the head model.

    Returns:
        (V, 2) float32, 0…1, v grows downward in the face; not to be written to.
    """
    return _texture_uv(SameModel(model))


def shape_digest(model: HeadModel) -> str:
    """Return a digest of the mean head, by which a stored map knows its model."""
    data = model.vertices.tobytes() + model.triangles.tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


@lru_cache(maxsize=4)
def _texture_uv(key: SameModel) -> np.ndarray:
    model = key.model
    try:
        with np.load(MAP_PATH, allow_pickle=False) as stored:
            fits = str(stored["head"]) == shape_digest(model)
            uv = stored["uv"] if fits else model.uv.copy()
    except (OSError, KeyError, ValueError, BadZipFile) as error:
        raise UserError(
            f"cannot read the texture map {MAP_PATH.name}",
            f"{error}",
            "Reinstall voltface, or make it with: python -m training.swap_texture_map",
        ) from error
    uv.setflags(write=False)
    return uv


class TexelMap:
    """Which point of the head model's surface each texel of a square texture shows.

    Texel (row, column) has its centre at u = (column + 0.5) / size, v = (row + 0.5) / size.

    Args:
        model: the head model.
        size: side of the texture in texels.

    Attributes:
        size: likewise.
        triangle: (S, S) int32 number of the triangle, −1 off the surface.
        covered: (S, S) bool, whether there is one.
    """

    def __init__(self, model: HeadModel, size: int) -> None:
        self.size = size
        places = texture_uv(model).astype(np.float64) * size - 0.5  # centres at whole numbers
        self.triangle = _drawn(places, model.triangles, size)
        self.covered = self.triangle >= 0
        self._texels = np.flatnonzero(self.covered)
        corners = model.triangles[self.triangle.ravel()[self._texels]]
        shares = _barycentric(places[corners], self._texels, size)
        starts = np.arange(0, 3 * len(corners) + 1, 3)
        self._surface = sparse.csr_matrix(
            (shares.astype(np.float32).ravel(), corners.ravel(), starts),
            shape=(len(corners), len(model.vertices)),
        )

    def on_texels(self, values: np.ndarray) -> np.ndarray:
        """Interpolate values of the vertices at the covered texels: (V, C) → (covered, C)."""
        return self._surface @ np.asarray(values, np.float32)

    def picture(self, values: np.ndarray, missing: float = 0.0) -> np.ndarray:
        """Spread values of the covered texels out: (covered, …) → (S, S, …) float32."""
        rest = values.shape[1:]
        result = np.full((self.size * self.size, *rest), missing, np.float32)
        result[self._texels] = values
        return result.reshape(self.size, self.size, *rest)

    def painted(self, values: np.ndarray, missing: float = 0.0) -> np.ndarray:
        """Paint values of the vertices into a texture: (V, C) → (S, S, C) float32."""
        return self.picture(self.on_texels(values), missing)


def texel_map(model: HeadModel, size: int) -> TexelMap:
    """Return the texel map of a model and a size; those that were used last are kept."""
    return _texel_map(SameModel(model), size)


@lru_cache(maxsize=6)
def _texel_map(key: SameModel, size: int) -> TexelMap:
    return TexelMap(key.model, size)


def _drawn(places: np.ndarray, triangles: np.ndarray, size: int) -> np.ndarray:
    """Return (S, S) int32 number of the triangle that covers each texel, or −1.

    A texel on an edge or just outside belongs to a triangle beside it, so that islands reach
    half a texel over their border.
    """
    result = np.full((size, size), -1, np.int32)
    fixed = np.round(places[triangles] * 2**_SUBPIXEL_BITS).astype(np.int32)
    for number, corners in enumerate(fixed):
        cv2.fillConvexPoly(result, corners, number, shift=_SUBPIXEL_BITS)
    return result


def _barycentric(corners: np.ndarray, texels: np.ndarray, size: int) -> np.ndarray:
    """Return (N, 3) shares of a triangle's corners (N, 3, 2) at texel centres, adding up to 1."""
    place = np.stack([texels % size, texels // size], axis=1)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    whole = _cross(b - a, c - a)
    whole = np.where(np.abs(whole) < 1e-9, 1e-9, whole)
    second = np.clip(_cross(place - a, c - a) / whole, -0.5, 1.5)
    third = np.clip(_cross(b - a, place - a) / whole, -0.5, 1.5)
    return np.stack([1 - second - third, second, third], axis=1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def islands_of(model: HeadModel) -> np.ndarray:
    """Return (T,) the island of each triangle: 0 the skin, then the others from the top down."""
    return _islands_of(SameModel(model))


@lru_cache(maxsize=4)
def _islands_of(key: SameModel) -> np.ndarray:
    model, count = key.model, len(key.model.vertices)
    ends = model.triangles[:, [0, 1, 1, 2]].reshape(-1, 2)
    graph = sparse.coo_matrix((np.ones(len(ends)), ends.T), (count, count))
    parts, island = connected_components(graph, directed=False)
    size = np.bincount(island)
    height = np.bincount(island, texture_uv(model)[:, 1]) / size
    height[size.argmax()] = -1  # the skin comes first
    rank = np.empty(parts, int)
    rank[np.argsort(height, kind="stable")] = np.arange(parts)
    return rank[island[model.triangles[:, 0]]]


def island_map(model: HeadModel, size: int) -> np.ndarray:
    """Return (S, S) int32 island of each texel, as `islands_of` counts; −1 off the surface."""
    texels = texel_map(model, size)
    return np.where(texels.covered, islands_of(model)[texels.triangle], -1).astype(np.int32)


def label_map(model: HeadModel, size: int) -> np.ndarray:
    """Return (S, S) uint8 region labels of the head model, 0 off the surface."""
    texels = texel_map(model, size)
    corner_labels = model.labels[model.triangles]
    middle = np.sort(corner_labels, axis=1)[:, 1]  # of two alike, that one
    return np.where(texels.covered, middle[texels.triangle], 0).astype(np.uint8)
