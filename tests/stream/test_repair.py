"""Repair of pasted faces at run time, with a network that is made up."""

import numpy as np
import pytest

from engines.errors import NotShippedError
from stream import networks
from stream.region import Region
from stream.repair import SIZE, FaceRepair, change_allowed, open_repair, repair_region, taken


class Brighter:
    """Adds to every pixel; notes what it was asked."""

    def __init__(self, by):
        self.by, self.asked = by, []

    def __call__(self, picture, masks):
        self.asked.append((picture, masks))
        return {"repaired": picture + self.by / 255}


def points(x=200.0, y=150.0, height=120.0):
    place = np.random.default_rng(0).uniform(-0.35, 0.35, (478, 2)) * height
    place[0], place[1] = (0, -height / 2), (0, height / 2)
    return place + np.array([x, y])


def test_the_square_holds_the_face_and_what_is_around_it():
    square = repair_region(points())
    assert square.width == square.height == 180
    assert abs((square.x0 + square.x1) / 2 - 200) < 3
    assert abs((square.y0 + square.y1) / 2 - 150) < 3


def test_beyond_the_picture_its_border_goes_on():
    picture = np.arange(40 * 30, dtype=np.uint8).reshape(30, 40)
    whole = taken(picture, Region(-5, -3, 45, 33))
    assert whole.shape == (36, 50)
    assert np.array_equal(whole[3:33, 5:45], picture)
    assert (whole[3:33, :5] == picture[:, :1]).all()
    assert np.array_equal(taken(picture, Region(2, 3, 9, 8)), picture[3:8, 2:9])


def test_only_what_was_pasted_and_a_little_around_it_changes():
    masks = np.zeros((SIZE, SIZE, 2), np.uint8)
    masks[40:80, 50:90, 0] = 255
    share = change_allowed(masks)
    assert share[45:75, 55:85].min() == 1
    assert share[:25].max() == share[:, 105:].max() == 0
    assert 0 < share[37, 70] <= 1
    masks[10:20, 10:20, 1] = 255
    assert change_allowed(masks)[15, 15] == 1, "what is unknown may change, too"


def test_a_frame_is_repaired_in_place_and_only_there():
    frame = np.full((300, 400, 3), 100, np.uint8)
    region = Region(150, 90, 250, 210)
    mask = np.full((120, 100), 255, np.uint8)
    engine = Brighter(40)
    FaceRepair(engine).apply(frame, points(), mask, region)
    assert (frame[110:190, 170:230] == 140).all()
    assert (frame[:50] == 100).all()
    assert (frame[:, :100] == 100).all()
    picture, masks = engine.asked[0]
    assert picture.shape == (1, 3, SIZE, SIZE)
    assert masks.shape == (1, 2, SIZE, SIZE)
    assert masks[:, 0].max() == 1
    assert not masks[:, 1].any()


def test_a_face_at_the_frames_border_is_repaired_too():
    frame = np.full((300, 400, 3), 100, np.uint8)
    FaceRepair(Brighter(40)).apply(
        frame, points(20, 30), np.full((70, 60), 255, np.uint8), Region(0, 0, 60, 70)
    )
    assert (frame[10:50, 10:40] == 140).all()


def test_the_change_comes_and_goes_slowly():
    engine = Brighter(40)
    mend = FaceRepair(engine)
    picture = np.full((100, 100, 3), 100, np.uint8)
    masks = np.full((100, 100, 2), 255, np.uint8)
    assert mend(picture, masks)[50, 50, 0] == 140
    engine.by = 0
    steps = [int(mend(picture, masks)[50, 50, 0]) for _ in range(6)]
    assert 100 < steps[0] < 140
    assert steps == sorted(steps, reverse=True)
    assert steps[-1] <= 101


def test_without_the_network_pasted_faces_stay_as_they_are(monkeypatch, caplog):
    def absent(*_args, **_options):
        raise NotShippedError("repair", "not there", "none")

    monkeypatch.setattr(networks, "open_engine", absent)
    with caplog.at_level("WARNING", logger="voltface"):
        assert open_repair() is None
    assert "not shipped" in caplog.text


@pytest.mark.parametrize("size", [97, 192, 500])
def test_a_network_that_changes_nothing_gives_the_picture_back(size):
    picture = np.random.default_rng(1).integers(0, 256, (size, size, 3)).astype(np.uint8)
    masks = np.full((size, size, 2), 255, np.uint8)
    assert np.array_equal(FaceRepair(Brighter(0))(picture, masks), picture)
