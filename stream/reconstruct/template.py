"""The surface that a reconstructed head is made of: the skin of the head model, closed and fine.

The skin of the head model is one sheet from the collar over face, ears and scalp, with hollows
for eyes and mouth. Here those hollows are closed, so that the sheet is a disc without anything
inside, and it is refined by Loop's scheme (Loop, Smooth subdivision surfaces based on triangles,
1987). All of it is linear in the vertices but for the curve of the eyes. Letters in shapes: V
vertices of the head model, S of its skin, F of the fine surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from stream.triangles import edge_graph, edges_of

if TYPE_CHECKING:
    from stream.head_model import HeadModel

FACE, SCALP, EAR, NECK, MOUTH, EYES = 1, 2, 3, 4, 5, 6  # labels of the head model
_MOUTH_RECESS = 0.5  # of the opening of the lips: so far behind them the mouth is closed
# Room in the texture chart by label; rings that it is measured in; its margin.
_ROOM, _RINGS, _MARGIN = (0.0, 1.5, 4.0, 0.5, 1.0, 0.05, 0.3), 40, 0.015
_TUCK_MM = 0.4  # so far the eye stays behind the rim of the lids


@dataclass(frozen=True, slots=True)
class Hollow:
    """A lining of the skin that gives way to a membrane.

    Attributes:
        inner: (I,) its vertices, numbers in the skin.
        rim: (R,) the vertices around it.
        spread: (I, R) weights that put the membrane between the rim's vertices.
        ball: (B,) vertices of the eyeball behind it, numbers in the head model; empty for the
            mouth.
    """

    inner: np.ndarray
    rim: np.ndarray
    spread: np.ndarray
    ball: np.ndarray


@dataclass(frozen=True, slots=True)
class Level:
    """One step of refinement.

    Attributes:
        matrix: (F, S) sparse, fine from coarse vertices.
        triangles: (T, 3) int64 of the fine surface, wound as the head model's.
    """

    matrix: sparse.csr_matrix
    triangles: np.ndarray


class Template:
    """The closed skin of a head model and how it is refined.

    Args:
        model: the head model.
        steps: of refinement; each has four times as many triangles.

    Attributes:
        skin: (S,) numbers of the skin's vertices in the head model.
        triangles: (T, 3) of the skin, in its own numbers.
        levels: the steps; the first is coarse, the last is the fine surface.
    """

    def __init__(self, model: HeadModel, steps: int = 2) -> None:
        self._model = model
        self.skin, self.triangles = _largest_part(model)
        self._labels = model.labels[self.skin]
        self._hollows = [
            *(self._hollow(EYES, part) for part in self._parts(EYES)),
            *(self._hollow(MOUTH, part) for part in self._parts(MOUTH)),
        ]
        self.levels: list[Level] = []
        triangles, count = self.triangles, len(self.skin)
        for _ in range(steps):
            level = loop_step(triangles, count)
            self.levels.append(level)
            triangles, count = level.triangles, level.matrix.shape[0]

    def refined(self, values: np.ndarray, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Carry (S, …) values of the skin's vertices over the steps from start to stop."""
        result = values.reshape(len(values), -1)
        for level in self.levels[start:stop]:
            result = level.matrix @ result
        return np.asarray(result.reshape(len(result), *values.shape[1:]))

    def skin_labels(self) -> np.ndarray:
        """Return (S,) uint8 labels of the head model at the skin's vertices."""
        return self._labels

    def chart(self) -> np.ndarray:
        """Return (S, 2) texture places that give each part of the head room as it has skin.

        The head model's map is a disc with the face in its middle, which leaves a narrow ring to
        scalp and neck. Moved along its radii so that every ring has as much room as skin, scalp
        counted more, it stays symmetric and no triangle folds.
        """
        uv = self._model.uv[self.skin].astype(np.float64)
        low, high = uv.min(axis=0), uv.max(axis=0)
        middle, reach = (low + high) / 2, (high[0] - low[0]) / 2
        a, b, c = (self._model.vertices[self.skin][self.triangles[:, k]] for k in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
        area *= np.array(_ROOM)[self._labels[self.triangles]].min(axis=1)
        radius = np.linalg.norm(uv - middle, axis=1) / reach
        of_triangle = radius[self.triangles].mean(axis=1)
        rings = np.linspace(0, max(radius.max(), 1.0), _RINGS)
        room = np.histogram(of_triangle, rings, weights=area)[0] + 1e-3 * area.sum() / _RINGS
        wanted = np.sqrt(np.concatenate([[0], np.cumsum(room)]) / room.sum())
        factor = np.interp(radius, rings, wanted) / np.maximum(radius, 1e-9)
        spread = (uv - middle) / reach * factor[:, None] * (0.5 - _MARGIN)
        return spread + 0.5

    def laplacian(self, steps: int = 0) -> sparse.csc_matrix:
        """Return the (S, S) graph Laplacian of the skin after some steps of refinement."""
        triangles = self.levels[steps - 1].triangles if steps else self.triangles
        graph = edge_graph(triangles, int(triangles.max()) + 1)
        return (sparse.diags(np.asarray(graph.sum(axis=1)).ravel()) - graph).tocsc()

    def closed(self, vertices: np.ndarray) -> np.ndarray:
        """Return the (S, 3) skin of (V, 3) vertices of the head model, its hollows closed.

        Args:
            vertices: head space, mm.
        """
        skin = vertices[self.skin].astype(np.float64)
        for hollow in self._hollows:
            membrane = hollow.spread @ skin[hollow.rim]
            if len(hollow.ball):
                membrane = _over_ball(membrane, vertices[hollow.ball])
            else:
                membrane[:, 2] += _recess(membrane, skin[hollow.rim])
            skin[hollow.inner] = membrane
        return skin

    def _parts(self, label: int) -> list[np.ndarray]:
        """Return the connected parts of the skin that carry a label."""
        inside = np.flatnonzero(self._labels == label)
        edges = edges_of(self.triangles)
        edges = edges[np.isin(edges, inside).all(axis=1)]
        _, part = connected_components(_graph(edges, len(self.skin)), directed=False)
        numbers, counts = np.unique(part[inside], return_counts=True)
        return [inside[part[inside] == number] for number in numbers[counts > 8]]

    def _hollow(self, label: int, inner: np.ndarray) -> Hollow:
        edges = edges_of(self.triangles)
        edges = np.concatenate([edges, edges[:, ::-1]])
        rim = np.setdiff1d(edges[np.isin(edges[:, 0], inner), 1], inner)
        graph = _graph(edges, len(self.skin)).minimum(1)
        laplacian = (sparse.diags(np.asarray(graph.sum(axis=1)).ravel()) - graph).tocsr()
        rows = laplacian[inner]
        spread = -np.linalg.solve(rows[:, inner].toarray(), rows[:, rim].toarray())
        return Hollow(inner, rim, spread, self._ball_behind(inner, label))

    def _ball_behind(self, inner: np.ndarray, label: int) -> np.ndarray:
        if label != EYES:
            return np.zeros(0, np.int64)
        loose = np.setdiff1d(np.flatnonzero(self._model.labels == EYES), self.skin)
        side = np.sign(self._model.vertices[self.skin[inner], 0].mean())
        return loose[np.sign(self._model.vertices[loose, 0]) == side]


def loop_step(triangles: np.ndarray, count: int) -> Level:
    """One step of Loop's subdivision as a matrix, so that any values on vertices can be carried.

    Args:
        triangles: (T, 3) of a surface whose edges have one or two triangles.
        count: of its vertices.
    """
    half = np.sort(edges_of(triangles), axis=1)
    opposite = np.concatenate([triangles[:, 2], triangles[:, 0], triangles[:, 1]])
    edges, number, uses = np.unique(half, axis=0, return_inverse=True, return_counts=True)
    number = number.ravel()
    inside = uses == 2
    near = np.where(inside, 3 / 8, 1 / 2)
    every = np.arange(len(edges))
    far = inside[number]
    odd = sparse.coo_matrix(
        (
            np.concatenate([near, near, np.full(far.sum(), 1 / 8)]),
            (
                np.concatenate([every, every, number[far]]),
                np.concatenate([edges[:, 0], edges[:, 1], opposite[far]]),
            ),
        ),
        (len(edges), count),
    )
    a, b, c = np.split(number + count, 3)
    x, y, z = triangles.T
    parts = [[x, a, c], [a, y, b], [c, b, z], [a, b, c]]
    fine = np.concatenate([np.stack(part, axis=1) for part in parts])
    matrix = sparse.vstack([_even(edges, inside, count), odd]).tocsr()
    return Level(matrix, fine.astype(np.int64))


def _even(edges: np.ndarray, inside: np.ndarray, count: int) -> sparse.spmatrix:
    """Return the (count, count) matrix that moves the vertices that are kept."""
    graph = _graph(np.concatenate([edges, edges[:, ::-1]]), count)
    rim = edges[~inside]
    on_rim = np.zeros(count, bool)
    on_rim[rim] = True
    valence = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1)
    beta = (40 - (2 * np.cos(2 * np.pi / valence) + 3) ** 2) / (64 * valence)
    inner = sparse.diags(np.where(on_rim, 0, beta)) @ graph
    along = _graph(np.concatenate([rim, rim[:, ::-1]]), count) / 8
    own = np.where(on_rim, 3 / 4, 1 - valence * beta)
    return sparse.diags(own) + inner + along


def boundary_loop(triangles: np.ndarray) -> np.ndarray:
    """Return the vertices along the one open end of a surface, in the order of its triangles."""
    directed = edges_of(triangles)
    count = int(triangles.max()) + 1
    code = directed[:, 0] * count + directed[:, 1]
    alone = directed[~np.isin(code, directed[:, 1] * count + directed[:, 0])]
    following = dict(alone.tolist())
    loop = [int(alone[0, 0])]
    while following[loop[-1]] != loop[0]:
        loop.append(following[loop[-1]])
    return np.array(loop)


def _graph(edges: np.ndarray, count: int) -> sparse.csr_matrix:
    return sparse.coo_matrix((np.ones(len(edges)), edges.T), (count, count)).tocsr()


def _largest_part(model: HeadModel) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertices of the largest connected part, and its triangles in their numbers."""
    graph = _graph(edges_of(model.triangles), len(model.vertices))
    _, part = connected_components(graph, directed=False)
    chosen = part == np.bincount(part).argmax()
    vertices = np.flatnonzero(chosen)
    triangles = model.triangles[chosen[model.triangles[:, 0]]]
    return vertices, np.searchsorted(vertices, triangles)


def _over_ball(membrane: np.ndarray, ball: np.ndarray) -> np.ndarray:
    """Push a membrane out to the front of the sphere that fits the (B, 3) vertices best."""
    system = np.column_stack([2 * ball, np.ones(len(ball))])
    solution, *_ = np.linalg.lstsq(system, (ball**2).sum(axis=1), rcond=None)
    centre = solution[:3]
    radius = np.sqrt(solution[3] + centre @ centre) - _TUCK_MM
    offset = membrane - centre
    length = np.linalg.norm(offset, axis=1, keepdims=True)
    return centre + offset * np.maximum(radius / length, 1.0)


def _recess(membrane: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """Return how far behind the lips each place of the membrane over the mouth lies, mm."""
    high, low = np.percentile(rim[:, 1], [85, 15])
    away = np.linalg.norm(membrane[:, None] - rim, axis=2).min(axis=1)
    return _MOUTH_RECESS * np.minimum(away * 2, max(high - low, 0.0))
