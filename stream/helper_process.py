"""What runs in a helper's process: it builds one object and calls its methods as it is told."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import traceback
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import cv2

from stream.allocator import keep_freed_memory
from stream.link import Link
from stream.mailbox import Inbox, Outbox

if TYPE_CHECKING:
    from stream.closing import Closing


class _Kept(logging.Handler):
    """Keeps what is logged until it is sent on."""

    def __init__(self) -> None:
        super().__init__()
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args = record.getMessage(), None  # what it names may not be picklable
        if record.exc_info is not None:
            record.msg += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
            record.exc_info = None
        self._records.append(record)

    def taken(self) -> list[logging.LogRecord]:
        """Return what was logged since the last time."""
        records, self._records = self._records, []
        return records


def serve(requests_file: int, answers_file: int, room: int) -> None:
    """Answer requests from standard input on standard output, until the first of them ends.

    Args:
        requests_file: descriptor of the memory that arrays come through.
        answers_file: the same of those that go back.
        room: bytes of each.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # the owner hears them, too, and ends this
        signal.signal(number, signal.SIG_IGN)
    keep_freed_memory()
    cv2.setNumThreads(1)
    boxes = Inbox(requests_file, room), Outbox(answers_file, room)
    link = Link(*boxes, sys.stdin.buffer, _private_output())
    kept, log = _Kept(), logging.getLogger("voltface")
    log.addHandler(kept)
    log.propagate = False
    worker = _Worker()
    with suppress(EOFError, BrokenPipeError):
        while True:
            # No name holds a request or its answer: their arrays would keep their places.
            answer = link.packed((worker.answered(*link.receive()), kept.taken()))
            link.send(answer)
    worker.close()


def _private_output() -> IO[bytes]:
    """Return standard output, and have all that prints there print to standard error."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return pipe


class _Worker:
    """Holds the object."""

    def __init__(self) -> None:
        self._object: Closing | None = None

    def answered(self, name: str, *request: Any) -> tuple[Any, BaseException | None]:  # noqa: ANN401
        """Do what is asked for; return what came of it, or the error."""
        try:
            if not name:
                build, args = request
                self._object = build(*args)
                return None, None
            args, kwargs = request
            return getattr(self._object, name)(*args, **kwargs), None
        except Exception as error:  # noqa: BLE001  raised again by the owner
            return None, _told(error)

    def close(self) -> None:
        """Close the object."""
        if self._object is not None:
            self._object.close()


def _told(error: Exception) -> Exception:
    """Return an error as it can be sent."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  just made
    except Exception:  # noqa: BLE001  errors of libraries can be anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
