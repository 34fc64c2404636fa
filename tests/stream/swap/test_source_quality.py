"""What is said of photos."""

import cv2
import numpy as np
import pytest

from stream.errors import UserError
from stream.swap.source_quality import Quality, sharpness

GOOD = {
    "eyes_px": 120.0, "turn": 5.0, "sharpness": 0.12, "seen": 0.8, "eye_opening": 0.3,
    "mouth_opening": 0.02, "level": 0.5,
}  # fmt: skip


def test_a_good_photo_gets_no_words():
    assert Quality(**GOOD).check("a.jpg") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"eyes_px": 40.0}, "small"),
        ({"turn": 45.0}, "turned by 45"),
        ({"sharpness": 0.03}, "blurred"),
        ({"seen": 0.45}, "covered"),
        ({"eye_opening": 0.05}, "eyes are closed"),
        ({"mouth_opening": 0.6}, "mouth is wide open"),
        ({"before_eyes": 0.2}, "glasses"),
        ({"level": 0.05}, "dark"),
        ({"level": 0.99}, "overexposed"),
    ],
)
def test_what_could_be_better_is_told(change, words):
    (told,) = Quality(**GOOD | change).check("a.jpg")
    assert told.startswith("a.jpg: ") and words in told


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"eyes_px": 15.0}, "15 pixels apart"),
        ({"turn": 70.0}, "turned by 70"),
        ({"sharpness": 0.001}, "blurred"),
        ({"seen": 0.1}, "cover"),
    ],
)
def test_what_cannot_be_used_is_refused(change, words):
    with pytest.raises(UserError, match=words):
        Quality(**GOOD | change).check("a.jpg")


def test_better_photos_weigh_more():
    good = Quality(**GOOD).weight
    for change in ({"eyes_px": 40.0}, {"sharpness": 0.03}, {"seen": 0.4}):
        assert Quality(**GOOD | change).weight < good


def test_sharpness_falls_with_blur_and_not_with_size():
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.uniform(60, 200, (20, 20)), (400, 400), interpolation=cv2.INTER_CUBIC)
    picture = np.repeat((coarse + rng.normal(0, 12, (400, 400)))[..., None], 3, axis=2)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    points = np.array([[120, 120, 0], [280, 280, 0]] * 240, np.float32)[:478]
    sharp = sharpness(picture, points)
    blurred = [sharpness(cv2.GaussianBlur(picture, (0, 0), s), points) for s in (1.5, 4.0)]
    assert sharp > blurred[0] > blurred[1]
    double = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert sharpness(double, 2 * points) == pytest.approx(sharp, rel=0.3)
