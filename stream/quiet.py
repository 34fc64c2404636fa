"""Hold back what C++ libraries write to standard error while they start."""

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

# Lines of absl and TensorFlow Lite that tell a user nothing; all others are passed on.
_NOISE = re.compile(rb"^([IW]\d{4} |INFO: |WARNING: All log messages|WARNING: Logging before)")
_lock = threading.RLock()
_depth = 0


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop the start-up chatter of C++ libraries inside a ``with`` block.

    What else arrives on file descriptor 2 in the meantime, from any thread, is written when
    the block ends, also after an exception. Blocks may be nested.
    """
    global _depth  # noqa: PLW0603  the descriptor belongs to the process, so does its state
    with _lock:
        if _depth or not _has_descriptor():
            yield
            return
        _depth += 1
        sys.stderr.flush()
        kept = os.dup(2)
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(kept, 2)
                os.close(kept)
                _depth -= 1
                _pass_on(held)


def _has_descriptor() -> bool:
    """Tell whether there is a standard error at all (a windowed program may have none)."""
    try:
        os.fstat(2)
    except OSError:
        return False
    return sys.stderr is not None


def _pass_on(held: IO[bytes]) -> None:
    held.seek(0)
    for line in held:
        if not _NOISE.match(line):
            os.write(2, line)
