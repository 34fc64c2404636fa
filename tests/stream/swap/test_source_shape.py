"""The residual that brings a fitted head onto its points."""

import numpy as np

from stream.frame import Face, Head
from stream.geometry import (
    pinhole_camera,
    project,
    rigid_transform,
    rotation_from_angles,
    transform_points,
)
from stream.head_model import load_head_model
from stream.swap.source_shape import lasting, residual_offset
from stream.swap.texture_map import islands_of


def fitted(yaw=0.0):
    model = load_head_model()
    pose = rigid_transform(rotation_from_angles(yaw, 0, 0), np.array([0, 0, 600.0]))
    head = Head(
        0, np.zeros(80, np.float32), np.zeros(52, np.float32), pose, pinhole_camera(640, 480)
    )
    places = project(transform_points(pose, model.points478()), head.camera)
    points = np.column_stack([places, np.zeros(478)]).astype(np.float32)
    return model, head, points


def on_points(model, values):
    corners = values[model.triangles[model.points478_triangle]]
    return (corners * model.points478_bary[..., None]).sum(axis=1)


def test_points_that_fit_leave_no_residual():
    model, head, points = fitted(10)
    assert np.abs(residual_offset(model, head, Face(0, points))).max() < 1e-3


def test_a_smooth_difference_is_taken_up():
    model, head, points = fitted()
    wanted = 3.0 * np.sin(model.points478_mean[:, 1] / 30)  # mm to the side
    points[:, 0] += wanted * head.camera[0, 0] / (600 + model.points478_mean[:, 2])
    found = on_points(model, residual_offset(model, head, Face(0, points)))
    inner = np.abs(model.points478_mean[:468, 0]) < 45
    assert np.abs(found[:468, 0] - wanted[:468])[inner].mean() < 0.5
    assert np.abs(found[:468, 1])[inner].mean() < 0.3


def test_far_from_the_face_nothing_moves_and_eyes_go_along():
    model, head, points = fitted()
    points[:, 0] += 4.0
    offset = residual_offset(model, head, Face(0, points))
    eyes = offset[np.unique(model.triangles[np.isin(islands_of(model), (1, 2))])]
    lids = on_points(model, offset)[[33, 133, 362, 263]]
    assert np.abs(eyes.mean(axis=0) - lids.mean(axis=0)).max() < 1.0
    back = model.vertices[:, 2] > np.quantile(model.vertices[:, 2], 0.97)
    assert np.abs(offset[back]).max() < np.abs(lids).max()


def test_wild_points_are_bounded():
    model, head, points = fitted()
    points[:, 1] += 400
    assert np.abs(residual_offset(model, head, Face(0, points))).max() < 12


def test_what_lasts_is_nothing_at_the_lips_and_all_on_the_forehead():
    model = load_head_model()
    kept = on_points(model, lasting(np.ones_like(model.vertices), model))
    assert np.abs(kept[[13, 14, 61, 291, 159, 386]]).max() < 0.1
    assert kept[[10, 234, 454, 152]].min() > 0.9
