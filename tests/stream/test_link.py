"""Two ends of the traffic, here in one process: what goes in comes out, and stays."""

import os
import random
from contextlib import ExitStack

import numpy as np
import pytest

from stream.link import Link
from stream.mailbox import Inbox, Outbox, shared_file

ROOM = 1 << 16


@pytest.fixture
def links():
    with ExitStack() as held:
        files = shared_file(ROOM), shared_file(ROOM)
        pipes = os.pipe(), os.pipe()
        ends = []
        for mine in (0, 1):
            boxes = Inbox(files[1 - mine], ROOM), Outbox(files[mine], ROOM)
            arriving = held.enter_context(os.fdopen(pipes[1 - mine][0], "rb"))
            leaving = held.enter_context(os.fdopen(pipes[mine][1], "wb"))
            ends.append(held.enter_context(Link(*boxes, arriving, leaving)))
        for file in files:
            os.close(file)
        yield ends


def sent(sender, receiver, value):
    """Return what arrives of a value, and whether all of it fitted."""
    message = sender.packed(value)
    sender.send(message)
    return receiver.receive(), message.fits


def test_room_becomes_free_with_what_the_other_side_says_next(links):
    here, there = links
    kept, fits = sent(here, there, np.ones(ROOM // 8))
    assert fits
    del kept
    assert not here.packed(np.ones(200)).fits  # nobody has told yet
    sent(there, here, "anything")
    assert sent(here, there, np.ones(ROOM // 8))[1]


def test_what_is_withdrawn_takes_no_room(links):
    here, _ = links
    here.withdraw(here.packed([np.ones(ROOM // 32), np.ones(ROOM // 32)]))
    assert here.packed(np.ones(ROOM // 8)).fits


def test_a_message_takes_no_more_of_the_pipe_than_it_says(links):
    here, there = links
    for _ in range(40):
        sent(there, here, [np.ones(130) for _ in range(10)])  # places to be told of
    message = here.packed([np.arange(200.0), "word" * 100, np.ones(3), 7])
    here.send(message)
    arrived = os.read(there._arriving.fileno(), 1 << 20)
    assert len(message.pickled) < len(arrived) <= here.size(message)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_kept_for_however_long_stays_as_it_was_sent(links, seed):
    chance, numbers = random.Random(seed), np.random.default_rng(seed)
    kept, fitted = ([], []), []
    for _ in range(1500):
        side = chance.randrange(2)
        sizes = [chance.choice((9, 900, 4000, 12000)) for _ in range(chance.randint(0, 3))]
        arrays = [numbers.integers(0, 256, size, np.uint8) for size in sizes]
        got, fits = sent(links[side], links[1 - side], arrays)
        fitted.append(fits)
        kept[side].extend(zip(got, arrays, strict=True))
        got = None
        if kept[side] and chance.random() < 0.3:  # readers may write
            here, there = chance.choice(kept[side])
            np.add(here, 1, out=here)
            np.add(there, 1, out=there)
        most = chance.choice((2, 10, 25))  # now and then more than there is room for
        while len(kept[side]) > most:
            kept[side].pop(chance.randrange(len(kept[side])))
        for here, there in kept[0] + kept[1]:
            np.testing.assert_array_equal(here, there)
    assert 0.5 < np.mean(fitted) < 0.99
    del here, there
    for half in kept:
        half.clear()
    for number in range(20):
        sent(links[number % 2], links[1 - number % 2], None)
    assert all(link.packed(np.ones(ROOM // 8)).fits for link in links)


def test_an_end_that_is_gone_is_told(links):
    here, there = links
    here._leaving.close()
    with pytest.raises(EOFError):
        there.receive()
