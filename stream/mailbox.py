"""Memory that two processes share, for the arrays of what they tell each other.

A message is pickled; its arrays travel through the shared memory, and only the rest through a
pipe. Each side writes into a mailbox of its own and reads from the other's, which copies: a
message that was read may be overwritten.
"""

from __future__ import annotations

import mmap
import os
import pickle
import tempfile
from contextlib import suppress
from typing import Any, NamedTuple

from stream.closing import Closing

_ALIGNED = 64  # bytes


class Message(NamedTuple):
    """Something packed.

    Attributes:
        pickled: it, but for its arrays.
        places: where these lie, (first, last + 1) bytes.
        fits: whether there was room for them; they are in the pickle else.
    """

    pickled: bytes
    places: list[tuple[int, int]]
    fits: bool = True


class Mailbox(Closing):
    """One direction of the traffic.

    Args:
        descriptor: of a file of so many bytes, as `shared_file` gives; it is not closed.
        size: bytes.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._memory = mmap.mmap(descriptor, size)
        self._used = 0

    def empty(self) -> None:
        """Write from the beginning again: all that was packed has been read."""
        self._used = 0

    def packed(self, value: object) -> Message:
        """Put a value's arrays into the memory; into the message itself where they do not fit.

        Args:
            value: whatever can be pickled; arrays should be contiguous.
        """
        arrays: list[pickle.PickleBuffer] = []
        pickled = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
        views = [array.raw() for array in arrays]
        if self._used + sum(view.nbytes + _ALIGNED for view in views) > len(self._memory):
            return Message(pickle.dumps(value, protocol=5), [], fits=False)
        return Message(pickled, [self._put(view) for view in views])

    def _put(self, view: memoryview) -> tuple[int, int]:
        first = self._used
        self._memory[first : first + view.nbytes] = view
        self._used = -(-(first + view.nbytes) // _ALIGNED) * _ALIGNED
        return first, first + view.nbytes

    def unpacked(self, message: Message) -> Any:  # noqa: ANN401  whatever was packed
        """Return what the other side has packed into this memory; its arrays are copies."""
        with memoryview(self._memory) as memory:
            buffers = [bytearray(memory[first:last]) for first, last in message.places]
        return pickle.loads(message.pickled, buffers=buffers)  # noqa: S301  from our own process

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()


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
