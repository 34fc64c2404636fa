"""Which parts of a memory are free: a first-fit free list, whose neighbours merge."""

from __future__ import annotations

from bisect import bisect

_ALIGNED = 64  # bytes: a line of the cache, and more than any instruction asks for


class FreeList:
    """Hands out places in a memory, each the lowest that is large enough.

    Low places are taken again and again while they are still in the cache; places may be given
    back in any order.

    Args:
        size: bytes of the memory.
    """

    def __init__(self, size: int) -> None:
        self._gaps = [(0, size)]  # (first, last + 1) bytes, in order; no two of them touch
        self._taken: dict[int, int] = {}

    @property
    def free(self) -> int:
        """Bytes that are free, not necessarily side by side."""
        return sum(last - first for first, last in self._gaps)

    def take(self, size: int) -> int | None:
        """Return the first byte of a place of so many bytes; None where there is none."""
        size = max(1, -(-size // _ALIGNED)) * _ALIGNED
        for index, (first, last) in enumerate(self._gaps):
            if last - first >= size:
                taken = self._taken[first] = first + size
                self._gaps[index : index + 1] = [(taken, last)] if taken < last else []
                return first
        return None

    def give_back(self, first: int) -> None:
        """Free the place that begins at a byte.

        Raises:
            KeyError: if none does that is taken.
        """
        last = self._taken.pop(first)
        index = bisect(self._gaps, (first, last))
        if index < len(self._gaps) and self._gaps[index][0] == last:
            last = self._gaps.pop(index)[1]
        if index and self._gaps[index - 1][1] == first:
            index -= 1
            first = self._gaps.pop(index)[0]
        self._gaps.insert(index, (first, last))
