"""Several prepared sets as one, without a copy: `python -m training join`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    Rows: TypeAlias = "np.ndarray | JoinedArray"

PARTS = "parts"  # of the summary: the folders of the sets


class JoinedArray:
    """Arrays one after another along their first axis, read as one.

    Args:
        arrays: (n_i, …) each.
        counts: how many rows of each are used, from its beginning.
    """

    def __init__(self, arrays: Sequence[Rows], counts: Sequence[int]) -> None:
        self._arrays = tuple(arrays)
        self._ends = np.cumsum(counts)
        self._starts = self._ends - np.asarray(counts)
        self.shape: tuple[int, ...] = (len(self), *self._arrays[0].shape[1:])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._row(row) for row in range(len(self)))

    def __getitem__(self, index: Any) -> np.ndarray:  # noqa: ANN401 - as numpy's own
        """Return one row, or (k, …) several; of a tuple what follows picks within the rows."""
        rows, *within = index if isinstance(index, tuple) else (index,)
        chosen = np.arange(len(self))[rows]
        if np.ndim(chosen) == 0:
            return self._row(int(chosen))[tuple(within)]
        picked = [self._row(int(row))[tuple(within)] for row in chosen]
        return np.stack(picked) if picked else np.empty((0, *self.shape[1:]))

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)  # type: ignore[call-overload]

    def _row(self, row: int) -> np.ndarray:
        part = int(np.searchsorted(self._ends, row, side="right"))
        return self._arrays[part][row - int(self._starts[part])]


def joined_fields(
    parts: Sequence[Mapping[str, Rows]], counts: Sequence[int]
) -> dict[str, JoinedArray]:
    """Join the fields that all parts have."""
    common = set.intersection(*(set(part) for part in parts))
    return {name: JoinedArray([part[name] for part in parts], counts) for name in sorted(common)}


def write_joined(out: Path, folders: Sequence[Path], summaries: Sequence[dict]) -> None:
    """Write the summary of a set that consists of others; it holds no pictures of its own.

    Args:
        out: its folder; made when absent.
        folders: of the parts, which must stay where they are.
        summaries: of the parts.

    Raises:
        ValueError: when they differ in size.
    """
    sizes = {summary["size"] for summary in summaries}
    if len(sizes) != 1:
        raise ValueError(f"the sets have pictures of different sizes: {sorted(sizes)}")
    out.mkdir(parents=True, exist_ok=True)
    recipe = {
        "seed": summaries[0]["seed"],
        "held_out": any(summary["held_out"] for summary in summaries),
        "count": sum(summary["count"] for summary in summaries),
        "size": sizes.pop(),
        PARTS: [str(folder.resolve()) for folder in folders],
    }
    (out / "set.json").write_text(json.dumps(recipe) + "\n")
