from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

from stream.frame import Head
from stream.pose import HeadMotion
from stream.refine import SIZE, Change
from stream.refine_over_time import RefineOverTime, drawn_marks
from stream.region import Region

REGION = Region(100, 50, 100 + SIZE, 50 + SIZE)
BLACK = np.zeros((SIZE, SIZE, 3), np.uint8)
HERE = np.array([[150.0, 90.0], [150, 90], [170, 90], [150, 70]])
FAR = 0.02 * SIZE  # pixels; a head that moves by so much does not rest
SQUARE = np.s_[40:80, 30:70]


class Counting:
    """Stands for the refiner: at its n-th look a square is to be lighter by n · 10 grey levels."""

    def __init__(self):
        self.looks, self.may_answer = 0, Event()
        self.may_answer.set()

    def change(self, drawn, region, provenance, unseen):
        assert (provenance, unseen) == ("told", "unseen")
        self.may_answer.wait(5)
        self.looks += 1
        levels = np.zeros(drawn.shape, np.float32)
        levels[SQUARE] = 10 * self.looks
        return Change(region, levels)


@pytest.fixture
def beside():
    with ThreadPoolExecutor(1) as executor:
        yield executor


def shown(path, every=3, marks=HERE, asked=None):
    told = None
    if path.is_due(REGION, marks, every):
        told = "told", "unseen"
        if asked is not None:
            asked.append(True)
    return path.refined(BLACK, REGION, marks, told)


def shaken(number):
    """Marks of a head that turns to and fro, and does not rest; its middle stays."""
    return HERE + np.array([[0, 0], [(-1) ** number * FAR, 0], [0, 0], [0, 0]])


def test_the_first_look_counts_at_once_and_later_ones_from_the_next_frame(beside):
    path = RefineOverTime(Counting(), beside)
    asked = []
    levels = [int(shown(path, marks=shaken(n), asked=asked)[SQUARE].max()) for n in range(8)]
    # Each look is averaged with those before.
    assert levels == [10, 10, 10, 10, 15, 15, 15, 22]
    assert len(asked) == 3  # what is known of the pixels is drawn only for a look


def test_without_a_worker_each_look_counts_at_once():
    path = RefineOverTime(Counting())
    levels = [int(shown(path, marks=shaken(n))[SQUARE].max()) for n in range(5)]
    assert levels == [10, 10, 10, 15, 15]


def test_while_the_head_rests_the_network_looks_half_as_often():
    path = RefineOverTime(Counting())
    asked = []
    for _ in range(12):
        shown(path, marks=HERE + 0.2, asked=asked)
    assert len(asked) == 2
    for n in range(12):
        shown(path, marks=shaken(n), asked=asked)
    assert len(asked) == 6


def test_before_the_first_look_nothing_is_repaired():
    path = RefineOverTime(Counting())
    assert path.refined(BLACK, REGION, HERE, None) is BLACK
    assert path.is_due(REGION, HERE, 100)


def test_a_frame_does_not_wait_for_its_own_look(beside):
    refiner = Counting()
    path = RefineOverTime(refiner, beside)
    shown(path, every=1)
    refiner.may_answer.clear()
    assert shown(path, every=1, marks=shaken(0))[SQUARE].max() == 10
    refiner.may_answer.set()
    assert shown(path, every=1)[SQUARE].max() == 15


def test_what_was_found_before_frames_that_were_not_refined_is_forgotten(beside):
    path = RefineOverTime(Counting(), beside)
    for n in range(5):
        shown(path, marks=shaken(n))
    path.forget()
    assert path.refined(BLACK, REGION, HERE, None) is BLACK
    assert shown(path)[SQUARE].max() == 30  # a look of its own, at once


def test_a_repair_moves_as_the_head_does():
    path = RefineOverTime(Counting())
    shown(path)
    moved = shown(path, marks=HERE + np.array([6.2, -3.9]))
    assert (moved[37:77, 36:76] == 10).all()
    assert np.count_nonzero(moved) == 40 * 40 * 3
    resting = shown(path, marks=HERE + np.array([0.9, -0.8]))
    assert (resting[SQUARE] == 10).all()


def test_where_nothing_is_to_be_repaired_the_region_passes():
    class Content:
        def change(self, *_):
            return None

    path = RefineOverTime(Content())
    assert shown(path) is BLACK
    assert shown(path) is BLACK


def test_the_marks_of_a_head_are_where_it_is_drawn():
    camera = np.array([[1000.0, 0, 320], [0, 1000.0, 240], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, 3] = 0, 0, 500
    head = Head(0, np.zeros(1, np.float32), np.zeros(52, np.float32), pose, camera)
    pivot = np.array([0.0, 100.0, 500.0])
    still = HeadMotion(pivot, np.zeros(3), np.zeros(3))
    middle, nose, side, top = drawn_marks(head, still)
    np.testing.assert_allclose([middle, nose], [[320, 240]] * 2)
    np.testing.assert_allclose([side, top], [[520, 240], [320, 40]])
    rolled = HeadMotion(pivot, np.array([0, 0, np.pi / 2]), np.array([10.0, 0, 0]))
    np.testing.assert_allclose(drawn_marks(head, rolled)[0], [320 + 220, 240 + 200])
    yawed = HeadMotion(pivot, np.array([0, 0.1, 0]), np.zeros(3))
    np.testing.assert_allclose(drawn_marks(head, yawed)[0], [320, 240])
    assert np.abs(drawn_marks(head, yawed)[1] - nose).max() > 20
