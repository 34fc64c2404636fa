"""One slow computation beside the live path."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

_log = logging.getLogger("voltface")
_NICENESS = 5  # of what nobody waits for; more would hold the interpreter's lock for too long

Result = TypeVar("Result")


class SideJob(Generic[Result]):
    """Runs one function at a time in a thread of its own; the newest answer wins.

    A failure is logged once and leaves no answer: the live path goes on without it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._run: _Run[Result] | None = None
        self._reported = False

    @property
    def busy(self) -> bool:
        """Whether an answer is still awaited."""
        return self._run is not None

    def start(self, work: Callable[[], Result]) -> None:
        """Begin to compute; an earlier job that still runs is dropped."""
        self._run = _Run(work, self._name)

    def take(self) -> Result | None:
        """Return the answer once, when it is there."""
        run = self._run
        if run is None or run.thread.is_alive():
            return None
        self._run = None
        if run.error is not None and not self._reported:
            self._reported = True
            _log.warning("%s failed and is left out: %s", self._name, run.error)
        return run.result

    def drop(self) -> None:
        """Forget the job; its answer, if it comes, is lost."""
        self._run = None

    def wait(self, timeout_s: float) -> None:
        """Wait until the answer is there."""
        if self._run is not None:
            self._run.thread.join(timeout_s)


class _Run(Generic[Result]):
    def __init__(self, work: Callable[[], Result], name: str) -> None:
        self.result: Result | None = None
        self.error: BaseException | None = None
        self._work = work
        # No daemon: at exit, Python ends those in mid-call, and OpenCV answers with an abort.
        self.thread = threading.Thread(target=self._main, name=name)
        self.thread.start()

    def _main(self) -> None:
        _stand_back()
        try:
            self.result = self._work()
        except Exception as error:  # noqa: BLE001 - reported by take()
            self.error = error


def _stand_back() -> None:
    """Let other threads go first, where a thread can have a priority of its own."""
    if sys.platform == "linux":
        with suppress(OSError):  # some sandboxes forbid it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
