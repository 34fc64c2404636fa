"""Samples: one seed and index, one picture; and truth that agrees with itself."""

import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from stream.geometry import project, transform_points
from stream.head_model import load_head_model
from training.synthetic.dataset import Synthesiser, arrays_of, stream
from training.synthetic.hair import HELD_OUT_STYLES
from training.synthetic.people import HELD
from training.synthetic.scene import Label

MODEL = load_head_model()
SHAPES = {
    "pixels": ((256, 256, 3), np.uint8), "depth_mm": ((256, 256), np.float32),
    "face_depth_mm": ((256, 256), np.float32), "labels": ((256, 256), np.uint8),
    "alpha": ((256, 256), np.uint8), "hair_alpha": ((256, 256), np.uint8),
    "normals": ((256, 256, 3), np.float16), "head_uv": ((256, 256, 2), np.float16),
    "canonical_mm": ((256, 256, 3), np.float16), "points478": ((478, 3), np.float32),
    "visible478": ((478,), bool), "points68": ((68, 3), np.float32), "visible68": ((68,), bool),
    "identity": ((80,), np.float32), "expression": ((52,), np.float32),
    "camera_from_head": ((4, 4), np.float32), "intrinsics": ((3, 3), np.float32),
    "sky": ((9, 3), np.float32),
    "lamps": ((4, 6), np.float32),
}  # fmt: skip


def _same(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def _at(values, points):
    """Read a map at points (x, y), nan beyond its edges."""
    column, row = np.floor(points[:, :2]).astype(int).T
    height, width = values.shape[:2]
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    found = values[row.clip(0, height - 1), column.clip(0, width - 1)].astype(float)
    found[~inside] = np.nan
    return found


def _canonical_points():
    corners = MODEL.vertices[MODEL.triangles[MODEL.points478_triangle]]
    return (corners * MODEL.points478_bary[..., None]).sum(axis=1)


# --- determinism ----------------------------------------------------------------------------


def test_one_seed_and_index_give_one_picture(synthesiser):
    first = arrays_of(synthesiser.sample(5, 9))
    synthesiser.sample(5, 300)
    _same(arrays_of(synthesiser.sample(5, 9)), first)
    for other in (synthesiser.sample(6, 9), synthesiser.sample(5, 10)):
        assert np.abs(arrays_of(other)["pixels"].astype(int) - first["pixels"]).mean() > 2


def test_streams_agree_whatever_the_workers(data_dir, synthesiser):
    alone = list(stream(data_dir, 5, 3, workers=0, start=6))
    shared = list(stream(data_dir, 5, 6, workers=2, start=4))
    assert [item[0] for item in alone] == [6, 7, 8]
    assert [item[0] for item in shared] == [4, 5, 6, 7, 8, 9]
    for one, other in zip(alone, shared[2:], strict=False):
        _same(one[1], other[1])
        assert one[2] == other[2]
    _same(shared[0][1], arrays_of(synthesiser.sample(5, 4)))


def test_a_stream_may_skip(data_dir, synthesiser):
    items = list(stream(data_dir, 5, 2, workers=0, start=1, every=4))
    assert [item[0] for item in items] == [1, 5]
    _same(items[1][1], arrays_of(synthesiser.sample(5, 5)))


def test_four_in_a_row_are_one_person(synthesiser):
    group = [synthesiser.sample(5, index) for index in range(5)]
    for view in group[1:4]:
        np.testing.assert_array_equal(view.portrait.identity, group[0].portrait.identity)
        assert (view.portrait.expression != group[0].portrait.expression).any()
        assert view.facts["hair"] == group[0].facts["hair"]
        assert view.facts["yaw"] != group[0].facts["yaw"]
    assert np.abs(group[4].portrait.identity - group[0].portrait.identity).max() > 0.1


def test_validation_shows_others(synthesiser):
    skins = synthesiser._people._wardrobe.skins_of(held_out=True)
    facts = [synthesiser.sample(5, index, held_out=True).facts for index in (0, 4, 8)]
    assert all(fact["hair"] in HELD_OUT_STYLES and fact["skin"] in skins for fact in facts)
    seen = synthesiser.sample(5, 0)
    unseen = synthesiser.sample(5, 0, held_out=True)
    assert np.abs(seen.portrait.identity - unseen.portrait.identity).max() > 0.1


# --- arrays ---------------------------------------------------------------------------------


def test_arrays_have_their_shapes_types_and_ranges(samples):
    for sample in samples.values():
        arrays = arrays_of(sample)
        assert {k: (v.shape, v.dtype) for k, v in arrays.items()} == {
            k: (shape, np.dtype(kind)) for k, (shape, kind) in SHAPES.items()
        }
        assert arrays["labels"].max() <= Label.OCCLUDER
        assert arrays["expression"].min() >= 0 and arrays["expression"].max() <= 1
        assert np.isfinite(arrays["points478"]).all() and np.isfinite(arrays["sky"]).all()
        length = np.linalg.norm(arrays["lamps"][:, :3], axis=1)
        used = len(sample.lighting.colours)
        assert length[:used] == pytest.approx(1.0, abs=1e-5) and not arrays["lamps"][used:].any()
        assert (arrays["points478"][:, 2] > 200).all()
        there = np.isfinite(arrays["depth_mm"])
        assert arrays["depth_mm"][there].min() > 200 and arrays["depth_mm"][there].max() < 3000
        assert np.nanmin(arrays["head_uv"]) >= 0 and np.nanmax(arrays["head_uv"]) <= 1
        assert np.nanmax(np.abs(arrays["canonical_mm"])) < 260
        assert 0.05 < there.mean() < 1 and arrays["pixels"].std() > 5


def test_nan_means_nothing_there(samples):
    for sample in samples.values():
        arrays = arrays_of(sample)
        there = np.isfinite(arrays["depth_mm"])
        np.testing.assert_array_equal(arrays["labels"] > 0, there)
        np.testing.assert_array_equal(np.isfinite(arrays["normals"]).all(axis=2), there)
        known = np.isfinite(arrays["canonical_mm"]).all(axis=2)
        np.testing.assert_array_equal(known, np.isfinite(arrays["head_uv"]).all(axis=2))
        assert not (known & ~there).any()
        labels = arrays["labels"]
        assert known[np.isin(labels, (Label.FACE, Label.EAR))].mean() > 0.98
        assert not known[np.isin(labels, (Label.BODY, Label.OCCLUDER))].any()
        assert (arrays["alpha"][there] > 100).mean() > 0.98
        assert (arrays["alpha"][~there] < 160).mean() > 0.98


def test_normals_are_unit_and_face_the_camera(samples):
    for sample in samples.values():
        layers = sample.layers
        there = np.isfinite(layers.depth_mm)
        normals = layers.normals[there]
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3)
        rows, columns = np.nonzero(there)
        k = sample.camera.intrinsics
        ray = [(columns + 0.5 - k[0, 2]) / k[0, 0], (rows + 0.5 - k[1, 2]) / k[1, 1], 1 + 0 * rows]
        assert ((normals * np.stack(ray, axis=1)).sum(axis=1) <= 1e-3).all()


def test_normals_agree_with_depth(samples):
    """Where the face is smooth, the slope of the depth map is that of the normals."""
    errors = []
    for sample in samples.values():
        k, depth = sample.camera.intrinsics, sample.layers.depth_mm.astype(float)
        rows, columns = np.mgrid[0.5:256, 0.5:256]
        place = np.dstack([(columns - k[0, 2]) / k[0, 0], (rows - k[1, 2]) / k[1, 1]])
        place = np.dstack([place, np.ones((256, 256))]) * depth[..., None]
        across, down = np.gradient(place, axis=1), np.gradient(place, axis=0)
        normal = np.cross(down, across)
        normal /= np.linalg.norm(normal, axis=2, keepdims=True)
        cosine = (normal * sample.layers.normals).sum(axis=2)
        errors.append(cosine[(sample.layers.labels == Label.FACE) & np.isfinite(cosine)])
    assert np.median(np.concatenate(errors)) > 0.98


# --- what is where --------------------------------------------------------------------------


def test_depth_is_that_of_the_head_model(samples):
    """Model vertices of the bare face that the camera sees lie on the depth map."""
    gaps = []
    for sample in samples.values():
        places = transform_points(
            sample.camera.camera_from_head, sample.portrait.model_vertices_mm.astype(float)
        )
        corners = places[MODEL.triangles]
        outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        cosine = (outward * corners[:, 0]).sum(axis=1)
        cosine /= np.linalg.norm(outward, axis=1) * np.linalg.norm(corners[:, 0], axis=1) + 1e-9
        front = MODEL.triangles[np.abs(cosine) > 0.5].ravel()
        face = np.intersect1d(front, np.flatnonzero(MODEL.labels == 1))
        pixels = project(places[face], sample.camera.intrinsics)
        depth = _at(sample.layers.depth_mm, pixels)
        label = _at(sample.layers.labels, pixels)
        gap = places[face, 2] - depth
        gap = gap[(label == Label.FACE) & (np.abs(gap) < 40)]  # farther: the far side
        gaps.append(gap)
    gaps = np.abs(np.concatenate(gaps))
    assert len(gaps) > 3000
    assert np.median(gaps) < 1.0 and np.quantile(gaps, 0.8) < 4.0


def test_the_canonical_map_tells_the_landmark(samples):
    canonical, apart, uv_apart = _canonical_points(), [], []
    uv = (
        MODEL.uv[MODEL.triangles[MODEL.points478_triangle]] * MODEL.points478_bary[..., None]
    ).sum(axis=1)
    for sample in samples.values():
        seen = sample.visible478
        points = sample.points478_px[seen]
        skin = np.isin(_at(sample.layers.labels, points), (Label.FACE, Label.EYES))
        apart.append((_at(sample.layers.canonical_mm, points) - canonical[seen])[skin])
        uv_apart.append((_at(sample.layers.head_uv, points) - uv[seen])[skin])
    apart = np.linalg.norm(np.concatenate(apart), axis=1)
    uv_apart = np.linalg.norm(np.concatenate(uv_apart), axis=1)
    assert len(apart) > 2500
    assert np.nanmedian(apart) < 3.0 and np.nanquantile(apart, 0.9) < 9.0
    assert np.nanmedian(uv_apart) < 0.02


def test_uv_and_canonical_agree_with_the_head_model(samples):
    """Both name one place of the model: its nearest vertex by UV is its nearest in space."""
    from scipy.spatial import cKDTree

    face = np.flatnonzero(MODEL.labels == 1)
    tree = cKDTree(MODEL.uv[face])
    for sample in list(samples.values())[:4]:
        pick = sample.layers.labels == Label.FACE
        pick &= np.isfinite(sample.layers.canonical_mm[..., 0])
        uv, place = sample.layers.head_uv[pick], sample.layers.canonical_mm[pick]
        nearest = MODEL.vertices[face[tree.query(uv)[1]]]
        assert np.quantile(np.linalg.norm(nearest - place, axis=1), 0.95) < 8.0


def test_labels_lie_where_they_should(samples):
    irises, eyes, ears, bodies = [], [], 0, 0
    for sample in samples.values():
        labels = sample.layers.labels
        for centre, lid in ((468, "eyeBlinkRight"), (473, "eyeBlinkLeft")):
            closed = sample.portrait.expression[MODEL.expression_names.index(lid)]
            if sample.visible478[centre] and closed < 0.3:
                irises.append(sample.points478_px[centre])
                eyes.append(_at(labels, sample.points478_px[centre][None])[0])
        ear = np.isfinite(sample.layers.canonical_mm[..., 0]) & (labels == Label.EAR)
        if ear.any():
            ears += 1
            across = np.abs(sample.layers.canonical_mm[ear][:, 0])
            assert across.min() > 45
        body = np.nonzero(labels == Label.BODY)[0]
        face = np.nonzero(labels == Label.FACE)[0]
        if len(body) and len(face):
            bodies += 1
            assert body.mean() > face.mean() + 20
    assert len(eyes) > 8 and np.mean(np.array(eyes) == Label.EYES) > 0.8
    assert ears > 5 and bodies > 8


def test_hair_hides_the_face_and_never_the_other_way(samples):
    covered = 0
    for sample in samples.values():
        layers = sample.layers
        both = np.isfinite(layers.depth_mm) & np.isfinite(layers.face_depth_mm)
        assert (layers.face_depth_mm[both] >= layers.depth_mm[both] - 1e-3).all()
        assert np.isfinite(layers.depth_mm[np.isfinite(layers.face_depth_mm)]).all()
        over = both & (layers.labels == Label.HAIR) & (layers.hair_alpha > 0.9)
        covered += int((layers.face_depth_mm[over] > layers.depth_mm[over] + 1).sum())
        bare = np.isin(layers.labels, (Label.FACE, Label.EAR)) & both
        assert np.abs(layers.face_depth_mm[bare] - layers.depth_mm[bare]).max() < 1e-2
        # The matte is that of hair in front: hardly any on what hides hair.
        assert layers.hair_alpha[layers.labels == Label.HAIR].mean() > 0.75 or not over.any()
        hidden = np.isin(layers.labels, (Label.EYES, Label.MOUTH, Label.OCCLUDER))
        if hidden.any():
            assert layers.hair_alpha[hidden].mean() < 0.3
    assert covered > 5000


def test_points_project_by_the_camera(samples):
    for sample in samples.values():
        arrays = arrays_of(sample)
        corners = sample.portrait.model_vertices_mm[MODEL.triangles[MODEL.points478_triangle]]
        places = (corners * MODEL.points478_bary[..., None]).sum(axis=1)
        camera = transform_points(arrays["camera_from_head"].astype(float), places)
        expected = project(camera, arrays["intrinsics"].astype(float))
        np.testing.assert_allclose(arrays["points478"][:, :2], expected, atol=0.05)


# --- tuples ---------------------------------------------------------------------------------


def test_in_a_tuple_hands_stay_and_hats_turn(synthesiser):
    number = next(n for n in range(200) if synthesiser._person(3, n, False).accessories.handheld)
    first, second = synthesiser.tuple(3, number, 2)
    checked = set()
    for one, other in zip(first.portrait.surfaces, second.portrait.surfaces, strict=True):
        pair = ((first, one), (second, other))
        here, there = (
            transform_points(view.camera.camera_from_head, surface.vertices_mm)
            for view, surface in pair
        )
        if one.name in HELD:
            np.testing.assert_allclose(here, there, atol=0.02)
            checked.add(one.name)
        elif one.name == "eyes":
            assert np.abs(here - there).max() > 1.0
    assert checked


@pytest.mark.parametrize("count", [2, 5])
def test_a_tuple_turns_one_head_before_one_background(synthesiser, count):
    views = synthesiser.tuple(3, 4, count)
    assert len(views) == count
    first = views[0]
    joint = [
        transform_points(view.camera.camera_from_head, MODEL.neck_joint[None])[0] for view in views
    ]
    np.testing.assert_allclose(joint, [joint[0]] * count, atol=1e-3)
    for view in views[1:]:
        np.testing.assert_array_equal(view.portrait.identity, first.portrait.identity)
        np.testing.assert_array_equal(view.portrait.expression, first.portrait.expression)
        np.testing.assert_array_equal(view.camera.intrinsics, first.camera.intrinsics)
        assert view.facts["skin"] == first.facts["skin"]
        assert np.abs(view.camera.camera_from_head - first.camera.camera_from_head).max() > 0.01
        nothing = (view.layers.alpha == 0) & (first.layers.alpha == 0)
        assert nothing.sum() > 2000
        apart = np.abs(view.pixels.astype(int) - first.pixels)[nothing]
        assert np.median(apart) <= 1 and apart.mean() < 4
        assert (view.pixels != first.pixels).any()


def test_the_shoulders_of_a_tuple_stay(synthesiser):
    views = synthesiser.tuple(3, 2, 3)
    body = [view.layers.labels == Label.BODY for view in views]
    both = body[0] & body[1] & body[2]
    assert both.sum() > 3000
    for view in views[1:]:
        apart = np.abs(view.layers.depth_mm - views[0].layers.depth_mm)[both]
        assert np.median(apart) < 5.0
        shared = both.sum() / (body[0] | (view.layers.labels == Label.BODY)).sum()
        assert shared > 0.7


def test_a_tuple_is_the_same_each_time(synthesiser):
    first = [arrays_of(view) for view in synthesiser.tuple(3, 7, 2)]
    for one, other in zip(first, synthesiser.tuple(3, 7, 2), strict=True):
        _same(one, arrays_of(other))


# --- sizes ----------------------------------------------------------------------------------


def test_a_smaller_picture_shows_the_same_scene(data_dir, synthesiser):
    large = synthesiser.sample(11, 8)
    with Synthesiser(data_dir, 128) as other:
        small = other.sample(11, 8)
    again = synthesiser.sample(11, 8)  # the other renderer left this one alone
    _same(arrays_of(large), arrays_of(again))
    assert small.pixels.shape == (128, 128, 3) and small.layers.depth_mm.shape == (128, 128)
    np.testing.assert_allclose(small.points478_px[:, :2] * 2, large.points478_px[:, :2], atol=0.1)
    np.testing.assert_array_equal(small.portrait.identity, large.portrait.identity)
    same = small.layers.labels == large.layers.labels[::2, ::2]
    assert same.mean() > 0.95
