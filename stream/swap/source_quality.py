"""Is a photo good enough to be a source? What is wrong with it, in words that help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.errors import UserError
from stream.face_3dmm import face_crop
from stream.geometry import angles_from_rotation
from stream.pose import ray_rotation
from stream.sight import OCCLUDER

if TYPE_CHECKING:
    from stream.swap.source_photo import SourcePhoto

_RIGHT_IRIS, _LEFT_IRIS = 468, 473
_LEAST_EYES_PX, _GOOD_EYES_PX = 24.0, 60.0
_MOST_TURN, _GOOD_TURN = 55.0, 35.0  # degrees
_LEAST_SEEN, _GOOD_SEEN = 0.3, 0.55  # share of the front of the face
_LEAST_SHARP, _GOOD_SHARP = 0.012, 0.04
_SHARP_SIDE = 192
_OPEN_EYE, _OPEN_MOUTH = 0.12, 0.35
_DIM, _BRIGHT = 0.12, 0.97
_GLASSES = 0.015
_BAND = (70, 300, 116, 345)  # ends of the brows and of the cheekbones
_LIDS = ((159, 145, 33, 133), (386, 374, 362, 263))  # upper, lower, corners
_LIPS = (13, 14, 61, 291)


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a photo shows its face.

    Attributes:
        eyes_px: distance of the pupils.
        turn: angle between the line of sight and the face's front, degrees.
        sharpness: contrast of fine detail over all contrast.
        seen: share of the front of the face that is seen and not covered.
        eye_opening: of the more closed eye, height over width.
        mouth_opening: height over width of the gap between the lips.
        level: brightness of the skin, 0…1.
        before_eyes: share of the band of the eyes that a thing covers, such as glasses.
    """

    eyes_px: float
    turn: float
    sharpness: float
    seen: float
    eye_opening: float
    mouth_opening: float
    level: float
    before_eyes: float = 0.0

    @property
    def weight(self) -> float:
        """Trust in this photo beside others of the same person."""
        size = min(1.0, self.eyes_px / (2 * _GOOD_EYES_PX))
        sharp = min(1.0, self.sharpness / (2 * _GOOD_SHARP))
        return max(0.02, size * sharp * max(0.1, self.seen))

    def check(self, name: str) -> list[str]:
        """Return what could be better, in sentences.

        Args:
            name: of the photo.

        Raises:
            UserError: if the photo cannot serve as a source.
        """
        self._refuse(name)
        found = [
            (
                self.eyes_px < _GOOD_EYES_PX,
                f"the face is small ({self.eyes_px:.0f} px between the eyes)",
            ),
            (
                self.turn > _GOOD_TURN,
                f"the face is turned by {self.turn:.0f}°, its far side is guessed",
            ),
            (self.sharpness < _GOOD_SHARP, "the photo is blurred"),
            (self.seen < _GOOD_SEEN, "much of the face is covered, that part is guessed"),
            (self.eye_opening < _OPEN_EYE, "the eyes are closed"),
            (self.before_eyes > _GLASSES, "glasses or a thing before the eyes: take them off"),
            (self.mouth_opening > _OPEN_MOUTH, "the mouth is wide open"),
            (self.level < _DIM, "the photo is very dark"),
            (self.level > _BRIGHT, "the photo is overexposed"),
        ]
        return [f"{name}: {words}" for wrong, words in found if wrong]

    def _refuse(self, name: str) -> None:
        remedy = (
            "Give a sharp photo of the face from the front, at least 60 pixels between the eyes"
        )
        reasons = [
            (
                self.eyes_px < _LEAST_EYES_PX,
                f"the eyes are {self.eyes_px:.0f} pixels apart, {_LEAST_EYES_PX:.0f} are needed",
                remedy,
            ),
            (
                self.turn > _MOST_TURN,
                f"it is turned by {self.turn:.0f}°, {_MOST_TURN:.0f}° is the most",
                "Give a photo in which both eyes are seen",
            ),
            (
                self.seen < _LEAST_SEEN,
                "hair, hands or other things cover most of it",
                "Give a photo in which the face is free",
            ),
            (self.sharpness < _LEAST_SHARP, "it is too blurred to show who it is", remedy),
        ]
        for wrong, why, what_to_do in reasons:
            if wrong:
                raise UserError(f"the face in {name} cannot be used", why, what_to_do)


def judge(photo: SourcePhoto, seen: float, level: float) -> Quality:
    """Measure how well a photo shows its face.

    Args:
        photo: found and fitted.
        seen: share of the front of the face that is seen and not covered.
        level: brightness of its skin, 0…1.
    """
    points = photo.face.points_px[:, :2]
    yaw, pitch, _ = angles_from_rotation(_facing_camera(photo))
    turn = np.degrees(np.arccos(np.cos(np.radians(yaw)) * np.cos(np.radians(pitch))))
    lids = [_gap(points, *corners) for corners in _LIDS]
    eyes_px = float(np.linalg.norm(points[_LEFT_IRIS] - points[_RIGHT_IRIS]))
    return Quality(
        eyes_px=eyes_px / max(float(np.cos(np.radians(yaw))), 0.3),
        turn=float(turn),
        sharpness=sharpness(photo.pixels, photo.face.points_px),
        seen=seen,
        eye_opening=min(lids),
        mouth_opening=_gap(points, *_LIPS),
        level=level,
        before_eyes=_before_eyes(photo),
    )


def sharpness(pixels: np.ndarray, points_px: np.ndarray) -> float:
    """Return the contrast of fine detail over all contrast, in the middle of the face's square.

    The face is first brought to a fixed size, so that the answer is about the face and not
    about the number of pixels.
    """
    crop = face_crop(points_px)
    half = crop.side / 2 / 1.9
    left, right = max(0, int(crop.x - half)), int(crop.x + half) + 1
    top, bottom = max(0, int(crop.y - half)), int(crop.y + half) + 1
    grey = cv2.cvtColor(pixels[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (_SHARP_SIDE, _SHARP_SIDE), interpolation=cv2.INTER_AREA)
    level = grey.astype(np.float32)
    fine = level - cv2.GaussianBlur(level, (0, 0), 1.0)
    inside = slice(_SHARP_SIDE // 8, -_SHARP_SIDE // 8)
    return float(fine[inside, inside].std() / max(level[inside, inside].std(), 1e-3))


def _facing_camera(photo: SourcePhoto) -> np.ndarray:
    """Return the head's rotation as seen along the ray to it."""
    pose = photo.head.camera_from_head
    return ray_rotation(pose[:3, 3]).T @ pose[:3, :3]


def _before_eyes(photo: SourcePhoto) -> float:
    """Return the share of the band of the eyes that the networks call a thing."""
    things = photo.sight.share(OCCLUDER)
    if things is None:
        return 0.0
    region = photo.region
    corners = photo.face.points_px[list(_BAND), :2] - [region.x0, region.y0]
    corners = corners * np.array(things.shape[::-1]) / (region.width, region.height)
    (left, top), (right, bottom) = corners.min(axis=0).astype(int), corners.max(axis=0).astype(int)
    band = things[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
    return float((band > 0.3).mean()) if band.size else 0.0


def _gap(points: np.ndarray, upper: int, lower: int, one: int, other: int) -> float:
    height = float(np.linalg.norm(points[upper] - points[lower]))
    return height / max(float(np.linalg.norm(points[one] - points[other])), 1e-6)
