"""Head models of other makers, for users who hold those files.

Each becomes a ``HeadModel``: brought into head space, with the tracked points, labels and
scalp weight carried over from the shipped model. Nothing of these files is shipped.
"""

import io
import pickle
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn
from zipfile import BadZipFile

import numpy as np
from scipy import io as matlab
from scipy import sparse
from scipy.interpolate import RBFInterpolator
from scipy.io.matlab import MatReadError
from scipy.spatial import cKDTree

from stream.errors import UserError
from stream.head_model import HeadModel, load_head_model

COMPONENTS = 80
NOSE_TIP = 4  # of the tracked points
JAW_POINTS = 17  # of the iBUG points, the first
FAR_MM = 25.0  # from the landmarks: there closest points take their place
_ICP_STEPS = 40
_READ_ERRORS = (OSError, ValueError, EOFError, AttributeError, BadZipFile, zlib.error)


def load_ict(path: Path | str, components: int = COMPONENTS) -> HeadModel:
    """Read an ICT-FaceKit file.

    Args:
        path: npz with ``v`` (V, 3) in centimetres, ``f``, ``identity`` (K, V, 3),
            ``expression`` (E, V, 3), ``expression_names`` and ``landmarks68``.
        components: identity components to keep.

    Returns:
        The model with the face units of the shipped model, in its order.

    Raises:
        UserError: when the file cannot be read as such.
    """
    stored = _read_npz(path, "an ICT-FaceKit file")
    arrays = _pick(
        stored, ("v", "f", "identity", "expression", "expression_names", "landmarks68"), path
    )
    names = [str(name) for name in arrays["expression_names"]]
    units = _as_shipped_units(names, arrays["expression"].astype(np.float32))
    return _adopt(
        vertices=arrays["v"] * 10.0,
        triangles=arrays["f"],
        identity=arrays["identity"][:components].astype(np.float32) * 10.0,
        expression=units * 10.0,
        names=load_head_model().expression_names,
        landmarks=arrays["landmarks68"],
    )


def load_bfm(path: Path | str, components: int = COMPONENTS) -> HeadModel:
    """Read a Basel Face Model: the ``.mat`` of 2009 (µm) or the ``.h5`` of 2017 (mm).

    Args:
        path: the file.
        components: identity and expression components to keep.

    Raises:
        UserError: when the file cannot be read as such, or h5py is missing for ``.h5``.
    """
    if Path(path).suffix == ".mat":
        return _bfm_2009(Path(path), components)
    return _bfm_2017(Path(path), components)


def load_flame(path: Path | str, components: int = COMPONENTS) -> HeadModel:
    """Read a FLAME file.

    Args:
        path: npz, or pickle that holds numpy arrays and scipy sparse matrices only, with
            ``v_template`` (V, 3) in metres, ``shapedirs`` (V, 3, 300 + E) and ``f``.
        components: identity components to keep.

    Raises:
        UserError: when the file cannot be read as such, or its pickle holds other things.
    """
    if Path(path).suffix == ".npz":
        arrays = _read_npz(path, "a FLAME file")
    else:
        arrays = _read_pickle(Path(path))
    arrays = _pick(arrays, ("v_template", "shapedirs", "f"), path)
    directions = np.moveaxis(np.asarray(arrays["shapedirs"], np.float32), 2, 0) * 1000.0
    split = min(300, len(directions))
    expression = directions[split:]
    return _adopt(
        vertices=np.asarray(arrays["v_template"], np.float64) * 1000.0,
        triangles=arrays["f"],
        identity=directions[:split][:components],
        expression=expression,
        names=_numbered(expression),
    )


def _bfm_2009(path: Path, components: int) -> HeadModel:
    try:
        stored = matlab.loadmat(str(path))
    except (*_READ_ERRORS, MatReadError, NotImplementedError, TypeError) as error:
        raise _unreadable(path, "a Basel Face Model of 2009", error) from error
    arrays = _pick(stored, ("shapeMU", "shapePC", "shapeEV", "tl"), path)
    deviation = arrays["shapeEV"].ravel()[:components]
    basis = arrays["shapePC"][:, :components] * deviation
    return _adopt(
        vertices=arrays["shapeMU"].reshape(-1, 3) / 1000.0,
        triangles=arrays["tl"].astype(np.int64) - 1,
        identity=(basis.T / 1000.0).reshape(len(deviation), -1, 3),
    )


def _bfm_2017(path: Path, components: int) -> HeadModel:
    try:
        import h5py  # noqa: PLC0415 - optional, no part of the installation
    except ImportError as error:
        raise UserError(
            f"cannot read {path.name}", "h5py is not installed", "Install it: pip install h5py"
        ) from error
    try:
        with h5py.File(path, "r") as stored:
            mean = stored["shape/model/mean"][:].reshape(-1, 3).astype(np.float64)
            cells = stored["shape/representer/cells"][:]
            identity = _pca(stored["shape/model"], components)
            mean += stored["expression/model/mean"][:].reshape(-1, 3)
            expression = _pca(stored["expression/model"], components)
    except (OSError, KeyError, ValueError) as error:
        raise _unreadable(path, "a Basel Face Model of 2017", error) from error
    return _adopt(
        vertices=mean,
        triangles=cells.T if cells.shape[0] == 3 else cells,
        identity=identity,
        expression=expression,
        names=_numbered(expression),
    )


def _pca(group: Mapping[str, Any], components: int) -> np.ndarray:
    """Read components scaled to standard deviations: (K, V, 3)."""
    deviation = np.sqrt(group["pcaVariance"][:components])
    basis = group["pcaBasis"][:, :components] * deviation
    return basis.T.reshape(len(deviation), -1, 3)


def _numbered(expression: np.ndarray) -> tuple[str, ...]:
    return tuple(f"expression{number:03d}" for number in range(len(expression)))


def _as_shipped_units(names: list[str], basis: np.ndarray) -> np.ndarray:
    """Put ICT's face units in the order of the shipped ones; halves of one unit are added."""
    result = []
    for name in load_head_model().expression_names:
        wanted = name.replace("Left", "_L").replace("Right", "_R")
        if wanted not in names and name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            wanted = name
        rows = [names.index(key) for key in (wanted, f"{name}_L", f"{name}_R") if key in names]
        result.append(basis[rows].sum(0) if rows else np.zeros_like(basis[0]))
    return np.stack(result)


def _read_npz(path: Path | str, kind: str) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except _READ_ERRORS as error:
        raise _unreadable(Path(path), kind, error) from error


def _pick(
    stored: Mapping[str, Any], names: tuple[str, ...], path: Path | str
) -> dict[str, np.ndarray]:
    missing = [name for name in names if name not in stored]
    if missing:
        raise UserError(
            f"cannot read the head model {Path(path).name}",
            f"it lacks {', '.join(missing)}",
            "Give the file as its makers publish it.",
        )
    return {name: np.asarray(stored[name]) for name in names}


def _unreadable(path: Path, kind: str, error: Exception) -> UserError:
    return UserError(
        f"cannot read the head model {path.name}",
        f"it is not {kind} ({error})",
        "Give the file as its makers publish it.",
    )


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that builds numpy arrays and scipy sparse matrices and nothing else."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        """Resolve a global of the file, or refuse it."""
        found = _allowed().get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return found

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuse references to things outside of the file."""
        raise pickle.UnpicklingError("it refers to things outside of the file")


def _encode_latin1(text: str, encoding: str) -> bytes:
    """Turn the text that old pickles hold bytes in back into bytes."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes as {encoding}")
    return text.encode("latin1")


def _allowed() -> dict[tuple[str, str], Callable[..., Any]]:
    arrays = np.core.multiarray
    allowed: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode_latin1,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        for name in ("_reconstruct", "scalar"):
            allowed[module, name] = getattr(arrays, name)
    for form in ("csc", "csr", "coo"):
        kind = getattr(sparse, f"{form}_matrix")
        for module in (f"scipy.sparse.{form}", f"scipy.sparse._{form}"):
            allowed[module, f"{form}_matrix"] = kind
    return allowed


def _read_pickle(path: Path) -> dict[str, Any]:
    try:
        content = _ArraysOnly(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except Exception as error:
        raise UserError(
            f"cannot read the head model {path.name}",
            f"only a pickle of plain arrays is opened ({error})",
            "Convert it to npz with v_template, shapedirs and f in an environment you trust.",
        ) from error
    if not isinstance(content, dict):
        raise _unreadable(path, "a FLAME file", ValueError("no dictionary"))
    return content


def _adopt(
    vertices: np.ndarray,
    triangles: np.ndarray,
    identity: np.ndarray,
    expression: np.ndarray | None = None,
    names: tuple[str, ...] = (),
    landmarks: np.ndarray | None = None,
) -> HeadModel:
    """Bring a foreign model (mm, y up, z to the front) into head space and complete it."""
    guide = load_head_model()
    flip = np.array([1.0, -1.0, -1.0])
    points = vertices.astype(np.float64) * flip
    faces = _facing_out(points, triangles.astype(np.int32))
    anchors = guide.points68().astype(np.float64)
    if landmarks is not None:
        # The jaw line is drawn by each maker in his own way: it is left out.
        anchors, landmarks = anchors[JAW_POINTS:], landmarks[JAW_POINTS:]
        rotation, shift = _rigid(points[landmarks], anchors)
        points = points @ rotation.T + shift
        far = _far_from(guide, anchors)
        near = points[cKDTree(points).query(far)[1]]
        starts = np.concatenate([anchors, far])
        bend = RBFInterpolator(
            starts, np.concatenate([points[landmarks], near]) - starts, smoothing=10.0
        )
    else:
        rotation, shift = _icp(points, guide)
        points = points @ rotation.T + shift
        bend = np.zeros_like
    turn = (rotation * flip).astype(np.float32)  # undoes the flip, then rotates
    expression = np.zeros((0, *vertices.shape)) if expression is None else expression
    shell = _bent(guide.vertices, bend)
    triangle478, bary478 = _closest(_bent(guide.points478(), bend), points, faces)
    triangle68, bary68 = _closest(_bent(guide.points68(), bend), points, faces)
    # Place and normal together keep the inside of the lips apart from their outside.
    near = cKDTree(_oriented(shell, guide.triangles)).query(_oriented(points, faces))[1]
    return HeadModel(
        vertices=points.astype(np.float32),
        triangles=faces,
        identity_basis=identity.astype(np.float32) @ turn.T,
        expression_basis=expression.astype(np.float32) @ turn.T,
        expression_names=names,
        uv=guide.uv[near],
        mirror=cKDTree(points).query(points * [-1, 1, 1])[1].astype(np.int32),
        labels=guide.labels[near],
        scalp_weight=guide.scalp_weight[near],
        points478_triangle=triangle478,
        points478_bary=bary478,
        points68_triangle=triangle68,
        points68_bary=bary68,
        neck_joint=guide.neck_joint,
    )


def _far_from(guide: HeadModel, anchors: np.ndarray) -> np.ndarray:
    """Pick face and scalp vertices beyond the anchors, so that no bend runs off there."""
    places = guide.vertices[np.isin(guide.labels, (1, 2))].astype(np.float64)
    apart = cKDTree(anchors).query(places)[0]
    return places[apart > FAR_MM][::8]


def _bent(points: np.ndarray, bend: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return points + bend(points.astype(np.float64))


def _oriented(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Join places and vertex normals of a length that counts beside them: (V, 6) mm."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    faces = np.cross(b - a, c - a)
    normals = np.zeros(points.shape)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    length = np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return np.hstack([points, 12.0 * normals / length])


def _facing_out(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Order the corners so that the front of the face looks at the camera."""
    front = points[triangles][..., 2].max(1) < np.quantile(points[:, 2], 0.25)
    a, b, c = (points[triangles[front, corner]] for corner in range(3))
    outward = np.cross(b - a, c - a)[:, 2].sum() < 0
    return triangles if outward else np.ascontiguousarray(triangles[:, ::-1])


def _rigid(points: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find rotation (3, 3) and shift (3,) that carry points onto target best (Kabsch)."""
    middle, aim = points.mean(0), target.mean(0)
    left, _, right = np.linalg.svd((target - aim).T @ (points - middle))
    rotation = left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right
    return rotation, aim - rotation @ middle


def _icp(points: np.ndarray, guide: HeadModel) -> tuple[np.ndarray, np.ndarray]:
    """Lay a model without landmarks on the guide: nose on nose, then closest points."""
    face = guide.vertices[guide.labels == 1].astype(np.float64)
    rotation = np.eye(3)
    shift = guide.points478()[NOSE_TIP] - points[points[:, 2].argmin()]
    for _ in range(_ICP_STEPS):
        apart, near = cKDTree(points @ rotation.T + shift).query(face)
        close = apart <= np.quantile(apart, 0.8)
        rotation, shift = _rigid(points[near[close]], face[close])
    return rotation, shift


def _closest(
    places: np.ndarray, vertices: np.ndarray, triangles: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the surface point nearest to each place, among the triangles at near vertices.

    Returns:
        (N,) int32 triangle numbers and (N, 3) float32 barycentric weights.
    """
    middles = vertices[triangles].mean(1)
    _, near = cKDTree(middles).query(places, k=min(24, len(triangles)))
    corners = vertices[triangles[near]]  # (N, k, 3 corners, 3)
    weights = _barycentric(places[:, None], corners)
    touch = np.einsum("nkc,nkcd->nkd", weights, corners)
    best = np.linalg.norm(touch - places[:, None], axis=2).argmin(1)
    rows = np.arange(len(places))
    return near[rows, best].astype(np.int32), weights[rows, best].astype(np.float32)


def _barycentric(places: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric weights of places in triangles, clipped to them: (..., 3)."""
    first, second = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    offset = places - corners[..., 0, :]
    a, b, c = (first**2).sum(-1), (first * second).sum(-1), (second**2).sum(-1)
    d, e = (offset * first).sum(-1), (offset * second).sum(-1)
    area = np.maximum(a * c - b * b, 1e-12)
    v, w = (c * d - b * e) / area, (a * e - b * d) / area
    weights = np.clip(np.stack([1 - v - w, v, w], axis=-1), 0, 1)
    return weights / weights.sum(-1, keepdims=True)
