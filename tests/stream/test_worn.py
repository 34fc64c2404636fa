"""What a turn draws out: calm skin with grain in its place, and edges that are kept clean."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from stream.following import CHIN
from stream.geometry import (
    axis_angle_from_rotation,
    project,
    rotation_from_angles,
    transform_points,
)
from stream.mesh import build_mesh
from stream.pose import HeadMotion
from stream.sight import FACE, HAIR, Sight
from stream.symmetry import stretches_of
from stream.underlay import Underlay
from stream.worn import _with_rings, mended
from tests.stream.test_underlay import REGION, ROOM, SKIN, Scene

DARK, WHITE = np.array((20, 20, 20)), np.array((250, 250, 250))


def rim(scene, from_px, to_px):
    """Return (h, w) bool: so far inside the outline of the head."""
    inside = cv2.distanceTransform(np.uint8(scene.cover > 0.5), cv2.DIST_L2, 5)
    return (inside >= from_px) & (inside < to_px)


def drawn(scene, warp, mesh, yaw):
    plate, matte = np.full_like(scene.picture, ROOM), np.uint8(255 * scene.cover)
    camera = scene.head.camera
    return warp.draw(scene.picture, matte, plate, REGION, mesh, scene.motion(yaw), camera)


def both(scene, model, warp, yaw, under=None):
    """Return the picture with and without what is tested here."""
    plain = build_mesh(scene.depth, scene.matte, scene.head.camera[0, 0])
    better = mended(plain, under, scene.matte, scene.sight, scene.head, scene.motion(yaw))
    return drawn(scene, warp, better, yaw), drawn(scene, warp, plain, yaw)


def count(picture, colour, tolerance=60):
    return int((np.abs(picture.astype(int) - colour).max(axis=-1) < tolerance).sum())


@pytest.mark.parametrize("yaw", [-30, 30])
def test_what_lies_at_the_rim_of_skin_is_not_drawn_over_the_cheek(model, raster, warp, yaw):
    scene = Scene(model, raster)
    calm = scene.sheet(model)
    scene.picture[rim(scene, 6, 10)] = DARK  # a few pixels that a turn makes many
    with_it, without = both(scene, model, warp, yaw, calm)
    cheek = slice(int(0.55 * REGION.height), int(0.85 * REGION.height))
    assert count(without[cheek], DARK) > 300
    assert count(with_it[cheek], DARK) < 0.6 * count(without[cheek], DARK)


def test_both_parts_together_cover_as_much_as_one_piece(model, raster, warp):
    scene = Scene(model, raster)
    calm = scene.sheet(model)
    nothing = replace(calm, opacity=np.zeros_like(calm.opacity))
    with_it, without = both(scene, model, warp, 30, nothing)
    inside = np.abs(without.astype(int) - SKIN).max(axis=-1) < 8
    off = np.abs(with_it.astype(int) - without).max(axis=-1)
    assert inside.sum() > 20000
    assert (off[inside] > 12).mean() < 0.01


def left_of_the_rim(scene, calm, yaw, **of_depth):
    """Return how opaque the seen nodes at the outline of a head are, those of its turned side."""
    mesh = build_mesh(replace(scene.depth, **of_depth), scene.matte, scene.head.camera[0, 0])
    given = scene.matte, scene.sight, scene.head, scene.motion(yaw)
    better = mended(mesh, calm, *given)
    seen = better.sheet("near").opacity + better.sheet("worn").opacity
    stretch = stretches_of(mesh.sheet("near"), mesh.depth.grid, given[-1], scene.head.camera)
    outline = (scene.matte > 0.5) & (cv2.erode(scene.matte, np.ones((3, 3))) < 0.4)
    low = np.arange(len(seen))[:, None] > 0.6 * len(seen)  # below glasses and temples
    return seen[outline & low & (stretch[..., 0] > 3)]


def test_where_drawn_out_skin_meets_the_room_it_leaves_the_outline_to_hidden_skin(model, raster):
    scene = Scene(model, raster)
    calm = scene.sheet(model)
    bare = left_of_the_rim(scene, calm, 30)
    assert len(bare) > 5
    assert np.median(bare) < 0.3
    ears = np.ones_like(scene.matte)
    assert left_of_the_rim(scene, calm, 30, ears=ears).min() > 0.9


def test_rings_hang_so_far_below_ears(model, raster):
    ears = np.zeros((30, 30), np.float32)
    ears[10, 15] = 1
    hung = _with_rings(ears, between_mm=5.0)
    assert hung[10:15, 15].min() == 1
    assert hung[9, 15] == hung[15, 15] == 0


def test_hair_is_not_taken_for_skin(model, raster):
    scene = Scene(model, raster)
    calm = scene.sheet(model)
    labels = np.zeros((9, 256, 256), np.float32)
    labels[HAIR] = 1
    hair = Sight(scene.sight.square, labels[HAIR], labels)
    plain = build_mesh(scene.depth, scene.matte, scene.head.camera[0, 0])
    given = plain, calm, scene.matte
    motion = scene.motion(30)
    assert len(mended(*given, scene.sight, scene.head, motion).sheet("worn").triangles) > 100
    assert len(mended(*given, hair, scene.head, motion).sheet("worn").triangles) == 0


def test_a_bright_line_around_a_head_is_not_drawn_out(model, raster, warp):
    scene = Scene(model, raster, label=FACE)
    scene.cover = cv2.GaussianBlur(scene.cover, (0, 0), 3.0)
    scene.picture[(scene.cover > 0.05) & (scene.cover < 0.8)] = WHITE
    with_it, without = both(scene, model, warp, 30)
    assert count(without, WHITE) > 400
    assert count(with_it, WHITE) < 0.8 * count(without, WHITE)
    at_rest, plain = both(scene, model, warp, 0)
    np.testing.assert_array_equal(at_rest, plain)


def test_grain_is_as_strong_as_that_of_the_seen_skin(model, raster):
    scene = Scene(model, raster)
    smooth = scene.sheet(model).grain
    noise = np.random.default_rng(3).normal(0, 6, (*scene.picture.shape[:2], 1))
    scene.picture = np.uint8(np.clip(scene.picture + noise, 0, 255))
    rough = scene.sheet(model).grain
    assert smooth < 1 / 255
    assert 0.5 * 6 / 255 < rough < 1.1 * 6 / 255


def test_grain_goes_with_the_head_and_is_drawn(model, raster, warp):
    scene = Scene(model, raster)
    plain = scene.sheet(model)
    plain_mesh = build_mesh(scene.depth, scene.matte, scene.head.camera[0, 0])
    rows = []
    for grain in (0.0, 0.02):
        alone = replace(plain_mesh, sheets=(replace(plain, grain=grain, opacity=plain.opacity),))
        rows.append(drawn(scene, warp, alone, 30).astype(float))
    off = (rows[1] - rows[0]).mean(axis=-1)
    skin = np.abs(rows[0] - SKIN).max(axis=-1) < 12
    assert 0.5 * 0.02 * 255 < off[skin].std() < 1.5 * 0.02 * 255
    assert abs(off[skin].mean()) < 1


def test_skin_goes_on_where_an_ear_stands(model):
    without = model.triangles_of(3)
    ear = np.unique(without)
    root = model.vertices[ear[(model.labels[ear] != 3) & (model.vertices[ear, 1] > 50)]]
    under = Underlay(model, 110.0)
    middle = root[root[:, 0] > 0][:, 1:].mean(axis=0)
    corners = model.vertices[under.vertices][under.triangles]
    right = corners[(corners[..., 0] > 40).all(axis=1)][..., 1:]
    assert sum(_holds(triangle, middle) for triangle in right) >= 1


def _holds(triangle, point):
    return (
        cv2.pointPolygonTest(triangle.astype(np.float32)[:, None], tuple(point.tolist()), False)
        >= 0
    )


def test_the_line_of_shade_along_a_chin_is_not_drawn_out_to_a_beard(model, raster, warp):
    scene = Scene(model, raster)
    calm = scene.sheet(model)
    points = model.points478(scene.head.identity, scene.head.expression)
    chin = transform_points(scene.head.camera_from_head, points[CHIN])
    row = round(project(chin, scene.head.camera)[1]) - REGION.y0
    scene.picture[row + 2 : row + 8][scene.cover[row + 2 : row + 8] > 0.5] = DARK
    up = axis_angle_from_rotation(rotation_from_angles(0, 20, 0))
    motion = HeadMotion(scene.pivot, up, np.zeros(3))
    plain = build_mesh(scene.depth, scene.matte, scene.head.camera[0, 0])
    given = scene.matte, scene.sight, scene.head, motion
    shown = []
    for mesh in (plain, mended(plain, calm, *given)):
        plate, matte = np.full_like(scene.picture, ROOM), np.uint8(255 * scene.cover)
        camera = scene.head.camera
        shown.append(warp.draw(scene.picture, matte, plate, REGION, mesh, motion, camera))
    before, after = (count(picture, DARK) for picture in shown)
    assert before > 1.2 * count(scene.picture, DARK)
    assert after < 0.6 * before


def test_the_room_between_strands_does_not_dye_drawn_out_hair(model, raster, warp):
    scene = Scene(model, raster, label=HAIR)
    brown = np.array((90, 60, 40))
    scene.picture[scene.cover > 0.5] = brown
    mixed = 0.6 * brown + 0.4 * np.array(ROOM)  # where the matte sees nothing but hair
    scene.picture[rim(scene, 1, 7)] = mixed
    with_it, without = both(scene, model, warp, 30)
    assert count(without, mixed, 14) > 500
    assert count(with_it, mixed, 14) < 0.6 * count(without, mixed, 14)
    at_rest, plain = both(scene, model, warp, 0)
    np.testing.assert_array_equal(at_rest, plain)


def test_strands_do_not_bend_along_the_way_to_cleaner_colours(model, raster, warp):
    scene = Scene(model, raster, label=HAIR)
    rows = np.arange(REGION.height)[:, None, None]
    scene.picture[:] = np.where(rows % 6 < 3, (60, 40, 30), (150, 110, 80))  # strands across
    with_it, without = both(scene, model, warp, 30)
    changed = np.abs(with_it.astype(int) - without).max(axis=-1) > 6
    assert changed.sum() > 1000
    before, after = (part.mean(axis=-1)[changed] for part in (without, with_it))
    assert np.corrcoef(before, after)[0, 1] > 0.5  # dark ones are dark still


def test_lit_strands_stay_lit_where_hair_is_drawn_out(model, raster, warp):
    scene = Scene(model, raster, label=HAIR)
    rows = np.arange(REGION.height)[:, None, None]
    scene.picture[:] = np.where(rows % 8 < 2, (140, 105, 70), (90, 65, 45))  # a few light ones
    with_it, without = both(scene, model, warp, 30)
    changed = np.abs(with_it.astype(int) - without).max(axis=-1) > 6
    lit = changed & (without.mean(axis=-1) > 95)
    dark = changed & (without.mean(axis=-1) < 70)
    assert lit.sum() > 300
    assert with_it[lit].mean() > 1.4 * with_it[dark].mean()


def test_single_hairs_that_stand_off_do_not_become_scribbles(model, raster):
    scene = Scene(model, raster)
    calm = scene.sheet(model)
    band = cv2.dilate(scene.matte, np.ones((5, 5), np.uint8)) - scene.matte
    scene.matte += 0.15 * band
    far_off = scene.depth.front_mm + 80 * np.float32(cv2.blur(band, (3, 3)))
    scene.depth = replace(scene.depth, front_mm=far_off)
    scene.sight.labels[:] = 0
    scene.sight.labels[HAIR] = 1
    free = scene.depth.turn > 0.9  # the neck and its sides stay behind
    given = build_mesh(scene.depth, scene.matte, scene.head.camera[0, 0]), calm, scene.matte
    left = {
        yaw: mended(*given, scene.sight, scene.head, scene.motion(yaw)).sheet("near").opacity
        for yaw in (0, 4, 30)
    }
    strands, whole = (band > 0) & free, (cv2.erode(scene.matte, np.ones((7, 7))) > 0.9) & free
    assert (left[30][strands] < 0.1).sum() > 20  # on the side that comes nearer
    assert left[30][whole].min() > 0.99
    assert left[4][strands].min() > 0.9 and left[0].min() > 0.99
