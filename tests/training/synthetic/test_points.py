from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from stream.geometry import rigid_transform, rotation_from_angles
from stream.head_model import load_head_model
from training.synthetic.points import project_points
from training.synthetic.scene import Camera

FOCAL, SIDE = 400.0, 256
RIGHT_CHEEK, LEFT_CHEEK, NOSE = 234, 454, 1


def camera_at(yaw=0.0, pitch=0.0, roll=0.0, position=(0.0, -30.0, 600.0)):
    intrinsics = np.array([[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1.0]])
    pose = rigid_transform(rotation_from_angles(yaw, pitch, roll), np.array(position))
    return Camera((SIDE, SIDE), intrinsics, pose)


def depth_of_head(camera, vertices):
    """Draw the head model's depth, triangle by triangle from back to front."""
    model = load_head_model()
    matrix = camera.camera_from_head
    places = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    pixels = places[:, :2] / places[:, 2:] * FOCAL + camera.intrinsics[:2, 2] - 0.5
    corners = model.triangles[places[model.triangles, 2].mean(axis=1).argsort()[::-1]]
    depth = np.full((SIDE, SIDE), np.nan, np.float32)
    for corner in corners:
        shape = np.rint(pixels[corner] * 16).astype(np.int32)
        cv2.fillConvexPoly(depth, shape, float(places[corner, 2].mean()), shift=4)
    return depth


@pytest.fixture(scope="module")
def vertices():
    return load_head_model().shape(np.array([0.8, -0.5, 0.3]))


@pytest.fixture(scope="module")
def seen(vertices):
    """Points and visibility of the head alone, by yaw."""
    found = {}
    for yaw in (-50, -25, 0, 25, 50, 180):
        camera = camera_at(yaw)
        found[yaw] = project_points(vertices, camera, depth_of_head(camera, vertices))
    return found


def test_projection_is_that_of_a_pinhole(vertices):
    model = load_head_model()
    camera = camera_at(20, -10, 5, (60.0, 10.0, 500.0))
    points, visible, points68, visible68 = project_points(
        vertices, camera, np.full((SIDE, SIDE), np.nan, np.float32)
    )
    for number in (0, 1, 33, 263, 473):
        corners = vertices[model.triangles[model.points478_triangle[number]]]
        place = np.append(model.points478_bary[number] @ corners, 1.0)
        x, y, z = (camera.camera_from_head @ place)[:3]
        wanted = (FOCAL * x / z + SIDE / 2, FOCAL * y / z + SIDE / 2, z)
        assert points[number] == pytest.approx(wanted, abs=1e-3)
    assert points.shape == (478, 3)
    assert points68.shape == (68, 3)
    assert points.dtype == points68.dtype == np.float32
    assert visible.shape == (478,)
    assert visible68.shape == (68,)
    assert visible.dtype == visible68.dtype == bool


def test_a_head_in_mid_picture_projects_to_the_middle():
    points, *_ = project_points(
        load_head_model().shape(), camera_at(), np.full((SIDE, SIDE), np.nan, np.float32)
    )
    assert points[NOSE, 0] == pytest.approx(SIDE / 2, abs=0.1)  # pixel centres at +0.5


def test_a_face_from_the_front_shows_all_its_points(seen):
    _, visible, _, visible68 = seen[0]
    assert visible.mean() > 0.98
    assert visible68.all()


def test_a_face_from_behind_shows_none(seen):
    _, visible, _, visible68 = seen[180]
    assert not visible.any()
    assert not visible68.any()


def test_what_faces_away_is_hidden_even_where_nothing_was_drawn(vertices):
    """The model may reach over the drawn skin's outline, where the depth map is empty."""
    empty = np.full((SIDE, SIDE), np.nan, np.float32)
    assert not project_points(vertices, camera_at(180), empty)[1].any()
    _, visible, _, visible68 = project_points(vertices, camera_at(60), empty)
    assert visible[RIGHT_CHEEK]
    assert not visible[LEFT_CHEEK]
    assert not visible68[12:17].any()


def test_a_turned_face_hides_its_far_side(seen):
    for yaw, far, near in ((50, LEFT_CHEEK, RIGHT_CHEEK), (-50, RIGHT_CHEEK, LEFT_CHEEK)):
        visible = seen[yaw][1]
        assert visible[near]
        assert not visible[far]
        assert 0.45 < visible.mean() < 0.85
    # The iBUG points of the jaw run from the right ear to the left.
    assert seen[50][3][:4].all()
    assert not seen[50][3][12:17].any()
    assert seen[25][1].sum() > seen[50][1].sum()


def test_visibility_is_mirrored_by_the_mirrored_turn():
    vertices = load_head_model().shape()  # symmetric
    counts = [
        project_points(vertices, camera_at(yaw), depth_of_head(camera_at(yaw), vertices))[1].sum()
        for yaw in (-35, 35)
    ]
    assert counts[0] == pytest.approx(counts[1], abs=12)


def test_an_occluder_hides_what_it_covers(vertices):
    camera = camera_at()
    depth = depth_of_head(camera, vertices)
    points, before, _, before68 = project_points(vertices, camera, depth)
    covered = depth.copy()
    covered[:, : SIDE // 2] = 400.0  # a hand in front of one half
    _, after, _, after68 = project_points(vertices, camera, covered)
    assert not after[points[:, 0] < SIDE / 2 - 2].any()
    right = points[:, 0] > SIDE / 2 + 2
    assert np.array_equal(after[right], before[right])
    assert after68.sum() < before68.sum()


def test_a_few_millimetres_of_registration_do_not_hide(vertices):
    camera = camera_at()
    depth = depth_of_head(camera, vertices)
    assert project_points(vertices, camera, depth - 4.0)[1].mean() > 0.97
    # At the outline, a pixel of the neck or an ear may lie beside a point.
    assert project_points(vertices, camera, depth - 40.0)[1].mean() < 0.03


def test_points_outside_the_picture_are_not_seen(vertices):
    camera = camera_at(position=(160.0, -30.0, 600.0))
    points, visible, points68, visible68 = project_points(
        vertices, camera, depth_of_head(camera, vertices)
    )
    for places, shown in ((points, visible), (points68, visible68)):
        inside = ((places[:, :2] >= 0) & (places[:, :2] < SIDE)).all(axis=1)
        assert 0 < inside.sum() < len(inside)
        assert not shown[~inside].any()
        assert shown[inside].any()


def test_the_head_may_be_drawn_with_pixels_that_are_not_square(vertices):
    camera = camera_at()
    stretched = camera.intrinsics * [[0.5], [1.0], [1.0]]
    other = replace(camera, size=(SIDE // 2, SIDE), intrinsics=stretched)
    depth = depth_of_head(camera, vertices)
    points, visible, *_ = project_points(vertices, other, depth[:, ::2])
    whole, before, *_ = project_points(vertices, camera, depth)
    assert np.allclose(points[:, 0] * 2, whole[:, 0], atol=1e-3)
    assert (visible == before).mean() > 0.97
