"""Lay the canonical face mesh on the mean head: first places of the 478 tracked points."""

from dataclasses import dataclass
from pathlib import Path

import igl
import numpy as np
from scipy import sparse
from scipy.interpolate import RBFInterpolator
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from training.head_model.basis import rigid
from training.head_model.surface import edges_of
from training.head_model.topology import EYE, MOUTH, SKIN, SOCKET, Topology

POINTS = 478
CORNER_MM = np.array([1.0, 0, 0.5])  # from the inner to the outer corner of the mouth
# Rings of the canonical mesh, from the outer corner over the upper lid and back below.
RIGHT_LID = [33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7]
LEFT_LID = [263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249]
IRIS = range(468, 478)
FACE_OVAL = [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
]  # fmt: skip
# iBUG points 0…67 among the 478.
IBUG = [
    127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Canonical:
    """MediaPipe's canonical face: (478, 3) mm in head axes, (T, 3) triangles, mirror (478,)."""

    vertices: np.ndarray
    triangles: np.ndarray
    mirror: np.ndarray


@dataclass(frozen=True, slots=True)
class Embedding:
    """Points on the surface: (N,) triangle numbers and (N, 3) barycentric weights."""

    triangle: np.ndarray
    bary: np.ndarray

    def places(self, vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
        """Positions of the points on a shape: (N, 3)."""
        return np.einsum("nk,nkd->nd", self.bary, vertices[triangles[self.triangle]])

    def take(self, rows: list[int]) -> "Embedding":
        """Pick some of the points."""
        return Embedding(self.triangle[rows], self.bary[rows])


def read_canonical(path: Path) -> Canonical:
    """Read the canonical face mesh with irises from its OBJ file."""
    vertices, triangles = [], []
    for line in path.read_text().splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "f":
            triangles.append([int(word.split("/")[0]) - 1 for word in words[:3]])
    points = np.array(vertices) * [10.0, -10.0, -10.0]
    return Canonical(points, np.array(triangles), _mirror(points))


def _mirror(points: np.ndarray) -> np.ndarray:
    distance, partner = cKDTree(points).query(points * [-1, 1, 1])
    if distance.max() > 3.0 or (partner[partner] != np.arange(len(points))).any():
        raise ValueError("the canonical mesh has points without a partner on the other side")
    return partner


def landmarks(topology: Topology, vertices: np.ndarray) -> dict[int, np.ndarray]:
    """Find where some canonical points lie on the mean head, by shape alone.

    Returns:
        Place (3,) by number of the canonical point.
    """
    found: dict[int, np.ndarray] = {}
    rims = {part: _rim(topology, part) for part in (MOUTH, SOCKET)}
    lids = vertices[rims[SOCKET]]
    found.update(_lid_places(lids[lids[:, 0] > 0], LEFT_LID))
    found.update(_lid_places(lids[lids[:, 0] < 0], RIGHT_LID))
    mouth = vertices[rims[MOUTH]]
    left, right = mouth[mouth[:, 0].argmax()], mouth[mouth[:, 0].argmin()]
    found.update({308: left, 78: right})
    found[291], found[61] = left + CORNER_MM, right + CORNER_MM * [-1, 1, 1]
    found.update(_profile_places(topology, vertices, mouth))
    return found


def _rim(topology: Topology, part: int) -> np.ndarray:
    """Vertices of the skin that border on a part."""
    edges = edges_of(topology.quads)
    kinds = topology.parts[edges]
    across = (kinds == SKIN).any(1) & (kinds == part).any(1)
    chosen = edges[across]
    return np.unique(chosen[topology.parts[chosen] == SKIN])


def _lid_places(rim: np.ndarray, ring: list[int]) -> dict[int, np.ndarray]:
    """Spread the 16 points of a lid ring over a rim by their share of its width."""
    side = np.sign(rim[:, 0].mean())
    outer = rim[(side * rim[:, 0]).argmax()]
    inner = rim[(side * rim[:, 0]).argmin()]
    chord = outer[1] + (rim[:, 0] - outer[0]) / (inner[0] - outer[0]) * (inner[1] - outer[1])
    shares = np.array([0, 0.05, 0.15, 0.31, 0.50, 0.70, 0.86, 0.95, 1.0])
    places = {}
    for half, numbers in (
        (rim[:, 1] <= chord, ring[:9]),
        (rim[:, 1] >= chord, ring[8:] + ring[:1]),
    ):
        line = rim[half][np.argsort(side * -rim[half, 0])]
        run = (line[:, 0] - outer[0]) / (inner[0] - outer[0])
        wanted = shares if numbers[0] == ring[0] else shares[::-1]
        for number, share in zip(numbers, wanted, strict=True):
            places[number] = np.array([np.interp(share, run, line[:, axis]) for axis in range(3)])
    return places


def _profile_places(
    topology: Topology, vertices: np.ndarray, mouth: np.ndarray
) -> dict[int, np.ndarray]:
    """Find points of the middle line from the turns of the profile."""
    middle = (np.abs(vertices[:, 0]) < 1e-6) & (topology.parts == SKIN)
    line = vertices[middle]
    tip = line[line[:, 2].argmin()]
    line = line[line[:, 2] < tip[2] + 70]
    line = line[np.argsort(line[:, 1])]
    eye_y = vertices[topology.parts == EYE, 1].mean()
    slit = mouth[np.abs(mouth[:, 0]) < 1e-6][:, 1].mean()

    def at(height: float) -> np.ndarray:
        return line[np.abs(line[:, 1] - height).argmin()]

    def turn(low: float, high: float, sign: float) -> np.ndarray:
        part = line[(line[:, 1] > low) & (line[:, 1] < high)]
        return part[(sign * part[:, 2]).argmin()]

    base = turn(tip[1] + 6, slit - 8, -1.0)
    return {
        4: tip,
        2: base,
        0: at(slit - 10.0),
        13: turn(slit - 4, slit - 0.3, 1.0),
        14: turn(slit + 0.3, slit + 5, 1.0),
        17: at(slit + 12.5),
        6: at(eye_y + 1.0),
        168: at(eye_y - 6.5),
        10: at(eye_y - 57.0),
        199: turn(slit + 20, slit + 36, 1.0),
        152: line[line[:, 1].argmax()],
    }


def register(topology: Topology, vertices: np.ndarray, canonical: Canonical) -> Embedding:
    """Bend the canonical mesh onto the mean head and read off where its points touch it."""
    known = landmarks(topology, vertices)
    numbers = np.array(sorted(known))
    aims = np.array([known[number] for number in numbers])
    moved = _similarity(canonical.vertices, canonical.vertices[numbers], aims)
    skin = topology.triangles[topology.skins]
    loose = np.ones(len(moved))
    loose[list(IRIS)] = 0.01
    moved = wrap(moved, canonical.triangles, Pins(numbers, aims), vertices, skin, loose)
    moved = (moved + moved[canonical.mirror] * [-1, 1, 1]) / 2
    return embed_points(topology, vertices, _place_irises(topology, vertices, moved))


@dataclass(frozen=True, slots=True)
class Pins:
    """Vertices (n,) of a mesh whose aims (n, 3) are known."""

    numbers: np.ndarray
    aims: np.ndarray


def wrap(
    moved: np.ndarray,
    triangles: np.ndarray,
    pins: Pins,
    target: np.ndarray,
    target_triangles: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Bend a mesh onto another: first with its pins, then towards closest points.

    Args:
        moved: (N, 3) mesh, about in place.
        triangles: (T, 3) of it.
        pins: what is known.
        target: (M, 3) vertices of the surface to lie on.
        target_triangles: (S, 3) of it.
        weights: (N,) how much each vertex is drawn to the surface; 1 when absent.

    Returns:
        (N, 3) bent mesh.
    """
    bend = RBFInterpolator(moved[pins.numbers], pins.aims - moved[pins.numbers], smoothing=1.0)
    moved = moved + bend(moved)
    weights = np.ones(len(moved)) if weights is None else weights
    for stiffness in (30.0, 10.0, 3.0, 1.0, 0.3):
        for _ in range(3):
            _, _, touch = igl.point_mesh_squared_distance(moved, target, target_triangles)
            moved = _relax(moved, triangles, touch, pins, weights, stiffness)
    return moved


def _similarity(points: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    spread = np.linalg.norm(target - target.mean(0)) / np.linalg.norm(source - source.mean(0))
    rotation, shift = rigid(source * spread, target, np.ones(len(source)))
    return points * spread @ rotation.T + shift


def _relax(
    moved: np.ndarray,
    triangles: np.ndarray,
    touch: np.ndarray,
    pins: Pins,
    weights: np.ndarray,
    stiffness: float,
) -> np.ndarray:
    """Step to the touched places while neighbours move alike."""
    edges = edges_of(triangles)
    count = len(moved)
    graph = sparse.csr_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count))
    graph = graph + graph.T
    laplacian = sparse.diags(np.asarray(graph.sum(1)).ravel()) - graph
    weights, aim = weights.copy(), touch.copy()
    weights[pins.numbers], aim[pins.numbers] = 20.0, pins.aims
    matrix = sparse.diags(weights) + stiffness * laplacian.T @ laplacian
    return moved + spsolve(matrix.tocsc(), weights[:, None] * (aim - moved))


def _place_irises(topology: Topology, vertices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Put the iris points on the front of the eyeballs: a centre and a ring of 5.9 mm."""
    points = points.copy()
    eyes = vertices[topology.parts == EYE]
    ring = 5.9 * np.array([[0, 0], [1, 0], [0, -1], [-1, 0], [0, 1]])
    for first, side in ((468, -1), (473, 1)):
        ball = eyes[np.sign(eyes[:, 0]) == side]
        centre = (ball.min(0) + ball.max(0)) / 2
        points[first : first + 5, :2] = centre[:2] + ring  # both rings start at +x
        points[first : first + 5, 2] = ball[:, 2].min()
    return points


def embed_points(topology: Topology, vertices: np.ndarray, points: np.ndarray) -> Embedding:
    """Find the closest surface points: irises on the eyeballs, the rest on the outer skin."""
    triangle = np.zeros(len(points), np.int32)
    bary = np.zeros((len(points), 3))
    eyes = (topology.parts[topology.triangles] == EYE).all(1)
    iris = np.zeros(len(points), bool)
    iris[list(IRIS)] = True
    for chosen, allowed in ((iris, eyes), (~iris, topology.skins)):
        rows = np.flatnonzero(allowed)
        faces = topology.triangles[rows]
        _, hit, place = igl.point_mesh_squared_distance(points[chosen], vertices, faces)
        triangle[chosen] = rows[hit]
        corners = vertices[faces[hit]]
        bary[chosen] = barycentric(place, corners)
    return Embedding(triangle, bary)


def barycentric(places: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric weights (N, 3) of places (N, 3) in triangles (N, 3, 3), clipped to them."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    offset = places - corners[:, 0]
    a, b, c = (first**2).sum(1), (first * second).sum(1), (second**2).sum(1)
    d, e = (offset * first).sum(1), (offset * second).sum(1)
    determinant = np.maximum(a * c - b * b, 1e-12)
    v, w = (c * d - b * e) / determinant, (a * e - b * d) / determinant
    weights = np.clip(np.stack([1 - v - w, v, w], axis=1), 0, 1)
    return weights / weights.sum(1, keepdims=True)
