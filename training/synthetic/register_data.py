"""Read the base head and ICT-FaceKit for the registration of the one on the other."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse

from stream.errors import UserError
from stream.head_model import load_head_model
from training.head_model.basis import rigid
from training.head_model.source import (
    HEAD_FROM_SOURCE,
    BaseMesh,
    face_unit_files,
    read_target,
    target_name,
)
from training.head_model.topology import Topology, build_topology

ICT_SKIN = 11248  # vertices of face, head and neck; then come linings, teeth and eyes
MATERIALS = {"teeth": ("M_Teeth",), "right": ("M_ScleraRight",), "left": ("M_ScleraLeft",)}
_EYES = {"right": "helper-r-eye", "left": "helper-l-eye"}
_TEETH = ("helper-upper-teeth", "helper-lower-teeth", "helper-tongue")


@dataclass(frozen=True, slots=True)
class Scan:
    """The skin of ICT-FaceKit's mean head and what varies on it, in the base head's place.

    Attributes:
        vertices: (V, 3) all vertices, mm, head axes.
        skin: (T, 3) triangles of face, head and neck.
        identity: (K, V, 3) float32 mm per standard deviation.
        points68: (68,) numbers of the iBUG points.
        parts: vertex numbers of teeth and of both eyeballs.
        units: (52, V, 3) float32 mm, face units in the head model's order; zero where ICT has
            none of that name.
        jaw_open: number of the unit that opens the jaw.
    """

    vertices: np.ndarray
    skin: np.ndarray
    identity: np.ndarray
    points68: np.ndarray
    parts: dict[str, np.ndarray]
    units: np.ndarray
    jaw_open: int


@dataclass(frozen=True, slots=True)
class Template:
    """The caller's rows of the base head.

    Attributes:
        vertices: (R, 3) mm, head axes.
        triangles: (T, 3) skin of head, linings and body.
        parts: (R,) part of the head mesh, 255 where a row is no part of it.
        labels: (R,) region of the head model, 0 where a row is no part of it.
        points68: (68, R) sparse, the iBUG points from the rows.
        model: (5013, R) sparse, vertices of the head model's source from the rows.
        groups: rows of the helpers: eyes, teeth, and of these the jaw's.
        eye_triangles: (E, 3) of both eyeballs.
        units: (52, R, 3) float32 mm, MakeHuman's face units in the head model's order.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    parts: np.ndarray
    labels: np.ndarray
    points68: sparse.csr_matrix
    model: sparse.csr_matrix
    groups: dict[str, np.ndarray]
    eye_triangles: np.ndarray
    units: np.ndarray


def _opened(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise UserError("A data file is absent", f"{path} is not there", "Name the data folder.")
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files if not name.startswith("part:")}


def read_template(data_dir: Path, base: BaseMesh) -> Template:
    """Read the rows of the base head that `Wardrobe.ids` names, in its order."""
    stored = _opened(data_dir / "makehuman" / "makehuman_head.npz")
    ids = stored["base_vertex_ids"]
    topology, model = build_topology(base), load_head_model()
    row_of = np.full(len(base.vertices), -1)
    row_of[ids] = np.arange(len(ids))
    parts = np.full(len(ids), 255, np.uint8)
    labels = np.zeros(len(ids), np.uint8)
    known = topology.base_ids >= 0
    rows = row_of[topology.base_ids[known]]
    parts[rows], labels[rows] = topology.parts[known], model.labels[known]
    operator = topology.operator[:, ids].tocsr()
    groups = {side: _group_rows(base, row_of, (name,)) for side, name in _EYES.items()}
    groups["teeth"] = _group_rows(base, row_of, _TEETH)
    groups["jaw"] = _group_rows(base, row_of, _TEETH[1:])
    return Template(
        vertices=base.vertices[ids],
        triangles=stored["f"].astype(np.int64),
        parts=parts,
        labels=labels,
        points68=_points_operator(topology, operator),
        model=operator,
        groups=groups,
        eye_triangles=_triangles(row_of[base.quads[np.isin(base.groups, list(_EYES.values()))]]),
        units=_base_units(base, ids, model.expression_names),
    )


def _base_units(base: BaseMesh, ids: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    files = {target_name(path): path for path in face_unit_files()}
    units = np.zeros((len(names), len(ids), 3), np.float32)
    for number, name in enumerate(names):
        moved, offsets = read_target(files[name])
        dense = np.zeros((len(base.vertices), 3), np.float32)
        dense[moved] = offsets
        units[number] = dense[ids]
    return units


def _triangles(quads: np.ndarray) -> np.ndarray:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _group_rows(base: BaseMesh, row_of: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    rows = row_of[np.unique(base.quads[np.isin(base.groups, names)])]
    return rows[rows >= 0]


def _points_operator(topology: Topology, operator: sparse.csr_matrix) -> sparse.csr_matrix:
    model = load_head_model()
    corners = topology.triangles[model.points68_triangle]
    rows = np.repeat(np.arange(68), 3)
    weights = (model.points68_bary.ravel(), (rows, corners.ravel()))
    return sparse.csr_matrix(weights, shape=(68, operator.shape[0])) @ operator


def read_scan(data_dir: Path, aims68: np.ndarray) -> Scan:
    """Read ICT-FaceKit and lay its mean head on (68, 3) points by a similarity."""
    stored = _opened(data_dir / "ict" / "ict_facekit.npz")
    axes = np.sign(HEAD_FROM_SOURCE) * 10.0
    vertices = stored["v"].astype(np.float64) * axes
    names = [str(name) for name in stored["material_names"]]
    scale, rotation, shift = similarity(vertices[stored["landmarks68"]][17:], aims68[17:])
    parts = {}
    for part, materials in MATERIALS.items():
        wanted = np.isin(stored["material"], [names.index(name) for name in materials])
        parts[part] = np.unique(stored["f"][wanted])
    turn = (scale * rotation.T).astype(np.float32)
    identity = stored["identity"].astype(np.float32) * axes.astype(np.float32)
    units = _scan_units(stored) * axes.astype(np.float32)
    return Scan(
        vertices=vertices @ turn + shift,
        skin=stored["f"][(stored["f"] < ICT_SKIN).all(1)].astype(np.int64),
        identity=identity @ turn,
        points68=stored["landmarks68"],
        parts=parts,
        units=units @ turn,
        jaw_open=load_head_model().expression_names.index("jawOpen"),
    )


def _scan_units(stored: dict[str, np.ndarray]) -> np.ndarray:
    """Order ICT's units as the head model's: (52, V, 3) float32 in ICT's unit of length.

    ICT names sides `_L` and `_R`, and has two sides of what the head model has in one.
    """
    own = {str(name): number for number, name in enumerate(stored["expression_names"])}
    units = np.zeros((len(load_head_model().expression_names), *stored["v"].shape), np.float32)
    for number, name in enumerate(load_head_model().expression_names):
        short = name.replace("Left", "_L").replace("Right", "_R")
        whole = name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
        for wanted in (name,) if whole else (name, short, f"{name}_L", f"{name}_R"):
            if wanted in own:
                units[number] += stored["expression"][own.pop(wanted)]
    return units


def similarity(points: np.ndarray, aims: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Find scale, rotation (3, 3) and shift (3,) that carry (N, 3) points onto aims best."""
    spread = np.linalg.norm(aims - aims.mean(0)) / np.linalg.norm(points - points.mean(0))
    rotation, shift = rigid(points * spread, aims, np.ones(len(points)))
    return float(spread), rotation, shift
