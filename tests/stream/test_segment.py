import cv2
import numpy as np
import pytest
from backdrop import backdrop_clip

from stream.segment import SIZE, PersonSegmenter


@pytest.fixture(scope="module")
def segmenter():
    with PersonSegmenter() as made:
        yield made


@pytest.mark.parametrize("shape", [(256, 256), (611, 430), (37, 90), (16, 16), (1, 1)])
def test_any_crop_gives_a_square_of_probabilities(segmenter, shape):
    crop = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    answer = segmenter.segment(crop)
    assert answer.shape == (SIZE, SIZE)
    assert answer.dtype == np.float32
    assert 0 <= answer.min() <= answer.max() <= 1


def test_a_plain_wall_is_nobody(segmenter):
    assert segmenter.segment(np.full((300, 300, 3), 180, np.uint8)).mean() < 0.02


def test_the_answer_does_not_depend_on_the_crop_before(segmenter, dev_clips):
    frames, _ = backdrop_clip(dev_clips / "grid_bbaf2n.mpg", 2)
    first = segmenter.segment(frames[0])
    segmenter.segment(np.zeros((64, 64, 3), np.uint8))
    np.testing.assert_array_equal(segmenter.segment(frames[0]), first)


@pytest.mark.parametrize("name", ["grid_bbaf2n", "grid_brbk7n", "grid_sbwe5n"])
def test_people_before_a_backdrop_are_found(segmenter, dev_clips, name):
    frames, truth = backdrop_clip(dev_clips / f"{name}.mpg", 2)
    mask = cv2.resize(segmenter.segment(frames[0]), truth[0].shape[::-1])
    rows = slice(4, int(0.7 * len(mask)))  # a blue shirt fools the key
    person, key = mask[rows] > 0.5, truth[0][rows] > 0.5
    assert (person & key).sum() / (person | key).sum() > 0.96  # measured 0.980…0.984


def test_closing_twice_does_no_harm():
    segmenter = PersonSegmenter(landscape=True)
    assert segmenter.segment(np.zeros((20, 20, 3), np.uint8)).shape == (SIZE, SIZE)
    segmenter.close()
    segmenter.close()
