"""The memory through which two processes pass arrays."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from stream.mailbox import Inbox, Outbox, shared_file

SIZE = 1 << 16
MAPS = Path("/proc/self/maps")
FIT = SIZE // 8 // 1000  # arrays of 1000 float64 that fit


@pytest.fixture
def ends():
    descriptor = shared_file(SIZE)
    with Outbox(descriptor, SIZE) as sender, Inbox(descriptor, SIZE) as receiver:
        os.close(descriptor)
        yield sender, receiver


def numbered(number):
    return np.full(1000, float(number))


def test_what_is_packed_is_unpacked(ends):
    sender, receiver = ends
    sent = {"a": np.arange(300.0), "b": [np.ones((3, 500), np.uint8), "word"], "c": b"x" * 9}
    message = sender.packed(sent)
    assert message.fits
    assert len(message.pickled) < 1000  # arrays go another way
    got = receiver.unpacked(message)
    np.testing.assert_array_equal(got["a"], sent["a"])
    np.testing.assert_array_equal(got["b"][0], sent["b"][0])
    assert (got["b"][1], got["c"]) == ("word", b"x" * 9)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3), (2, 300)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_small_and_empty_arrays_arrive_too(ends, shape, order):
    sender, receiver = ends
    sent = np.ones(shape, order=order)
    got = receiver.unpacked(sender.packed(sent))
    np.testing.assert_array_equal(got, sent)
    got[...] = 2  # it is the reader's own


def test_arrays_that_are_views_arrive_too(ends):
    sender, receiver = ends
    whole = np.arange(60000).reshape(200, 300)
    for part in (whole[20:21], whole[2:30, 3:70], whole[2:10].T):
        np.testing.assert_array_equal(receiver.unpacked(sender.packed(part)), part)


def test_arrays_that_may_not_be_written_to_stay_so(ends):
    sender, receiver = ends
    fixed = numbered(1)
    fixed.flags.writeable = False
    got = receiver.unpacked(sender.packed(fixed))
    assert not got.flags.writeable
    sender.give_back(receiver.left(9))
    assert sender.packed(numbered(2)).places[0][0] > 0  # it keeps its place all the same
    assert (got == 1).all()


def test_arrays_are_not_copied_when_they_are_read(ends):
    sender, receiver = ends
    message = sender.packed(numbered(1))
    assert np.shares_memory(receiver.unpacked(message), receiver.unpacked(message))


VIEWS = {
    "itself": lambda array: array,
    "a part": lambda array: array[10:20],
    "another shape": lambda array: array.reshape(10, 100)[3:, ::7].T,
    "another type": lambda array: array.view(np.uint8)[5:].view(np.int8),
    "a subclass": lambda array: array.view(np.recarray)[1:],
    "a buffer": lambda array: memoryview(array)[3:9],
    "an array over a buffer": lambda array: np.frombuffer(memoryview(array), np.uint8)[1:],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_place_is_the_readers_while_anything_lies_over_it(ends, view):
    sender, receiver = ends
    first = sender.packed(numbered(1))
    kept = view(receiver.unpacked(first))
    as_it_was = bytes(kept)
    assert receiver.left(9) == []
    for number in range(3 * FIT):
        second = sender.packed(numbered(2 + number))
        assert second.places != first.places
        assert (receiver.unpacked(second) == 2 + number).all()
        sender.give_back(receiver.left(9))
    assert bytes(kept) == as_it_was
    del kept
    sender.give_back(receiver.left(9))
    assert sender.packed(numbered(0)).places == first.places


def test_places_are_used_again_in_whatever_order_they_become_free(ends):
    sender, receiver = ends
    kept = [receiver.unpacked(sender.packed(numbered(number))) for number in range(FIT)]
    assert not sender.packed(numbered(0)).fits
    for number in (5, 2, 3):
        kept[number] = None
    sender.give_back(receiver.left(9))
    message = sender.packed(np.full(2000, 9.0))  # over two that adjoined
    assert message.fits
    kept[2] = receiver.unpacked(message)
    kept[5] = receiver.unpacked(sender.packed(numbered(5)))
    assert [array[0] for array in kept if array is not None] == [0, 1, 9, 4, 5, 6, 7]
    assert all((array == array[0]).all() for array in kept if array is not None)


def test_each_place_is_told_once_and_at_most_so_many_at_a_time(ends):
    sender, receiver = ends
    firsts = [sender.packed(numbered(0)).places[0] for _ in range(3)]
    for place in firsts:
        receiver.unpacked(sender.packed(numbered(0))._replace(places=[place]))
    told = receiver.left(2), receiver.left(2), receiver.left(2)
    assert [len(part) for part in told] == [2, 1, 0]
    assert sorted(told[0] + told[1]) == [first for first, _ in firsts]


def test_what_does_not_fit_travels_in_the_message(ends):
    sender, receiver = ends
    sent = numbered(3), np.arange(SIZE, dtype=float), numbered(4)
    message = sender.packed(sent)
    assert not message.fits
    assert len(message.places) == 2  # the others do
    for got, array in zip(receiver.unpacked(message), sent, strict=True):
        np.testing.assert_array_equal(got, array)


def test_what_cannot_be_pickled_takes_no_room(ends):
    sender, _ = ends
    with pytest.raises(Exception, match="lambda"):
        sender.packed((np.zeros(SIZE // 8), lambda: None))
    assert sender.packed(np.zeros(SIZE // 8)).fits


def test_arrays_may_die_in_any_thread(ends):
    sender, receiver = ends
    for number in range(200):
        held = [receiver.unpacked(sender.packed(numbered(number)))]
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()
        sender.give_back(receiver.left(9))
    assert sender.packed(np.zeros(SIZE // 8)).fits


def test_arrays_outlive_the_mailbox():
    descriptor = shared_file(SIZE)
    sender, receiver = Outbox(descriptor, SIZE), Inbox(descriptor, SIZE)
    os.close(descriptor)
    kept = receiver.unpacked(sender.packed(numbered(7)))
    for end in (receiver, sender, receiver, sender):
        end.close()
    assert (kept == 7).all()
    kept += 1
    assert (kept == 8).all()


@pytest.mark.skipif(not MAPS.exists(), reason="Linux tells what is mapped")
def test_the_memory_goes_with_the_last_array():
    def mapped():
        return MAPS.read_text().count("memfd:voltface")

    before, descriptor = mapped(), shared_file(SIZE)
    sender, receiver = Outbox(descriptor, SIZE), Inbox(descriptor, SIZE)
    os.close(descriptor)
    kept = receiver.unpacked(sender.packed([numbered(1), numbered(2)]))
    sender.close()
    receiver.close()
    assert mapped() == before + 1
    kept.pop()
    assert mapped() == before + 1
    kept.pop()
    assert mapped() == before
