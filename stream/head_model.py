"""The 3D head model of the live path.

Head space: x right, y down, z away from the camera when the head faces it, millimetres,
origin in the middle of the cranium. Letters in shapes: V vertices, T triangles, K identity
components, E face units.
"""

import zlib
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from stream.errors import UserError

DEFAULT_PATH = Path(__file__).resolve().parents[1] / "engines" / "weights" / "head_model.npz"


@dataclass(frozen=True, slots=True)
class ShapePart:
    """The linear model of some vertices: all of a head are many more than most questions need.

    Attributes:
        mean: (N, 3) float32 mm, head space.
        identity_basis: (K, N, 3) float32.
        expression_basis: (E, N, 3) float32.
    """

    mean: np.ndarray
    identity_basis: np.ndarray
    expression_basis: np.ndarray

    def shape(self, identity: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Return (N, 3) float32 mm; arguments as in HeadModel.shape."""
        result = self.mean.copy()
        _add(result, identity, self.identity_basis)
        _add(result, expression, self.expression_basis)
        return result


@dataclass(frozen=True, slots=True)
class HeadModel:
    """A linear model of heads: mean + identity + expression.

    Attributes:
        vertices: (V, 3) float32 mean head, head space, mm.
        triangles: (T, 3) int32, counter-clockwise seen from outside in a y-up view.
        identity_basis: (K, V, 3) float32 mm per standard deviation.
        expression_basis: (E, V, 3) float32 mm at full strength of a face unit.
        expression_names: E names after ARKit.
        uv: (V, 2) float32 texture place, 0…1; v grows downward in the face.
        mirror: (V,) int32 the vertex on the other side.
        labels: (V,) uint8: 1 face skin, 2 scalp, 3 ear, 4 neck, 5 mouth interior, 6 eyes.
        scalp_weight: (V,) float32, 0 at the hairline and off the scalp, rising to 1.
        points478_triangle, points478_bary: (478,) int32 and (478, 3) float32, the tracked
            points on the surface.
        points68_triangle, points68_bary: the iBUG points likewise.
        neck_joint: (3,) float32 the joint about which the head turns, head space.
        points478_mean: (478, 3) float32 tracked points of the mean head (derived).
        points478_identity: (K, 478, 3) float32 identity basis at the points (derived).
        points478_expression: (E, 478, 3) float32 face units at the points (derived).
    """

    vertices: np.ndarray
    triangles: np.ndarray
    identity_basis: np.ndarray
    expression_basis: np.ndarray
    expression_names: tuple[str, ...]
    uv: np.ndarray
    mirror: np.ndarray
    labels: np.ndarray
    scalp_weight: np.ndarray
    points478_triangle: np.ndarray
    points478_bary: np.ndarray
    points68_triangle: np.ndarray
    points68_bary: np.ndarray
    neck_joint: np.ndarray
    points478_mean: np.ndarray = field(init=False)
    points478_identity: np.ndarray = field(init=False)
    points478_expression: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._check_shapes()
        for target, basis in (
            ("points478_mean", self.vertices[None]),
            ("points478_identity", self.identity_basis),
            ("points478_expression", self.expression_basis),
        ):
            values = self._on_points(basis, self.points478_triangle, self.points478_bary)
            object.__setattr__(self, target, values[0] if target == "points478_mean" else values)

    def _check_shapes(self) -> None:
        count = len(self.vertices)
        wanted: dict[str, tuple[int | None, ...]] = {
            "vertices": (count, 3),
            "triangles": (None, 3),
            "identity_basis": (None, count, 3),
            "expression_basis": (len(self.expression_names), count, 3),
            "uv": (count, 2),
            "mirror": (count,),
            "labels": (count,),
            "scalp_weight": (count,),
            "points478_triangle": (478,),
            "points478_bary": (478, 3),
            "points68_triangle": (68,),
            "points68_bary": (68, 3),
            "neck_joint": (3,),
        }
        for name, shape in wanted.items():
            got = getattr(self, name).shape
            if len(got) != len(shape) or any(
                w is not None and w != g for w, g in zip(shape, got, strict=True)
            ):
                raise ValueError(f"HeadModel.{name}: expected shape {shape}, got {got}")

    def _on_points(self, basis: np.ndarray, triangle: np.ndarray, bary: np.ndarray) -> np.ndarray:
        corners = basis[:, self.triangles[triangle]]  # (B, N, 3 corners, 3)
        # Contiguous, or every use would copy it to reshape it.
        return np.ascontiguousarray(np.einsum("nc,bncd->bnd", bary, corners), np.float32)

    def triangles_of(self, *labels: int) -> np.ndarray:
        """Return the (T, 3) triangles with a vertex of one of the region labels."""
        return self.triangles[np.isin(self.labels, labels)[self.triangles].any(axis=1)]

    def shape(
        self, identity: np.ndarray | None = None, expression: np.ndarray | None = None
    ) -> np.ndarray:
        """Shape of a head.

        Args:
            identity: up to K coefficients in standard deviations; None is the mean.
            expression: up to E face units, 0…1; None is the neutral face.

        Returns:
            (V, 3) float32 mm, head space.
        """
        result = self.vertices.copy()
        _add(result, identity, self.identity_basis)
        _add(result, expression, self.expression_basis)
        return result

    def expressed(self, neutral: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Return the shape of a head whose (V, 3) neutral one is known; see shape."""
        result = neutral.copy()
        _add(result, expression, self.expression_basis)
        return result

    def part(self, vertices: np.ndarray) -> ShapePart:
        """Return what shapes some vertices (N,) alone."""
        return ShapePart(
            self.vertices[vertices],
            np.ascontiguousarray(self.identity_basis[:, vertices]),
            np.ascontiguousarray(self.expression_basis[:, vertices]),
        )

    def points478(
        self, identity: np.ndarray | None = None, expression: np.ndarray | None = None
    ) -> np.ndarray:
        """Tracked points of a head: (478, 3) float32 mm, head space; arguments as in shape."""
        result = self.points478_mean.copy()
        _add(result, identity, self.points478_identity)
        _add(result, expression, self.points478_expression)
        return result

    def points68(
        self, identity: np.ndarray | None = None, expression: np.ndarray | None = None
    ) -> np.ndarray:
        """IBUG points of a head: (68, 3) float32 mm, head space; arguments as in shape."""
        shape = self.shape(identity, expression)
        return self._on_points(shape[None], self.points68_triangle, self.points68_bary)[0]


def _add(result: np.ndarray, weights: np.ndarray | None, basis: np.ndarray) -> None:
    """Add the weighted sum of the first bases, in place."""
    if weights is None or len(weights) == 0:
        return
    if len(weights) > len(basis):
        raise ValueError(f"{len(weights)} coefficients for a basis of {len(basis)}")
    flat = basis[: len(weights)].reshape(len(weights), -1)
    result += (np.asarray(weights, np.float32) @ flat).reshape(result.shape)


def load_head_model(path: Path | str | None = None) -> HeadModel:
    """Read a head model file; the one that is shipped when no path is given.

    A file is read once; later calls return the same object.

    Raises:
        UserError: when the file is absent or not a head model.
    """
    return _load(Path(path) if path is not None else DEFAULT_PATH)


@lru_cache(maxsize=4)
def _load(path: Path) -> HeadModel:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {item.name: stored[item.name] for item in fields(HeadModel) if item.init}
    except FileNotFoundError as error:
        raise UserError(
            f"cannot read the head model {path.name}",
            "the file does not exist",
            "Reinstall voltface, or make it with: python -m training.head_model",
        ) from error
    except (KeyError, ValueError, OSError, EOFError, BadZipFile, zlib.error) as error:
        raise UserError(
            f"cannot read the head model {path.name}",
            f"it is not a head model file ({error})",
            "Give a file made by: python -m training.head_model",
        ) from error
    names = tuple(str(name) for name in arrays.pop("expression_names"))
    floats = {name: _as_float32(array) for name, array in arrays.items()}
    return HeadModel(expression_names=names, **floats)


def _as_float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype.kind == "f" else array
