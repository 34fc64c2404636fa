import cv2
import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from stream.refine import COVER, DOUBT, SIZE
from training.learn.refine_truth import aligned_truth, in_tone


def textured(seed):
    rng = np.random.default_rng(seed)
    small = rng.integers(60, 200, (32, 32, 3), np.uint8)
    return cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def test_the_truth_is_laid_onto_what_the_coarse_picture_is_sure_of():
    head, room = textured(0), textured(1)
    disc = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(disc, (128, 128), 90, 255, -1)
    inside = (disc > 0)[..., None]
    coarse = np.where(inside, head, room)
    shift = np.float32([[1, 0, 3], [0, 1, -2]])
    moved = cv2.warpAffine(disc, shift, (SIZE, SIZE))
    brighter = np.clip(cv2.warpAffine(head, shift, (SIZE, SIZE)) * 1.2, 0, 255)
    truth = np.where((moved > 0)[..., None], brighter, room).astype(np.uint8)
    masks = np.zeros((SIZE, SIZE, 4), np.uint8)
    masks[..., COVER] = disc
    masks[:, 128:, DOUBT] = disc[:, 128:]
    coarse[:, 140:][disc[:, 140:] > 0] = 0  # whatever a guess shows is not followed
    laid, error = aligned_truth(coarse, masks, truth, moved)
    before = np.abs(truth.astype(int) - head)[100:160, 60:110].mean()
    after = np.abs(laid.astype(int) - head)[100:160, 60:110].mean()
    assert before > 15
    assert after < 4
    assert error < 4
    hidden = np.abs(laid.astype(int) - head)[100:160, 150:190].mean()
    assert hidden < 0.7 * before  # place and tone are continued to where nothing is sure
    assert np.abs(laid[:20].astype(int) - room[:20]).mean() < 3  # the room stays where it is


def test_pictures_that_have_nothing_to_do_with_each_other_are_told_by_their_error():
    masks = np.zeros((SIZE, SIZE, 4), np.uint8)
    masks[..., COVER] = 255
    alpha = np.full((SIZE, SIZE), 255, np.uint8)
    _, error = aligned_truth(textured(0), masks, textured(5), alpha)
    assert error > 14


def test_light_is_taken_from_the_coarse_picture_and_what_is_wrong_stays_wrong():
    truth = textured(0)
    masks = np.zeros((SIZE, SIZE, 4), np.uint8)
    masks[..., COVER] = masks[..., DOUBT] = 255
    coarse = (truth * np.linspace(1.0, 0.75, SIZE)[None, :, None]).astype(np.uint8)
    coarse[100:160, 100:160] = 250, 10, 10  # what no light makes of it
    lit = in_tone(coarse, masks, truth).astype(int)
    same = np.ones((SIZE, SIZE), bool)
    same[80:180, 80:180] = False
    before, after = (np.abs(p.astype(int) - coarse)[same].mean() for p in (truth, lit))
    assert before > 10
    assert after < 3
    wrong = np.s_[115:145, 115:145]
    assert (
        np.abs(lit - coarse)[wrong].mean() > 0.8 * np.abs(truth.astype(int) - coarse)[wrong].mean()
    )
