"""OpenCV's own threads, which frames do better without."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def one_thread_a_call() -> Iterator[None]:
    """Let OpenCV work in the thread that calls it.

    Its helpers spin while they wait for the next piece of work. The calls of a frame are short,
    and threads of the path are busy on the other cores: there the helpers only take time.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
