"""Rendered heads of ICT-FaceKit; they need the data folder."""

import numpy as np
import pytest

pytest.importorskip("torch")

from training.multiview.face_set import known_scan
from training.multiview.scans import IctScans
from training.synthetic.scene import Label

SIZE = 128


@pytest.fixture(scope="module")
def views(data_dir):
    with IctScans(data_dir, SIZE) as scans:
        return [scans.sample(np.random.default_rng(seed)) for seed in (1, 2, 1)]


def test_the_face_lies_on_the_head_around_the_nose(views):
    for view in views:
        head = np.isfinite(view.depth_mm)
        assert 0.05 < view.face.mean() < head.mean() < 0.9
        place = view.camera @ view.tip
        column, row = (place[:2] / place[2]).astype(int)
        assert view.face[row, column]
        # The tip of the nose is before most of the face, and the surface is where it says.
        assert view.depth_mm[row, column] == pytest.approx(view.tip[2], abs=6)
        assert (view.depth_mm[view.face] > view.tip[2] - 25).mean() > 0.95


def test_the_head_is_shaded_and_the_background_flat(views):
    for view in views:
        beside = view.pixels[: SIZE // 16, : SIZE // 16]
        assert (
            np.ptp(beside.reshape(-1, 3), axis=0).max() <= 2
            or np.isfinite(view.depth_mm[:8, :8]).any()
        )
        assert view.pixels[view.face].std() > 5


def test_one_seed_gives_one_scan(views):
    np.testing.assert_array_equal(views[0].depth_mm, views[2].depth_mm)
    assert not np.array_equal(views[0].face, views[1].face)


def test_a_scan_is_labelled(views):
    known = known_scan(views[0])
    assert set(np.unique(known.labels)) == {Label.BACKGROUND, Label.FACE, Label.NECK}
    np.testing.assert_array_equal(known.labels == Label.FACE, views[0].face)
