"""Several prepared sets as one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

pytest.importorskip("threadpoolctl", reason="needs the extra train")

from stream.errors import UserError
from training.learn.joined import JoinedArray
from training.learn.prepared import join, open_set

if TYPE_CHECKING:
    from pathlib import Path


def a_set(folder: Path, count: int, first: int, *, size: int = 4, held_out: bool = False) -> Path:
    """Write a set whose pictures are all of one number each, with a row to spare."""
    folder.mkdir()
    numbers = first + np.arange(count + 1, dtype=np.uint8)
    np.save(folder / "labels.npy", np.tile(numbers[:, None, None], (1, size, size)))
    recipe = {"seed": 1, "held_out": held_out, "count": count, "size": size}
    (folder / "set.json").write_text(json.dumps(recipe))
    return folder


def test_rows_come_one_set_after_another(tmp_path: Path) -> None:
    parts = a_set(tmp_path / "a", 3, 0), a_set(tmp_path / "b", 2, 100, held_out=True)
    made = join(tmp_path / "both", parts)
    assert made.count == 5
    assert made.recipe["held_out"]
    assert [int(picture[0, 0]) for picture in made["labels"]] == [0, 1, 2, 100, 101]
    again = open_set(tmp_path / "both")
    np.testing.assert_array_equal(again["labels"][np.array([4, 0])][:, 0, 0], [101, 0])
    np.testing.assert_array_equal(np.asarray(again["labels"])[:, 1, 1], [0, 1, 2, 100, 101])


def test_indexing_is_numpys() -> None:
    first, second = np.arange(12).reshape(3, 2, 2), np.arange(12, 24).reshape(3, 2, 2)
    joined, whole = JoinedArray([first, second], [3, 3]), np.concatenate([first, second])
    assert joined.shape == whole.shape
    for index in (2, -1, slice(1, 5, 2), [5, 0], whole[:, 0, 0] > 8, (4, 1), (slice(2, 4), 0, 1)):
        np.testing.assert_array_equal(joined[index], whole[index])
    with pytest.raises(IndexError):
        joined[6]


def test_pairs_are_joined_where_a_set_has_any(tmp_path: Path) -> None:
    parts = [a_set(tmp_path / name, 1, 0) for name in "abc"]
    for part, first in ((parts[0], 1), (parts[2], 2)):
        (part / "pairs").mkdir()
        np.save(part / "pairs" / "pixels.npy", np.full((2, 2, 4, 4), first))
    pairs = join(tmp_path / "all", parts).pairs
    np.testing.assert_array_equal(np.asarray(pairs["pixels"])[:, 0, 0, 0], [1, 1, 2, 2])


def test_sizes_must_agree(tmp_path: Path) -> None:
    parts = a_set(tmp_path / "a", 1, 0), a_set(tmp_path / "b", 1, 0, size=8)
    with pytest.raises(UserError, match="different sizes"):
        join(tmp_path / "both", parts)


def test_nothing_cannot_be_joined(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to join"):
        join(tmp_path / "none", [])
    assert not (tmp_path / "none").exists()
