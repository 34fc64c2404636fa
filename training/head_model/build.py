"""Put the head model together and write it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from training.head_model import basis as bases
from training.head_model import surface
from training.head_model.people import Targets, load_targets
from training.head_model.points import IBUG, Embedding, read_canonical, register
from training.head_model.source import BaseMesh, read_base_mesh
from training.head_model.topology import SKIN, Topology, build_topology

WEIGHTS = Path(__file__).resolve().parents[2] / "engines" / "weights" / "head_model.npz"
CALIBRATION = Path(__file__).resolve().parent / "points478_calibration.npz"
PEOPLE = 3000
# The head turns mostly between skull and second vertebra, the rest is spread below to about
# the fourth: the joint lies this share of the way from the skull's base to the neck's root.
NECK_BLEND = 0.175


@dataclass(frozen=True, slots=True)
class Source:
    """What every step starts from."""

    base: BaseMesh
    topology: Topology
    targets: Targets

    @property
    def vertices(self) -> np.ndarray:
        """(V, 3) the base head, mm."""
        return self.topology.operator @ self.base.vertices


def load_source() -> Source:
    """Read the base mesh and its targets."""
    base = read_base_mesh()
    topology = build_topology(base)
    return Source(base, topology, load_targets(topology.operator))


def ear_vertices(source: Source) -> np.ndarray:
    """Tell the ears by what the source's ear sliders move, with what these enclose: (V,) bool."""
    topology = source.topology
    ears = np.zeros(len(topology.parts), bool)
    for slider, share in (("ear-wing-decr", 0.16), ("ear-lobe-decr", 0.35)):
        rows = [i for i, name in enumerate(source.targets.slider_names) if slider in name]
        offsets = np.abs(source.targets.sliders[rows]).max((0, 1)).reshape(-1, 3).max(1)
        ears |= offsets > share * offsets.max()
    ears = (ears | ears[topology.mirror]) & (topology.parts == SKIN)
    edges = surface.edges_of(topology.quads)
    return _enclosed(_largest(_enclosed(ears, edges), edges), edges)


def _largest(members: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Keep the two largest islands of a set of vertices: one ear on either side."""
    inside = members[edges].all(1)
    count = len(members)
    graph = sparse.csr_matrix(
        (np.ones(inside.sum()), (edges[inside, 0], edges[inside, 1])), shape=(count, count)
    )
    _, island = sparse.csgraph.connected_components(graph, directed=False)
    return np.isin(island, np.argsort(np.bincount(island))[-2:])


def _enclosed(members: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Add the small islands that a set of vertices cuts off from the rest of its mesh."""
    outside = ~members[edges].any(1)
    count = len(members)
    graph = sparse.csr_matrix(
        (np.ones(outside.sum()), (edges[outside, 0], edges[outside, 1])), shape=(count, count)
    )
    _, island = sparse.csgraph.connected_components(graph, directed=False)
    size = np.bincount(island)
    touching = np.zeros(count, bool)
    rim = edges[members[edges].any(1)]
    touching[np.unique(island[rim.ravel()])] = True
    return members | (touching[island] & (size[island] < 150))


def origin(vertices: np.ndarray, ears: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Middle of the cranium: between crown and ear holes, between brow and occiput."""
    hole = vertices[ears, 1].mean()
    skull = vertices[(parts == SKIN) & (vertices[:, 1] < hole)]
    middle_line = skull[np.abs(skull[:, 0]) < 1e-6]
    above_nose = middle_line[middle_line[:, 1] < vertices[ears, 1].min() - 5]
    depth = (above_nose[:, 2].min() + above_nose[:, 2].max()) / 2
    return np.array([0.0, (vertices[:, 1].min() + hole) / 2, depth])


def jaw_line(source: Source, mean: np.ndarray, ears: np.ndarray) -> np.ndarray:
    """Side view (z, y) of the border between face and neck: chin, angle of the jaw, ear."""
    middle = (np.abs(mean[:, 0]) < 1e-6) & (source.topology.parts == SKIN)
    front = mean[middle & (mean[:, 2] < mean[:, 2].min() + 60)]
    chin = front[front[:, 1].argmax()]
    lobe = mean[ears][mean[ears, 1].argmax()]
    return np.array(
        [
            [chin[2] - 60, chin[1] + 3.0],
            [chin[2] + 6, chin[1] + 1.0],
            [lobe[2] - 14, lobe[1] + 34.0],
            [lobe[2] - 4, lobe[1] + 14.0],
            [lobe[2] + 6, lobe[1] + 2.0],
        ]
    )


def build(
    data: Path | None, people: int = PEOPLE, seed: int = 2, calibrated: bool = True
) -> dict[str, np.ndarray]:
    """Make the arrays of the head model file.

    Args:
        data: folder with ``mediapipe_ref``, needed only without a calibration.
        people: number of sampled people.
        seed: of the sampling.
        calibrated: take the tracked points from the stored calibration where it fits.
    """
    source = load_source()
    topology = source.topology
    print(f"{len(source.vertices)} vertices, {len(topology.triangles)} triangles", flush=True)
    population = sample(source, people, seed)
    print(f"{people} people sampled; scale {population.scale:.4f}", flush=True)
    identity = bases.identity_basis(population, topology, bases.COMPONENTS)
    names, expression = bases.expression_basis(topology, population.scale)
    ears = ear_vertices(source)
    shift = origin(population.mean, ears, topology.parts)
    mean = population.mean - shift
    labels = surface.label_regions(topology, mean, ears, jaw_line(source, mean, ears))
    points = tracked_points(topology, mean, data, calibrated)
    ibug = points.take(IBUG)
    return {
        "vertices": mean.astype(np.float32),
        "triangles": topology.triangles,
        "identity_basis": identity.astype(np.float16),
        "expression_basis": expression.astype(np.float16),
        "expression_names": np.array(names),
        "uv": surface.tutte_map(topology, mean).astype(np.float32),
        "mirror": topology.mirror,
        "labels": labels,
        "scalp_weight": surface.scalp_weight(topology, mean, labels, ears).astype(np.float32),
        "points478_triangle": points.triangle.astype(np.int32),
        "points478_bary": points.bary.astype(np.float32),
        "points68_triangle": ibug.triangle.astype(np.int32),
        "points68_bary": ibug.bary.astype(np.float32),
        "neck_joint": neck_joint(source, population, shift).astype(np.float32),
    }


def sample(source: Source, people: int = PEOPLE, seed: int = 2) -> bases.Population:
    """Draw the people of which mean and components are made."""
    rng = np.random.default_rng(seed)
    return bases.sample_population(source.targets, source.topology, source.vertices, people, rng)


def load_mean(source: Source, people: int = 600) -> np.ndarray:
    """Mean head (V, 3) of a few people, for the placing of points."""
    mean = sample(source, people).mean
    return mean - origin(mean, ear_vertices(source), source.topology.parts)


def neck_joint(source: Source, population: bases.Population, shift: np.ndarray) -> np.ndarray:
    """Place the joint of the head: the source's skull base, drawn towards the fourth vertebra."""
    joints = source.base.joints
    place = joints["joint-head"] + NECK_BLEND * (joints["joint-neck"] - joints["joint-head"])
    steady = bases.alignment_weights(source.topology, source.vertices)
    rotation, move = bases.rigid(source.vertices * population.scale, population.mean, steady)
    return (rotation @ (place * population.scale) + move - shift) * [0, 1, 1]


def topology_hash(triangles: np.ndarray) -> str:
    """Name a mesh by its corner numbers."""
    return hashlib.sha256(np.ascontiguousarray(triangles, dtype="<i4").tobytes()).hexdigest()


def tracked_points(
    topology: Topology, mean: np.ndarray, data: Path | None, calibrated: bool
) -> Embedding:
    """Take the calibrated points where they fit this mesh, else register the canonical face."""
    if calibrated and CALIBRATION.is_file():
        with np.load(CALIBRATION) as stored:
            if str(stored["mesh"]) == topology_hash(topology.triangles):
                return Embedding(stored["triangle"], stored["bary"].astype(np.float64))
        print("the stored calibration belongs to another mesh; registering instead", flush=True)
    if data is None or not data.is_dir():
        raise FileNotFoundError("no calibration and no data folder: see docs/head_model.md")
    canonical = read_canonical(data / "mediapipe_ref" / "face_model_with_iris.obj")
    return register(topology, mean, canonical)


def write(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write the model under a temporary name and rename it when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.stem + ".draft.npz")
    np.savez_compressed(draft, **arrays)  # type: ignore[arg-type]
    draft.replace(path)
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB", flush=True)
