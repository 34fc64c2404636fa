from pathlib import Path

import numpy as np
import pytest

from stream.head_model import load_head_model
from stream.track import FaceTracker
from training.evaluate_fit import evaluate_clip, sheet, table_row


@pytest.mark.parametrize(
    "name", ["grid_bbaf2n.mpg", "intel_head-pose-face-detection-male.gif", "lp_d0.mp4"]
)
def test_points_of_clips_are_met(dev_clips: Path, name: str) -> None:
    """The aim: below 1.5 % of the inter-ocular distance, smoothed or not."""
    model = load_head_model()
    with FaceTracker() as tracker:
        result = evaluate_clip(dev_clips / name, model, tracker, shots=2)
    assert result.faces == 1
    assert not result.cuts
    assert len(result.samples) == len(result.track_ms)
    assert np.mean([one.error for one in result.samples]) < 1.5
    assert np.mean([one.smooth_error for one in result.samples]) < 1.5
    assert name[:20] in table_row(result)
    picture = sheet([result], model, height=100)
    assert picture.shape[0] == 100
    plain, drawn = picture[:, :100], picture[:, 100:200]
    assert 0.1 < np.mean(np.any(plain != drawn, axis=-1)) < 0.9
