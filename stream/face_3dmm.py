"""The network `face_3dmm` at run time: from the crop of a face to head model coefficients.

Deep 3D Portrait (Xu et al. 2020) §4.1. Everything the network says of a place is relative to the
crop, so that it does not matter where in the frame the crop lies:

- ``rotation`` (6,): the first two columns of R, where R turns head space into the *ray frame*,
  camera space turned by the least rotation that takes the optical axis to the ray through the
  crop's centre: ``R = ray_rotation(ray)ᵀ · R_camera_from_head``.
- ``place`` (3,): the projected origin of head space in the crop, in crop sides from its centre
  (across, down), and ln(crop side ÷ projected size of 100 mm at the origin's depth z), that is
  ln(side · z ÷ (100 · focal)).
- ``texture`` (40,): standard deviations along the skin model (linear albedo on the vertices).
- ``light`` (27,): nine spherical harmonics, in the ray frame, of red, then green, then blue:
  irradiance ÷ π as the camera exposes it; a colour is (albedo · Σ light · Y(normal)) ^ (1 / 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from stream.errors import UserError
from stream.geometry import opencv_affine, rigid_transform
from stream.pose import ray_rotation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.frame import Face, Frame

SIZE = 192  # side of the network's picture, pixels
CROP_PER_FACE = 1.9  # the crop's side over the longer extent of the tracked face
UNIT_MM = 100.0
DISPLAY_GAMMA = 2.2
TEXTURE_PATH = Path(__file__).resolve().parents[1] / "engines" / "weights" / "face_texture.npz"

_IRIS_START = 468


class Network(Protocol):
    """What runs the network: an engine of the package `engines`."""

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Take named arrays and return named arrays."""


@dataclass(frozen=True, slots=True)
class Crop:
    """An upright square of a picture.

    Attributes:
        x, y: its centre, pixels (pixel centres at +0.5).
        side: pixels.
    """

    x: float
    y: float
    side: float

    def matrix(self, size: int = SIZE) -> np.ndarray:
        """Return (2, 3) float64 `crop_from_picture`, pixel centres at +0.5."""
        scale = size / self.side
        return np.array(
            [[scale, 0.0, size / 2 - scale * self.x], [0.0, scale, size / 2 - scale * self.y]]
        )


@dataclass(frozen=True, slots=True)
class FaceGuess:
    """What the network sees in one face.

    Attributes:
        identity: (80,) float32, standard deviations.
        expression: (52,) float32, face units, 0…1.
        rotation: (6,) float32; see the module's first lines.
        place: (3,) float32, likewise.
        texture: (40,) float32, standard deviations along the skin model.
        light: (3, 9) float32, red, green, blue, likewise.
        crop: where it looked.
    """

    identity: np.ndarray
    expression: np.ndarray
    rotation: np.ndarray
    place: np.ndarray
    texture: np.ndarray
    light: np.ndarray
    crop: Crop

    def camera_from_head(self, camera: np.ndarray) -> np.ndarray:
        """Return the (4, 4) float64 pose, mm, before a camera with (3, 3) intrinsics."""
        return pose_in_camera(self.rotation, self.place, self.crop, camera)


@dataclass(frozen=True, slots=True)
class SkinModel:
    """A linear model of skin on the head model's vertices.

    Attributes:
        mean: (V, 3) float32 linear albedo.
        basis: (40, V, 3) float32, albedo per standard deviation.
    """

    mean: np.ndarray
    basis: np.ndarray

    def albedo(self, texture: np.ndarray) -> np.ndarray:
        """Return (V, 3) float32 linear albedo of (K,) coefficients."""
        offset = np.tensordot(np.asarray(texture, np.float32), self.basis[: len(texture)], 1)
        return np.clip(self.mean + offset, 0.002, 1.0)


@lru_cache(maxsize=1)
def load_skin_model() -> SkinModel:
    """Read the skin model that is shipped.

    Raises:
        UserError: when its file is absent or damaged.
    """
    try:
        with np.load(TEXTURE_PATH, allow_pickle=False) as stored:
            return SkinModel(stored["mean"].astype(np.float32), stored["basis"].astype(np.float32))
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f"cannot read the skin model {TEXTURE_PATH.name}",
            f"{error}",
            "Reinstall voltface, or make it with: python -m training.face_texture",
        ) from error


class FaceReader:
    """Reads head model coefficients off faces.

    Args:
        network: called with `picture`; returns the outputs of `face_3dmm` by name.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def read(self, frame: Frame, faces: Sequence[Face]) -> list[FaceGuess]:
        """Look at the faces of a frame, all at once.

        Args:
            frame: the picture.
            faces: those to look at; their points say where.

        Returns:
            One guess a face, in the same order.
        """
        if not faces:
            return []
        crops = [face_crop(face.points_px) for face in faces]
        pictures = np.stack([cut(frame.pixels, crop) for crop in crops])
        found = self._network(picture=network_input(pictures))
        return [
            guess_of({name: rows[number] for name, rows in found.items()}, crop)
            for number, crop in enumerate(crops)
        ]


def face_crop(points_px: np.ndarray) -> Crop:
    """Return the square that the network looks at, from (≥ 468, ≥ 2) tracked points."""
    points = points_px[:_IRIS_START, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + high) / 2
    return Crop(float(x), float(y), CROP_PER_FACE * float((high - low).max()))


def cut(pixels: np.ndarray, crop: Crop) -> np.ndarray:
    """Cut a crop out of (H, W, 3) uint8; beyond the picture its border is repeated."""
    matrix = crop.matrix()
    shrink = crop.side / SIZE
    if shrink > 1.5:  # plain resampling would skip pixels
        pixels = cv2.GaussianBlur(_around(pixels, crop), (0, 0), 0.4 * shrink)
        left, top = _corner(crop)
        matrix[:, 2] += matrix[:, :2] @ [left, top]
    matrix = opencv_affine(matrix)
    return cv2.warpAffine(
        pixels, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def network_input(pictures: np.ndarray) -> np.ndarray:
    """Turn (N, SIZE, SIZE, 3) uint8 into (N, 3, SIZE, SIZE) float32, 0…1."""
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def guess_of(found: dict[str, np.ndarray], crop: Crop) -> FaceGuess:
    """Turn the network's outputs for one face into a guess."""
    one = {name: np.array(value, np.float32) for name, value in found.items()}
    one["expression"] = np.clip(one["expression"], 0.0, 1.0)
    one["light"] = one["light"].reshape(3, 9)
    return FaceGuess(**one, crop=crop)


def crop_ray(crop: Crop, camera: np.ndarray) -> np.ndarray:
    """Return the (3,) direction in camera space of the ray through the crop's centre."""
    focal = camera[0, 0]
    return np.array([(crop.x - camera[0, 2]) / focal, (crop.y - camera[1, 2]) / focal, 1.0])


def pose_in_camera(
    rotation: np.ndarray, place: np.ndarray, crop: Crop, camera: np.ndarray
) -> np.ndarray:
    """Return (4, 4) float64 `camera_from_head` of the network's `rotation` and `place`."""
    first, second = np.asarray(rotation, np.float64).reshape(2, 3)
    first = first / max(np.linalg.norm(first), 1e-9)
    second = second - first * (first @ second)
    second = second / max(np.linalg.norm(second), 1e-9)
    ray_from_head = np.stack([first, second, np.cross(first, second)], axis=1)
    focal = camera[0, 0]
    across, down, size = np.asarray(place, np.float64)
    depth = UNIT_MM * focal / crop.side * np.exp(size)
    pixel = np.array([crop.x + across * crop.side, crop.y + down * crop.side])
    origin = np.append((pixel - camera[:2, 2]) / focal, 1.0) * depth
    return rigid_transform(ray_rotation(crop_ray(crop, camera)) @ ray_from_head, origin)


def pose_in_crop(
    camera_from_head: np.ndarray, crop: Crop, camera: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the network's `rotation` (6,) and `place` (3,) of a pose: undoes pose_in_camera."""
    ray_from_head = ray_rotation(crop_ray(crop, camera)).T @ camera_from_head[:3, :3]
    origin = camera_from_head[:3, 3]
    focal, depth = camera[0, 0], origin[2]
    pixel = focal * origin[:2] / depth + camera[:2, 2]
    across, down = (pixel - [crop.x, crop.y]) / crop.side
    size = np.log(crop.side * depth / (UNIT_MM * focal))
    return ray_from_head[:, :2].T.reshape(6).copy(), np.array([across, down, size])


def _corner(crop: Crop) -> tuple[int, int]:
    margin = 0.55 * crop.side
    return max(0, int(crop.x - margin)), max(0, int(crop.y - margin))


def _around(pixels: np.ndarray, crop: Crop) -> np.ndarray:
    """Return the part of a picture that a crop may touch, so that only that is blurred."""
    left, top = _corner(crop)
    margin = 0.55 * crop.side
    right, bottom = int(crop.x + margin) + 2, int(crop.y + margin) + 2
    part = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
    return part if part.size else pixels
