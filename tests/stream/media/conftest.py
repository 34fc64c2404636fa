"""Fixtures that make media."""

from collections.abc import Callable
from pathlib import Path

import pytest
from clips import Clip, write_clip


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Return a function (name, **fields of Clip) → path of a video file."""

    def make(name: str = "clip.mp4", **fields) -> Path:
        return write_clip(tmp_path / name, Clip(**fields))

    return make
