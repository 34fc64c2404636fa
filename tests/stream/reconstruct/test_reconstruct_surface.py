"""The surface of a reconstructed head: its topology, its chart, its hair."""

import numpy as np
import pytest
import trimesh

from stream.frame import Head
from stream.geometry import pinhole_camera, project, rigid_transform, transform_points
from stream.head_model import load_head_model
from stream.reconstruct.hair import HairShape, _first_run
from stream.reconstruct.maps import SIDE, HeadMaps
from stream.reconstruct.template import FACE, SCALP, Template, boundary_loop, loop_step
from stream.region import Region


@pytest.fixture(scope="module")
def model():
    return load_head_model()


@pytest.fixture(scope="module")
def template(model):
    return Template(model, 1)


def as_mesh(vertices, triangles):
    return trimesh.Trimesh(vertices, triangles, process=False)


def test_skin_is_one_disc(model, template):
    fine = as_mesh(template.refined(template.closed(model.shape())), template.levels[-1].triangles)
    assert fine.body_count == 1
    assert fine.euler_number == 1  # a disc: its only opening is the neck
    assert fine.is_winding_consistent
    loop = boundary_loop(fine.faces)
    assert fine.vertices[loop, 1].min() > 130  # all of it at the collar


def test_eyes_and_mouth_are_closed_near_the_surface(model, template):
    """The linings reach far into the head; what closes the hollows does not."""
    bare, closed = model.shape()[template.skin], template.closed(model.shape())
    labels = template.skin_labels()
    for label, before, after in ((6, -70.0, -70.0), (5, -20.0, -80.0)):
        assert bare[labels == label, 2].max() > before
        assert closed[labels == label, 2].max() < after
    kept = ~np.isin(labels, (5, 6))
    np.testing.assert_array_equal(closed[kept], bare[kept].astype(float))


def test_open_mouth_is_closed_behind_the_lips(model, template):
    units = np.zeros(52)
    units[list(model.expression_names).index("jawOpen")] = 0.8
    open_mouth, shut = (template.closed(model.shape(None, u)) for u in (units, None))
    inner = template.skin_labels() == 5
    assert np.ptp(open_mouth[inner, 1]) > np.ptp(shut[inner, 1]) + 5
    assert open_mouth[inner, 2].max() > shut[inner, 2].max() + 2


def test_refinement_is_that_of_loop(template):
    """Against trimesh's own subdivision, which cannot carry other values than places."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(len(template.skin), 3))
    level = loop_step(template.triangles, len(points))
    expected, faces = trimesh.remesh.subdivide_loop(points, template.triangles, 1)
    found = level.matrix @ points
    assert found.shape == expected.shape
    order_a, order_b = (np.lexsort(np.round(p, 9).T) for p in (found, expected))
    np.testing.assert_allclose(found[order_a], expected[order_b], atol=1e-9)
    assert len(level.triangles) == len(faces)
    np.testing.assert_allclose(level.matrix.sum(axis=1), 1)


def test_chart_is_symmetric_and_unfolded(model, template):
    uv = template.chart()
    number = np.full(len(model.vertices), -1)
    number[template.skin] = np.arange(len(template.skin))
    mirror = number[model.mirror[template.skin]]
    np.testing.assert_allclose(uv[mirror], uv * [-1, 1] + [1, 0], atol=1e-4)
    a, b, c = (uv[template.triangles[:, k]] for k in range(3))
    signs = np.sign(np.cross(b - a, c - a))
    assert (signs == signs[0]).mean() > 0.999
    assert uv.min() > 0.01
    assert uv.max() < 0.99


def test_chart_gives_the_scalp_more_room_than_the_model_map(model, template):
    def room(uv):
        a, b, c = (uv[template.triangles[:, k]] for k in range(3))
        area = np.abs(np.cross(b - a, c - a))
        scalp = (template.skin_labels()[template.triangles] == SCALP).all(axis=1)
        return area[scalp].sum() / area.sum()

    assert room(template.chart()) > 1.3 * room(model.uv[template.skin].astype(float))


@pytest.mark.parametrize(
    ("inside", "gap", "expected"),
    [
        ("1111100", 0, 3.0),  # the skin is the fourth place, at 0
        ("0000110", 0, None),
        ("0000110", 2, 6.0),
        ("1111111", 0, 9.0),
    ],
)
def test_first_run(inside, gap, expected, monkeypatch):
    monkeypatch.setattr("stream.reconstruct.hair._REACH_MM", np.arange(-9.0, 12.0, 3.0))
    row = np.array([[mark == "1" for mark in inside]])
    found = _first_run(row, 3, gap)[0]
    if expected is None:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(expected + 1.5)


def seen_head(model, template, hair_mm):
    """A frontal head whose picture shows hair so far outside of the skull, above the brows."""
    camera = pinhole_camera(400, 400)
    pose = rigid_transform(np.eye(3), np.array([0.0, 0, 700]))
    head = Head(0, np.zeros(80, np.float32), np.zeros(52, np.float32), pose, camera)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    scale = 400 / SIDE
    x = (columns * scale - 200) / camera[0, 0] * 700
    y = (rows * scale - 200) / camera[1, 1] * 700
    skin = template.refined(template.closed(model.shape()), 0, 1)
    skull = np.hypot(x, y) < 80 + hair_mm
    hair = (skull & (y < 0)).astype(np.float32)
    face = (np.hypot(x, y) < 170).astype(np.float32) * (y >= 0)
    nothing = np.zeros((SIDE, SIDE), np.float32)
    depth = np.full((SIDE, SIDE), 600, np.float32)
    region = Region(0, 0, 400, 400)
    return skin, head, HeadMaps(region, hair + face, hair, face, nothing, nothing, depth)


def hair_shape(model, template):
    labels = template.refined(np.eye(7)[template.skin_labels()]).argmax(axis=1)
    mean = template.refined(template.closed(model.shape()), 0, 1)
    shape = HairShape(template.laplacian(1), labels, mean, template.levels[0].triangles)
    return shape, labels


def test_what_nobody_sees_is_that_of_the_mirror_half(model, template):
    shape, labels = hair_shape(model, template)
    x = template.refined(template.closed(model.shape()), 0, 1)[:, 0]
    seen, far = x < -5, x > 8
    target, weight = np.where(seen, 20.0, 0.0), np.where(seen, 1.0, 0.0)
    hairy, stray = seen & (labels == SCALP), np.zeros(len(x), bool)
    # Hair that was seen at the edge of a far cheek, which is bare on the near side.
    stray[far & (labels == FACE)] = True
    target[stray], weight[stray], hairy[stray] = 40.0, 1.0, True
    shape._take_from_mirror(target, weight, hairy, far, stray)
    np.testing.assert_array_equal(target[far], 20.0)
    assert (weight[far] > 0).all()
    assert (weight[far] < 1).all()
    assert hairy[far & (labels == SCALP)].all()
    assert not hairy[stray].any()
    assert weight[seen].min() == 1


def test_hair_grows_to_the_outline_and_nowhere_else(model, template):
    shape, labels = hair_shape(model, template)
    skin, head, maps = seen_head(model, template, 30.0)
    bare = np.zeros((SIDE, SIDE), np.float32)
    grown, growth, hairy, clothed = shape.grown(skin, head, maps, bare)
    crown = (labels == SCALP) & (skin[:, 1] < -60)
    seen = project(transform_points(head.camera_from_head, grown), head.camera)
    top_mm = (200 - seen[crown, 1].min()) / head.camera[0, 0] * 700
    assert 95 < top_mm < 130
    chin = (labels == 1) & (skin[:, 1] > 60) & (skin[:, 2] < -80)
    assert np.abs(growth[chin]).max() < 3
    assert hairy[crown].min() > 0.9
    assert hairy[chin].max() < 0.1
    assert clothed.max() < 0.1


def test_more_hair_grows_more(model, template):
    shape, labels = hair_shape(model, template)
    bare = np.zeros((SIDE, SIDE), np.float32)
    little, much = (
        shape.grown(*seen_head(model, template, mm), bare)[1][labels == SCALP].mean()
        for mm in (15.0, 45.0)
    )
    assert much > little + 8
