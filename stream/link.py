"""One end of the traffic between two processes: a pipe each way, and shared memory for arrays.

With every message go the places of the other direction that its sender has done with.
"""

from __future__ import annotations

import pickle
from typing import IO, TYPE_CHECKING, Any

from stream.closing import Closing
from stream.mailbox import Message

if TYPE_CHECKING:
    from stream.mailbox import Inbox, Outbox

_LEFT = 16  # places at a time, so that telling of them never fills the pipe
_AROUND, _NUMBER = 64, 12  # bytes, at most: what holds a message, and a number there


class Link(Closing):
    """Sends and receives whatever can be pickled.

    Args:
        inbox: memory of what arrives.
        outbox: memory of what is sent.
        arriving: buffered end of a pipe.
        leaving: likewise.
    """

    def __init__(
        self, inbox: Inbox, outbox: Outbox, arriving: IO[bytes], leaving: IO[bytes]
    ) -> None:
        self._inbox, self._outbox = inbox, outbox
        self._arriving, self._leaving = arriving, leaving

    def packed(self, value: object) -> Message:
        """Return a message, to be sent or withdrawn; see `Outbox.packed`."""
        return self._outbox.packed(value)

    def withdraw(self, message: Message) -> None:
        """Free the places of a message that will not be sent."""
        self._outbox.give_back(first for first, _ in message.places)

    def size(self, message: Message) -> int:
        """Return how many bytes of the pipe a message takes, at most."""
        numbers = 2 * len(message.places) + _LEFT
        return len(message.pickled) + _AROUND + numbers * _NUMBER

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            OSError: if nobody is at the other end.
        """
        pickled, places, _ = message
        # Two pickles are sooner made than the bytes of one put together here.
        pickle.dump((pickled, places, self._inbox.left(_LEFT)), self._leaving, protocol=5)
        self._leaving.flush()

    def receive(self) -> Any:  # noqa: ANN401  whatever was sent
        """Wait for the next message, and return it; its arrays lie in the shared memory.

        Raises:
            EOFError: if the other end was closed.
            pickle.UnpicklingError: if it was closed in the midst of a message.
        """
        pickled, places, left = pickle.load(self._arriving)  # noqa: S301  from our own process
        self._outbox.give_back(left)
        return self._inbox.unpacked(Message(pickled, places))

    def close(self) -> None:
        """Let go of the memory; the pipes are those of others."""
        self._inbox.close()
        self._outbox.close()
