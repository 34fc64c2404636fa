"""Cameras of webcams and phones, and crops around the head, as networks get to see them.

A frame is drawn first: its shape, its field of view, and where in it the head is. Then the
square around the head is cut out of it, so that perspective and the place of the principal
point are those of a crop, not those of a camera that looks straight at the head.
"""

from dataclasses import dataclass, replace

import numpy as np

from stream.geometry import project, rigid_transform, rotation_from_angles, transform_points
from stream.head_model import load_head_model
from stream.pose import ray_rotation, seen_angles
from training.synthetic.scene import Camera

HEAD_HEIGHT_MM = 230.0  # crown to chin of the mean head, without hair
YAW_LIMIT, PITCH_LIMIT, ROLL_LIMIT = 70.0, 40.0, 30.0
NEAREST_MM, FARTHEST_MM = 350.0, 1500.0
LEAST_CROP, LARGEST_CROP = 1.6, 2.6  # the crop's side, in heights of the head

_HEAD_CENTRE_MM = np.array([0.0, 45.0, 0.0])  # between crown and chin
_FACE_CENTRE_MM = np.array([0.0, 70.0, -70.0])
_LEAST_MARGIN = 0.06  # of the picture, between the face's centre and the picture's edge
_LAPTOP, _OLD_WEBCAM, _PHONE = 16 / 9, 4 / 3, 9 / 16
_TURNED_YAW, _TURNED_PITCH, _TURNED_ROLL = 40.0, 25.0, 10.0
_TURNED_LIMITS = (80.0, 50.0, 40.0)  # of the pose that comes out
_SHIFT_MM = np.array([12.0, 6.0, 15.0])  # standard deviation of a moving head


@dataclass(frozen=True, slots=True)
class _Frame:
    """A camera's whole picture, 1 wide and `height` high, and its focal length likewise."""

    height: float
    focal: float


def sample_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """Draw a camera, the pose of the head before it, and the crop around the head.

    Angles count from the ray to the head, as everywhere on the live path: yaw within ±70,
    pitch within ±40, roll within ±30 degrees. The head is 0.35 to 1.5 m away. The crop lies
    inside the camera's frame; where the head reaches over the frame's edge, so it does here.

    Args:
        rng: draws everything.
        size: (width, height) of the crop in pixels.
    """
    angles = _sample_angles(rng)  # outside the loop: a face that turns away is as welcome
    while True:
        frame, distance = _sample_frame(rng)
        position = _place(rng, frame, distance)
        rotation = ray_rotation(position) @ rotation_from_angles(*angles)
        camera_from_head = rigid_transform(rotation, position)
        intrinsics = _crop(rng, frame, camera_from_head, size)
        face = project(transform_points(camera_from_head, _FACE_CENTRE_MM), intrinsics)
        if (np.abs(face / size - 0.5) < 0.5 - _LEAST_MARGIN).all():
            return Camera(size, intrinsics, camera_from_head)


def pose_degrees(camera: Camera) -> tuple[float, float, float]:
    """Return yaw, pitch and roll of the head in degrees, along the ray to it, as seen."""
    yaw, pitch, roll = seen_angles(camera.camera_from_head).tolist()
    return yaw, pitch, roll


def turned_cameras(rng: np.random.Generator, camera: Camera, count: int) -> list[Camera]:
    """Draw further poses of the same head before the same camera, which does not move.

    The head turns about the joint of the neck, by up to 40 degrees of yaw and 25 of pitch
    from the pose given, and moves by a centimetre or two.

    Args:
        rng: draws the poses.
        camera: the camera with the first pose.
        count: how many to draw.

    Returns:
        `count` cameras with the intrinsics and the size of the one given.
    """
    return [_turned(rng, camera) for _ in range(count)]


def _sample_frame(rng: np.random.Generator) -> tuple[_Frame, float]:
    """Draw a frame and a distance in mm at which the frame can hold the head."""
    for _ in range(20):
        kind = rng.choice([_LAPTOP, _OLD_WEBCAM, _PHONE], p=[0.65, 0.15, 0.2])
        view = rng.uniform(45.0, 85.0)
        frame = _Frame(1.0 / float(kind), 0.5 / np.tan(np.radians(view / 2)))
        distance = float(np.exp(rng.normal(np.log(620.0), 0.38)))
        shorter_mm = min(1.0, frame.height) / frame.focal * distance
        if NEAREST_MM <= distance <= FARTHEST_MM and shorter_mm > 1.3 * HEAD_HEIGHT_MM:
            return frame, distance
    return _Frame(1.0 / _LAPTOP, 0.5 / np.tan(np.radians(35.0))), 600.0


def _place(rng: np.random.Generator, frame: _Frame, distance: float) -> np.ndarray:
    """Draw where the middle of the cranium is, in camera space; (3,) mm."""
    x = 0.5 + 0.12 * rng.normal()
    y = frame.height * (0.42 + 0.08 * rng.normal())
    margin = 0.5 * HEAD_HEIGHT_MM * frame.focal / distance
    if rng.random() < 0.06:  # leans out of the picture
        side = int(rng.integers(3))
        x = x if side == 0 else (0.3 * margin if side == 1 else 1.0 - 0.3 * margin)
        y = 0.3 * margin if side == 0 else y
    else:
        x = np.clip(x, min(margin, 0.5), max(1.0 - margin, 0.5))
        y = np.clip(y, min(margin, frame.height / 2), max(frame.height - margin, frame.height / 2))
    ray = np.array([(x - 0.5) / frame.focal, (y - frame.height / 2) / frame.focal, 1.0])
    return distance * ray / np.linalg.norm(ray)


def _sample_angles(rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw yaw, pitch, roll: mostly towards the screen, now and then far to the side."""
    for _ in range(50):
        yaw = rng.normal(0.0, 12.0 if rng.random() < 0.55 else 32.0)
        pitch = rng.normal(rng.choice([-7.0, 5.0]), 12.0)  # cameras above the eyes, or below
        roll = rng.normal(0.0, 7.0)
        if abs(yaw) <= YAW_LIMIT and abs(pitch) <= PITCH_LIMIT and abs(roll) <= ROLL_LIMIT:
            return float(yaw), float(pitch), float(roll)
    return 0.0, 0.0, 0.0


def _crop(
    rng: np.random.Generator, frame: _Frame, camera_from_head: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Cut the rectangle around the head out of the frame: its (3, 3) intrinsics.

    A crop that would reach over the frame's edge is moved inside, and made smaller where the
    frame is not large enough.
    """
    centre = camera_from_head[:3, :3] @ _HEAD_CENTRE_MM + camera_from_head[:3, 3]
    scale = frame.focal / centre[2]
    middle = frame.focal * centre[:2] / centre[2] + [0.5, frame.height / 2]
    high = rng.uniform(LEAST_CROP, LARGEST_CROP) * HEAD_HEIGHT_MM * scale
    middle = middle + rng.normal(0.0, 0.05, 2) * high + [0.0, 0.04 * high]
    ratio = size[0] / size[1]
    high = min(high, frame.height, 1.0 / ratio)
    half = np.array([ratio * high, high]) / 2
    middle = np.clip(middle, half, np.array([1.0, frame.height]) - half)
    per_px = size[1] / high
    optical = (np.array([0.5, frame.height / 2]) - middle + half) * per_px
    focal = frame.focal * per_px
    return np.array([[focal, 0.0, optical[0]], [0.0, focal, optical[1]], [0.0, 0.0, 1.0]])


def _turned(rng: np.random.Generator, camera: Camera) -> Camera:
    pose = camera.camera_from_head
    joint = load_head_model().neck_joint.astype(np.float64)
    spans = (_TURNED_YAW, _TURNED_PITCH, _TURNED_ROLL)
    change = [rng.uniform(-span, span) for span in spans]
    limits = np.array(_TURNED_LIMITS)
    angles = np.clip(seen_angles(pose) + change, -limits, limits)
    rotation = ray_rotation(pose[:3, 3]) @ rotation_from_angles(*angles)
    shift = np.clip(rng.normal(size=3), -2.0, 2.0) * _SHIFT_MM
    pivot = pose[:3, :3] @ joint + pose[:3, 3] + shift
    return replace(camera, camera_from_head=rigid_transform(rotation, pivot - rotation @ joint))
