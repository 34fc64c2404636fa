"""What every part that holds something has in common: it closes when its ``with`` block ends."""

from types import TracebackType
from typing import Self


class Closing:
    """Gives a class with a ``close`` method the two methods of a context manager."""

    def close(self) -> None:
        """Give back what is held; closing twice does no harm."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
