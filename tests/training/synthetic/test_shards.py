"""Sets of samples on disk."""

import json
import tarfile

import numpy as np
import pytest

pytest.importorskip("webdataset", reason="needs the extra train")

from stream.errors import UserError
from training.synthetic import shards
from training.synthetic.dataset import arrays_of

RECIPE = {"seed": 7, "size": 16, "held_out": False}


def _items(count, start=0):
    rng = np.random.default_rng(3)
    for index in range(start, start + count):
        depth = rng.normal(500, 20, (16, 16)).astype(np.float32)
        depth[0] = np.nan
        arrays = {
            "pixels": rng.integers(0, 256, (16, 16, 3)).astype(np.uint8),
            "depth_mm": depth,
            "visible68": rng.random(68) > 0.5,
            "normals": rng.normal(size=(16, 16, 3)).astype(np.float16),
        }
        yield index, arrays, {"hair": "bob01", "yaw": float(rng.normal())}


def _equal(first, second):
    assert first[0] == second[0] and first[2] == second[2]
    assert set(first[1]) == set(second[1])
    for name, values in first[1].items():
        assert second[1][name].dtype == values.dtype
        np.testing.assert_array_equal(second[1][name], values, err_msg=name)


def test_what_is_written_is_read(tmp_path):
    told = []
    paths = shards.write(_items(7, 30), tmp_path / "set", RECIPE, per_shard=3, progress=told.append)
    assert [path.name for path in paths] == [f"people-0000{n}.tar" for n in range(3)]
    assert told == list(range(1, 8))
    read = list(shards.read(tmp_path / "set"))
    assert [item[0] for item in read] == list(range(30, 37))
    for one, other in zip(_items(7, 30), read, strict=True):
        _equal(one, other)
    index = json.loads((tmp_path / "set" / shards.INDEX).read_text())
    assert index["count"] == 7 and index["seed"] == 7 and index["held_out"] is False
    assert [(s["first"], s["count"]) for s in index["shards"]] == [(30, 3), (33, 3), (36, 1)]


def test_a_real_sample_survives(tmp_path, samples):
    sample = samples[4]
    shards.write([(4, arrays_of(sample), dict(sample.facts))], tmp_path, RECIPE)
    index, arrays, facts = next(shards.read(tmp_path))
    _equal((4, arrays_of(sample), dict(sample.facts)), (index, arrays, facts))


def test_members_bear_the_index(tmp_path):
    (path,) = shards.write(_items(2, 12), tmp_path, RECIPE)
    with tarfile.open(path) as tar:
        assert sorted(tar.getnames()) == sorted(
            f"0000001{n}.{kind}" for n in (2, 3) for kind in ("png", "npz", "json")
        )


def test_an_empty_set_is_a_set(tmp_path):
    assert shards.write([], tmp_path, RECIPE) == []
    assert list(shards.read(tmp_path)) == []


def test_a_folder_without_an_index_is_refused(tmp_path):
    shards.write(_items(2), tmp_path, RECIPE)
    (tmp_path / shards.INDEX).unlink()
    with pytest.raises(UserError, match=shards.INDEX):
        list(shards.read(tmp_path))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_shard_that_was_cut_off_is_refused(tmp_path, share):
    (path,) = shards.write(_items(6), tmp_path, RECIPE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"people-00000\.tar is not whole"):
        list(shards.read(tmp_path))


def test_an_altered_shard_is_refused(tmp_path):
    (path,) = shards.write(_items(3), tmp_path, RECIPE)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle] ^= 1  # what reads tar files would not notice
    path.write_bytes(data)
    with pytest.raises(UserError, match="not whole"):
        list(shards.read(tmp_path))


def test_a_lost_shard_is_refused(tmp_path):
    paths = shards.write(_items(4), tmp_path, RECIPE, per_shard=2)
    paths[1].unlink()
    with pytest.raises(UserError, match=r"people-00001\.tar is not whole"):
        list(shards.read(tmp_path))


def test_an_index_that_tells_more_is_refused(tmp_path):
    shards.write(_items(3), tmp_path, RECIPE)
    path = tmp_path / shards.INDEX
    listing = json.loads(path.read_text())
    listing["shards"][0]["count"] = 4
    path.write_text(json.dumps(listing))
    with pytest.raises(UserError, match="holds 3 samples, the index says 4"):
        list(shards.read(tmp_path))
