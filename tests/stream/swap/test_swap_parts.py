"""The parts of the mesh swap on made-up faces: geometry, light, surroundings, holes, fading."""

import cv2
import numpy as np
import pytest

from stream.frame import Face, Head
from stream.geometry import pinhole_camera, project, rigid_transform, rotation_from_angles
from stream.head_model import load_head_model
from stream.region import Region
from stream.swap.compose import covering, face_region, laid
from stream.swap.draw import drawn_triangles, seen_at_vertices, soft_border
from stream.swap.fade import FRAMES, Fade, turned_degrees
from stream.swap.finish import Finish
from stream.swap.glasses import Glasses
from stream.swap.holes import kept_mask
from stream.swap.light import LiveLight, light_basis, relit
from stream.swap.occlude import Front, covered
from stream.swap.options import SwapSettings
from stream.swap.shape import MOUTH, SKIN, ShapeBlender, similarity
from stream.swap.source_face import SourceFace
from stream.swap.surround import surround_of

SIZE = (640, 480)
MODEL = load_head_model()
CAMERA = pinhole_camera(*SIZE)
RNG = np.random.default_rng(3)


def head(yaw=0.0, identity=None, expression=None):
    units = np.zeros(len(MODEL.expression_names), np.float32)
    for name, value in (expression or {}).items():
        units[MODEL.expression_names.index(name)] = value
    person = np.zeros(len(MODEL.identity_basis), np.float32) if identity is None else identity
    pose = rigid_transform(rotation_from_angles(yaw, 0, 0), np.array([0.0, -30.0, 700.0]))
    return Head(0, person, units, pose, CAMERA)


def face_of(one, shift_px=(0.0, 0.0)):
    pose = one.camera_from_head.astype(np.float32)
    points = MODEL.points478(one.identity, one.expression) @ pose[:3, :3].T + pose[:3, 3]
    px = np.column_stack([project(points, CAMERA.astype(np.float32)) + shift_px, points[:, 2]])
    return Face(0, px.astype(np.float32))


def source(identity=None, seen=255):
    person = np.zeros(len(MODEL.identity_basis), np.float32) if identity is None else identity
    return SourceFace(
        identity=person,
        offset_mm=np.zeros_like(MODEL.vertices),
        texture=np.full((128, 128, 3), (200, 160, 140), np.uint8),
        seen=np.full((128, 128), seen, np.uint8),
        skin_mean=np.zeros(3, np.float32),
        skin_sd=np.zeros(3, np.float32),
        descriptor=np.ones(1, np.float32),
    )


def other_identity():
    return RNG.normal(size=len(MODEL.identity_basis)).astype(np.float32)


def shaped(yaw=0.0, share=0.5, person=None, expression=None, shift_px=(0.0, 0.0)):
    one = head(yaw, expression=expression)
    blender = ShapeBlender(MODEL)
    return blender(face_of(one, shift_px), one, source(person), share, 0.0), blender


# --- Geometry -----------------------------------------------------------------------------


def test_a_source_with_the_targets_own_shape_moves_nothing():
    shape, _ = shaped(share=1.0)
    assert np.abs(shape.drawn_px - shape.own_px).max() < 0.02


def test_share_0_keeps_the_targets_shape_and_1_takes_the_sources():
    person = other_identity()
    kept, _ = shaped(share=0.0, person=person)
    assert np.abs(kept.drawn_px - kept.own_px).max() == 0
    half, _ = shaped(share=0.5, person=person)
    whole, _ = shaped(share=1.0, person=person)
    moved_half = np.linalg.norm(half.drawn_px - half.own_px, axis=1)
    moved = np.linalg.norm(whole.drawn_px - whole.own_px, axis=1)
    assert moved.max() > 2
    assert moved_half.sum() == pytest.approx(moved.sum() / 2, rel=0.05)


def test_lids_stay_where_the_targets_are():
    shape, _ = shaped(share=1.0, person=other_identity())
    lids = [33, 160, 158, 133, 153, 144, 263, 387, 385, 362, 380, 373]
    apart = np.linalg.norm((shape.points_px - shape.tracked_px)[lids], axis=1)
    assert apart.max() < 0.02 * shape.eyes_px


def test_what_the_tracked_points_say_beyond_the_fit_moves_the_drawn_face():
    straight, _ = shaped()
    moved, _ = shaped(shift_px=(4.0, -3.0))
    skin = MODEL.labels == SKIN
    apart = (moved.drawn_px - straight.drawn_px)[skin]
    assert np.abs(np.median(apart, axis=0) - (4, -3)).max() < 0.05


def test_facing_tells_the_front_from_the_back():
    shape, _ = shaped()
    nose = MODEL.triangles[MODEL.points478_triangle[4], 0]
    assert shape.facing[nose] > 0.8
    back = MODEL.vertices[:, 2].argmax()
    assert shape.facing[back] < 0


def test_similarity_is_found_again():
    points = RNG.normal(size=(20, 3))
    rotation = rotation_from_angles(20, -10, 5)
    scale, turned, shift = similarity(points, 1.7 * points @ rotation.T + (1, 2, 3))
    assert scale == pytest.approx(1.7)
    assert np.allclose(turned, rotation)
    assert np.allclose(shift, (1, 2, 3))


# --- Light --------------------------------------------------------------------------------


def lit_frame(shape, left=90.0, right=210.0):
    """A frame whose colours rise from left to right over the face."""
    x = np.arange(SIZE[0], dtype=np.float32)
    low, high = shape.own_px[MODEL.labels == SKIN, 0].min(), shape.own_px[:, 0].max()
    row = left + (right - left) * np.clip((x - low) / (high - low), 0, 1)
    frame = np.repeat(np.repeat(row[None, :, None], SIZE[1], 0), 3, 2)
    return (frame * (1.0, 0.8, 0.7)).astype(np.uint8)


def colours_after(frame, shape, settings=None, front=None):
    basis = light_basis(MODEL)
    flat = np.log(np.full((len(MODEL.vertices), 3), (200.0, 160.0, 140.0)) + 12)
    light = LiveLight(basis)(frame, shape, front, flat, settings or SwapSettings())
    drawn = light[:, :3] * np.array([200.0, 160.0, 140.0]) + 255 * light[:, 3:6]
    return drawn[basis.plain], shape.own_px[basis.plain]


def test_an_even_source_takes_the_light_of_the_frame():
    shape, _ = shaped()
    frame = lit_frame(shape)
    drawn, places = colours_after(frame, shape)
    wanted = frame[places[:, 1].astype(int), places[:, 0].astype(int)].astype(float)
    inner = light_basis(MODEL).inner > 0.9
    assert np.abs(drawn - wanted)[inner].mean() < 6
    assert np.abs(200 - wanted[inner, 0]).mean() > 25  # it was not so before


def test_a_hand_before_the_face_does_not_colour_it():
    shape, _ = shaped()
    frame = lit_frame(shape, 150, 150)
    middle = shape.points_px[4].astype(int)
    covered_frame = frame.copy()
    cv2.circle(covered_frame, tuple(middle.tolist()), 45, (20, 60, 250), -1)
    region = Region(0, 0, *SIZE)
    things = np.zeros((256, 256), np.float32)
    at = (middle * [256 / SIZE[0], 256 / SIZE[1]]).astype(int)
    cv2.ellipse(things, tuple(at.tolist()), (23, 29), 0, 0, 360, 1.0, -1)
    front = Front(np.zeros_like(things), things, region)
    plain, _ = colours_after(frame, shape)
    masked, _ = colours_after(covered_frame, shape, front=front)
    tainted, _ = colours_after(covered_frame, shape)
    assert np.abs(masked - plain).mean() < 3
    assert np.abs(tainted - plain).mean() > 2 * np.abs(masked - plain).mean()


def test_colour_match_0_leaves_the_sources_tone():
    shape, _ = shaped()
    frame = np.full((SIZE[1], SIZE[0], 3), (120, 140, 200), np.uint8)  # a blue face
    matched, _ = colours_after(frame, shape)
    own, _ = colours_after(frame, shape, SwapSettings(colour_match=0.0))
    assert matched[:, 2].mean() > matched[:, 0].mean() + 50
    assert own[:, 2].mean() - own[:, 0].mean() < 0.7 * (matched[:, 2] - matched[:, 0]).mean()


def test_a_source_as_it_should_be_is_left_alone_and_haze_lifts_the_dark():
    same = np.log(np.full((4, 3), 150.0) + 12)
    clear = relit(same, same, 0.0)
    assert np.allclose(clear, [[1, 1, 1, 0, 0, 0] + 3 * [150 / 255]], atol=1e-3)
    hazy = relit(same, same, 60.0)
    assert np.allclose(hazy[:, :3] * 150 + 255 * hazy[:, 3:6], 150, atol=1)  # skin stays
    assert np.allclose(255 * hazy[:, 3:6], 60, atol=1)  # black is the haze's grey


# --- Surroundings -------------------------------------------------------------------------


def narrower():
    """A head whose jaw is narrower, made of the identity component that changes it most."""
    chin = MODEL.points478_triangle[[172, 397]]
    left, right = (MODEL.triangles[one, 0] for one in chin)
    width = MODEL.identity_basis[:, right, 0] - MODEL.identity_basis[:, left, 0]
    person = np.zeros(len(width), np.float32)
    number = np.abs(width).argmax()
    person[number] = -2.5 * np.sign(width[number])
    return person


def test_the_frame_goes_along_with_a_narrower_jaw_and_rests_far_away():
    shape, blender = shaped(share=1.0, person=narrower())
    region = face_region(shape, MODEL, SIZE)
    around = surround_of(shape, blender.follows, region, 1.0)
    frame = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    frame[..., 0] = np.arange(SIZE[0]) % 256
    rows, columns = np.mgrid[region.y0 : region.y1, region.x0 : region.x1]
    motion = np.hypot(around.x - columns, around.y - rows)
    for point in (172, 397):  # corners of the jaw
        x, y = (shape.points_px[point] - region[:2]).astype(int)
        own = shape.tracked_px[point] - shape.points_px[point]
        found = np.array([around.x[y, x], around.y[y, x]]) - [x + region.x0, y + region.y0]
        assert np.linalg.norm(found - own) < 0.5 * np.linalg.norm(own)
    assert motion.max() < 0.2 * shape.eyes_px
    border = np.concatenate([motion[:, 0], motion[:, -1], motion[0], motion[-1]])
    assert border.max() < 0.3  # the frame beyond does not move


def test_eyes_of_the_frame_stay_where_they_are():
    shape, blender = shaped(share=1.0, person=narrower())
    region = face_region(shape, MODEL, SIZE)
    around = surround_of(shape, blender.follows, region, 1.0)
    for iris in (468, 473):
        x, y = (shape.tracked_px[iris] - region[:2]).astype(int)
        moved = np.hypot(around.x[y, x] - x - region.x0, around.y[y, x] - y - region.y0)
        assert moved < 0.015 * shape.eyes_px


def test_nothing_is_warped_where_nothing_moves():
    shape, blender = shaped(share=1.0)
    region = face_region(shape, MODEL, SIZE)
    assert surround_of(shape, blender.follows, region, 1.0) is None


# --- What stays the target's --------------------------------------------------------------


def at(mask, region, place):
    x, y = (np.asarray(place) - region[:2]).astype(int)
    return int(mask[y, x])


def test_eyes_and_the_inside_of_an_open_mouth_stay_the_targets():
    shape, _ = shaped(expression={"jawOpen": 0.8})
    region = face_region(shape, MODEL, SIZE)
    mask = kept_mask(shape, region, SwapSettings())
    points = shape.points_px
    assert at(mask, region, points[468]) > 200
    assert at(mask, region, points[473]) > 200
    assert at(mask, region, (points[13] + points[14]) / 2) > 200
    for place in (points[4], points[50], points[152], points[105], points[17]):
        assert at(mask, region, place) == 0


def test_brows_and_lips_stay_by_wish():
    shape, _ = shaped()
    region = face_region(shape, MODEL, SIZE)
    brow = (shape.points_px[105] + shape.points_px[52]) / 2
    lip = (shape.points_px[17] + shape.points_px[14]) / 2
    plain = kept_mask(shape, region, SwapSettings())
    kept = kept_mask(shape, region, SwapSettings(keep_brows=True, mouth=True))
    assert at(plain, region, brow) < 20 and at(kept, region, brow) > 200
    assert at(plain, region, lip) < 60 and at(kept, region, lip) > 200


def test_lids_that_close_are_the_targets_own():
    shut, _ = shaped(expression={"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0})
    open_, _ = shaped()
    region = face_region(shut, MODEL, SIZE)
    lid = (open_.points_px[159] + open_.points_px[223]) / 2
    assert at(kept_mask(shut, region, SwapSettings()), region, shut.points_px[159]) > 200
    assert at(kept_mask(open_, region, SwapSettings()), region, lid) < 120


def hand_before(shape):
    region = Region(0, 0, *SIZE)
    things = np.zeros((256, 256), np.float32)
    x, y = (shape.tracked_px[50] * [256 / SIZE[0], 256 / SIZE[1]]).astype(int)
    cv2.circle(things, (int(x), int(y)), 9, 1.0, -1)
    hair = np.zeros_like(things)
    for point in (152, 10):  # a beard, and a fringe
        x, y = (shape.tracked_px[point] * [256 / SIZE[0], 256 / SIZE[1]]).astype(int)
        cv2.circle(hair, (int(x), int(y)), 9, 1.0, -1)
    return Front(hair, things, region)


def test_hands_and_fringes_are_in_front_and_a_beard_is_not():
    shape, _ = shaped()
    region = face_region(shape, MODEL, SIZE)
    grey = np.full((region.height, region.width, 3), 128, np.uint8)
    mask = covered(hand_before(shape), shape, region, grey)
    assert at(mask, region, shape.tracked_px[50]) > 240
    assert at(mask, region, shape.tracked_px[10]) > 240
    assert at(mask, region, shape.tracked_px[152]) < 15
    assert at(mask, region, shape.tracked_px[280]) == 0


def test_covers_are_whole_inside_and_fade_to_the_outline():
    shape, _ = shaped()
    region = face_region(shape, MODEL, SIZE)
    drawn = np.zeros((region.height, region.width, 4), np.uint8)
    outline = cv2.convexHull((shape.points_px - region[:2]).astype(np.int32))
    cv2.fillConvexPoly(drawn, outline, (200, 150, 130, 255))
    hidden = np.zeros(drawn.shape[:2], np.uint8)
    cover = covering(drawn, shape, region, hidden, None, SwapSettings())
    assert at(cover, region, shape.points_px[50]) > 250
    assert at(cover, region, shape.points_px[468]) < 30
    steps = np.abs(np.diff(cover[region.height // 2].astype(int)))
    assert steps.max() < 60
    hidden[:] = 255
    assert covering(drawn, shape, region, hidden, None, SwapSettings()).max() == 0


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


def test_skin_and_its_inner_lining_are_drawn_and_neither_neck_nor_eyeballs():
    labels = MODEL.labels[drawn_triangles(MODEL)]
    assert np.isin(labels, (SKIN, MOUTH, 6)).all()
    assert (labels == SKIN).mean() > 0.5


@pytest.mark.parametrize(("turned", "hidden"), [(80.0, 0.0), (0.0, 0.9)])
def test_a_face_that_cannot_be_shown_fades_in_five_frames_and_returns_in_five(turned, hidden):
    fade = Fade()
    assert fade(0, 0, 60) == 1.0
    down = [fade(turned, hidden, 60) for _ in range(FRAMES)]
    assert down == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    up = [fade(0, 0, 60) for _ in range(FRAMES)]
    assert up == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


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
        out = finish(drawn, frame, cover, SwapSettings(**options))
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


def with_glasses(shape, frames):
    picture = np.full((SIZE[1], SIZE[0], 3), (190, 150, 130), np.uint8)
    if frames:
        unit, points = shape.eyes_px, shape.tracked_px
        eyes = [(points[33] + points[133]) / 2, (points[263] + points[362]) / 2]
        for eye in eyes:
            cv2.circle(picture, tuple(eye.astype(int).tolist()), int(0.29 * unit), (40, 30, 30), 2)
        left, right = (eye.astype(int) for eye in eyes)
        bridge = [
            (int(left[0] + 0.28 * unit), int(left[1])),
            (int(right[0] - 0.28 * unit), int(right[1])),
        ]
        cv2.line(picture, *bridge, (40, 30, 30), 2)
    return picture


def test_glasses_stay_in_front_and_bare_faces_have_none():
    shape, _ = shaped()
    region = face_region(shape, MODEL, SIZE)
    glasses = Glasses()
    assert glasses(with_glasses(shape, False), shape, region) is None
    for _ in range(20):
        mask = glasses(with_glasses(shape, True), shape, region)
    middle = (shape.tracked_px[133] + shape.tracked_px[362]) / 2
    x, y = (middle - region[:2]).astype(int)
    assert mask[y - 6 : y + 7, x - 2 : x + 3].max() > 200
    rim = (shape.tracked_px[33] + shape.tracked_px[133]) / 2 + (0, 0.29 * shape.eyes_px)
    x, y = (rim - region[:2]).astype(int)
    assert mask[y - 3 : y + 4, x].max() > 200
    assert at(mask, region, shape.tracked_px[152]) == 0
    for _ in range(30):
        last = glasses(with_glasses(shape, False), shape, region)
    assert last is None
