"""Where expressions press the skin, and the folds that a photo's expression leaves."""

import numpy as np
import pytest
from swap_faces import MODEL

from stream.swap.tension import (
    FOLD_RANGE,
    Tension,
    fold_levels,
    folded_texels,
    softened,
    without_folds,
)
from stream.swap.texture_light import DISPLAY_GAMMA


def units(**given):
    expression = np.zeros(len(MODEL.expression_names), np.float32)
    for name, value in given.items():
        expression[MODEL.expression_names.index(name)] = value
    return expression


SMILE = units(mouthSmileLeft=0.8, mouthSmileRight=0.8)
RAISED = units(browInnerUp=1.0, browOuterUpLeft=1.0, browOuterUpRight=1.0)


def middle_of(weights):
    return (weights[:, None] * MODEL.vertices).sum(axis=0) / weights.sum()


def test_a_calm_face_has_no_folds():
    assert Tension(MODEL, units()).folded.max() == 0


def test_a_smile_folds_the_cheeks_and_brows_the_forehead():
    points = MODEL.points68()
    smile, raised = Tension(MODEL, SMILE).folded, Tension(MODEL, RAISED).folded
    assert smile.max() > 0.8 and raised.max() > 0.5
    assert points[33, 1] - 15 < middle_of(smile)[1] < points[8, 1]  # y points down
    assert middle_of(raised)[1] < points[17:27, 1].mean()
    left = smile[MODEL.vertices[:, 0] < 0].sum()
    assert left == pytest.approx(smile.sum() / 2, rel=0.1)


def test_lips_lids_and_brows_are_never_folds():
    everything = np.full(len(MODEL.expression_names), 0.5, np.float32)
    folded = Tension(MODEL, everything).folded
    for place in MODEL.points68()[np.r_[17:27, 36:68]]:
        nearest = np.linalg.norm(MODEL.vertices - place, axis=1).argmin()
        assert folded[nearest] < 0.05


def test_folds_show_as_far_as_the_face_presses_its_skin_likewise():
    tension = Tension(MODEL, SMILE)
    cheek = int(tension.folded.argmax())
    assert tension.likeness(SMILE)[cheek] == pytest.approx(1, abs=0.01)
    trace = tension.likeness(units())[cheek]
    assert 0.1 < trace < 0.75
    assert trace + 0.1 < tension.likeness(0.5 * SMILE)[cheek] < 0.9
    assert tension.likeness(RAISED)[cheek] < trace + 0.1
    assert tension.likeness(SMILE)[tension.folded == 0].max() <= 1


def test_one_side_that_smiles_has_folds_on_its_side():
    tension = Tension(MODEL, SMILE)
    likeness = tension.likeness(units(mouthSmileLeft=0.8)) - tension.likeness(units())
    likeness = likeness * tension.folded
    left, right = (likeness[MODEL.vertices[:, 0] * side > 15].sum() for side in (1, -1))
    assert max(left, right) > 5 * min(left, right)


def test_folds_are_parted_from_a_texture_and_make_it_whole_again():
    rng = np.random.default_rng(2)
    albedo = np.full((256, 256, 3), 0.3, np.float32)
    albedo *= np.exp(0.08 * rng.normal(size=(256, 256, 1))).astype(np.float32)
    albedo[:, 124:128] *= 0.6
    albedo[:, 130:136] *= 1.3  # the ridge beside the fold
    folded = np.zeros((256, 256), np.float32)
    folded[:128] = 1
    calm, folds = without_folds(albedo, folded)
    assert np.allclose(calm[128:], albedo[128:], atol=1e-6)
    courses = [np.log(part[20:108]).mean(axis=(0, 2)) for part in (albedo, calm)]
    before, after = (np.ptp(course[115:145]) for course in courses)
    assert after < 0.5 * before
    plain = slice(20, 108), slice(10, 90)
    assert np.log(calm[plain]).std() > 0.7 * np.log(albedo[plain]).std()  # pores stay
    whole = (calm ** (1 / DISPLAY_GAMMA) * np.exp(folds[..., None])) ** DISPLAY_GAMMA
    assert np.abs(np.log(whole) - np.log(albedo)).max() < 1e-3


def test_a_softened_fold_has_no_hard_core_but_its_whole_shade():
    folds = np.zeros((512, 512), np.float32)
    folds[:, 250:253] = -0.6
    soft = softened(folds)
    assert soft.min() > -0.3
    assert soft[256].sum() == pytest.approx(folds[256].sum(), rel=0.01)


def test_fold_levels_keep_brightness():
    folds = np.array([[0.0, -0.4, 0.4, 5.0]], np.float32)
    levels = fold_levels(folds)
    assert levels[0, 0] == 128 and levels[0, 3] == 255
    back = (levels.astype(np.float32) - 128) * FOLD_RANGE / 256
    assert back[0, :3] == pytest.approx(folds[0, :3], abs=0.005)


def test_folded_texels_lie_where_the_folds_do():
    tension = Tension(MODEL, SMILE)
    painted = folded_texels(tension, MODEL, 128)
    assert painted.shape == (128, 128) and painted.max() > 0.7 and painted.min() >= 0
    assert np.abs(painted - painted[:, ::-1]).mean() < 0.02
