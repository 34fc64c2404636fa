import numpy as np
import pytest
from scipy import sparse

from stream.head_model import load_head_model

pytest.importorskip("anny", reason="needs the extra train")
pytest.importorskip("igl", reason="needs the extra train")

from training.head_model import (
    basis,
    build,
    calibrate,
    people,
    points,
    source,
    surface,
    topology,
)

CUBE = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)
CUBE_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)


@pytest.fixture(scope="module")
def made() -> dict[str, np.ndarray]:
    return build.build(None, people=40)


def test_recipe_makes_the_shipped_mesh(made):
    shipped = load_head_model()
    np.testing.assert_array_equal(made["triangles"], shipped.triangles)
    np.testing.assert_array_equal(made["mirror"], shipped.mirror)
    np.testing.assert_array_equal(made["points478_triangle"], shipped.points478_triangle)
    assert tuple(made["expression_names"]) == shipped.expression_names
    # Forty people give another mean and size than three thousand, by a few per cent.
    assert np.abs(made["vertices"] - shipped.vertices).max() < 20
    ratio = np.linalg.norm(made["expression_basis"].astype(float)) / np.linalg.norm(
        shipped.expression_basis.astype(float)
    )
    assert ratio == pytest.approx(1, abs=0.05)


def test_collar_is_the_only_rim_of_the_skin(made):
    labels, triangles = made["labels"], made["triangles"]
    parts = sparse.csgraph.connected_components(
        sparse.coo_matrix((np.ones(len(triangles)), triangles[:, :2].T), (len(labels),) * 2),
        directed=False,
    )[1]
    skin = triangles[parts[triangles[:, 0]] == parts[np.flatnonzero(labels == 2)[0]]]
    rim = surface.boundary_loop(skin)
    assert (labels[rim] == 4).all()
    assert 20 < len(rim) < 100


def test_subdivision_refines_a_cube():
    matrix, fine = topology.subdivide(CUBE, 8)
    assert matrix.shape == (26, 8) and fine.shape == (24, 4)
    np.testing.assert_allclose(np.asarray(matrix.sum(1)), 1)
    moved = matrix @ CUBE_CORNERS
    # Catmull and Clark: corners of a cube go to (face + 2 edge + 0 corner) / 3 = 5/9.
    np.testing.assert_allclose(np.abs(moved[:8]), 5 / 9)
    assert len(np.unique(np.sort(fine, axis=1), axis=0)) == 24


def test_targets_pair_into_sliders():
    files = people._slider_files("mouth")
    low, high = files["mouth-trans-in"]
    assert (low.name, high.name) == ("mouth-trans-in.target.gz", "mouth-trans-out.target.gz")
    assert {"mouth-trans-down", "mouth-trans-backward"} <= set(files)
    used = [path for pair in files.values() for path in pair if path]
    assert sorted(used) == source.target_files("mouth")
    assert people._slider_files("chin")["chin-triangle"][0] is None


def test_macro_weights_of_one_kind_sum_to_one():
    names = [
        f"{ancestry}-{sex}-{age}"
        for ancestry in ("african", "asian", "caucasian")
        for sex in ("female", "male")
        for age in ("child", "young", "old")
    ]
    weights = people._macro_weights(names, 50, np.random.default_rng(0))
    np.testing.assert_allclose(weights.sum(1), 1)
    assert weights.min() >= 0


def test_align_undoes_a_rigid_motion():
    rng = np.random.default_rng(1)
    shape = rng.normal(size=(30, 3)) * 50
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    moved = shape @ turn.T + [5, -7, 2]
    np.testing.assert_allclose(basis.align(moved, shape, np.ones(30)), shape, atol=1e-9)


def test_components_have_unit_coefficients(made):
    shape = load_head_model()
    found = build.load_source()
    population = build.sample(found, 60)
    components = basis.identity_basis(population, found.topology, 20)
    weights = basis.component_weights(found.topology, population.mean)
    flat = (components * np.sqrt(weights)[:, None]).reshape(20, -1)
    both = np.concatenate(
        [
            population.heads - population.mean,
            population.heads[:, shape.mirror] * np.float32([-1, 1, 1]) - population.mean,
        ]
    )
    data = (both * np.sqrt(weights)[:, None]).reshape(len(both), -1)
    scores = data @ flat.T / (flat**2).sum(1)
    np.testing.assert_allclose((scores**2).mean(0), 1, rtol=0.02)
    overlap = flat @ flat.T
    length = np.sqrt(np.diag(overlap))
    apart = overlap / np.outer(length, length) - np.eye(20)
    assert np.abs(apart).max() < 0.02


def test_boundary_loop_refuses_two_rims():
    square = np.array([[0, 1, 2], [0, 2, 3]])
    assert set(surface.boundary_loop(square)) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="border edges"):
        surface.boundary_loop(np.concatenate([square, square + 4]))


def test_barycentric_weights_rebuild_places():
    rng = np.random.default_rng(4)
    corners = rng.normal(size=(40, 3, 3))
    weights = rng.dirichlet([1, 1, 1], 40)
    places = np.einsum("nk,nkd->nd", weights, corners)
    np.testing.assert_allclose(points.barycentric(places, corners), weights, atol=1e-8)


def test_pixels_are_cast_onto_the_nearest_facing_triangle():
    square = np.array([[-50.0, -50, 0], [50, -50, 0], [50, 50, 0], [-50, 50, 0]])
    depth = np.array([0.0, 0, 100])
    vertices = np.concatenate([square + 6 * depth, square + 5 * depth])
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    triangles = np.concatenate([faces, faces + 4])
    camera = np.array([[500.0, 0, 200], [0, 500, 200], [0, 0, 1]])
    view = calibrate.View(vertices, np.zeros((0, 2)), camera, 0.0)
    pixels = np.array([[200.0, 200.0], [230.0, 190.0], [400.0, 200.0]])
    found = calibrate.cast(view, triangles, np.arange(4), pixels)
    places = found.places(vertices, triangles)
    np.testing.assert_allclose(places[0], [0, 0, 500], atol=1e-6)
    np.testing.assert_allclose(places[1], [30, -10, 500], atol=1e-6)
    assert places[2, 0] == pytest.approx(50)  # beside the mesh: its edge


def test_calibration_belongs_to_this_mesh(made):
    with np.load(build.CALIBRATION) as stored:
        assert str(stored["mesh"]) == build.topology_hash(made["triangles"])
        assert stored["bary"].shape == (478, 3)
    assert build.CALIBRATION.stat().st_size < 50_000


def test_registration_alone_comes_near_the_calibration(data_dir, made):
    found = build.load_source()
    mean = made["vertices"].astype(float)
    registered = build.tracked_points(found.topology, mean, data_dir, calibrated=False)
    model = load_head_model()
    apart = np.linalg.norm(
        registered.places(model.vertices, model.triangles) - model.points478(), axis=1
    )
    inner = np.setdiff1d(np.arange(478), points.FACE_OVAL)
    assert apart[inner].mean() < 8.0
    assert apart[list(points.IRIS)].max() < 5.0
