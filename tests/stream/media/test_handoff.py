import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from stream.errors import UserError
from stream.frame import Frame
from stream.media.base import StreamInfo
from stream.media.handoff import Handoff, ThreadedSource, start_thread

PIXELS = np.zeros((2, 2, 3), np.uint8)


def test_items_arrive_in_order_and_the_end_is_seen():
    handoff = Handoff(2)

    def give():
        for number in range(50):
            handoff.put(number)
        handoff.finish()

    start_thread("giver", give)
    assert list(handoff) == list(range(50))
    assert handoff.dropped == 0


def test_a_full_handoff_makes_the_giver_wait():
    handoff = Handoff(2)
    given = []

    def give():
        for number in range(10):
            handoff.put(number)
            given.append(number)

    start_thread("giver", give)
    time.sleep(0.2)
    assert given == [0, 1]


def test_only_the_newest_item_waits_and_the_others_are_counted():
    handoff = Handoff(8, newest_only=True)
    for number in range(5):
        assert handoff.put(number)
    handoff.finish()
    assert list(handoff) == [4]
    assert handoff.dropped == 4


def test_closing_frees_a_waiting_giver():
    handoff = Handoff(1)
    handoff.put(0)
    answers = []
    giver = start_thread("giver", lambda: answers.append(handoff.put(1)))
    time.sleep(0.05)
    handoff.close()
    giver.join(2.0)
    assert answers == [False]


def test_finishing_frees_a_waiting_taker_and_hands_over_the_error():
    handoff = Handoff(1)
    timer = threading.Timer(0.05, handoff.finish, [UserError("a", "b", "c")])
    timer.start()
    with pytest.raises(UserError, match="a: b"):
        list(handoff)


class Numbers(ThreadedSource):
    """A source of black frames that may fail."""

    def __init__(self, count: int, live: bool = False, fail_at: int | None = None) -> None:
        super().__init__(StreamInfo(2, 2, live=live), 2)
        self.count, self.fail_at, self.released = count, fail_at, 0
        self.first_taken = threading.Event()

    def _read(self) -> Iterator[Frame]:
        for index in range(self.count):
            if index == self.fail_at:
                raise RuntimeError("the reader broke")
            yield Frame(PIXELS, index)
            if self.info.live:
                self.first_taken.wait(2.0)

    def _release(self) -> None:
        self.released += 1


def test_a_source_gives_all_frames_and_is_released_once():
    with Numbers(20) as source:
        assert [frame.index for frame in source] == list(range(20))
    assert source.released == 1
    source.close()
    assert source.released == 1


def test_the_readers_exception_comes_out_after_the_frames_before_it():
    seen = []
    with Numbers(9, fail_at=3) as source, pytest.raises(RuntimeError, match="the reader broke"):
        for frame in source:
            seen.append(frame.index)
    assert seen == [0, 1, 2]
    assert source.released == 1


def test_leaving_early_frees_the_reader():
    with Numbers(1000) as source:
        next(iter(source))
        thread = source._thread
    thread.join(2.0)
    assert not thread.is_alive()
    assert source.released == 1


def test_a_consumer_that_raises_is_out_within_two_seconds():
    began = time.perf_counter()
    with pytest.raises(ZeroDivisionError), Numbers(1000) as source:
        for _ in source:
            raise ZeroDivisionError
    assert time.perf_counter() - began < 2.0


def test_a_source_tells_whether_it_came_to_its_end():
    with Numbers(5) as whole:
        assert not whole.info.ended.is_set()
        list(whole)
    assert whole.info.ended.is_set()
    with Numbers(50) as left:
        next(iter(left))
    assert not left.info.ended.is_set()
    with Numbers(5, fail_at=2) as failed, pytest.raises(RuntimeError):
        list(failed)
    assert not failed.info.ended.is_set()


def test_a_source_that_was_never_read_is_released():
    with Numbers(5) as source:
        pass
    assert source.released == 1
    assert list(source) == []


def test_a_live_source_drops_what_nobody_took():
    source = Numbers(30, live=True)
    frames = iter(source)
    assert next(frames).index == 0
    source.first_taken.set()
    source._thread.join(2.0)
    assert [frame.index for frame in frames] == [29]
    assert source.dropped == 28


def test_a_file_frame_counts_as_captured_when_it_is_handed_out():
    with Numbers(3) as source:
        before = time.perf_counter()
        frame = next(iter(source))
        assert before <= frame.captured_s <= time.perf_counter()
