from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from stream.face_looks import FaceLooks, LookSettings
from stream.frame import Face, Frame

SETTINGS = LookSettings(young_looks=3, young_every_s=0.2, every_s=1.0, most_looks=4)
PIXELS = np.zeros((240, 320, 3), np.uint8)


class Network:
    """Answers the n-th call with an identity and skin of n."""

    def __init__(self):
        self.batches = []

    def __call__(self, picture):
        self.batches.append(len(picture))
        value, count = float(len(self.batches)), len(picture)
        sizes = {"identity": 80, "expression": 52, "rotation": 6, "place": 3, "texture": 40}
        found = {name: np.full((count, k), value, np.float32) for name, k in sizes.items()}
        return found | {"light": np.full((count, 27), value, np.float32)}


class Later:
    """An executor that runs nothing before it is told to."""

    def __init__(self):
        self.waiting = []

    def submit(self, work, *arguments):
        future = Future()
        self.waiting.append((future, work, arguments))
        return future

    def run(self):
        while self.waiting:
            future, work, arguments = self.waiting.pop(0)
            future.set_result(work(*arguments))


def face(face_id=0, half=60.0, fresh=True):
    points = np.zeros((478, 3), np.float32)
    points[:2, :2] = [[160 - half, 120 - half], [160 + half, 120 + half]]
    points[2:, :2] = [160, 120]
    return Face(face_id, points, fresh=fresh)


def frame(time_s):
    return Frame(PIXELS, time_s=time_s)


def watch(looks, later, times, faces):
    """Run frames as the pipeline does; return the news of each."""
    news = []
    for time_s in times:
        news.append(looks.update(frame(time_s), faces))
        looks.look_ahead(frame(time_s), faces)
        later.run()
    return news


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def later():
    return Later()


def test_a_new_face_is_looked_at_before_its_first_fit(network, later):
    looks = FaceLooks(network, later, SETTINGS)
    news = looks.update(frame(0.0), [face(1), face(2)])
    assert network.batches == [2] and not later.waiting
    assert set(news) == {1, 2} and news[1].identity[0] == 1
    assert looks.update(frame(0.04), [face(1), face(2)]) == {}


def test_later_looks_run_beside_the_frames_at_growing_pauses(network, later):
    looks = FaceLooks(network, later, SETTINGS)
    times = np.arange(0, 4.01, 0.1)
    news = watch(looks, later, times, [face()])
    told = [round(float(t), 1) for t, one in zip(times, news, strict=True) if one]
    # At 0, then three looks 0.2 s apart, then one a second; the answer comes a frame later.
    assert told == [0.0, 0.3, 0.5, 1.5, 2.5, 3.5]


def test_nobody_waits_while_a_look_is_under_way(network, later):
    looks = FaceLooks(network, later, SETTINGS)
    looks.update(frame(0.0), [face()])
    looks.look_ahead(frame(0.5), [face()])
    assert len(later.waiting) == 1 and network.batches == [1]
    looks.look_ahead(frame(0.9), [face()])
    assert len(later.waiting) == 1  # one at a time


def test_identity_and_skin_are_means_and_the_rest_is_the_last_look(network, later):
    looks = FaceLooks(network, later, SETTINGS)
    watch(looks, later, np.arange(0, 0.55, 0.1), [face()])
    assert len(network.batches) == 3
    guess = looks.guess(0)
    assert guess.identity[0] == pytest.approx(2) and guess.texture[3] == pytest.approx(2)
    assert guess.light[0, 0] == 3 and guess.place[0] == 3


def test_the_mean_forgets_what_is_long_ago(network, later):
    looks = FaceLooks(network, later, SETTINGS)
    watch(looks, later, np.arange(0, 60, 0.5), [face()])
    last = len(network.batches)
    assert last > 40
    assert last - 4.5 < looks.guess(0).identity[0] < last - 2.5


def test_after_a_cut_everyone_is_new_and_late_answers_are_dropped(network, later):
    looks = FaceLooks(network, later, SETTINGS)
    looks.update(frame(0.0), [face()])
    looks.look_ahead(frame(0.5), [face()])
    looks.reset()
    assert looks.guess(0) is None
    later.run()
    news = looks.update(frame(0.6), [face()])
    assert news[0].identity[0] == 3  # the look of this frame alone


def test_small_and_carried_faces_are_not_looked_at(network, later):
    looks = FaceLooks(network, later, SETTINGS)
    assert looks.update(frame(0.0), [face(1, half=10), face(2, fresh=False)]) == {}
    assert network.batches == []
    assert 1 in looks.update(frame(0.1), [face(1)])


def test_without_a_network_there_is_no_news(later):
    looks = FaceLooks(None, later)
    assert looks.update(frame(0.0), [face()]) == {} and looks.guess(0) is None
    looks.look_ahead(frame(9.0), [face()])
    assert not later.waiting


def test_a_network_that_fails_is_said_once_and_left_out(caplog):
    def broken(picture):
        raise RuntimeError("no memory")

    with ThreadPoolExecutor(1) as pool:
        looks = FaceLooks(broken, pool, SETTINGS)
        for time_s in np.arange(0, 2, 0.1):
            assert looks.update(frame(time_s), [face()]) == {}
            looks.look_ahead(frame(time_s), [face()])
    assert caplog.text.count("no memory") == 1


def test_an_answer_that_is_no_number_is_no_answer(later):
    class Nan(Network):
        def __call__(self, picture):
            found = super().__call__(picture)
            found["identity"][:] = np.nan
            return found

    looks = FaceLooks(Nan(), later, SETTINGS)
    assert looks.update(frame(0.0), [face()]) == {} and looks.guess(0) is None


def test_only_so_many_faces_are_remembered(network, later):
    looks = FaceLooks(network, later, SETTINGS)
    for number in range(200):
        looks.update(frame(0.1 * number), [face(number)])
    known = [number for number in range(200) if looks.guess(number) is not None]
    assert known == list(range(136, 200))
