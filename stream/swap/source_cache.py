"""Prepared sources on disk, so that a photo is worked on once.

A source is known by the contents of its photos, by what was asked for, and by what it is made
with: this module's version, the head model, the texture map and the networks. A file that cannot
be read, or whose arrays are not those of a source, is made anew.
"""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from engines.manifest import cache_folder, digest, write_atomically
from engines.spec import WEIGHTS
from stream.swap.source_face import SourceFace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stream.swap.source_photo import PhotoSpec

_log = logging.getLogger("voltface")
_VERSION = 35  # of what is stored and how it is made
_MADE_WITH = (
    "head_model.npz",
    "texture_map.npz",
    "face_texture.npz",
    "face_3dmm.onnx",
    "head_segmentation.onnx",
    "face_identity.onnx",
)
_MOST_FILES = 64
_WORDS = ("names", "warnings")


class SourceCache:
    """The folder of prepared sources.

    Args:
        path: the folder; a part of voltface's cache folder unless given.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_folder() / "sources"

    def find(self, key: str) -> SourceFace | None:
        """Return a prepared source, or None where there is none that can be read."""
        path = self._file(key)
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays: dict[str, Any] = {f.name: stored[f.name] for f in fields(SourceFace)}
            path.touch()  # what was used last is kept longest
            for name in _WORDS:
                arrays[name] = tuple(str(word) for word in arrays[name])
            arrays["depth"] = float(arrays["depth"])
            return SourceFace(**arrays)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            _log.debug("the prepared source %s is made anew: %s", path.name, error)
            return None

    def store(self, key: str, source: SourceFace) -> None:
        """Keep a source; a folder that cannot be written is no error."""
        arrays = {item.name: getattr(source, item.name) for item in fields(SourceFace)}
        arrays |= {name: np.array(arrays[name], dtype=np.str_) for name in _WORDS}
        data = io.BytesIO()
        np.savez(data, **arrays)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file(key), data.getvalue())
            self._drop_oldest()
        except OSError as error:
            _log.debug("the prepared source cannot be kept: %s", error)

    def _file(self, key: str) -> Path:
        return self.path / f"{key}.npz"

    def _drop_oldest(self) -> None:
        files = sorted(self.path.glob("*.npz"), key=lambda file: file.stat().st_mtime)
        for file in files[: max(0, len(files) - _MOST_FILES)]:
            file.unlink(missing_ok=True)


def source_key(specs: Sequence[PhotoSpec], size: int, networks: Sequence[str]) -> str:
    """Return the key of a source.

    Args:
        specs: the photos; their contents count, not their names.
        size: side of the texture.
        networks: names of those that are open.

    Raises:
        OSError: if a photo cannot be read.
    """
    parts = [f"{digest(spec.path.read_bytes())}#{spec.number}" for spec in specs]
    parts += [str(_VERSION), str(size), *sorted(networks), _digest_of_files()]
    parts += [spec.name for spec in specs]  # they are told in warnings
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _digest_of_files() -> str:
    found = [WEIGHTS / name for name in _MADE_WITH]
    return digest("".join(digest(path.read_bytes()) for path in found if path.exists()).encode())
