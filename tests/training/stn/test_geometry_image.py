import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("igl")

from stream.head_model import load_head_model
from training.stn.embedding import face_triangles, square_embedding, without_linings
from training.stn.geometry_image import geometry_image, grid_triangles
from training.stn.layers import vertex_normals

SIZE = 48


@pytest.fixture(scope="module")
def image():
    return geometry_image(SIZE)


def test_the_embedding_is_symmetric_whole_and_without_folds():
    model = load_head_model()
    faces = face_triangles(model)
    flat = square_embedding(without_linings(model, faces), faces, model.mirror)
    corners = flat[faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
    assert (area < 0).all()  # one way round all of them
    assert -area.sum() == pytest.approx(1, abs=1e-3)
    used = np.unique(faces)
    np.testing.assert_allclose(flat[model.mirror[used]], flat[used] * [-1, 1] + [1, 0], atol=1e-9)
    for corner in ([0, 0], [1, 0], [0, 1], [1, 1]):
        assert np.linalg.norm(flat[used] - corner, axis=1).min() < 1e-9


def test_a_mesh_that_the_middle_does_not_cut_is_refused():
    vertices = np.array([[1.0, 0, 0], [2, 0, 0], [1, 1, 0]])
    with pytest.raises(ValueError, match="middle plane"):
        square_embedding(vertices, np.array([[0, 1, 2]]), np.arange(3))


def test_the_image_has_the_papers_sizes_and_is_symmetric(image):
    assert image.mean.shape == (3, SIZE * SIZE)
    assert image.basis.shape == (3, SIZE * SIZE, 10)
    assert image.identities == 5
    mean = image.mean.reshape(3, SIZE, SIZE)
    np.testing.assert_allclose(mean[0], -mean[0][:, ::-1], atol=0.02)
    np.testing.assert_allclose(mean[1:], mean[1:, :, ::-1], atol=0.02)


def test_normals_point_outwards(image):
    points = torch.from_numpy(image.mean)[None]
    normals = vertex_normals(points, torch.from_numpy(image.triangles))[0]
    assert float((normals[2] < 0).float().mean()) > 0.9  # towards the camera, for a frontal face


def test_components_are_about_as_large_as_people_differ(image):
    moved_mm = 100 * np.sqrt((image.basis**2).sum(axis=0).mean(axis=0))
    assert (moved_mm[:5] > 0.5).all()
    assert (moved_mm[5:] > 0.05).all()
    assert (np.diff(moved_mm[5:]) < 1.0).all()


def test_landmarks_are_near_their_vertices(image):
    model = load_head_model()
    offset = model.points478_mean[:468].mean(axis=0)
    points = (model.points478_mean - offset) / 100
    away_mm = 100 * np.linalg.norm(image.mean.T[image.landmarks] - points, axis=1)
    assert np.median(away_mm) < 4  # half of a cell of this coarse grid; a mean smile is in it


def test_a_grid_has_two_triangles_a_cell():
    triangles = grid_triangles(3, 4)
    assert triangles.shape == (12, 3)
    assert set(triangles.ravel()) == set(range(12))
