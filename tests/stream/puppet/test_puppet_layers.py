import cv2
import numpy as np
import pytest

from stream.frame import Face
from stream.puppet.clothes import (
    clothes_layer,
    clothes_let_go,
    clothes_share,
    clothes_told,
    lining,
    still_under_clothes,
    under_clothes,
)
from stream.puppet.grain import blur_px
from stream.puppet.inside import eye_picture, eye_white, mouth_pictures, seen_teeth
from stream.puppet.layers import (
    background_at_rest,
    denser_matte,
    firmer_matte,
    laid_over,
    moving_layer,
    without_told_background,
)
from stream.puppet.painted import MouthPart, mouth_look, painted_mouth
from stream.puppet.portrait import wears_glasses
from stream.region import Region
from stream.sight import BACKGROUND, BODY, FACE, HAIR, NECK, OCCLUDER, Sight

RNG = np.random.default_rng(5)


def person(size=120):
    """A skin-coloured neck in a blue collar before a bright wall."""
    picture = np.full((size, size, 3), 225, np.uint8)
    cv2.rectangle(picture, (40, 0), (80, size), (200, 150, 120), -1)
    cv2.rectangle(picture, (15, 70), (105, size), (30, 40, 140), -1)
    noise = RNG.integers(0, 6, picture.shape, dtype=np.uint8)
    matte = np.zeros((size, size), np.uint8)
    matte[:, 40:81] = matte[70:, 15:106] = 255
    cloth = np.zeros((size, size), np.float32)
    cloth[70:] = 1
    return picture + noise, cv2.blur(matte, (5, 5)), cv2.blur(cloth, (3, 3))


def over(layer, behind):
    rest = layer[..., :3] + (1 - layer[..., 3:] / 255.0) * behind
    return np.clip(np.rint(rest), 0, 255)


def test_layers_give_the_picture_back():
    picture, matte, cloth = person()
    plate = np.full_like(picture, 228)
    bare, bare_matte = under_clothes(picture, cloth, matte, plate, 0.3)
    bare_matte = denser_matte(bare, bare_matte, plate)
    layer = moving_layer(bare, bare_matte, plate, bare)
    behind = over(layer, background_at_rest(bare, layer, plate))
    shown = over(clothes_layer(picture, cloth, matte, bare), behind)
    error = np.abs(shown - picture)
    assert (error > 3).mean() < 0.01
    assert 10 * np.log10(255**2 / (error**2).mean()) > 45


def test_skin_goes_on_under_the_collar():
    picture, matte, cloth = person()
    bare, bare_matte = under_clothes(picture, cloth, matte, np.full_like(picture, 228), 0.3)
    assert np.abs(bare[100, 60].astype(int) - (203, 153, 123)).max() < 12
    assert (bare[:60] == picture[:60]).all()
    assert bare_matte[100, 60] == 255
    assert bare_matte[100, 16] < 60  # at the outline of the clothes nothing is under them
    _, shallow = under_clothes(picture, cloth, matte, np.full_like(picture, 228), 2.0)
    assert shallow[80, 60] == 255
    assert shallow[100, 60] == 0  # 60 mm deep, where the neck does not turn


def test_a_collar_goes_on_behind_the_neck_beside_it_and_not_above():
    picture = np.full((100, 120, 3), 225, np.uint8)
    picture[:, 40:81] = 170  # a neck
    picture[60:, 10:40] = picture[60:, 81:111] = (30, 40, 140)  # a collar to both sides
    matte, cloth = np.zeros((2, 100, 120), np.uint8)
    matte[:, 40:81] = matte[60:, 10:111] = 255
    cloth[60:, 10:40] = cloth[60:, 81:111] = 255
    behind = lining(np.dstack([picture * (cloth[..., None] > 0), cloth]), matte, 0.7)
    assert behind[80, 42, 3] == behind[80, 78, 3] == 255
    assert 0.6 < behind[80, 45, 2] / 140 < 0.95  # darker than the collar itself
    assert behind[80, 60, 3] == 0  # 20 pixels from either side, more than 14 mm
    assert behind[64, 50, 3] == 0  # near its upper end it is narrow
    assert (behind[:60, :, 3] == 0).all()  # above it the scenery is uncovered
    assert (behind[:, :10] == 0).all()


def test_a_shadow_that_a_slight_matte_takes_along_is_no_cloth():
    picture, matte, cloth = person()
    matte[60:70, 15:40] = 12  # above the collar, on the wall, which the fill does not know
    picture[55:70, 15:40] = 190
    cloth[55:70] = 1
    bare, _ = under_clothes(picture, cloth, matte, np.full_like(picture, 228), 0.3)
    shown = clothes_layer(picture, cloth, matte, bare)
    assert (shown[60:66, 15:36] == 0).all()
    assert (shown[75:, 20:100, 3] > 250).all()


def test_without_labels_there_are_no_clothes():
    picture, matte, _ = person()
    square = cv2.resize(picture, (256, 256))
    sight = Sight(square, np.ones((256, 256), np.float32))
    share = clothes_share(sight, picture)
    assert not share.any()
    assert clothes_let_go(sight) is sight
    bare, same = under_clothes(picture, share, matte, np.full_like(picture, 228), 0.3)
    assert (bare == picture).all()
    assert (same == matte).all()


def test_colours_tell_a_collar_that_the_network_took_for_neck():
    picture, matte, cloth = person()
    square = cv2.resize(picture, (256, 256))
    labels = np.zeros((9, 256, 256), np.float32)
    grown = cv2.resize(matte.astype(np.float32) / 255, (256, 256)) > 0.5
    labels[NECK][grown] = 1
    body = np.arange(256)[:, None] > 163  # the network sees the collar begin 14 pixels too low
    labels[BODY][grown & body], labels[NECK][grown & body] = 1, 0
    sight = Sight(square, grown.astype(np.float32), labels)
    share = clothes_share(sight, picture)
    inside = matte > 250
    found, true = share[inside] > 0.5, cloth[inside] > 0.5
    assert (found == true).mean() > 0.97
    let_go = clothes_let_go(sight)
    assert not let_go.labels[BODY].any()
    assert let_go.labels.sum() == pytest.approx(labels.sum())


def in_a_white_collar(wall):
    """A face above a white collar that the network takes for the neck, and what is true."""
    picture = np.full((256, 256, 3), wall, np.uint8)
    skin, collar, coat = np.zeros((3, 256, 256), bool)
    skin[40:150, 90:166] = True
    collar[150:175, 80:176] = True
    coat[175:, 40:216] = True
    picture[skin], picture[collar], picture[coat] = (198, 150, 122), (238, 238, 240), (30, 32, 60)
    picture += RNG.integers(0, 6, picture.shape, dtype=np.uint8)
    labels = np.zeros((9, 256, 256), np.float32)
    labels[FACE][skin & (np.arange(256)[:, None] < 120)] = 1
    labels[NECK][skin & (np.arange(256)[:, None] >= 120)] = 1
    labels[NECK][collar] = 1
    labels[BODY][coat] = 1
    labels[BACKGROUND] = ~(skin | collar | coat)
    return picture, labels, skin, collar | coat


@pytest.mark.parametrize("wall", [235, 60])
def test_a_white_collar_is_no_skin_whatever_the_wall(wall):
    picture, labels, skin, cloth = in_a_white_collar(wall)
    sight = Sight(picture, (skin | cloth).astype(np.float32), labels)
    share = clothes_share(sight, picture)
    inner = np.ones((7, 7), np.uint8)
    assert share[cv2.erode(cloth.astype(np.uint8), inner) > 0].min() > 0.9
    assert share[cv2.erode(skin.astype(np.uint8), inner) > 0].max() < 0.1
    told = clothes_told(sight, share)
    assert told.share(NECK)[165, 128] < 0.1 < labels[NECK, 165, 128]
    assert told.share(NECK)[135, 128] > 0.9


def test_a_badge_is_of_the_clothes_and_an_earring_of_the_head():
    picture, labels, skin, cloth = in_a_white_collar(60)
    badge, earring = np.s_[200:215, 120:135], np.s_[110:124, 166:172]
    for part, colour in ((badge, (200, 150, 120)), (earring, (20, 20, 24))):
        picture[part], labels[(slice(None), *part)] = colour, 0
        labels[(NECK, *part)] = 1
    person = (skin | cloth).astype(np.float32)
    person[earring] = 1
    share = clothes_share(Sight(picture, person, labels), picture)
    assert share[207, 127] > 0.9
    assert share[117, 169] < 0.1


def test_motion_ends_under_the_border_of_clothes():
    turn = np.full((60, 40), 0.6, np.float32)
    share, matte = np.zeros((60, 40), np.float32), np.ones((60, 40), np.float32)
    share[20:] = 1
    still = still_under_clothes(turn, share, matte, 2.0)
    assert still[:20] == pytest.approx(0.6)
    assert still[22, 20] > 0.5
    assert still[45, 20] == pytest.approx(0.0)
    assert (np.diff(still[:, 20]) < 1e-6).all()


def random_layers():
    picture = RNG.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    matte = RNG.integers(0, 256, (60, 60), dtype=np.uint8)
    plate = RNG.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    matte[:10], matte[10:20] = 0, 255
    return picture, matte, plate


def test_background_at_rest_gives_the_picture_back():
    picture, matte, plate = random_layers()
    own = RNG.integers(0, 256, picture.shape, dtype=np.uint8)
    layer = moving_layer(picture, matte, plate, own)
    at_rest = background_at_rest(picture, layer, plate)
    assert (layer[..., :3] <= layer[..., 3:]).all()
    assert np.abs(over(layer, at_rest) - picture).max() <= 2
    assert (at_rest[10:20] == plate[10:20]).all()


def test_a_dark_hair_covers_a_bright_background():
    picture, plate = np.full((8, 8, 3), 20, np.uint8), np.full((8, 8, 3), 220, np.uint8)
    for alpha, least in ((200, 230), (10, 10)):  # where the matte is slight, it is believed
        denser = denser_matte(picture, np.full((8, 8), alpha, np.uint8), plate)
        assert (denser >= least).all() and denser.max() < 235
    assert (denser == 10).all()


def test_soft_edges_are_trimmed_before_busy_scenery_alone():
    matte = np.tile(np.clip(np.linspace(-3000, 3255, 200), 0, 255), (200, 1)).astype(np.uint8)
    plain = np.full((200, 200, 3), 90, np.uint8)
    busy = RNG.integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert (firmer_matte(plain, matte) == matte).all()
    soft = (matte > 0) & (matte < 90)
    assert firmer_matte(busy, matte)[soft].mean() < 0.6 * matte[soft].mean()
    assert (firmer_matte(busy, matte)[matte == 255] == 255).all()


def test_layers_over_each_other():
    picture, matte, plate = random_layers()
    shown = laid_over(picture, matte, plate)
    assert (shown[:10] == plate[:10]).all() and (shown[10:20] == picture[10:20]).all()


def drawn_eye():
    picture = np.full((80, 120, 3), (200, 160, 140), np.uint8)
    cv2.circle(picture, (60, 40), 30, (240, 240, 238), -1)
    cv2.circle(picture, (60, 40), 13, (70, 50, 30), -1)
    around = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    opening = np.stack([60 - 26 * np.cos(around), 40 - 9 * np.sin(around)], axis=1)
    lids = np.zeros((80, 120), np.uint8)
    cv2.fillPoly(lids, [np.rint(opening).astype(np.int32)], 1)
    truth = picture.copy()
    picture[lids == 0] = (200, 160, 140)
    iris = np.array([[60, 40], [73, 40], [60, 27], [47, 40], [60, 53]], float)
    return picture, truth, opening, iris


def test_eyeball_is_completed_under_the_lids():
    picture, truth, opening, iris = drawn_eye()
    ball, window = eye_picture(picture, opening, iris)
    assert (ball[..., 3] == 255).all()
    crop, right = window.crop(picture), window.crop(truth)
    x, y = 60 - window.x0, 40 - window.y0
    assert np.abs(ball[y - 5 : y + 6, x - 15 : x + 16, :3].astype(int)
                  - crop[y - 5 : y + 6, x - 15 : x + 16]).max() <= 1  # fmt: skip
    hidden_iris = ball[y - 11, x, :3].astype(int)
    assert np.abs(hidden_iris - right[y - 11, x]).max() < 30
    hidden_white = ball[y - 12, x + 18, :3].astype(int)
    assert np.abs(hidden_white - right[y - 12, x + 18]).max() < 25


def mouth_border(gap):
    x = np.linspace(40, 120, 21)
    bow = np.sin(np.pi * (x - 40) / 80)
    upper, lower = np.stack([x, 80 - gap / 2 * bow], 1), np.stack([x, 80 + gap / 2 * bow], 1)
    return np.concatenate([upper, lower[-2:0:-1]])


def test_shut_mouth_gets_teeth_in_the_light_of_the_face():
    picture = np.full((240, 160, 3), (190, 140, 120), np.uint8)
    bright, dark = (
        mouth_pictures(
            picture, mouth_border(0.0), 1.6, mouth_look(np.array(skin), None, None, 1), True
        )
        for skin in ((210.0, 170, 150), (60.0, 48, 42))
    )
    (jaw, window), (lower, _), (skull, same) = bright
    assert window == same
    assert jaw.shape == lower.shape == skull.shape == (window.height, window.width, 4)
    assert (jaw[..., 3] == 255).all()
    x, y = 80 - window.x0, 80 - window.y0
    tooth = skull[y - 2, x + 5]
    assert tooth[3] == 255
    assert tooth[:3].min() > 120
    assert skull[y + 12, x, 3] == 0  # below the upper teeth one looks past them
    assert jaw[y + 12, x, :3].mean() < tooth[:3].mean()
    assert dark[2][0][y - 2, x + 5, :3].mean() < 0.6 * tooth[:3].mean()


def test_open_mouth_keeps_what_the_photo_shows():
    picture = np.repeat(RNG.integers(60, 220, (240, 160, 1), dtype=np.uint8), 3, axis=2)
    border = mouth_border(24.0)
    look = mouth_look(np.full(3, 150.0), None, np.full(3, 170.0), 1)
    _, (_, window), (skull, _), (own, _) = mouth_pictures(picture, border, 1.6, look, False)
    x, y = 80 - window.x0, 80 - window.y0
    inside = np.s_[y - 8 : y + 9, x - 12 : x + 13]
    assert (skull[inside][..., :3] == window.crop(picture)[inside]).all()
    assert (skull[inside][..., 3] == 255).all()
    assert skull[-3, x, 3] == own[-3, x, 3] == 0
    assert (own[inside] == skull[inside]).all()


def test_what_is_no_teeth_does_not_hang_in_a_mouth_that_opens_wide():
    picture, border = open_mouth((60, 20, 20))
    look = mouth_look(np.array([190.0, 140, 120]), None, None, 1)
    shut = mouth_pictures(picture, border, 1.6, look, True)
    _, (_, window), (skull, _), (own, _) = mouth_pictures(picture, border, 1.6, look, False)
    assert (skull == shut[2][0]).all()
    x, y = 80 - window.x0, 80 - window.y0
    assert (own[y, x] == (60, 20, 20, 255)).all()


def open_mouth(colour):
    """A face with an open mouth that shows a colour between red lips."""
    picture = np.full((240, 160, 3), (190, 140, 120), np.uint8)
    border = mouth_border(24.0)
    cv2.fillPoly(picture, [np.rint(border).astype(np.int32)], colour)
    cv2.polylines(picture, [np.rint(border).astype(np.int32)], True, (170, 70, 70), 3)
    return picture, border


def test_teeth_have_the_colour_that_the_photo_shows():
    skin = np.array([190.0, 140, 120])
    picture, border = open_mouth((231, 224, 190))
    teeth = seen_teeth(picture, border, skin)
    assert teeth == pytest.approx([231, 224, 190], abs=4)
    assert (mouth_look(skin, None, teeth, 1).tooth == teeth).all()
    dark, border = open_mouth((60, 20, 20))
    assert seen_teeth(dark, border, skin) is None


def test_no_lip_stays_on_the_teeth_when_it_leaves_them():
    picture, border = open_mouth((231, 224, 190))
    look = mouth_look(np.array([190.0, 140, 120]), None, np.array([231.0, 224, 190]), 1)
    _, (_, window), (skull, _), _ = mouth_pictures(picture, border, 1.6, look, False)
    shown = skull[..., 3] > 250
    x, y = 80 - window.x0, 80 - window.y0
    teeth = skull[y - 4 : y + 22, x - 15 : x + 16][shown[y - 4 : y + 22, x - 15 : x + 16]]
    assert len(teeth) > 300
    assert (teeth[:, 0].astype(int) - teeth[:, 1] < 20).mean() > 0.99


def test_white_of_the_eyes_tells_the_light_on_teeth():
    skin = np.array([190.0, 150, 110])
    plain, warm = (
        mouth_look(skin, white, None, 1).tooth
        for white in (np.full(3, 200.0), np.array([200.0, 170, 90]))
    )
    assert warm[2] / warm[0] < 0.75 * plain[2] / plain[0]
    red, none = (
        mouth_look(skin, white, None, 1).tooth for white in (np.array([90.0, 50, 45]), None)
    )
    assert red == pytest.approx(none, rel=0.1)  # in the shadow of lids they tell nothing
    picture = np.full((120, 160, 3), (190, 150, 110), np.uint8)
    turn = np.linspace(0, 2 * np.pi, 17)[:16]
    border = np.stack([80 + 40 * np.cos(turn), 60 + 16 * np.sin(turn)], axis=1)
    cv2.fillPoly(picture, [np.rint(border).astype(np.int32)], (214, 205, 190))
    cv2.circle(picture, (80, 60), 12, (70, 50, 30), -1)
    iris = np.array([[80.0, 60], [92, 60], [80, 72], [68, 60], [80, 48]])
    assert eye_white(picture, border, iris) == pytest.approx([214, 205, 190], abs=3)
    shut = np.column_stack([border[:, 0], 60 + 0.02 * (border[:, 1] - 60)])
    assert eye_white(picture, shut, iris) is None


def test_teeth_are_never_blue_where_the_skin_is_not():
    skin = np.array([200.0, 160, 130])
    tooth = mouth_look(skin, np.array([170.0, 185, 200]), None, 1).tooth
    assert tooth[2] <= tooth[0]
    blue = np.array([90.0, 120, 200])  # on a stage in blue light they are
    lit = mouth_look(blue, np.array([120.0, 150, 230]), None, 1).tooth
    assert lit[2] > lit[0]


def test_a_blurred_photo_gets_a_blurred_mouth():
    sharp = RNG.integers(0, 2, (20, 20)).astype(np.uint8) * 200
    sharp = cv2.cvtColor(np.kron(sharp, np.ones((20, 20), np.uint8)), cv2.COLOR_GRAY2RGB)
    points = np.zeros((478, 2))
    points[33], points[263], points[10], points[152] = (60, 200), (340, 200), (200, 5), (200, 395)
    assert blur_px(sharp, points) < 0.7
    for sigma in (2.0, 4.0):
        told = blur_px(cv2.GaussianBlur(sharp, (0, 0), sigma), points)
        assert told == pytest.approx(sigma, rel=0.2)
    assert blur_px(np.full_like(sharp, 90), points) == 0
    skin, steps = np.array([190.0, 140, 120]), []
    for told in (0.3, 4.0):
        look = mouth_look(skin, None, None, 7, told)
        teeth = painted_mouth((60, 100), np.array([[20.0, 30], [80, 30]]), 1.5, look,
                              MouthPart.UPPER_TEETH)  # fmt: skip
        steps.append(np.abs(np.diff(teeth[..., 1], axis=0)).max())
    assert steps[1] < 0.4 * steps[0]


def test_mouths_differ_and_darken_towards_their_corners():
    skin = np.array([200.0, 160, 140])
    ends = np.array([[60.0, 100], [140, 100]])
    rows = [
        painted_mouth(
            (200, 200), ends, 1.6, mouth_look(skin, None, None, who), MouthPart.UPPER_TEETH
        )
        for who in (1, 1, 2)
    ]
    assert (rows[0] == rows[1]).all()
    assert np.abs(rows[0] - rows[2]).max() > 40
    line = rows[0][99, :, :3].mean(axis=1)
    assert line[95:106].mean() > 1.6 * line[65:70].mean()


def test_a_notch_of_wall_is_no_person_but_hair_is_left_to_the_matte():
    square, person = np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32)
    labels = np.zeros((9, 256, 256), np.float32)
    labels[FACE], labels[BACKGROUND, 100:140, 40:60] = 1, 1
    labels[BACKGROUND, 10:30, 40:60], labels[HAIR, 10:30, 60:80] = 1, 1
    matte = np.full((512, 512), 255, np.uint8)
    assert without_told_background(matte, Sight(square, person)) is matte
    kept = without_told_background(matte, Sight(square, person, labels))
    assert kept[240, 100] == 0  # the notch
    assert kept[40, 118] == 255  # wall between strands
    assert kept[300, 300] == 255


def test_glasses_are_things_around_the_eyes():
    points = np.zeros((478, 3), np.float32)
    points[:, :2] = 100 + 2 * np.array([50, 40])  # all where the glasses are
    face, region = Face(1, points), Region(100, 100, 356, 356)
    square, person = np.zeros((256, 256, 3), np.uint8), np.ones((256, 256), np.float32)
    labels = np.zeros((9, 256, 256), np.float32)
    assert not wears_glasses(Sight(square, person), face, region)
    assert not wears_glasses(Sight(square, person, labels), face, region)
    labels[OCCLUDER, 60:100, 80:120] = 0.8
    assert wears_glasses(Sight(square, person, labels), face, region)
    elsewhere = Region(0, 0, 256, 256)
    assert not wears_glasses(Sight(square, person, labels), face, elsewhere)
