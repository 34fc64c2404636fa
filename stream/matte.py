"""Soft matte of one head, its hair and its shoulders, out of a coarse person mask.

The mask of the segmenter knows what is a person but not where a hair ends; the colours around
the silhouette know where but not what. The matte lets the mask rule where colours do not
separate person and background, and the colours where they do.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from stream.matte_colour import (
    ColourEvidence,
    KnownBackground,
    colour_evidence,
    matte_size,
    on_grid,
)
from stream.region import Region

__all__ = ["KnownBackground", "MatteSettings", "MatteState", "head_matte"]


_DOUBT = 2.5  # times what a matte lacks to be sure is taken off it where labels tell background
_SHAPE_SIZE = 128  # longest side at which components and holes are looked for

_PIT = np.ones((5, 5), np.uint8)  # pixels of the matte
_AROUND_PITS, _WITHIN = (7, 7), 204  # mean matte · 255 there: a notch between curls stays open
_SPECK = 0.002  # holes smaller than this share of the crop are noise


@dataclass(frozen=True, slots=True)
class MatteSettings:
    """How the matte is made. Lengths are shares of the crop's longer side.

    Attributes:
        size: longest side of the matte, pixels.
        inner_band: how far inside the coarse silhouette a pixel is surely person.
        outer_band: how far outside it a pixel counts as a sample of the background.
        wisp_band: how far outside it loose hair is still looked for.
        noise_variance: squared grey levels of camera noise and compression.
        soft_separation: colour separation at which the colours weigh as much as the mask.
        evidence: how strongly colours move the mask where they separate badly.
        floor: share of the person below which a pixel near the head is pure background.
        wisp_floor: the same far from the head, where a mistake costs more.
        memory: log-odds against the person where a pixel is just what was behind it before.
        steadiness: 0…1, share of the earlier matte kept where the picture stands still.
    """

    size: int = 256
    inner_band: float = 2.5 / 384
    outer_band: float = 6.5 / 384
    wisp_band: float = 14.5 / 384
    noise_variance: float = 25.0
    soft_separation: float = 40.0
    evidence: float = 0.2
    floor: float = 0.04
    wisp_floor: float = 0.3
    memory: float = 4.0
    steadiness: float = 0.7


class MatteState:
    """What the matte of one head remembers from frame to frame."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the earlier frames, as after a cut."""
        self.region: Region | None = None
        self.probability: np.ndarray | None = None
        self.alpha: np.ndarray | None = None
        self.grey: np.ndarray | None = None


def head_matte(
    crop_rgb: np.ndarray,
    probability: np.ndarray,
    head_prior: np.ndarray,
    settings: MatteSettings,
    state: MatteState,
    region: Region | None = None,
    background: KnownBackground | None = None,
) -> np.ndarray:
    """Refine a coarse person mask to a soft matte of the head and what hangs on it.

    Args:
        crop_rgb: (h, w, 3) uint8 crop of the frame; may already be reduced.
        probability: (s, s) float32, the segmenter's answer for the crop, any resolution.
        head_prior: (s', s') float32 0…1, the projected head model: 1 inside skull, face, neck.
        settings: how the matte is made.
        state: memory of this head, changed in place; a fresh one for a picture.
        region: frame rectangle of the crop; without it the crop is taken not to move.
        background: what is known of the picture behind the person, resolution of the crop or
            lower.

    Returns:
        (h', w') float32 0…1 over the same rectangle as the crop, longer side at most
        ``settings.size``; sample it bilinearly.
    """
    size = matte_size((crop_rgb.shape[1], crop_rgb.shape[0]), settings.size)
    guide = cv2.resize(crop_rgb, size)
    reduced = on_grid(guide)
    grey = cv2.cvtColor(reduced, cv2.COLOR_RGB2GRAY).astype(np.float32)
    move = _crop_move(state.region, region)
    still = _still(grey, state.grey, move)
    probability = _steadied(probability, state.probability, move, still, settings.steadiness)
    state.probability = probability
    solid = _solid(probability, head_prior)
    alpha = _refine(guide, reduced, solid, settings, _fitted(background, size))
    alpha = _steadied(alpha, state.alpha, move, still, settings.steadiness)
    state.region, state.alpha, state.grey = region, alpha, grey
    return alpha


def without_told_background(alpha: np.ndarray, told: np.ndarray | None) -> np.ndarray:
    """Return a matte without what may be the person, but is background by its labels.

    What lies blurred beside a head is easily taken for hair; and where a matte is wrong, the
    background that is seen makes way for one that is guessed.

    Args:
        alpha: (h, w) float32 matte; what is sure of the person stays.
        told: (s, s) float32 over the same rectangle, as of `stream.sight.told_background`; None
            without labels.
    """
    if told is None:
        return alpha
    doubt = cv2.multiply(cv2.resize(told, alpha.shape[::-1]), 1 - alpha, scale=_DOUBT)
    return cv2.max(cv2.subtract(alpha, doubt), 0.0)


def _fitted(known: KnownBackground | None, size: tuple[int, int]) -> KnownBackground | None:
    if known is None or known.confidence.shape == size[::-1]:
        return known
    return KnownBackground(cv2.resize(known.colour, size), cv2.resize(known.confidence, size))


# --- steadiness ---------------------------------------------------------------------------------


def _crop_move(before: Region | None, now: Region | None) -> np.ndarray:
    """(2, 3) affine before_from_now between the two crops' unit squares."""
    if before is None or now is None or before == now:
        return np.array([[1.0, 0, 0], [0, 1, 0]])
    width, height = max(1, before.width), max(1, before.height)
    return np.array(
        [
            [now.width / width, 0, (now.x0 - before.x0) / width],
            [0, now.height / height, (now.y0 - before.y0) / height],
        ]
    )


def _carried(
    before: np.ndarray, move: np.ndarray, shape: tuple[int, ...], outside: float | None = None
) -> np.ndarray:
    """Resample a map of the earlier crop on the present crop's pixels."""
    height, width = shape[:2]
    scale = np.array([before.shape[1] / width, before.shape[0] / height])
    matrix = np.empty((2, 3))
    matrix[0] = move[0, 0] * scale[0], 0, move[0, 2] * before.shape[1]
    matrix[1] = 0, move[1, 1] * scale[1], move[1, 2] * before.shape[0]
    matrix[:, 2] += 0.5 * (np.diag(matrix) - 1)  # pixel centres at +0.5
    if before.shape == shape and np.array_equal(matrix, np.eye(2, 3)):
        return before
    border = cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        before, matrix, (width, height), flags=flags, borderMode=border, borderValue=outside or 0
    )


def _still(grey: np.ndarray, before: np.ndarray | None, move: np.ndarray) -> np.ndarray | None:
    """(h, w) float32, 1 where the picture is what it was, 0 where it moved; None if unknown."""
    if before is None:
        return None
    change = cv2.absdiff(grey, _carried(before, move, grey.shape, outside=1e4))
    change = cv2.blur(change, (3, 3))
    noise = min(float(np.median(change)), 4.0)
    still = np.clip(1 - (change - 1.0 - 1.5 * noise) / (2.0 + 2.0 * noise), 0, 1)
    return cv2.erode(still, np.ones((5, 5), np.uint8))


def _steadied(
    now: np.ndarray,
    before: np.ndarray | None,
    move: np.ndarray,
    still: np.ndarray | None,
    steadiness: float,
) -> np.ndarray:
    """Average with the earlier map where the picture stands still."""
    if before is None or still is None or steadiness <= 0:
        return now
    keep = cv2.resize(still, (now.shape[1], now.shape[0]))
    keep *= steadiness
    difference = cv2.subtract(_carried(before, move, now.shape), now)
    difference *= keep
    difference += now
    return difference


# --- shape --------------------------------------------------------------------------------------


def _solid(probability: np.ndarray, head_prior: np.ndarray) -> np.ndarray:
    """Keep what hangs on the head, and fill holes in it. Same shape as ``probability``."""
    scale = min(1.0, _SHAPE_SIZE / max(probability.shape))
    size = max(1, round(probability.shape[1] * scale)), max(1, round(probability.shape[0] * scale))
    coarse = cv2.resize(probability, size, interpolation=cv2.INTER_AREA)
    head = cv2.resize(head_prior.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    if float(head.max(initial=0)) < 0.5:
        return probability
    core = cv2.erode((head > 0.9).astype(np.uint8), np.ones((5, 5), np.uint8))
    person = ((coarse > 0.3) | (core > 0)).astype(np.uint8)
    kept = _touching(person, head > 0.5)
    filled = kept | _holes(kept, core)
    skirt = cv2.blur(cv2.dilate(filled, np.ones((9, 9), np.uint8)).astype(np.float32), (3, 3))
    full = (probability.shape[1], probability.shape[0])
    solid = probability * cv2.resize(skirt, full)
    certain = cv2.erode((filled & ((1 - person) | core)), np.ones((2, 2), np.uint8))
    if certain.any():
        solid = np.maximum(solid, cv2.resize(cv2.blur(certain.astype(np.float32), (3, 3)), full))
    return solid


def _touching(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """(h, w) uint8: the components of ``mask`` that hold a pixel of ``seed``."""
    count, labels = cv2.connectedComponents(mask, connectivity=4)
    wanted = np.zeros(count, np.uint8)
    wanted[labels[seed]] = 1
    wanted[0] = 0
    return wanted[labels]


def _holes(mask: np.ndarray, core: np.ndarray) -> np.ndarray:
    """(h, w) uint8: enclosed gaps of ``mask`` that are specks or lie in the head."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    if count <= 1:
        return np.zeros_like(mask)
    speck = stats[:, cv2.CC_STAT_AREA] < _SPECK * mask.size
    in_head = np.bincount(labels.ravel(), core.ravel(), count) > 0.5 * stats[:, cv2.CC_STAT_AREA]
    hole = speck | in_head
    hole[0] = False
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    hole[border] = False
    return hole.astype(np.uint8)[labels]


# --- edge ---------------------------------------------------------------------------------------


def _disc(radius: float) -> np.ndarray:
    whole = max(1, round(radius))
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * whole + 1, 2 * whole + 1))


def _refine(
    guide: np.ndarray,
    reduced: np.ndarray,
    probability: np.ndarray,
    settings: MatteSettings,
    known: KnownBackground | None,
) -> np.ndarray:
    """Let the colours decide in a band around the silhouette."""
    size = guide.shape[1], guide.shape[0]
    half = size[0] // 2, size[1] // 2
    coarse = cv2.resize(probability, half)
    longest = max(half)
    sure = cv2.erode(cv2.compare(coarse, 0.9, cv2.CMP_GT), _disc(settings.inner_band * longest))
    body = cv2.compare(coarse, 0.1, cv2.CMP_GT)
    near = cv2.dilate(body, _disc(settings.outer_band * longest))
    reach = cv2.dilate(body, _disc(settings.wisp_band * longest))
    evidence = colour_evidence(
        guide, reduced, sure, cv2.bitwise_not(near), settings.noise_variance, known
    )
    mask = cv2.blur(cv2.resize(probability, size), (3, 3))
    alpha = _decide(mask, evidence, _share(near, size), settings)
    alpha *= _share(_rooted(alpha, reach, sure), size)
    return without_pits(cv2.max(alpha, _share(sure, size)))


def without_pits(alpha: np.ndarray) -> np.ndarray:
    """Return a (h, w) float32 matte without specks inside the person.

    A bright lock before a bright room is no hole; moved with the head, it would be a dark speck.
    """
    grey = cv2.convertScaleAbs(alpha, alpha=255.0)
    closed = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, _PIT)
    within = cv2.compare(cv2.blur(grey, _AROUND_PITS), _WITHIN, cv2.CMP_GT)
    closed = cv2.bitwise_and(closed, within)
    if not cv2.countNonZero(cv2.subtract(closed, grey)):
        return alpha
    return cv2.max(alpha, closed.astype(np.float32) * np.float32(1 / 255))


def _share(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w) float32 0…1 of a coarser (h', w') uint8 mask, 0 or 255."""
    return cv2.resize(mask.astype(np.float32), size) * np.float32(1 / 255)


def _rooted(alpha: np.ndarray, reach: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """(h, w) uint8 on the grid of ``reach``: 255 where the matte hangs on sure person.

    Loose hair hangs on the head; what does not is scenery of the hair's colour.
    """
    tops = cv2.dilate(alpha, np.ones((3, 3), np.uint8))  # a hair is thinner than a cell
    tops = cv2.resize(tops, (reach.shape[1], reach.shape[0]))
    held = cv2.compare(tops, 0.12, cv2.CMP_GT) & reach | sure
    return cv2.dilate(255 * _touching(held, sure > 0), np.ones((3, 3), np.uint8))


def _decide(
    mask: np.ndarray, evidence: ColourEvidence, nearness: np.ndarray, settings: MatteSettings
) -> np.ndarray:
    """Weigh mask and colours.

    Where colours separate badly they only shift the mask's log-odds; where they separate well
    the share itself is the answer, for it alone knows what a half-covered pixel holds.
    """
    share, separation = evidence.share, evidence.separation
    prior = (mask - np.float32(0.1)) * np.float32(1 / 0.85)  # a faint mask is no person
    prior = cv2.min(cv2.max(prior, 0.002 + 0.018 * nearness), 0.98)
    lean = cv2.min(cv2.max(share, 0), 1) - np.float32(0.5)
    lean *= cv2.min(separation, 30) * np.float32(settings.evidence)
    if evidence.unchanged is not None:
        lean -= evidence.unchanged * np.float32(settings.memory)
    voted = prior * cv2.exp(lean)  # the odds p / (1 − p), times e^lean
    voted /= voted + (1 - prior)
    floor = settings.wisp_floor + (settings.floor - settings.wisp_floor) * nearness
    share = (share - floor) / ((1 - settings.floor) - floor)
    share = cv2.min(cv2.max(share, 0), 1)
    share -= voted
    share *= separation / (separation + np.float32(settings.soft_separation))
    share += voted
    return share
