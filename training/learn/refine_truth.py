"""The truth of a coarse re-posed head, laid onto it in place and in tone.

Another view of a synthetic person has other shades, since light stays when a head turns, and lies
a pixel or two away where the fit is off. Neither is what `refine` shall learn.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.fill import pull_push
from stream.refine import COVER, DOUBT, SIZE, UNKNOWN

_MOST_SHIFT = 12.0  # pixels of the square that the truth may lie off
_DARK, _TONES = 16.0, (0.6, 1.7)
_USUAL_TONE = 0.3  # logarithm; pixels that differ by more tell less of the light
# Where both pictures differ by less of a logarithm, they show the same in another light.
_SAME_TONE, _MOST_TONE, _SOME_KNOWN = 0.35, 0.5, 0.15
_SAME_PX, _TONE_PX = 3.0, 6.0  # standard deviations over which it is compared, and evened out


def aligned_truth(coarse: np.ndarray, masks: np.ndarray, truth: np.ndarray,
                  alpha: np.ndarray) -> tuple[np.ndarray, float]:  # fmt: skip
    """Lay the truth onto a coarse picture, in place and tone, by what the latter is sure of.

    Args:
        coarse: (S, S, 3) uint8.
        masks: (S, S, 4) uint8.
        truth: (S, S, 3) uint8, the other view.
        alpha: (S, S) uint8, the person in it.

    Returns:
        (S, S, 3) uint8, and how far both still differ where the coarse picture is sure of the
        head: mean grey levels.
    """
    share = masks.astype(np.float32) / 255
    sure = cv2.erode(share[..., COVER] * (1 - share[..., DOUBT]), np.ones((5, 5), np.uint8))
    seen = cv2.erode((1 - share[..., COVER]) * (1 - share[..., UNKNOWN]), np.ones((5, 5), np.uint8))
    flow = _flow(coarse, truth, sure)
    grid = np.dstack(np.meshgrid(*[np.arange(SIZE, dtype=np.float32)] * 2))
    place = grid + flow
    moved = cv2.remap(truth, place, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    person = cv2.remap(alpha, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    person = (person.astype(np.float32) / 255)[..., None]
    now, then = (cv2.GaussianBlur(p.astype(np.float32), (0, 0), 4) + _DARK for p in (coarse, moved))
    ratio = np.log(np.clip(now / then, *_TONES))
    alike = np.exp(-((np.abs(ratio).max(axis=-1) / _USUAL_TONE) ** 2))
    places = sure * person[..., 0] * alike, seen * (1 - person[..., 0]) * alike
    head, behind = (_spread(ratio, known, 10.0) for known in places)
    toned = moved * np.exp(person * head + (1 - person) * behind)
    toned = np.clip(toned, 0, 255).astype(np.uint8)
    off = np.abs(cv2.blur(toned, (5, 5)).astype(np.float32) - cv2.blur(coarse, (5, 5))).mean(-1)
    return toned, float((off * sure).sum() / max(float(sure.sum()), 1.0))


def in_tone(coarse: np.ndarray, masks: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Give a truth the light of the coarse picture, guesses included, where both show the same.

    Light stays when a head turns, so that skin of the other view has other shades. A network that
    learns them darkens cheeks which were right.

    Args:
        coarse: (S, S, 3) uint8.
        masks: (S, S, 4) uint8.
        truth: (S, S, 3) uint8, as of `aligned_truth`.

    Returns:
        (S, S, 3) uint8.
    """
    now, then = (
        cv2.GaussianBlur(p.astype(np.float32), (0, 0), _SAME_PX) + _DARK for p in (coarse, truth)
    )
    ratio = np.log(now / then)
    alike = np.exp(-((np.abs(ratio).max(axis=-1) / _SAME_TONE) ** 2))
    ratio = np.clip(ratio, -_MOST_TONE, _MOST_TONE)
    cover = masks[..., COVER] / np.float32(255)
    gain = np.zeros_like(ratio)
    for place in (cover, 1 - cover):  # neither's light is the other's
        known = cv2.GaussianBlur(place * alike, (0, 0), _TONE_PX)
        mean = cv2.GaussianBlur(ratio * (place * alike)[..., None], (0, 0), _TONE_PX)
        mean /= np.maximum(known, 1e-3)[..., None]
        gain += mean * (place * np.minimum(known / _SOME_KNOWN, 1))[..., None]
    return np.clip(truth * np.exp(gain), 0, 255).astype(np.uint8)


def _flow(coarse: np.ndarray, truth: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Return (S, S, 2) where each sure pixel of the head lies in the truth, continued smoothly."""
    greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (coarse, truth)]
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = np.nan_to_num(finder.calc(*greys, None))
    likely = (np.linalg.norm(flow, axis=-1) < _MOST_SHIFT).astype(np.float32)
    # The room does not move; beyond the head the shift fades.
    away = np.exp(-cv2.distanceTransform((sure < 0.2).astype(np.uint8), cv2.DIST_L2, 3) / 24)
    return _spread(flow, sure * likely, 3.0) * away[..., None]


def _spread(values: np.ndarray, known: np.ndarray, blur: float) -> np.ndarray:
    """Continue what is known smoothly; 0 where nothing is."""
    if known.max() < 0.05:
        return np.zeros_like(values)
    filled = pull_push(values.astype(np.float32), np.clip(known, 0, 1))
    return cv2.GaussianBlur(filled, (0, 0), blur)
