import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")


from stream.face_3dmm import Crop, load_skin_model, pose_in_crop
from stream.geometry import (
    pinhole_camera,
    project,
    rigid_transform,
    rotation_from_angles,
    transform_points,
)
from stream.head_model import load_head_model
from stream.pose import ray_rotation
from tests.training.learn.toy_faces import LIGHT, toy_faces
from training.learn.face_fields import face_triangles
from training.learn.face_geometry import (
    FaceGeometry,
    colours_at,
    harmonics,
    light_from_picture,
    rotation_matrix,
    shaded,
)
from training.learn.face_views import view


@pytest.fixture(scope="module")
def geometry():
    return FaceGeometry(torch.device("cpu"))


def test_triangles_lie_where_the_live_path_puts_them(geometry):
    """The torch twin of stream.face_3dmm and the head model, against them."""
    rng, model = np.random.default_rng(4), load_head_model()
    identity, expression = rng.normal(size=80), rng.uniform(0, 1, 52)
    camera, crop = pinhole_camera(640, 480), Crop(350.0, 200.0, 260.0)
    pose = rigid_transform(rotation_from_angles(25, -10, 5), np.array([60.0, -50.0, 800.0]))
    rotation, place = pose_in_crop(pose, crop, camera)
    ray = np.append(np.linalg.solve(camera, [crop.x, crop.y, 1.0])[:2], 1.0)
    truth = {
        "rotation": rotation, "place": place, "ray": ray_rotation(ray),
        "camera": np.array([camera[0, 0], *(camera[:2, 2] - [crop.x, crop.y])]) / crop.side,
        "identity": identity, "expression": expression,
    }  # fmt: skip
    batch = {name: torch.from_numpy(np.float32(value))[None] for name, value in truth.items()}
    vertices = geometry.vertices(batch["identity"], batch["expression"])
    skin = geometry.skin(vertices, batch, batch)
    shape = model.shape(identity, expression).astype(np.float64)
    corners = transform_points(pose, shape)[face_triangles()]
    wanted = (project(corners.mean(axis=1), camera) - [crop.x, crop.y]) / crop.side
    np.testing.assert_allclose(skin.places[0], wanted, atol=1e-4)
    np.testing.assert_allclose(skin.centres[0], corners.mean(axis=1) / 100, atol=1e-3)
    turned = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    turned /= np.linalg.norm(turned, axis=1, keepdims=True)
    np.testing.assert_allclose(skin.normals[0] @ truth["ray"].T, turned, atol=1e-3)


def test_six_numbers_become_a_rotation():
    found = rotation_matrix(torch.tensor([[2.0, 0, 0, 1.0, 3.0, 0], [0, 1.0, 0, 0, 0, -2.0]]))
    eye = torch.eye(3).expand(2, 3, 3)
    torch.testing.assert_close(found @ found.transpose(1, 2), eye)
    torch.testing.assert_close(torch.linalg.det(found), torch.ones(2))
    torch.testing.assert_close(found[0], torch.eye(3))


def test_harmonics_are_orthonormal_on_the_sphere():
    rng = np.random.default_rng(0)
    normals = torch.from_numpy(rng.normal(size=(200_000, 3)))
    values = harmonics(normals / normals.norm(dim=1, keepdim=True))
    gram = 4 * np.pi * values.T @ values / len(values)
    torch.testing.assert_close(gram, torch.eye(9, dtype=gram.dtype), atol=0.03, rtol=0)


def test_albedo_is_that_of_the_skin_model(geometry):
    texture = np.random.default_rng(1).normal(size=40).astype(np.float32)
    found = geometry.albedo(torch.from_numpy(texture)[None])[0]
    wanted = load_skin_model().albedo(texture)[face_triangles()].mean(axis=1)
    np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_light_is_found_again_from_a_picture_of_known_skin(geometry):
    data = toy_faces()
    for index in range(data.count):
        one = view(data, index, None)
        batch = {name: torch.from_numpy(value)[None] for name, value in one.items()}
        vertices = geometry.vertices(batch["identity"], batch["expression"])
        skin = geometry.skin(vertices, batch, batch)
        picture = batch["picture"].permute(0, 3, 1, 2).float() / 255
        colours, albedo = colours_at(picture, skin.places), geometry.albedo(batch["texture"])
        light = light_from_picture(colours, albedo, skin.normals, batch["seen"])
        drawn, seen = shaded(albedo, skin.normals, light), batch["seen"][0] > 0
        error = (drawn - colours)[0, seen].abs().mean()
        flat = (colours[0, seen].mean(0) - colours[0, seen]).abs().mean()
        assert error < 0.03 and error < 0.4 * flat
        arriving = harmonics(skin.normals) @ light.view(3, 9).T
        wanted = harmonics(skin.normals) @ torch.from_numpy(LIGHT).float().T
        off = (arriving - wanted)[0, seen].abs().mean() / wanted[0, seen].mean()
        assert off < 0.12


def test_colours_are_read_at_pixel_centres():
    picture = torch.zeros(1, 3, 8, 8)
    picture[0, 1, 2, 5] = 1
    places = torch.tensor([[[(5.5 - 4) / 8, (2.5 - 4) / 8], [0.0, 0.0]]])
    torch.testing.assert_close(colours_at(picture, places)[0, :, 1], torch.tensor([1.0, 0.0]))


def test_importance_says_how_much_of_the_face_a_component_moves(geometry):
    for name, count in (("identity", 80), ("expression", 52), ("texture", 40)):
        weigh = geometry.importance[name]
        assert weigh.shape == (count,) and weigh.min() >= 0
        assert float(weigh.sum()) == pytest.approx(1, abs=1e-5)
    names = load_head_model().expression_names
    jaw, eye = names.index("jawOpen"), names.index("eyeLookInLeft")
    assert geometry.importance["expression"][jaw] > 3 * geometry.importance["expression"][eye]
