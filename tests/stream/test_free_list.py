"""Places in a memory: never two at once, and all of it again once they are given back."""

import random

import pytest

from stream.free_list import FreeList

SIZE = 64 * 100


def test_places_are_aligned_and_the_lowest_that_are_large_enough():
    room = FreeList(SIZE)
    assert [room.take(size) for size in (1, 64, 65, 0)] == [0, 64, 128, 256]
    room.give_back(64)
    assert room.take(100) == 320  # the gap is too small
    assert room.take(30) == 64


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0)])
def test_neighbours_merge_in_whatever_order_they_are_given_back(order):
    room = FreeList(3 * 640)
    places = [room.take(640) for _ in range(3)]
    assert room.take(1) is None
    for index in order:
        room.give_back(places[index])
    assert room.take(3 * 640) == 0


def test_nothing_is_given_back_twice():
    room = FreeList(SIZE)
    room.give_back(room.take(10))
    with pytest.raises(KeyError):
        room.give_back(0)


@pytest.mark.parametrize("seed", range(5))
def test_places_never_overlap_and_none_is_refused_while_there_is_a_gap(seed):
    chance, room = random.Random(seed), FreeList(SIZE)
    owner, taken = [None] * (SIZE // 64), {}
    for number in range(2000):
        if taken and chance.random() < 0.45:
            first = chance.choice(list(taken))
            for line in taken.pop(first):
                owner[line] = None
            room.give_back(first)
            continue
        lines = chance.randint(1, 20)
        gap = [None] * lines
        places = (at for at in range(len(owner) - lines + 1) if owner[at : at + lines] == gap)
        lowest = next(places, None)
        first = room.take(64 * lines - chance.randrange(64))
        assert first == (None if lowest is None else 64 * lowest)
        if first is not None:
            taken[first] = range(lowest, lowest + lines)
            owner[lowest : lowest + lines] = [number] * lines
    assert room.free == 64 * owner.count(None)
