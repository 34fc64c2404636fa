import numpy as np
import pytest

pytest.importorskip("igl", reason="needs the extra train")

from stream.refine import COVER, SIZE
from tests.stream.videos import CLIP, FACE
from training.experiments.refine_real import frames_of, make, turned_heads
from training.learn.prepared import open_set
from training.learn.refine_pairs import REAL, TURNED


def test_frames_are_spread_over_a_clip_and_bounded():
    frames = frames_of(CLIP, 4)
    assert len(frames) == 4
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 0.5
    picture = frames_of(FACE, 4)
    assert len(picture) == 1
    assert max(picture[0].shape[:2]) <= 900


@pytest.fixture(scope="module")
def examples():
    return list(turned_heads(CLIP, 2, np.random.default_rng(1)))


def test_each_frame_comes_as_it_is_and_turned(examples):
    assert [kind for kind, *_ in examples] == [REAL, TURNED] * 2
    for kind, coarse, masks, guesses, truth in examples:
        assert coarse.shape == truth.shape == (SIZE, SIZE, 3)
        assert masks.shape == (SIZE, SIZE, 4)
        assert 0.1 < (masks[..., COVER] > 127).mean() < 0.95
        if kind == REAL:
            np.testing.assert_array_equal(coarse, truth)
            assert not masks[..., 1:].any()
            assert not guesses.any()
        else:
            assert np.abs(coarse.astype(int) - truth).mean() > 2
            assert guesses.any()


def test_a_set_is_made_of_pictures(tmp_path, capsys):
    make(tmp_path / "set", sources=[FACE], each=1)
    assert open_set(tmp_path / "set").count == 2
    assert "2 examples" in capsys.readouterr().out
