from dataclasses import replace

import numpy as np
import pytest

from stream.composite import matte_at_frame, moving_region, paste
from stream.frame import Head
from stream.geometry import pinhole_camera, rigid_transform, rotation_from_angles
from stream.hair_depth import HeadDepth
from stream.mesh import build_mesh, nodes_in_head
from stream.pose import HeadMotion
from stream.region import NodeGrid, Region, resample_to_nodes
from stream.symmetry import hidden_half_share, mirrored_nodes, moved_nodes, with_mirror_half
from tests.stream.far_surfaces import far_surface

CAMERA = pinhole_camera(200, 200)
GRID = NodeGrid.over(Region(40, 40, 160, 160), 25)


def mock_depth(front_mm=None, turn=1.0):
    shape = (GRID.rows, GRID.columns)
    front = np.full(shape, 600, np.float32) if front_mm is None else front_mm
    ones = np.ones(shape, np.float32)
    far = far_surface(GRID, front + 100, turn * ones, ones, CAMERA)
    return HeadDepth(GRID, front, turn * ones, ones, far)


def mock_matte(value=1.0):
    return np.full((GRID.rows, GRID.columns), value, np.float32)


def triangles_of(mesh):
    return {sheet.kind: len(sheet.triangles) for sheet in mesh.sheets}


PICTURE = np.full((120, 120, 3), 128, np.uint8)
CELLS = (GRID.rows - 1) * (GRID.columns - 1)


def test_every_cell_is_two_triangles_of_the_near_side():
    count = triangles_of(build_mesh(mock_depth(), mock_matte(), CAMERA[0, 0]))
    assert count["solid"] + count["near"] == 2 * CELLS
    assert count["far"] == 2 * CELLS
    assert count["gap"] == 0


def test_nothing_is_meshed_outside_the_matte_or_where_nothing_moves():
    empty = build_mesh(mock_depth(), mock_matte(0.0), CAMERA[0, 0])
    still = build_mesh(mock_depth(turn=0.0), mock_matte(), CAMERA[0, 0])
    assert triangles_of(empty) == {"solid": 0, "far": 2 * CELLS, "gap": 0, "near": 0}
    assert sum(triangles_of(still).values()) == 0
    assert still.resting.all()
    assert not empty.resting.any()


def test_cells_over_a_depth_step_become_gaps_whose_last_node_is_the_farthest():
    front = np.full((GRID.rows, GRID.columns), 600, np.float32)
    front[:, 12:] = 800
    mesh = build_mesh(mock_depth(front), mock_matte(), CAMERA[0, 0])
    gaps = mesh.sheet("gap").triangles
    assert len(gaps) == 2 * (GRID.rows - 1)
    assert (front.ravel()[gaps[:, 2]] == 800).all()


def test_edge_cells_are_blended_and_inner_cells_solid():
    matte = mock_matte()
    matte[:, :5] = 0.5
    count = triangles_of(build_mesh(mock_depth(), matte, CAMERA[0, 0]))
    assert count["near"] > 0
    assert count["solid"] > count["near"]


def motion_of(yaw_radians=0.4, shift=(0.0, 0.0, 0.0)):
    pivot = np.array([0.0, 0.0, 640.0])
    return HeadMotion(pivot, np.array([0.0, yaw_radians, 0.0]), np.array(shift))


def test_moved_nodes_agree_with_the_exact_transforms():
    share = np.linspace(0, 1, GRID.rows * GRID.columns).reshape(GRID.rows, GRID.columns)
    motion = motion_of(shift=(10, -5, 20.0))
    got = moved_nodes(GRID.positions_px, mock_depth().front_mm, share, motion, CAMERA)
    rays = np.dstack([(GRID.positions_px - 100) / CAMERA[0, 0], np.ones_like(share)])
    exact = motion.blended(share, share)
    moved = np.einsum("abij,abj->abi", exact[..., :3, :3], rays * 600) + exact[..., :3, 3]
    want = CAMERA[0, 0] * moved[..., :2] / moved[..., 2:] + 100
    np.testing.assert_allclose(got, want, atol=0.02)


def test_moving_region_holds_source_and_target():
    mesh = build_mesh(mock_depth(), mock_matte(), CAMERA[0, 0])
    still = moving_region(mesh, motion_of(0.0), CAMERA)
    moved = moving_region(mesh, motion_of(0.0, (60.0, 0, 0)), CAMERA)
    assert still.x0 <= 40
    assert still.x1 >= 160
    assert moved.x0 <= 40
    assert moved.x1 >= 160 + 60 * CAMERA[0, 0] / 600 - 1


def mock_head(yaw):
    pose = rigid_transform(rotation_from_angles(yaw, 0, 0), np.array([0.0, 0.0, 640.0]))
    return Head(0, np.zeros(3, "f4"), np.zeros(52, "f4"), pose, CAMERA)


@pytest.mark.parametrize(
    ("yaw", "turn", "revealed"),
    [(25, 0.4, True), (25, -0.4, False), (-25, -0.4, True), (-25, 0.4, False), (0, 0.4, False)],
)
def test_only_a_turn_towards_the_hidden_side_reveals_it(yaw, turn, revealed):
    # A positive angle about y takes the nose, at −z, to the left of the picture.
    assert (hidden_half_share(mock_head(yaw), motion_of(turn)) > 0.5) == revealed


def test_mirroring_twice_gives_the_nodes_back():
    head = mock_head(20)
    near = build_mesh(mock_depth(), mock_matte(), CAMERA[0, 0]).sheet("near")
    places, depth_mm = mirrored_nodes(near, head)
    again, again_mm = mirrored_nodes(replace(near, places_px=places, depth_mm=depth_mm), head)
    np.testing.assert_allclose(again, near.places_px, atol=0.01)
    np.testing.assert_allclose(again_mm, near.depth_mm, atol=0.01)


def test_a_mirrored_node_that_would_have_been_seen_is_carved_away():
    head, motion = mock_head(25), motion_of(0.4)
    mesh = build_mesh(mock_depth(), mock_matte(), CAMERA[0, 0])
    hidden = with_mirror_half(mesh, PICTURE, mock_matte(), head, motion).sheet("mirror").opacity
    places = with_mirror_half(mesh, PICTURE, mock_matte(), head, motion).sheet("mirror").places_px
    left_of_nose = np.median(places[hidden > 0.9][:, 0]) < 100
    matte = mock_matte()  # the picture shows background where the mirror half would be
    matte[:, : 10 if left_of_nose else None] = 0.0
    matte[:, : 0 if left_of_nose else 15] = 1.0
    carved = with_mirror_half(mesh, PICTURE, matte, head, motion).sheet("mirror").opacity
    assert carved.sum() < 0.8 * hidden.sum()


def test_what_stands_far_off_the_skull_is_not_mirrored():
    mesh = build_mesh(mock_depth(), mock_matte(), CAMERA[0, 0])
    head = mock_head(25)
    mirror = with_mirror_half(mesh, PICTURE, mock_matte(), head, motion_of(0.4)).sheet("mirror")
    x_mm, y_mm, _ = nodes_in_head(mesh.sheet("near"), head)
    bun = y_mm < -110
    assert bun.any()
    assert mirror.opacity[bun].max() == 0
    assert mirror.opacity[(y_mm > -60) & (np.abs(x_mm) < 60)].max() > 0.9


def test_mesh_is_left_alone_when_nothing_hidden_comes_into_sight():
    mesh = build_mesh(mock_depth(), mock_matte(), CAMERA[0, 0])
    assert with_mirror_half(mesh, PICTURE, mock_matte(), mock_head(0), motion_of(0.4)) is mesh


def test_matte_at_frame_and_at_nodes_agree_on_a_ramp():
    region = Region(40, 40, 160, 160)
    x = (np.arange(60) + 0.5) / 60
    matte = np.tile(x.astype(np.float32), (60, 1))
    at_frame = matte_at_frame(matte, region) / 255
    assert at_frame.shape == (120, 120)
    want = (np.arange(120) + 0.5) / 120
    np.testing.assert_allclose(at_frame[10], want, atol=0.004)
    at_nodes = resample_to_nodes(matte, GRID)
    np.testing.assert_allclose(at_nodes[5, 1:-1], np.linspace(0, 1, 25)[1:-1], atol=0.002)


def test_paste_writes_only_the_region():
    pixels = np.zeros((50, 60, 3), np.uint8)
    paste(pixels, np.full((10, 20, 3), 9, np.uint8), Region(5, 6, 25, 16))
    assert pixels.sum() == 9 * 10 * 20 * 3
    assert (pixels[6:16, 5:25] == 9).all()


def test_regions_clip_intersect_and_unite():
    a, b = Region(0, 0, 10, 10), Region(5, -4, 20, 6)
    assert a.intersection(b) == Region(5, 0, 10, 6)
    assert a.union(b) == Region(0, -4, 20, 10)
    assert b.clipped(12, 12) == Region(5, 0, 12, 6)
    assert a.intersection(Region(30, 30, 40, 40)).is_empty


def test_mirrored_colours_take_the_light_of_their_new_side():
    mesh = build_mesh(mock_depth(), mock_matte(), CAMERA[0, 0])
    lit = np.full((120, 120, 3), 200, np.uint8)
    lit[:, :60] = 100  # one half in shadow
    mirror = with_mirror_half(mesh, lit, mock_matte(), mock_head(25), motion_of(0.4))
    gain, places = mirror.sheet("mirror").gain, mirror.sheet("mirror").places_px
    into_shadow = (places[..., 0] < 90) & (GRID.positions_px[..., 0] > 110)
    into_light = (places[..., 0] > 110) & (GRID.positions_px[..., 0] < 90)
    assert gain[into_shadow].mean() < gain[into_light].mean()


def test_a_far_side_that_fades_yields_to_what_lies_behind_it():
    depth = mock_depth()
    opacity = np.ones_like(depth.far.opacity)
    opacity[:, opacity.size // 2 :] = 0.5
    faded = replace(depth, far=replace(depth.far, opacity=opacity))
    plain, fading = (
        build_mesh(one, mock_matte(), CAMERA[0, 0]).sheet("far").yield_mm for one in (depth, faded)
    )
    back = fading - plain
    assert (back[opacity == 1] == 0).all()
    assert (back[opacity < 1] > 60).all()
