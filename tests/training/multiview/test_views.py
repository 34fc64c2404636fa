"""Pairs of views of the demo clip, fitted together."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import stream
from stream.geometry import angles_from_rotation
from stream.media import open_source
from stream.reconstruct.face_depth import SIZE
from training.multiview.face_set import STORED
from training.multiview.fits import LandmarkFits
from training.multiview.views import Picture, fitted_pair, pair_arrays, save_pairs

DEMO = Path(stream.__file__).parent / "assets" / "demo.mp4"


@pytest.fixture(scope="module")
def frames():
    with open_source(str(DEMO)) as source:
        return [np.array(frame.pixels) for frame in source if frame.index in (0, 30)]


@pytest.fixture(scope="module")
def fitted(frames):
    with LandmarkFits() as fits:
        pair = Picture(frames[0]), Picture(frames[1])
        found = fitted_pair(fits, pair)
        assert found is not None
        return found, pair_arrays(fits, pair, found)


def test_both_views_agree_on_who_it_is(fitted):
    first, second = (one.head for one in fitted[0])
    assert float(np.abs(first.identity - second.identity).max()) < 0.1
    assert float(np.abs(first.identity).max()) > 0.1
    turns = [angles_from_rotation(one.camera_from_head[:3, :3])[0] for one in (first, second)]
    assert abs(turns[0] - turns[1]) < 60


def test_the_model_lies_on_the_face_in_its_crop(fitted):
    arrays = fitted[1]
    assert arrays["pixels"].shape == (2, STORED, STORED, 3)
    for number in range(2):
        points = arrays["points478"][number]
        assert (points > 0).all()
        assert (points < STORED).all()
        column, row = points[1].astype(int)  # the tip of the nose
        assert arrays["model_depth"][number][row, column] == pytest.approx(0.75, abs=0.06)
        assert float(np.linalg.norm(arrays["ray"][number])) == pytest.approx(1)
        # The stored intrinsics carry the fitted nose to where it was tracked.
        place = arrays["intrinsics"][number] @ fitted[0][number].tip
        np.testing.assert_allclose(place[:2] / place[2], points[1], atol=0.05 * SIZE)


def test_pairs_are_kept_and_those_without_a_face_are_not(frames, tmp_path):
    empty = Picture(np.full_like(frames[0], 90))
    pairs = [(Picture(frames[0]), Picture(frames[1])), (Picture(frames[0]), empty)]
    assert save_pairs(pairs, tmp_path) == 1
    kept = {path.stem: np.load(path) for path in (tmp_path / "pairs").glob("*.npy")}
    assert kept["real"].tolist() == [True]
    assert kept["model_depth"].dtype == np.float16
    assert np.isinf(kept["model_depth"]).any()
