import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")


from stream.face_3dmm import SIZE
from stream.head_model import load_head_model
from tests.training.learn.toy_faces import toy_faces
from training.learn.face_fields import FACE_TRIANGLES, face_triangles, seen_triangles
from training.learn.face_geometry import FaceGeometry, in_camera, projected, rotation_matrix
from training.learn.face_views import mirror_tables, other_view, view
from training.synthetic.scene import Label


@pytest.fixture(scope="module")
def data():
    return toy_faces(people=2)


def projection(one):
    geometry = FaceGeometry(torch.device("cpu"))
    batch = {name: torch.from_numpy(value)[None] for name, value in one.items()}
    points = geometry.points(batch["identity"], batch["expression"])
    camera_space = in_camera(points, rotation_matrix(batch["rotation"]), batch["place"], batch)
    return projected(camera_space, batch)[0].numpy()


@pytest.mark.parametrize("seed", [None, 1, 2, 3, 4, 5])
def test_the_truth_projects_onto_the_points_however_the_view_is_varied(data, seed):
    """Turned, mirrored, zoomed and shifted: coefficients, pose and camera all follow."""
    for index in range(data.count):
        one = view(data, index, None if seed is None else np.random.default_rng([seed, index]))
        apart = np.linalg.norm(projection(one) - one["points"], axis=1)
        assert apart.mean() * SIZE < 0.6  # a mirrored point is the nearest one, not the same
        if seed is None:
            assert apart.max() * SIZE < 0.01


def test_views_are_mirrored_turned_and_zoomed(data):
    plain = view(data, 0, None)
    varied = [view(data, 0, np.random.default_rng(seed)) for seed in range(30)]
    mirrored = [not np.allclose(one["identity"], plain["identity"]) for one in varied]
    assert 5 < sum(mirrored) < 25
    sizes = [one["place"][2] - plain["place"][2] for one in varied]
    assert min(sizes) < -0.05 and max(sizes) > 0.05
    assert all(one["picture"].shape == (SIZE, SIZE, 3) for one in varied)


def test_the_picture_moves_with_the_points(data):
    """The skin's own colour is found where the points say that the skin is."""
    nose = 1
    for seed in range(6):
        one = view(data, 0, np.random.default_rng(seed))
        x, y = (one["points"][nose] * SIZE + SIZE / 2).astype(int)
        assert np.ptp(one["picture"][y - 2 : y + 3, x - 2 : x + 3].mean(axis=(0, 1))) > 5 or (
            np.ptp(one["picture"], axis=2).max() == 0  # made grey
        )
        corner = one["picture"][2, 2].astype(int)
        assert np.ptp(corner) < 60


def test_the_other_view_shows_the_same_person(data):
    rng = np.random.default_rng(0)
    for index in range(data.count):
        others = {other_view(data, index, rng) for _ in range(40)}
        assert len(others) == 3 and index not in others
        assert {number // 4 for number in others} == {index // 4}


def test_mirroring_twice_changes_nothing():
    tables = mirror_tables()
    assert set(np.unique(tables["identity"])) <= {-1, 1} and (tables["identity"] < 0).any()
    expression = tables["expression"]
    np.testing.assert_array_equal(expression[expression], np.arange(52))
    model = load_head_model()
    left, right = (model.expression_names.index(f"eyeBlink{side}") for side in ("Left", "Right"))
    assert expression[left] == right
    points = tables["points"]
    assert (points[points] == np.arange(len(points))).mean() > 0.95


def test_the_triangles_are_bare_skin_spread_over_the_face():
    model, triangles = load_head_model(), face_triangles()
    assert triangles.shape == (FACE_TRIANGLES, 3) and (model.labels[triangles] == 1).all()
    centres = model.vertices[triangles].mean(axis=1)
    assert np.ptp(centres[:, 0]) > 100 and np.ptp(centres[:, 1]) > 100
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    assert np.sort(apart, axis=1)[:, 1].min() > 1.0


def test_what_is_covered_or_turned_away_does_not_show(data):
    model, triangles = load_head_model(), face_triangles()
    open_face = seen_triangles(data, 0, model, triangles)
    assert 0.5 < open_face.mean() < 1
    fields = {name: array.copy() for name, array in data.fields.items()}
    covered = type(data)(data.count, data.size, data.recipe, fields)
    fields["labels"][0] = Label.HAIR
    assert not seen_triangles(covered, 0, model, triangles).any()
    fields["labels"][0] = Label.FACE
    fields["depth"][0] = -2.0  # something 200 mm nearer
    assert not seen_triangles(covered, 0, model, triangles).any()
