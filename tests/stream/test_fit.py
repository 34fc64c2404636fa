from dataclasses import replace

import numpy as np
import pytest

from stream.fit import FitSettings, HeadFitter
from stream.frame import Face, Head
from stream.geometry import (
    angles_from_rotation,
    pinhole_camera,
    project,
    rigid_transform,
    rotation_from_angles,
    transform_points,
)
from stream.head_model import HeadModel, load_head_model
from stream.linearise import (
    POSE_COUNT,
    Observation,
    PointBasis,
    Pose,
    jacobian,
    points_camera,
    pose_from_points,
    residuals,
)
from stream.smooth import SmoothSettings

SIZE = (1280, 720)
OFF = SmoothSettings(min_cutoff=1e9)
RAW = replace(FitSettings(), place=OFF, distance=OFF, turn=OFF, expression=OFF)
EXACT = replace(RAW, noise_mm=0.3, outlier_mm=50.0)  # for points without Face Mesh's errors


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return load_head_model()


@pytest.fixture(scope="module")
def basis(model: HeadModel) -> PointBasis:
    return PointBasis.of(model)


def person(model: HeadModel, seed: int) -> np.ndarray:
    """A plausible identity of average size."""
    rng = np.random.default_rng(seed)
    identity = 0.7 * rng.normal(size=len(model.points478_identity))
    growth = PointBasis.of(model).identity_growth()
    return identity - growth * (growth @ identity) / (growth @ growth)


def units(model: HeadModel, **strengths: float) -> np.ndarray:
    out = np.zeros(len(model.expression_names))
    for name, strength in strengths.items():
        out[model.expression_names.index(name)] = strength
    return out


def face_of(
    model: HeadModel,
    pose: np.ndarray,
    identity: np.ndarray,
    expression: np.ndarray,
    noise_px: float = 0.0,
    seed: int = 0,
) -> Face:
    """What Face Mesh would see of a head: exact places, depth in the scale of the picture."""
    points = transform_points(pose, model.points478(identity, expression).astype(np.float64))
    camera = pinhole_camera(*SIZE)
    px = np.empty((478, 3))
    px[:, :2] = project(points, camera)
    px[:, 2] = (points[:, 2] - points[:, 2].mean()) * camera[0, 0] / points[:, 2].mean()
    px += np.random.default_rng(seed).normal(0, noise_px, px.shape)
    return Face(7, px.astype(np.float32))


def pose_at(yaw: float, pitch: float, roll: float, place: tuple = (40, -30, 900)) -> np.ndarray:
    return rigid_transform(rotation_from_angles(yaw, pitch, roll), np.array(place, float))


def reprojection(model: HeadModel, head: Head, face: Face) -> float:
    """Mean distance of the 468 face points over that of the outer eye corners."""
    points = model.points478(head.identity, head.expression)
    px = project(transform_points(head.camera_from_head, points), head.camera)
    eyes = np.linalg.norm((face.points_px[33] - face.points_px[263])[:2])
    return float(np.linalg.norm(px - face.points_px[:, :2], axis=1)[:468].mean() / eyes)


def observation(points: np.ndarray, seed: int) -> Observation:
    rng = np.random.default_rng(seed)
    rays = points[:2] / points[2] + rng.normal(0, 0.003, (2, points.shape[1]))
    depth = rng.normal(0, 0.02, points.shape[1])
    return Observation(rays.astype(np.float32), depth.astype(np.float32))


@pytest.mark.parametrize("seed", range(3))
def test_jacobian_equals_finite_differences(basis: PointBasis, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pose = Pose(rotation_from_angles(*rng.uniform(-30, 30, 3)), np.array([30.0, -20.0, 700.0]))
    units, identity = rng.uniform(0, 0.5, basis.expression.shape[1]), rng.normal(size=80)
    precise = PointBasis(*(array.astype(np.float64) for array in _arrays(basis)))

    def points(change: np.ndarray) -> np.ndarray:
        split = POSE_COUNT + len(units)
        neutral = precise.mean.T + (identity + change[split:]) @ precise.identity
        shape = neutral + (units + change[POSE_COUNT:split]) @ precise.expression
        moved = pose.moved(change[:POSE_COUNT])
        return moved.rotation @ shape + moved.translation[:, None]

    count = POSE_COUNT + len(units) + len(identity)
    start = points(np.zeros(count))
    near, seen = start[2].mean(), observation(start, seed)

    def error(change: np.ndarray) -> np.ndarray:
        moved = points(change)  # the scale from rays to mm is held fixed, as the code says
        across = near * (moved[:2] / moved[2] - seen.rays)
        return np.vstack([across, (moved[2] - moved[2].mean() - near * seen.depth)[None]])

    slopes = jacobian(start.astype(np.float32), pose, [basis.expression, basis.identity])
    assert slopes.shape == (count, 3, 478)
    np.testing.assert_allclose(error(np.zeros(count)), residuals(start, seen), atol=1e-3)
    for parameter in [*range(POSE_COUNT), 10, 30, 57, 58, 70, count - 1]:
        step = np.zeros(count)
        step[parameter] = 1e-4
        numeric = (error(step) - error(-step)) / 2e-4
        scale = max(1.0, np.abs(numeric).max())  # worst seen: 3e-6 of it
        np.testing.assert_allclose(slopes[parameter] / scale, numeric / scale, atol=2e-5)


def _arrays(basis: PointBasis) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return basis.mean, basis.expression, basis.identity


def test_start_pose_is_close(model: HeadModel, basis: PointBasis) -> None:
    pose = Pose(rotation_from_angles(25, -10, 15), np.array([60.0, 40.0, 1200.0]))
    points = points_camera(basis.mean.T, pose)
    depth = (points[2] - points[2].mean()) / points[2].mean()
    seen = Observation(points[:2] / points[2], depth)
    got = pose_from_points(basis.mean.T, seen, np.ones(478, np.float32))
    turn = angles_from_rotation(got.rotation @ pose.rotation.T)
    assert np.abs(turn).max() < 6
    assert got.translation[2] == pytest.approx(1200, rel=0.1)


@pytest.mark.parametrize(
    "angles", [(0, 0, 0), (25, 0, 0), (-25, 10, 5), (0, 15, -20), (0, -15, 20), (40, 0, 0)]
)
def test_pose_and_expression_are_recovered(model: HeadModel, angles: tuple) -> None:
    expression = units(model, jawOpen=0.6, browInnerUp=0.7, eyeBlinkLeft=0.8)
    face = face_of(model, pose_at(*angles), person(model, 1), expression, noise_px=0.3)
    head = HeadFitter(model, EXACT).fit(face, SIZE, 0.0)
    got = angles_from_rotation(head.camera_from_head[:3, :3])
    np.testing.assert_allclose(got, angles, atol=2.5)
    np.testing.assert_allclose(head.camera_from_head[:3, 3], (40, -30, 900), atol=25)
    for name in ("jawOpen", "browInnerUp", "eyeBlinkLeft"):
        number = model.expression_names.index(name)
        assert head.expression[number] == pytest.approx(expression[number], abs=0.2)
    assert head.expression.min() >= 0
    assert head.expression.max() <= 1
    assert reprojection(model, head, face) < 0.006


def test_shape_is_recovered_over_frames(model: HeadModel) -> None:
    """Frames from all sides tell more of the shape than the first one alone."""
    truth, fitter = person(model, 2), HeadFitter(model, RAW)
    rest = units(model)
    want = model.points478(truth)
    apart = []
    for index in range(90):
        pose = pose_at(30 * np.sin(index / 9), 12 * np.cos(index / 7), 0)
        face = face_of(model, pose, truth, rest, noise_px=4.0, seed=index)
        head = fitter.fit(face, SIZE, index / 30)
        got = model.points478(head.identity)
        offset = (got - got.mean(axis=0)) - (want - want.mean(axis=0))
        apart.append(np.sqrt(np.mean(np.sum(offset**2, axis=1))))
    assert apart[-1] < 0.75 * apart[0]
    assert apart[-1] < 1.5


def test_identity_rests_after_seconds(model: HeadModel) -> None:
    fitter, identities = HeadFitter(model, RAW), []
    for index in range(240):
        pose = pose_at(20 * np.sin(index / 11), 8 * np.sin(index / 17), 0)
        face = face_of(model, pose, person(model, 3), units(model), noise_px=1.0, seed=index)
        identities.append(fitter.fit(face, SIZE, index / 30).identity)
    moves = np.linalg.norm(np.diff(identities, axis=0), axis=1)
    early, late = moves[:30].sum(), moves[-30:].sum()
    assert late < 0.35 * early


def test_warm_start_follows_motion(model: HeadModel) -> None:
    fitter, errors, turns = HeadFitter(model, RAW), [], []
    for index in range(45):
        yaw = 35 * np.sin(index / 6)
        pose = pose_at(yaw, 0, 0, (8.0 * index - 150, 0, 900 + 4.0 * index))
        expression = units(model, jawOpen=0.5 + 0.5 * np.sin(index / 3))
        face = face_of(model, pose, person(model, 4), expression, noise_px=0.5, seed=index)
        head = fitter.fit(face, SIZE, index / 30)
        errors.append(reprojection(model, head, face))
        turns.append(angles_from_rotation(head.camera_from_head[:3, :3])[0] - yaw)
    assert np.mean(errors) < 0.015
    assert np.abs(turns[10:]).max() < 5


def test_size_stays_average(model: HeadModel) -> None:
    """A larger face in the picture is a nearer head, not a larger one."""
    growth = PointBasis.of(model).identity_growth()
    for distance in (700.0, 1400.0):
        pose = pose_at(10, 5, 0, (0, 0, distance))
        face = face_of(model, pose, person(model, 5), units(model), noise_px=0.3)
        head = HeadFitter(model, RAW).fit(face, SIZE, 0.0)
        assert abs(growth @ head.identity) < 0.03
        assert head.camera_from_head[2, 3] == pytest.approx(distance, rel=0.06)


def test_a_head_that_comes_too_near_is_seen_through_a_longer_lens(model: HeadModel) -> None:
    face = face_of(model, pose_at(0, 0, 0, (0, 0, 400)), person(model, 5), units(model))
    usual = pinhole_camera(*SIZE)[0, 0]
    head = HeadFitter(model, RAW).fit(face, SIZE, 0.0)
    assert head.camera[0, 0] > 1.5 * usual
    assert head.camera_from_head[2, 3] > 600
    plain = HeadFitter(model, replace(RAW, least_distance_mm=0.0)).fit(face, SIZE, 0.0)
    assert plain.camera[0, 0] == pytest.approx(usual)


def test_a_lost_face_moves_on_with_its_points(model: HeadModel) -> None:
    fitter = HeadFitter(model, RAW)
    face = face_of(model, pose_at(15, 0, 0), person(model, 6), units(model, jawOpen=0.5))
    first = fitter.fit(face, SIZE, 0.0)
    moved = face.points_px.copy()
    moved[:, 0] += 20
    lost = fitter.fit(Face(7, moved, presence=0.6, fresh=False), SIZE, 1 / 30)
    assert lost.presence == pytest.approx(0.6)
    np.testing.assert_array_equal(lost.identity, first.identity)
    np.testing.assert_allclose(lost.expression, first.expression, atol=1e-6)
    shift = 20 * first.camera_from_head[2, 3] / first.camera[0, 0]
    change = lost.camera_from_head[:3, 3] - first.camera_from_head[:3, 3]
    np.testing.assert_allclose(change, (shift, 0, 0), atol=0.02 * shift)


def test_faces_are_remembered_apart_until_reset(model: HeadModel) -> None:
    fitter = HeadFitter(model, RAW)
    one = face_of(model, pose_at(0, 0, 0), person(model, 8), units(model))
    two = face_of(model, pose_at(20, 0, 0, (-150, 0, 1000)), person(model, 9), units(model))
    two = replace(two, id=8)
    apart = fitter.fit(one, SIZE, 0.0).identity - fitter.fit(two, SIZE, 0.0).identity
    assert np.linalg.norm(apart) > 1
    noisy = [
        face_of(model, pose_at(0, 0, 0), person(model, 8), units(model), 2.0, seed)
        for seed in range(2)
    ]
    fitter.fit(noisy[0], SIZE, 0.04)
    fitter.reset(7)
    fresh = HeadFitter(model, RAW).fit(noisy[1], SIZE, 9.0)
    np.testing.assert_allclose(fitter.fit(noisy[1], SIZE, 9.0).identity, fresh.identity, atol=1e-5)
    fitter.reset()
    np.testing.assert_allclose(fitter.fit(noisy[1], SIZE, 9.0).identity, fresh.identity, atol=1e-5)


def test_smoothing_steadies_a_head_at_rest(model: HeadModel) -> None:
    raw, smooth = HeadFitter(model, RAW), HeadFitter(model, FitSettings())
    turns: dict[str, list[np.ndarray]] = {"raw": [], "smooth": []}
    for index in range(60):
        face = face_of(model, pose_at(5, 0, 0), person(model, 1), units(model), 1.5, index)
        for name, fitter in (("raw", raw), ("smooth", smooth)):
            head = fitter.fit(face, SIZE, index / 30)
            turns[name].append(angles_from_rotation(head.camera_from_head[:3, :3]))
    shake = {name: np.std(np.diff(values[20:], axis=0)) for name, values in turns.items()}
    assert shake["smooth"] < 0.6 * shake["raw"]


def test_wild_points_do_not_upset_the_fit(model: HeadModel) -> None:
    face = face_of(model, pose_at(10, 5, 0), person(model, 2), units(model), 0.3)
    points = face.points_px.copy()
    points[::25, :2] += 60  # a twentieth of the points lies far off
    head = HeadFitter(model, RAW).fit(replace(face, points_px=points), SIZE, 0.0)
    got = angles_from_rotation(head.camera_from_head[:3, :3])
    np.testing.assert_allclose(got, (10, 5, 0), atol=4)
    assert reprojection(model, head, face) < 0.02
