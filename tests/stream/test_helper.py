"""Helpers: a process and a thread do the same, and say what goes wrong."""

import logging
import os
import signal

import numpy as np
import pytest

from stream.closing import Closing
from stream.errors import UserError
from stream.helper import HelperLostError, ProcessHelper, ThreadHelper, open_helper

ROOM = 1 << 20


class Counter(Closing):
    """What the helpers hold here."""

    def __init__(self, first):
        self.count = first
        self.kept = {}

    def add(self, number, *, twice=False):
        """Add, and return the sum."""
        self.count += number * (1 + twice)
        return self.count

    def doubled(self, array):
        """Return twice an array, and where it was done."""
        return 2 * array, os.getpid()

    def keep(self, key, array):
        """Keep an array; return what is kept under that key by now, as it is."""
        self.kept.setdefault(key, []).append(array)
        return self.kept[key]

    def drop(self, key):
        """Return what was kept, and forget it."""
        return self.kept.pop(key)

    def refuse_with(self, array):
        """Raise what holds an array."""
        raise UserError("no use", f"of {array.size}", "Take another")

    def refuse(self):
        """Raise what users see."""
        raise UserError("this cannot be done", "nobody can", "Do something else")

    def break_down(self):
        """Raise what cannot be sent."""

        class LocalError(Exception):
            pass

        raise LocalError("broken")

    def warn(self):
        """Log a warning, and print where answers would pass."""
        os.write(1, b"chatter")
        logging.getLogger("voltface").warning("mind the %s", "gap")

    def end(self):
        """End the process."""
        os.kill(os.getpid(), signal.SIGKILL)

    def close(self):
        """Nothing is held."""


def refuse_to_build():
    """Raise what users see."""
    raise UserError("no engine", "it is not here", "Install it")


@pytest.fixture(params=["process", "thread"])
def helper(request):
    kinds = {"process": lambda *given: ProcessHelper(ROOM, *given), "thread": ThreadHelper}
    with kinds[request.param](Counter, 5) as made:
        made.wait()
        yield made


def test_calls_are_done_in_their_order(helper):
    answers = [helper.call(Counter.add, number, twice=True) for number in range(4)]
    assert answers[3].result() == 5 + 2 * (1 + 2 + 3)
    assert [answer.result() for answer in answers] == [5, 7, 11, 17]
    assert answers[1].result() == 7  # as often as one likes


@pytest.mark.parametrize("size", [10, ROOM // 40, ROOM // 8, ROOM])  # of 8 bytes
def test_arrays_come_back_whole_even_where_there_is_no_room_for_them(helper, size):
    arrays = [np.arange(size, dtype=float) + number for number in range(3)]
    answers = [helper.call(Counter.doubled, array) for array in arrays]
    for array, answer in zip(arrays, answers, strict=True):
        doubled, _ = answer.result()
        np.testing.assert_array_equal(doubled, 2 * array)
        doubled += 1  # it is the caller's own
        np.testing.assert_array_equal(answer.result()[0], 2 * array + 1)


def test_what_either_side_keeps_stays_over_hundreds_of_calls(helper):
    here, there = {}, {}
    for number in range(400):
        array = np.full(ROOM // 64, number)
        got, _ = helper.call(Counter.doubled, array).result()
        if number % 50 == 7:
            here[number] = got[5:]
            there[number] = helper.call(Counter.keep, number, array)
    assert len(here) == 8
    for number, array in here.items():
        assert (array == 2 * number).all()
        assert all((kept == number).all() for kept in there[number].result())
        (kept,) = helper.call(Counter.drop, number).result()
        assert kept.size == ROOM // 64
        assert (kept == number).all()


def in_the_pipe(helper):
    """Have what goes through the pipe counted."""
    link, fits = helper._link, []
    pack = link.packed

    def packed(value):
        message = pack(value)
        fits.append(message.fits)
        return message

    link.packed = packed
    return fits


THIRD = np.arange(ROOM // 24 - 64, dtype=float)  # of the room


def test_a_full_memory_is_done_without_and_used_again_when_there_is_room():
    with ProcessHelper(ROOM, Counter, 0) as helper:
        fits = in_the_pipe(helper)
        here = [helper.call(Counter.keep, key, THIRD + key).result() for key in range(6)]
        assert fits == [True] * 3 + [False] * 3
        for key in range(6):
            np.testing.assert_array_equal(here[key], [THIRD + key])
            np.testing.assert_array_equal(helper.call(Counter.drop, key).result(), [THIRD + key])
        here.clear()
        fits.clear()
        for _ in range(3):
            helper.call(Counter.doubled, THIRD).result()
        assert fits == [True] * 3


def test_what_the_helper_is_not_done_with_is_waited_for():
    with ProcessHelper(ROOM, Counter, 0) as helper:
        fits = in_the_pipe(helper)
        answers = [helper.call(Counter.doubled, THIRD + number) for number in range(7)]
        assert fits == [True, True, True, False, True, True, True, False, True][: len(fits)]
        assert fits[-1]
        for number, answer in enumerate(answers):
            np.testing.assert_array_equal(answer.result()[0], 2 * (THIRD + number))


def test_what_is_not_fetched_for_long_stops_nobody():
    # Answers that do not fit fill their pipe; requests must not fill the other one meanwhile.
    with ProcessHelper(ROOM, Counter, 0) as helper:
        large = [helper.call(Counter.keep, 0, np.arange(float(ROOM))) for _ in range(2)]
        small = [helper.call(Counter.add, 1) for _ in range(3000)]
        words = helper.call(Counter.keep, 1, ["word" * 100_000])
        assert [answer.result() for answer in small] == list(range(1, 3001))
        assert words.result() == [["word" * 100_000]]
        assert all((array == np.arange(ROOM)).all() for array in large[1].result())


def test_errors_do_not_keep_room():
    with ProcessHelper(ROOM, Counter, 0) as helper:
        fits = in_the_pipe(helper)
        for _ in range(8):
            with pytest.raises(UserError, match=f"of {ROOM // 12}"):
                helper.call(Counter.refuse_with, np.zeros(ROOM // 12)).result()
        with pytest.raises(Exception, match="lambda"):
            helper.call(Counter.keep, np.zeros(ROOM // 12), lambda: None)
        helper.call(Counter.keep, 0, np.zeros(ROOM // 12)).result()
        assert all(fits)


@pytest.mark.parametrize("seed", range(3))
def test_random_traffic_of_random_lifetimes_is_what_it_would_be_without(seed):
    chance = np.random.default_rng(seed)
    reference, kept = Counter(0), []
    with ProcessHelper(ROOM, Counter, 0) as helper:
        for _ in range(300):
            key = int(chance.integers(6))
            array = chance.integers(0, 256, int(ROOM * 0.6 * chance.random() ** 3), np.uint8)
            if key in reference.kept and chance.random() < 0.5:
                asked = Counter.drop, key
            else:
                asked = Counter.keep, key, array
            kept.append((helper.call(*asked), list(asked[0](reference, *asked[1:]))))
            if len(kept) > chance.integers(1, 30):
                answer, expected = kept.pop(int(chance.integers(len(kept))))
                for got, one in zip(answer.result(), expected, strict=True):
                    np.testing.assert_array_equal(got, one)
        for answer, expected in kept:
            for got, one in zip(answer.result(), expected, strict=True):
                np.testing.assert_array_equal(got, one)


def test_arrays_outlive_the_helper():
    with ProcessHelper(ROOM, Counter, 0) as helper:
        doubled, _ = helper.call(Counter.doubled, np.arange(5000)).result()
    helper.close()
    np.testing.assert_array_equal(doubled, 2 * np.arange(5000))
    doubled += 1


def test_one_of_them_works_elsewhere():
    with ProcessHelper(ROOM, Counter, 0) as process, ThreadHelper(Counter, 0) as thread:
        places = [made.call(Counter.doubled, np.ones(3)).result()[1] for made in (process, thread)]
    assert places[0] != os.getpid()
    assert places[1] == os.getpid()


def test_errors_are_raised_where_the_answer_is_wanted(helper):
    refused, broken = helper.call(Counter.refuse), helper.call(Counter.break_down)
    with pytest.raises(UserError, match="this cannot be done: nobody can"):
        refused.result()
    with pytest.raises(Exception, match="broken"):
        broken.result()
    assert helper.call(Counter.add, 1).result() == 6  # it goes on


def test_what_cannot_be_built_is_said_by_wait():
    with (
        ProcessHelper(ROOM, refuse_to_build) as helper,
        pytest.raises(UserError, match="no engine: it is not here"),
    ):
        helper.wait()


def test_what_it_logs_is_logged_here_and_what_it_prints_harms_nothing(caplog):
    with ProcessHelper(ROOM, Counter, 0) as helper:
        helper.call(Counter.warn).result()
    assert [record.getMessage() for record in caplog.records] == ["mind the gap"]


def test_a_process_that_ended_is_told_from_errors():
    with ProcessHelper(ROOM, Counter, 0) as helper:
        last = helper.call(Counter.end)
        with pytest.raises(HelperLostError, match="ended unexpectedly"):
            last.result()
        with pytest.raises(HelperLostError):
            helper.call(Counter.add, 1).result()
    helper.close()  # once more does no harm


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_stops_its_owner_does_not_stop_it_before(number):
    with ProcessHelper(ROOM, Counter, 0) as helper:
        helper.wait()
        helper._process.send_signal(number)
        assert helper.call(Counter.add, 1).result() == 1


def test_it_ends_with_its_owner():
    helper = ProcessHelper(ROOM, Counter, 0)
    helper.wait()
    helper._process.stdin.close()  # as when the owner is killed
    assert helper._process.wait(10) == 0
    helper.close()


@pytest.mark.parametrize("where", ["refused", "frozen"])
def test_without_another_process_there_is_a_thread(monkeypatch, where):
    def refused(*given, **more):
        raise OSError("no more processes")

    if where == "refused":
        monkeypatch.setattr("subprocess.Popen", refused)
    else:
        monkeypatch.setattr("sys.frozen", True, raising=False)
    with open_helper(ROOM, Counter, 3) as helper:
        assert isinstance(helper, ThreadHelper)
        assert helper.call(Counter.add, 1).result() == 4
