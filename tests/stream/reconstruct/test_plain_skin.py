"""Where brightness tells relief."""

import numpy as np

from stream.head_model import load_head_model
from stream.reconstruct.plain_skin import plain_skin

BROW, LIP, NOSTRIL, CHEEK, FOREHEAD, CHIN = 105, 0, 98, 50, 151, 175


def test_cheeks_and_forehead_tell_relief_and_brows_lips_nostrils_do_not():
    model = load_head_model()
    told = plain_skin(model, model.points478())
    assert told[[CHEEK, FOREHEAD, CHIN]].min() > 0.9
    assert told[[BROW, LIP, NOSTRIL]].max() == 0
    eye = np.array([33, 159, 145, 133])
    assert told[eye].max() == 0
    mirrored = plain_skin(model, model.points478() * [-1, 1, 1])
    assert abs(mirrored - told).mean() < 0.02
