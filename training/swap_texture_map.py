"""The texture map of face swap: the head laid flat with least distortion where a face has detail.

    python -m training.swap_texture_map [--sheet SHEET.png]

The Tutte map that comes with the head model gives cheeks more room than eyes, nose and lips. It
is taken as a start here, without a fold, and the symmetric Dirichlet energy of the map is made
least by Newton's method with the Hessian of each triangle made positive (Teran et al. 2005) and
steps that end before any triangle folds (Smith and Schaefer 2015, *Bijective Parameterization
with Free Boundaries*, §4). Lengths are measured in units that say how much room a millimetre
shall have. The rim is free. Eyeballs, teeth and tongue keep their islands.

Letters: T triangles, V vertices, F free vertices.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  the command line reads the annotations

import cv2
import numpy as np
import tyro
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from stream.flatten import vertex_normals
from stream.geometry import smoothstep
from stream.head_model import HeadModel, load_head_model
from stream.swap.texture_map import MAP_PATH, islands_of, shape_digest

_ROOM = {1: 1.0, 2: 0.22, 3: 0.45, 4: 0.2, 5: 0.1, 6: 0.1}  # of a millimetre, by region label
# Points of the 68 about which there is more room, how much more, and how far, mm.
_DETAIL = (
    (slice(36, 42), 1.2, 14.0),
    (slice(42, 48), 1.2, 14.0),
    (slice(48, 68), 0.8, 14.0),
    (slice(27, 36), 0.5, 14.0),
    (slice(17, 27), 0.4, 10.0),
)
_LINING_ROOM, _LINING_MM = 1.5, 5.0  # behind lips and lids, falling off
_BOX = (0.94, 0.872)  # of the skin's island in the texture
_MIDDLE = (0.5, 0.441)
_MOST_STEPS, _AT_REST = 150, 1e-6
_DET_SLOPE = np.array([[0, 0, 0, 1], [0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0]], np.float64)


@dataclass(frozen=True, slots=True)
class FlatProblem:
    """The energy of a map as a function of the places of its vertices.

    Attributes:
        triangles: (T, 3) numbers among the vertices of the island.
        slopes: (T, 3, 2): the map's Jacobian J is Σ over corners of place ⊗ slope.
        weight: (T,) share of each triangle in the energy.
    """

    triangles: np.ndarray
    slopes: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, vertices: np.ndarray, triangles: np.ndarray, room: np.ndarray) -> FlatProblem:
        """Make it for vertices (V, 3), mm, and the room (V,) that each shall have."""
        a, b, c = (vertices[triangles[:, corner]].astype(np.float64) for corner in range(3))
        length = np.linalg.norm(b - a, axis=1)
        along = (b - a) / length[:, None]
        normal = np.cross(b - a, c - a)
        double_area = np.linalg.norm(normal, axis=1)
        across = np.cross(normal / double_area[:, None], along)
        rest = np.zeros((len(triangles), 2, 2))
        rest[:, 0, 0] = length
        rest[:, 0, 1], rest[:, 1, 1] = ((c - a) * along).sum(1), ((c - a) * across).sum(1)
        share = room[triangles].mean(axis=1)
        weight = double_area / 2 * share**2
        scale = np.sqrt(0.6 / weight.sum())  # the map shall cover about that much of the square
        inverse = np.linalg.inv(rest) / (scale * share)[:, None, None]
        slopes = np.stack([-inverse.sum(axis=1), inverse[:, 0], inverse[:, 1]], axis=1)
        return cls(triangles, slopes, weight / weight.sum())

    def jacobians(self, uv: np.ndarray) -> np.ndarray:
        """Return (T, 4) the map's Jacobian of each triangle, row by row."""
        return np.einsum("tik,tia->tka", uv[self.triangles], self.slopes).reshape(-1, 4)

    def energy(self, uv: np.ndarray) -> tuple[float, np.ndarray]:
        """Return Σ w (‖J‖² + ‖J⁻¹‖²) and its gradient (V, 2); infinite where a triangle folds."""
        jac = self.jacobians(uv)
        det = _determinant(jac)
        if (det >= 0).any():  # the map turns the surface over: v grows downward
            return np.inf, np.zeros_like(uv)
        size = (jac**2).sum(axis=1)
        slope = 2 * jac * (1 + det**-2)[:, None] - (2 * size * det**-3)[:, None] * _cofactor(jac)
        by_corner = (self.weight[:, None, None] * slope.reshape(-1, 2, 2)) @ np.swapaxes(
            self.slopes, 1, 2
        )
        flat = self.triangles.ravel()
        gradient = [
            np.bincount(flat, np.swapaxes(by_corner, 1, 2)[..., axis].ravel(), len(uv))
            for axis in range(2)
        ]
        value = float((self.weight * size * (1 + det**-2)).sum())
        return value, np.stack(gradient, axis=1)

    def hessian(self, uv: np.ndarray) -> sparse.csc_matrix:
        """Return the (2V, 2V) Hessian, with each triangle's part made positive."""
        jac = self.jacobians(uv)
        det, turned = _determinant(jac), _cofactor(jac)
        size = (jac**2).sum(axis=1)
        cross = 2 * jac[:, :, None] * turned[:, None, :]
        square = turned[:, :, None] * turned[:, None, :]
        part = 2 * np.eye(4) * (1 + det**-2)[:, None, None]
        part -= (2 * det**-3)[:, None, None] * (cross + np.swapaxes(cross, 1, 2))
        part += (6 * size * det**-4)[:, None, None] * square
        part -= (2 * size * det**-3)[:, None, None] * _DET_SLOPE
        values, vectors = np.linalg.eigh(part)
        part = (vectors * np.maximum(values, 1e-6)[:, None]) @ np.swapaxes(vectors, 1, 2)
        lift = np.zeros((len(jac), 4, 6))  # Jacobian of places, corner by corner
        for corner in range(3):
            for axis in range(2):
                lift[:, 2 * axis : 2 * axis + 2, 2 * corner + axis] = self.slopes[:, corner]
        part = self.weight[:, None, None] * (np.swapaxes(lift, 1, 2) @ part @ lift)
        numbers = np.repeat(2 * self.triangles, 2, axis=1) + np.tile([0, 1], 3)
        rows, columns = np.repeat(numbers, 6, axis=1), np.tile(numbers, (1, 6))
        places = rows.ravel(), columns.ravel()
        return sparse.csc_matrix((part.ravel(), places), (2 * len(uv), 2 * len(uv)))


def _determinant(jac: np.ndarray) -> np.ndarray:
    return jac[:, 0] * jac[:, 3] - jac[:, 1] * jac[:, 2]


def _cofactor(jac: np.ndarray) -> np.ndarray:
    """Return (T, 4) the derivative of the determinant."""
    return jac[:, [3, 2, 1, 0]] * [1, -1, -1, 1]


def least_distorted(problem: FlatProblem, uv: np.ndarray) -> np.ndarray:
    """Minimise the energy from a map without folds: (V, 2) → (V, 2)."""
    energy, gradient = problem.energy(uv)
    for _ in range(_MOST_STEPS):
        # The energy does not know where the map lies; a weak spring holds it.
        system = problem.hessian(uv) + 1e-7 * sparse.identity(uv.size, format="csc")
        direction = -splu(system).solve(gradient.ravel()).reshape(-1, 2)
        step = min(1.0, 0.8 * longest_step(problem.triangles, uv, direction))
        slope = float((gradient * direction).sum())
        while True:
            lower, next_gradient = problem.energy(uv + step * direction)
            if lower <= energy + 1e-4 * step * slope or step < 1e-12:
                break
            step /= 2
        uv, gained = uv + step * direction, energy - lower
        energy, gradient = lower, next_gradient
        if gained < _AT_REST * energy:
            break
    return uv


def longest_step(triangles: np.ndarray, uv: np.ndarray, direction: np.ndarray) -> float:
    """Return the step along a direction at which the first triangle becomes flat."""
    a, b, c = (uv[triangles[:, corner]] for corner in range(3))
    da, db, dc = (direction[triangles[:, corner]] for corner in range(3))
    square = np.cross(db - da, dc - da)
    linear = np.cross(b - a, dc - da) + np.cross(db - da, c - a)
    constant = np.cross(b - a, c - a)
    with np.errstate(all="ignore"):
        root = np.sqrt(linear**2 - 4 * square * constant)
        sum_of = -(linear + np.copysign(root, linear)) / 2  # exact where the square vanishes
        steps = np.concatenate([sum_of / square, constant / sum_of])
    steps = steps[np.isfinite(steps) & (steps > 0)]
    return float(steps.min()) if len(steps) else np.inf


def wanted_room(model: HeadModel) -> np.ndarray:
    """Return (V,) the length in the map that a millimetre shall have, relative to a cheek's."""
    vertices, labels, points = model.vertices, model.labels, model.points68()
    skin, inside = labels == 1, np.isin(labels, (5, 6))
    room = np.array([_ROOM[int(label)] for label in labels])
    front = smoothstep(-vertex_normals(vertices, model.triangles)[:, 2], -0.3, 0.6)
    below_chin = smoothstep(vertices[:, 1] - points[8, 1] + 20, 0.0, 25.0)
    room = np.where(skin, (0.5 + 0.5 * front) * (1 - 0.25 * below_chin), room)
    for part, gain, reach_mm in _DETAIL:
        away = np.linalg.norm(vertices[:, None] - points[part], axis=2).min(axis=1)
        room = room * (1 + np.where(inside, 0, gain) * np.exp(-((away / reach_mm) ** 2)))
    behind_mm = cKDTree(vertices[skin]).query(vertices)[0]
    lining = _LINING_ROOM * np.exp(-((behind_mm / _LINING_MM) ** 2))
    return np.where(inside, np.maximum(room, lining), room)


def texture_map(model: HeadModel) -> np.ndarray:
    """Return (V, 2) float32, 0…1: the texture map of a head model."""
    triangles = model.triangles[islands_of(model) == 0].astype(np.int64)
    used = np.unique(triangles)
    local = np.full(len(model.vertices), -1)
    local[used] = np.arange(len(used))
    problem = FlatProblem.of(model.vertices[used], local[triangles], wanted_room(model)[used])
    uv = model.uv.astype(np.float64)
    uv[used] = least_distorted(problem, uv[used])
    uv = (uv + (uv * [-1, 1] + [1, 0])[model.mirror]) / 2
    low, high = uv[used].min(axis=0), uv[used].max(axis=0)
    uv[used] = (uv[used] - (low + high) / 2) * np.array(_BOX) / (high - low) + _MIDDLE
    return uv.astype(np.float32)


def draw_map(model: HeadModel, uv: np.ndarray, side: int = 1000) -> np.ndarray:
    """Return (side, side, 3) uint8 RGB: the triangles of a map, coloured by region."""
    colours = {1: (255, 205, 175), 2: (150, 110, 70), 3: (255, 150, 150), 4: (200, 220, 160),
               5: (200, 60, 60), 6: (120, 160, 255)}  # fmt: skip
    picture = np.full((side, side, 3), 255, np.uint8)
    for corners in model.triangles:
        label = int(np.bincount(model.labels[corners]).argmax())
        places = np.round(uv[corners] * side * 16).astype(np.int32)
        cv2.fillConvexPoly(picture, places, colours[label], cv2.LINE_AA, 4)
        cv2.polylines(picture, [places], True, (90, 90, 90), 1, cv2.LINE_AA, 4)
    return picture


def main(sheet: Path | None = None) -> None:
    """Make engines/weights/texture_map.npz."""
    model = load_head_model()
    uv = texture_map(model)
    np.savez_compressed(MAP_PATH, uv=uv, head=np.array(shape_digest(model)))
    print(f"{MAP_PATH.name}: {MAP_PATH.stat().st_size / 1e3:.0f} kB")
    if sheet is not None:
        cv2.imwrite(str(sheet), cv2.cvtColor(draw_map(model, uv), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.swap_texture_map", description=__doc__)
