"""Mean, identity and expression bases of the head."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.head_model.people import Targets, sample_people
from training.head_model.source import face_unit_files, read_target, target_name
from training.head_model.topology import COLLAR, EYE, MOUTH, SKIN, SOCKET, TEETH, TONGUE, Topology

COMPONENTS = 80
MIRRORED = np.array([-1, 1, 1], np.float32)
PUPIL_DISTANCE_MM = 63.0
SIZE_SPREAD = 0.035  # of adult heads of one shape, as a share
# How much a part counts when the components are chosen.
PART_WEIGHT = {
    SKIN: 1.0,
    MOUTH: 0.05,
    SOCKET: 0.1,
    EYE: 0.5,
    TEETH: 0.05,
    TONGUE: 0.02,
    COLLAR: 0.2,
}


@dataclass(frozen=True, slots=True)
class Population:
    """Sampled heads in one place, before the components are taken.

    Attributes:
        mean: (V, 3) symmetric mean, mm, not yet moved to its origin.
        heads: (N, V, 3) float32, each rigidly laid on the mean.
        scale: millimetres of the model per millimetre of the source.
    """

    mean: np.ndarray
    heads: np.ndarray
    scale: float


def sample_population(
    targets: Targets, topology: Topology, base: np.ndarray, count: int, rng: np.random.Generator
) -> Population:
    """Sample heads and align them.

    Args:
        targets: the shape targets.
        topology: the head mesh.
        base: (V, 3) base head, mm.
        count: number of heads.
        rng: source of chance.
    """
    heads = sample_people(targets, count, rng) + base.astype(np.float32)
    heads = heads - heads.mean(1, keepdims=True)
    sizes = 1 + SIZE_SPREAD * np.clip(rng.normal(size=(count, 1, 1)), -2.5, 2.5)
    heads *= sizes.astype(np.float32)
    steady = alignment_weights(topology, base)
    mean = symmetrise(heads.mean(0), topology.mirror)
    for _ in range(3):
        for index in range(count):
            heads[index] = align(heads[index], mean, steady)
        mean = symmetrise(heads.mean(0), topology.mirror)
    scale = PUPIL_DISTANCE_MM / pupil_distance(mean, topology)
    return Population(mean * scale, heads * np.float32(scale), scale)


def alignment_weights(topology: Topology, base: np.ndarray) -> np.ndarray:
    """Weigh what holds a head in place: the skull and the face above the jaw, not the neck."""
    weights = vertex_areas(base, topology.triangles)
    weights[topology.parts != SKIN] = 0
    weights[base[:, 1] > -665.0] = 0  # below the mouth, in the place of the source
    return weights / weights.sum()


def align(points: np.ndarray, target: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Lay points rigidly on a target (Kabsch): rotation and translation, no scale."""
    rotation, shift = rigid(points, target, weights)
    return (points @ rotation.T + shift).astype(points.dtype)


def rigid(
    points: np.ndarray, target: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find rotation (3, 3) and shift (3,) that carry points onto target best."""
    share = (weights / weights.sum())[:, None]
    middle, aim = (points * share).sum(0), (target * share).sum(0)
    left, _, right = np.linalg.svd((share * (target - aim)).T @ (points - middle))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = left @ flip @ right
    return rotation, aim - rotation @ middle


def symmetrise(points: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Average a shape with its mirror image."""
    return (points + points[mirror] * [-1, 1, 1]) / 2


def pupil_distance(points: np.ndarray, topology: Topology) -> float:
    """Distance of the eyeball centres, mm."""
    eyes = points[topology.parts == EYE]
    return float(eyes[eyes[:, 0] > 0, 0].mean() - eyes[eyes[:, 0] < 0, 0].mean())


def vertex_areas(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """A third of the area of the triangles around each vertex, mm²."""
    corners = vertices[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1) / 6
    return np.bincount(triangles.ravel(), np.repeat(area, 3), minlength=len(vertices))


def component_weights(topology: Topology, mean: np.ndarray) -> np.ndarray:
    """Weigh vertices for the choice of components: by area, softened, and by part.

    The back of the head has few, large faces and counts for less than the front.
    """
    weights = vertex_areas(mean, topology.triangles) ** 0.5
    weights *= np.array([PART_WEIGHT[part] for part in range(len(PART_WEIGHT))])[topology.parts]
    ears = mean[topology.parts == EYE, 2].max() + 60.0
    return weights * np.clip((ears - mean[:, 2]) / 40.0, 0.2, 1)


def identity_basis(population: Population, topology: Topology, count: int) -> np.ndarray:
    """Principal components of the heads and their mirror images, in standard deviations.

    Symmetric and antisymmetric variation do not mix in such a population, so each is
    taken apart and the strongest of both are kept, strongest first.

    Returns:
        (count, V, 3) float64 mm per standard deviation.
    """
    weights = np.sqrt(component_weights(topology, population.mean))[:, None]
    offsets = population.heads - population.mean
    flipped = offsets[:, topology.mirror] * MIRRORED
    found: list[tuple[float, np.ndarray]] = []
    for part in ((offsets + flipped) / 2, (offsets - flipped) / 2):
        flat = part.reshape(len(part), -1)
        weighted = (part * weights).reshape(len(part), -1)
        values, vectors = np.linalg.eigh(weighted @ weighted.T)
        order = np.argsort(values)[::-1][:count]
        scores = vectors[:, order] * np.sqrt(len(flat))
        basis = scores.T @ flat / len(flat)
        found.extend(zip(values[order], basis, strict=True))
    found.sort(key=lambda pair: -pair[0])
    basis = np.stack([component for _, component in found[:count]])
    return _upright_signs(basis.reshape(count, -1, 3))


def _upright_signs(basis: np.ndarray) -> np.ndarray:
    """Make the sum of the offsets away from the middle positive, so that runs agree."""
    side = np.sign(basis.reshape(len(basis), -1).sum(1))
    return basis * np.where(side == 0, 1, side)[:, None, None]


def expression_basis(topology: Topology, scale: float) -> tuple[list[str], np.ndarray]:
    """Carry the 52 face units to the head; left and right are exact mirror images.

    Returns:
        Names and (52, V, 3) mm at full strength.
    """
    units = {target_name(path): _face_unit(path, topology) for path in face_unit_files()}
    flip = {
        name: name.replace("Left", "?").replace("Right", "Left").replace("?", "Right")
        for name in units
    }
    basis = [(units[name] + units[flip[name]][topology.mirror] * [-1, 1, 1]) / 2 for name in units]
    return list(units), np.stack(basis) * scale


def _face_unit(path: Path, topology: Topology) -> np.ndarray:
    ids, offsets = read_target(path)
    dense = np.zeros((topology.operator.shape[1], 3))
    dense[ids] = offsets
    return topology.operator @ dense
