"""How much of a known turn Face Mesh sees: rendered heads turned by known angles.

Face Mesh's points are learned, and they turn less (or more) than the head does, above all in
pitch. So a measured turn means something only beside what is measured on a true turn.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stream.geometry import (
    axis_angle_from_rotation,
    pinhole_camera,
    rigid_transform,
    rotation_from_angles,
)
from training.evaluate_repose.faces import AXES, METHODS, gain, measured_angles
from training.makehuman import HeadLibrary, sample_person, turned
from training.render import Renderer

_SIZE = (512, 512)
_PLACE_MM = np.array([0.0, 25.0, 700.0])
_SEEDS = (0, 3, 6, 8, 9)  # people whose hair leaves the face free
_TURNS = {
    "yaw": (-20.0, -10.0, 10.0, 20.0),
    "pitch": (-15.0, -8.0, 8.0, 15.0),
    "roll": (-15.0, 15.0),
}


def own_gains(data: Path) -> dict[tuple[str, str], float]:
    """Return measured per true turn, for each (axis, method), over several rendered heads.

    Args:
        data: the data folder; empty is returned where it holds no makehuman.
    """
    if not (data / "makehuman").is_dir():
        return {}
    true: dict[tuple[str, str], list[float]] = {}
    seen: dict[tuple[str, str], list[float]] = {}
    for axis, value, change in _measured_changes(HeadLibrary(data / "makehuman")):
        for method, angles in change.items():
            true.setdefault((axis, method), []).append(value)
            seen.setdefault((axis, method), []).append(float(angles[AXES.index(axis)]))
    return {key: gain(true[key], seen[key]) for key in true}


def _measured_changes(
    library: HeadLibrary,
) -> Iterator[tuple[str, float, dict[str, np.ndarray]]]:
    """Give axis, true turn and measured change of each rendering."""
    background = np.full((_SIZE[1], _SIZE[0], 3), 110, np.uint8)
    camera, pose = pinhole_camera(*_SIZE), rigid_transform(np.eye(3), _PLACE_MM)
    with Renderer(_SIZE) as renderer:
        for seed in _SEEDS:
            parts = library.parts(sample_person(seed))
            rest = measured_angles(renderer.render(parts, pose, camera, background).pixels)
            for axis, value in [(a, v) for a, values in _TURNS.items() for v in values]:
                true = rotation_from_angles(*(value if name == axis else 0.0 for name in AXES))
                moved = turned(parts, axis_angle_from_rotation(true))
                found = measured_angles(renderer.render(moved, pose, camera, background).pixels)
                if rest is not None and found is not None:
                    yield axis, value, {m: found[m] - rest[m] for m in METHODS}
