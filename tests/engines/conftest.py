"""Fixtures: a folder of small network files, and a cache of its own for every test."""

import pytest
from engine_models import network

from engines.spec import SPECS


@pytest.fixture(autouse=True)
def cache_path(tmp_path, monkeypatch):
    """Keep what tests build out of the user's cache."""
    monkeypatch.setenv("VOLTFACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Folder with a small network for each spec, the weights stored as float16."""
    folder = tmp_path_factory.mktemp("weights")
    for spec in SPECS.values():
        (folder / spec.file_name).write_bytes(network(spec, half=True))
    return folder
