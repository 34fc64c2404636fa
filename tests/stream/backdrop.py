"""The true matte of clips with a coloured backdrop, by keying."""

from pathlib import Path

import cv2
import numpy as np


def backdrop_clip(path: Path, count: int, step: int = 10) -> tuple[list[np.ndarray], np.ndarray]:
    """Return frames (h, w, 3) uint8 of a clip before a blue backdrop, and their mattes.

    The backdrop's blueness, a smooth surface over the picture, is fitted to the whole clip; the
    matte is how much of it is missing.

    Returns:
        ``count`` frames, ``step`` apart, and (count, h, w) float32.
    """
    reader = cv2.VideoCapture(str(path))
    frames = []
    while (answer := reader.read())[0]:
        frames.append(cv2.cvtColor(answer[1], cv2.COLOR_BGR2RGB))
    blueness = np.stack([_blueness(frame) for frame in frames])
    surface = _surface(np.percentile(blueness, 90, axis=0))
    chosen = range(0, step * count, step)
    matte = 1 - blueness[chosen] / surface
    return [frames[i] for i in chosen], np.clip((matte - 0.08) / 0.84, 0, 1).astype(np.float32)


def _blueness(frame: np.ndarray) -> np.ndarray:
    red, green, blue = np.moveaxis(frame.astype(np.float32), -1, 0)
    return (green + blue) / 2 - red


def _surface(highest: np.ndarray) -> np.ndarray:
    height, width = highest.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([x**i * y**j for i in range(5) for j in range(5 - i)], -1)
    backdrop = highest > 0.6 * np.median(highest[:40])
    backdrop[:3] = backdrop[-3:] = False
    for _ in range(3):
        weights, *_ = np.linalg.lstsq(terms[backdrop], highest[backdrop], rcond=None)
        surface = terms @ weights
        backdrop &= np.abs(highest - surface) < 12
    return surface
