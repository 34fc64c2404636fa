"""What of a photo is skin, and what is left out."""

from types import SimpleNamespace

import numpy as np
from swap_faces import SIZE as PHOTO_SIZE
from swap_faces import face_of, head, shaped, with_glasses

from stream.flatten import SampleGrid, sample_grid
from stream.geometry import pinhole_camera, project
from stream.head_model import load_head_model
from stream.region import Region
from stream.sight import FACE, HAIR, OCCLUDER, Sight
from stream.swap.source_skin import (
    beside_glasses,
    beside_tips,
    front_of_face,
    is_grey,
    kept_share,
    tinted,
)
from stream.swap.texture_map import label_map, texel_map

SIZE = 256


def scene(paint):
    """Return the kept share where `paint` labels the parts of a frontal head's crop."""
    model, camera = load_head_model(), pinhole_camera(256, 256)
    vertices = model.vertices + np.float32([0, 0, 600])
    grid = sample_grid(vertices, camera, model, SIZE)
    labels = np.zeros((9, 256, 256), np.float32)
    labels[FACE] = 1
    paint(labels, project(model.points68() + np.float32([0, 0, 600]), camera))
    sight = Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32), labels)
    photo = SimpleNamespace(sight=sight, region=Region(0, 0, 256, 256))
    at = texel_map(model, SIZE).painted(model.vertices)
    seen = (label_map(model, SIZE) == 1) & (grid.seen > 0.8)
    return kept_share(photo, grid, model), at, seen, model.points68()


def label(labels, rows, columns, kind):
    labels[:, rows, columns] = 0
    labels[kind, rows, columns] = 1


def test_all_that_is_face_is_kept():
    kept, _, seen, _ = scene(lambda labels, points: None)
    assert kept[seen].min() > 0.999


def test_hair_over_the_forehead_goes_with_a_rim_and_a_beard_stays():
    def paint(labels, points):
        label(labels, slice(0, int(points[19, 1]) - 8), slice(None), HAIR)
        low, high = int(points[51, 1]), int(points[8, 1])
        label(labels, slice(low - 6, high), slice(118, 138), HAIR)

    kept, at, seen, points = scene(paint)
    assert kept[seen & (at[..., 1] < points[19, 1] - 25)].max() < 0.05
    chin = seen & (at[..., 1] > points[57, 1] + 5) & (np.abs(at[..., 0]) < 20)
    assert kept[chin & (at[..., 1] < points[8, 1] - 8)].min() > 0.9
    brows = seen & (np.abs(at[..., 1] - points[19, 1]) < 3) & (np.abs(at[..., 0]) < 40)
    assert kept[brows].mean() > 0.8


def test_things_go_even_over_the_mouth():
    def paint(labels, points):
        x, y = points[33].astype(int)
        label(labels, slice(y + 3, y + 40), slice(x - 15, x + 16), OCCLUDER)

    kept, at, seen, points = scene(paint)
    covered = seen & (np.abs(at[..., 1] - points[57, 1] - 4) < 8) & (np.abs(at[..., 0]) < 15)
    assert kept[covered].max() < 0.05


def test_without_labels_everything_is_kept():
    model, camera = load_head_model(), pinhole_camera(256, 256)
    grid = sample_grid(model.vertices + np.float32([0, 0, 600]), camera, model, 64)
    sight = Sight(np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32))
    photo = SimpleNamespace(sight=sight, region=Region(0, 0, 256, 256))
    assert kept_share(photo, grid, model).min() == 1


def test_the_front_of_the_face_is_in_the_middle_and_symmetric():
    front = front_of_face(load_head_model(), 128)
    assert 0.1 < front.mean() < 0.5
    assert (front == front[:, ::-1]).mean() > 0.98


def test_frames_of_glasses_are_no_skin_and_bare_skin_is():
    shape, _ = shaped()
    face, region = face_of(head()), Region(0, 0, *PHOTO_SIZE)
    rim = (shape.tracked_px[33] + shape.tracked_px[133]) / 2 + (0, 0.29 * shape.eyes_px)
    places = np.stack([rim, shape.tracked_px[4]]).astype(np.float32)[None]
    grid = SampleGrid(places, np.ones(places.shape[:2], np.float32))
    shares = [
        beside_glasses(SimpleNamespace(pixels=pixels, face=face, region=region), grid).ravel()
        for pixels in (with_glasses(shape, True), with_glasses(shape, False))
    ]
    assert np.round(shares, 2).tolist() == [[0, 1], [1, 1]]


def test_tips_that_hang_from_a_fringe_are_hair_and_brows_are_not():
    model = load_head_model()
    at = texel_map(model, SIZE).painted(model.vertices)
    left, brow, _ = model.points68()[19]
    on_face = at[..., 2] < model.points68()[36, 2]

    def texel(x, y):
        away = np.where(on_face, np.hypot(at[..., 0] - x, at[..., 1] - y), np.inf)
        return np.unravel_index(away.argmin(), away.shape)

    tip, hairs = texel(0.0, brow - 14), texel(left, brow)
    albedo, kept = np.full((SIZE, SIZE, 3), 0.4, np.float32), np.ones((SIZE, SIZE), np.float32)
    for row, column in (tip, hairs):
        albedo[row - 2 : row + 3, column - 1 : column + 2] = 0.15
    kept[tip[0] - 12 : tip[0] - 3, tip[1] - 9 : tip[1] + 10] = 0
    found = beside_tips(albedo, kept, model)
    assert found[tip] < 0.1
    assert found[hairs] > 0.95
    kept[:] = 1
    assert beside_tips(albedo, kept, model).min() > 0.999


def test_a_photo_without_hues_is_told_from_a_pale_one():
    face = face_of(head())
    grey = np.random.default_rng(1).integers(40, 220, (*PHOTO_SIZE[::-1], 1)).repeat(3, 2)
    pale = grey + np.array([6, 0, -6])
    photos = [SimpleNamespace(pixels=one.astype(np.uint8), face=face) for one in (grey, pale)]
    assert [is_grey(photo) for photo in photos] == [True, False]


def test_grey_lips_become_as_red_as_lips_are_and_stay_as_dark():
    grey = np.full((2, 2, 3), 90.0, np.float32)
    lips = np.broadcast_to(np.float32([0.3, 0.12, 0.1]), (2, 2, 3))
    red = tinted(grey, lips)
    assert red[0, 0, 0] > 1.3 * red[0, 0, 1]
    linear = (red / 255) ** 2.2 @ np.array([0.3, 0.59, 0.11])
    assert np.allclose(linear, (90 / 255) ** 2.2, rtol=0.02)
