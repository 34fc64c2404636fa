"""Memory that two processes share, for the arrays of what they tell each other.

A message is pickled; its arrays travel through the shared memory, and only the rest through a
pipe (`stream.link`). They are copied into it, and read where they lie: a place is the reader's for
as long as any array over it lives there. Then the reader tells the writer, who may use it again.
"""

from __future__ import annotations

import mmap
import os
import pickle
import tempfile
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stream.closing import Closing
from stream.free_list import FreeList

if TYPE_CHECKING:
    from collections.abc import Iterable

_SMALL = 1024  # bytes; smaller arrays are sooner copied than kept account of


class Message(NamedTuple):
    """Something packed.

    Attributes:
        pickled: it, but for its large arrays.
        places: where these lie, (first, last + 1) bytes.
        fits: whether there was room for all of them; the others are in the pickle.
    """

    pickled: bytes
    places: list[tuple[int, int]]
    fits: bool = True


class Outbox(Closing):
    """The end of a shared memory that is written to.

    Args:
        descriptor: of a file of so many bytes, as `shared_file` gives; it is not closed.
        size: bytes.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._memory = mmap.mmap(descriptor, size)
        self._room = FreeList(size)

    def packed(self, value: object) -> Message:
        """Put a value's arrays into the memory; into the message itself where they do not fit.

        Args:
            value: whatever can be pickled; arrays should be contiguous.
        """
        places: list[tuple[int, int]] = []
        fits = True

        def stays(array: pickle.PickleBuffer) -> bool:
            nonlocal fits
            with array.raw() as view:
                if view.nbytes < _SMALL:
                    return True
                first = self._room.take(view.nbytes)
                if first is None:
                    fits = False
                    return True
                place = first, first + view.nbytes
                places.append(place)
                self._memory[slice(*place)] = view
            return False

        try:
            pickled = pickle.dumps(value, protocol=5, buffer_callback=stays)
        except BaseException:
            self.give_back(first for first, _ in places)
            raise
        return Message(pickled, places, fits)

    def give_back(self, firsts: Iterable[int]) -> None:
        """Free places: of a message that is not sent, or that the reader has done with.

        Args:
            firsts: their first bytes.
        """
        for first in firsts:
            self._room.give_back(first)

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()


class Inbox(Closing):
    """The end of a shared memory that is read from; arguments as of `Outbox`."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._memory: mmap.mmap | None = mmap.mmap(descriptor, size)
        # Arrays die in any thread: a deque takes and gives without a lock.
        self._left: deque[int] = deque()

    def unpacked(self, message: Message) -> Any:  # noqa: ANN401  whatever was packed
        """Return what the other side has packed into this memory.

        Its arrays lie in the memory, and may be written to: nobody else looks at them.
        """
        buffers = [self._lent(first, last) for first, last in message.places]
        return pickle.loads(message.pickled, buffers=buffers)  # noqa: S301  from our own process

    def _lent(self, first: int, last: int) -> np.ndarray:
        """Return a place; whatever lies over it keeps this alive.

        That an array lies over another one NumPy forgets, if that one lies over an array, too:
        it looks through to the last. This one, therefore, lies over the memory itself.
        """
        assert self._memory is not None  # noqa: S101  nothing arrives once it is closed
        place = np.frombuffer(self._memory, np.uint8, last - first, first)
        weakref.finalize(place, self._left.append, first).atexit = False
        return place

    def left(self, most: int) -> list[int]:
        """Return the first bytes of places over which no array lives any more, each place once.

        Args:
            most: of them at a time.
        """
        return [self._left.popleft() for _ in range(min(most, len(self._left)))]

    def close(self) -> None:
        """Let go of the memory; arrays that lie in it stay whole, and it goes with the last."""
        self._memory = None


def shared_file(size: int) -> int:
    """Return the descriptor of a nameless file that another process may inherit.

    Raises:
        OSError: if the system gives no such memory.
    """
    with suppress(AttributeError):  # Linux alone has it; elsewhere a file is as good, but slower
        descriptor = os.memfd_create("voltface")
        os.ftruncate(descriptor, size)
        return descriptor
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return os.dup(file.fileno())
