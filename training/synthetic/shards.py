"""Synthetic samples on disk: WebDataset shards with an index.

A shard is a tar file whose members `00000012.png`, `00000012.npz`, `00000012.json` make one
sample. `index.json` beside the shards names each with its first index, count and SHA-256, the
seed and the size, so that a set can be checked and drawn again.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from typing import TYPE_CHECKING

import cv2
import numpy as np
import webdataset

from stream.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

INDEX = "index.json"
# What webdataset, tarfile, zipfile and json raise on files that are absent, cut off or altered.
_DAMAGE = (OSError, EOFError, ValueError, KeyError, tarfile.TarError, zipfile.BadZipFile, cv2.error)
_Item = tuple[int, dict[str, np.ndarray], dict[str, str | float]]


def write(
    items: Iterable[_Item],
    folder: Path,
    recipe: Mapping[str, str | int | bool],
    per_shard: int = 500,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write samples as shards.

    Args:
        items: index, arrays and facts of each, in order; see `dataset.stream`.
        folder: where to write; made when absent.
        recipe: what the index tells of the set: seed, size, count, whether it is held out.
        per_shard: samples in a file.
        progress: told the number of samples written.

    Returns:
        The shards. The index is written last: without it a set is not whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[dict[str, str | int]] = []
    writer, path = None, folder
    count = 0
    for index, arrays, facts in items:
        if writer is None or shards[-1]["count"] == per_shard:
            if writer is not None:
                writer.close()
            path = folder / f"people-{len(shards):05d}.tar"
            writer = webdataset.TarWriter(str(path))
            shards.append({"file": path.name, "first": index, "count": 0})
        writer.write(_packed(index, arrays, facts))
        shards[-1]["count"] = int(shards[-1]["count"]) + 1
        count += 1
        if progress is not None:
            progress(count)
    if writer is not None:
        writer.close()
    for shard in shards:
        shard["sha256"] = _digest(folder / str(shard["file"]))
    listing = {**recipe, "count": count, "shards": shards}
    (folder / INDEX).write_text(json.dumps(listing, indent=1) + "\n")
    return [folder / str(shard["file"]) for shard in shards]


def read(folder: Path) -> Iterator[_Item]:
    """Read a set of shards in order.

    Args:
        folder: where `index.json` lies.

    Yields:
        Index, arrays and facts, as they were written.

    Raises:
        UserError: when there is no index, or a shard is absent, altered or cut off.
    """
    path = folder / INDEX
    if not path.is_file():
        raise UserError(
            f"{folder.name} is not a set of synthetic people",
            f"it has no {INDEX}",
            "Write it anew: python -m training.synthetic write FOLDER",
        )
    for shard in json.loads(path.read_text())["shards"]:
        expected, found = int(shard["count"]), 0
        try:
            _check(folder / str(shard["file"]), shard.get("sha256"))
            for item in _members(folder / str(shard["file"])):
                found += 1
                yield item
        except _DAMAGE as error:
            raise _damaged(str(shard["file"]), f"{error}") from error
        if found != expected:
            why = f"it holds {found} samples, the index says {expected}"
            raise _damaged(str(shard["file"]), why)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path, expected: str | None) -> None:
    """Compare a shard with its hash: what reads tar files stops quietly at a damaged member."""
    if expected is not None and _digest(path) != expected:
        raise ValueError("its content is not what was written")


def _members(path: Path) -> Iterator[_Item]:
    for packed in webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False):
        yield _unpacked(packed)


def _damaged(name: str, why: str) -> UserError:
    return UserError(f"{name} is not whole", why, "Write the set anew.")


def _packed(index: int, arrays: dict[str, np.ndarray], facts: dict[str, str | float]) -> dict:
    _, png = cv2.imencode(".png", cv2.cvtColor(arrays["pixels"], cv2.COLOR_RGB2BGR))
    truth = io.BytesIO()
    np.savez_compressed(truth, **{k: v for k, v in arrays.items() if k != "pixels"})
    return {
        "__key__": f"{index:08d}",
        "png": png.tobytes(),
        "npz": truth.getvalue(),
        "json": json.dumps(facts).encode(),
    }


def _unpacked(packed: dict) -> _Item:
    with np.load(io.BytesIO(packed["npz"])) as stored:
        arrays = {name: stored[name] for name in stored.files}
    png = cv2.imdecode(np.frombuffer(packed["png"], np.uint8), cv2.IMREAD_COLOR)
    arrays["pixels"] = cv2.cvtColor(png, cv2.COLOR_BGR2RGB)
    return int(packed["__key__"]), arrays, json.loads(packed["json"])
