"""Cut head, eyes, teeth and tongue out of the base mesh; everything stays linear in it."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from training.head_model.source import BaseMesh

# Parts of the head mesh.
SKIN, MOUTH, SOCKET, EYE, TEETH, TONGUE, COLLAR = range(7)

# What stays: all above the larynx, and a ball about the throat (place of the source). With
# this ball the rim follows one loop of edges, without steps.
LARYNX_Y_MM = -640.0
COLLAR_CENTRE_MM = np.array([0.0, -660.0, -50.0])
COLLAR_RADIUS_MM = 124.0


@dataclass(frozen=True, slots=True)
class Topology:
    """The head mesh as a linear function of the base mesh.

    Attributes:
        operator: (V, 19158) sparse, head vertices from base vertices.
        quads: (Q, 4) int32 corner numbers.
        triangles: (T, 3) int32, symmetric, counter-clockwise seen from outside.
        mirror: (V,) int32 the vertex on the other side.
        parts: (V,) uint8 part of each vertex (SKIN, MOUTH, …).
        skins: (T,) bool, triangles of the outer skin.
        base_ids: (V,) int64 base vertex of each vertex, −1 for those of the eyes.
    """

    operator: sparse.csr_matrix
    quads: np.ndarray
    triangles: np.ndarray
    mirror: np.ndarray
    parts: np.ndarray
    skins: np.ndarray
    base_ids: np.ndarray


def build_topology(base: BaseMesh) -> Topology:
    """Select the vertices and faces of the head and join the parts to one mesh."""
    skin = _body_quads(base)
    pieces = [skin, _group(base, "helper-upper-teeth"), _group(base, "helper-lower-teeth")]
    pieces.append(_front_of(base, _group(base, "helper-tongue"), depth_share=0.85))
    quads = np.concatenate(pieces)
    ids, quads = np.unique(quads, return_inverse=True)
    quads = quads.reshape(-1, 4)
    select = sparse.csr_matrix(
        (np.ones(len(ids)), (np.arange(len(ids)), ids)), shape=(len(ids), len(base.vertices))
    )
    operators, all_quads, count = [select], [quads], len(ids)
    for side in ("l", "r"):
        operator, eye_quads = _eye(base, _group(base, f"helper-{side}-eye"))
        operators.append(operator)
        all_quads.append(eye_quads + count)
        count += operator.shape[0]
    operator = sparse.vstack(operators).tocsr()
    vertices = operator @ base.vertices
    joined = np.concatenate(all_quads)
    mirror = _mirror_by_place(vertices)
    parts = _parts(base, ids, count)
    triangles = _symmetric_triangles(vertices, joined, mirror)
    return Topology(
        operator=operator,
        quads=joined.astype(np.int32),
        triangles=triangles.astype(np.int32),
        mirror=mirror.astype(np.int32),
        parts=parts,
        skins=_skin_triangles(parts, triangles),
        base_ids=np.concatenate([ids, np.full(count - len(ids), -1)]),
    )


def _group(base: BaseMesh, name: str) -> np.ndarray:
    return base.quads[base.groups == name]


def _body_quads(base: BaseMesh) -> np.ndarray:
    quads = _group(base, "body")
    corners = base.vertices[quads]
    near = np.linalg.norm(corners - COLLAR_CENTRE_MM, axis=2) < COLLAR_RADIUS_MM
    above = (corners[..., 1] < LARYNX_Y_MM) & (np.abs(corners[..., 0]) < 150.0)
    return _without_spikes(quads[(near | above).all(1)])


def _without_spikes(quads: np.ndarray) -> np.ndarray:
    """Drop faces that stick out of the rim: with two opposite or three free edges."""
    while True:
        pairs = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2)
        _, edge, count = np.unique(
            np.sort(pairs, axis=1), axis=0, return_inverse=True, return_counts=True
        )
        free = (count[edge] == 1).reshape(-1, 4)
        spike = (free[:, 0] & free[:, 2]) | (free[:, 1] & free[:, 3])
        if not spike.any():
            return quads
        quads = quads[~spike]


def _front_of(base: BaseMesh, quads: np.ndarray, depth_share: float) -> np.ndarray:
    """Keep the faces of a closed part whose corners lie in its front share."""
    depth = base.vertices[quads][..., 2]
    limit = depth.min() + depth_share * (depth.max() - depth.min())
    return quads[depth.max(1) <= limit]


def _eye(base: BaseMesh, quads: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Refine an eyeball once and keep its front; it stays linear in the base vertices."""
    ids, local = np.unique(quads, return_inverse=True)
    local = local.reshape(-1, 4)
    smooth, fine = subdivide(local, len(ids))
    centre = np.full((1, len(ids)), 1.0 / len(ids))
    points = base.vertices[ids]
    ball = smooth @ points
    middle = points.mean(0)
    grow = np.linalg.norm(points - middle, axis=1).mean()
    grow /= np.linalg.norm(ball - middle, axis=1).mean()
    ones = np.ones((smooth.shape[0], 1))
    swollen = grow * smooth + (1 - grow) * sparse.csr_matrix(ones @ centre)
    ball = swollen @ points
    front = fine[ball[fine][..., 2].max(1) <= middle[2] + 1e-6]
    kept, front = np.unique(front, return_inverse=True)
    spread = sparse.csr_matrix(
        (np.ones(len(ids)), (np.arange(len(ids)), ids)), shape=(len(ids), len(base.vertices))
    )
    return (sparse.csr_matrix(swollen)[kept] @ spread).tocsr(), front.reshape(-1, 4)


def subdivide(quads: np.ndarray, count: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Refine a closed quad mesh once by the rules of Catmull and Clark.

    Args:
        quads: (Q, 4) corner numbers of a closed mesh.
        count: number of vertices.

    Returns:
        Sparse matrix new from old vertices (old ones, then edges, then faces), and (4Q, 4)
        corner numbers.
    """
    pairs = np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2)
    edges, edge_of = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True)
    edge_of = edge_of.reshape(-1, 4)
    faces = _incidence(np.repeat(np.arange(len(quads)), 4), quads.ravel(), len(quads), count) / 4
    middles = _incidence(np.repeat(np.arange(len(edges)), 2), edges.ravel(), len(edges), count) / 2
    edge_faces = _incidence(
        edge_of.ravel(), np.repeat(np.arange(len(quads)), 4), len(edges), len(quads)
    )
    edge_points = (middles + edge_faces @ faces / 2) / 2
    valence = np.bincount(quads.ravel(), minlength=count).astype(float)
    face_mean = sparse.diags(1 / valence) @ (faces.T > 0).astype(float) @ faces
    edge_mean = sparse.diags(1 / valence) @ (middles.T > 0).astype(float) @ middles
    weights = sparse.diags(1 / valence)
    identity = sparse.identity(count)
    moved = weights @ (face_mean + 2 * edge_mean) + sparse.diags(1 - 3 / valence) @ identity
    matrix = sparse.vstack([moved, edge_points, faces]).tocsr()
    face_ids = count + len(edges) + np.arange(len(quads))
    fine = [
        np.stack([quads[:, k], count + edge_of[:, k], face_ids, count + edge_of[:, k - 1]], axis=1)
        for k in range(4)
    ]
    return matrix, np.concatenate(fine)


def _incidence(rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> sparse.csr_matrix:
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(height, width))


def _mirror_by_place(vertices: np.ndarray) -> np.ndarray:
    """Pair the vertices of a symmetric mesh by position; raise when one has no partner."""
    distance, partner = cKDTree(vertices).query(vertices * [-1, 1, 1])
    if distance.max() > 1e-3 or (partner[partner] != np.arange(len(vertices))).any():
        raise ValueError(f"the mesh is not symmetric: {distance.max():.4f} mm")
    return partner


def _parts(base: BaseMesh, ids: np.ndarray, count: int) -> np.ndarray:
    """Name the part of each vertex by group and by island of the source's texture map."""
    parts = np.full(len(base.vertices), SKIN, np.uint8)
    body = base.groups == "body"
    island = _uv_islands(base.quad_uv[body], len(base.uv))
    corners, islands = base.quads[body].ravel(), island[base.quad_uv[body].ravel()]
    owner = np.full(len(base.vertices), -1)
    heights = base.vertices[:, 1]
    names = _island_parts(base, corners, islands)
    for name in (COLLAR, SOCKET, MOUTH, SKIN):  # the skin wins where islands meet
        chosen = np.isin(islands, [key for key, part in names.items() if part == name])
        owner[corners[chosen]] = name
    parts[owner >= 0] = owner[owner >= 0]
    parts[(parts == COLLAR) & (heights < -700.0)] = SKIN
    for group, name in (
        ("helper-upper-teeth", TEETH),
        ("helper-lower-teeth", TEETH),
        ("helper-tongue", TONGUE),
    ):
        parts[np.unique(_group(base, group))] = name
    return np.concatenate([parts[ids], np.full(count - len(ids), EYE, np.uint8)])


def _uv_islands(quad_uv: np.ndarray, count: int) -> np.ndarray:
    pairs = np.stack([quad_uv, np.roll(quad_uv, -1, axis=1)], axis=2).reshape(-1, 2)
    graph = _incidence(pairs[:, 0], pairs[:, 1], count, count)
    return sparse.csgraph.connected_components(graph, directed=False)[1]


def _island_parts(base: BaseMesh, corners: np.ndarray, islands: np.ndarray) -> dict[int, int]:
    """Tell the islands apart by a vertex that each holds for certain."""
    eyes = [base.joints["joint-l-eye"], base.joints["joint-r-eye"]]
    names: dict[int, int] = {}
    for island in np.unique(islands):
        points = base.vertices[corners[islands == island]]
        middle, spread = points.mean(0), np.ptp(points, axis=0)
        if any(np.linalg.norm(middle - eye) < 20 for eye in eyes) and spread.max() < 50:
            names[int(island)] = SOCKET
        elif spread[0] < 90 and -720 < middle[1] < -620 and spread.max() < 120:
            names[int(island)] = MOUTH
        elif points[:, 1].min() < -800:
            names[int(island)] = SKIN
        else:
            names[int(island)] = COLLAR
    return names


def _skin_triangles(parts: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    return np.isin(parts[triangles], (SKIN, COLLAR)).all(1)


def _symmetric_triangles(vertices: np.ndarray, quads: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Split quads along the shorter diagonal on one side and alike on the other."""
    first = np.linalg.norm(vertices[quads[:, 0]] - vertices[quads[:, 2]], axis=1)
    second = np.linalg.norm(vertices[quads[:, 1]] - vertices[quads[:, 3]], axis=1)
    cut_first = first <= second
    key = np.sort(quads, axis=1)
    twin_key = np.sort(mirror[quads], axis=1)
    row = {tuple(corners): number for number, corners in enumerate(key)}
    right = vertices[quads][..., 0].mean(1) < 0
    for number in np.flatnonzero(right):
        twin = row[tuple(twin_key[number])]
        cut = (0, 2) if cut_first[twin] else (1, 3)
        diagonal = set(mirror[quads[twin, list(cut)]])
        cut_first[number] = diagonal == set(quads[number, [0, 2]])
    a, b = quads[cut_first], quads[~cut_first]
    return np.concatenate([a[:, [0, 1, 2]], a[:, [0, 2, 3]], b[:, [0, 1, 3]], b[:, [1, 2, 3]]])
