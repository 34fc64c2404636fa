import numpy as np

from stream.provenance import FRAGMENTS, TELL
from stream.refine import COVER, DOUBT, SIZE
from training.learn.refine_guesses import FAR, GUESS, HIDDEN, guess_fragments, widened


def test_each_sheet_that_tells_anything_tells_it_in_one_channel():
    for kind, text in FRAGMENTS.items():
        assert text.count(TELL) == 1, kind
        told = [
            "vec4(0.0, 0.0, 0.0, covered)" not in guess_fragments(channel)[kind]
            for channel in (GUESS, FAR, HIDDEN)
        ]
        assert sum(told) == 1, kind
    assert "vec4(covered, 0.0" in guess_fragments(FAR)["far"]
    assert "vec4(covered, 0.0" in guess_fragments(HIDDEN)["under"]
    assert "vec4(guessed * covered, 0.0" in guess_fragments(GUESS)["near"]


def test_half_of_the_masks_are_widened_and_never_narrowed():
    masks = np.zeros((SIZE, SIZE, 4), np.uint8)
    masks[..., COVER] = 255
    masks[:64, :, DOUBT] = 200
    guesses = np.zeros((SIZE, SIZE, 3), np.uint8)
    guesses[64:128, :, GUESS] = 255
    guesses[128:192, :, FAR] = 255
    guesses[192:, :, HIDDEN] = 255
    rng = np.random.default_rng(0)
    found = [widened(masks, guesses, rng) for _ in range(200)]
    assert 0.4 < np.mean([one is masks for one in found]) < 0.6
    wide = np.stack([one[32::64, 0, DOUBT] for one in found])
    assert not masks[64:, :, DOUBT].any()  # what is given is not written to
    assert (wide[:, 0] == 200).all()
    for column, shares in ((1, {0, 255}), (2, {0, 127, 255}), (3, {0, 76, 178})):
        assert set(np.unique(wide[:, column])) == shares
    assert all((one[..., COVER] == 255).all() for one in found)
