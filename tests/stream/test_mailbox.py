"""The memory through which two processes pass arrays."""

import os

import numpy as np
import pytest

from stream.mailbox import Mailbox, shared_file

SIZE = 1 << 16


@pytest.fixture
def ends():
    descriptor = shared_file(SIZE)
    with Mailbox(descriptor, SIZE) as sender, Mailbox(descriptor, SIZE) as receiver:
        os.close(descriptor)
        yield sender, receiver


def test_what_is_packed_is_unpacked(ends):
    sender, receiver = ends
    sent = {"a": np.arange(300.0), "b": [np.ones((3, 5), np.uint8), "word", None], "c": b"x" * 9}
    message = sender.packed(sent)
    assert message.fits
    assert len(message.pickled) < 1000  # arrays go another way
    got = receiver.unpacked(message)
    np.testing.assert_array_equal(got["a"], sent["a"])
    np.testing.assert_array_equal(got["b"][0], sent["b"][0])
    assert (got["b"][1:], got["c"]) == (["word", None], b"x" * 9)


def test_messages_lie_beside_each_other_until_the_box_is_emptied(ends):
    sender, receiver = ends
    first, second = (sender.packed(np.full(1000, number)) for number in (1.0, 2.0))
    assert (receiver.unpacked(first) == 1).all()
    assert (receiver.unpacked(second) == 2).all()
    sender.empty()
    third = sender.packed(np.full(1000, 3.0))
    assert third.places == first.places
    assert (receiver.unpacked(third) == 3).all()


def test_what_was_read_stays_when_it_is_overwritten(ends):
    sender, receiver = ends
    kept = receiver.unpacked(sender.packed(np.ones(1000)))
    sender.empty()
    sender.packed(np.zeros(1000))
    assert (kept == 1).all()
    kept[:] = 5  # and is the reader's own


def test_what_does_not_fit_travels_in_the_message(ends):
    sender, receiver = ends
    message = sender.packed(np.arange(SIZE, dtype=float))
    assert not message.fits
    np.testing.assert_array_equal(receiver.unpacked(message), np.arange(SIZE, dtype=float))


def test_arrays_that_are_views_arrive_too(ends):
    sender, receiver = ends
    whole = np.arange(600).reshape(20, 30)
    np.testing.assert_array_equal(
        receiver.unpacked(sender.packed(whole[2:9, 3:7])), whole[2:9, 3:7]
    )
