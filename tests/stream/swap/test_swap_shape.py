"""Geometry, light and surroundings of the mesh swap on made-up faces."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree
from swap_faces import MODEL, RNG, SIZE, face_of, head, other_identity, shaped, source

from stream.geometry import rotation_from_angles, vertex_normals
from stream.region import Region
from stream.swap.compose import face_region
from stream.swap.holes import BROWS
from stream.swap.light import LiveLight, SourceLight, relit
from stream.swap.light_basis import LIFT, light_basis
from stream.swap.occlude import Front
from stream.swap.options import SwapSettings
from stream.swap.resting import WholeEyes
from stream.swap.shape import SKIN, ShapeBlender, similarity
from stream.swap.surround import surround_of

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
    moved = [np.linalg.norm(one.drawn_px - one.own_px, axis=1) for one in (half, whole)]
    assert moved[1].max() > 2
    chin = MODEL.triangles[MODEL.points478_triangle[[148, 377, 172, 397, 10]]]
    assert moved[0][chin].mean() < 0.6 * moved[1][chin].mean()  # outlines by less


def test_a_person_of_another_form_moves_features_only_so_far():
    brows = np.concatenate(BROWS)  # have a rule of their own
    for share, most in ((0.5, 0.025), (1.0, 0.045)):
        shape, _ = shaped(share=share, person=3 * other_identity())
        apart = np.linalg.norm(shape.points_px - shape.tracked_px, axis=1)[:468]
        assert np.delete(apart, brows).mean() < most * shape.eyes_px


def test_lips_are_taken_over_by_half_where_noses_are_whole():
    person = other_identity()
    half, whole = (shaped(share=share, person=person)[0] for share in (0.5, 1.0))
    moved = [np.linalg.norm(one.points_px - one.tracked_px, axis=1) for one in (half, whole)]
    lips, nose = [0, 17, 61, 291], [1, 4, 98, 327]
    assert moved[0][lips].sum() / moved[1][lips].sum() < 0.75 * (
        moved[0][nose].sum() / moved[1][nose].sum()
    )


def test_what_a_target_is_like_beyond_its_fit_is_left_for_the_source():
    one, person = head(), other_identity()
    face = face_of(replace(one, identity=person))  # fitted as a mean face all the same
    blender = ShapeBlender(MODEL)
    for number in range(3):
        shape = blender(face, one, source(), 1.0, number / 30)
    nose = [1, 4, 98, 327, 168]
    unit = shape.eyes_px
    wanted = face_of(one).points_px[nose, :2]

    def from_wanted(points):
        places = points[nose] - points[nose].mean(axis=0)
        return np.linalg.norm(places - (wanted - wanted.mean(axis=0)), axis=1).mean() / unit

    assert from_wanted(shape.points_px) < 0.8 * from_wanted(shape.tracked_px)


def test_eyes_go_as_a_whole():
    change = RNG.normal(size=(1, 3)) + 0.05 * MODEL.vertices[:, [1, 0, 2]]  # sheared
    moved = change.astype(np.float32).copy()
    WholeEyes(MODEL)(moved)
    lids = np.flatnonzero(cKDTree(MODEL.points68()[36:42]).query(MODEL.vertices)[0] < 2)
    before, after = MODEL.vertices[lids], (MODEL.vertices + moved)[lids]
    scale, turn, shift = similarity(np.c_[before[:, :2], 0 * lids], np.c_[after[:, :2], 0 * lids])
    found = (scale * np.c_[before[:, :2], 0 * lids] @ turn.T + shift)[:, :2]
    assert found == pytest.approx(after[:, :2], abs=0.02)
    far = np.abs(MODEL.vertices[:, 1] - MODEL.points68()[8, 1]) < 5
    assert (moved == change.astype(np.float32))[far].all()


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
    own = SourceLight(flat, basis.functions)
    light = LiveLight(basis)(frame, shape, front, own, settings or SwapSettings())
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


def test_a_nose_is_lit_as_the_cheeks_say():
    basis = light_basis(MODEL)
    normals = vertex_normals(MODEL.vertices, MODEL.triangles)
    lamp = np.array([0.6, 0.0, -0.8])
    lit = np.exp(4.8 + 0.4 * normals @ lamp)[:, None] * (1.0, 0.8, 0.7)
    nose = np.linalg.norm(MODEL.vertices - MODEL.points68()[29], axis=1) < 22
    unseen = np.where(nose[basis.plain], 0.0, 1.0)
    found = basis.at_vertices(basis.light(basis.evidence(lit[basis.plain], unseen)))
    told = (found - np.log(lit + LIFT)).mean(axis=1)[basis.plain][nose[basis.plain]]
    varied = np.log(lit[basis.plain][nose[basis.plain]] + LIFT).mean(axis=1)
    assert np.std(told) < 0.5 * np.std(varied)


def test_a_nose_of_another_shape_is_lit_by_its_own_normals():
    basis = light_basis(MODEL)
    other = MODEL.shape(other_identity())
    same, changed = basis.functions_on(MODEL.vertices), basis.functions_on(other)
    differs = np.flatnonzero(np.abs(changed - same).max(axis=0) > 1e-6)
    assert len(differs) == 8
    normals = [
        vertex_normals(head, MODEL.triangles)[basis.plain] for head in (MODEL.vertices, other)
    ]
    turned = np.linalg.norm(normals[1] - normals[0], axis=1)
    moved = np.linalg.norm((changed - same)[basis.plain], axis=1)
    assert np.corrcoef(turned, moved)[0, 1] > 0.6


def skin_over_time(frames, shapes):
    """The mean colour that an even source's skin has in the last frame."""
    basis = light_basis(MODEL)
    flat = np.broadcast_to(np.log(np.array([200.0, 160.0, 140.0]) + 12), MODEL.vertices.shape)
    follow, options = LiveLight(basis), SwapSettings()
    for frame, shape in zip(frames, shapes, strict=True):
        light = follow(frame, shape, None, SourceLight(flat, basis.functions), options)
    drawn = light[:, :3] * np.array([200.0, 160.0, 140.0]) + 255 * light[:, 3:6]
    return drawn[basis.plain]


def test_a_lamp_that_goes_on_is_followed_at_once_and_a_flicker_is_not():
    shape, _ = shaped()
    dark, bright, flicker = (lit_frame(shape, level, level) for level in (80, 200, 82))
    shapes = [shape] * 6
    inner = light_basis(MODEL).inner > 0.9
    lit = skin_over_time([dark] * 5 + [bright], shapes)[inner, 0].mean()
    assert lit == pytest.approx(200, abs=12)
    still = skin_over_time([dark] * 5 + [flicker], shapes)[inner, 0].mean()
    assert still == pytest.approx(80.6, abs=0.7)


def test_a_cheek_that_comes_into_view_shows_its_own_light():
    away, _ = shaped(yaw=-50.0)
    front, _ = shaped()
    frames = [lit_frame(away, 150, 150)] * 8 + [lit_frame(front, 90, 150)]
    seen = skin_over_time(frames, [away] * 8 + [front])
    alone = skin_over_time(frames[-1:], [front])
    basis = light_basis(MODEL)
    hidden = (away.facing[basis.plain] < 0.1) & (basis.inner > 0.9)
    assert hidden.sum() > 20
    assert np.abs(seen - alone)[hidden].mean() < 12


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


def test_eyes_of_the_frame_go_where_the_drawn_lids_are():
    shape, blender = shaped(share=1.0, person=other_identity())
    region = face_region(shape, MODEL, SIZE)
    around = surround_of(shape, blender.follows, region, 1.0)
    for corners in ((33, 133), (362, 263)):
        drawn, own = (
            one[list(corners)].mean(axis=0) for one in (shape.points_px, shape.tracked_px)
        )
        x, y = (drawn - region[:2]).astype(int)
        found = np.array([around.x[y, x] - x, around.y[y, x] - y]) - region[:2]
        assert np.linalg.norm(found - (own - drawn)) < 0.015 * shape.eyes_px


def test_nothing_is_warped_where_nothing_moves():
    shape, blender = shaped(share=1.0)
    region = face_region(shape, MODEL, SIZE)
    assert surround_of(shape, blender.follows, region, 1.0) is None
