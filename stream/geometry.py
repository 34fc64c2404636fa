"""Cameras, rotations and rigid motions, in the conventions of docs/architecture.md.

Camera space is x right, y down, z forward, in millimetres; pixel centres lie at +0.5.
Angles are degrees as seen in the picture: yaw > 0 turns the nose to the right of the
picture, pitch > 0 lifts it, roll > 0 tilts the head clockwise. A head that faces the camera
upright has the identity rotation, and its nose points along −z.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

FOCAL_PER_LONGER_SIDE = 1.2

_SMALL_ANGLE = 1e-4  # below this, power series are exact to double precision
_NEAR_PI = 1e-4  # within this of π, the axis comes from the symmetric part


def pinhole_camera(width: int, height: int, focal_px: float | None = None) -> np.ndarray:
    """Make the (3, 3) intrinsics of a pinhole camera with its centre in mid-picture.

    Args:
        width: picture width in pixels.
        height: picture height in pixels.
        focal_px: focal length in pixels; 1.2 × the longer side when None.
    """
    focal = FOCAL_PER_LONGER_SIDE * max(width, height) if focal_px is None else focal_px
    return np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def project(points_mm: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Project (..., 3) camera-space points to (..., 2) pixels; points must have z > 0."""
    image = points_mm @ camera.T.astype(points_mm.dtype, copy=False)
    return image[..., :2] / image[..., 2:]


def rotation_from_angles(yaw: ArrayLike, pitch: ArrayLike, roll: ArrayLike) -> np.ndarray:
    """Return (..., 3, 3) = Rz(roll) · Ry(−yaw) · Rx(−pitch) of angles in degrees."""
    if np.ndim(yaw) == np.ndim(pitch) == np.ndim(roll) == 0:  # as each frame needs it
        a, b, c = (math.radians(float(angle)) for angle in (pitch, yaw, roll))  # type: ignore[arg-type]
        rx, ry, rz = _one_rotation(-a, 0, 0), _one_rotation(0, -b, 0), _one_rotation(0, 0, c)
        return np.asarray(rz @ ry @ rx)
    y, p, r = np.broadcast_arrays(-np.radians(yaw), -np.radians(pitch), np.radians(roll))
    about_x = np.stack([p, 0 * p, 0 * p], axis=-1)
    about_y = np.stack([0 * y, y, 0 * y], axis=-1)
    about_z = np.stack([0 * r, 0 * r, r], axis=-1)
    rx, ry, rz = (rotation_from_axis_angle(w) for w in (about_x, about_y, about_z))
    return rz @ ry @ rx


def angles_from_rotation(rotation: np.ndarray) -> np.ndarray:
    """Return (..., 3) yaw, pitch, roll in degrees of (..., 3, 3) rotations; unpacks to three.

    Yaw lies in −90…90, the others in −180…180. At a yaw of ±90 only the sum or difference of
    pitch and roll is known, and roll is returned as if pitch were what atan2(0, 0) gives: 0.
    """
    yaw = np.arctan2(rotation[..., 2, 0], np.hypot(rotation[..., 0, 0], rotation[..., 1, 0]))
    pitch = -np.arctan2(rotation[..., 2, 1], rotation[..., 2, 2])
    roll = np.arctan2(rotation[..., 1, 0], rotation[..., 0, 0])
    return np.degrees(np.stack([yaw, pitch, roll], axis=-1))


def skew(vector: np.ndarray) -> np.ndarray:
    """Return the (..., 3, 3) matrices K with K · p = vector × p."""
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _series_abc(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sin a / a, (1 − cos a) / a², (a − sin a) / a³, safe at a = 0."""
    small = angle < _SMALL_ANGLE
    safe, square = np.where(small, 1.0, angle), angle**2
    a = np.where(small, 1 - square / 6, np.sin(safe) / safe)
    b = np.where(small, 0.5 - square / 24, (1 - np.cos(safe)) / safe**2)
    c = np.where(small, 1 / 6 - square / 120, (safe - np.sin(safe)) / safe**3)
    return a, b, c


def rotation_from_axis_angle(axis_angle: np.ndarray) -> np.ndarray:
    """Return (..., 3, 3) rotations of (..., 3) axis × angle vectors in radians (Rodrigues)."""
    w = np.asarray(axis_angle, np.float64)
    if w.ndim == 1:  # much faster for one, and one is what each frame needs
        return _one_rotation(*w.tolist())
    a, b, _ = _series_abc(np.linalg.norm(w, axis=-1))
    k = skew(w)
    return np.eye(3) + a[..., None, None] * k + b[..., None, None] * (k @ k)


def _one_rotation(x: float, y: float, z: float) -> np.ndarray:
    square = x * x + y * y + z * z
    angle = math.sqrt(square)
    small = angle < _SMALL_ANGLE
    a = 1 - square / 6 if small else math.sin(angle) / angle
    b = 0.5 - square / 24 if small else (1 - math.cos(angle)) / square
    return np.array(
        [
            [1 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y],
            [b * x * y + a * z, 1 - b * (x * x + z * z), b * y * z - a * x],
            [b * x * z - a * y, b * y * z + a * x, 1 - b * (x * x + y * y)],
        ]
    )


def axis_angle_from_rotation(rotation: np.ndarray) -> np.ndarray:
    """Return the (..., 3) axis × angle, angle in 0…π, of (..., 3, 3) rotations."""
    r = np.asarray(rotation, np.float64)
    if r.ndim == 2:  # much faster for one, and one is what each frame needs
        turn = _one_axis_angle(r)
        if turn is not None:
            return turn
    odd = np.stack(
        [r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]],
        axis=-1,
    )
    sine = np.linalg.norm(odd, axis=-1) / 2
    angle = np.arctan2(sine, (np.trace(r, axis1=-2, axis2=-1) - 1) / 2)
    factor = 0.5 / _series_abc(angle)[0].clip(1e-12)
    near_pi = (np.pi - angle < _NEAR_PI)[..., None]
    return np.where(near_pi, _axis_near_pi(r, odd) * angle[..., None], odd * factor[..., None])


def _one_axis_angle(rotation: np.ndarray) -> np.ndarray | None:
    """Return the (3,) axis × angle of one rotation; None of one by nearly half a turn."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    x, y, z = zy - yz, xz - zx, yx - xy
    angle = math.atan2(math.sqrt(x * x + y * y + z * z) / 2, (xx + yy + zz - 1) / 2)
    if math.pi - angle < _NEAR_PI:
        return None
    share = 1 - angle * angle / 6 if angle < _SMALL_ANGLE else math.sin(angle) / angle
    factor = 0.5 / max(share, 1e-12)
    return np.array([x * factor, y * factor, z * factor])


def _axis_near_pi(rotation: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """Return the unit axes of half turns from the symmetric part, 2·n·nᵀ − 1."""
    outer = (rotation + np.swapaxes(rotation, -1, -2)) / 4 + np.eye(3) / 2
    largest = np.argmax(np.diagonal(outer, axis1=-2, axis2=-1), axis=-1)
    column = np.take_along_axis(outer, largest[..., None, None], axis=-1)[..., 0]
    axis = column / np.linalg.norm(column, axis=-1, keepdims=True).clip(1e-12)
    # The odd part is tiny here but still tells which of the two directions is shorter.
    agrees = np.sum(axis * odd, axis=-1, keepdims=True) >= 0
    return np.where(agrees, axis, -axis)


def rigid_transform(rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Return the (..., 4, 4) float64 transform p → rotation · p + translation."""
    out = np.zeros((*rotation.shape[:-2], 4, 4))
    out[..., :3, :3], out[..., :3, 3], out[..., 3, 3] = rotation, translation, 1.0
    return out


def invert_rigid(transform: np.ndarray) -> np.ndarray:
    """Return the inverse of (..., 4, 4) rigid transforms."""
    back = np.swapaxes(transform[..., :3, :3], -1, -2)
    return rigid_transform(back, -np.squeeze(back @ transform[..., :3, 3:], axis=-1))


def transform_points(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Apply one (4, 4) transform to (..., 3) points, in the precision of the points."""
    matrix = transform.astype(points.dtype, copy=False)
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def rotate_about(rotation: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the (4, 4) transform that applies a (3, 3) rotation about a (3,) point."""
    return rigid_transform(rotation, centre - rotation @ centre)


def orthonormalise(matrix: np.ndarray) -> np.ndarray:
    """Return the rotations nearest to (..., 3, 3) matrices in the least-squares sense."""
    u, _, vt = np.linalg.svd(matrix)
    flip = np.sign(np.linalg.det(u @ vt))
    u = u.copy()
    u[..., :, 2] *= flip[..., None]
    return u @ vt


def se3_exp(xi: np.ndarray) -> np.ndarray:
    """Return (..., 4, 4) transforms of (..., 6) twists: 3 of translation, then 3 of rotation."""
    xi = np.asarray(xi, np.float64)
    w = xi[..., 3:]
    _, b, c = _series_abc(np.linalg.norm(w, axis=-1))
    k = skew(w)
    v = np.eye(3) + b[..., None, None] * k + c[..., None, None] * (k @ k)
    return rigid_transform(rotation_from_axis_angle(w), np.squeeze(v @ xi[..., :3, None], -1))


def se3_log(transform: np.ndarray) -> np.ndarray:
    """Return the (..., 6) twists of (..., 4, 4) rigid transforms; the inverse of `se3_exp`."""
    w = axis_angle_from_rotation(transform[..., :3, :3])
    angle = np.linalg.norm(w, axis=-1)
    a, b, _ = _series_abc(angle)
    small = angle < _SMALL_ANGLE
    square = np.where(small, 1.0, angle**2)
    d = np.where(small, 1 / 12 + angle**2 / 720, (1 - a / (2 * b.clip(1e-12))) / square)
    k = skew(w)
    v_inverse = np.eye(3) - 0.5 * k + d[..., None, None] * (k @ k)
    rho = np.squeeze(v_inverse @ transform[..., :3, 3:], axis=-1)
    return np.concatenate([rho, w], axis=-1)


def opencv_affine(matrix: np.ndarray) -> np.ndarray:
    """Return a (2, 3) affine for OpenCV, which counts pixel centres at whole numbers."""
    whole = np.array(matrix, np.float64)
    whole[:, 2] += whole[:, :2] @ [0.5, 0.5] - 0.5
    return whole


def smoothstep(values: np.ndarray | float, low: float, high: float) -> np.ndarray:
    """Return 0 below low, 1 above high, and a smooth rise between them, float32."""
    share = np.clip((np.asarray(values) - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def vertex_normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return (V, 3) unit normals of a mesh, in the type of its points, by area of the triangles.

    Args:
        points: (V, 3) in head or camera space (y down).
        triangles: (T, 3), counter-clockwise from outside in a y-up view, as the head model's;
            then the normals point out of it.
    """
    first, second, third = (points[corner].T for corner in triangles.T)
    a, b = second - first, third - first
    flat, total = triangles.T.ravel(), np.empty_like(points)
    for axis, (j, k) in enumerate(((1, 2), (2, 0), (0, 1))):
        across = a[j] * b[k] - a[k] * b[j]  # np.cross takes twice as long
        total[:, axis] = np.bincount(flat, np.tile(across, 3), len(points))
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12))
