"""Made-up faces for the tests of the swap: heads of the head model before a camera."""

import cv2
import numpy as np

from stream.frame import Face, Head
from stream.geometry import pinhole_camera, project, rigid_transform, rotation_from_angles
from stream.head_model import load_head_model
from stream.region import Region
from stream.swap.brows import brow_heights
from stream.swap.occlude import Front
from stream.swap.shape import ShapeBlender
from stream.swap.source_face import SourceFace

SIZE = (640, 480)
MODEL = load_head_model()
CAMERA = pinhole_camera(*SIZE)
RNG = np.random.default_rng(3)


def head(yaw=0.0, identity=None, expression=None):
    units = np.zeros(len(MODEL.expression_names), np.float32)
    for name, value in (expression or {}).items():
        units[MODEL.expression_names.index(name)] = value
    person = np.zeros(len(MODEL.identity_basis), np.float32) if identity is None else identity
    pose = rigid_transform(rotation_from_angles(yaw, 0, 0), np.array([0.0, -30.0, 700.0]))
    return Head(0, person, units, pose, CAMERA)


def face_of(one, shift_px=(0.0, 0.0)):
    pose = one.camera_from_head.astype(np.float32)
    points = MODEL.points478(one.identity, one.expression) @ pose[:3, :3].T + pose[:3, 3]
    px = np.column_stack([project(points, CAMERA.astype(np.float32)) + shift_px, points[:, 2]])
    return Face(0, px.astype(np.float32))


def source(identity=None, seen=255):
    person = np.zeros(len(MODEL.identity_basis), np.float32) if identity is None else identity
    return SourceFace(
        identity=person,
        offset_mm=np.zeros_like(MODEL.vertices),
        texture=np.full((128, 128, 3), (200, 160, 140), np.uint8),
        folds=np.full((128, 128), 128, np.uint8),
        expression=np.zeros(len(MODEL.expression_names), np.float32),
        brows=brow_heights(MODEL, head(), face_of(head()).points_px[:, :2]),
        seen=np.full((128, 128), seen, np.uint8),
        skin_mean=np.zeros(3, np.float32),
        skin_sd=np.zeros(3, np.float32),
        descriptor=np.ones(1, np.float32),
    )


def other_identity():
    return RNG.normal(size=len(MODEL.identity_basis)).astype(np.float32)


def shaped(yaw=0.0, share=0.5, person=None, expression=None, shift_px=(0.0, 0.0)):
    one = head(yaw, expression=expression)
    blender = ShapeBlender(MODEL)
    return blender(face_of(one, shift_px), one, source(person), share, 0.0), blender


def at(mask, region, place):
    x, y = (np.asarray(place) - region[:2]).astype(int)
    return int(mask[y, x])


def hand_before(shape):
    region = Region(0, 0, *SIZE)
    things = np.zeros((256, 256), np.float32)
    x, y = (shape.tracked_px[50] * [256 / SIZE[0], 256 / SIZE[1]]).astype(int)
    cv2.circle(things, (int(x), int(y)), 9, 1.0, -1)
    hair = np.zeros_like(things)
    for point in (152, 10):  # a beard, and a fringe
        x, y = (shape.tracked_px[point] * [256 / SIZE[0], 256 / SIZE[1]]).astype(int)
        cv2.circle(hair, (int(x), int(y)), 9, 1.0, -1)
    return Front(hair, things, region)


def with_glasses(shape, frames):
    picture = np.full((SIZE[1], SIZE[0], 3), (190, 150, 130), np.uint8)
    if frames:
        unit, points = shape.eyes_px, shape.tracked_px
        eyes = [(points[33] + points[133]) / 2, (points[263] + points[362]) / 2]
        for eye in eyes:
            cv2.circle(picture, tuple(eye.astype(int).tolist()), int(0.29 * unit), (40, 30, 30), 2)
        left, right = (eye.astype(int) for eye in eyes)
        bridge = [
            (int(left[0] + 0.28 * unit), int(left[1])),
            (int(right[0] - 0.28 * unit), int(right[1])),
        ]
        cv2.line(picture, *bridge, (40, 30, 30), 2)
    return picture
