"""Light for synthetic heads: rooms and skies from HDR maps, lamps, ring lights and screens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.synthetic.scene import Lighting

if TYPE_CHECKING:
    from pathlib import Path

_HDRI = "hdri/hdri_18x128x256_f16.npz"
_MOST_CHEEK = 1.35  # light on a cheek or brow, of that on the front
_BALANCED = (0.4, 0.9)  # how much of a cast a camera takes away
_COSINE = np.array([1.0, *[2 / 3] * 3, *[1 / 4] * 5])  # smoothing by the cosine, over π
_FACE_NORMALS = np.array([[0.0, 0.0, -1.0], [-0.7, 0.0, -0.714], [0.7, 0.0, -0.714],
                          [0.0, -0.6, -0.8]])  # fmt: skip
_SCREENS = np.array(
    [[0.6, 0.75, 1.0], [1.0, 1.0, 1.0], [0.9, 0.4, 1.0], [0.4, 1.0, 0.7], [1.0, 0.5, 0.4]]
)


@dataclass(frozen=True, slots=True)
class _Environment:
    name: str
    radiance: np.ndarray  # (H, W, 3) float32, linear, mean 1
    sun: np.ndarray  # (3,) towards the brightest part
    sun_colour: np.ndarray  # (3,), what that part sends, in units of the mean


def harmonics(directions: np.ndarray) -> np.ndarray:
    """Evaluate the nine real spherical harmonics up to the second order.

    Args:
        directions: (…, 3) unit vectors.

    Returns:
        (…, 9) values, orthonormal over the sphere.
    """
    x, y, z = np.moveaxis(directions, -1, 0)
    one = np.ones_like(x)
    values = [
        0.282095 * one, 0.488603 * y, 0.488603 * z, 0.488603 * x, 1.092548 * x * y,
        1.092548 * y * z, 0.315392 * (3 * z * z - 1), 1.092548 * x * z, 0.546274 * (x * x - y * y),
    ]  # fmt: skip
    return np.stack(values, axis=-1)


def directions_of(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the directions of an equirectangular map's texels and their solid angles.

    Returns:
        (H, W, 3) unit vectors in camera space (y down, so the map's top row is -y; its middle
        column is behind the camera's subject, +z), and (H, W) steradians, 4π in all.
    """
    polar = (np.arange(height) + 0.5) * np.pi / height
    turn = (np.arange(width) + 0.5) * 2 * np.pi / width - np.pi
    sine = np.sin(polar)[:, None]
    towards = np.stack(
        [sine * np.sin(turn), np.broadcast_to(-np.cos(polar)[:, None], (height, width)),
         sine * np.cos(turn)], axis=-1,
    )  # fmt: skip
    angle = np.broadcast_to(sine, (height, width))
    return towards, angle * (4 * np.pi / angle.sum())


class LightLibrary:
    """Draws the light of scenes from the HDR maps of the data folder.

    Args:
        data_dir: the data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        with np.load(data_dir / _HDRI) as stored:
            names, maps = stored["names"], stored["rgb"]
        self._environments = [
            _environment(str(name), picture) for name, picture in zip(names, maps, strict=True)
        ]
        towards, angle = directions_of(*maps.shape[1:3])
        weighted = (harmonics(towards) * angle[..., None]).reshape(-1, 9)
        self._basis = np.ascontiguousarray(weighted.T, np.float32)

    def sample(self, rng: np.random.Generator) -> Lighting:
        """Draw the light of one scene: an environment, turned, and up to three lamps."""
        environment = self._environments[int(rng.integers(len(self._environments)))]
        radiance, sun = _turned(environment, rng)
        kind = str(rng.choice(["room", "lamps", "ring", "screen"], p=[0.45, 0.3, 0.12, 0.13]))
        share = {"room": 1.0, "lamps": 0.5, "ring": 0.55, "screen": 0.35}[kind]
        sky = share * (self._basis @ radiance.reshape(-1, 3))
        lamps = [(sun, share * environment.sun_colour * rng.uniform(0.3, 1.0))]
        lamps += _lamps(kind, rng)
        directions = np.array([lamp[0] for lamp in lamps], np.float32)
        colours = np.array([lamp[1] for lamp in lamps], np.float32)
        balance = _white_balance(sky, directions, colours) ** rng.uniform(*_BALANCED)
        sky, colours = sky * balance, colours * balance
        gain = _exposure(sky, directions, colours)
        brightest = int(colours.sum(axis=1).argmax())
        return Lighting(
            sky=(sky * gain).astype(np.float32),
            directions=directions,
            colours=(colours * gain).astype(np.float32),
            shadowed=-1 if kind == "ring" else brightest,
            facts={"light": kind, "environment": environment.name},
        )


def _environment(name: str, picture: np.ndarray) -> _Environment:
    """Split a map into the glow that harmonics can carry and its brightest part as a lamp."""
    radiance = np.nan_to_num(picture.astype(np.float32), posinf=6e4).clip(0.0)
    towards, angle = directions_of(*radiance.shape[:2])
    radiance /= (radiance.mean(axis=-1) * angle).sum() / (4 * np.pi)
    grey = radiance.mean(axis=-1)
    bright = grey > max(float(np.quantile(grey, 0.985)), 4.0)
    excess = np.where(bright[..., None], radiance - 4.0, 0.0).clip(0.0)
    weight = excess.mean(axis=-1) * angle
    if weight.sum() < 1e-3:
        return _Environment(name, radiance, np.array([0.0, -0.8, -0.6]), np.zeros(3))
    sun = (towards * weight[..., None]).sum(axis=(0, 1))
    colour = (excess * angle[..., None]).sum(axis=(0, 1)) / np.pi
    return _Environment(name, radiance - excess, sun / np.linalg.norm(sun), colour.clip(0.0, 4.0))


def _turned(environment: _Environment, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Turn a map about the vertical by whole columns, and its lamp with it."""
    width = environment.radiance.shape[1]
    columns = int(rng.integers(width))
    angle = 2 * np.pi * columns / width
    x, y, z = environment.sun
    sun = np.array(
        [x * np.cos(angle) + z * np.sin(angle), y, z * np.cos(angle) - x * np.sin(angle)]
    )
    return np.roll(environment.radiance, columns, axis=1), sun


def _lamps(kind: str, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw lamps that a person has put up; directions in camera space, y down, z away."""
    if kind == "ring":
        return [(_unit([0.0, -0.1, -1.0]), _tint(rng, 0.05) * rng.uniform(0.6, 1.6))]
    if kind == "screen":
        colour = _SCREENS[int(rng.integers(len(_SCREENS)))] * rng.uniform(0.5, 1.5)
        return [(_unit([rng.uniform(-0.5, 0.5), rng.uniform(0.1, 0.6), -1.0]), colour)]
    if kind == "room":
        return []
    key = _unit([rng.normal(0.0, 0.9), rng.uniform(-1.2, 0.1), -rng.uniform(0.2, 1.0)])
    lamps = [(key, _tint(rng, 0.15) * rng.uniform(0.6, 2.0))]
    if rng.random() < 0.5:
        rim = _unit([rng.choice([-1.0, 1.0]) * rng.uniform(0.6, 1.2), rng.uniform(-0.8, 0.0), 0.6])
        lamps.append((rim, _tint(rng, 0.3) * rng.uniform(0.3, 1.5)))
    return lamps


def _tint(rng: np.random.Generator, spread: float) -> np.ndarray:
    warm = rng.normal(0.0, spread)
    return np.exp([warm, 0.0, -warm])


def _unit(vector: list[float]) -> np.ndarray:
    return np.asarray(vector) / np.linalg.norm(vector)


def _exposure(sky: np.ndarray, directions: np.ndarray, colours: np.ndarray) -> float:
    """Return the gain that lights a face by about 1: its front, or less where a cheek burns."""
    front, *sides = _received(sky, directions, colours).mean(axis=1)
    return float(1.0 / max(front, *(value / _MOST_CHEEK for value in sides), 0.15))


def _white_balance(sky: np.ndarray, directions: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return (3,) gains that would make the light on the front of a face grey."""
    front = np.maximum(_received(sky, directions, colours)[0], 1e-3)
    return front.mean() / front


def _received(sky: np.ndarray, directions: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Return (4, 3) light on the front of a face, both cheeks and the brow, shadows apart."""
    even = (harmonics(_FACE_NORMALS) * _COSINE) @ sky
    return even + np.maximum(_FACE_NORMALS @ directions.T, 0.0) @ colours
