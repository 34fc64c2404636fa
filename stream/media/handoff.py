"""Threads at the ends of the path, and how frames get across to them."""

import logging
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Generic, TypeVar

from stream.frame import Frame
from stream.media.base import Source, StreamInfo

T = TypeVar("T")

# A lock that waits for ever cannot be interrupted by Ctrl-C on Windows.
_WAKE_S = 0.2
# A reader that is stuck in a driver is left behind: it is a daemon and holds no output.
_JOIN_S = 1.0


class Handoff(Generic[T]):
    """Pass items from one thread to another, in order, without ever hanging.

    The giver ends with ``finish``, the taker with ``close``; each frees the other.

    Attributes:
        dropped: items replaced before they were taken (``newest_only``).
    """

    def __init__(self, size: int, *, newest_only: bool = False) -> None:
        self._items: deque[T] = deque()
        self._size = 1 if newest_only else size
        self._newest_only = newest_only
        self._changed = threading.Condition()
        self._finished = False
        self._closed = False
        self._error: BaseException | None = None
        self.dropped = 0

    @property
    def is_ready(self) -> bool:
        """Whether an item is there to be taken."""
        return bool(self._items)

    def put(self, item: T) -> bool:
        """Give one item, waiting for room unless only the newest counts.

        Returns:
            False once the taker has gone; the giver should stop then.
        """
        with self._changed:
            if self._newest_only:
                self.dropped += len(self._items)
                self._items.clear()
            while len(self._items) >= self._size and not self._closed:
                self._changed.wait(_WAKE_S)
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def finish(self, error: BaseException | None = None) -> None:
        """Tell that no item follows, and why if something went wrong."""
        with self._changed:
            self._finished = True
            self._error = self._error or error
            self._changed.notify_all()

    def close(self) -> None:
        """Tell that no item is wanted any more."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Yield the items, then raise the giver's error if it had one."""
        while True:
            with self._changed:
                while not (self._items or self._finished or self._closed):
                    self._changed.wait(_WAKE_S)
                if self._closed:
                    return
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
        if self._error is not None:
            raise self._error


def start_thread(name: str, work: Callable[[], None]) -> threading.Thread:
    """Start a daemon thread, which cannot keep the program from ending."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


class ThreadedSource(Source):
    """A source that is read by a thread of its own.

    A file is read ahead and loses no frame; of a live source only the newest frame is
    kept. Subclasses give ``_read``, which runs in that thread, and ``_release``.
    """

    def __init__(self, info: StreamInfo, queue_frames: int) -> None:
        self._ended = threading.Event()
        self.info = replace(info, ended=self._ended)
        self._handoff: Handoff[Frame] = Handoff(queue_frames, newest_only=info.live)
        self._thread: threading.Thread | None = None
        self._done = threading.Event()

    @property
    def is_ready(self) -> bool:
        """Whether the next frame can be had without a wait."""
        return self._handoff.is_ready

    @abstractmethod
    def _read(self) -> Iterator[Frame]:
        """Yield the frames as they become available."""

    @abstractmethod
    def _release(self) -> None:
        """Give back what the source holds."""

    @property
    def dropped(self) -> int:
        """Frames of a live source that were never handed out."""
        return self._handoff.dropped

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for frame in self._read():
                if not self._handoff.put(frame):
                    break
        except BaseException as caught:  # noqa: BLE001 - raised again by the taker
            error = caught
        finally:
            self._let_go()
            self._handoff.finish(error)

    def _let_go(self) -> None:
        try:
            self._release()
        except Exception:
            logging.getLogger("voltface").exception("%s: closing failed", self.info.name)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames."""
        if self._thread is None and not self._done.is_set():
            self._thread = start_thread("voltface-source", self._run)
        for frame in self._handoff:
            if self.info.live:
                yield frame
            else:  # a frame that was decoded ahead has not been waiting for anybody
                yield replace(frame, captured_s=time.perf_counter())
        if not self._done.is_set():
            self._ended.set()

    def close(self) -> None:
        """Stop the thread and release the input."""
        first = not self._done.is_set()
        self._done.set()
        self._handoff.close()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        elif first:
            self._let_go()
