"""A turned head parts from a collar that touches its jaw."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from stream.geometry import axis_angle_from_rotation, rotation_from_angles
from stream.hair_depth import HairDepth
from stream.mesh import build_mesh
from stream.parting import Collar, parted
from stream.pose import HeadMotion
from stream.sight import BACKGROUND, BODY, FACE, NECK, Sight
from stream.symmetry import with_mirror_half
from stream.underlay import Underlay
from stream.worn import mended
from tests.stream.test_underlay import GRID, REGION, ROOM, SKIN, Scene

COLLAR = np.array((40, 60, 220))
NODE_MM = 3.5
EDGE = 0.8  # of the region's height: the upper end of the collar


class Collared(Scene):
    """The same head in a blue collar up to its jaw."""

    def __init__(self, model, raster, label_edge=EDGE):
        super().__init__(model, raster)
        person = self.cover > 0.5
        low = np.arange(REGION.height)[:, None] / REGION.height > EDGE
        self.picture[person & low] = COLLAR
        labels = np.zeros((9, 256, 256), np.float32)
        labels[BACKGROUND] = 1 - cv2.resize(self.cover, (256, 256))
        row = np.arange(256)[:, None] / 256
        labels[FACE] = (1 - labels[BACKGROUND]) * (row <= 0.7)
        labels[NECK] = (1 - labels[BACKGROUND]) * ((row > 0.7) & (row <= label_edge))
        labels[BODY] = (1 - labels[BACKGROUND]) * (row > label_edge)
        square = cv2.resize(self.picture, (256, 256), interpolation=cv2.INTER_AREA)
        self.sight = Sight(square, 1 - labels[BACKGROUND], labels)
        self.depth = HairDepth(model, raster).estimate(self.head, self.matte, GRID, self.sight)

    def turned(self, model, warp, yaw, pitch=0.0, under=True):
        turn = axis_angle_from_rotation(rotation_from_angles(yaw, pitch, 0))
        motion = HeadMotion(self.pivot, turn, np.zeros(3))
        mesh = build_mesh(self.depth, self.matte, self.head.camera[0, 0])
        mesh = with_mirror_half(mesh, self.picture, self.matte, self.head, motion)
        sheet = self.sheet(model) if under else None
        mesh = mended(mesh, sheet, self.matte, self.sight, self.head, motion)
        plate = np.full_like(self.picture, ROOM)
        matte = np.uint8(255 * self.cover)
        return warp.draw(self.picture, matte, plate, REGION, mesh, motion, self.head.camera)


def cloth(picture):
    return np.abs(picture.astype(int) - COLLAR).max(axis=-1) < 30


@pytest.mark.parametrize("yaw", [-10, 10])
def test_a_collar_is_not_drawn_out_after_the_jaw(model, raster, warp, yaw):
    scene = Collared(model, raster)
    before = cloth(scene.picture)
    after = cloth(scene.turned(model, warp, yaw, 20))
    joined = cloth(scene.turned(model, warp, yaw, 20, under=False))  # nothing known to part it
    above = np.arange(REGION.height) < (EDGE - 0.015) * REGION.height
    assert not before[above].any()
    assert joined[above].sum() > 200
    assert after[above].sum() < 0.1 * joined[above].sum()
    assert (before & ~after).sum() < 0.1 * before.sum()  # and stays where it was


def test_at_rest_both_parts_make_up_the_frame(model, raster, warp):
    scene = Collared(model, raster)
    shown = scene.turned(model, warp, 0)
    off = np.abs(shown.astype(int) - scene.picture).max(axis=-1)
    assert (off > 24).mean() < 0.002


def test_the_line_is_where_colours_part_not_where_labels_do(model, raster, warp):
    scene = Collared(model, raster, label_edge=EDGE + 0.006)  # a strip of collar is taken for neck
    after = scene.turned(model, warp, 0, 20)
    rows = np.arange(REGION.height) / REGION.height
    carried = cloth(after)[rows < EDGE - 0.03].sum()
    assert carried < 100


def test_a_head_without_cloth_stays_in_one_piece(model, raster):
    scene = Scene(model, raster)
    mesh = build_mesh(scene.depth, scene.matte, scene.head.camera[0, 0])
    ones = np.ones_like(scene.matte)
    assert parted(mesh, ones, ones, ones, NODE_MM) is None
    under = Underlay(model, 110.0)
    sheet = under.sheet(scene.picture, scene.head, scene.depth, scene.matte, scene.sight)
    better = mended(mesh, sheet, scene.matte, scene.sight, scene.head, scene.motion(25))
    assert not any(part.kind == "cut" for part in better.sheets)


def test_cloth_is_not_mirrored(model, raster):
    scene = Collared(model, raster)
    mesh = build_mesh(scene.depth, scene.matte, scene.head.camera[0, 0])
    ones = np.ones_like(scene.matte)
    near = mesh.sheet("near")
    mirrored = replace(mesh, sheets=(*mesh.sheets, replace(near, kind="mirror", opacity=ones)))
    parts = parted(mirrored, ones, ones, ones, NODE_MM)
    assert parts is not None
    opacity = parts.rest.sheet("mirror").opacity
    inside = cv2.erode(scene.matte, np.ones((5, 5), np.uint8)) > 0.99
    rows = np.arange(GRID.rows)[:, None] / (GRID.rows - 1)
    assert opacity[inside & (rows > EDGE + 0.05)].max() < 0.05
    assert opacity[inside & (rows < EDGE - 0.1)].min() > 0.95


def test_bare_shoulders_that_are_taken_for_cloth_do_not_part(model, raster):
    scene = Collared(model, raster)
    scene.picture[cloth(scene.picture)] = np.array(SKIN) * 0.7  # skin in the shade
    square = cv2.resize(scene.picture, (256, 256), interpolation=cv2.INTER_AREA)
    scene.sight = Sight(square, scene.sight.person, scene.sight.labels)
    ones = np.ones_like(scene.matte)
    parts = []
    for sight in (scene.sight, Collared(model, raster).sight):
        scene.depth = HairDepth(model, raster).estimate(scene.head, scene.matte, GRID, sight)
        mesh = build_mesh(scene.depth, scene.matte, scene.head.camera[0, 0])
        parts.append(parted(mesh, ones, ones, ones, NODE_MM))
    bare, clad = parts
    assert bare is None
    assert clad is not None


@pytest.mark.parametrize(("left", "apart"), [(1.0, True), (0.2, False)])
def test_cloth_far_below_the_jaw_stays_in_one_piece_with_the_neck(model, raster, left, apart):
    scene = Collared(model, raster)
    depth = replace(scene.depth, turn=left * scene.depth.turn)  # as where little motion is left
    mesh = build_mesh(depth, scene.matte, scene.head.camera[0, 0])
    ones = np.ones_like(scene.matte)
    assert (parted(mesh, ones, ones, ones, NODE_MM) is not None) == apart


def test_a_collar_does_not_come_and_go_with_each_frame():
    collar = Collar()
    assert [collar.look(left, 100.0) for left in (0.4, 0.6, 0.4, 0.44, 0.2, 0.4)] == [
        False, True, True, True, False, False,
    ]  # fmt: skip
    assert [collar.look(1.0, long_mm) for long_mm in (60.0, 80.0, 60.0, 40.0, 60.0)] == [
        False, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(("aside", "apart"), [(0.5, True), (0.06, False)])
def test_a_scrap_of_cloth_is_no_collar(model, raster, aside, apart):
    scene = Collared(model, raster)
    off = np.abs(np.arange(GRID.columns) / (GRID.columns - 1) - 0.5)
    scrap = np.broadcast_to(off < aside, scene.matte.shape).astype(np.float32)
    mesh = build_mesh(scene.depth, scene.matte, scene.head.camera[0, 0])
    ones = np.ones_like(scene.matte)
    assert (parted(mesh, scrap, ones, ones, NODE_MM) is not None) == apart


def test_a_hem_has_the_colours_of_cloth(model, raster):
    scene = Collared(model, raster)
    mesh = build_mesh(scene.depth, scene.matte, scene.head.camera[0, 0])
    ones = np.ones_like(scene.matte)
    parts = parted(mesh, ones, ones, ones, NODE_MM)
    assert parts is not None
    clothes, head = parts.above
    step = GRID.step_px[1]
    below_px = clothes.places_px[..., 1] - (REGION.y0 + EDGE * REGION.height)
    within = cv2.erode(scene.matte, np.ones((11, 11), np.uint8)) > 0.99
    down = clothes.gain[..., 2]
    assert down[within & (np.abs(below_px) < step)].min() > 0.5 * step
    assert np.abs(down[within & (below_px > 5 * step)]).max() < 0.1 * step
    assert not head.gain[..., 1:].any()
