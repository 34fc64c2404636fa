import cv2
import numpy as np
import pytest

from stream.frame import Face
from stream.puppet.clothes import (
    clothes_layer,
    clothes_let_go,
    clothes_share,
    still_under_clothes,
    under_clothes,
)
from stream.puppet.inside import eye_picture, mouth_pictures
from stream.puppet.layers import (
    background_at_rest,
    denser_matte,
    firmer_matte,
    laid_over,
    moving_layer,
)
from stream.puppet.portrait import wears_glasses
from stream.region import Region
from stream.sight import BODY, NECK, OCCLUDER, Sight

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
    at_rest = background_at_rest(bare, bare_matte, plate)
    behind = over(moving_layer(bare, bare_matte, plate), at_rest)
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
    at_rest = background_at_rest(picture, matte, plate)
    layer = moving_layer(picture, matte, plate)
    assert (layer[..., :3] <= layer[..., 3:]).all()
    assert np.abs(over(layer, at_rest) - picture).max() <= 2


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
        mouth_pictures(picture, mouth_border(0.0), 1.6, np.array(skin), True)
        for skin in ((210.0, 170, 150), (60.0, 48, 42))
    )
    (jaw, window), (skull, same) = bright
    assert window == same
    assert jaw.shape == skull.shape == (window.height, window.width, 4)
    assert (jaw[..., 3] == 255).all()
    x, y = 80 - window.x0, 80 - window.y0
    tooth = skull[y - 2, x + 5]
    assert tooth[3] == 255
    assert tooth[:3].min() > 120
    assert skull[y + 12, x, 3] == 0  # below the upper teeth one looks past them
    assert jaw[y + 12, x, :3].mean() < tooth[:3].mean()
    assert dark[1][0][y - 2, x + 5, :3].mean() < 0.6 * tooth[:3].mean()


def test_open_mouth_keeps_what_the_photo_shows():
    picture = RNG.integers(60, 220, (240, 160, 3), dtype=np.uint8)
    border = mouth_border(24.0)
    (_, window), (skull, _) = mouth_pictures(picture, border, 1.6, np.full(3, 150.0), False)
    x, y = 80 - window.x0, 80 - window.y0
    inside = np.s_[y - 8 : y + 9, x - 12 : x + 13]
    assert (skull[inside][..., :3] == window.crop(picture)[inside]).all()
    assert (skull[inside][..., 3] == 255).all()
    assert skull[-3, x, 3] == 0


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
