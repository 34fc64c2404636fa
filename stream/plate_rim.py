"""Where what is remembered or guessed behind a head meets what shows beside it.

A camera that moves shifts near things against far ones, and lights change: what was put behind a
head some frames ago no longer fits what surrounds it now, and would end in a torn edge. The
difference along the edge is passed on inwards, fading, as a membrane would (Pérez et al., Poisson
Image Editing, 2003), coarsely and only where there is one.
"""

import cv2
import numpy as np

from stream.fill import pull_push

_STEP = 8  # pixels between those that are looked at
_AROUND = (7, 7)  # of these, in which both sides of the edge are looked for
_SOME = 0.04  # of them must belong to either side
_LEAST = 5.0  # grey levels; smaller differences are left
_REACH = 0.08  # of the longer side, over which a correction fades


def fitted_to_rim(
    behind: np.ndarray, guessed: np.ndarray, picture: np.ndarray, shows: np.ndarray
) -> np.ndarray:
    """Return what is put behind a head, changed where it is a guess to fit what shows beside it.

    Args:
        behind: (h, w, 3) uint8.
        guessed: (h, w) uint8, 255 where that is a guess and is needed.
        picture: (h, w, 3) uint8, the frame.
        shows: (h, w) uint8, 255 where it shows the background.

    Returns:
        (h, w, 3) uint8; ``behind`` itself where nothing is to be changed.
    """
    seen, seen_share, busy = _around(picture, shows)
    guess, guess_share, _ = _around(behind, guessed)
    edge = ((seen_share > _SOME) & (guess_share > _SOME)).astype(np.float32)
    step = (seen - guess) * edge[..., None]
    step *= step**2 / (step**2 + busy + 1)  # a lamp or a window frame is no other tone of all
    if np.abs(step).max() < _LEAST:
        return behind
    away = cv2.distanceTransform((edge == 0).astype(np.uint8), cv2.DIST_L2, 3)
    fading = np.exp(-away / (_REACH * max(edge.shape))) * (guessed[::_STEP, ::_STEP] > 0)
    change = pull_push(step, edge) * fading[..., None]
    size = guessed.shape[::-1]
    for part, apply in ((change, cv2.add), (-change, cv2.subtract)):
        if part.max() >= 1:
            behind = apply(behind, cv2.resize(cv2.max(part, 0).astype(np.uint8), size))
    return behind


def _around(picture: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, share and variance of what is marked around coarse places."""
    weight = mask[::_STEP, ::_STEP].astype(np.float32) / 255
    marked = picture[::_STEP, ::_STEP] * weight[..., None]
    total, squares = cv2.blur(marked, _AROUND), cv2.blur(marked**2, _AROUND)
    share = cv2.blur(weight, _AROUND)
    least = np.maximum(share, 1e-3)[..., None]
    mean = total / least
    return mean, share, np.maximum(squares / least - mean**2, 0)
