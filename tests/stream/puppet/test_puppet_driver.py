from dataclasses import replace

import numpy as np
import pytest

from stream.frame import Face, Head
from stream.geometry import (
    angles_from_rotation,
    pinhole_camera,
    project,
    rigid_transform,
    rotation_from_angles,
    transform_points,
)
from stream.head_model import load_head_model
from stream.puppet.acting import Director, head_motion, posed, unseen_limit
from stream.puppet.driver import Measure, MeasureSmoother, face_middle, measure
from stream.puppet.lips import BELIEVED
from stream.puppet.rest import Rest


@pytest.fixture(scope="module")
def model():
    return load_head_model()


def seen(model, angles=(0.0, 0.0, 0.0), place=(0.0, 0.0, 700.0), **units):
    """A face and its head, as if tracked and fitted without error."""
    expression = np.zeros(52, np.float32)
    for name, value in units.items():
        expression[model.expression_names.index(name)] = value
    pose = rigid_transform(rotation_from_angles(*angles), np.array(place))
    camera = pinhole_camera(1280, 720)
    points = transform_points(pose, model.points478(None, expression).astype(float))
    depth = (points[:, 2:] - place[2]) * camera[0, 0] / place[2]
    face = Face(1, np.hstack([project(points, camera), depth]).astype(np.float32))
    return face, Head(1, np.zeros(80, np.float32), expression, pose, camera)


def measured(model, **wanted):
    return measure(*seen(model, **wanted), face_middle(model))


def test_openings_hardly_change_with_the_turn(model):
    front = measured(model, jawOpen=0.5)
    for angles in ((20.0, 0.0, 0.0), (0.0, 12.0, 0.0), (0.0, 0.0, 25.0)):
        turned = measured(model, angles=angles, jawOpen=0.5)
        assert turned.mouth == pytest.approx(front.mouth, rel=0.12)
        assert turned.eyes == pytest.approx(front.eyes, rel=0.15)


def test_openings_follow_mouth_and_lids(model):
    rest = measured(model)
    assert measured(model, jawOpen=0.5).mouth > rest.mouth + 0.1
    blink = measured(model, eyeBlinkLeft=0.6)
    assert blink.eyes[1] < 0.7 * rest.eyes[1]
    assert blink.eyes[0] == pytest.approx(rest.eyes[0], rel=0.02)


def test_gaze_is_where_the_iris_goes(model):
    face, head = seen(model)
    points = face.points_px.copy()
    points[468:, 0] += 3.0
    moved = measure(replace(face, points_px=points), head, face_middle(model))
    change = moved.gaze - measured(model).gaze
    assert change[0] > 0.03
    assert change[1] == pytest.approx(0, abs=1e-6)


def test_rest_is_the_middle_of_the_first_frames(model):
    rest, one = Rest(), measured(model)
    for shift in (0.0, 1.0, 2.0, 100.0, 1.0):
        now = rest.update(replace(one, angles=one.angles + shift))
    assert now.angles == pytest.approx(one.angles + 1.0)
    for _ in range(200):
        now = rest.update(replace(one, angles=one.angles + 30.0))
    assert now.angles[0] <= one.angles[0] + 30.0
    frozen = rest.update(replace(one, angles=one.angles - 90.0))
    assert frozen.angles == pytest.approx(now.angles)


def test_eyes_at_rest_are_open_though_he_blinks_at_first(model):
    rest, one = Rest(), measured(model)
    for number in range(75):
        now = rest.update(replace(one, eyes=one.eyes * (0.1 if number < 30 else 1.0)))
    assert now.eyes == pytest.approx(one.eyes)


def test_rest_that_is_taken_stays(model):
    rest, one = Rest(), measured(model)
    rest.update(one)
    chosen = replace(one, angles=np.array([5.0, 6.0, 7.0]))
    rest.take(chosen)
    assert rest.update(one) is chosen
    rest.reset()
    assert rest.update(one).angles == pytest.approx(one.angles)


def test_who_starts_turned_away_and_then_faces_the_camera_rests_there(model):
    rest, turned = Rest(), measured(model, angles=(30.0, 0.0, 0.0), jawOpen=0.4)
    facing = measured(model)
    for _ in range(20):
        now = rest.update(turned)
    assert now.angles == pytest.approx(turned.angles)
    steps = [now.angles[0]]
    for _ in range(90):
        now = rest.update(facing)
        steps.append(now.angles[0])
    assert now.angles == pytest.approx(facing.angles, abs=0.5)
    assert now.units == pytest.approx(facing.units, abs=0.02)
    assert np.abs(np.diff(steps)).max() < 4  # no jump


def test_a_rest_is_not_left_for_one_that_moves_or_is_farther_from_the_camera(model):
    facing, turned = measured(model), measured(model, angles=(25.0, 0.0, 0.0))
    rest = Rest()
    for _ in range(100):
        now = rest.update(turned)
    for number in range(100):  # looks to and fro before the camera
        swung = replace(facing, angles=np.array([6.0 * (-1) ** (number // 8), 0.0, 0.0]))
        now = rest.update(swung)
    assert now.angles == pytest.approx(turned.angles)
    other = Rest()
    for one in [facing] * 20 + [turned] * 100:
        now = other.update(one)
    assert now.angles == pytest.approx(facing.angles, abs=1e-6)


def test_eyes_that_were_shut_for_long_are_known_open_later(model):
    rest, one = Rest(), measured(model)
    shut = replace(one, eyes=one.eyes * 0.2)
    for _ in range(120):
        now = rest.update(shut)
    assert now.eyes == pytest.approx(shut.eyes)
    for _ in range(75):
        now = rest.update(one)
    assert now.eyes == pytest.approx(one.eyes)
    for _ in range(150):
        now = rest.update(shut)  # and stay so
    assert now.eyes == pytest.approx(one.eyes)


def test_smoother_calms_noise_and_follows_steps(model):
    one, smoother = measured(model), MeasureSmoother()
    rng = np.random.default_rng(3)
    noisy = [one.eyes + rng.normal(0, 0.004, 2) for _ in range(100)]
    calm = [smoother(replace(one, eyes=e), n / 25).eyes for n, e in enumerate(noisy)]
    assert np.diff(calm, axis=0).std() < 0.75 * np.diff(noisy, axis=0).std()
    shut = [smoother(replace(one, eyes=one.eyes * 0), 4 + n / 25).eyes.max() for n in range(3)]
    assert shut[-1] < 0.2 * one.eyes.max()


@pytest.fixture
def director(model):
    return Director(seen(model)[1], model, 0.0, BELIEVED, absolute=False)


def test_driver_at_rest_shows_the_photo(model, director):
    one = measured(model)
    act, rest = director.act(one, one, 1.0), director.rest()
    assert act.units == pytest.approx(rest.units)
    assert act.angles == pytest.approx(rest.angles)
    assert act.eyes == pytest.approx((1.0, 1.0))
    assert act.gaze == pytest.approx([0, 0])
    assert act.shift_mm == pytest.approx([0, 0, 0], abs=1e-9)


def test_turn_is_taken_over_relative_to_the_rest(model, director):
    rest = measured(model, angles=(6.0, -4.0, 2.0))
    act = director.act(measured(model, angles=(16.0, -9.0, 5.0)), rest, 1.0)
    turn = act.angles - director.rest().angles
    assert turn[[0, 2]] == pytest.approx([10.0, 3.0], abs=1e-6)
    assert -7.0 < turn[1] < -5.5  # a nod is tracked as less than it is


def test_turn_about_the_neck_does_not_shift_it(model, director):
    """A driver who only turns moves the middle of his face; the neck stays."""
    turned = rotation_from_angles(15.0, 0.0, 0.0)
    joint = np.array([0.0, 0.0, 700.0]) + model.neck_joint
    place = joint - turned @ model.neck_joint
    now = measured(model, angles=(15.0, 0.0, 0.0), place=tuple(place))
    act = director.act(now, measured(model), 1.0)
    assert np.linalg.norm(act.shift_mm) < 3.0


def test_strength_fades_to_the_photo(model, director):
    rest = measured(model)
    now = measured(model, angles=(20.0, 0.0, 0.0), place=(20.0, 0.0, 700.0), jawOpen=0.6)
    none, half, whole = (director.act(now, rest, share) for share in (0.0, 0.5, 1.0))
    photo = director.rest()
    assert none.units == pytest.approx(photo.units)
    assert none.mouth == pytest.approx(0.0)
    assert none.angles == pytest.approx(photo.angles)
    assert none.shift_mm == pytest.approx([0, 0, 0], abs=1e-9)
    assert half.mouth == pytest.approx(whole.mouth / 2)
    assert half.angles[0] == pytest.approx((photo.angles + whole.angles)[0] / 2)


def test_what_cannot_be_shown_is_limited(model, director):
    rest = measured(model)
    act = director.act(measured(model, angles=(70.0, 60.0, 80.0)), rest, 1.0)
    turn = act.angles - director.rest().angles
    assert turn[0] < 26
    assert turn[1] < 19
    assert turn[2] < 31
    far = director.act(measured(model, place=(400.0, -300.0, 300.0)), rest, 1.0)
    assert np.abs(far.shift_mm).max() < 61


def test_turn_to_a_side_can_be_limited_more_or_less(model):
    head, rest = seen(model)[1], measured(model)
    for most in (10.0, 30.0):
        director = Director(head, model, 0.0, BELIEVED, absolute=False, most_yaw=most)
        turns = [
            director.act(measured(model, angles=(yaw, 0.0, 0.0)), rest, 1.0).angles[0]
            for yaw in (-60.0, 0.7 * most, 60.0)
        ]
        assert turns == pytest.approx([-most, 0.7 * most, most], abs=0.4)
    assert unseen_limit(0.0, 15.0) == unseen_limit(10.0, 15.0) == 15.0


def test_hidden_side_is_turned_to_less():
    assert unseen_limit(0.0) > unseen_limit(20.0) > unseen_limit(40.0) >= 10.0


def test_absolute_takes_pose_and_units_as_they_are(model):
    photo = seen(model, angles=(-10.0, 0.0, 0.0), mouthSmileLeft=0.8)[1]
    director = Director(photo, model, 0.0, BELIEVED, absolute=True)
    now = measured(model, angles=(5.0, 2.0, 1.0), browInnerUp=0.5)
    act = director.act(now, now, 1.0)
    assert act.angles == pytest.approx([5.0, 2.0 / 0.81, 1.0], abs=0.1)
    assert act.units == pytest.approx(now.units)


def test_closed_and_open_eyes(model, director):
    rest = measured(model)
    closed = director.act(replace(rest, eyes=rest.eyes * 0.1), rest, 1.0)
    assert closed.eyes == (0.0, 0.0)
    wide = director.act(replace(rest, eyes=rest.eyes * 3), rest, 1.0)
    assert 1.0 < wide.eyes[0] <= 1.2


def test_eyes_blink_together_unless_one_winks(model, director):
    rest = measured(model)
    for shares, wanted in (((0.4, 0.2), (0.3, 0.3)), ((0.2, 1.0), (0.2, 1.0))):
        opened = 0.15 + 0.85 * np.array(shares)  # lids that are shut are read as 0.15 of rest
        act = director.act(replace(rest, eyes=opened * rest.eyes), rest, 1.0)
        assert act.eyes == pytest.approx(wanted, abs=0.01)


def test_motion_of_an_act_gives_its_angles(model, director):
    head = seen(model)[1]
    act = replace(director.rest(), angles=np.array([12.0, -6.0, 4.0]))
    motion = head_motion(head, model.neck_joint, act)
    moved = motion.blended(np.array(1.0), np.array(1.0)) @ head.camera_from_head
    assert angles_from_rotation(moved[:3, :3]) == pytest.approx([12.0, -6.0, 4.0], abs=0.6)
    assert moved[:3, :3] == pytest.approx(posed(head.camera_from_head, act.angles), abs=1e-9)
    joint = np.append(model.neck_joint, 1.0)
    assert moved @ joint == pytest.approx(head.camera_from_head @ joint)


def test_measure_holds_what_it_says(model):
    one = measured(model)
    assert isinstance(one, Measure)
    assert one.units.shape == (52,)
    assert one.mouth.shape == (1,)
    assert one.eyes.shape == one.gaze.shape == (2,)


def test_a_noisy_driver_is_steadied_and_a_quick_one_not_held_back(model):
    rng = np.random.default_rng(2)
    still, smoother = measured(model), MeasureSmoother()
    turns, raw = [], 0.4 * rng.normal(size=100)
    for number, noise in enumerate(raw):
        now = replace(still, angles=still.angles + noise, place_mm=still.place_mm + noise)
        turns.append(smoother(now, number / 25).angles[0])
    assert np.abs(np.diff(turns, 2)).mean() < 0.6 * np.abs(np.diff(raw, 2)).mean()
    smoother.reset()
    for number in range(25):  # 60 degrees a second
        now = replace(still, angles=still.angles + 2.4 * number)
        lag = now.angles[0] - smoother(now, number / 25).angles[0]
    assert lag < 1.5
