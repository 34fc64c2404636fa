"""Measure how well the components fit heads that they were not made from."""

from dataclasses import dataclass
from pathlib import Path

import igl
import numpy as np

from stream.head_formats import load_ict
from stream.head_model import HeadModel
from training.head_model.basis import (
    align,
    alignment_weights,
    rigid,
    sample_population,
    vertex_areas,
)
from training.head_model.build import load_source
from training.head_model.points import Pins, barycentric, wrap

UNSEEN_SEED = 90210
RIDGE = 0.0002  # mm² of the mean squared distance that one squared standard deviation costs


@dataclass(frozen=True, slots=True)
class Errors:
    """Distances in mm over all heads and vertices of a region."""

    mean: float
    p95: float
    worst_head: float

    def __str__(self) -> str:
        return f"mean {self.mean:.2f}, p95 {self.p95:.2f}, worst head {self.worst_head:.2f} mm"


def _errors(distances: np.ndarray) -> Errors:
    return Errors(
        float(distances.mean()),
        float(np.quantile(distances, 0.95)),
        float(distances.mean(1).max()),
    )


def fit_identity(
    model: HeadModel, target: np.ndarray, region: np.ndarray, rounds: int = 4
) -> np.ndarray:
    """Fit identity and rigid place to vertices in correspondence.

    Args:
        model: the model.
        target: (V, 3) mm; only the region is looked at.
        region: (V,) bool.
        rounds: how often place and shape are solved in turn.

    Returns:
        (V, 3) fitted head in the place of the target.
    """
    basis = model.identity_basis[:, region].reshape(len(model.identity_basis), -1)
    basis = basis.astype(np.float64)
    weights = vertex_areas(model.vertices.astype(np.float64), model.triangles)
    weights = np.sqrt(weights) * region
    weights /= weights.sum()
    weighted = basis * np.repeat(weights[region], 3)
    gram = weighted @ basis.T + RIDGE * np.eye(len(basis))
    shape = model.vertices.astype(np.float64)
    for _ in range(rounds):
        rotation, shift = rigid(shape, target, weights)
        local = (target - shift) @ rotation
        offset = (local[region] - model.vertices[region]).ravel()
        shape = model.shape(np.linalg.solve(gram, weighted @ offset)).astype(np.float64)
    rotation, shift = rigid(shape, target, weights)
    return shape @ rotation.T + shift


def unseen_people(model: HeadModel, count: int = 200) -> dict[str, Errors]:
    """Fit heads sampled from the same source with another seed."""
    source = load_source()
    rng = np.random.default_rng(UNSEEN_SEED)
    population = sample_population(source.targets, source.topology, source.vertices, count, rng)
    heads = population.heads
    regions = {
        "whole head": np.ones(len(model.vertices), bool),
        "face": model.labels == 1,
        "scalp": model.labels == 2,
        "ears": model.labels == 3,
        "neck": model.labels == 4,
    }
    steady = alignment_weights(source.topology, source.vertices)
    found: dict[str, list[np.ndarray]] = {name: [] for name in regions}
    visible = np.isin(model.labels, (1, 2, 3, 4))
    for head in heads:
        target = align(head.astype(np.float64), model.vertices.astype(np.float64), steady)
        apart = np.linalg.norm(fit_identity(model, target, visible) - target, axis=1)
        for name, region in regions.items():
            found[name].append(apart[region])
    return {name: _errors(np.array(rows)) for name, rows in found.items()}


def ict_people(model: HeadModel, data: Path, count: int = 50) -> dict[str, Errors]:
    """Fit random people of ICT-FaceKit after laying our mesh on its mean.

    Vertices are put into correspondence once, on the mean; a second figure measures the
    fitted face to the nearest place of the surface, where sliding along it does not count.
    """
    ict = load_ict(data / "ict" / "ict_facekit.npz", components=100)
    skin = _ict_face(ict, data)
    triangle, bary = _correspond(model, ict, skin)
    rng = np.random.default_rng(UNSEEN_SEED)
    near = _covered(model, ict, triangle, bary)
    plain, apart, across = [], [], []
    for _ in range(count):
        shape = ict.shape(rng.normal(size=100)).astype(np.float64)
        target = np.einsum("nk,nkd->nd", bary, shape[ict.triangles[triangle]])
        fitted = fit_identity(model, target, near)
        rotation, shift = rigid(model.vertices.astype(np.float64), target, near.astype(float))
        plain.append(np.linalg.norm(model.vertices @ rotation.T + shift - target, axis=1)[near])
        apart.append(np.linalg.norm(fitted - target, axis=1)[near])
        square, _, _ = igl.point_mesh_squared_distance(fitted[near], shape, skin)
        across.append(np.sqrt(square))
    return {
        "face, mean head alone": _errors(np.array(plain)),
        "face, by vertex": _errors(np.array(apart)),
        "face, to surface": _errors(np.array(across)),
    }


def _ict_face(ict: HeadModel, data: Path) -> np.ndarray:
    """Triangles of ICT's skin: face and back of the head."""
    with np.load(data / "ict" / "ict_facekit.npz", allow_pickle=False) as stored:
        names = [str(name) for name in stored["material_names"]]
        wanted = [names.index("M_Face"), names.index("M_BackHead")]
        return ict.triangles[np.isin(stored["material"], wanted)]


def _correspond(
    model: HeadModel, ict: HeadModel, skin: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lay the mean head on ICT's mean by the 68 points and closest points."""
    face = np.isin(model.labels, (1, 2, 3, 4))
    start = model.vertices.astype(np.float64)
    corners = model.triangles[model.points68_triangle]
    numbers = corners[np.arange(68), model.points68_bary.argmax(1)]
    moved = ict.points68() - model.points68() + start[numbers]
    numbers, first = np.unique(numbers[17:], return_index=True)  # the jaw line is soft
    pins = Pins(numbers, moved[17:][first].astype(np.float64))
    vertices = ict.vertices.astype(np.float64)
    bent = wrap(start, model.triangles, pins, vertices, skin, np.where(face, 1.0, 0.01))
    _, hit, touch = igl.point_mesh_squared_distance(bent, vertices, skin)
    rows = {tuple(corners): number for number, corners in enumerate(ict.triangles.tolist())}
    triangle = np.array([rows[tuple(corners)] for corners in skin[hit].tolist()])
    return triangle, barycentric(touch, vertices[skin[hit]])


def _covered(
    model: HeadModel, ict: HeadModel, triangle: np.ndarray, bary: np.ndarray
) -> np.ndarray:
    """Face skin of ours that lies on ICT's face."""
    on_face = (ict.triangles[triangle] < 9409).all(1)
    return (model.labels == 1) & on_face & (bary.sum(1) > 0)


def report(model: HeadModel, data: Path | None) -> None:
    """Print both measurements."""
    for name, errors in unseen_people(model).items():
        print(f"unseen people, {name}: {errors}", flush=True)
    if data is None or not (data / "ict").is_dir():
        print("ICT heads: the data folder is absent", flush=True)
        return
    for name, errors in ict_people(model, data).items():
        print(f"ICT people, {name}: {errors}", flush=True)
