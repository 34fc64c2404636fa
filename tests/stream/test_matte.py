import cv2
import numpy as np
import pytest
from backdrop import backdrop_clip
from scenes import coarse_mask, composed, person, plain_room, rough_room

from stream.matte import (
    KnownBackground,
    MatteSettings,
    MatteState,
    head_matte,
    without_pits,
    without_told_background,
)
from stream.matte_colour import colour_evidence, on_grid
from stream.region import Region
from stream.segment import PersonSegmenter

SIZE = 320
WHO = person(SIZE, SIZE)


def matte_of(picture, probability=None, prior=WHO.prior, state=None, settings=None, **more):
    probability = coarse_mask(WHO) if probability is None else probability
    settings = settings or MatteSettings(size=SIZE)
    return head_matte(picture, probability, prior, settings, state or MatteState(), **more)


def truth_like(matte, truth=WHO.alpha):
    return cv2.resize(truth, matte.shape[::-1], interpolation=cv2.INTER_AREA)


def edge_error(matte, truth=WHO.alpha):
    """Mean distance, in pixels, by which the matte's outline misses the truth."""
    wanted = truth_like(matte, truth)
    outline = cv2.morphologyEx(
        (wanted > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
    )
    return float(np.abs(matte - wanted).sum() / (outline.sum() / 2))


def test_the_outline_is_found_before_a_plain_wall():
    picture = composed(WHO, plain_room(SIZE, SIZE), noise=2)
    rough = coarse_mask(WHO, wobble=2.5)
    matte = matte_of(picture, rough)
    before = edge_error(cv2.resize(rough, matte.shape[::-1]))
    assert edge_error(matte) < 0.2 * before  # measured 0.09


def test_inside_is_whole_and_far_outside_is_nothing():
    matte = matte_of(composed(WHO, plain_room(SIZE, SIZE), noise=2))
    truth = truth_like(matte)
    assert matte[cv2.erode(truth, np.ones((15, 15))) > 0.99].min() == 1
    assert matte[cv2.dilate(truth, np.ones((21, 21))) < 0.01].max() == 0
    assert matte.dtype == np.float32
    assert 0 <= matte.min() <= matte.max() <= 1


def test_a_rough_room_does_not_make_the_mask_worse():
    picture = composed(WHO, rough_room(SIZE, SIZE), noise=2)
    rough = coarse_mask(WHO, wobble=1.5)
    matte = matte_of(picture, rough)
    assert edge_error(matte) < 1.02 * edge_error(cv2.resize(rough, matte.shape[::-1]))


def test_knowing_the_background_finds_the_outline_in_a_rough_room():
    room = rough_room(SIZE, SIZE)
    picture = composed(WHO, room, noise=2)
    rough = coarse_mask(WHO, wobble=2.5)
    known = KnownBackground(room, np.full((SIZE, SIZE), 0.95, np.float32))
    assert edge_error(matte_of(picture, rough, background=known)) < 0.5 * edge_error(
        matte_of(picture, rough)
    )


def test_what_is_just_the_background_again_is_no_person():
    room = rough_room(SIZE, SIZE)
    mistaken = np.maximum(coarse_mask(WHO), 0)
    mistaken[80:140, 190:225] = np.maximum(mistaken[80:140, 190:225], 0.7)  # beside the head
    known = KnownBackground(room, np.full((SIZE, SIZE), 0.95, np.float32))
    matte = matte_of(composed(WHO, room), mistaken, background=known)
    assert np.abs(matte - truth_like(matte))[:200].mean() < 0.01


def test_a_colour_that_no_mixture_of_person_and_room_has_says_little():
    rng = np.random.default_rng(0)
    side = 256
    guide = np.empty((side, side, 3), np.uint8)
    guide[:] = rng.integers(110, 200, (side // 8, side // 8, 1)).repeat(8, 0).repeat(8, 1)
    guide[:, : side // 2] = (60, 40, 35)
    sure = np.zeros((side, side), np.uint8)
    sure[:, : side // 2] = 255
    guide[60:100, 140:150] = (230, 60, 20)  # a lamp
    guide[160:200, 140:150] = (105, 95, 92)  # hair that lets the room shine through
    beyond = 255 - cv2.dilate(sure, np.ones((61, 61), np.uint8))
    evidence = colour_evidence(guide, on_grid(guide), sure, beyond, 25.0)
    lamp, hair = np.s_[64:96, 142:148], np.s_[164:196, 142:148]
    assert evidence.share[lamp].min() > 0.05  # on the person's side of the room's colours
    assert evidence.separation[lamp].max() < 0.3 * evidence.separation[hair].min()


def test_holes_in_the_head_are_filled():
    pierced = coarse_mask(WHO)
    pierced[95:105, 105:122] = 0  # glasses
    matte = matte_of(composed(WHO, plain_room(SIZE, SIZE)), pierced)
    assert matte[115:132, 128:152].min() > 0.98


def test_what_does_not_hang_on_the_head_is_left_out():
    other = person(SIZE, SIZE, x=0.85, y=0.2, size=0.1)
    both = np.maximum(coarse_mask(WHO), 0)
    poster = coarse_mask(other) * (np.arange(256)[:, None] < 80)
    picture = composed(WHO, composed(other, plain_room(SIZE, SIZE)))
    matte = matte_of(picture, np.maximum(both, poster.astype(np.float32)))
    assert matte[: int(0.25 * SIZE), int(0.72 * SIZE) :].max() == 0


def test_a_prior_without_a_head_leaves_the_mask_unlimited():
    matte = matte_of(composed(WHO, plain_room(SIZE, SIZE)), prior=np.zeros((64, 64), np.float32))
    assert matte[int(0.9 * SIZE), SIZE // 2] == 1


def test_a_still_picture_gives_a_still_matte():
    state, mattes = MatteState(), []
    for index in range(24):
        picture = composed(WHO, plain_room(SIZE, SIZE), noise=2, seed=index)
        rough = coarse_mask(WHO, wobble=1.5, seed=index)
        mattes.append(matte_of(picture, rough, state=state))
    alone = [
        matte_of(composed(WHO, plain_room(SIZE, SIZE), 2, i), coarse_mask(WHO, 1.5, i))
        for i in range(24)
    ]
    boil = np.std(mattes[8:], axis=0).mean()
    assert boil < 0.4 * np.std(alone[8:], axis=0).mean()  # measured 0.25


def test_a_moving_head_leaves_no_ghost():
    state = MatteState()
    for index in range(10):
        who = person(SIZE, SIZE, x=0.3 + 0.04 * index)
        picture = composed(who, plain_room(SIZE, SIZE), noise=2, seed=index)
        matte = matte_of(picture, coarse_mask(who), prior=who.prior, state=state)
        assert edge_error(matte, who.alpha) < 1.0


def test_steadiness_follows_a_crop_that_moves_over_a_still_scene():
    room = plain_room(400, 400)
    who = person(400, 400)
    frame = composed(who, room)
    state, mattes = MatteState(), []
    for shift in (0, 3, 9, 20):
        region = Region(20 + shift, 10, 340 + shift, 330)
        rough = coarse_mask(WHO)  # not moved with the crop: only what is carried is right
        rough = cv2.resize(region.crop(who.alpha), (256, 256), interpolation=cv2.INTER_AREA)
        prior = np.ascontiguousarray(region.crop(who.prior))
        matte = matte_of(region.crop(frame), rough, prior, state, region=region)
        whole = np.zeros((400, 400), np.float32)
        region.crop(whole)[:] = cv2.resize(matte, (320, 320))
        mattes.append(whole[10:330, 40:340])
    assert max(np.abs(matte - mattes[0]).mean() for matte in mattes) < 0.004


def test_reset_forgets():
    state = MatteState()
    matte_of(composed(WHO, plain_room(SIZE, SIZE)), state=state)
    state.reset()
    fresh = MatteState()
    assert all(getattr(state, name) is getattr(fresh, name) is None for name in vars(fresh))


@pytest.mark.parametrize(
    ("height", "width"), [(16, 16), (17, 301), (480, 33), (1, 1), (720, 640), (255, 257)]
)
def test_any_size_of_crop(height, width):
    rng = np.random.default_rng(0)
    crop = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    matte = matte_of(crop, coarse_mask(WHO), state=MatteState())
    assert max(matte.shape) <= MatteSettings(size=SIZE).size
    assert np.isfinite(matte).all()


def test_the_size_of_the_crop_may_change_between_frames():
    state = MatteState()
    for size in (320, 200, 331):
        who = person(size, size)
        picture = composed(who, plain_room(size, size))
        matte = matte_of(
            picture, coarse_mask(who), who.prior, state, region=Region(0, 0, size, size)
        )
        assert edge_error(matte, who.alpha) < 1.2


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nobody_and_nothing_but_a_person(value):
    probability = np.full((256, 256), value, np.float32)
    prior = np.full((64, 64), value, np.float32)
    matte = matte_of(plain_room(SIZE, SIZE), probability, prior)
    assert (matte == value).all()


def test_grey_pictures():
    grey = cv2.cvtColor(composed(WHO, plain_room(SIZE, SIZE), noise=1), cv2.COLOR_RGB2GRAY)
    matte = matte_of(np.dstack([grey] * 3), coarse_mask(WHO, wobble=1.5))
    assert edge_error(matte) < 2.5


def test_inputs_are_left_alone():
    picture, probability = composed(WHO, plain_room(SIZE, SIZE)), coarse_mask(WHO)
    prior = WHO.prior.copy()
    copies = picture.copy(), probability.copy(), prior.copy()
    state = MatteState()
    for _ in range(2):
        matte_of(picture, probability, prior, state)
    for now, before in zip((picture, probability, prior), copies, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("name", ["grid_bbaf2n", "grid_brbk7n", "grid_sbwe5n"])
def test_people_before_a_backdrop(dev_clips, name):
    frames, truth = backdrop_clip(dev_clips / f"{name}.mpg", 2)
    prior = np.zeros((288, 360), np.float32)
    with PersonSegmenter() as segmenter:
        mask = segmenter.segment(frames[0])
    matte = head_matte(frames[0], mask, prior, MatteSettings(size=SIZE), MatteState())
    matte = cv2.resize(matte, (360, 288))[4:200]
    person_, key = matte > 0.5, truth[0][4:200] > 0.5
    assert (person_ & key).sum() / (person_ | key).sum() > 0.97  # measured 0.980…0.986


def test_what_labels_tell_from_the_person_is_left_out_but_nothing_that_is_sure():
    alpha = np.full((60, 80), 0.5, np.float32)
    alpha[:, 60:] = 1.0
    told = np.zeros((128, 128), np.float32)
    told[:64] = 1.0
    kept = without_told_background(alpha, told)
    assert (kept[:28, :60] == 0).all()
    assert (kept[:, 60:] == 1).all()
    assert (kept[32:] == alpha[32:]).all()
    assert without_told_background(alpha, None) is alpha


def test_a_speck_in_hair_is_no_hole_but_a_curl_at_its_edge_stays_open():
    alpha = np.zeros((64, 64), np.float32)
    alpha[10:50, 10:50] = 1
    alpha[30:33, 30:33] = 0.4  # a bright lock
    alpha[38:48, 16:26] = 0.0  # the room through an arm
    alpha[10:14, 40:43] = 0.2  # between curls
    filled = without_pits(alpha)
    assert filled[30:33, 30:33].min() == 1
    assert filled[40:46, 18:24].max() == 0
    assert filled[10:12, 40:43].max() < 0.3
    np.testing.assert_array_equal(filled[:10], alpha[:10])
    assert without_pits(filled) is filled
