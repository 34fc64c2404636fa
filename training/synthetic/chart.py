"""Charts of how a set is distributed, drawn with OpenCV."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Facts = Sequence[Mapping[str, str | float]]

_SIZE = (300, 420)  # height and width of a panel
_LEFT, _RIGHT, _TOP, _BOTTOM = 16, 16, 40, 30
_INK, _BAR, _PAPER = (40, 40, 40), (176, 122, 62), (255, 255, 255)  # RGB
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_NUMBERS = (
    ("yaw", "yaw, degrees", (-70, 70), 28), ("pitch", "pitch, degrees", (-40, 40), 20),
    ("roll", "roll, degrees", (-30, 30), 20), ("distance_mm", "distance, mm", (350, 1500), 23),
    ("tone", "skin: CIELAB L* of the cheek", (20, 80), 20),
    ("age", "age: 0.19 ten years, 0.5 young, 1 old", (0.1, 1.0), 18),
)  # fmt: skip
_WORDS = (
    ("hair", "hair"), ("hair_colour", "colour of hair"), ("light", "light"),
    ("glasses", "glasses"), ("hat", "hat or headphones"), ("beard", "beard"),
)  # fmt: skip


def chart(facts: Facts) -> np.ndarray:
    """Draw what was drawn: histograms of numbers, shares of words.

    Args:
        facts: of each sample, as `dataset.stream` gives them.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    panels = []
    for name, title, ends, bins in _NUMBERS:
        values = np.array([float(fact[name]) for fact in facts])
        panels.append(_histogram(title, values, ends, bins))
    for name, title in _WORDS:
        panels.append(_shares(title, Counter(str(fact[name]) for fact in facts)))
    rows = [np.hstack(panels[i : i + 3]) for i in range(0, len(panels), 3)]
    return np.vstack(rows)


def _panel(title: str) -> np.ndarray:
    panel = np.full((*_SIZE, 3), _PAPER, np.uint8)
    cv2.putText(panel, title, (_LEFT, 24), _FONT, 0.55, _INK, 1, cv2.LINE_AA)
    return panel


def _histogram(title: str, values: np.ndarray, ends: tuple[float, float], bins: int) -> np.ndarray:
    panel = _panel(title)
    counts, _ = np.histogram(values, bins=bins, range=ends)
    high, wide = _SIZE[0] - _TOP - _BOTTOM, (_SIZE[1] - _LEFT - _RIGHT) / bins
    floor = _SIZE[0] - _BOTTOM
    for number, count in enumerate(counts):
        x = round(_LEFT + number * wide)
        top = floor - round(high * count / max(counts.max(), 1))
        cv2.rectangle(panel, (x, top), (round(x + wide) - 2, floor), _BAR, -1)
    cv2.line(panel, (_LEFT, floor), (_SIZE[1] - _RIGHT, floor), _INK, 1)
    for share in (0.0, 0.5, 1.0):
        text = f"{ends[0] + share * (ends[1] - ends[0]):g}"
        x = round(_LEFT + share * (_SIZE[1] - _LEFT - _RIGHT)) - round(9 * len(text) * share)
        cv2.putText(panel, text, (x, _SIZE[0] - 10), _FONT, 0.45, _INK, 1, cv2.LINE_AA)
    return panel


def _shares(title: str, counts: Counter[str], most: int = 11) -> np.ndarray:
    panel = _panel(title)
    total, step = sum(counts.values()), (_SIZE[0] - _TOP - 6) // most
    largest = max(counts.values(), default=1)
    for number, (name, count) in enumerate(counts.most_common(most)):
        y = _TOP + number * step
        end = 150 + round((_SIZE[1] - 230) * count / largest)
        cv2.rectangle(panel, (150, y), (end, y + step - 6), _BAR, -1)
        below = y + step - 9
        cv2.putText(panel, name, (_LEFT, below), _FONT, 0.45, _INK, 1, cv2.LINE_AA)
        share = f"{100 * count / total:.0f} %"
        cv2.putText(panel, share, (end + 6, below), _FONT, 0.45, _INK, 1, cv2.LINE_AA)
    return panel
