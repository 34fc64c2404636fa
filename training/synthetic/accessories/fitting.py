"""Where things touch the head: rays cast at the mean head once, then carried to every person."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stream.head_model import HeadModel, load_head_model
from training.synthetic.scene import Label

CROWN_ORIGIN_MM = np.array([0.0, 25.0, 10.0])  # hats are seen from here
_ELEVATIONS = np.radians(np.arange(90, -46, -5.0))
_AZIMUTHS = np.radians(np.arange(0, 360, 7.5))
_FRONT_STEP_MM = 6.0
_FRONT_LEFT_TOP_MM = np.array([-96.0, -78.0])
_FRONT_SHAPE = (44, 33)  # rows, columns
_FAR_MM = 60.0  # depth where the front map meets nothing


@dataclass(frozen=True, slots=True)
class Fit:
    """A person's head, measured for things to wear.

    Attributes:
        head_mm: (5013, 3) float32 vertices of the head model.
        points_mm: (478, 3) float32 tracked points.
        ears_mm: two (N, 3) arrays, the ear on the left of the picture first.
    """

    head_mm: np.ndarray
    points_mm: np.ndarray
    ears_mm: tuple[np.ndarray, np.ndarray]


def fit(head_mm: np.ndarray) -> Fit:
    """Measure a (5013, 3) head."""
    model = load_head_model()
    corners = head_mm[model.triangles[model.points478_triangle]]
    points = (corners * model.points478_bary[..., None]).sum(axis=1)
    left, right = _ears()
    return Fit(head_mm, points.astype(np.float32), (head_mm[left], head_mm[right]))


@lru_cache(maxsize=1)
def _ears() -> tuple[np.ndarray, np.ndarray]:
    model = load_head_model()
    ear = model.labels == 3
    return np.flatnonzero(ear & (model.vertices[:, 0] < 0)), np.flatnonzero(
        ear & (model.vertices[:, 0] > 0)
    )


def crown_directions(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Return (…, 3) unit vectors: azimuth 0 is the face's side, growing to x > 0; radians."""
    level = np.cos(elevation)
    return np.stack(
        [level * np.sin(azimuth), -np.sin(elevation), -level * np.cos(azimuth)], axis=-1
    )


def crown_radii(head_mm: np.ndarray) -> np.ndarray:
    """Return (28, 48) distances of the head's outside from the crown's origin, ears smoothed."""
    corners, weights = _crown_embedding()
    hits = (head_mm[corners] * weights[..., None]).sum(axis=1) - CROWN_ORIGIN_MM
    radii = np.sqrt((hits * hits).sum(axis=1)).reshape(len(_ELEVATIONS), len(_AZIMUTHS))
    around = sum(np.roll(radii, k, axis=1) for k in (-2, -1, 0, 1, 2)) / 5
    return np.asarray(np.maximum(radii, around))


def sample_radii(radii: np.ndarray, azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Return radii at any directions (arrays of one shape, radians), bilinear."""
    row = ((_ELEVATIONS[0] - elevation) / np.radians(5.0)).clip(0, len(_ELEVATIONS) - 1.001)
    column = np.mod(azimuth / np.radians(7.5), len(_AZIMUTHS))
    i, j = row.astype(int), column.astype(int) % len(_AZIMUTHS)
    down, right = row - i, column - np.floor(column)
    beside = (j + 1) % len(_AZIMUTHS)
    upper = radii[i, j] * (1 - right) + radii[i, beside] * right
    lower = radii[i + 1, j] * (1 - right) + radii[i + 1, beside] * right
    return np.asarray(upper * (1 - down) + lower * down)


@lru_cache(maxsize=1)
def _crown_embedding() -> tuple[np.ndarray, np.ndarray]:
    elevation, azimuth = np.meshgrid(_ELEVATIONS, _AZIMUTHS, indexing="ij")
    directions = crown_directions(azimuth, elevation).reshape(-1, 3)
    model = load_head_model()
    corners, weights, hit = _cast(
        model, model.triangles_of(1, 2, 3, 4), CROWN_ORIGIN_MM[None], directions, farthest=True
    )
    if not hit.all():
        raise ValueError("the head model is open at the crown")
    return corners, weights


def front_depths(head_mm: np.ndarray) -> np.ndarray:
    """Return (44, 33) z of the face's outside over a net in x and y; for `in_front_of`."""
    corners, weights, hit = _front_embedding()
    depth = (head_mm[corners, 2] * weights).sum(axis=1)
    return np.where(hit, depth, _FAR_MM).reshape(_FRONT_SHAPE)


def in_front_of(depths: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
    """Return (N,) z of the face behind (N, 3) points, bilinear; far beside the head."""
    at = (points_mm[:, :2] - _FRONT_LEFT_TOP_MM) / _FRONT_STEP_MM
    top = np.array(_FRONT_SHAPE[::-1]) - 1.001
    inside = ((at >= 0) & (at <= top)).all(axis=1)
    at = at.clip(0, top)
    column, row = at.astype(int).T
    right, down = (at - np.floor(at)).T
    upper = depths[row, column] * (1 - right) + depths[row, column + 1] * right
    lower = depths[row + 1, column] * (1 - right) + depths[row + 1, column + 1] * right
    return np.where(inside, upper * (1 - down) + lower * down, _FAR_MM)


@lru_cache(maxsize=1)
def _front_embedding() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    model = load_head_model()
    triangles = model.triangles_of(1, 2, 4, 6)
    corners = model.vertices[triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] < 0
    rows, columns = np.indices(_FRONT_SHAPE).reshape(2, -1)
    across = np.stack([columns, rows], axis=1) * _FRONT_STEP_MM + _FRONT_LEFT_TOP_MM + 0.01
    origins = np.concatenate([across, np.full((len(across), 1), -400.0)], axis=1)
    ahead = np.broadcast_to([0.0, 0.0, 1.0], origins.shape)
    return _cast(model, triangles[facing], origins, ahead, farthest=False)


def _cast(
    model: HeadModel,
    triangles: np.ndarray,
    origins: np.ndarray,
    directions: np.ndarray,
    farthest: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each ray the corners hit (R, 3), their weights (R, 3) and whether it hit."""
    a, b, c = (model.vertices[triangles[:, k]].astype(np.float32) for k in range(3))
    first, second = b - a, c - a
    corners, weights, hits = [], [], []
    origins = np.broadcast_to(origins, directions.shape).astype(np.float32)
    for origin, direction in zip(origins, directions.astype(np.float32), strict=True):
        p = np.cross(direction, second)
        det = (first * p).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = ((origin - a) * p).sum(axis=1) / det
            q = np.cross(origin - a, first)
            v = (q @ direction) / det
            far = (second * q).sum(axis=1) / det
        inside = (u >= -1e-4) & (v >= -1e-4) & (u + v <= 1.0002) & (far > 0)
        key = np.where(inside, far if farthest else -far, -np.inf)
        best = int(key.argmax())
        corners.append(triangles[best])
        weights.append((1 - u[best] - v[best], u[best], v[best]))
        hits.append(bool(inside[best]))
    return np.array(corners), np.nan_to_num(np.array(weights, np.float32)), np.array(hits)


@lru_cache(maxsize=1)
def _side_columns() -> tuple[np.ndarray, tuple[tuple[np.ndarray, np.ndarray], ...]]:
    """Return depths z along the temples and, for each, the vertices there, left and right."""
    model = load_head_model()
    depths = np.arange(-75.0, 36.0, 10.0)
    skin = np.isin(model.labels, (Label.FACE, 2, 4))
    groups = []
    for z in depths:
        near = skin & (np.abs(model.vertices[:, 2] - z) < 9) & (
            np.abs(model.vertices[:, 1] - 45) < 16
        )  # fmt: skip
        sides = [np.flatnonzero(near & (sign * model.vertices[:, 0] > 30)) for sign in (-1, 1)]
        groups.append((sides[0], sides[1]))
    return depths, tuple(groups)


def side_profile(head_mm: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return depths z and the half width |x| of the head there at the height of the eyes.

    Args:
        head_mm: (5013, 3) head.
        side: -1 the left of the picture, 1 the right.
    """
    depths, groups = _side_columns()
    index = 0 if side < 0 else 1
    widths = [float((side * head_mm[pair[index], 0]).max()) for pair in groups]
    return depths, np.array(widths)
