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
from stream.puppet.inside import eye_picture
from stream.puppet.layers import (
    background_at_rest,
    denser_matte,
    firmer_matte,
    laid_over,
    moving_layer,
    without_told_background,
)
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
