"""What the far side of the head looks like: hair from the outline, folded over backwards.

No camera pixel shows the back of a head, but a turn brings some of it into sight. It is close to
what the outline shows, as long as that is hair: a band of scalp along the outline is stretched
over the back. Below the temples the outline shows ears and cheeks, so the directions there take
their hair from the last direction that has some.
"""

from __future__ import annotations

import numpy as np

ANGLES = 72

_HAIR_TO = np.radians(62.0)  # from the crown: outlines above the temple show hair
_SQUEEZE = np.radians(18.0)  # all lower directions are squeezed into as much beyond that
_LEAST_BAND, _MOST_BAND = 0.04, 0.18  # of the outline's radius
_RIM = 0.95  # of the outline's radius: nearer to it, background shines through the hair


def bins_of(angle: np.ndarray) -> np.ndarray:
    """Return the direction bins, 0…71, of angles in radians."""
    return np.floor(angle / (2 * np.pi) * ANGLES).astype(int) % ANGLES


def at_angle(by_bin: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Interpolate (72,) values by direction at angles in radians."""
    place = angle / (2 * np.pi) * ANGLES - 0.5
    low = np.floor(place).astype(int)
    part = place - low
    return by_bin[low % ANGLES] * (1 - part) + by_bin[(low + 1) % ANGLES] * part


def circular_blur(values: np.ndarray, sigma: float) -> np.ndarray:
    """Smooth (72,) values by direction; sigma in bins."""
    reach = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    padded = np.concatenate([values[-reach:], values, values[:reach]])
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")


def circular_least(values: np.ndarray) -> np.ndarray:
    """Return (72,) the least of each value and its two neighbours by direction."""
    return np.minimum(np.minimum(np.roll(values, 1), np.roll(values, -1)), values)


def outline_radius(offsets_px: np.ndarray) -> np.ndarray:
    """Return (72,) distances of the outermost of (S, 2) points by direction."""
    return _extreme_radius(offsets_px, np.maximum, 0.0)


def inner_radius(offsets_px: np.ndarray) -> np.ndarray:
    """Return (72,) distances of the innermost of (S, 2) points by direction."""
    return _extreme_radius(offsets_px, np.minimum, np.inf)


def _extreme_radius(offsets_px: np.ndarray, extreme: np.ufunc, start: float) -> np.ndarray:
    bins = bins_of(np.arctan2(offsets_px[:, 1], offsets_px[:, 0]))
    radius = np.full(ANGLES, start)
    extreme.at(radius, bins, np.linalg.norm(offsets_px, axis=1))
    known = np.flatnonzero(radius != start)
    if len(known) == 0:
        return np.ones(ANGLES)
    radius = np.interp(np.arange(ANGLES), known, radius[known], period=ANGLES)
    return np.maximum(circular_blur(radius, 1.0), 1e-3)


def far_side_source(
    positions_px: np.ndarray,
    centre_px: np.ndarray,
    up_px: np.ndarray,
    outline_px: np.ndarray,
    hairline_px: np.ndarray,
    person_px: np.ndarray,
) -> np.ndarray:
    """Return where in the frame the far side finds its colours.

    Args:
        positions_px: (..., 2) places on the near side, in front of the far side.
        centre_px: (2,) projected middle of the cranium.
        up_px: (2,) direction of the crown in the picture.
        outline_px: (72,) radius of the head's outline by direction.
        hairline_px: (72,) radius at which visible scalp begins by direction.
        person_px: (72,) radius at which the person ends by direction.

    Returns:
        (..., 2) float32 frame positions.
    """
    offset = positions_px - centre_px
    crown = np.arctan2(up_px[1], up_px[0])
    angle = np.arctan2(offset[..., 1], offset[..., 0])
    from_crown = (angle - crown + np.pi) % (2 * np.pi) - np.pi
    beyond = np.maximum(np.abs(from_crown) - _HAIR_TO, 0) / (np.pi - _HAIR_TO)
    hair_angle = crown + np.sign(from_crown) * (
        np.minimum(np.abs(from_crown), _HAIR_TO) + beyond * _SQUEEZE
    )
    share = np.clip(np.linalg.norm(offset, axis=-1) / at_angle(outline_px, angle), 0, 1)
    band_px = np.clip(1 - hairline_px / outline_px, _LEAST_BAND, _MOST_BAND) * outline_px
    rim_px = _RIM * np.minimum(outline_px, circular_least(person_px))
    radius = at_angle(rim_px, hair_angle) - (1 - share) * at_angle(band_px, hair_angle)
    direction = np.stack([np.cos(hair_angle), np.sin(hair_angle)], axis=-1)
    return (centre_px + radius[..., None] * direction).astype(np.float32)
