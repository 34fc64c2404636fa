import cv2
import numpy as np
import pytest
from scenes import composed, person, plain_room, rough_room

from stream.plate import BackgroundPlate, PlateSettings
from stream.plate_view import look
from stream.region import Region

HEIGHT, WIDTH = 240, 320
WHOLE = Region(0, 0, WIDTH, HEIGHT)
QUICK = PlateSettings(completion="off")
SURELY = 0.03  # a person's matte below this is taken for none


def shown(plate, frame, alpha, region=WHOLE):
    plate.update(frame, region, alpha)
    return plate.background(region)


def far_from(alpha, pixels=8):
    return cv2.dilate(alpha, np.ones((2 * pixels + 1, 2 * pixels + 1))) <= SURELY


def behind(alpha, pixels=0):
    return cv2.erode(alpha, np.ones((2 * pixels + 1, 2 * pixels + 1))) > 0.99


@pytest.mark.parametrize("room", [plain_room, rough_room])
def test_where_background_shows_the_plate_is_the_frame(room):
    plate = BackgroundPlate(QUICK)
    for index in range(12):
        who = person(HEIGHT, WIDTH, x=0.3 + 0.03 * index)
        frame = composed(who, room(HEIGHT, WIDTH), noise=3, seed=index)
        got = shown(plate, frame, who.alpha)
        visible = far_from(who.alpha, 24)  # nearer, loose hair may be suspected
        np.testing.assert_array_equal(got[visible], frame[visible])
        near = far_from(who.alpha) & ~visible
        assert (got[near] == frame[near]).all(axis=-1).mean() > 0.9


def test_nobody_leaves_the_frame_as_it_is():
    frame = rough_room(HEIGHT, WIDTH)
    plate = BackgroundPlate(QUICK)
    np.testing.assert_array_equal(shown(plate, frame, np.zeros((60, 80), np.float32)), frame)


def test_what_was_uncovered_is_remembered():
    room = rough_room(HEIGHT, WIDTH)
    plate = BackgroundPlate(QUICK)
    for x in (0.25, 0.35, 0.5, 0.65, 0.75, 0.5):
        who = person(HEIGHT, WIDTH, x=x)
        got = shown(plate, composed(who, room), who.alpha)
    head = behind(who.alpha)
    head[int(0.55 * HEIGHT) :] = False  # the shoulders hid this all the time
    assert np.abs(got.astype(float) - room)[head].mean() < 0.5  # measured 0.0


def shaken(picture, angle, x, y):
    matrix = cv2.getRotationMatrix2D((WIDTH, HEIGHT), angle, 1)
    matrix[:, 2] += (x - WIDTH / 2, y - HEIGHT / 2)
    return cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT))


def test_memory_follows_a_camera_that_shakes():
    room = rough_room(2 * HEIGHT, 2 * WIDTH)
    rng = np.random.default_rng(1)
    plate = BackgroundPlate(QUICK)
    for index in range(40):
        x = 0.5 + 0.22 * np.sin(index / 4)
        sway = 4 * np.sin(index / 7), 3 * np.cos(index / 5)
        view = shaken(room, 0.6 * np.sin(index / 9), *(sway + rng.normal(0, 0.3, 2)))
        who = person(HEIGHT, WIDTH, x=x)
        got = shown(plate, composed(who, view), who.alpha)
    head = behind(who.alpha)
    head[int(0.5 * HEIGHT) :] = False
    error = np.abs(got.astype(float) - view)[head].mean()
    blind = np.abs(view[head].astype(float) - view[head].mean(0)).mean()
    assert error < 0.03 * blind  # measured 0.013


def test_a_static_camera_is_taken_for_exactly_static():
    plate = BackgroundPlate(QUICK)
    for index in range(8):
        who = person(HEIGHT, WIDTH, x=0.4 + 0.02 * index)
        plate.update(composed(who, rough_room(HEIGHT, WIDTH), 2, index), WHOLE, who.alpha)
    np.testing.assert_array_equal(plate._camera.anchor_from_frame, np.eye(2, 3))


def test_reset_forgets_the_scene_before():
    plate = BackgroundPlate(QUICK)
    for x in (0.3, 0.5, 0.7):
        who = person(HEIGHT, WIDTH, x=x)
        plate.update(composed(who, np.zeros((HEIGHT, WIDTH, 3), np.uint8)), WHOLE, who.alpha)
    plate.reset()
    who = person(HEIGHT, WIDTH)
    got = shown(plate, composed(who, plain_room(HEIGHT, WIDTH)), who.alpha)
    assert got.min() > 100


def test_a_new_scene_is_noticed_without_a_reset():
    plate = BackgroundPlate(QUICK)
    for x in (0.3, 0.5, 0.7, 0.5):
        who = person(HEIGHT, WIDTH, x=x)
        plate.update(composed(who, rough_room(HEIGHT, WIDTH, 0) // 3), WHOLE, who.alpha)
    bright = 255 - rough_room(HEIGHT, WIDTH, 5) // 3
    for _ in range(3):
        got = shown(plate, composed(who, bright), who.alpha)
    assert np.median(got[behind(who.alpha)]) > 130


def test_the_size_of_the_frame_may_change():
    plate = BackgroundPlate(QUICK)
    for height, width in ((240, 320), (120, 200), (241, 319)):
        who, region = person(height, width), Region(0, 0, width, height)
        frame = composed(who, plain_room(height, width))
        plate.update(frame, region, who.alpha)
        assert plate.background(region).shape == frame.shape


def test_the_first_fill_is_close_to_a_plain_wall():
    who = person(HEIGHT, WIDTH)
    room = plain_room(HEIGHT, WIDTH)
    got = shown(BackgroundPlate(QUICK), composed(who, room, noise=1), who.alpha)
    upper = behind(who.alpha)
    upper[int(0.5 * HEIGHT) :] = False
    assert np.abs(got.astype(float) - room)[upper].mean() < 2  # measured 0.7


def test_no_colour_of_the_person_gets_into_the_fill():
    who = person(HEIGHT, WIDTH)
    room = np.full((HEIGHT, WIDTH, 3), (60, 160, 90), np.uint8)
    soft = cv2.GaussianBlur(composed(who, room), (0, 0), 1)  # a lens spreads the edge
    got = shown(BackgroundPlate(QUICK), soft, who.alpha)
    assert np.abs(got.astype(int) - room).max() < 12


def test_an_all_round_person_gives_edge_colours():
    frame = rough_room(HEIGHT, WIDTH)
    plate = BackgroundPlate(PlateSettings(completion="inline"))
    for _ in range(3):
        got = shown(plate, frame, np.ones((96, 128), np.float32))
        assert abs(float(got.mean()) - float(frame.mean())) < 40
        assert got.std() < frame.std()
    plate.finish()
    who = person(HEIGHT, WIDTH)  # then they step back
    room = plain_room(HEIGHT, WIDTH)
    got = shown(plate, composed(who, room), who.alpha)
    assert np.abs(got.astype(float) - room)[behind(who.alpha)].mean() < 25


@pytest.mark.parametrize("edge", [(0.0, 0.4), (1.0, 0.4), (0.5, 0.0), (0.5, 0.9)])
def test_a_person_at_the_border_of_the_frame(edge):
    who = person(HEIGHT, WIDTH, *edge)
    room = plain_room(HEIGHT, WIDTH)
    got = shown(BackgroundPlate(QUICK), composed(who, room), who.alpha)
    assert np.abs(got.astype(float) - room).mean() < 12


@pytest.mark.parametrize(
    ("height", "width"), [(16, 16), (17, 15), (1, 1), (3, 200), (121, 77), (64, 400)]
)
def test_any_size_of_region(height, width):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    alpha = np.zeros((37, 41), np.float32)
    alpha[10:30, 10:30] = 1
    plate = BackgroundPlate(PlateSettings(completion="inline"))
    region = Region(0, 0, width, height)
    for _ in range(3):
        assert shown(plate, frame, alpha, region).shape == (height, width, 3)
        plate.known(region, (width, height))
    plate.finish()


def test_a_region_partly_outside_the_frame_is_clipped_and_an_empty_one_is_passed_over():
    frame = rough_room(HEIGHT, WIDTH)
    plate = BackgroundPlate(QUICK)
    plate.update(frame, Region(400, 10, 500, 90), np.ones((8, 8), np.float32))
    np.testing.assert_array_equal(plate.background(WHOLE), frame)
    assert plate.known(Region(5, 5, 5, 9), (4, 4)) is None


def test_background_reaches_beyond_the_region_of_the_matte():
    who = person(HEIGHT, WIDTH)
    frame = composed(who, rough_room(HEIGHT, WIDTH))
    region = Region(90, 20, 230, 200)
    plate = BackgroundPlate(QUICK)
    plate.update(frame, region, np.ascontiguousarray(region.crop(who.alpha)))
    whole = plate.background(WHOLE)
    outside = np.ones((HEIGHT, WIDTH), bool)
    region.crop(outside)[:] = False
    np.testing.assert_array_equal(whole[outside], frame[outside])
    np.testing.assert_array_equal(region.crop(whole), plate.background(region))
    small = Region(120, 60, 160, 100)
    np.testing.assert_array_equal(small.crop(whole), plate.background(small))


def test_the_frame_is_left_alone_and_the_answer_is_the_callers():
    who = person(HEIGHT, WIDTH)
    frame = composed(who, plain_room(HEIGHT, WIDTH))
    before = frame.copy()
    plate = BackgroundPlate(QUICK)
    first = shown(plate, frame, who.alpha)
    first[:] = 0
    assert plate.background(WHOLE).max() > 0
    np.testing.assert_array_equal(frame, before)


def test_asking_before_the_first_frame_is_an_error():
    with pytest.raises(ValueError, match="no frame"):
        BackgroundPlate(QUICK).background(WHOLE)


def test_a_still_scene_does_not_boil():
    who = person(HEIGHT, WIDTH)
    plate = BackgroundPlate(PlateSettings(completion="inline", rest_frames=5))
    got = []
    for index in range(30):
        frame = composed(who, rough_room(HEIGHT, WIDTH), noise=2, seed=index)
        got.append(shown(plate, frame, who.alpha))
    head = behind(who.alpha, 5)
    assert np.std(np.stack(got[2:], 0)[:, head].astype(float), axis=0).mean() < 0.3  # noise: 2


def test_memory_follows_automatic_exposure():
    room = rough_room(HEIGHT, WIDTH)
    plate = BackgroundPlate(QUICK)
    for index in range(60):
        gain = 1 - 0.004 * index  # slower than any single step would show
        who = person(HEIGHT, WIDTH, x=0.3 if index < 10 else 0.5)
        frame = np.clip(composed(who, room) * gain, 0, 255).astype(np.uint8)
        got = shown(plate, frame, who.alpha)
    head = behind(who.alpha)
    head[int(0.5 * HEIGHT) :] = False
    dimmed = room * gain
    assert abs((got.astype(float) - dimmed)[head].mean()) < 4
    assert abs((room.astype(float) - dimmed)[head].mean()) > 20


def test_a_fill_is_mended_as_its_edge_moves():
    """A shade that the first fill could not know is passed on to what stays hidden."""
    room = plain_room(HEIGHT, WIDTH).copy()
    room[:, 90:230] = (70, 90, 140)  # all of it behind the person at first
    plate = BackgroundPlate(QUICK)
    for x in np.linspace(0.5, 0.62, 25):
        who = person(HEIGHT, WIDTH, x=x, size=0.3)
        got = shown(plate, composed(who, room), who.alpha)
    hidden = behind(who.alpha)
    row, first = 100, int(np.argmax(hidden[100]))
    step = np.abs(got[row, first + 6].astype(int) - got[row, first - 8].astype(int)).max()
    assert step < 18  # measured 13; 26 without


def test_other_people_are_scenery():
    other = person(HEIGHT, WIDTH, x=0.8, y=0.5, size=0.15)
    scene = composed(other, plain_room(HEIGHT, WIDTH))
    who = person(HEIGHT, WIDTH, x=0.3)
    plate = BackgroundPlate(QUICK)
    got = shown(plate, composed(who, scene), who.alpha)
    visible = far_from(who.alpha, 24) & (other.alpha > 0)
    np.testing.assert_array_equal(got[visible], scene[visible])


def test_loose_hair_does_not_stay_in_the_plate():
    who = person(HEIGHT, WIDTH)
    room = plain_room(HEIGHT, WIDTH)
    frame = composed(who, room)
    top = int(np.argmax((who.alpha > 0.5)[:, WIDTH // 2]))
    for x in (-12, 0, 14):  # hairs that the matte has missed
        cv2.line(frame, (WIDTH // 2 + x, top - 8), (WIDTH // 2 + x + 3, top + 4), (60, 45, 35), 1)
    got = shown(BackgroundPlate(QUICK), frame, who.alpha)
    assert np.abs(got.astype(int) - room).max() < 25


def test_letters_at_the_other_side_of_a_wall_hide_no_hair():
    who = person(HEIGHT, WIDTH, x=0.3)
    frame = composed(who, plain_room(HEIGHT, WIDTH))
    letters = frame[:, int(0.75 * WIDTH) :]
    letters[:, ::3] = 30
    y = HEIGHT // 2
    x = int(np.flatnonzero(who.alpha[y] > 0.03)[0]) - 7
    frame[y - 12 : y + 12, x] = (60, 45, 35)  # a hair that hangs beside the head
    hidden = look(frame, WHOLE, who.alpha, 2 / 384, 30 / 384).hidden
    assert hidden[y, x] == 255
    assert hidden[:, int(0.75 * WIDTH) :].max() == 0


def test_a_star_beside_a_head_is_no_hair():
    who = person(HEIGHT, WIDTH)
    frame = composed(who, plain_room(HEIGHT, WIDTH))
    y = HEIGHT // 3
    x = int(np.flatnonzero(who.alpha[y] > 0.03)[0]) - 12
    for offset in ((0, 4), (4, 0), (3, 3), (3, -3)):
        ends = ((x - offset[0], y - offset[1]), (x + offset[0], y + offset[1]))
        cv2.line(frame, *ends, (255, 255, 255), 1)
    hidden = look(frame, WHOLE, who.alpha, 4 / 384, 20 / 384).hidden
    assert hidden[y - 2 : y + 3, x - 2 : x + 3].max() == 0


def test_texture_hides_no_hair():
    """In a rough room thin lines are part of the room."""
    who = person(HEIGHT, WIDTH)
    frame = composed(who, np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)))
    view = look(frame, WHOLE, who.alpha, 4 / 384, 20 / 384)
    assert view.hidden[far_from(who.alpha)].max() == 0


def test_known_tells_only_what_was_surely_seen():
    room = rough_room(HEIGHT, WIDTH)
    plate = BackgroundPlate(QUICK)
    left, right = person(HEIGHT, WIDTH, x=0.3), person(HEIGHT, WIDTH, x=0.7)
    middle = Region(32, 0, 288, HEIGHT)  # no wider than a matte
    plate.update(composed(left, room), WHOLE, left.alpha)
    hidden = middle.crop(behind(left.alpha))
    assert plate.known(middle, (256, HEIGHT)).confidence[hidden].max() == 0
    plate.update(composed(right, room), WHOLE, right.alpha)
    known = plate.known(middle, (256, HEIGHT))
    seen = middle.crop(behind(left.alpha) & far_from(right.alpha, 20))
    assert known.confidence[seen].min() > 0.9
    assert np.abs(known.colour.astype(int) - middle.crop(room))[seen].max() <= 1
    both = middle.crop(behind(left.alpha) & behind(right.alpha))
    assert known.confidence[both].max() == 0
    assert plate.known(WHOLE, (WIDTH, HEIGHT)).confidence.shape == (192, 256)  # as the matte


def test_what_is_looked_up_ahead_is_what_would_be_looked_up():
    """What was asked for the last frame is looked up for the next before it is asked again."""
    size, other = (WIDTH, HEIGHT), Region(0, 0, WIDTH, HEIGHT - 8)
    ahead, asked = BackgroundPlate(QUICK), BackgroundPlate(QUICK)
    room = rough_room(HEIGHT, WIDTH)
    for x in (0.3, 0.4, 0.7, 0.6):
        who = person(HEIGHT, WIDTH, x=x)
        frame = composed(who, room)
        found = []
        for plate in (ahead, asked):
            plate.follow(frame)
            found.append(plate.known(WHOLE, size))
            plate.update(frame, WHOLE, who.alpha)
        asked.known(other, size)
        if found[1] is not None:
            np.testing.assert_array_equal(found[0].confidence, found[1].confidence)
            np.testing.assert_array_equal(found[0].colour, found[1].colour)
    assert found[0].confidence.max() > 0


def stripes():
    room = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    room[np.arange(HEIGHT) // 12 % 2 == 0] = (200, 180, 160)
    room[np.arange(HEIGHT) // 12 % 2 == 1] = (90, 110, 120)
    return room


@pytest.mark.parametrize("completion", ["inline", "beside"])
def test_the_better_fill_continues_stripes(completion):
    who = person(HEIGHT, WIDTH)
    frame = composed(who, stripes())
    head = behind(who.alpha)
    head[int(0.6 * HEIGHT) :] = False
    quick = shown(BackgroundPlate(QUICK), frame, who.alpha)
    plate = BackgroundPlate(PlateSettings(completion=completion, blend_frames=3))
    for _ in range(8):
        got = shown(plate, frame, who.alpha)
        plate._job.wait(60)
    errors = [np.abs(got.astype(float) - stripes())[head].mean() for got in (quick, got)]
    assert errors[1] < 0.3 * errors[0]  # measured 0.14
    plate.close()


def test_finish_puts_the_best_fill_in_place_at_once():
    who = person(HEIGHT, WIDTH)
    frame = composed(who, stripes())
    plate = BackgroundPlate(PlateSettings(completion="beside"))
    plate.update(frame, WHOLE, who.alpha)
    plate.finish()
    head = behind(who.alpha)
    head[int(0.6 * HEIGHT) :] = False
    assert np.abs(plate.background(WHOLE).astype(float) - stripes())[head].mean() < 12


def test_a_failing_worker_does_not_reach_the_live_path(monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("no memory")

    monkeypatch.setattr("stream.plate_fill.complete", fail)
    who = person(HEIGHT, WIDTH)
    plate = BackgroundPlate(PlateSettings(rest_frames=1))
    for index in range(6):
        shown(plate, composed(who, rough_room(HEIGHT, WIDTH), 1, index), who.alpha)
        plate._job.wait(60)
    assert caplog.text.count("no memory") == 1


def test_grey_frames():
    who = person(HEIGHT, WIDTH)
    grey = cv2.cvtColor(composed(who, rough_room(HEIGHT, WIDTH)), cv2.COLOR_RGB2GRAY)
    got = shown(
        BackgroundPlate(PlateSettings(completion="inline")), np.dstack([grey] * 3), who.alpha
    )
    assert np.ptp(got.astype(int), axis=2).max() <= 1
