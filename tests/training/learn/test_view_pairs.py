import json

import numpy as np
import pytest

pytest.importorskip("torch")

from training.learn.prepared import open_set
from training.learn.view_pairs import cropped_pair, prepare_pairs

SIZE = 96


@pytest.fixture(scope="module")
def folder(data_dir, tmp_path_factory):
    """A set with two synthetic pairs and those of one clip."""
    folder = tmp_path_factory.mktemp("set")
    (folder / "set.json").write_text(json.dumps({"count": 0, "size": SIZE}))
    clips = [data_dir / "dev_clips" / "grid_bbaf2n.mpg"]
    prepare_pairs(data_dir, folder, 2, seed=5, size=SIZE, clips=clips)
    return folder


def test_pairs_come_with_the_set(folder):
    pairs = open_set(folder).pairs
    count = len(pairs["pixels"])
    assert count > 2
    assert pairs["pixels"].shape == (count, 2, SIZE, SIZE, 3)
    assert pairs["inside"].mean(axis=(1, 2, 3)).min() > 0.03
    poses = np.asarray(pairs["camera_from_head"])
    turn = np.einsum("nij,nij->n", poses[:2, 0, :3, :3], poses[:2, 1, :3, :3])
    assert (turn < 2.999).all()  # the trace of R₁ᵀR₂: the synthetic heads turned
    depth = np.asarray(pairs["fitted_depth"]).astype(np.float32)
    there = np.isfinite(depth)
    assert there.any(axis=(2, 3)).all()
    assert np.abs(depth[there]).max() < 3  # 300 mm from the head's centre


def test_a_crop_moves_the_projection_as_it_moves_the_picture(folder):
    pairs = open_set(folder).pairs
    crop = np.array([[-0.5, 0.0, 60.0], [0.0, 0.5, 4.0]])
    pair = cropped_pair(pairs, 0, crop, 64)
    assert pair["pixels"].shape == (2, 64, 64, 3)
    point = np.array([20.0, -30.0, 600.0])
    before = pairs["intrinsics"][0, 0] @ point
    after = pair["projection"][0] @ point
    np.testing.assert_allclose(
        after[:2] / after[2], crop @ np.append(before[:2] / before[2], 1), rtol=1e-4
    )
    assert np.isinf(pair["fitted_depth"][0][0, 0])
