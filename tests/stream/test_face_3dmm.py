import numpy as np
import pytest

from stream import face_3dmm
from stream.errors import UserError
from stream.face_3dmm import (
    CROP_PER_FACE,
    SIZE,
    Crop,
    FaceReader,
    cut,
    face_crop,
    guess_of,
    load_skin_model,
    network_input,
    pose_in_camera,
    pose_in_crop,
)
from stream.frame import Face, Frame
from stream.geometry import pinhole_camera, project, rigid_transform, rotation_from_angles
from stream.head_model import load_head_model

FRAME = (1280, 720)


def face_at(x: float, y: float, half: float, face_id: int = 0) -> Face:
    rng = np.random.default_rng(face_id)
    points = rng.uniform(-half, half, (478, 3)).astype(np.float32)
    points[:4, :2] = half * np.array([[-1, -1], [1, 1], [-1, 1], [1, -1]])
    return Face(face_id, points + np.array([x, y, 0], np.float32))


def outputs(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    sizes = {"identity": 80, "expression": 52, "texture": 40, "light": 27}
    found = {n: rng.normal(size=(count, k)).astype(np.float32) for n, k in sizes.items()}
    found["rotation"] = np.tile(np.float32([1, 0, 0, 0, 1, 0]), (count, 1))
    found["place"] = np.zeros((count, 3), np.float32)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_a_pose_survives_the_way_into_the_crop_and_back(seed):
    rng = np.random.default_rng(seed)
    place = rng.uniform([-200, -150, 500], [200, 150, 1500])
    pose = rigid_transform(rotation_from_angles(*rng.uniform(-60, 60, 3)), place)
    camera = pinhole_camera(*FRAME)
    crop = Crop(*rng.uniform(100, 600, 2).tolist(), float(rng.uniform(80, 600)))
    again = pose_in_camera(*pose_in_crop(pose, crop, camera), crop, camera)
    np.testing.assert_allclose(again, pose, atol=1e-6)


def test_a_head_looks_the_same_to_the_network_wherever_it_is_in_the_frame():
    camera = pinhole_camera(*FRAME)
    answers = []
    for x_mm in (0.0, 350.0):
        place = np.array([x_mm, 20.0, 800.0])
        ray = place / place[2]
        turn = face_3dmm.ray_rotation(ray)  # as the one in the middle turned with the ray
        pose = rigid_transform(turn @ rotation_from_angles(20, 5, 0), place)
        x, y = project(place, camera)
        answers.append(pose_in_crop(pose, Crop(x, y, 300.0), camera))
    np.testing.assert_allclose(answers[0][0], answers[1][0], atol=1e-9)
    np.testing.assert_allclose(answers[0][1], answers[1][1], atol=1e-9)


def test_place_says_where_the_origin_projects_and_how_large_100_mm_are():
    camera, crop = pinhole_camera(*FRAME), Crop(600.0, 350.0, 240.0)
    pose = rigid_transform(np.eye(3), np.array([30.0, -40.0, 900.0]))
    _, place = pose_in_crop(pose, crop, camera)
    pixel = project(pose[:3, 3], camera)
    np.testing.assert_allclose(place[:2], (pixel - [600, 350]) / 240)
    assert np.exp(place[2]) == pytest.approx(240 / (100 * camera[0, 0] / 900))


def test_the_crop_holds_the_face_with_room_around_it():
    crop = face_crop(face_at(300, 200, 50).points_px)
    assert (crop.x, crop.y) == pytest.approx((300, 200))
    assert crop.side == pytest.approx(CROP_PER_FACE * 100)


@pytest.mark.parametrize("side", [96.0, 192.0, 700.0])
def test_cutting_puts_a_spot_where_the_matrix_says(side):
    pixels = np.zeros((720, 1280, 3), np.uint8)
    crop = Crop(500.0, 380.0, side)
    spot = np.array([500.0 + 0.2 * side, 380.0 - 0.1 * side])
    y, x = np.mgrid[:720, :1280] + 0.5
    radius = side / 30
    pixels[np.hypot(x - spot[0], y - spot[1]) < radius] = 255
    weight = cut(pixels, crop)[..., 0].astype(float)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    found = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    wanted = crop.matrix() @ [*spot, 1.0]
    np.testing.assert_allclose(found, wanted, atol=0.35)


def test_beyond_the_picture_its_border_goes_on():
    pixels = np.full((100, 100, 3), 40, np.uint8)
    pixels[:, :10] = 200
    picture = cut(pixels, Crop(0.0, 50.0, 100.0))
    assert (picture[:, : SIZE // 2] == 200).all() and picture[96, -3].max() == 40
    far = cut(pixels, Crop(-4000.0, 50.0, 900.0))  # a crop that misses the picture altogether
    assert far.shape == (SIZE, SIZE, 3)


def test_a_large_crop_is_averaged_not_skipped_through():
    pixels = np.zeros((720, 1280, 3), np.uint8)
    pixels[:, ::2] = 255  # stripes finer than the network's pixels
    inner = cut(pixels, Crop(640.0, 360.0, 700.0))[20:-20, 20:-20]
    assert inner.std() < 12 and inner.mean() == pytest.approx(127, abs=4)


def test_face_units_stay_in_their_range_and_light_is_by_colour():
    found = {name: rows[0] for name, rows in outputs(1).items()}
    guess = guess_of(found, Crop(0, 0, 1))
    assert guess.expression.min() >= 0 and guess.expression.max() <= 1
    np.testing.assert_array_equal(guess.light[1], found["light"][9:18])


def test_all_faces_of_a_frame_go_through_the_network_at_once():
    calls = []

    def network(picture):
        calls.append(picture)
        return outputs(len(picture))

    pixels = np.zeros((720, 1280, 3), np.uint8)
    pixels[:, 640:, 0] = 255
    faces = [face_at(200, 300, 60, 1), face_at(1000, 300, 60, 2)]
    guesses = FaceReader(network).read(Frame(pixels), faces)
    assert [picture.shape for picture in calls] == [(2, 3, SIZE, SIZE)]
    assert calls[0].dtype == np.float32
    assert calls[0][0].max() == 0 and calls[0][1, 0].min() == 1 and calls[0][1, 1].max() == 0
    np.testing.assert_array_equal(guesses[1].identity, outputs(2)["identity"][1])
    assert guesses[1].crop.x == pytest.approx(1000)
    assert FaceReader(network).read(Frame(pixels), []) == [] and len(calls) == 1


def test_the_guessed_pose_follows_the_camera_that_it_is_asked_for():
    found = {name: rows[0] for name, rows in outputs(1).items()}
    guess = guess_of(found, Crop(640.0, 360.0, 200.0))
    near, far = pinhole_camera(*FRAME), pinhole_camera(*FRAME)
    far[0, 0] = far[1, 1] = 2 * near[0, 0]
    poses = [guess.camera_from_head(camera) for camera in (near, far)]
    assert poses[1][2, 3] == pytest.approx(2 * poses[0][2, 3])
    for pose, camera in zip(poses, (near, far), strict=True):
        np.testing.assert_allclose(project(pose[:3, 3], camera), [640, 360], atol=1e-6)


def test_pictures_become_planes_between_0_and_1():
    picture = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    picture[0, 5, 7] = (255, 51, 0)
    planes = network_input(picture)
    np.testing.assert_allclose(planes[0, :, 5, 7], [1, 0.2, 0], atol=1e-6)


def test_the_skin_model_that_is_shipped_is_skin():
    skin, model = load_skin_model(), load_head_model()
    face = model.labels == 1
    assert skin.basis.shape == (40, *skin.mean.shape) and skin.mean.shape == model.vertices.shape
    red, green, blue = skin.mean[face].mean(axis=0)
    assert 0.6 > red > green > blue > 0.02
    for component in skin.basis:  # each is symmetric or antisymmetric
        mirrored = component[model.mirror]
        alike = (component * mirrored).sum() / (component**2).sum()
        assert abs(alike) == pytest.approx(1, abs=0.02)
    strength = (skin.basis[:, face] ** 2).sum(axis=(1, 2))
    assert strength[0] == strength.max()
    assert skin.albedo(50 * np.ones(40)).min() >= 0.002


def test_a_damaged_skin_model_is_an_error_for_the_user(tmp_path, monkeypatch):
    path = tmp_path / "face_texture.npz"
    path.write_bytes(b"not a file of arrays")
    monkeypatch.setattr(face_3dmm, "TEXTURE_PATH", path)
    with pytest.raises(UserError, match=r"face_texture\.npz"):
        face_3dmm.load_skin_model.__wrapped__()
