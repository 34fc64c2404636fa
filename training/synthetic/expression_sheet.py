"""Draw single expressions of people of both sources side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stream.geometry import rigid_transform, rotation_from_angles
from training.synthetic.accessories import AccessorySpec
from training.synthetic.degrade import srgb_encoded
from training.synthetic.lighting import LightLibrary
from training.synthetic.people import People
from training.synthetic.renderer import SceneRenderer
from training.synthetic.scene import Camera

if TYPE_CHECKING:
    from pathlib import Path

_SOURCES = ("makehuman", "ict")
_PLACE_MM = np.array([0.0, -66.0, 980.0])
_FOCAL, _BEHIND = 3.3, 0.3  # of the picture's side; linear light of the backdrop


def _both(**units: float) -> dict[str, float]:
    return {f"{name}{side}": value for name, value in units.items() for side in ("Left", "Right")}


_EXPRESSIONS: dict[str, dict[str, float]] = {
    "rest": {},
    "smile": _both(mouthSmile=0.8, cheekSquint=0.4),
    "laugh": {**_both(mouthSmile=0.8, mouthUpperUp=0.3), "jawOpen": 0.4},
    "blink": _both(eyeBlink=1.0),
    "jaw": {"jawOpen": 0.8},
    "pucker": {"mouthPucker": 0.9},
    "brows up": {"browInnerUp": 0.9, **_both(browOuterUp=0.8)},
    "brows down": _both(browDown=1.0, noseSneer=0.5),
    "funnel": {"mouthFunnel": 0.8, "jawOpen": 0.25},
}


def expression_sheet(data_dir: Path, size: int, seed: int, yaw: float) -> np.ndarray:
    """Draw nine expressions, from rest on, of a MakeHuman shape (above) and of a scanned one.

    Args:
        data_dir: the data folder.
        size: side of a picture.
        seed: of the people.
        yaw: of the heads, degrees.

    Returns:
        (2·size, 9·size, 3) uint8 RGB.
    """
    people, rng = People(data_dir), np.random.default_rng(seed)
    light = LightLibrary(data_dir).sample(np.random.default_rng(3))
    focal = _FOCAL * size
    intrinsics = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1.0]])
    pose = rigid_transform(rotation_from_angles(yaw, 0.0, 0.0), _PLACE_MM)
    camera, rows = Camera((size, size), intrinsics, pose), []
    with SceneRenderer((size, size)) as renderer:
        for source in _SOURCES:
            spec = people.sample(rng)
            while spec.source != source or spec.hair.style not in ("short01", "short02"):
                spec = people.sample(rng)
            spec = replace(spec, accessories=AccessorySpec())
            row = []
            for expression in _EXPRESSIONS.values():
                layers = renderer.draw(
                    people.portrait(spec, expression, np.zeros(3)), camera, light
                )
                scene = layers.colour + _BEHIND * (1 - layers.alpha)[..., None]
                row.append((255 * srgb_encoded(scene)).astype(np.uint8))
            rows.append(np.hstack(row))
    return np.vstack(rows)
