"""Where an expression folds the skin: compression of the head model's surface, and its folds.

Skin folds where it is pressed together: beside the mouth when it smiles, on the forehead when brows
rise. Raman et al. 2022 (Mesh-Tension Driven Expression-Based Wrinkles) drive wrinkles by that
alone. Here it tells which folds of a photo belong to its expression and not to the face. They are
taken out of the texture, and drawn as far as the face in the video presses its skin likewise.

Letters: E face units, V vertices, N of them on bare skin. Strains are small ones, and so linear in
the face units.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from stream.geometry import smoothstep
from stream.swap.shape import EAR, NECK, SCALP, SKIN
from stream.swap.texture_light import DISPLAY_GAMMA, broad
from stream.swap.texture_map import SameModel, texel_map

if TYPE_CHECKING:
    from stream.head_model import HeadModel

FOLD_RANGE = 2.0  # of log brightness as displayed: what 256 grey levels of folds span
_SMOOTH_MM = 5.0
_PRESSED = (0.04, 0.16)  # strain at which folds begin to show, and surely do
_NO_NEWS = 0.03  # strain that the fit of a calm face may have
# Points of features that have their own shape, and how far they reach, mm.
_FEATURES_MM = ((range(36, 48), 4.0), (range(17, 27), 7.0), (range(48, 68), 5.0),
                (range(31, 36), 4.0))  # fmt: skip
_CHEEK_LINES = ((129, 203, 206, 216, 212), (358, 423, 426, 436, 432))  # nose wing to mouth corner
_LINE_MM, _BESIDE = 12.0, 0.2  # width of what folds there; how near the cheek is that folds it
_FROM_BORDER_MM = (4.0, 16.0)
_FINE, _COARSE = 0.003, 0.03  # of the texture's side: finer is pores, broader is the face
_TRACE = 0.4  # of a fold that is left on a face at rest: skin that folds often shows where
_PORE = 0.1  # of log colour
_SOFT = 0.006  # of the texture's side
_DARK = 0.004


class Tension:
    """How far the skin is pressed where one photo presses it, for any expression.

    Args:
        model: the head model.
        expression: (E,) face units of the photo.

    Attributes:
        folded: (V,) float32, 0…1: where the photo's expression folds the skin.
    """

    def __init__(self, model: HeadModel, expression: np.ndarray) -> None:
        bare = _bare(SameModel(model))
        self._where, strains = _unit_strains(SameModel(model))
        photo = np.tensordot(expression.astype(np.float32), strains, 1)  # [N, 3, 3]
        values, directions = np.linalg.eigh(photo)
        across = directions[:, :, 0]
        # How much one of each face unit presses the skin across the folds of the photo.
        self._pressing = -np.einsum("vi,evij,vj->ve", across, strains, across)
        pressed = np.maximum(-values[:, 0], 0)
        self._most = np.maximum(pressed - _NO_NEWS, 1e-3)
        self.folded = np.zeros(len(bare), np.float32)
        self.folded[self._where] = smoothstep(pressed, *_PRESSED) * bare[self._where]
        for line in _cheek_lines(SameModel(model)):
            self._fold_beside(line * bare)

    def _fold_beside(self, line: np.ndarray) -> None:
        """Fold a cheek's line as far as the cheek is pressed that hangs over it.

        Args:
            line: (V,) 0…1, how near a vertex is to it.
        """
        near = line[self._where]
        cheek = np.where(near > _BESIDE, self.folded[self._where], 0)
        most = int(cheek.argmax())
        taken = near * cheek[most] > self.folded[self._where]
        self.folded[self._where[taken]] = near[taken] * cheek[most]
        self._pressing[taken], self._most[taken] = self._pressing[most], self._most[most]

    def likeness(self, expression: np.ndarray) -> np.ndarray:
        """Return (V,) float32: how far the photo's folds show under an expression.

        From a trace where the skin is not pressed to 1 where it is as in the photo; 0 where the
        photo has none.

        Args:
            expression: (E,) face units.
        """
        now = self._pressing @ expression.astype(np.float32)
        likeness = np.zeros(len(self.folded), np.float32)
        share = np.clip((now - _NO_NEWS) / self._most, 0, 1)
        likeness[self._where] = _TRACE + (1 - _TRACE) * share
        return likeness


def without_folds(albedo: np.ndarray, folded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part a texture into a calm one and its folds.

    Args:
        albedo: (S, S, 3) linear.
        folded: (S, S) 0…1, how far what is narrower than a fold's surroundings goes; pores and
            what is finer stay.

    Returns:
        (S, S, 3) linear without folds, and (S, S) float32, log brightness as displayed that
        gives them back.
    """
    size = len(albedo)
    logs = np.log(np.maximum(albedo, _DARK))
    soft = cv2.GaussianBlur(logs, (0, 0), _FINE * size)
    fold = soft - broad(logs, np.ones(logs.shape[:2], np.float32), _COARSE * size)
    fold += np.minimum(logs - soft + _PORE, 0)  # the core of a crease, deeper than any pore
    fold *= folded[..., None]
    return np.exp(logs - fold).astype(np.float32), fold.mean(axis=2) / DISPLAY_GAMMA


def softened(folds: np.ndarray) -> np.ndarray:
    """Return folds (S, S) without their hard core, which on another face is a pencil's line."""
    return cv2.GaussianBlur(folds, (0, 0), _SOFT * len(folds))


def fold_levels(folds: np.ndarray) -> np.ndarray:
    """Return log brightness (S, S) as uint8: 0 at 128, FOLD_RANGE for 256 levels."""
    return np.clip(np.round(128 + 256 / FOLD_RANGE * folds), 0, 255).astype(np.uint8)


def folded_texels(tension: Tension, model: HeadModel, size: int) -> np.ndarray:
    """Return (S, S) float32, 0…1: where the photo's expression folds the texture."""
    return np.clip(texel_map(model, size).painted(tension.folded[:, None])[..., 0], 0, 1)


@lru_cache(maxsize=2)
def _unit_strains(key: SameModel) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) bare vertices, and (E, N, 3, 3) float32 strain there for one of each unit."""
    model, bare = key.model, np.flatnonzero(_bare(key))
    rest = model.vertices.astype(np.float64)
    middles = rest[model.triangles].mean(axis=1)
    near = cKDTree(rest[bare]).query(middles)[0] < 2 * _SMOOTH_MM
    triangles, middles = model.triangles[near], middles[near]
    sides = rest[triangles[:, 1:]] - rest[triangles[:, :1]]  # [T, 2, 3]
    frame = np.linalg.qr(sides.transpose(0, 2, 1))[0]  # [T, 3, 2], spans the triangle
    flat = sides @ frame  # [T, 2 sides, 2 axes]
    area = np.abs(np.linalg.det(flat))
    from_sides = np.linalg.pinv(flat)
    to_vertices = _spread(rest[bare], middles, area)
    strains = np.empty((len(model.expression_basis), len(bare), 3, 3), np.float32)
    for number, unit in enumerate(model.expression_basis):
        moved = (unit[triangles[:, 1:]] - unit[triangles[:, :1]]) @ frame
        gradient = from_sides @ moved
        strain = (gradient + gradient.transpose(0, 2, 1)) / 2
        whole = frame @ strain @ frame.transpose(0, 2, 1)
        strains[number] = (to_vertices @ whole.reshape(-1, 9)).reshape(-1, 3, 3)
    return bare, strains


def _spread(vertices: np.ndarray, middles: np.ndarray, area: np.ndarray) -> sparse.csr_matrix:
    """Return (N, T) sparse weights, by which vertices take on what triangles around them have."""
    apart = cKDTree(vertices).sparse_distance_matrix(
        cKDTree(middles), 2 * _SMOOTH_MM, output_type="coo_matrix"
    )
    values = area[apart.col] * np.exp(-((apart.data / _SMOOTH_MM) ** 2) / 2)
    total = np.bincount(apart.row, values, len(vertices))
    values /= np.maximum(total[apart.row], 1e-12)
    return sparse.csr_matrix((values, (apart.row, apart.col)), apart.shape)


@lru_cache(maxsize=2)
def _cheek_lines(key: SameModel) -> tuple[np.ndarray, np.ndarray]:
    """Return two times (V,) float32, 1 on the line from nose to mouth's corner, 0 far from it."""
    model, steps = key.model, np.linspace(0, 1, 6)[:, None, None]
    lines = []
    for numbers in _CHEEK_LINES:
        corners = model.points478_mean[list(numbers)]
        dense = corners[:-1] + steps * (corners[1:] - corners[:-1])
        away = cKDTree(dense.reshape(-1, 3)).query(model.vertices)[0]
        lines.append(np.exp(-((away / _LINE_MM) ** 2)).astype(np.float32))
    return lines[0], lines[1]


@lru_cache(maxsize=2)
def _bare(key: SameModel) -> np.ndarray:
    """Return (V,) float32, 1 on skin away from lids, brows, lips and nostrils."""
    model, points = key.model, key.model.points68()
    beyond = model.vertices[np.isin(model.labels, (SCALP, EAR, NECK))]
    away = cKDTree(beyond).query(model.vertices)[0]
    bare = (model.labels == SKIN) * smoothstep(away, *_FROM_BORDER_MM)
    for part, reach_mm in _FEATURES_MM:
        away = cKDTree(points[list(part)]).query(model.vertices)[0]
        bare = bare * smoothstep(away, reach_mm, reach_mm + 4.0)
    return bare.astype(np.float32)
