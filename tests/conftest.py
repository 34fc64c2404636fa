"""Shared fixtures."""

import os
from pathlib import Path

import pytest

import stream  # noqa: F401  limits the threads of OpenBLAS before numpy is imported


def _data_dir() -> Path:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("VOLTFACE_DATA", default))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with clips, portraits and heads; tests that need it skip where it is absent."""
    path = _data_dir()
    if not path.is_dir():
        pytest.skip(f"the data folder {path.name} is absent (set VOLTFACE_DATA to its place)")
    return path


@pytest.fixture(scope="session")
def dev_clips(data_dir: Path) -> Path:
    """Folder with the dev clips."""
    return data_dir / "dev_clips"
