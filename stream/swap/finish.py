"""How sharp and how noisy a drawn face must be to belong to the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.swap.detail import Detail

if TYPE_CHECKING:
    from stream.swap.options import SwapSettings

_EVERY = 8  # frames between two looks
_SHARE = 0.35  # of a new look in what is used
_MOST_BLUR = 0.8  # levels of the texture's pyramid
_MOST_SHARPENING = 0.25
_EDGES = 97  # per cent of the pixels are no edges
_TILE, _TILE_SD = 256, 24.0
_LEAST_GRAIN = 0.4  # grey levels
_LAPLACE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_PER_SIGMA = 6.0 * 0.6745  # median of its absolute answer to noise of deviation 1


class Finish:
    """Follows how sharp and noisy a face of the frame is, and gives the drawn one as much.

    Args:
        seed: of the grain's pattern.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        noise = self._random.normal(0, _TILE_SD, (_TILE * 2, _TILE * 2)).astype(np.float32)
        tile = np.clip(128 + noise, 0, 255).astype(np.uint8)
        self._tile = cv2.cvtColor(tile, cv2.COLOR_GRAY2RGB)
        self._level = 0.0  # above 0: levels of blur; below: strength of sharpening
        self._grain = 0.0
        self._detail = Detail()
        self._frames = 0

    @property
    def blur(self) -> float:
        """Levels of the texture's pyramid."""
        return max(self._level, 0.0)

    @property
    def detail(self) -> tuple[float, float]:
        """Gains of the two bands of the skin's detail; see `stream.swap.detail`."""
        fine, lines = self._detail.gains
        return float(fine), float(lines)

    def learn(
        self, drawn: np.ndarray, frame: np.ndarray, cover: np.ndarray, eyes_px: float
    ) -> bool:
        """Compare the face of the frame with the drawn one, once in a while.

        Args:
            drawn: (h, w, 4) uint8, with the blur and the detail as they are.
            frame: (h, w, 3) uint8, what is under it.
            cover: (h, w) uint8, where the face covers that.
            eyes_px: distance of the outer corners of the eyes.

        Returns:
            Whether this was the first look, after which the face is to be drawn anew.
        """
        self._frames += 1
        if self._frames % _EVERY != 1:
            return False
        inside = cv2.erode(cover, np.ones((9, 9), np.uint8)) > 250
        if inside.sum() < 500:
            return False
        skin = cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB)
        first, second = (_look(picture, inside) for picture in (frame, skin))
        share = 1.0 if self._frames == 1 else _SHARE
        step = np.log2(max(second[0], 1e-3) / max(first[0], 1e-3))
        self._level = float(np.clip(self._level + share * step, -_MOST_SHARPENING, _MOST_BLUR))
        grain = np.sqrt(max(first[1] ** 2 - second[1] ** 2, 0.0))
        self._grain += share * (grain - self._grain)
        self._detail.learn(frame, skin, inside, eyes_px, share)
        return self._frames == 1

    def __call__(self, drawn: np.ndarray, settings: SwapSettings) -> np.ndarray:
        """Return a drawn face with the frame's sharpness and grain.

        Args:
            drawn: (h, w, 4) uint8.
            settings: `sharpness` and `grain` are used.

        Returns:
            (h, w, 3) uint8.
        """
        skin = cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB)
        amount = max(-self._level, 0.0) + max(0.0, 2 * settings.sharpness - 1)
        if settings.sharpness < 0.5:
            skin = cv2.GaussianBlur(skin, (0, 0), 0.3 + 4 * (0.5 - settings.sharpness))
        elif amount > 0.05:
            soft = cv2.GaussianBlur(skin, (5, 5), 1.2)
            skin = cv2.addWeighted(skin, 1 + amount, soft, -amount, 0)
        strength = settings.grain * self._grain
        return skin if strength < _LEAST_GRAIN else self._grained(skin, strength / _TILE_SD)

    def _grained(self, drawn: np.ndarray, strength: float) -> np.ndarray:
        height, width = drawn.shape[:2]
        y, x = self._random.integers(0, _TILE, 2)
        rolled = self._tile[y : y + _TILE, x : x + _TILE]
        times = (-(-height // _TILE), -(-width // _TILE), 1)
        noise = np.tile(rolled, times)[:height, :width]
        return cv2.addWeighted(drawn, 1, noise, strength, -128 * strength)


def _look(picture: np.ndarray, inside: np.ndarray) -> tuple[float, float]:
    """Return how fine the detail of a face is, and the deviation of its noise, grey levels."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    answers = np.abs(cv2.filter2D(grey, -1, _LAPLACE))[inside]
    noise = float(np.median(answers)) / _PER_SIGMA
    near, far = cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.GaussianBlur(grey, (0, 0), 2.5)
    fine, coarse = (
        float(np.percentile(np.abs(part[inside]), _EDGES)) for part in (grey - near, near - far)
    )
    return np.sqrt(max(fine**2 - (2 * noise) ** 2, 0.25)) / max(coarse, 1.0), noise
