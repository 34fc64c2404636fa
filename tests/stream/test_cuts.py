from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.cuts import CutDetector
from stream.media import open_source


def scene(seed: int, size: tuple[int, int] = (320, 180)) -> np.ndarray:
    """A picture with large and small structure."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3), np.float32)
    for cells in (4, 12, 40):
        coarse = rng.uniform(-1, 1, (cells * 9 // 16 + 1, cells, 3)).astype(np.float32)
        total += cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 60 * total, 0, 255).astype(np.uint8)


def cuts_in(frames: list[np.ndarray]) -> list[int]:
    detector = CutDetector()
    return [index for index, frame in enumerate(frames) if detector.is_cut(frame)]


def noisy(frame: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 4, frame.shape)
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


def test_a_cut_is_found_once_and_noise_is_none() -> None:
    frames = [noisy(scene(i // 8), i) for i in range(24)]
    assert cuts_in(frames) == [8, 16]


@pytest.mark.parametrize("gain", [0.3, 1.8])
def test_a_flash_is_no_cut(gain: float) -> None:
    frames = [scene(0)] * 16
    frames[8] = np.clip(gain * frames[8].astype(np.float32), 0, 255).astype(np.uint8)
    assert cuts_in(frames) == []


def test_white_and_black_frames_are_passed_over() -> None:
    white, black = np.full_like(scene(0), 255), np.zeros_like(scene(0))
    same = [scene(0)] * 6 + [white] * 2 + [scene(0)] * 6 + [black] * 5 + [scene(0)] * 6
    assert cuts_in(same) == []
    changed = [scene(0)] * 6 + [black] * 5 + [scene(1)] * 6
    assert cuts_in(changed) == [11]


def test_a_fast_pan_is_no_cut() -> None:
    wide = scene(3, (1280, 360))
    frames = [np.ascontiguousarray(wide[:, 24 * i : 24 * i + 640]) for i in range(20)]
    assert cuts_in(frames) == []


def test_reset_forgets() -> None:
    detector = CutDetector()
    for _ in range(5):
        detector.is_cut(scene(0))
    detector.reset()
    assert not detector.is_cut(scene(1))


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 2000, 3), (2000, 3, 3)])
def test_any_size_of_frame(shape: tuple[int, int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    assert cuts_in([frame, frame]) == []


@pytest.mark.parametrize(
    ("name", "cuts"), [("fr_short_hamilton.mp4", [20, 82, 211]), ("lp_d3.mp4", [])]
)
def test_real_clips(dev_clips: Path, name: str, cuts: list[int]) -> None:
    with open_source(str(dev_clips / name)) as source:
        assert cuts_in([frame.pixels for frame in source]) == cuts
