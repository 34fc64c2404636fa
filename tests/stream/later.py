"""An executor whose order of work a test can see."""

from concurrent.futures import Executor, Future


class Later(Executor):
    """Does nothing until an answer is asked for."""

    def submit(self, work, *given):
        """Return the answer to be."""
        return _Answer(lambda: work(*given))


class _Answer(Future):
    def __init__(self, work):
        super().__init__()
        self._work = work

    def result(self, timeout=None):
        return self._work()
