"""Local colour models of a person and of what stands behind.

Around the silhouette the colours that are surely person and those that are surely background
give, at every pixel, two Gaussians. Fisher's linear discriminant between them is both a
classifier and, since a mixed pixel lies on the line between the two means, an estimate of how
much of the person a pixel holds.
"""

from dataclasses import dataclass

import cv2
import numpy as np

GRID_STEP = 4  # the models vary slowly: they live on a grid this much coarser than the picture
_ENOUGH_SAMPLES = 0.02  # share of a window that must be sure before its colours are believed
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # upper triangle of a 3×3 matrix


@dataclass(frozen=True, slots=True)
class KnownBackground:
    """What is known of the picture behind the person, in the pixels of the crop.

    Attributes:
        colour: (h, w, 3) uint8 RGB.
        confidence: (h, w) float32, 0 where the colour is a guess, 1 where it was seen.
    """

    colour: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True, slots=True)
class ColourEvidence:
    """What the colours alone say of every pixel.

    Attributes:
        share: (h, w) float32, about 0…1 (not clipped), the person's share of the pixel.
        separation: (h, w) float32, squared Mahalanobis distance between the colours of
            person and background; below about 10 the share means little.
        unchanged: (h, w) float32, 0…1, how surely a pixel shows the background as it was
            seen before; None where none was.
    """

    share: np.ndarray
    separation: np.ndarray
    unchanged: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class _Moments:
    """Local moments of one class on the grid: weight (h, w), mean (h, w, 3), spread (h, w, 6)."""

    weight: np.ndarray
    mean: np.ndarray
    spread: np.ndarray


def on_grid(guide: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) uint8, a picture reduced to the grid of the colour models."""
    grid = guide.shape[1] // GRID_STEP, guide.shape[0] // GRID_STEP
    return cv2.resize(guide, grid, interpolation=cv2.INTER_AREA)


def colour_evidence(
    guide: np.ndarray,
    reduced: np.ndarray,
    sure_person: np.ndarray,
    sure_background: np.ndarray,
    noise_variance: float,
    known: KnownBackground | None = None,
) -> ColourEvidence:
    """Estimate the person's share of every pixel from the colours around it.

    Args:
        guide: (h, w, 3) uint8 picture, sides multiples of ``GRID_STEP``.
        reduced: the picture on the grid, as ``on_grid`` makes it.
        sure_person: (h', w') uint8, 255 where a pixel is surely person; any resolution.
        sure_background: (h', w') uint8, likewise for the background.
        noise_variance: squared grey levels added to each colour channel's spread.
        known: the background as seen earlier, in the pixels of ``guide``; replaces the local
            model where it is confident.
    """
    picture = reduced.astype(np.float32)
    grid = picture.shape[1], picture.shape[0]
    person = _class_moments(picture, _whole_cells(sure_person, grid))
    behind = _class_moments(picture, _whole_cells(sure_background, grid))
    offset_colour = behind.mean
    if known is not None:
        trust = cv2.resize(known.confidence, grid)
        offset_colour = behind.mean * (1 - trust[..., None])
        behind = _with_seen(behind, on_grid(known.colour), trust)
    direction, separation = _discriminant(person, behind, noise_variance)
    offset = -np.einsum("hwc,hwc->hw", direction, offset_colour)
    share = _evaluate(guide, direction, offset, known)
    unchanged = None if known is None else _unchanged(guide, known, noise_variance)
    separation = cv2.resize(separation, (guide.shape[1], guide.shape[0]))
    return ColourEvidence(share, separation, unchanged)


def _unchanged(guide: np.ndarray, known: KnownBackground, noise_variance: float) -> np.ndarray:
    """How surely each pixel shows the background that is remembered for it."""
    change = cv2.blur(cv2.absdiff(guide, known.colour), (3, 3))
    red, green, blue = cv2.split(change)
    largest = cv2.max(cv2.max(red, green), blue)
    table = np.exp(-0.5 * np.arange(256) ** 2 / noise_variance).astype(np.float32)
    return cv2.multiply(cv2.LUT(largest, table), known.confidence)


def _whole_cells(mask: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """(h, w) float32: 1 in the cells that lie wholly in the mask, so that no cell mixes."""
    share = cv2.resize(mask, grid, interpolation=cv2.INTER_AREA)
    return (share == 255).astype(np.float32)


def _class_moments(picture: np.ndarray, weight: np.ndarray) -> _Moments:
    channels = [picture[..., i] for i in range(3)]
    products = [channels[i] * channels[j] for i, j in _PAIRS]
    stack = np.dstack([weight, *(c * weight for c in channels + products)])
    sums = cv2.blur(cv2.blur(stack, (7, 7)), (7, 7))  # two boxes: a soft window of 13 cells
    total = sums[..., :1] + np.float32(1e-6)
    mean, second = sums[..., 1:4] / total, sums[..., 4:] / total
    outer = np.dstack([mean[..., i] * mean[..., j] for i, j in _PAIRS])
    return _Moments(sums[..., 0], mean, second - outer)


def _with_seen(behind: _Moments, seen: np.ndarray, trust: np.ndarray) -> _Moments:
    share = trust[..., None]
    return _Moments(
        np.maximum(behind.weight, trust),
        behind.mean + (seen - behind.mean) * share,
        behind.spread * (1 - share),
    )


def _discriminant(
    person: _Moments, behind: _Moments, noise_variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fisher's discriminant: direction d (h, w, 3) with d·(person − behind) = 1; separation."""
    spread = 0.5 * (person.spread + behind.spread)
    spread[..., [0, 3, 5]] += noise_variance
    difference = person.mean - behind.mean
    direction = _solve_symmetric(spread, difference)
    separation = np.maximum(np.einsum("hwc,hwc->hw", direction, difference), 1e-6)
    samples = np.minimum(person.weight, behind.weight) / _ENOUGH_SAMPLES
    return direction / separation[..., None], separation * np.minimum(samples, 1)


def _solve_symmetric(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Solve 3×3 systems, given as upper triangles (…, 6), by the adjugate."""
    xx, xy, xz, yy, yz, zz = (np.ascontiguousarray(matrix[..., i]) for i in range(6))
    x, y, z = (np.ascontiguousarray(vector[..., i]) for i in range(3))
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    e, f, g = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    determinant = np.maximum(xx * a + xy * b + xz * c, 1e-3)
    adjugate = (a * x + b * y + c * z, b * x + e * y + f * z, c * x + f * y + g * z)
    return np.dstack(adjugate) / determinant[..., None]


def _evaluate(
    guide: np.ndarray, direction: np.ndarray, offset: np.ndarray, known: KnownBackground | None
) -> np.ndarray:
    """Apply the grid's discriminants, ``d·(colour − trust·seen) + offset``, at every pixel."""
    size = guide.shape[1], guide.shape[0]
    share = cv2.resize(offset, size)
    signal = list(cv2.split(guide))
    if known is not None:
        seen = cv2.split(known.colour)
        signal = [
            cv2.subtract(now, cv2.multiply(known.confidence, then, dtype=cv2.CV_32F), dtype=5)
            for now, then in zip(signal, seen, strict=True)
        ]
    for axis in range(3):
        weight = cv2.resize(np.ascontiguousarray(direction[..., axis]), size)
        share += cv2.multiply(weight, signal[axis], dst=weight, dtype=cv2.CV_32F)
    return share
