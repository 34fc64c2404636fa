import numpy as np
import pytest

pytest.importorskip("torch")

from training.multiview.evaluate import PAPER, summary, table
from training.multiview.face_set import Known, example, stored_crop, warped
from training.synthetic.scene import Label


def test_figures_are_those_of_table_1():
    mean, std, median, high = summary([1.0, 2.0, 3.0, float("nan"), 10.0])
    assert (mean, median) == (4.0, 2.5)
    assert std == pytest.approx(np.std([1, 2, 3, 10]))
    assert high == pytest.approx(np.percentile([1, 2, 3, 10], 90))
    assert all(np.isnan(value) for value in summary([float("nan")]))


def test_our_rows_stand_below_the_papers():
    lines = table({"landmark fit": (5.0, 1.0, 4.5, 7.0)}, "error").splitlines()
    assert len(lines) == 2 + len(PAPER) + 1
    assert lines[-1] == "| landmark fit | 5.00 | 1.00 | 4.50 | 7.00 |"
    assert "2.95" in "".join(lines)


class FlatFits:
    """Stands for the fit: a plane."""

    def depth(self, fitted, crop, size, side):
        return np.full((size, size), 0.5, np.float32)


class Tracked:
    def __init__(self, points):
        self.face = type("Face", (), {"points_px": points})()


def test_a_stored_crop_holds_the_truth_around_the_face():
    points = np.zeros((478, 3), np.float32)
    points[:, :2] = np.random.default_rng(0).uniform([60, 50], [120, 130], (478, 2))
    depth = np.full((200, 200), 500.0, np.float32)
    depth[:, :90] = np.nan
    labels = np.where(np.isfinite(depth), Label.FACE, 0).astype(np.uint8)
    camera = np.array([[240.0, 0, 90], [0, 240, 90], [0, 0, 1]])
    pixels = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, 0).repeat(3, 2)
    known = Known(pixels, depth, labels, np.array([0.0, 0, 500]), camera)
    one = example(known, Tracked(points), FlatFits())
    there = np.isfinite(one["depth"].astype(np.float32))
    np.testing.assert_array_equal(there, one["labels"] == Label.FACE)
    crop, side = stored_crop(points)
    assert crop.side == pytest.approx(256 / 192 * side)
    edge = int((90 - crop.x + crop.side / 2) / crop.side * 256)
    assert abs(int(there[128].argmax()) - edge) <= 1
    assert float(one["depth"][there].astype(np.float32).max()) == pytest.approx(0.75, abs=0.02)


def test_beyond_the_picture_nothing_is_known():
    crop, _ = stored_crop(np.array([[0.0, 0, 0], [40, 40, 0]] * 240, np.float32))
    labels = np.full((60, 60), 3, np.uint8)
    import cv2

    found = warped(labels, crop, 64, cv2.INTER_NEAREST)
    assert (found[:8, :8] == 0).all()
    assert (found == 3).any()
