"""Triangles of meshes: over grids, and finer ones by Loop's subdivision.

That is smooth inside; borders are interpolated by four points.
"""

import numpy as np
from scipy import sparse


def grid_triangles(rows: int, columns: int) -> np.ndarray:
    """Return (T, 3) int32 triangles of a grid: the upper left ones, then the lower right ones."""
    node = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = node[:-1, :-1], node[:-1, 1:], node[1:, :-1], node[1:, 1:]
    halves = (a, c, b), (d, b, c)
    return np.concatenate([np.stack(half, axis=-1).reshape(-1, 3) for half in halves])


def touched(nodes: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return (T,) bool: which of (T, 3) triangles have a corner among the nodes.

    Args:
        nodes: bool of any shape, flattened to one a node number.
        triangles: node numbers.
    """
    a, b, c = nodes.ravel()[triangles].T  # `any` along so short an axis takes four times as long
    return np.asarray(a | b | c)


def within(values: np.ndarray, corners: np.ndarray, bary: np.ndarray) -> np.ndarray:
    """Return the (N, C) values inside triangles, of values (V, C) at their corners.

    Args:
        values: at the nodes.
        corners: (N, 3) node numbers.
        bary: (N, 3) barycentric weights of the corners.
    """
    return np.asarray(np.einsum("nc,ncd->nd", bary, values[corners]))


def edges_of(triangles: np.ndarray) -> np.ndarray:
    """Return (3T, 2) the edges of (T, 3) triangles, 01 of each, then 12, then 20."""
    return np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def border_edges(triangles: np.ndarray) -> np.ndarray:
    """Return (E, 2) the edges of (T, 3) triangles that belong to one of them alone."""
    edges, counts = np.unique(np.sort(edges_of(triangles), axis=1), axis=0, return_counts=True)
    return np.asarray(edges[counts == 1])


def edge_graph(triangles: np.ndarray, count: int) -> sparse.csr_matrix:
    """Return (N, N) float64, 1 between the vertices that triangles join, of N in all."""
    a, b = edges_of(triangles).T
    ends = np.concatenate([a, b]), np.concatenate([b, a])
    graph = sparse.csr_matrix((np.ones(len(ends[0])), ends), (count, count))
    graph.data[:] = 1  # an edge between two triangles came twice
    return graph


def mean_of_neighbours(triangles: np.ndarray, count: int) -> sparse.csr_matrix:
    """Return the (N, N) operator that gives each vertex the mean of those it has an edge with.

    Args:
        triangles: (T, 3) vertex numbers.
        count: of vertices, N; one without an edge keeps its own value.
    """
    graph = edge_graph(triangles, count)
    degree = graph.sum(axis=1).A1
    alone = (degree == 0).astype(float)
    return sparse.csr_matrix(sparse.diags(1 / (degree + alone)) @ (graph + sparse.diags(alone)))


def subdivided(
    triangles: np.ndarray, count: int, corners: set[int]
) -> tuple[sparse.csr_matrix, np.ndarray, dict[tuple[int, int], int]]:
    """Subdivide once.

    Args:
        triangles: (T, 3) int32.
        count: of vertices, N.
        corners: vertices at which borders keep their bend.

    Returns:
        The (N', N) operator, the (4T, 3) triangles, and the new vertex of each old edge.
    """
    edges, which = np.unique(np.sort(edges_of(triangles), axis=1), axis=0, return_inverse=True)
    middle = {(a, b): count + n for n, (a, b) in enumerate(edges.tolist())}
    opposite = np.concatenate([triangles[:, 2], triangles[:, 0], triangles[:, 1]])
    sides = np.bincount(which, minlength=len(edges))
    step = sparse.lil_matrix((count + len(edges), count))
    _keep_or_smooth(step, edges, sides, count)
    around: dict[int, list[int]] = {}
    for a, b in edges[sides == 1].tolist():
        around.setdefault(a, []).append(b)
        around.setdefault(b, []).append(a)
    across: list[list[int]] = [[] for _ in edges]
    for edge, vertex in zip(which.ravel().tolist(), opposite.tolist(), strict=True):
        across[edge].append(vertex)
    for n, (a, b) in enumerate(edges.tolist()):
        if sides[n] == 2:
            weights = {a: 3 / 8, b: 3 / 8, across[n][0]: 1 / 8, across[n][1]: 1 / 8}
        else:
            weights = _border_weights(a, b, around, corners)
        for vertex, weight in weights.items():
            step[count + n, vertex] = weight
    new = (count + which.ravel()).reshape(3, -1)  # of edges 01, 12, 20
    a, b, c = triangles.T
    finer = np.concatenate(
        [np.stack(corner, axis=1) for corner in (
            (a, new[0], new[2]), (b, new[1], new[0]), (c, new[2], new[1]), tuple(new),
        )]
    )  # fmt: skip
    return step.tocsr(), finer.astype(np.int32), middle


def _keep_or_smooth(
    step: sparse.lil_matrix, edges: np.ndarray, sides: np.ndarray, count: int
) -> None:
    """Write the rows of the old vertices: those of a border stay, others are smoothed (Loop)."""
    border = np.zeros(count, bool)
    border[edges[sides == 1].ravel()] = True
    rows = np.concatenate([edges, edges[:, ::-1]])
    valence = np.bincount(rows[:, 0], minlength=count)
    beta = np.where(valence == 3, 3 / 16, 3 / (8 * np.maximum(valence, 1)))
    rows = rows[~border[rows[:, 0]]]
    step[rows[:, 0], rows[:, 1]] = beta[rows[:, 0]]
    own = np.where(border, 1.0, 1 - valence * beta)
    step[np.arange(count), np.arange(count)] = own


def _border_weights(
    a: int, b: int, around: dict[int, list[int]], corners: set[int]
) -> dict[int, float]:
    """Weights of a new vertex on a border: a cubic through four points, no bend at a corner."""
    weights = {a: 9 / 16, b: 9 / 16}
    for end, other in ((a, b), (b, a)):
        beyond = [vertex for vertex in around[end] if vertex != other]
        if (
            end in corners or len(beyond) != 1
        ):  # continue straight on: twice the end, less the other
            weights[end] -= 2 / 16
            weights[other] += 1 / 16
        else:
            weights[beyond[0]] = weights.get(beyond[0], 0.0) - 1 / 16
    return weights
