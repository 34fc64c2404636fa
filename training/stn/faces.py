"""Pictures of faces with landmarks: all that 3DMM-STN is trained from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.face_3dmm import face_crop
from stream.geometry import opencv_affine
from stream.media import open_source
from stream.track import FaceTracker
from training.clips import clip_files
from training.learn.augment import recoloured
from training.learn.prepared import open_set
from training.multiview.face_set import warped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stream.face_3dmm import Crop
    from stream.frame import Frame

STORED = 160  # side of what is kept; less is shown while training
_ZOOM, _SHIFT, _TURN_DEG = 0.12, 0.08, 20.0


@dataclass(frozen=True, slots=True)
class Faces:
    """Crops of faces.

    Attributes:
        pixels: (count, STORED, STORED, 3) uint8 RGB.
        points: (count, 478, 2) float32, crop pixels with centres at +0.5.
        confidence: (count, 478) float32, 0 for landmarks that are hidden.
        person: (count,) whose face it is.
    """

    pixels: np.ndarray
    points: np.ndarray
    confidence: np.ndarray
    person: np.ndarray

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.pixels)


def cut_face(pixels: np.ndarray, points_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut the square around a face: (STORED, STORED, 3) and its points there, (478, 2)."""
    crop: Crop = face_crop(points_px)
    matrix = crop.matrix(STORED)
    points = points_px[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return warped(pixels, crop, STORED, cv2.INTER_LINEAR), points.astype(np.float32)


def from_people(folder: Path, every: int = 1) -> Faces:
    """Take the people of a prepared set; their landmarks are those of the head, in the picture."""
    data = open_set(folder)
    rows = range(0, data.count, every)
    cuts = [cut_face(np.array(data["pixels"][row]), data["points478"][row]) for row in rows]
    pixels, points = (np.stack(part) for part in zip(*cuts, strict=True))
    confidence = np.stack([data["visible478"][row] for row in rows]).astype(np.float32)
    _, person = np.unique(data["identity"][list(rows)], axis=0, return_inverse=True)
    return Faces(pixels, points, confidence, person.ravel())


def from_clips(clips: Sequence[Path], every: int = 3) -> Faces:
    """Track the faces of clips; each clip counts as one person."""
    pixels, points, person = [], [], []
    with FaceTracker() as tracker:
        for number, path in enumerate(one for clip in clips for one in clip_files(clip)):
            tracker.reset()
            with open_source(str(path)) as source:
                for frame in source:
                    found = _tracked(tracker, frame)
                    if found is not None and frame.index % every == 0:
                        cut, places = cut_face(frame.pixels, found)
                        pixels.append(cut)
                        points.append(places)
                        person.append(number)
    if not pixels:
        empty = np.zeros((0, STORED, STORED, 3), np.uint8)
        return Faces(empty, np.zeros((0, 478, 2), np.float32), np.zeros((0, 478), np.float32),
                     np.zeros(0, np.int64))  # fmt: skip
    confidence = np.ones((len(pixels), 478), np.float32)
    return Faces(np.stack(pixels), np.stack(points), confidence, np.array(person))


def _tracked(tracker: FaceTracker, frame: Frame) -> np.ndarray | None:
    faces = tracker.track(frame)
    return faces[0].points_px if faces and faces[0].fresh else None


def joined(parts: Sequence[Faces]) -> Faces:
    """Put sets of faces together; people stay apart."""
    people, first = [], 0
    for part in parts:
        people.append(part.person + first)
        first += int(part.person.max(initial=-1)) + 1
    fields = ("pixels", "points", "confidence")
    arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in fields]
    return Faces(arrays[0], arrays[1], arrays[2], np.concatenate(people))


def shown(
    faces: Faces, index: int, side: int, rng: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Show a face to the network: as it is, or shifted, turned, zoomed and in other colours.

    Returns:
        (side, side, 3) uint8; landmarks (2, 478) float32, pixels with centres at whole numbers;
        confidence (478,).
    """
    matrix = _variation(side, rng)
    shifted = opencv_affine(matrix)
    pixels = cv2.warpAffine(
        faces.pixels[index], shifted, (side, side), flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    if rng is not None:
        pixels = recoloured(pixels, rng, 1.0)
    points = faces.points[index] @ matrix[:, :2].T + matrix[:, 2] - 0.5
    return pixels, points.T.astype(np.float32), faces.confidence[index]


def _variation(side: int, rng: np.random.Generator | None) -> np.ndarray:
    scale, angle, shift = side / STORED, 0.0, np.zeros(2)
    if rng is not None:
        scale *= float(np.exp(rng.uniform(-_ZOOM, _ZOOM)))
        angle = np.radians(rng.uniform(-_TURN_DEG, _TURN_DEG))
        shift = rng.uniform(-_SHIFT, _SHIFT, 2) * side
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.full(2, STORED / 2)
    return np.column_stack([linear, side / 2 + shift - linear @ middle])
