"""The photo that becomes a puppet: read, its face found, and said what is wrong with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.errors import UserError
from stream.frame import Face, Frame, Head
from stream.media import read_picture
from stream.pose import seen_angles
from stream.puppet.topology import LEFT_EYE, MOUTH, RIGHT_EYE, Opening
from stream.swap.source_photo import PhotoSpec, choose_face
from stream.swap.source_quality import sharpness

if TYPE_CHECKING:
    from stream.heads import HeadFinder

_log = logging.getLogger("voltface")

MOST_ROWS = 1080
_LEAST_EYES_PX = 24.0  # between the outer corners of the eyes
_MOST_YAW, _MOST_ROLL = 50.0, 60.0
_RIGHT_CORNER, _LEFT_CORNER = 33, 263
_SHUT_EYE, _WIDE_MOUTH = 0.12, 0.35  # height of the opening over its width
_SOFT = 0.04  # contrast of fine detail over all contrast


def read_photo(path: str) -> np.ndarray:
    """Read a photo, scaled down to 1080 rows where it has more.

    Sides are made even, as video wants them, by leaving out a row or a column.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UserError: if it cannot be read.
    """
    pixels, _ = read_picture(path)
    height, width = pixels.shape[:2]
    scale = min(1.0, MOST_ROWS / height, 2 * MOST_ROWS / width)
    if scale < 1:
        size = max(2, round(width * scale)), max(2, round(height * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        _log.warning("the photo is shown at %d x %d, scaled down from %d x %d",
                     *size, width, height)  # fmt: skip
    height, width = (side - side % 2 for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])


def find_face(finder: HeadFinder, pixels: np.ndarray, spec: PhotoSpec) -> tuple[Face, Head]:
    """Find the face of a photo and fit the head to it; of several, the one named or the largest.

    Args:
        finder: made for still pictures.
        pixels: (H, W, 3) uint8 RGB.
        spec: the photo as the user named it.

    Raises:
        UserError: if there is none, or it is too small, turned too far or on its side.
    """
    frame, name = Frame(pixels), spec.path.name
    faces = finder.track(frame)
    if not faces:
        raise UserError(
            f"no face found in the photo {name}",
            "there must be one that can be moved",
            "Give a photo in which a face is seen from the front and not too small",
        )
    if spec.number is not None:
        face = choose_face(faces, spec)
    else:
        face = max(faces, key=_eyes_px)
        if len(faces) > 1:
            _log.warning("%s holds %d faces; the largest is moved (%s#1 names the first from the "
                         "left)", name, len(faces), name)  # fmt: skip
    if _eyes_px(face) < _LEAST_EYES_PX:
        raise UserError(
            f"the face in the photo {name} is too small",
            f"its eyes span {_eyes_px(face):.0f} pixels and {_LEAST_EYES_PX:.0f} are needed",
            "Give a larger photo, or one taken from nearer",
        )
    head = finder.fit(frame, [face])[0]
    angles = seen_angles(head.camera_from_head)
    yaw = float(angles[0])
    if abs(yaw) > _MOST_YAW:
        raise UserError(
            f"the face in the photo {name} is turned too far",
            f"it looks {abs(yaw):.0f} degrees to the side; up to {_MOST_YAW:.0f} can be used",
            "Give a photo that shows both eyes",
        )
    roll = float(angles[2])
    if abs(roll) > _MOST_ROLL:
        raise UserError(
            f"the face in the photo {name} lies on its side",
            f"it is tilted by {abs(roll):.0f} degrees; up to {_MOST_ROLL:.0f} can be used",
            "Turn the photo upright",
        )
    for words in faults(pixels, face):
        _log.warning("%s: %s", name, words)
    return face, head


def faults(pixels: np.ndarray, face: Face) -> list[str]:
    """Return what the puppet will suffer from, in sentences.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        face: found in them.
    """
    points = face.points_px[:, :2].astype(float)
    eyes = min(_opening(points, eye) for eye in (RIGHT_EYE, LEFT_EYE))
    found = [
        (eyes < _SHUT_EYE, "the eyes are closed in the photo, and stay so"),
        (_opening(points, MOUTH) > _WIDE_MOUTH, "the mouth is wide open in the photo; one that is "
         "closed or smiles looks better when it speaks"),
        (sharpness(pixels, face.points_px) < _SOFT, "the photo is blurred, and so is the puppet"),
    ]  # fmt: skip
    return [words for wrong, words in found if wrong]


def _opening(points: np.ndarray, opening: Opening) -> float:
    """Return the largest height of an opening over its width."""
    heights = np.linalg.norm(points[opening.upper] - points[opening.lower], axis=1)
    ends = points[opening.upper[[0, -1]]]
    return float(heights.max() / max(np.linalg.norm(ends[1] - ends[0]), 1e-6))


def _eyes_px(face: Face) -> float:
    corners = face.points_px[[_RIGHT_CORNER, _LEFT_CORNER], :2]
    return float(np.linalg.norm(corners[0] - corners[1]))
