"""What is drawn of a portrait: hidden skin, steep skin, its grain, and what the face covers."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from stream.frame import Head
from stream.geometry import pinhole_camera, rigid_transform
from stream.hair_depth import HeadDepth
from stream.mesh import Sheet, build_mesh
from stream.puppet.grain import grained_background, skin_grain
from stream.puppet.portrait import _neck_under_clothes, _with_hidden_skin
from stream.puppet.sheets import drawn_sheets, without_covered
from stream.region import NodeGrid, Region
from stream.sight import HAIR, NECK, Sight
from tests.stream.far_surfaces import far_surface

CAMERA = pinhole_camera(200, 200)
FOCAL = float(CAMERA[0, 0])


def half_a_ball(nodes=41):
    """A head that is flat in its middle and falls off to its right side."""
    grid = NodeGrid.over(Region(0, 0, 200, 200), nodes)
    shape = (grid.rows, grid.columns)
    deep_px = 1.5 * np.maximum(np.linspace(0, 200, grid.columns) - 140, 0)
    front = np.tile(600 + deep_px * 600 / FOCAL, (grid.rows, 1)).astype(np.float32)
    ones = np.ones(shape, np.float32)
    far = far_surface(grid, front + 100, ones, 0 * ones, CAMERA)
    depth = HeadDepth(grid, front, ones, ones, far)
    return build_mesh(depth, ones, FOCAL)


def test_steep_skin_is_drawn_apart_and_nothing_twice():
    mesh = half_a_ball()
    skin = np.ones(mesh.depth.front_mm.shape, np.float32)
    drawn = {one.program: one.sheet for one in drawn_sheets(mesh, skin, FOCAL)}
    before = mesh.sheet("solid").triangles
    parts = [drawn["solid"].triangles, drawn["slope"].triangles]
    assert sorted(map(tuple, np.concatenate(parts).tolist())) == sorted(map(tuple, before.tolist()))
    x = mesh.depth.grid.positions_px.reshape(-1, 2)[:, 0]
    assert x[parts[0]].max() < 150 and x[parts[1]].min() > 130
    nobody = drawn_sheets(mesh, 0 * skin, FOCAL)  # hair may be drawn out, it has strands
    assert "slope" not in {one.program for one in nobody}


def test_places_along_the_surface_grow_with_its_depth():
    mesh = half_a_ball()
    skin = np.ones(mesh.depth.front_mm.shape, np.float32)
    drawn = {one.program: one.sheet for one in drawn_sheets(mesh, skin, FOCAL)}
    along = drawn["slope"].gain[20, :, 1]
    step = mesh.depth.grid.step_px[0]
    assert np.diff(along)[5:20] == pytest.approx(step, rel=1e-3)
    assert np.diff(along)[32:].min() > 1.2 * step


def test_what_the_face_covers_is_left_out_but_not_what_shows_through_it():
    mesh = half_a_ball()
    corners = np.array(
        [[20.0, 20], [180, 20], [180, 180], [20, 180], [90, 90], [110, 90], [100, 110]]
    )
    square = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6]])
    opaque = np.array([True, True, False])
    solid = without_covered(mesh, corners, square, opaque).sheet("solid")
    places = mesh.depth.grid.positions_px.reshape(-1, 2)
    middles = places[solid.triangles].mean(axis=1)
    before = places[mesh.sheet("solid").triangles].mean(axis=1)

    def inside(points, low, high):
        return ((points > low) & (points < high)).all(axis=1)

    assert not inside(middles, 40, 80).any()
    assert inside(middles, 92, 108).sum() == inside(before, 92, 108).sum() > 0
    outside = ~inside(before, 20, 180)
    assert (~inside(middles, 20, 180)).sum() == outside.sum()


def hidden(places):
    places = np.asarray(places, np.float32)[None]
    ones = np.ones((1, places.shape[1]), np.float32)
    triangles, colours = np.array([[0, 1, 2]], np.int32), np.ones((*ones.shape, 3), np.float32)
    return Sheet("under", places, 640 * ones, ones, places, ones, 40 * ones, triangles, colours)


def test_hidden_skin_lies_behind_all_and_not_under_hair():
    mesh = half_a_ball()
    pose = rigid_transform(np.eye(3), np.array([0.0, 0.0, 650.0]))
    head = Head(1, np.zeros(80, np.float32), np.zeros(52, np.float32), pose, CAMERA)
    labels = np.zeros((9, 256, 256), np.float32)
    labels[HAIR, :, :128] = 1
    sight = Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32), labels)
    under = hidden([[40, 100], [160, 100], [160, 140]])
    matte = np.ones(mesh.depth.front_mm.shape, np.float32)
    first = _with_hidden_skin(mesh, under, sight, head, matte).sheets[0]
    assert first.kind == "under"
    assert first.opacity[0].tolist() == [0, 1, 1]
    assert (first.yield_mm > under.yield_mm + 50).all()
    assert first.colours_px[0, 1, 0] > 160 + 0.9 * 640 * FOCAL / 650  # along a side that turns away
    blind = replace(sight, labels=None)
    assert (_with_hidden_skin(mesh, under, blind, head, matte).sheets[0].opacity == 1).all()
    assert len(first.triangles) == 1
    matte[18:24, 18:24] = 0  # nothing spans the background that the photo shows
    assert not len(_with_hidden_skin(mesh, under, sight, head, matte).sheets[0].triangles)


def test_grain_is_that_of_the_better_seen_cheek_and_goes_on_in_itself():
    rng = np.random.default_rng(3)
    picture = np.full((200, 200, 3), (190, 140, 120), np.uint8)
    noise = rng.normal(0, 6, (200, 100, 1))
    picture[:, 100:] = np.clip(picture[:, 100:] + noise, 0, 255).astype(np.uint8)
    points = np.full((468, 2), 100.0)
    points[33], points[263], points[1] = (70, 80), (150, 80), (95, 100)
    points[[50, 205]], points[[280, 425]] = (75, 110), (140, 110)
    tile = skin_grain(picture, points)
    assert tile.shape[0] == tile.shape[1] and tile.shape[0] % 2 == 0
    assert 3 < tile[..., :3].astype(float).std() < 7
    assert tile[..., :3].mean() == pytest.approx(128, abs=0.5)
    assert (tile[0] == tile[-1]).all() and (tile[:, 0] == tile[:, -1]).all()
    points[[50, 205]], points[[280, 425]] = (50, 110), (110, 110)
    assert skin_grain(picture, points)[..., :3].astype(float).std() < 1
    form = cv2.resize(np.array([[90, 200]], np.uint8), (200, 200))
    shaded = np.repeat(form[..., None], 3, axis=2)
    assert skin_grain(shaded, points)[..., :3].astype(float).std() < 1  # form is no grain


def test_a_guessed_wall_is_as_rough_as_what_is_seen_of_it():
    rng = np.random.default_rng(3)
    wall = np.clip(rng.normal(150, 6, (120, 160, 3)), 0, 255).round().astype(np.uint8)
    wall[20:40, :30] = 20  # a lamp, whose edges are no grain
    picture, plate = wall.copy(), wall.copy()
    picture[30:, 50:110], plate[30:, 50:110] = (90, 60, 50), 150
    grained = grained_background(picture, plate)
    inside, outside = np.s_[60:110, 54:106], np.s_[60:110, 112:158]
    assert (grained[:, :46] == wall[:, :46]).all() and (grained[:, 114:] == wall[:, 114:]).all()
    assert grained[inside].std() == pytest.approx(wall[outside].std(), rel=0.35)
    assert np.abs(grained[inside].astype(int) - 150).max() < 40
    assert (grained_background(plate, plate) == plate).all()


def test_what_a_bowed_head_meets_clothes_with_stays_behind_them():
    mesh = half_a_ball()
    shape = mesh.depth.front_mm.shape
    worn, labels = np.zeros(shape, np.float32), np.zeros((9, 64, 64), np.float32)
    worn[35:] = 1
    labels[HAIR, :, 56:], labels[NECK, 30:40, 20:30] = 1, 1
    sight = Sight(np.zeros((64, 64, 3), np.uint8), np.ones((64, 64), np.float32), labels)
    for sheet in _neck_under_clothes(mesh, worn, sight, node_mm=10.0).sheets:
        back = sheet.yield_mm - mesh.sheet(sheet.kind).yield_mm
        back = back.reshape(shape) - (60 if sheet.kind == "gap" else 0)
        assert back[38, 10] == back[33, 10] == back[22, 16] == 90  # clothes, near them, the neck
        assert back[10, 10] == back[33, 39] == 0  # the head, and hair, which hangs before them
