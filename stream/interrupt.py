"""Ctrl-C as a wish to stop: the frame in hand and the output file are finished first."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from stream.errors import UserError

_PATIENCE = 3


class Interruption:
    """Turns SIGINT and SIGTERM into a flag that the loop looks at after each frame.

    While the loop only waits for the source, which may take for ever, a signal raises
    KeyboardInterrupt at once. The third signal always does.
    """

    def __init__(self) -> None:
        self._count = 0
        self._waiting = self._broken_off = False
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether the user has asked to stop."""
        return self._count > 0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Mark the body of a ``with`` statement as a wait that may be broken off."""
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._waiting or self._count >= _PATIENCE:
            self._waiting, self._broken_off = False, True
            raise KeyboardInterrupt

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._broken_off and isinstance(error, Exception) and not isinstance(error, UserError):
            # It hit a library in the midst of being loaded, which made another error of it.
            raise KeyboardInterrupt from error
