"""What covers what in the mesh swap, fading, finish and glasses, on made-up faces."""

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree
from swap_faces import MODEL, SIZE, at, hand_before, head, shaped, with_glasses

from stream.region import Region
from stream.swap.compose import covering, face_region, laid
from stream.swap.draw import drawn_triangles, seen_at_vertices, soft_border
from stream.swap.fade import FRAMES, Fade, cut_off, turned_degrees
from stream.swap.finish import Finish
from stream.swap.glasses import Glasses
from stream.swap.holes import kept_mask
from stream.swap.occlude import Front, covered, with_nearer
from stream.swap.options import SwapSettings
from stream.swap.shape import MOUTH, SKIN

# --- What stays the target's --------------------------------------------------------------


def test_eyes_and_the_inside_of_an_open_mouth_stay_the_targets():
    shape, _ = shaped(expression={"jawOpen": 0.8})
    region = face_region(shape, MODEL, SIZE)
    mask = kept_mask(shape, region, SwapSettings())
    points = shape.points_px
    assert at(mask, region, points[468]) > 200
    assert at(mask, region, points[473]) > 200
    assert at(mask, region, (points[13] + points[14]) / 2) > 200
    for place in (points[4], points[50], points[152], points[105], points[200]):
        assert at(mask, region, place) == 0


def test_lips_are_mixed_and_more_the_targets_as_they_part():
    lips = []
    for opening in (0.0, 0.5):
        shape, _ = shaped(expression={"jawOpen": opening})
        region = face_region(shape, MODEL, SIZE)
        lip = (shape.points_px[17] + shape.points_px[14]) / 2
        lips.append(at(kept_mask(shape, region, SwapSettings()), region, lip))
    shut, parted = lips
    assert 40 < shut < parted - 40 < 200


def test_brows_and_lips_stay_by_wish():
    shape, _ = shaped()
    region = face_region(shape, MODEL, SIZE)
    brow = (shape.points_px[105] + shape.points_px[52]) / 2
    lip = (shape.points_px[17] + shape.points_px[14]) / 2
    plain = kept_mask(shape, region, SwapSettings())
    kept = kept_mask(shape, region, SwapSettings(keep_brows=True, mouth=True))
    assert at(plain, region, brow) < 20 and at(kept, region, brow) > 200
    assert at(plain, region, lip) < 180 and at(kept, region, lip) > 200


def test_lids_that_close_are_the_targets_own():
    shut, _ = shaped(expression={"eyeBlinkLeft": 0.6, "eyeBlinkRight": 0.6})
    open_, _ = shaped()
    region = face_region(shut, MODEL, SIZE)
    lid = (open_.points_px[159] + open_.points_px[223]) / 2
    assert at(kept_mask(shut, region, SwapSettings()), region, shut.points_px[159]) > 200
    assert at(kept_mask(open_, region, SwapSettings()), region, lid) < 120


def test_hands_and_fringes_are_in_front_and_a_beard_is_not():
    shape, _ = shaped()
    region = face_region(shape, MODEL, SIZE)
    grey = np.full((region.height, region.width, 3), 128, np.uint8)
    mask = covered(hand_before(shape), shape, region, grey)
    assert at(mask, region, shape.tracked_px[50]) > 240
    assert at(mask, region, shape.tracked_px[10]) > 240
    assert at(mask, region, shape.tracked_px[152]) < 15
    assert at(mask, region, shape.tracked_px[280]) == 0


def test_the_face_of_somebody_nearer_is_in_front():
    shape, _ = shaped()
    bare = np.zeros((256, 256), np.float32)
    front = Front(bare, bare, Region(0, 0, *SIZE))
    points = shape.tracked_px
    half = np.array([np.ptp(points[:, 0]) / 2, 0])
    cheeks = points[[50, 280]]
    assert with_nearer(front, []) is front
    assert with_nearer(front, [points + 20 * half]) is front
    assert with_nearer(front, [points - half]).at(cheeks).tolist() == [1, 0]
    assert front.at(cheeks).tolist() == [0, 0]


def test_covers_are_whole_inside_and_fade_to_the_outline():
    shape, _ = shaped()
    region = face_region(shape, MODEL, SIZE)
    drawn = np.zeros((region.height, region.width, 4), np.uint8)
    outline = cv2.convexHull((shape.points_px - region[:2]).astype(np.int32))
    cv2.fillConvexPoly(drawn, outline, (200, 150, 130, 255))
    hidden = np.zeros(drawn.shape[:2], np.uint8)
    cover = covering(drawn, shape, region, hidden, SwapSettings())
    assert at(cover, region, shape.points_px[50]) > 250
    assert at(cover, region, shape.points_px[468]) < 30
    steps = np.abs(np.diff(cover[region.height // 2].astype(int)))
    assert steps.max() < 60
    hidden[:] = 255
    assert covering(drawn, shape, region, hidden, SwapSettings()).max() == 0


def test_laying_mixes_by_cover_and_level():
    skin, under = (np.full((4, 4, 3), value, np.uint8) for value in (200, 100))
    cover = np.full((4, 4), 255, np.uint8)
    assert laid(skin, under, cover, 1.0).mean() == pytest.approx(200, abs=1)
    assert laid(skin, under, cover, 0.25).mean() == pytest.approx(125, abs=1)
    assert laid(skin, under, cover // 2, 1.0).mean() == pytest.approx(150, abs=1)


# --- Border, fading, finish ---------------------------------------------------------------


def test_the_border_is_soft_and_guesses_beyond_the_features_do_not_cover():
    seen = np.ones(len(MODEL.vertices), np.float32)
    border = soft_border(MODEL, 0.5, seen)
    nose = MODEL.triangles[MODEL.points478_triangle[4], 0]
    assert border[nose] == 1
    assert border[np.isin(MODEL.labels, (2, 3, 4))].max() == 0
    sharp = soft_border(MODEL, 0.0, seen)
    assert ((border > 0.05) & (border < 0.95)).sum() > 2 * ((sharp > 0.05) & (sharp < 0.95)).sum()
    guessed = soft_border(MODEL, 0.5, 0 * seen)
    brow = MODEL.triangles[MODEL.points478_triangle[10], 0]  # top of the forehead
    assert guessed[nose] == 1
    assert guessed[brow] < 0.05


def test_what_was_seen_is_read_where_the_vertices_lie():
    assert seen_at_vertices(MODEL, np.full((128, 128), 255, np.uint8)).min() > 0.99
    assert seen_at_vertices(MODEL, np.zeros((128, 128), np.uint8)).max() == 0


def test_skin_and_its_inner_lining_are_drawn_and_neither_neck_nor_eyeballs_nor_throat():
    triangles = drawn_triangles(MODEL)
    labels = MODEL.labels[triangles]
    assert np.isin(labels, (SKIN, MOUTH, 6)).all()
    assert (labels == SKIN).mean() > 0.5
    lips = cKDTree(MODEL.points68()[48:68])
    throat, lining = np.flatnonzero(MODEL.labels == MOUTH), np.unique(triangles[labels == MOUTH])
    assert lips.query(MODEL.vertices[lining])[0].max() < 20
    assert lips.query(MODEL.vertices[throat])[0].max() > 40


@pytest.mark.parametrize(("turned", "hidden"), [(80.0, 0.0), (0.0, 0.9)])
def test_a_face_that_cannot_be_shown_fades_in_five_frames_and_returns_in_five(turned, hidden):
    fade = Fade()
    assert fade(0, 0, 60) == 1.0
    down = [fade(turned, hidden, 60) for _ in range(FRAMES)]
    assert down == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    up = [fade(0, 0, 60) for _ in range(FRAMES)]
    assert up == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_a_face_whose_eyes_are_out_of_the_frame_is_cut_off():
    shape, _ = shaped()
    points, unit = shape.tracked_px, shape.eyes_px
    eyes = points[[33, 133, 362, 263]]
    assert cut_off(points, SIZE, unit) == 0
    assert cut_off(points - (0, eyes[:, 1].max() + 1), SIZE, unit) == 1  # above
    assert cut_off(points - (eyes[:, 0].mean(), 0), SIZE, unit) < 0.6  # one eye is left
    assert cut_off(points - (eyes[:, 0].max(), 0), SIZE, unit) > 0.9


def test_a_face_at_the_limit_does_not_come_and_go():
    fade = Fade()
    levels = [fade(60 + 2 * (-1) ** n, 0, 60) for n in range(30)]
    assert levels[-1] == 0
    assert (np.diff(levels[2:]) <= 0).all()


def test_a_face_that_begins_turned_away_is_not_shown():
    assert Fade()(85, 0, 60) == 0


@pytest.mark.parametrize("yaw", [0.0, 30.0, -50.0])
def test_the_turn_to_the_camera_is_the_heads_yaw(yaw):
    assert turned_degrees(head(yaw)) == pytest.approx(abs(yaw), abs=4)


def textured(blur=0.0, noise=0.0):
    rng = np.random.default_rng(1)
    grey = np.full((200, 200), 130, np.float32)
    for _ in range(60):
        x, y = rng.integers(0, 200, 2).tolist()
        cv2.circle(grey, (x, y), int(rng.integers(3, 12)), float(rng.integers(60, 200)), -1)
    if blur:
        grey = cv2.GaussianBlur(grey, (0, 0), blur)
    grey = grey + noise * rng.normal(size=grey.shape)
    return cv2.cvtColor(np.clip(grey, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def finished(frame, frames=40, **options):
    finish = Finish()
    drawn = cv2.cvtColor(textured(), cv2.COLOR_RGB2RGBA)
    cover = np.full(drawn.shape[:2], 255, np.uint8)
    for _ in range(frames):
        finish.learn(drawn, frame, cover, 150.0)
        out = finish(drawn, SwapSettings(**options))
    return finish, out


def test_a_blurred_frame_asks_for_a_coarser_level_of_the_texture():
    blurred, _ = finished(textured(blur=2.5))
    sharp, _ = finished(textured())
    assert blurred.blur > 0.5
    assert sharp.blur < 0.1


def test_a_noisy_frame_lends_its_grain():
    _, out = finished(textured(noise=6.0))
    noise = out.astype(float) - textured()
    assert 3.0 < noise.std() < 9.0
    _, clean = finished(textured(noise=6.0), grain=0.0)
    assert np.abs(clean.astype(float) - textured()).std() < 2.5


def test_sharpness_softens_and_sharpens():
    def detail(**options):
        return np.abs(np.diff(finished(textured(), 1, **options)[1].astype(int), axis=1)).mean()

    assert detail(sharpness=0.0) < 0.8 * detail(sharpness=0.5) < 0.8 * detail(sharpness=1.0)


# --- Glasses ------------------------------------------------------------------------------


def test_glasses_stay_in_front_and_bare_faces_have_none():
    shape, _ = shaped()
    region = face_region(shape, MODEL, SIZE)
    glasses = Glasses()
    assert glasses(with_glasses(shape, False), shape.tracked_px, region) is None
    for _ in range(20):
        mask = glasses(with_glasses(shape, True), shape.tracked_px, region)
    middle = (shape.tracked_px[133] + shape.tracked_px[362]) / 2
    x, y = (middle - region[:2]).astype(int)
    assert mask[y - 6 : y + 7, x - 2 : x + 3].max() > 200
    rim = (shape.tracked_px[33] + shape.tracked_px[133]) / 2 + (0, 0.29 * shape.eyes_px)
    x, y = (rim - region[:2]).astype(int)
    assert mask[y - 3 : y + 4, x].max() > 200
    assert at(mask, region, shape.tracked_px[152]) == 0
    for _ in range(30):
        last = glasses(with_glasses(shape, False), shape.tracked_px, region)
    assert last is None
