"""Skin that a frame hides: where it is drawn, in which colours, and where not."""

import cv2
import numpy as np
import pytest

from stream.geometry import (
    axis_angle_from_rotation,
    project,
    rotation_from_angles,
    transform_points,
)
from stream.hair_depth import HairDepth
from stream.mesh import build_mesh
from stream.pose import HeadMotion
from stream.region import NodeGrid, Region
from stream.sight import BODY, FACE, HAIR, NECK, Sight
from stream.triangles import edges_of
from stream.underlay import Underlay
from stream.worn import mended
from tests.stream.later import Later
from tests.stream.test_hair_depth import mock_head

REGION = Region(120, 20, 520, 480)
GRID = NodeGrid.over(REGION, 96)
SKIN, BEARD, ROOM = (200, 150, 120), (60, 45, 40), (20, 160, 40)


class Scene:
    """A bald head of one colour before a room of another."""

    def __init__(self, model, raster, label=FACE):
        self.head = mock_head(model)
        hair = HairDepth(model, raster)
        bare = raster.front(
            model.vertices + self.head.camera_from_head[:3, 3].astype(np.float32),
            self.head.camera,
            GRID,
        )
        self.matte = (bare > 0).astype(np.float32)
        labels = np.zeros((9, 256, 256), np.float32)
        labels[label] = 1
        self.sight = Sight(np.zeros((256, 256, 3), np.uint8), labels[0], labels)
        self.depth = hair.estimate(self.head, self.matte, GRID)
        self.cover = cv2.resize(self.matte, (REGION.width, REGION.height))
        self.picture = np.uint8(
            self.cover[..., None] * SKIN + (1 - self.cover[..., None]) * np.array(ROOM)
        )
        pivot = self.head.camera_from_head[:3, :3] @ model.neck_joint
        self.pivot = pivot + self.head.camera_from_head[:3, 3]

    def motion(self, yaw):
        turn = axis_angle_from_rotation(rotation_from_angles(yaw, 0, 0))
        return HeadMotion(self.pivot, turn, np.zeros(3))

    def sheet(self, model, matte=None):
        matte = self.matte if matte is None else matte
        return Underlay(model, 110.0).sheet(self.picture, self.head, self.depth, matte, self.sight)

    def drawn(self, model, warp, yaw, *, under=True):
        motion = self.motion(yaw)
        mesh = build_mesh(self.depth, self.matte, self.head.camera[0, 0])
        if under:
            sheet = self.sheet(model)
            mesh = mended(mesh, sheet, self.matte, self.sight, self.head, motion)
        plate = np.full_like(self.picture, ROOM)
        matte = np.uint8(255 * self.cover)
        return warp.draw(self.picture, matte, plate, REGION, mesh, motion, self.head.camera)


def skin_pixels(picture):
    return np.abs(picture.astype(int) - SKIN).max(axis=-1) < 40


def test_hidden_skin_has_the_colour_of_seen_skin(model, raster):
    sheet = Scene(model, raster).sheet(model)
    opaque = sheet.opacity[0] > 0.9
    behind = sheet.depth_mm[0] > 700  # farther than the middle of the head
    assert (opaque & behind).sum() > 50
    share = 255 * sheet.gain[0][opaque & behind] / SKIN  # light differs, hue does not
    np.testing.assert_allclose(share / share.mean(axis=1, keepdims=True), 1, atol=0.05)
    assert share.min() > 0.5 and share.max() < 1.3 and 0.75 < np.median(share) < 1.1


def steps_along(model, sheet):
    """How much brighter one end of each drawn edge is than the other."""
    a, b = sheet.gain[0].mean(axis=-1)[edges_of(sheet.triangles)].T
    return np.maximum(a, b) / np.minimum(a, b)


def test_hidden_skin_around_an_ear_is_even(model, raster):
    sheet = Scene(model, raster).sheet(model)
    assert steps_along(model, sheet).max() < 1.15


def test_a_cheek_goes_over_into_a_darker_neck(model, raster):
    scene = Scene(model, raster)
    face = model.labels[Underlay(model, 110.0).vertices] == FACE
    chin = scene.sheet(model).places_px[0, face, 1].max() - REGION.y0
    below = scene.picture[int(0.85 * chin) :]
    below[:] = below * 0.6
    sheet = scene.sheet(model)
    hidden = sheet.depth_mm[0] > 690  # about the ears and behind them
    steps = steps_along(model, sheet)[hidden[edges_of(sheet.triangles)].all(axis=1)]
    assert len(steps) > 500 and np.percentile(steps, 99) < 1.25


def test_a_beard_gives_its_own_colour(model, raster):
    scene = Scene(model, raster)
    plain = scene.sheet(model)
    face = model.labels[Underlay(model, 110.0).vertices] == FACE
    lowest = plain.places_px[0, face, 1].max() - REGION.y0
    top = int(0.75 * lowest)  # of the beard, in the region's rows
    below = scene.picture[top:]
    below[scene.cover[top:] > 0.5] = BEARD
    labels = scene.sight.labels
    share = top / REGION.height
    labels[:, int(256 * share) :] = 0
    labels[HAIR, int(256 * share) :] = 1
    bearded = scene.sheet(model)
    jaw = face & (plain.places_px[0, :, 1] > REGION.y0 + top + 40) & (plain.opacity[0] > 0.5)
    assert jaw.sum() > 20
    assert np.median(255 * plain.gain[0][jaw].mean(axis=-1)) > 110
    assert np.median(255 * bearded.gain[0][jaw].mean(axis=-1)) < 80


def test_hair_at_the_temples_is_no_beard(model, raster):
    scene = Scene(model, raster)
    underlay = Underlay(model, 110.0)
    height_mm = model.vertices[underlay.vertices, 1]
    temples = (model.labels[underlay.vertices] == FACE) & (height_mm < 70)
    plain = scene.sheet(model)
    lowest = int(plain.places_px[0, temples, 1].max() - REGION.y0) - 10  # in the region's rows
    above = scene.picture[:lowest]
    above[scene.cover[:lowest] > 0.5] = BEARD
    labels = scene.sight.labels
    labels[:, : int(256 * lowest / REGION.height)] = 0
    labels[HAIR, : int(256 * lowest / REGION.height)] = 1
    haired = scene.sheet(model)
    drawn = temples & (haired.opacity[0] > 0.5)
    assert drawn.sum() > 20
    assert 255 * haired.gain[0][drawn].mean(axis=-1).min() > 100


def test_what_the_frame_contradicts_is_left_out(model, raster):
    scene = Scene(model, raster)
    whole = scene.sheet(model)
    half = scene.matte.copy()
    half[:, : GRID.columns // 2] = 0  # the frame shows the room where half of the head would be
    part = scene.sheet(model, half)
    left = whole.places_px[0, :, 0] < REGION.x0 + 0.4 * REGION.width
    right = whole.places_px[0, :, 0] > REGION.x0 + 0.6 * REGION.width
    assert whole.opacity[0][left].max() > 0.9
    assert part.opacity[0][left].max() < whole.opacity[0][left].max()
    assert part.opacity[0][right].max() > 0.9
    shown = part.places_px[0, part.opacity[0] > 0.05, 0]
    assert shown.min() > REGION.x0 + 0.48 * REGION.width


def test_without_skin_there_is_no_sheet(model, raster):
    scene = Scene(model, raster, label=BODY)
    assert scene.sheet(model) is None
    mesh = build_mesh(scene.depth, scene.matte, scene.head.camera[0, 0])
    motion = scene.motion(20)
    plain = mended(mesh, None, scene.matte, scene.sight, scene.head, motion)
    assert [sheet.kind for sheet in plain.sheets] == [sheet.kind for sheet in mesh.sheets]


@pytest.mark.parametrize("yaw", [-30, 30])
def test_a_turned_head_stands_on_more_skin(model, raster, warp, yaw):
    scene = Scene(model, raster, label=NECK)
    with_it, without = scene.drawn(model, warp, yaw), scene.drawn(model, warp, yaw, under=False)
    added = skin_pixels(with_it) & ~skin_pixels(without)
    lost = skin_pixels(without) & ~skin_pixels(with_it)
    assert added.sum() > 200
    assert lost.sum() < 0.3 * added.sum()  # the underside of the chin lies in shade


def test_a_head_at_rest_is_the_frame(model, raster, warp):
    scene = Scene(model, raster)
    plain, with_it = scene.drawn(model, warp, 0, under=False), scene.drawn(model, warp, 0)
    off = np.abs(with_it.astype(int) - plain).max(axis=-1)
    assert (off > 3).mean() < 0.0002


def test_looks_are_averaged(model, raster):
    scene = Scene(model, raster)
    underlay = Underlay(model, 110.0)
    given = (scene.head, scene.depth, scene.matte, scene.sight)
    first = underlay.sheet(scene.picture, *given)
    dark = scene.picture // 2
    later = [underlay.sheet(dark, *given) for _ in range(20)]
    assert np.array_equal(later[0].gain, first.gain)  # it does not look at every frame
    levels = [float(sheet.gain.mean()) for sheet in later]
    assert levels[-1] < 0.75 * levels[0]
    assert levels == sorted(levels, reverse=True)


def test_what_is_found_beside_is_known_in_the_next_frame(model, raster):
    scene = Scene(model, raster)
    underlay, at_once = Underlay(model, 110.0, Later()), Underlay(model, 110.0)
    given = (scene.head, scene.depth, scene.matte, scene.sight)
    dark = scene.picture // 2
    levels, want = [], []
    for frame in range(24):
        picture = (dark if frame else scene.picture).copy()
        levels.append(float(underlay.sheet(picture, *given).gain.mean()))
        want.append(float(at_once.sheet(picture, *given).gain.mean()))
        picture[:] = 255  # it is drawn into meanwhile
    assert levels[0] == want[0] == want[7] > want[8] > want[16]
    assert levels[1:] == want[:-1]


def test_a_collar_that_is_taken_for_a_neck_gives_no_colours(model, raster):
    scene = Scene(model, raster, label=NECK)
    chin = model.points478()[152] + np.array([0, 12, 0])
    in_camera = transform_points(scene.head.camera_from_head, chin)
    row = int(project(in_camera, scene.head.camera)[1]) - REGION.y0
    scene.picture[row:][scene.cover[row:] > 0.5] = (235, 240, 250)
    sheet = scene.sheet(model)
    colours = 255 * sheet.gain[0][sheet.opacity[0] > 0.5]
    white = colours.min(axis=1) > 210
    assert len(colours) > 300
    assert white.mean() < 0.02
