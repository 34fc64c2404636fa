"""What of a better fill is made again."""

import numpy as np
from scenes import rough_room

from stream.plate_canvas import GOOD, NOTHING, SURE, Layers
from stream.plate_fill import completed, worth_completing

HEIGHT, WIDTH = 240, 320
HIDDEN = np.s_[80:240, 110:210]


def layers():
    """A room whose middle was never seen, and is well filled with a colour of its own."""
    colour = rough_room(HEIGHT, WIDTH).copy()
    trust = np.full((HEIGHT, WIDTH), SURE, np.uint8)
    fill = np.zeros((HEIGHT, WIDTH), np.uint8)
    colour[HIDDEN], trust[HIDDEN], fill[HIDDEN] = (90, 60, 200), 0, GOOD
    return Layers(colour, trust, fill)


def test_a_fill_changes_only_near_what_has_changed():
    before = layers()
    assert not worth_completing(before)
    before.fill[80:240, 195:210] = NOTHING  # hidden anew
    before.colour[80:240, 195:210] = 0
    assert worth_completing(before)
    after = completed(before.copied(), 96)
    np.testing.assert_array_equal(after[80:240, 110:160], before.colour[80:240, 110:160])
    assert (after[80:240, 197:208] > 0).any(axis=-1).mean() > 0.95
    np.testing.assert_array_equal(after[:, 210:], before.colour[:, 210:])


def test_a_fill_meets_what_was_uncovered():
    before = layers()
    before.trust[80:240, 195:210] = SURE  # seen since the fill was made
    before.colour[80:240, 195:210] = rough_room(HEIGHT, WIDTH)[80:240, 195:210]
    assert worth_completing(before)
    after = completed(before.copied(), 96)
    changed = (after != before.colour).any(axis=-1)
    assert changed[80:240, 185:195].mean() > 0.5
    assert not changed[80:240, 110:160].any()


def test_what_is_mostly_new_is_filled_as_a_whole():
    before = layers()
    before.fill[80:200, 110:210] = NOTHING
    after = completed(before.copied(), 96)
    assert (after != before.colour).any(axis=-1)[HIDDEN].mean() > 0.9
