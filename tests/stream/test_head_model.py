import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy import io as matlab
from scipy import sparse

from stream.errors import UserError
from stream.head_formats import load_bfm, load_flame, load_ict
from stream.head_model import DEFAULT_PATH, HeadModel, load_head_model

SKIN, SCALP, EAR, NECK, MOUTH, EYES = range(1, 7)


@pytest.fixture(scope="module")
def model() -> HeadModel:
    return load_head_model()


@pytest.fixture(scope="module")
def coefficients(model):
    rng = np.random.default_rng(3)
    return rng.normal(size=80).astype(np.float32), rng.random(52).astype(np.float32) * 0.5


def test_shipped_file_follows_the_schema():
    assert DEFAULT_PATH.stat().st_size < 8e6
    with np.load(DEFAULT_PATH, allow_pickle=False) as stored:
        count = len(stored["vertices"])
        wanted = {
            "vertices": ((count, 3), "float32"),
            "identity_basis": ((80, count, 3), "float16"),
            "expression_basis": ((52, count, 3), "float16"),
            "uv": ((count, 2), "float32"),
            "mirror": ((count,), "int32"),
            "labels": ((count,), "uint8"),
            "scalp_weight": ((count,), "float32"),
            "points478_triangle": ((478,), "int32"),
            "points478_bary": ((478, 3), "float32"),
            "points68_triangle": ((68,), "int32"),
            "points68_bary": ((68, 3), "float32"),
            "neck_joint": ((3,), "float32"),
        }
        got = {name: (stored[name].shape, stored[name].dtype.name) for name in wanted}
        assert got == wanted
        assert stored["triangles"].dtype == np.int32
        assert 4000 < count < 6000
        assert stored["triangles"].max() == count - 1


def test_face_units_bear_the_arkit_names(model):
    assert len(set(model.expression_names)) == 52
    for name in ("jawOpen", "eyeBlinkLeft", "mouthSmileRight", "browInnerUp", "tongueOut"):
        strongest = model.expression_basis[model.expression_names.index(name)]
        assert np.abs(strongest).max() > 2.0, name


def test_left_and_right_are_mirror_images(model):
    flip = np.array([-1, 1, 1])
    assert np.array_equal(model.mirror[model.mirror], np.arange(len(model.mirror)))
    np.testing.assert_allclose(model.vertices[model.mirror] * flip, model.vertices, atol=1e-3)
    np.testing.assert_array_equal(model.labels[model.mirror], model.labels)
    np.testing.assert_allclose(model.uv[model.mirror] * [-1, 1] + [1, 0], model.uv, atol=1e-5)
    left = model.expression_basis[model.expression_names.index("mouthSmileLeft")]
    right = model.expression_basis[model.expression_names.index("mouthSmileRight")]
    np.testing.assert_allclose(left[model.mirror] * flip, right, atol=0.02)


def test_components_are_symmetric_or_antisymmetric(model):
    flipped = model.identity_basis[:, model.mirror] * np.float32([-1, 1, 1])
    same = np.abs(flipped - model.identity_basis).max((1, 2))
    opposite = np.abs(flipped + model.identity_basis).max((1, 2))
    assert (np.minimum(same, opposite) < 0.05).all()
    assert (opposite < same).sum() >= 5
    size = np.sqrt((model.identity_basis**2).sum(2).mean(1))
    assert size[0] > 4 * size[20] > 4 * size[79] > 0


def test_the_map_has_no_folds(model):
    corners = model.uv[model.triangles].astype(np.float64)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    assert (area < 0).all() or (area > 0).all()
    assert 0 <= model.uv.min() < model.uv.max() <= 1


def test_head_space(model):
    points = model.points478()
    pupils = points[473] - points[468]
    assert pupils[0] == pytest.approx(63, abs=3)
    assert np.abs(pupils[1:]).max() < 0.5
    skin = model.vertices[model.labels == SKIN]
    nose = skin[skin[:, 2].argmin()]
    assert np.linalg.norm(points[4] - nose) < 8
    assert points[152, 1] > points[17, 1] > points[4, 1] > points[168, 1] > points[10, 1]
    ear_hole = model.vertices[model.labels == EAR].mean(0)
    crown = model.vertices[model.labels == SCALP, 1].min()
    assert (crown + ear_hole[1]) / 2 == pytest.approx(0, abs=3)


def test_triangles_look_outward(model):
    a, b, c = (model.vertices[model.triangles[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    label = model.labels[model.triangles]
    scalp = (label == SCALP).all(1)
    away = np.einsum("td,td->t", normal, a + b + c)
    assert (away[scalp] > 0).all()
    tracked = normal[model.points478_triangle]
    assert (tracked[:, 2] < 0).mean() > 0.97


def test_regions_lie_where_they_belong(model):
    middle = {label: model.vertices[model.labels == label].mean(0) for label in range(1, 7)}
    assert middle[SCALP][1] < middle[EYES][1] < middle[MOUTH][1] < middle[NECK][1]
    assert (model.labels[model.triangles[model.points478_triangle[468:]]] == EYES).all()
    outer = model.labels[model.triangles[model.points478_triangle[:468]]]
    assert not np.isin(outer, (MOUTH, NECK)).all(1).any()
    ears = np.abs(model.vertices[model.labels == EAR, 0])
    assert ears.min() > 60 and np.bincount(model.labels, minlength=7)[1:].min() > 300


def test_scalp_weight_rises_from_the_hairline(model):
    assert (model.scalp_weight[model.labels != SCALP] == 0).all()
    assert model.scalp_weight[model.vertices[:, 1].argmin()] == 1
    edges = np.concatenate([model.triangles[:, [0, 1]], model.triangles[:, [1, 2]]])
    step = np.abs(np.diff(model.scalp_weight[edges], axis=1))[:, 0]
    length = np.linalg.norm(np.diff(model.vertices[edges], axis=1)[:, 0], axis=1)
    assert (step <= length * 0.065 + 1e-6).all()


def test_neck_joint_sits_below_the_ears_behind_the_face(model):
    ear_hole = model.vertices[model.labels == EAR].mean(0)
    x, y, z = model.neck_joint
    assert x == pytest.approx(0, abs=0.1)
    assert 10 < y - ear_hole[1] < 60
    assert 0 < z - ear_hole[2] < 60


def test_shape_is_the_weighted_sum(model, coefficients):
    identity, expression = coefficients
    wanted = model.vertices.astype(np.float64)
    for weight, basis in zip(identity, model.identity_basis, strict=True):
        wanted = wanted + weight * basis
    for weight, basis in zip(expression, model.expression_basis, strict=True):
        wanted = wanted + weight * basis
    got = model.shape(identity, expression)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, atol=2e-3)  # worst seen 1e-4 mm


def test_a_part_is_shaped_as_the_whole(model, coefficients):
    some = np.array([5, 17, 4000])
    whole = model.shape(*coefficients)
    np.testing.assert_allclose(model.part(some).shape(*coefficients), whole[some], atol=1e-4)
    identity, expression = coefficients
    np.testing.assert_array_equal(model.expressed(model.shape(identity), expression), whole)


def test_points_move_with_the_shape(model, coefficients):
    identity, expression = coefficients
    shape = model.shape(identity, expression)
    corners = shape[model.triangles[model.points478_triangle]]
    wanted = np.einsum("nk,nkd->nd", model.points478_bary, corners)
    np.testing.assert_allclose(model.points478(identity, expression), wanted, atol=2e-3)
    np.testing.assert_allclose(model.points68()[36], model.points478()[33], atol=1e-3)


def test_fewer_coefficients_are_padded_and_more_refused(model):
    short = model.shape(np.array([1.0, -2.0]))
    full = model.shape(np.concatenate([[1.0, -2.0], np.zeros(78)]))
    np.testing.assert_allclose(short, full, atol=1e-4)
    with pytest.raises(ValueError, match="81 coefficients for a basis of 80"):
        model.shape(np.zeros(81))


def test_jaw_open_lowers_the_chin_and_blink_closes_the_eye(model):
    names = model.expression_names
    neutral = model.points478()
    opened = model.points478(None, np.eye(52)[names.index("jawOpen")])
    assert opened[152, 1] - neutral[152, 1] > 15
    assert np.abs(opened[10] - neutral[10]).max() < 0.5
    blink = model.points478(None, np.eye(52)[names.index("eyeBlinkLeft")])

    def gap(points, upper, lower):
        return points[lower, 1] - points[upper, 1]

    assert gap(blink, 386, 374) < 0.35 * gap(neutral, 386, 374)
    assert gap(blink, 159, 145) == pytest.approx(gap(neutral, 159, 145), abs=0.2)


def test_a_model_is_read_once(model):
    assert load_head_model() is model


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "does not exist"), (b"", "not a head model"), (b"PK\x03\x04x", "not a head")],
)
def test_bad_files_are_explained(tmp_path, content, why):
    path = tmp_path / "model.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=why):
        load_head_model(path)


def test_a_file_without_its_arrays_is_explained(tmp_path):
    np.savez(tmp_path / "model.npz", vertices=np.zeros((3, 3), np.float32))
    with pytest.raises(UserError, match="not a head model"):
        load_head_model(tmp_path / "model.npz")


# Files of other makers, imitated with the shipped mesh.


def _foreign(model) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shipped head as others hold it: y up, z to the front, moved and turned a little."""
    flip = np.array([1.0, -1.0, -1.0])
    angle = np.radians(4)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    vertices = (model.vertices * flip) @ turn.T + [3, -20, 40]
    identity = (model.identity_basis[:5] * flip) @ turn.T
    expression = (model.expression_basis[:4] * flip) @ turn.T
    return vertices, identity, expression


def _check(loaded: HeadModel, model: HeadModel, worst_mm: float) -> None:
    apart = np.linalg.norm(loaded.points478() - model.points478(), axis=1)
    assert apart.max() < worst_mm
    np.testing.assert_allclose(loaded.vertices, model.vertices, atol=1.5)
    moved = loaded.shape(np.array([0, 2.0])) - loaded.shape()
    np.testing.assert_allclose(moved, 2 * model.identity_basis[1], atol=0.3)
    assert (loaded.labels == model.labels).mean() > 0.97


def test_ict_layout(tmp_path, model):
    vertices, identity, _ = _foreign(model)
    expression = np.stack([model.expression_basis[12], -model.expression_basis[12]])
    np.savez(
        tmp_path / "ict.npz",
        v=vertices / 10,
        f=model.triangles,
        identity=identity / 10,
        expression=expression / 10,
        expression_names=["browInnerUp_L", "jawOpen"],
        landmarks68=model.triangles[model.points68_triangle, model.points68_bary.argmax(1)],
    )
    loaded = load_ict(tmp_path / "ict.npz")
    _check(loaded, model, 5.0)  # its landmarks are vertices, some mm beside the points
    assert loaded.expression_names == model.expression_names
    assert np.abs(loaded.expression_basis[model.expression_names.index("jawOpen")]).max() > 0.1
    assert np.abs(loaded.expression_basis[model.expression_names.index("tongueOut")]).max() == 0


def test_real_ict_file(data_dir, model):
    loaded = load_ict(data_dir / "ict" / "ict_facekit.npz")
    assert loaded.identity_basis.shape == (80, 26719, 3)
    apart = np.linalg.norm(loaded.points68() - model.points68(), axis=1)
    assert apart.mean() < 12
    jaw = loaded.points478(None, np.eye(52)[model.expression_names.index("jawOpen")])
    assert jaw[152, 1] - loaded.points478()[152, 1] > 8


def test_bfm_2009_layout(tmp_path, model):
    vertices, identity, _ = _foreign(model)
    deviation = np.linspace(2000, 500, 5)
    basis = identity.reshape(5, -1).T * 1000 / deviation
    matlab.savemat(
        tmp_path / "bfm.mat",
        {
            "shapeMU": vertices.reshape(-1, 1) * 1000,
            "shapePC": basis,
            "shapeEV": deviation[:, None],
            "tl": model.triangles[:, ::-1] + 1,
        },
    )
    loaded = load_bfm(tmp_path / "bfm.mat")
    _check(loaded, model, 2.0)
    assert loaded.expression_basis.shape[0] == 0


def test_bfm_2017_layout(tmp_path, model):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    vertices, identity, expression = _foreign(model)
    with h5py.File(tmp_path / "bfm.h5", "w") as file:
        file["shape/model/mean"] = vertices.ravel()
        file["shape/representer/cells"] = model.triangles.T
        file["expression/model/mean"] = np.zeros(vertices.size)
        for group, basis in (("shape", identity), ("expression", expression)):
            variance = np.linspace(9, 4, len(basis))
            scaled = basis.reshape(len(basis), -1).T / np.sqrt(variance)
            file[f"{group}/model/pcaBasis"] = scaled
            file[f"{group}/model/pcaVariance"] = variance
    _check(load_bfm(tmp_path / "bfm.h5"), model, 2.0)


def _flame(model) -> dict:
    vertices, identity, expression = _foreign(model)
    directions = np.zeros((len(vertices), 3, 304))
    directions[..., :5] = np.moveaxis(identity, 0, 2)
    directions[..., 300:] = np.moveaxis(expression, 0, 2)
    return {
        "v_template": vertices / 1000,
        "shapedirs": directions / 1000,
        "f": model.triangles.astype(np.uint32),
        "J_regressor": sparse.csc_matrix(np.eye(5)),
        "weights": np.zeros((3, 5)),
    }


def test_flame_npz_layout(tmp_path, model):
    content = _flame(model)
    content.pop("J_regressor")
    np.savez(tmp_path / "flame.npz", **content)
    loaded = load_flame(tmp_path / "flame.npz")
    _check(loaded, model, 2.0)
    assert len(loaded.expression_names) == 4


@pytest.mark.parametrize("protocol", [2, 4])
def test_flame_pickle_of_plain_arrays_is_read(tmp_path, model, protocol):
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps(_flame(model), protocol=protocol))
    _check(load_flame(path), model, 2.0)


class _Trap:
    fired = False

    def __reduce__(self):
        return setattr, (_Trap, "fired", True)


@pytest.mark.parametrize(
    "content",
    [_Trap(), {"v_template": np.array([_Trap()], dtype=object)}, io.StringIO, Path("a")],
)
def test_pickles_that_hold_other_things_are_refused(tmp_path, content):
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(UserError, match="only a pickle of plain arrays"):
        load_flame(path)
    assert not _Trap.fired


@pytest.mark.parametrize("load", [load_ict, load_bfm, load_flame])
def test_foreign_files_that_are_none_are_explained(tmp_path, load):
    path = tmp_path / ("model.mat" if load is load_bfm else "model.npz")
    path.write_text("not a model")
    with pytest.raises(UserError, match=r"cannot read the head model model\."):
        load(path)
    if load is load_bfm:
        matlab.savemat(path, {"shapeMU": np.zeros(3)})
    else:
        np.savez(path, v=np.zeros((2, 3)))
    with pytest.raises(UserError, match="it lacks"):
        load(path)
