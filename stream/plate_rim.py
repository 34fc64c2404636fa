"""Where what is remembered or guessed behind a head meets what shows beside it.

A camera that moves shifts near things against far ones: what was put behind a head some frames ago
no longer fits what surrounds it now, and would end in a torn edge. The difference in brightness
along the edge is passed on inwards, fading, as a membrane would (Pérez et al., Poisson Image
Editing, 2003), coarsely and only where there is one.
"""

import cv2
import numpy as np

from stream.fill import pull_push

RIM_STEP = 8  # pixels between those that are looked at
_AROUND = (7, 7)  # of these, in which both sides of the edge are looked for
_SOME = 0.04  # of them must belong to either side
_DARK = 8.0  # grey levels that count as light in any case
_BUSY = 1.0  # times the variance of what shows is held against a step
_LEAST = 0.03  # logarithm of a gain; smaller ones are left
_RANGE = (-0.7, 0.1)  # of it: a pale ghost catches the eye, and so would a guess that glows
_REACH = 0.08  # of the longer side, over which a correction fades
_UNIT = 128  # gain 1 as a byte


def fitted_to_rim(
    behind: np.ndarray, guessed: np.ndarray, picture: np.ndarray, shows: np.ndarray
) -> np.ndarray:
    """Return what is put behind a head, where it is a guess no brighter than what shows beside it.

    Hues stay: beside a striped flag, stripes that do not meet would get the colours of neither.

    Args:
        behind: (h, w, 3) uint8.
        guessed: 255 where that is a guess and is needed; uint8, of every `RIM_STEP`-th pixel.
        picture: (h, w, 3) uint8, the frame.
        shows: 255 where it shows the background; likewise.

    Returns:
        (h, w, 3) uint8; ``behind`` itself where nothing is to be changed.
    """
    seen, seen_share, busy = _around(picture, shows)
    guess, guess_share, _ = _around(behind, guessed)
    edge = ((seen_share > _SOME) & (guess_share > _SOME)).astype(np.float32)
    step = np.clip(np.log((seen + _DARK) / (guess + _DARK)), *_RANGE) * edge
    step *= step**2 / (step**2 + _BUSY * busy / (seen + _DARK) ** 2 + 1e-6)  # a lamp beside it
    if np.abs(step).max() < _LEAST:
        return behind
    away = cv2.distanceTransform((edge == 0).astype(np.uint8), cv2.DIST_L2, 3)
    fading = np.exp(-away / (_REACH * max(edge.shape))) * (guessed > 0)
    gain = np.rint(_UNIT * np.exp(pull_push(step, edge) * fading)).astype(np.uint8)
    gain = cv2.cvtColor(cv2.resize(gain, behind.shape[1::-1]), cv2.COLOR_GRAY2RGB)
    return cv2.multiply(behind, gain, scale=1 / _UNIT)


def _around(picture: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean brightness, share and variance of what is marked around coarse places."""
    weight = mask.astype(np.float32) / 255
    grey = cv2.cvtColor(np.ascontiguousarray(picture[::RIM_STEP, ::RIM_STEP]), cv2.COLOR_RGB2GRAY)
    marked = grey * weight
    share = cv2.blur(weight, _AROUND)
    mean, squares = (
        cv2.blur(part, _AROUND) / np.maximum(share, 1e-3) for part in (marked, grey * marked)
    )
    return mean, share, np.maximum(squares - mean**2, 0)
