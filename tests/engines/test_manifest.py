"""Built engines on disk: fresh and whole, or not taken."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from engines.manifest import EngineFolder, EngineKey, cache_folder, write_atomically

KEY = EngineKey("refine", "openvino", "1.0", "ab" * 32, "cpu", "bf16")


@pytest.fixture
def folder(tmp_path):
    return EngineFolder(tmp_path / "engines")


def test_what_is_stored_is_found(folder):
    assert folder.find(KEY).data is None
    assert folder.find(KEY).fault is None
    folder.store(KEY, b"engine")
    assert folder.find(KEY).data == b"engine"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"onnx_sha256": "cd" * 32}, "other weights"),
        ({"version": "2.0"}, "openvino 1.0"),
        ({"calibration": "ef"}, "calibrated on other frames"),
    ],
)
def test_a_stale_engine_is_not_taken_and_says_why(folder, change, said):
    folder.store(KEY, b"engine")
    found = folder.find(replace(KEY, **change))
    assert found.data is None
    assert said in found.fault


@pytest.mark.parametrize("change", [{"device": "other"}, {"precision": "fp32"}, {"part": "k"}])
def test_other_devices_and_precisions_have_places_of_their_own(folder, change):
    folder.store(KEY, b"engine")
    other = replace(KEY, **change)
    assert folder.find(other).data is None
    assert folder.find(other).fault is None
    folder.store(other, b"other")
    assert folder.find(KEY).data == b"engine"


def test_without_frames_any_calibration_will_do(folder):
    folder.store(replace(KEY, calibration="ef"), b"engine")
    assert folder.find(KEY).data == b"engine"


@pytest.mark.parametrize("harm", [b"", b"enginf", b"engine and more"])
def test_a_damaged_engine_is_not_taken(folder, harm):
    folder.store(KEY, b"engine")
    (file,) = folder.path.glob("*.bin")
    file.write_bytes(harm)
    found = folder.find(KEY)
    assert found.data is None
    assert "damaged" in found.fault


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"recipe": 0}', '{"recipe": 1}'])
def test_a_damaged_entry_is_not_trusted(folder, text):
    folder.store(KEY, b"engine")
    (entry,) = folder.path.glob("*.json")
    entry.write_text(text)
    found = folder.find(KEY)
    assert found.data is None
    assert found.fault
    folder.store(KEY, b"anew")
    assert folder.find(KEY).data == b"anew"


def test_an_entry_cannot_point_out_of_the_folder(folder, tmp_path):
    folder.store(KEY, b"engine")
    (tmp_path / "elsewhere.bin").write_bytes(b"engine")
    (entry,) = folder.path.glob("*.json")
    content = json.loads(entry.read_text())
    entry.write_text(json.dumps({**content, "file": "../elsewhere.bin"}))
    assert folder.find(KEY).data is None


def test_a_missing_file_is_said(folder):
    folder.store(KEY, b"engine")
    next(folder.path.glob("*.bin")).unlink()
    assert "missing" in folder.find(KEY).fault


def test_the_entry_says_what_the_engine_was_built_from(folder):
    folder.store(KEY, b"engine")
    (entry,) = folder.path.glob("*.json")
    content = json.loads(entry.read_text())
    assert content["onnx_sha256"] == KEY.onnx_sha256
    assert (content["backend"], content["version"]) == ("openvino", "1.0")
    assert (content["device"], content["precision"]) == ("cpu", "bf16")
    assert content["bytes"] == 6


def test_only_the_newest_engine_of_a_place_is_kept(folder):
    for data in (b"one", b"two", b"three"):
        folder.store(KEY, data)
    assert len(list(folder.path.glob("*.bin"))) == 1
    assert len(list(folder.path.iterdir())) == 2


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(self, target):
        raise OSError("no")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_cache_is_where_the_user_says_or_the_system_keeps_such_things(monkeypatch, tmp_path):
    monkeypatch.setenv("VOLTFACE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("VOLTFACE_CACHE")
    assert cache_folder() == user_cache_path("voltface", appauthor=False)
