"""The fit with what the network `face_3dmm` sees."""

from dataclasses import replace

import numpy as np
import pytest

from stream.face_3dmm import FaceGuess, face_crop, pose_in_crop
from stream.fit import FitSettings, HeadFitter
from stream.geometry import pinhole_camera, rotation_from_axis_angle
from stream.head_model import load_head_model
from stream.linearise import PointBasis
from tests.stream.test_fit import RAW, SIZE, face_of, person, pose_at, reprojection, units

NOISE_PX = 6.0


@pytest.fixture(scope="module")
def model():
    return load_head_model()


def guess_for(face, pose, identity, expression) -> FaceGuess:
    """What a network that is always right would say."""
    crop = face_crop(face.points_px)
    rotation, place = pose_in_crop(pose, crop, pinhole_camera(*SIZE))
    return FaceGuess(
        identity.astype(np.float32), expression.astype(np.float32), rotation, place,
        np.zeros(40, np.float32), np.zeros((3, 9), np.float32), crop,
    )  # fmt: skip


def apart_mm(model, identity, wanted):
    """Mean distance of the points of two faces at rest once place, turn and size agree."""
    rest = np.zeros(len(model.expression_names))
    found, true = (model.points478(one, rest)[:468] for one in (identity, wanted))
    found, true = found - found.mean(axis=0), true - true.mean(axis=0)
    u, s, vt = np.linalg.svd(true.T @ found)
    turned = s.sum() / (found**2).sum() * found @ (u @ vt).T
    return float(np.linalg.norm(turned - true, axis=1).mean())


def scene(model, seed=1, noise_px=NOISE_PX):
    identity, expression = person(model, seed), units(model, jawOpen=0.4, mouthSmileLeft=0.5)
    pose = pose_at(25, -5, 3)
    face = face_of(model, pose, identity, expression, noise_px, seed)
    return face, pose, identity, expression


def test_a_right_guess_mends_what_noisy_points_say_of_identity(model):
    face, pose, identity, expression = scene(model)
    guess = guess_for(face, pose, identity, expression)
    bare = HeadFitter(model, RAW).fit(face, SIZE, 0.0)
    helped = HeadFitter(model, replace(RAW, guess_mm=0.3)).fit(face, SIZE, 0.0, guess)
    assert apart_mm(model, helped.identity, identity) < 0.7 * apart_mm(
        model, bare.identity, identity
    )


def test_the_nearer_the_guess_is_trusted_the_nearer_identity_stays(model):
    face, pose, _, expression = scene(model)
    other = guess_for(face, pose, person(model, 9), expression)
    distances = [
        apart_mm(model, fit.fit(face, SIZE, 0.0, other).identity, other.identity)
        for fit in (HeadFitter(model, replace(RAW, guess_mm=mm)) for mm in (5.0, 0.5, 0.05))
    ]
    assert distances[0] > distances[1] > distances[2] and distances[2] < 0.3


def test_at_zero_the_guess_is_left_out(model):
    face, pose, identity, expression = scene(model)
    guess = guess_for(face, pose, identity, expression)
    settings = replace(RAW, guess_mm=0.0)
    bare = HeadFitter(model, settings).fit(face, SIZE, 0.0)
    told = HeadFitter(model, settings).fit(face, SIZE, 0.0, guess)
    np.testing.assert_array_equal(told.identity, bare.identity)
    np.testing.assert_array_equal(told.camera_from_head, bare.camera_from_head)


def test_a_wrong_guess_of_pose_and_expression_does_no_harm(model):
    face, pose, identity, _ = scene(model, noise_px=0.0)
    lost = pose.copy()
    lost[:3, :3] = rotation_from_axis_angle(np.array([0.0, 2.5, 0.0])) @ pose[:3, :3]
    lost[:3, 3] += [300, 0, 500]
    wrong = units(model, mouthPucker=1.0, eyeBlinkLeft=1.0)
    settings = FitSettings()
    told = HeadFitter(model, settings).fit(face, SIZE, 0.0, guess_for(face, lost, identity, wrong))
    assert reprojection(model, told, face) < 0.02


def test_later_news_reach_a_face_that_is_known(model):
    _, pose, identity, expression = scene(model)
    settings = replace(FitSettings(), guess_mm=0.2)
    bare, told = HeadFitter(model, settings), HeadFitter(model, settings)
    for number in range(8):
        face = face_of(model, pose, identity, expression, NOISE_PX, seed=number)
        news = guess_for(face, pose, identity, expression) if number == 3 else None
        without = bare.fit(face, SIZE, number / 30)
        with_news = told.fit(face, SIZE, number / 30, news)
        if number < 3:
            np.testing.assert_array_equal(with_news.identity, without.identity)
    assert apart_mm(model, with_news.identity, identity) < 0.8 * apart_mm(
        model, without.identity, identity
    )


def test_shape_leaves_out_what_pose_and_size_can_do(model):
    basis = PointBasis.of(model)
    shape = basis.identity_shape(slice(468)).reshape(80, 468, 3)
    centred = basis.mean[:468] - basis.mean[:468].mean(axis=0)
    scale = np.abs(shape).mean() * 468
    assert np.abs(shape.sum(axis=1)).max() < 1e-5 * scale
    assert np.abs(np.cross(centred, shape).sum(axis=1)).max() < 1e-3 * scale
    assert np.abs((centred * shape).sum(axis=(1, 2))).max() < 1e-3 * scale
    whole = basis.identity[..., :468].transpose(1, 2, 0)
    assert 0.3 < np.linalg.norm(shape) / np.linalg.norm(whole) < 1
