"""The Tutte map, the region labels and the scalp weight of the mean head."""

import numpy as np
from scipy import sparse
from scipy.interpolate import PchipInterpolator
from scipy.sparse.linalg import spsolve

from training.head_model.topology import (
    COLLAR,
    EYE,
    MOUTH,
    SOCKET,
    TEETH,
    TONGUE,
    Topology,
)

FACE, SCALP, EAR, NECK, MOUTH_INTERIOR, EYES = range(1, 7)
SCALP_RISE_MM = 25.0  # from the hairline to full weight

# Hairline of an adult: angle about the vertical axis through the cranium (0 front, 180 back)
# against height above the ear hole as a share of the height of the crown above it.
HAIRLINE_AZIMUTH = np.array([0, 18, 34, 46, 56, 64, 72, 84, 96, 108, 118, 135, 180])
HAIRLINE_HEIGHT = np.array(
    [0.64, 0.64, 0.66, 0.60, 0.46, 0.30, 0.10, 0.10, 0.16, 0.02, -0.22, -0.34, -0.40]
)

# Circle or ellipse of each piece in the map: centre u, v, radii.
HEAD_DISC = (0.5, 0.44, 0.43, 0.43)
EYE_DISC = (0.07, 0.07, 0.06, 0.06)
TEETH_STRIPS = ((0.5, 0.900, 0.25, 0.014), (0.5, 0.933, 0.25, 0.014))
TONGUE_DISC = (0.5, 0.974, 0.20, 0.022)


def edges_of(quads: np.ndarray) -> np.ndarray:
    """List the edges of a quad mesh once: (E, 2)."""
    pairs = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2)
    return np.unique(np.sort(pairs, axis=1), axis=0)


def tutte_map(topology: Topology, vertices: np.ndarray) -> np.ndarray:
    """Embed the mesh in the unit square after Tutte, symmetric about u = 0.5.

    The skin with the linings of mouth and eye sockets is one disc whose rim is the collar;
    eyeballs, teeth and tongue get discs of their own. u grows with x; v grows downward in
    the face.

    Returns:
        (V, 2) float64, 0…1.
    """
    uv = np.zeros((len(vertices), 2))
    edges = edges_of(topology.quads)
    graph = _graph(edges, len(vertices))
    _, piece = sparse.csgraph.connected_components(graph, directed=False)
    for number in np.unique(piece):
        members = np.flatnonzero(piece == number)
        disc = _disc(topology, vertices, members)
        uv[members] = _embed(topology.triangles, vertices, topology.parts, members, disc)
    return (uv + _flip(uv[topology.mirror])) / 2


def _flip(uv: np.ndarray) -> np.ndarray:
    return uv * [-1, 1] + [1, 0]


def _graph(edges: np.ndarray, count: int) -> sparse.csr_matrix:
    ones = np.ones(len(edges))
    half = sparse.csr_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(count, count))
    return half + half.T


def _disc(
    topology: Topology, vertices: np.ndarray, members: np.ndarray
) -> tuple[float, float, float, float]:
    part = topology.parts[members[0]]
    if part == EYE:
        u, v, ru, rv = EYE_DISC
        return (1 - u if vertices[members, 0].mean() > 0 else u), v, ru, rv
    if part == TEETH:
        upper = vertices[members, 1].mean() < vertices[topology.parts == TEETH, 1].mean()
        return TEETH_STRIPS[0 if upper else 1]
    return TONGUE_DISC if part == TONGUE else HEAD_DISC


def _embed(
    triangles: np.ndarray,
    vertices: np.ndarray,
    parts: np.ndarray,
    members: np.ndarray,
    disc: tuple[float, float, float, float],
) -> np.ndarray:
    local = np.full(len(vertices), -1)
    local[members] = np.arange(len(members))
    faces = local[triangles[np.isin(triangles[:, 0], members)]]
    rim = boundary_loop(faces)
    points = vertices[members]
    start = _rim_start(points[rim])
    rim = np.roll(rim, -start)
    length = np.linalg.norm(np.diff(points[np.append(rim, rim[0])], axis=0), axis=1)
    turn = 2 * np.pi * np.append(0, np.cumsum(length)[:-1]) / length.sum()
    if points[rim[len(rim) // 4], 0] < points[rim[0], 0]:
        turn = -turn
    # The start is the front middle of the rim: lowest in the map.
    place = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    flat = _solve_map(points, faces, rim, place)
    if disc == HEAD_DISC:
        spread = _spread_radially(_centred(flat, points), points, faces, parts[members])
        # Solved once more with the weights of its own layout: the same map, without folds.
        flat = _solve_map(np.pad(spread, ((0, 0), (0, 1))), faces, rim, spread[rim])
    return flat * disc[2:] + disc[:2]


def _solve_map(
    points: np.ndarray, faces: np.ndarray, rim: np.ndarray, place: np.ndarray
) -> np.ndarray:
    """Put every inner vertex at a convex mean of its neighbours (Tutte, Floater): (n, 2).

    The mean value weights of Floater keep shapes; being positive they never fold.
    """
    weights = _mean_value_weights(points, faces)
    laplacian = (sparse.diags(np.asarray(weights.sum(1)).ravel()) - weights).tocsr()
    inner = np.setdiff1d(np.arange(len(points)), rim)
    flat = np.zeros((len(points), 2))
    flat[rim] = place
    flat[inner] = spsolve(laplacian[inner][:, inner].tocsc(), -(laplacian[inner][:, rim] @ place))
    return flat


def _mean_value_weights(points: np.ndarray, faces: np.ndarray) -> sparse.csr_matrix:
    """Weight of neighbour j for vertex i: the tangents of half the angles at i beside ij."""
    rows, columns, values = [], [], []
    for corner in range(3):
        i, j, k = (faces[:, (corner + step) % 3] for step in range(3))
        to_j, to_k = points[j] - points[i], points[k] - points[i]
        length_j, length_k = np.linalg.norm(to_j, axis=1), np.linalg.norm(to_k, axis=1)
        cosine = np.clip((to_j * to_k).sum(1) / (length_j * length_k), -0.9999, 0.9999)
        tangent = np.sqrt((1 - cosine) / (1 + cosine))
        rows += [i, i]
        columns += [j, k]
        values += [tangent / length_j, tangent / length_k]
    count = len(points)
    return sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (count, count)
    )


def _centred(flat: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Bring the front of the face to the middle of the unit disc (a Möbius map)."""
    front = points[:, 2] < points[:, 2].min() + 75.0
    place = flat[:, 0] + 1j * flat[:, 1]
    middle = 1j * place[front].imag.mean()
    moved = (place - middle) / (1 - np.conj(middle) * place)
    return np.stack([moved.real, moved.imag], axis=1)


def _spread_radially(
    flat: np.ndarray, points: np.ndarray, faces: np.ndarray, parts: np.ndarray
) -> np.ndarray:
    """Stretch the disc along its radii until each ring has the area that it should."""
    radius = np.linalg.norm(flat, axis=1)
    order = np.argsort(radius)
    share = np.cumsum(_wanted_areas(points, faces, parts)[order])
    bins = np.linspace(0, 1, 40)
    sampled = np.interp(np.quantile(radius, bins), radius[order], np.sqrt(share / share[-1]))
    sampled[0], sampled[-1] = 0.0, 1.0
    wanted = PchipInterpolator(*_increasing(np.quantile(radius, bins), sampled))(radius)
    return flat * (wanted / np.maximum(radius, 1e-12))[:, None]


def _increasing(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.concatenate([[0.0], x[1:-1], [1.0]])
    keep = np.concatenate([[True], np.diff(x) > 1e-6])
    return x[keep], np.maximum.accumulate(y[keep]) + 1e-6 * np.arange(keep.sum())


def _wanted_areas(points: np.ndarray, faces: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Area that each vertex should have in the map: its own, more for the front of the face."""
    corners = points[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.bincount(
        faces.ravel(), np.repeat(np.linalg.norm(normal, axis=1), 3), minlength=len(points)
    )
    front = np.clip((points[:, 2].min() + 110.0 - points[:, 2]) / 60.0, 0, 1)
    area *= np.where(np.isin(parts, (MOUTH, SOCKET)), 0.1, 0.5 + 1.0 * front)
    return area


def _rim_start(rim: np.ndarray) -> int:
    """Find the lowest front point of a rim that is nearest to its middle plane."""
    middle = (rim[:, 0].min() + rim[:, 0].max()) / 2
    score = np.abs(rim[:, 0] - middle) * 10 + rim[:, 2] - rim[:, 1]
    return int(np.argmin(score))


def boundary_loop(faces: np.ndarray) -> np.ndarray:
    """Walk the only boundary of a mesh once.

    Raises:
        ValueError: when the boundary is not one loop.
    """
    pairs = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)
    _, first, count = np.unique(
        np.sort(pairs, axis=1), axis=0, return_index=True, return_counts=True
    )
    border = pairs[first[count == 1]]
    step = dict(border.tolist())
    loop = [int(border[0, 0])]
    while step[loop[-1]] != loop[0]:
        loop.append(step[loop[-1]])
    if len(loop) != len(border):
        raise ValueError(f"{len(border)} border edges, but a loop of {len(loop)}")
    return np.array(loop)


def label_regions(
    topology: Topology, vertices: np.ndarray, ears: np.ndarray, jaw: np.ndarray
) -> np.ndarray:
    """Name the region of each vertex.

    Args:
        topology: the head mesh.
        vertices: (V, 3) mean head, origin in the middle of the cranium.
        ears: (V,) bool, the ears.
        jaw: (J, 2) side view (z, y) of the line between face and neck, front to back.

    Returns:
        (V,) uint8: 1 face skin, 2 scalp, 3 ear, 4 neck, 5 mouth interior, 6 eyes.
    """
    labels = np.full(len(vertices), FACE, np.uint8)
    labels[height_above_hairline(vertices, ears) > 0] = SCALP
    line = np.interp(vertices[:, 2], jaw[:, 0], jaw[:, 1])
    labels[(vertices[:, 1] > line) & (labels != SCALP)] = NECK
    ear_middle = vertices[ears].mean(0)
    behind = (labels == FACE) & (vertices[:, 2] > ear_middle[2]) & (vertices[:, 1] > ear_middle[1])
    labels[behind] = NECK
    labels[ears] = EAR
    labels[np.isin(topology.parts, (MOUTH, TEETH, TONGUE))] = MOUTH_INTERIOR
    labels[np.isin(topology.parts, (EYE, SOCKET))] = EYES
    labels[(topology.parts == COLLAR) & (labels != EAR)] = NECK
    return labels


def height_above_hairline(vertices: np.ndarray, ears: np.ndarray) -> np.ndarray:
    """Height over the hairline as a share of the cranium's height over the ear hole."""
    ear_hole = vertices[ears].mean(0) * [0, 1, 1]
    crown = vertices[:, 1].min()
    azimuth = np.degrees(np.arctan2(np.abs(vertices[:, 0]), -(vertices[:, 2] - ear_hole[2])))
    height = (ear_hole[1] - vertices[:, 1]) / (ear_hole[1] - crown)
    return height - np.interp(azimuth, HAIRLINE_AZIMUTH, HAIRLINE_HEIGHT)


def scalp_weight(
    topology: Topology, vertices: np.ndarray, labels: np.ndarray, ears: np.ndarray
) -> np.ndarray:
    """Weigh the scalp by its distance along the surface from the hairline: (V,) 0…1.

    The hairline crosses edges between vertices, so the distance starts at the crossings.
    """
    height = height_above_hairline(vertices, ears)
    edges = edges_of(topology.quads)
    links = np.concatenate([edges, topology.quads[:, [0, 2]], topology.quads[:, [1, 3]]])
    length = np.linalg.norm(vertices[links[:, 0]] - vertices[links[:, 1]], axis=1)
    start = _distance_to_crossing(links, length, height, labels == SCALP)
    count = len(vertices)
    seeds = np.flatnonzero(np.isfinite(start))
    rows = np.concatenate([links[:, 0], np.full(len(seeds), count)])
    columns = np.concatenate([links[:, 1], seeds])
    weights = np.concatenate([length, np.maximum(start[seeds], 1e-6)])
    graph = sparse.csr_matrix((weights, (rows, columns)), shape=(count + 1, count + 1))
    distance = sparse.csgraph.dijkstra(graph, directed=False, indices=count)[:count]
    share = np.clip(distance / SCALP_RISE_MM, 0, 1)
    weight = share * share * (3 - 2 * share)
    weight[labels != SCALP] = 0
    return (weight + weight[topology.mirror]) / 2


def _distance_to_crossing(
    links: np.ndarray, length: np.ndarray, height: np.ndarray, scalp: np.ndarray
) -> np.ndarray:
    """Distance of each scalp vertex to where an edge of it leaves the scalp; inf elsewhere."""
    start = np.full(len(height), np.inf)
    for inner, outer in (links.T, links.T[::-1]):
        leaves = scalp[inner] & ~scalp[outer]
        here, there = height[inner[leaves]], height[outer[leaves]]
        share = np.where(there < 0, here / np.maximum(here - there, 1e-9), 1.0)
        np.minimum.at(start, inner[leaves], np.clip(share, 0, 1) * length[leaves])
    return start
