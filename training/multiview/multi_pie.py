"""Pairs of views from a folder in Multi-PIE's layout (Gross et al. 2010).

`…/SUBJECT/RECORDING/CAMERA/SUBJECT_SESSION_RECORDING_CAMERA_LIGHT.png` at any depth, as in
`session01/multiview/001/01/05_1/001_01_01_051_07.png`: the views of one subject, session,
recording and light were taken at one time. The paper uses nine cameras: those within 60° of the
front, without the two that look down.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from stream.errors import UserError
from training.multiview.views import Picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from training.multiview.views import PicturePair

CAMERA_YAW_DEG = {
    "090": -60, "080": -45, "130": -30, "140": -15, "051": 0, "050": 15, "041": 30, "190": 45,
    "200": 60,
}  # fmt: skip
_NAME = re.compile(
    r"^(\d{3})_(\d{2})_(\d{2})_(\d{3})_(\d{2})(?:_.*)?\.(?:png|jpe?g)$", re.IGNORECASE
)
_LEAST_YAW, _MOST_YAW = 15, 60  # degrees between the cameras of a pair


class Shot(NamedTuple):
    """What the name of a picture says: all that its synchronised views share, and its camera."""

    subject: str
    session: str
    recording: str
    light: str
    camera: str


def shot_of(name: str) -> Shot | None:
    """Read a file name; None where it is not one of Multi-PIE's."""
    found = _NAME.match(name)
    if found is None:
        return None
    subject, session, recording, camera, light = found.groups()
    return Shot(subject, session, recording, light, camera)


def view_groups(folder: Path) -> list[dict[str, Path]]:
    """Return the views of each moment, by camera; moments with one usable view are left out.

    Raises:
        UserError: if the folder is absent or holds no two views of a moment.
    """
    if not folder.is_dir():
        raise UserError(
            f"cannot read Multi-PIE in {folder}",
            "there is no such folder",
            "Multi-PIE is licensed by Carnegie Mellon University: name the folder of your copy.",
        )
    moments: dict[tuple[str, ...], dict[str, Path]] = defaultdict(dict)
    for path in sorted(folder.rglob("*_*_*_*_*.*")):
        shot = shot_of(path.name)
        if shot is not None and shot.camera in CAMERA_YAW_DEG:
            moments[shot[:4]][shot.camera] = path
    groups = [views for _, views in sorted(moments.items()) if len(views) > 1]
    if not groups:
        raise UserError(
            f"no pairs of views in {folder}",
            "no two pictures bear names like 001_01_01_051_07.png of one moment",
            "Name a folder in Multi-PIE's layout.",
        )
    return groups


def multi_pie_pairs(folder: Path, per_moment: int = 2, seed: int = 0) -> Iterator[PicturePair]:
    """Draw pairs of synchronised views whose cameras lie 15° to 60° apart.

    Args:
        folder: in Multi-PIE's layout.
        per_moment: most pairs of one subject, session, recording and light.
        seed: of the choice.

    Raises:
        UserError: as `view_groups`.
    """
    rng = np.random.default_rng(seed)
    for views in view_groups(folder):
        fits = [
            both
            for both in combinations(sorted(views), 2)
            if _LEAST_YAW <= _apart(*both) <= _MOST_YAW
        ]
        for number in rng.permutation(len(fits))[:per_moment]:
            first, second = (_read(views[camera]) for camera in fits[number])
            yield Picture(first), Picture(second)


def _apart(first: str, second: str) -> int:
    return abs(CAMERA_YAW_DEG[first] - CAMERA_YAW_DEG[second])


def _read(path: Path) -> np.ndarray:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise UserError(f"cannot read {path.name}", "it is not a picture", "Copy it anew.")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
