"""Bending one surface onto another, and ICT's people on the base head."""

import numpy as np
import pytest
from scipy import sparse

pytest.importorskip("igl", reason="needs the extra train")

from stream.errors import UserError
from stream.head_model import load_head_model
from training.head_model.render import vertex_normals
from training.synthetic import register
from training.synthetic.nonrigid import Pins, Surface, bend, extend, hollow, smoothness
from training.synthetic.register_data import similarity


def ball(rings: int = 14, radii: tuple[float, float, float] = (40.0, 40.0, 40.0)):
    """An ellipsoid of (V, 3) vertices and outward triangles."""
    polar = np.linspace(0, np.pi, rings + 1)[1:-1]
    around = np.arange(2 * rings) * np.pi / rings
    grid = np.stack(
        [np.outer(np.sin(polar), np.cos(around)), np.outer(np.sin(polar), np.sin(around))], axis=-1
    )
    up = np.repeat(np.cos(polar)[:, None], 2 * rings, axis=1)
    points = np.concatenate([np.dstack([grid, up]).reshape(-1, 3), [[0, 0, 1.0], [0, 0, -1.0]]])
    columns, faces = 2 * rings, []
    for row in range(len(polar) - 1):
        for column in range(columns):
            a, b = row * columns + column, row * columns + (column + 1) % columns
            faces += [[a, a + columns, b], [b, a + columns, b + columns]]
    top, last = len(points) - 2, (len(polar) - 1) * columns
    for column in range(columns):
        after = (column + 1) % columns
        faces += [[top, column, after], [top + 1, last + after, last + column]]
    return points * radii, np.array(faces)


def no_pins(count: int) -> Pins:
    return Pins.of_vertices(np.zeros(0, int), np.zeros((0, 3)), 1.0, count)


def test_touch_finds_the_side_that_faces_alike():
    target, faces = ball(16, (40.0, 40.0, 2.0))  # a flat disc: its far side is near
    surface = Surface(target, faces)
    touch = surface.touch(np.array([[0.0, 0.0, -1.5]]), np.array([[0.0, 0.0, 1.0]]))
    assert touch.places[0, 2] > 1.5
    assert touch.trust[0] > 0.9
    corners = target[faces[touch.triangle]]
    assert np.allclose(np.einsum("nk,nkd->nd", touch.bary, corners), touch.places)


def test_far_places_are_not_trusted():
    target, faces = ball(10)
    touch = Surface(target, faces).touch(np.array([[0.0, 0.0, 70.0]]), np.array([[0.0, 0.0, 1.0]]))
    assert touch.trust[0] == 0


def test_a_ball_bends_onto_a_longer_one_and_keeps_its_pins():
    points, faces = ball(12)
    target, target_faces = ball(20, (44.0, 38.0, 47.0))
    surface = Surface(target, target_faces)
    pins = Pins.of_vertices(np.array([len(points) - 2]), np.array([[0, 0, 47.0]]), 5.0, len(points))
    before = surface.touch(points, vertex_normals(points, faces)).places - points
    bent = bend(points, faces, surface, np.ones(len(points)), pins, (100.0, 10.0, 1.0), 3)
    after = surface.touch(bent, vertex_normals(bent, faces)).places - bent
    assert np.linalg.norm(before, axis=1).mean() > 2.0
    assert np.linalg.norm(after, axis=1).mean() < 0.1
    assert np.abs(bent[-2] - [0, 0, 47.0]).max() < 0.3


def test_what_is_not_drawn_follows_its_surroundings():
    points, faces = ball(12)
    surface = Surface(points + np.array([0, 3.0, 0]), faces)
    drawn = (points[:, 2] < 15).astype(float)
    bent = bend(points, faces, surface, drawn, no_pins(len(points)), (30.0, 3.0), 4)
    assert np.abs((bent - points)[drawn == 0] - [0, 3.0, 0]).max() < 0.6


def test_fading_pins_let_go():
    points, _ = ball(6)
    number, aim = np.array([3]), np.array([[9.0, 9.0, 9.0]])
    steer = Pins.of_vertices(number, aim, 4.0, len(points), fading=True)
    hold = Pins.of_vertices(number, aim, 4.0, len(points))
    both = steer.joined(hold)
    stiff, _ = both.pull(points, 1000.0)
    soft, side = both.pull(points, 1.0)
    assert stiff[3, 3] == pytest.approx(8.0)
    assert soft[3, 3] == pytest.approx(4.0, abs=0.01)
    assert np.allclose(side[3], soft[3, 3] * (aim[0] - points[3]))


def test_extend_continues_a_constant_exactly():
    points, faces = ball(8)
    weights = (points[:, 2] > 0).astype(float)
    known = np.where(weights[:, None] > 0, 2.5, -100.0) * np.ones((1, 4))
    out = extend(known, weights, smoothness(points, faces), 0.1)
    assert np.abs(out - 2.5).max() < 1e-3


def test_hollow_tells_facing_walls_from_free_ones():
    points, faces = ball(8, (40.0, 40.0, 3.0))
    inwards = -vertex_normals(points, faces)
    limits = np.full(len(points), 10.0)
    flat = np.linalg.norm(points[:, :2], axis=1) < 20
    flat[-2:] = False  # from pole to pole a ray meets nothing but a vertex
    assert hollow(points, faces, inwards, limits)[flat].all()
    assert not hollow(points, faces, -inwards, limits).any()
    assert not hollow(points, faces, inwards, np.zeros(len(points))).any()


def test_similarity_is_recovered():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(20, 3))
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    scale, rotation, shift = similarity(points, 3.0 * points @ turn.T + [1, 2, 3])
    assert scale == pytest.approx(3.0)
    assert np.allclose(rotation, turn)
    assert np.allclose(shift, [1, 2, 3])


def test_unfolding_lets_go_of_a_vertex_that_turns_a_triangle_over():
    points, faces = ball(8)
    offsets = np.zeros_like(points)
    offsets[20] = -1.6 * points[20]  # through the middle to the other side
    kept = register.unfolded(
        points, faces, offsets, np.ones(len(points)), smoothness(points, faces)
    )
    assert kept[20] == 0
    assert kept[points @ points[20] < -1000].min() == 1


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match="makehuman_head"):
        register.IctPeople(tmp_path, tmp_path)


@pytest.fixture(scope="module")
def people(data_dir, tmp_path_factory):
    return register.IctPeople(data_dir, tmp_path_factory.mktemp("registered"))


def test_face_and_ears_lie_on_ict(data_dir, people):
    from training.synthetic.register_sheet import measure

    scan = register.read_scan(data_dir, people.template.points68 @ people.template.vertices)
    rng = np.random.default_rng(3)
    found = measure(people, scan, [people.draw_weights(rng) for _ in range(3)])
    assert found["matched face"].mean() < 0.1
    assert np.quantile(found["face"], 0.95) < 1.5
    assert np.quantile(found["ears"], 0.95) < 1.5
    assert np.quantile(found["scalp"], 0.95) < 0.5


def test_both_meshes_are_one_person(people):
    rows, model = people.sample_with_model(np.random.default_rng(5))
    assert rows.shape == (7034, 3) and rows.dtype == np.float32
    assert model.shape == (5013, 3) and model.dtype == np.float32
    assert sparse.issparse(people.model)
    assert np.allclose(model, people.model @ rows, atol=1e-4)
    again = people.sample(np.random.default_rng(5))
    other = people.sample(np.random.default_rng(6))
    assert np.array_equal(rows, again)
    assert np.abs(rows - other).max() > 3.0


def test_the_body_stays(people):
    low = people.template.vertices[:, 1] > people.template.vertices[:, 1].max() - 150
    moved = people.sample(np.random.default_rng(7))[low]
    assert np.abs(moved).max() < 0.5


def test_eyes_stay_behind_the_lids(people):
    template = people.template
    for seed in range(4):
        head = template.vertices + people.sample(np.random.default_rng(seed))
        for side, sign in (("right", -1), ("left", 1)):
            ball_rows = head[template.groups[side]]
            middle = (ball_rows.min(0) + ball_rows.max(0)) / 2
            radius = np.linalg.norm(ball_rows - middle, axis=1).mean()
            socket = (template.parts == 2) & (sign * template.vertices[:, 0] > 0)
            away = np.linalg.norm(head[socket] - middle, axis=1)
            assert abs(np.median(away) - radius) < 3.0


def test_units_are_ict_s_where_the_skin_lies_on_ict(data_dir, people):
    scan = register.read_scan(data_dir, people.template.points68 @ people.template.vertices)
    matched = np.flatnonzero((people.registration.triangle >= 0) & (people.template.labels == 1))
    corners = scan.skin[people.registration.triangle[matched]]
    names = load_head_model().expression_names
    for name in ("mouthSmileLeft", "jawOpen", "mouthPucker", "browDownRight"):
        number = names.index(name)
        bary = people.registration.bary[matched]
        theirs = np.einsum("nk,nkd->nd", bary, scan.units[number][corners])
        apart = np.linalg.norm(people.units[number][matched] - theirs, axis=1)
        most = np.linalg.norm(theirs, axis=1).max()
        assert most > 4.0
        assert apart.mean() < 0.05 * most and np.quantile(apart, 0.95) < 0.2 * most


def test_units_that_ict_has_not_are_those_of_the_base_head(people):
    names = load_head_model().expression_names
    tongue = names.index("tongueOut")
    np.testing.assert_array_equal(people.units[tongue], people.template.units[tongue])
    others = [n for n in range(len(names)) if n != tongue]
    apart = np.abs(people.units[others] - people.template.units[others]).max(axis=(1, 2))
    assert apart.min() > 1.0


def test_both_sides_of_whole_units_move(people):
    """ICT has two sides of the brow's middle and of the cheeks, the head model one."""
    names, x = load_head_model().expression_names, people.template.vertices[:, 0]
    for name in ("browInnerUp", "cheekPuff"):
        moved = np.linalg.norm(people.units[names.index(name)], axis=1)
        assert moved[x < -20].max() > 3.0 and moved[x > 20].max() > 3.0


def test_the_lower_teeth_follow_the_jaw_and_the_upper_stay(people):
    unit = people.units[load_head_model().expression_names.index("jawOpen")]
    jaw = people.template.groups["jaw"]
    upper = np.setdiff1d(people.template.groups["teeth"], jaw)
    assert np.linalg.norm(unit[jaw], axis=1).min() > 5.0
    assert np.linalg.norm(unit[upper], axis=1).max() < 1.0


def test_the_second_time_comes_from_the_cache(data_dir, people, tmp_path, monkeypatch):
    first = register.cached_registration(data_dir, people.template, tmp_path)
    monkeypatch.setattr(register, "register", lambda *_: pytest.fail("registered again"))
    second = register.cached_registration(data_dir, people.template, tmp_path)
    assert np.array_equal(first.basis, second.basis)
    assert np.array_equal(first.mean, people.registration.mean)
