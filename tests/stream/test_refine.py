from dataclasses import replace

import numpy as np
import pytest
from scenes import composed, person, plain_room
from videos import clip_frames

from stream.frame import Frame
from stream.governor import HIGH, LEVELS, LOW
from stream.media import StreamInfo
from stream.networks import NetworkSettings
from stream.pipeline import Reposer
from stream.plate import BackgroundPlate, PlateSettings
from stream.plate_canvas import PIECED
from stream.pose import PoseRequest
from stream.refine import (
    COVER,
    DOUBT,
    REST,
    SIZE,
    UNKNOWN,
    Change,
    Refiner,
    Repair,
    allowed,
    refine_masks,
    repaired,
    squeezed,
)
from stream.region import Region
from stream.settings import Settings
from stream.stats import StageTimer

PART = np.s_[100:140, 60:90]  # of the square, where a colour is a guess


class Engine:
    """Answers with the picture, lighter or darker by some grey levels."""

    def __init__(self, levels):
        self.levels, self.calls = levels, 0

    def __call__(self, picture, masks):
        assert picture.shape == (1, 3, SIZE, SIZE)
        assert masks.shape == (1, 4, SIZE, SIZE)
        assert picture.dtype == masks.dtype == np.float32
        assert picture.max() <= 1
        assert masks.max() <= 1
        self.calls += 1
        return {"refined": picture + np.float32(self.levels / 255)}


def told(doubt=255):
    """What the warp tells: a head all over the square, of which one part is a guess."""
    provenance = np.zeros((SIZE, SIZE, 3), np.uint8)
    provenance[..., 0] = 255
    provenance[PART] = 255, doubt, 0
    return provenance


def repair(engine, picture, provenance, unseen):
    """Find what a picture needs, and do it."""
    whole = Region(0, 0, picture.shape[1], picture.shape[0])
    found = Refiner(engine).change(picture, whole, provenance, unseen)
    return picture if found is None else repaired(picture, whole, Repair.of(found))


def drawn(height, width):
    return np.random.default_rng(3).integers(60, 190, (height, width, 3), np.uint8)


NOTHING = np.zeros((SIZE, SIZE), np.uint8)


def test_unknown_is_only_what_shows_beside_the_head_and_moves():
    provenance = np.zeros((SIZE, SIZE, 3), np.uint8)
    provenance[:, :80] = 255, 40, 0  # head
    provenance[:, 160:] = 0, 0, 255  # at rest
    unseen = np.zeros((SIZE, SIZE), np.uint8)
    unseen[:128] = 255
    masks = refine_masks(provenance, unseen)
    assert (masks[:, :80] == (255, 40, 0, 0)).all()
    assert (masks[:, 160:, REST] == 255).all()
    assert (masks[:, 160:, UNKNOWN] == 0).all()
    assert (masks[:128, 80:160, UNKNOWN] == 255).all()
    assert (masks[128:, 80:160, UNKNOWN] == 0).all()
    assert (masks[:, 80:, [COVER, DOUBT]] == 0).all()


def test_all_of_a_guess_and_a_soft_rim_may_change():
    weight = allowed(refine_masks(told(), NOTHING))
    assert (weight[PART] == 255).all()
    rim = weight[120, 90:104]
    assert rim[0] > 240
    assert (np.diff(rim.astype(int)) <= 0).all()
    assert (np.abs(np.diff(rim.astype(int))) < 90).all()  # no step
    assert rim[-1] == 0
    assert weight[:80].max() == weight[:, 110:].max() == 0


def test_the_room_may_change_only_beside_the_head():
    provenance = np.zeros((SIZE, SIZE, 3), np.uint8)
    provenance[:, :100, 0] = 255
    weight = allowed(refine_masks(provenance, np.full((SIZE, SIZE), 255, np.uint8)))
    assert (weight[:, 101:104] > 200).all()
    assert weight[:, 125:].max() == 0


def test_of_the_room_only_a_smooth_fill_may_change():
    provenance = np.zeros((SIZE, SIZE, 3), np.uint8)
    provenance[:, :100] = 255, 255, 0  # a head that is a guess all over
    masks = refine_masks(provenance, np.full((SIZE, SIZE), 255, np.uint8))
    blurred = np.zeros((SIZE, SIZE), np.uint8)
    blurred[:128] = 255
    weight = allowed(masks, blurred)
    assert (weight[:, :100] == 255).all()
    assert (weight[:100, 101:104] > 200).all()
    assert weight[128:, 100:].max() == 0


def test_half_a_guess_may_change_by_half():
    weight = allowed(refine_masks(told(doubt=128), NOTHING))
    assert weight.max() == 128


@pytest.mark.parametrize("size", [(256, 256), (640, 480), (173, 210)])
def test_what_was_seen_stays_as_it_is_and_guesses_follow_the_network(size):
    before = drawn(*size)
    after = repair(Engine(2), before, told(), NOTHING).astype(int)
    y, x = (np.arange(length) * SIZE / length for length in size)
    sure = (y[:, None] < 80) | (y[:, None] > 160) | (x < 40) | (x > 110)
    np.testing.assert_array_equal(after[sure], before[sure])
    inside = (y[:, None] > 103) & (y[:, None] < 136) & (x > 63) & (x < 86)
    # A slight change is laid on the full resolution: whatever detail was there stays.
    np.testing.assert_allclose(after[inside], before[inside] + 2.0, atol=1)


def test_detail_goes_with_what_was_wrong():
    before = np.full((768, 768, 3), 100, np.uint8)
    before[:, 225] = 0  # a streak finer than the square
    after = repair(Engine(40), before, told(), NOTHING).astype(int)
    assert after[:200, 225].max() == 0
    streak, beside = after[310:410, 225].mean(), after[310:410, 200].mean()
    assert beside == pytest.approx(140, abs=1)
    assert streak > 90


def test_what_is_told_may_be_coarser_than_the_square():
    small = told()[::2, ::2]
    before = drawn(300, 300)
    after = repair(Engine(2), before, small, NOTHING)
    fine = repair(Engine(2), before, told(), NOTHING)
    assert (after != before).any()
    assert np.abs(after.astype(int) - fine).mean() < 0.05


def test_colours_end_at_black_and_white():
    white = np.full((SIZE, SIZE, 3), 240, np.uint8)
    assert repair(Engine(90), white, told(), NOTHING)[PART].min() == 255
    assert repair(Engine(-250), white, told(), NOTHING)[PART].max() == 0


def test_a_network_that_changes_nothing_gives_the_picture_back():
    before = drawn(400, 300)
    after = repair(Engine(0), before, told(), NOTHING)
    np.testing.assert_array_equal(after, before)
    assert after is not before  # the caller's array is never written to


def test_where_nothing_is_a_guess_the_network_is_not_asked():
    engine, before = Engine(50), drawn(300, 300)
    assert repair(engine, before, told(doubt=0), NOTHING) is before
    assert engine.calls == 0


def test_the_plate_knows_what_it_never_saw():
    plate, whole = BackgroundPlate(PlateSettings(completion="off")), Region(0, 0, 320, 240)
    assert (plate.unseen(whole, (64, 48)) == 255).all()
    who = person(240, 320, x=0.3)
    room = plain_room(240, 320)
    plate.update(composed(who, room), whole, who.alpha)
    behind = who.alpha > 0.99
    assert (plate.unseen(whole, (320, 240))[behind] == 255).all()
    assert (plate.unseen(whole, (320, 240))[:, 250:] == 0).all()
    away = person(240, 320, x=0.8)
    plate.update(composed(away, room), whole, away.alpha)
    assert (plate.unseen(whole, (320, 240))[behind & (away.alpha < 0.01)] == 0).mean() > 0.95


def test_the_plate_knows_what_it_put_together_of_pieces():
    plate, whole = BackgroundPlate(PlateSettings(completion="off")), Region(0, 0, 320, 240)
    who = person(240, 320, x=0.3)
    plate.update(composed(who, plain_room(240, 320)), whole, who.alpha)
    plate.finish()
    behind = who.alpha > 0.99
    assert (plate.unseen(whole, (320, 240))[behind] == PIECED).all()
    assert (plate.unseen(whole, (320, 240))[:, 250:] == 0).all()


def lighter(region, part, levels):
    """A repair that adds grey levels to a part of a region."""
    more = np.zeros((region.height, region.width, 3), np.uint8)
    part.crop(more)[:] = levels
    nothing = np.zeros_like(more)
    return Repair(region, more, nothing, nothing, 255 - nothing, [part])


class Recorder:
    """Stands for the refiner: whitens the region and remembers what it was told."""

    def __init__(self):
        self.told = []

    def change(self, drawn, region, provenance, unseen):
        self.told.append((provenance, unseen))
        return Change(region, np.full((SIZE, SIZE, 3), 255, np.float32))


@pytest.fixture(scope="module")
def turned():
    settings = replace(Settings(), networks=NetworkSettings(False, False, False, False))
    pixels = clip_frames(1)[0]
    info = StreamInfo(width=pixels.shape[1], height=pixels.shape[0], fps=25.0)

    def turn(quality, count=1):
        with Reposer(settings, info, StageTimer()) as reposer:
            reposer.quality, reposer._refiner = quality, Recorder()
            for number in range(count):
                frame = Frame(pixels, number, number / 25)
                shown = reposer.process(frame, PoseRequest(yaw=25)).pixels
            return shown, reposer._refiner.told

    return turn


def test_the_live_path_refines_what_it_drew(turned):
    shown, told = turned(HIGH)
    assert (shown == 255).all(axis=-1).mean() > 0.1
    provenance, unseen = told[0]
    masks = refine_masks(squeezed(provenance), unseen)
    guess = np.maximum(masks[..., DOUBT], masks[..., UNKNOWN])
    sure = (masks[..., COVER] == 255) & (guess == 0)
    assert 0.02 < (guess > 127).mean() < 0.5
    assert sure.mean() > 0.1


def test_a_repair_is_carried_to_the_next_frame(turned):
    every = HIGH.refine_every
    assert every > 1
    shown, told = turned(HIGH, every)
    assert (shown == 255).all(axis=-1).mean() > 0.1
    assert len(told) == 1
    _, told = turned(HIGH, 2 * every)
    assert len(told) == 1  # the head rests
    _, told = turned(HIGH, 2 * every + 1)
    assert len(told) == 2


def test_a_repair_stays_in_the_frame_when_its_region_goes_on():
    before, now = Region(100, 50, 400, 350), Region(90, 70, 390, 370)
    found = lighter(before, Region(40, 30, 60, 50), 50)
    black = np.zeros((300, 300, 3), np.uint8)
    after = repaired(black, now, found)
    assert (after[10:30, 50:70] == 50).all()
    assert np.count_nonzero(after) == 20 * 20 * 3


def test_a_repair_goes_where_the_head_has_gone():
    region = Region(100, 50, 400, 350)
    found = lighter(region, Region(40, 30, 60, 50), 50)
    black = np.zeros((300, 300, 3), np.uint8)
    after = repaired(black, region, found, (3, -7))
    assert (after[23:43, 43:63] == 50).all()
    assert np.count_nonzero(after) == 20 * 20 * 3
    gone = repaired(black, region, found, (0, -45))  # what is left of it at the border
    assert np.count_nonzero(gone) == 5 * 20 * 3
    assert not repaired(black, region, found, (0, -50)).any()


def test_a_change_is_averaged_with_the_one_before_where_the_head_has_gone():
    before, now = Region(100, 50, 356, 306), Region(90, 60, 602, 572)  # the latter twice as large
    old, new = np.zeros((2, SIZE, SIZE, 3), np.float32)
    old[40:80, 60:100] = 30.0
    new[50:100, 50:100] = -10.0
    mean = Change(now, new).averaged(Change(before, old), np.array([20.0, 10.0]))
    assert mean.region == now
    in_frame = old[40:80, 60:100].copy()
    moved = np.zeros_like(new)  # it lies at 60 + 100 + 20 − 90 pixels, two to one of the square
    moved[20:40, 45:65] = in_frame[::2, ::2]
    inside = np.s_[22:38, 47:63]
    np.testing.assert_allclose(mean.levels[inside], (moved + new)[inside] / 2)
    assert np.abs(mean.levels - (moved + new) / 2).mean() < 0.1


def test_of_a_change_what_is_less_is_taken_away():
    whole = Region(0, 0, SIZE, SIZE)
    levels = np.zeros((SIZE, SIZE, 3), np.float32)
    levels[40:80, 60:100] = 20.4, -30.6, 0
    found = Repair.of(Change(whole, levels))
    after = repaired(np.full((SIZE, SIZE, 3), 100, np.uint8), whole, found)
    assert after[60, 80].tolist() == [120, 69, 100]


def test_only_where_something_changes_work_is_done():
    whole = Region(30, 20, 670, 500)
    found = Repair.of(Refiner(Engine(2)).change(drawn(480, 640), whole, told(), NOTHING))
    assert found.more.shape == (480, 640, 3)
    assert found.gone.shape == found.kept.shape == (480, 640, 3)
    covered = np.zeros((480, 640), np.uint8)
    for part in found.parts:
        assert not part.crop(covered).any()  # nothing is changed twice
        part.crop(covered)[:] = 1
    assert not found.more[covered == 0].any()
    assert not found.gone[covered == 0].any()
    assert covered.mean() < 0.15


def test_low_quality_goes_without(turned):
    assert not LOW.refine_every
    assert LEVELS[0].refine_every
    _, told = turned(LOW)
    assert told == []


class Noise:
    """Answers with noise, coloured or grey, around the picture."""

    def __init__(self, coloured):
        shape = (1, 3 if coloured else 1, SIZE, SIZE)
        self.noise = np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)

    def __call__(self, picture, masks):
        return {"refined": picture + self.noise}


def test_noise_of_the_tint_is_calmed_and_that_of_the_light_is_kept():
    flat = np.full((SIZE, SIZE, 3), 128, np.uint8)
    grey = repair(Noise(False), flat, told(), NOTHING)[PART].astype(float)
    assert grey.std() > 20
    assert np.ptp(grey, axis=-1).max() <= 2
    coloured = repair(Noise(True), flat, told(), NOTHING)[PART].astype(float)
    assert np.ptp(coloured, axis=-1).mean() < 12  # 43 before
