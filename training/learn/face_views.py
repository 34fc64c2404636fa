"""One face of a prepared set as `face_3dmm` sees it: a crop, and the truth relative to it.

Crops are cut around the tracked points as on the live path, and varied: nearer and farther, off
the centre, turned in the picture, mirrored. A turn of the picture about the principal point is a
turn of the camera, so that the truth stays exact.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.face_3dmm import SIZE, Crop, crop_ray, face_crop, load_skin_model, pose_in_crop
from stream.geometry import opencv_affine
from stream.head_model import load_head_model
from stream.pose import ray_rotation
from training.learn.augment import recoloured
from training.learn.face_fields import SEEN, TEXTURE, face_triangles
from training.synthetic.dataset import VIEWS_PER_PERSON

if TYPE_CHECKING:
    from training.learn.prepared import PreparedSet

_MIRROR = np.array([-1.0, 1.0, 1.0])
_TURN_DEG, _ZOOM, _SHIFT = 10.0, 0.1, 0.03  # of the crop's variation; points tell it well
_COARSE_SHARE, _LEAST_DETAIL = 0.35, 0.3


@lru_cache(maxsize=1)
def mirror_tables() -> dict[str, np.ndarray]:
    """Return how the head model's parameters change in a mirror.

    Returns:
        `identity` (80,) and `texture` (40,) signs; `expression` (52,), `points` (478,) and
        `triangles` (F,) the number on the other side, the last one nearly.
    """
    model, skin = load_head_model(), load_skin_model()
    names = model.expression_names
    swap = {"Left": "Right", "Right": "Left"}
    other = [next((n.replace(a, b) for a, b in swap.items() if a in n), n) for n in names]
    centres = model.vertices[face_triangles()].mean(axis=1)
    return {
        "identity": _signs(model.identity_basis * _MIRROR, model.identity_basis, model.mirror),
        "texture": _signs(skin.basis, skin.basis, model.mirror),
        "expression": np.array([names.index(name) for name in other]),
        "points": _nearest(model.points478_mean * _MIRROR, model.points478_mean),
        "triangles": _nearest(centres * _MIRROR, centres),
    }


def _signs(mirrored: np.ndarray, basis: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    return np.sign((mirrored[:, mirror] * basis).sum(axis=(1, 2))).astype(np.float32)


def _nearest(points: np.ndarray, among: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - among[None], axis=2).argmin(axis=1)


def view(data: PreparedSet, index: int, rng: np.random.Generator | None) -> dict[str, np.ndarray]:
    """Return one crop and its truth.

    Args:
        data: a prepared set with the fields of `learn.face_fields`.
        index: of the sample.
        rng: varies the crop and its colours; None cuts it as the live path does.

    Returns:
        `picture` (192, 192, 3) uint8; `identity`, `expression`, `texture`; `rotation` (6,) and
        `place` (3,) as in stream.face_3dmm; `camera` (3,): focal length and principal point,
        in crop sides, the latter from the crop's centre; `ray` (3, 3) camera_from_ray; `points`
        (478, 2) in crop sides from its centre, `visible` (478,); `seen` (F,). All float32.
    """
    turn = 0.0 if rng is None else np.radians(rng.normal(0, _TURN_DEG / 2))
    mirrored = rng is not None and rng.random() < 0.5
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = linear @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    points = data["points478"][index][:, :2].astype(np.float64) @ linear.T
    crop = face_crop(points)
    if rng is not None:
        crop = _varied(crop, rng)
    matrix = crop.matrix()
    matrix = np.column_stack([matrix[:, :2] @ linear, matrix[:, 2]])  # crop_from_picture
    result = _coefficients(data, index, mirrored)
    result |= _pose(data, index, matrix, turn, mirrored)
    order = mirror_tables()["points"] if mirrored else slice(None)
    result["points"] = (((points - [crop.x, crop.y]) / crop.side)[order]).astype(np.float32)
    result["visible"] = data["visible478"][index][order].astype(np.float32)
    result["picture"] = _picture(data["pixels"][index], matrix, rng)
    return result


def other_view(data: PreparedSet, index: int, rng: np.random.Generator) -> int:
    """Return another sample that shows the same person."""
    first = index - index % VIEWS_PER_PERSON
    last = min(first + VIEWS_PER_PERSON, data.count)
    choices = [number for number in range(first, last) if number != index]
    return int(rng.choice(choices)) if choices else index


def _varied(crop: Crop, rng: np.random.Generator) -> Crop:
    shift = rng.uniform(-_SHIFT, _SHIFT, 2) * crop.side
    side = crop.side * float(np.exp(rng.uniform(-_ZOOM, _ZOOM)))
    return Crop(crop.x + float(shift[0]), crop.y + float(shift[1]), side)


def _coefficients(data: PreparedSet, index: int, mirrored: bool) -> dict[str, np.ndarray]:
    tables = mirror_tables()
    identity, expression = data["identity"][index], data["expression"][index]
    texture, seen = data[TEXTURE][index], data[SEEN][index]
    if mirrored:
        identity, texture = identity * tables["identity"], texture * tables["texture"]
        expression, seen = expression[tables["expression"]], seen[tables["triangles"]]
    values = {"identity": identity, "expression": expression, "texture": texture, "seen": seen}
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def _pose(
    data: PreparedSet, index: int, matrix: np.ndarray, turn: float, mirrored: bool
) -> dict[str, np.ndarray]:
    """Express a sample's pose and camera by its crop."""
    pose = data["camera_from_head"][index].astype(np.float64)
    camera = data["intrinsics"][index].astype(np.float64)
    if mirrored:
        flip = np.diag([*_MIRROR, 1.0])
        pose = flip @ pose @ flip
    roll = np.eye(4)
    roll[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    centre = matrix[:, :2] @ camera[:2, 2] + matrix[:, 2]
    focal = scale * camera[0, 0]
    seen = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1.0]])
    whole = Crop(SIZE / 2, SIZE / 2, SIZE)
    rotation, place = pose_in_crop(roll @ pose, whole, seen)
    ray = ray_rotation(crop_ray(whole, seen))
    values = {
        "rotation": rotation,
        "place": place,
        "camera": np.array([focal, *(centre - SIZE / 2)]) / SIZE,
        "ray": ray,
    }
    return {name: value.astype(np.float32) for name, value in values.items()}


def _picture(pixels: np.ndarray, matrix: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    shifted = opencv_affine(matrix)
    border = {"borderMode": cv2.BORDER_REPLICATE}
    cut = cv2.warpAffine(pixels, shifted, (SIZE, SIZE), flags=cv2.INTER_LINEAR, **border)
    if rng is None:
        return cut
    cut = recoloured(cut, rng, 0.7)
    if rng.random() < _COARSE_SHARE:  # faces far away are small
        side = round(SIZE * rng.uniform(_LEAST_DETAIL, 0.9))
        small = cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA)
        cut = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    return cut
