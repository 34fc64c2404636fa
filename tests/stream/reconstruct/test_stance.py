"""The turn of a head between what its points and the network say."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from stream.face_3dmm import FaceGuess, face_crop, pose_in_crop
from stream.frame import Face, Head
from stream.geometry import pinhole_camera, project, rigid_transform, transform_points
from stream.reconstruct.face_depth import FaceView, depth_crop, model_depth
from stream.reconstruct.stance import agreed_head, place_of, tilt_of, tilted_head, turned_head

CAMERA = pinhole_camera(640, 480, 700.0)
PLACE = np.array([20.0, -10.0, 600.0])


def head_and_face(model):
    pose = rigid_transform(Rotation.from_euler("y", 12, degrees=True).as_matrix(), PLACE)
    identity, expression = np.zeros(80, np.float32), np.zeros(52, np.float32)
    points = transform_points(pose, model.points478(identity, expression))
    points_px = np.column_stack([project(points, CAMERA), points[:, 2]]).astype(np.float32)
    return Head(1, identity, expression, pose, CAMERA, 1.0), Face(1, points_px, 1.0)


def guess_of(head, face, turn_deg):
    """The network sees the head turned by so much more."""
    turn = Rotation.from_rotvec(np.radians(turn_deg)).as_matrix() @ head.camera_from_head[:3, :3]
    crop = face_crop(face.points_px)
    rotation, place = pose_in_crop(rigid_transform(turn, PLACE), crop, CAMERA)
    nothing = np.zeros(40, np.float32), np.zeros((3, 9), np.float32)
    return FaceGuess(head.identity, head.expression, rotation, place, *nothing, crop)


def between_deg(one, other):
    return np.degrees(Rotation.from_matrix(one[:3, :3].T @ other[:3, :3]).magnitude())


def test_the_turn_is_half_way_and_the_points_stay(model):
    head, face = head_and_face(model)
    agreed = agreed_head(head, guess_of(head, face, [6.0, 0, 0]), face, model)
    assert between_deg(head.camera_from_head, agreed.camera_from_head) == pytest.approx(3, abs=0.01)
    points = transform_points(
        agreed.camera_from_head, model.points478(head.identity, head.expression)
    )
    off_px = np.linalg.norm(project(points, CAMERA) - face.points_px[:, :2], axis=1)
    assert np.median(off_px) < 3
    assert abs(agreed.camera_from_head[2, 3] - PLACE[2]) < 15


def test_a_guess_of_another_head_is_not_followed(model):
    head, face = head_and_face(model)
    assert agreed_head(head, guess_of(head, face, [0, 50.0, 0]), face, model) is head


@pytest.mark.parametrize("turn_deg", [[5.0, 0, 0], [0, -4.0, 0]])
def test_a_tilt_of_the_networks_depth_turns_the_head(model, raster, turn_deg):
    """The network answers with the depth of the same head, turned a little."""
    head, face = head_and_face(model)
    turn = Rotation.from_rotvec(np.radians(turn_deg))
    crop = depth_crop(face.points_px)
    there = turned_head(head, turn, face, model)
    fitted, found = (
        model_depth(raster, transform_points(one.camera_from_head, model.shape()), CAMERA, crop)
        for one in (head, there)
    )
    share = (fitted > 0).astype(float)
    view = FaceView(crop, fitted, np.where(found > 0, found, fitted), share, head.camera_from_head)
    tilt_deg = np.degrees(tilt_of(view, face.points_px[:468, :2], CAMERA))
    np.testing.assert_allclose(tilt_deg, turn_deg, atol=1.3)
    tilted = tilted_head(head, view, face, model)
    between = between_deg(tilted.camera_from_head, there.camera_from_head)
    assert between < 0.7 * np.linalg.norm(turn_deg)
    nothing = replace(view, fitted_mm=0 * fitted)
    assert not tilt_of(nothing, face.points_px[:468, :2], CAMERA).any()


def test_place_is_found_beside_outliers(model):
    head, _ = head_and_face(model)
    points = model.points478(head.identity, head.expression) @ head.camera_from_head[:3, :3].T
    points_px = project(points + PLACE, CAMERA)
    points_px[::9] += 40
    assert np.allclose(place_of(points, points_px, CAMERA), PLACE, atol=6.0)
