"""The head model as a deformable geometry image: re-meshed over a grid in the flattened face.

3D Morphable Models as Spatial Transformer Networks (Bas et al. 2017), §2.3. The shape parameters
are principal components of identity, and of expressions as the synthetic people make them, scaled
so that they are standard normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream.head_model import load_head_model
from training.stn.embedding import face_triangles, on_grid, square_embedding, without_linings
from training.synthetic.expressions import sample_expression

if TYPE_CHECKING:
    from stream.head_model import HeadModel

UNIT_MM = 100.0
_FACE = 1
_EXPRESSIONS = 2000  # drawn to find how expressions vary


@dataclass(frozen=True, slots=True)
class GeometryImage:
    """A head model whose vertices are the texels of an image.

    Attributes:
        mean: (3, N) float32 μ, head space, 100 mm, about the middle of the face.
        basis: (3, N, D) float32 P, per standard deviation.
        size: H′ = W′; N = H′ · W′.
        triangles: (T, 3) int64, outwards.
        landmarks: (478,) int64 the vertex nearest to each tracked point.
        identities: how many of the D parameters are identity; the rest are expression.
    """

    mean: np.ndarray
    basis: np.ndarray
    size: int
    triangles: np.ndarray
    landmarks: np.ndarray
    identities: int


def geometry_image(size: int = 224, identities: int = 5, expressions: int = 5) -> GeometryImage:
    """Re-mesh the head model's face over the square that it is flattened to.

    Args:
        size: H′ = W′ of the grid; the paper's is 224.
        identities: principal components of identity; the paper has five.
        expressions: of expression, likewise.
    """
    model = load_head_model()
    faces = face_triangles(model)
    flat = square_embedding(without_linings(model, faces), faces, model.mirror)
    surface = on_grid(flat, faces, size, size)
    offset = model.points478_mean[:468].mean(axis=0)
    rest, moving = _expressions(model, expressions)
    mean = (surface @ (model.vertices + rest - offset)) / UNIT_MM
    fields = np.concatenate([model.identity_basis[:identities], moving])
    on_texels = surface @ fields.transpose(1, 0, 2).reshape(len(model.vertices), -1)
    basis = on_texels.reshape(len(mean), len(fields), 3) / UNIT_MM
    points = (model.points478_mean - offset) / UNIT_MM
    nearest = np.array([np.square(mean - point).sum(axis=1).argmin() for point in points])
    return GeometryImage(
        mean=np.ascontiguousarray(mean.T, np.float32),
        basis=np.ascontiguousarray(basis.transpose(2, 0, 1), np.float32),
        size=size,
        triangles=grid_triangles(size, size),
        landmarks=nearest.astype(np.int64),
        identities=identities,
    )


def _expressions(model: HeadModel, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (V, 3) of drawn expressions and (count, V, 3) mm per standard deviation."""
    rng = np.random.default_rng(0)
    names = {name: number for number, name in enumerate(model.expression_names)}
    drawn = np.zeros((_EXPRESSIONS, len(names)), np.float32)
    for row in drawn:
        for name, strength in sample_expression(rng).items():
            row[names[name]] = strength
    # Components of the surface: the units' covariance, measured in what they move.
    face = model.labels == _FACE
    moved = model.expression_basis[:, face].reshape(len(names), -1)
    metric = np.linalg.cholesky(moved @ moved.T + 1e-4 * np.eye(len(names)))
    mean = drawn.mean(axis=0)
    centred = drawn - mean
    _, spread, axes = np.linalg.svd(centred @ metric, full_matrices=False)
    units = np.linalg.solve(metric.T, (axes[:count] * spread[:count, None]).T).T
    moving = np.tensordot(units / np.sqrt(_EXPRESSIONS), model.expression_basis, 1)
    return np.tensordot(mean, model.expression_basis, 1), moving


def grid_triangles(rows: int, columns: int) -> np.ndarray:
    """Return the (T, 3) triangles of a grid of vertices, counter-clockwise with y up.

    The flattened face is seen from outside, so that in head space they point outwards.
    """
    number = np.arange(rows * columns).reshape(rows, columns)
    corners = [number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]]
    a, b, c, d = (part.ravel() for part in corners)
    return np.concatenate([np.stack([a, c, b], 1), np.stack([a, d, c], 1)]).astype(np.int64)
