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

    def add(self, number, *, twice=False):
        """Add, and return the sum."""
        self.count += number * (1 + twice)
        return self.count

    def doubled(self, array):
        """Return twice an array, and where it was done."""
        return 2 * array, os.getpid()

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
