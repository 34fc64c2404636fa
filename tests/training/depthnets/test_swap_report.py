import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra train")

from stream.affine_settings import AffineSettings
from stream.media import write_picture
from tests.stream.videos import CLIP, clip_frames
from training.depthnets.swap_report import Scores, aligned, as_table, swap_scores


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "source.png"
    write_picture(path, np.ascontiguousarray(clip_frames(1)[0][:, ::-1]))
    return path


def test_a_bare_paste_has_a_sharper_seam_than_one_that_is_blended(source):
    blended, shown = swap_scores(source, CLIP, AffineSettings(), frames=6)
    bare, _ = swap_scores(source, CLIP, AffineSettings(tone=0.0, edge=0.005), frames=6)
    assert bare.seam > blended.seam
    assert blended.landmarks < 8
    assert 0.2 < blended.flicker < 3
    assert len(shown) >= 4
    assert shown[0].shape == (256, 256, 3)


def test_an_aligned_face_is_upright_and_in_the_middle():
    points = np.random.default_rng(0).uniform(100, 200, (478, 2))
    pixels = np.zeros((300, 300, 3), np.uint8)
    square = aligned(pixels, points, 64)
    assert square.shape == (64, 64, 3)


def test_the_table_has_a_row_for_every_clip_and_way():
    score = Scores(1.0, 2.0, 0.5)
    text = as_table({"a.mpg": {"plain": score, "repaired": score}})
    assert text.count("a.mpg") == 2
    assert "| repaired | 1.000 | 2.00 | 0.500 |" in text
