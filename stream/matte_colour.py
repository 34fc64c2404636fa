"""Local colour models of a person and of what stands behind.

Around the silhouette the colours that are surely person and those that are surely background
give, at every pixel, two Gaussians. Fisher's linear discriminant between them is both a
classifier and, since a mixed pixel lies on the line between the two means, an estimate of how
much of the person a pixel holds.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from stream.region import halved

GRID_STEP = 4  # two halvings: the models vary slowly, and live on a grid that much coarser
_ENOUGH_SAMPLES = 0.02  # share of a window that must be sure before its colours are believed
_ODD_FROM = 1.0  # squared deviations; colours farther off are no mixture
_LEAST_SHARE = 0.02  # of the person, from which a colour speaks for it
_PLAIN = 4.0  # times the noise; scenery that varies less has no things in it
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
    """Local moments of one class on the grid, each (h, w).

    Attributes:
        weight: share of the window that belongs to the class.
        mean: of the three channels.
        spread: covariances of the pairs of channels in ``_PAIRS``.
    """

    weight: np.ndarray
    mean: list[np.ndarray]
    spread: list[np.ndarray]


def matte_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return the (width, height) at which the matte of a crop is made.

    Args:
        size: (width, height) of the crop.
        longest: longest side of the matte.

    Returns:
        The crop's shape, sides multiples of twice the grid's step.
    """
    side, step = max(size), 2 * GRID_STEP
    scale = min(max(side, 8 * GRID_STEP), longest) / side
    width, height = (max(step, round(length * scale / step) * step) for length in size)
    return width, height


def on_grid(guide: np.ndarray) -> np.ndarray:
    """Return (h, w, 3) uint8, a picture reduced to the grid of the colour models."""
    return halved(halved(guide))


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
    picture = _planes(reduced)
    grid = reduced.shape[1], reduced.shape[0]
    products = [picture[i] * picture[j] for i, j in _PAIRS]
    person = _moments(picture, products, _whole_cells(sure_person, grid))
    behind = _moments(picture, products, _whole_cells(sure_background, grid))
    expected = behind.mean  # what the grid must take off where nothing is known
    if known is not None:
        trust = cv2.resize(known.confidence, grid)
        expected = [mean * (1 - trust) for mean in behind.mean]
        behind = _with_seen(behind, _planes(on_grid(known.colour)), trust)
    direction, separation = _discriminant(person, behind, noise_variance)
    offset = -sum(d * e for d, e in zip(direction, expected, strict=True))
    share = _evaluate(guide, direction, offset, known)
    unchanged = None if known is None else _unchanged(guide, known, noise_variance)
    separation = cv2.resize(separation, (guide.shape[1], guide.shape[0]))
    separation *= _explained(guide, person, behind, share, noise_variance)
    return ColourEvidence(share, separation, unchanged)


def _explained(
    guide: np.ndarray,
    person: _Moments,
    behind: _Moments,
    share: np.ndarray,
    noise_variance: float,
) -> np.ndarray:
    """(h, w) float32, 0…1: how well a mixture of person and background explains each colour.

    A lamp beside dark hair is neither: there the share means nothing. What speaks against the
    person is believed all the same.
    """
    size = guide.shape[1] // 2, guide.shape[0] // 2  # sides are multiples of GRID_STEP
    half = halved(share)
    part = cv2.min(cv2.max(half, 0), 1)
    small = cv2.split(halved(guide))
    off = np.zeros(half.shape, np.float32)
    for now, mine, other in zip(small, person.mean, behind.mean, strict=True):
        missing = cv2.resize(mine - other, size)
        missing *= part
        missing += cv2.resize(other, size)
        missing -= now
        off += cv2.multiply(missing, missing)
    own, others = (one.spread[0] + one.spread[3] + one.spread[5] for one in (person, behind))
    noise = np.float32(3 * noise_variance)
    # Before a plain wall whatever differs from it is person.
    busy = others / (others + _PLAIN * noise)
    off *= cv2.resize(busy / (0.5 * (own + others) + noise), size)
    off[half < _LEAST_SHARE] = 0
    explained = cv2.exp(-0.5 * cv2.max(off - _ODD_FROM, 0))
    return cv2.resize(explained, (guide.shape[1], guide.shape[0]))


def _planes(picture: np.ndarray) -> list[np.ndarray]:
    return [plane.astype(np.float32) for plane in cv2.split(picture)]


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


def _moments(picture: list[np.ndarray], products: list[np.ndarray], weight: np.ndarray) -> _Moments:
    share = _windowed(weight)
    scale = 1 / (share + np.float32(1e-6))
    mean = [_windowed(plane * weight) * scale for plane in picture]
    spread = [
        _windowed(product * weight) * scale - mean[i] * mean[j]
        for product, (i, j) in zip(products, _PAIRS, strict=True)
    ]
    return _Moments(share, mean, spread)


def _windowed(plane: np.ndarray) -> np.ndarray:
    """Average over a soft window of 13 cells (two boxes)."""
    return cv2.blur(cv2.blur(plane, (7, 7)), (7, 7))


def _with_seen(behind: _Moments, seen: list[np.ndarray], trust: np.ndarray) -> _Moments:
    return _Moments(
        np.maximum(behind.weight, trust),
        [mean + (now - mean) * trust for mean, now in zip(behind.mean, seen, strict=True)],
        [spread * (1 - trust) for spread in behind.spread],
    )


def _discriminant(
    person: _Moments, behind: _Moments, noise_variance: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """Fisher's discriminant: three (h, w) of a direction d, and the separation.

    d is scaled so that d·(person − behind) is 1.
    """
    spread = [0.5 * (p + b) for p, b in zip(person.spread, behind.spread, strict=True)]
    for diagonal in (0, 3, 5):
        spread[diagonal] += np.float32(noise_variance)
    difference = [p - b for p, b in zip(person.mean, behind.mean, strict=True)]
    direction = _solve_symmetric(spread, difference)
    separation = sum(d * e for d, e in zip(direction, difference, strict=True))
    separation = np.maximum(separation, np.float32(1e-6))
    samples = np.minimum(person.weight, behind.weight) * np.float32(1 / _ENOUGH_SAMPLES)
    return [d / separation for d in direction], separation * np.minimum(samples, 1)


def _solve_symmetric(matrix: list[np.ndarray], vector: list[np.ndarray]) -> list[np.ndarray]:
    """Solve symmetric 3×3 systems, given as upper triangles, by the adjugate."""
    xx, xy, xz, yy, yz, zz = matrix
    x, y, z = vector
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    e, f, g = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    scale = 1 / np.maximum(xx * a + xy * b + xz * c, np.float32(1e-3))
    return [
        (a * x + b * y + c * z) * scale,
        (b * x + e * y + f * z) * scale,
        (c * x + f * y + g * z) * scale,
    ]


def _evaluate(
    guide: np.ndarray,
    direction: list[np.ndarray],
    offset: np.ndarray,
    known: KnownBackground | None,
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
    for plane, values in zip(direction, signal, strict=True):
        weight = cv2.resize(plane, size)
        share += cv2.multiply(weight, values, dst=weight, dtype=cv2.CV_32F)
    return share
