"""The mesh of a face for moving it: the tracked points, triangulated, open at lids and lips.

The tracked points lie on the margins of lids and lips themselves, so a mesh over them can be cut
there. It is refined by Loop's subdivision (smooth inside); its borders are interpolated by
four points, and keep their corners.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import Delaunay

from stream.head_model import HeadModel
from stream.triangles import border_edges, edges_of, subdivided

POINTS = 468  # without the irises
_PARTED = 0.6  # of jawOpen, at which the lips are far apart
_DRAWN_IN = 0.12  # share of the way to the middle of the mouth


def _numbers(text: str) -> np.ndarray:
    return np.fromstring(text, dtype=int, sep=" ")


@dataclass(frozen=True, slots=True)
class Opening:
    """An opening of the face: two borders that share their ends.

    Attributes:
        upper, lower: numbers of points from the right of the person to the left, as many each.
    """

    upper: np.ndarray
    lower: np.ndarray

    @property
    def loop(self) -> np.ndarray:
        """All its points, once each, in order around it."""
        return np.concatenate([self.upper, self.lower[-2:0:-1]])


MOUTH = Opening(
    _numbers("78 191 80 81 82 13 312 311 310 415 308"),
    _numbers("78 95 88 178 87 14 317 402 318 324 308"),
)
RIGHT_EYE = Opening(
    _numbers("33 246 161 160 159 158 157 173 133"), _numbers("33 7 163 144 145 153 154 155 133")
)
LEFT_EYE = Opening(
    _numbers("362 398 384 385 386 387 388 466 263"),
    _numbers("362 382 381 380 374 373 390 249 263"),
)
OPENINGS = (MOUTH, RIGHT_EYE, LEFT_EYE)
RIGHT_IRIS, LEFT_IRIS = _numbers("468 469 470 471 472"), _numbers("473 474 475 476 477")
OVAL = _numbers(
    "10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377 152 148 176 149 150 "
    "136 172 58 132 93 234 127 162 21 54 103 67 109"
)


@dataclass(frozen=True, slots=True)
class FaceLayout:
    """The refined mesh.

    Attributes:
        refine: (N, 468) sparse, what makes a value at a vertex out of those at the points.
        triangles: (T, 3) int32.
        openings: the borders of mouth, right eye and left eye, as vertices.
        rim: (N,) bool, vertices of the face's outline.
    """

    refine: sparse.csr_matrix
    triangles: np.ndarray
    openings: tuple[Opening, ...]
    rim: np.ndarray


def face_triangles(model: HeadModel) -> np.ndarray:
    """Triangulate the tracked points inside the outline, without the openings.

    The mean face is unrolled with its mouth open, so that no triangle spans the lips.

    Returns:
        (T, 3) int32 numbers of points.

    Raises:
        ValueError: if the points of the model lie so that a border is cut.
    """
    units = np.zeros(len(model.expression_names), np.float32)
    if "jawOpen" in model.expression_names:
        units[model.expression_names.index("jawOpen")] = _PARTED
    points = model.points478(None, units)[:POINTS].astype(float)
    around = np.arctan2(points[:, 0], 20.0 - points[:, 2])
    flat = np.stack([around * 90.0, points[:, 1]], axis=1)
    inner = MOUTH.loop  # away from the rings around it, which come close at the corners
    flat[inner] += _DRAWN_IN * (flat[inner].mean(axis=0) - flat[inner])
    triangles = Delaunay(flat).simplices.astype(np.int32)
    for loop in (OVAL, *(opening.loop for opening in OPENINGS)):
        triangles = triangles[~np.isin(triangles, loop).all(axis=1)]
    edges = {tuple(edge) for edge in np.sort(edges_of(triangles), axis=1).tolist()}
    for opening in OPENINGS:
        around_it = np.stack([opening.loop, np.roll(opening.loop, -1)], axis=1)
        if not all(tuple(edge) in edges for edge in np.sort(around_it, axis=1).tolist()):
            raise ValueError("face_triangles: the border of an opening is cut by the mesh")
    return triangles


def face_layout(model: HeadModel, rounds: int = 2) -> FaceLayout:
    """Return the mesh for the tracked points of a head model, refined so many times."""
    triangles = face_triangles(model)
    borders = list(OPENINGS)
    corners = {int(end) for opening in OPENINGS for end in (opening.upper[0], opening.upper[-1])}
    refine = sparse.identity(POINTS, format="csr")
    for _ in range(rounds):
        step, triangles, middles = subdivided(triangles, refine.shape[0], corners)
        refine = (step @ refine).tocsr()
        borders = [
            Opening(_finer(one.upper, middles), _finer(one.lower, middles)) for one in borders
        ]
    inner = np.concatenate([one.loop for one in borders])
    rim = np.zeros(refine.shape[0], bool)
    rim[np.unique(border_edges(triangles))] = True
    rim[inner] = False
    return FaceLayout(refine, triangles, tuple(borders), rim)


def grid_triangles(rows: int, columns: int) -> np.ndarray:
    """Return (T, 3) int32 triangles of a grid: the upper left ones, then the lower right ones."""
    node = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = node[:-1, :-1], node[:-1, 1:], node[1:, :-1], node[1:, 1:]
    halves = (a, c, b), (d, b, c)
    return np.concatenate([np.stack(half, axis=-1).reshape(-1, 3) for half in halves])


def _finer(border: np.ndarray, middles: dict[tuple[int, int], int]) -> np.ndarray:
    """Put the new vertices between the old ones of a border."""
    between = [
        middles[min(a, b), max(a, b)]
        for a, b in zip(border[:-1].tolist(), border[1:].tolist(), strict=True)
    ]
    finer = np.empty(2 * len(border) - 1, int)
    finer[::2], finer[1::2] = border, between
    return finer
