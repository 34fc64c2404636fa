"""What the plate learns before its background is given out, and after."""

import numpy as np
import pytest
from scenes import composed, person, plain_room

from stream.plate import BackgroundPlate, PlateSettings
from stream.region import Region

HEIGHT, WIDTH = 240, 320
WHOLE = Region(0, 0, WIDTH, HEIGHT)
QUICK = PlateSettings(completion="off")


@pytest.mark.parametrize("step", [0.004, 0.15])
def test_what_is_learnt_after_the_background_was_given_is_not_missed(step):
    room = plain_room(HEIGHT, WIDTH)
    at_once, later = BackgroundPlate(QUICK), BackgroundPlate(QUICK)
    for index in range(6):
        who = person(HEIGHT, WIDTH, x=0.2 + step * index)
        frame = composed(who, room)
        at_once.update(frame, WHOLE, who.alpha)
        given = at_once.background(WHOLE)
        later.see(frame, WHOLE, who.alpha)
        given_first = later.background(WHOLE)
        later.learn()
        assert np.abs(given_first.astype(int) - given).max() <= 8  # a fill is mended a frame later
        assert np.abs(given_first.astype(float) - room).mean() < 6
    assert (later.unseen(WHOLE, (80, 60)) == at_once.unseen(WHOLE, (80, 60))).all()
