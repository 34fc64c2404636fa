"""The renderer, on scenes whose truth is known."""

import numpy as np
import pytest

from stream.errors import UserError
from training.synthetic.renderer import SceneRenderer, surface_normals
from training.synthetic.scene import Camera, Label, Lighting, Material, Portrait, Surface

SIZE = (96, 64)
POSE = np.eye(4)
POSE[2, 3] = 500.0
CAMERA = Camera(SIZE, np.array([[100.0, 0, 48], [0, 100, 32], [0, 0, 1]]), POSE)
EVEN = Lighting(
    np.array([[2.0] * 3] + [[0.0] * 3] * 8, np.float32),
    np.zeros((0, 3), np.float32),
    np.zeros((0, 3), np.float32),
    -1,
)


def _sheet(name, z, half=100.0, label=Label.FACE, alpha=255, rgb=(200, 200, 200), **material):
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    points = np.concatenate([corners * half, np.full((4, 1), z)], axis=1).astype(np.float32)
    known = name == "skin"
    return Surface(
        name=name,
        vertices_mm=points,
        triangles=np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        uv=((corners + 1) / 2).astype(np.float32),
        texture=np.full((4, 4, 4), (*rgb, alpha), np.uint8),
        labels=np.full(4, label, np.uint8),
        smooth_ids=np.arange(4, dtype=np.int32),
        canonical_mm=points if known else np.full((4, 3), np.nan, np.float32),
        head_uv=((corners + 1) / 2 if known else np.full((4, 2), np.nan)).astype(np.float32),
        material=Material(gloss=0.0, **material),
    )


def _portrait(*surfaces):
    zero = np.zeros(3, np.float32)
    return Portrait(surfaces, zero[None], zero, zero, {})


@pytest.fixture(scope="module")
def renderer():
    try:
        with SceneRenderer(SIZE) as own:
            yield own
    except UserError as error:
        pytest.skip(str(error))


def test_a_sheet_lies_where_the_pinhole_puts_it(renderer):
    layers = renderer.draw(_portrait(_sheet("skin", 0.0)), CAMERA, EVEN)
    seen = np.isfinite(layers.depth_mm)
    rows, columns = np.nonzero(seen)
    assert (columns.min(), columns.max() + 1) == (28, 68)  # 48 ± 100·100/500
    assert (rows.min(), rows.max() + 1) == (12, 52)
    assert seen.sum() == 40 * 40
    np.testing.assert_allclose(layers.depth_mm[seen], 500.0, atol=1e-2)
    np.testing.assert_array_equal(layers.labels, np.where(seen, Label.FACE, 0))
    np.testing.assert_allclose(layers.normals[seen], [[0, 0, -1]] * seen.sum(), atol=1e-5)
    assert np.isnan(layers.normals[~seen]).all() and np.isnan(layers.head_uv[~seen]).all()
    np.testing.assert_array_equal(layers.alpha > 0.5, seen)


def test_maps_count_from_pixel_centres(renderer):
    layers = renderer.draw(_portrait(_sheet("skin", 0.0)), CAMERA, EVEN)
    for row, column in ((12, 28), (20, 60), (51, 67)):
        place = [(column + 0.5 - 48) * 5, (row + 0.5 - 32) * 5, 0.0]
        np.testing.assert_allclose(layers.canonical_mm[row, column], place, atol=0.02)
        uv = [(column + 0.5 - 28) / 40, (row + 0.5 - 12) / 40]
        np.testing.assert_allclose(layers.head_uv[row, column], uv, atol=1e-4)


def test_hair_hides_the_skin_but_not_its_depth(renderer):
    hair = _sheet("hair", -50.0, 40.0, Label.HAIR, cutoff=0.45, soft=True)
    layers = renderer.draw(_portrait(_sheet("skin", 0.0), hair), CAMERA, EVEN)
    assert layers.labels[32, 48] == Label.HAIR and layers.labels[14, 30] == Label.FACE
    assert layers.depth_mm[32, 48] == pytest.approx(450.0, abs=0.01)
    assert layers.face_depth_mm[32, 48] == pytest.approx(500.0, abs=0.01)
    assert layers.hair_alpha[32, 48] == 1.0 and layers.hair_alpha[14, 30] == 0.0
    assert np.isnan(layers.canonical_mm[32, 48]).all()


def test_hair_behind_the_skin_is_not_in_the_matte(renderer):
    hair = _sheet("hair", 50.0, 40.0, Label.HAIR, cutoff=0.45, soft=True)
    layers = renderer.draw(_portrait(_sheet("skin", 0.0), hair), CAMERA, EVEN)
    assert layers.hair_alpha.max() == 0 and (layers.labels != Label.HAIR).all()


def test_thin_hair_is_half_there(renderer):
    hair = _sheet("hair", -50.0, 40.0, Label.HAIR, alpha=77, rgb=(0, 0, 0), cutoff=0.45, soft=True)
    plain = renderer.draw(_portrait(_sheet("skin", 0.0)), CAMERA, EVEN)
    layers = renderer.draw(_portrait(_sheet("skin", 0.0), hair), CAMERA, EVEN)
    assert layers.hair_alpha[32, 48] == pytest.approx(77 / 255, abs=0.01)
    np.testing.assert_allclose(
        layers.colour[32, 48], plain.colour[32, 48] * (1 - 77 / 255), rtol=0.02
    )
    assert layers.labels[32, 48] == Label.FACE  # below the cut-off it is not what a pixel shows


def test_clear_lenses_leave_the_truth_alone(renderer):
    for label, shown in ((Label.FACE, Label.FACE), (Label.OCCLUDER, Label.OCCLUDER)):
        lens = _sheet("lenses", -50.0, 40.0, label, alpha=30, lens=True)
        layers = renderer.draw(_portrait(_sheet("skin", 0.0), lens), CAMERA, EVEN)
        assert layers.labels[32, 48] == shown
        assert layers.depth_mm[32, 48] == pytest.approx(500 if shown == Label.FACE else 450, abs=1)


def test_light_is_that_of_the_sky(renderer):
    layers = renderer.draw(_portrait(_sheet("skin", 0.0)), CAMERA, EVEN)
    expected = (200 / 255) ** 2.2 * 0.282095 * 2.0
    np.testing.assert_allclose(layers.colour[32, 48], [expected] * 3, rtol=0.01)


@pytest.mark.parametrize(("shadowed", "share"), [(0, 0.0), (-1, 1.0)])
def test_a_lamp_throws_a_shadow(renderer, shadowed, share):
    lamp = Lighting(
        np.zeros((9, 3), np.float32),
        np.array([[0.0, 0.0, -1.0]], np.float32),
        np.ones((1, 3), np.float32),
        shadowed,
    )
    shade = _sheet("hat", -150.0, 40.0, Label.OCCLUDER)
    side = np.eye(4)
    side[:3, 3] = [0.0, 0.0, 500.0]
    turn = np.radians(25)  # look past the shade at the skin behind it
    side[:3, :3] = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    camera = Camera(SIZE, CAMERA.intrinsics, side)
    towards = (side[:3, :3] @ [0, 0, -1.0]).astype(np.float32)
    lamp = Lighting(lamp.sky, towards[None], lamp.colours, shadowed)
    with_shade = renderer.draw(_portrait(_sheet("skin", 0.0), shade), camera, lamp)
    without = renderer.draw(_portrait(_sheet("skin", 0.0)), camera, lamp)
    place = side[:3, :3] @ [25.0, 0.0, 0.0] + side[:3, 3]
    x, y = (CAMERA.intrinsics @ (place / place[2]))[:2].astype(int)
    assert with_shade.labels[y, x] == Label.FACE
    ratio = with_shade.colour[y, x, 0] / without.colour[y, x, 0]
    assert ratio == pytest.approx(share, abs=0.05)


def test_normals_are_shared_across_cuts():
    sheet = _sheet("skin", 0.0)
    bent = sheet.vertices_mm.copy()
    bent[2, 2] = 80.0
    pairs = np.array([0, 1, 2, 0, 2, 3])
    cut = Surface(
        "skin",
        bent[pairs],
        np.arange(6, dtype=np.int32).reshape(2, 3),
        sheet.uv[pairs],
        sheet.texture,
        sheet.labels[pairs],
        pairs.astype(np.int32),
        bent[pairs],
        sheet.uv[pairs],
    )
    normals = surface_normals(cut)
    np.testing.assert_array_equal(normals[0], normals[3])
    np.testing.assert_array_equal(normals[2], normals[4])
    assert np.abs(normals[1] - normals[5]).max() > 0.1
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)


def test_a_camera_of_another_size_is_refused(renderer):
    other = Camera((64, 64), CAMERA.intrinsics, POSE)
    with pytest.raises(ValueError, match="64"):
        renderer.draw(_portrait(_sheet("skin", 0.0)), other, EVEN)


def test_two_renderers_do_not_disturb_each_other(renderer):
    scene = _portrait(_sheet("skin", 0.0))
    before = renderer.draw(scene, CAMERA, EVEN)
    small = Camera((32, 32), np.array([[50.0, 0, 16], [0, 50, 16], [0, 0, 1]]), POSE)
    with SceneRenderer((32, 32)) as other:
        assert np.isfinite(other.draw(scene, small, EVEN).depth_mm).sum() == 20 * 20
        after = renderer.draw(scene, CAMERA, EVEN)
    again = renderer.draw(scene, CAMERA, EVEN)
    for layers in (after, again):
        np.testing.assert_array_equal(layers.depth_mm, before.depth_mm)
        np.testing.assert_array_equal(layers.colour, before.colour)
