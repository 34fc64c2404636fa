"""Real pictures with faults like those of a warp, made along the head's edge.

Deep 3D Portrait (Xu et al. 2020) §5.2 masks out parts of real pictures along the borders of the
head, so that the picture itself is the truth. The warp here leaves no holes: what it does not know
it draws out of few pixels, mirrors, or lets a filled background through. So do these faults.
"""

from __future__ import annotations

import cv2
import numpy as np

from stream.fill import pull_push
from stream.refine import COVER, DOUBT, UNKNOWN

_STROKES = (2, 6)
_STEPS, _STEP_PX = (2, 9), 7.0  # of a stroke: it walks along the edge
_RADIUS = (4, 17)
_BAND = (6, 26)  # pixels of background beside the head that a turn uncovers
_FILL_STEP = 4
_SLIVERS = 0.5  # share of the pictures
_AWAY_PX = (3, 22)


def corrupted(
    picture: np.ndarray, matte: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Spoil a picture along the edge of a person.

    Args:
        picture: (S, S, 3) uint8 RGB.
        matte: (S, S) uint8, the person.
        rng: draws the faults.

    Returns:
        (S, S, 3) uint8, and its masks (S, S, 4) uint8 as `stream.refine.refine_masks` gives them.
    """
    coarse = picture.copy()
    person = cv2.compare(matte, 127, cv2.CMP_GT)
    masks = np.zeros((*matte.shape, 4), np.uint8)
    masks[..., COVER] = matte
    _uncover(coarse, masks, person, rng)
    edge = np.argwhere(cv2.morphologyEx(person, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
    for _ in range(int(rng.integers(*_STROKES))):
        if len(edge) == 0:
            break
        _spoil(coarse, masks, _stroke(edge, matte.shape, rng), rng)
    if len(edge) and rng.random() < _SLIVERS:
        _leave_sliver(coarse, masks, person, _stroke(edge, matte.shape, rng), rng)
    return coarse, masks


def _uncover(
    coarse: np.ndarray, masks: np.ndarray, person: np.ndarray, rng: np.random.Generator
) -> None:
    """Fill background beside the head from its surroundings, as the plate does."""
    reach = int(rng.integers(*_BAND))
    band = cv2.dilate(person, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) & ~person
    slope = rng.normal(size=2)  # one side only: the head turned away from it
    y, x = np.mgrid[: band.shape[0], : band.shape[1]] - np.array(band.shape)[:, None, None] / 2
    band[(slope[0] * y + slope[1] * x < 0) | (rng.random() < 0.2)] = 0
    if not band.any():
        return
    known = cv2.bitwise_not(cv2.max(band, cv2.dilate(person, np.ones((5, 5), np.uint8))))
    filled = _filled(coarse, known)
    soft = cv2.blur(band, (3, 3))[..., None] / np.float32(255)
    coarse[:] = np.rint(coarse + (filled - coarse) * soft).astype(np.uint8)
    masks[..., UNKNOWN] = cv2.min(band, cv2.bitwise_not(masks[..., COVER]))


def _stroke(edge: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw a blob that walks along the edge: (S, S) uint8."""
    stroke = np.zeros(shape, np.uint8)
    place = edge[rng.integers(len(edge))].astype(np.float64)
    heading = rng.uniform(0, 2 * np.pi)
    for _ in range(int(rng.integers(*_STEPS))):
        radius = int(rng.integers(*_RADIUS))
        cv2.circle(stroke, (int(place[1]), int(place[0])), radius, 255, -1)
        heading += rng.normal(0, 0.7)
        place += _STEP_PX * np.array([np.sin(heading), np.cos(heading)])
        near = edge[np.argmin(((edge - place) ** 2).sum(axis=1))]
        place += 0.5 * (near - place)
    return stroke


def _spoil(
    coarse: np.ndarray, masks: np.ndarray, stroke: np.ndarray, rng: np.random.Generator
) -> None:
    """Put something wrong where a stroke is, and say in the masks that it is a guess."""
    kind = rng.choice(["stretched", "shifted", "mirrored", "uncovered"], p=[0.35, 0.25, 0.15, 0.25])
    soft = cv2.blur(stroke, (3, 3))[..., None] / np.float32(255)
    if kind == "uncovered":
        behind = cv2.bitwise_not(cv2.max(cv2.max(masks[..., COVER], masks[..., UNKNOWN]), stroke))
        wrong = _filled(coarse, behind)
        masks[..., COVER] = cv2.min(masks[..., COVER], cv2.bitwise_not(stroke))
        masks[..., DOUBT] = cv2.min(masks[..., DOUBT], masks[..., COVER])
        masks[..., UNKNOWN] = cv2.max(masks[..., UNKNOWN], stroke)
    else:
        wrong = _displaced(coarse, stroke, str(kind), rng)
        # A warp covers with the head what it draws: the background in it was covered wrongly.
        masks[..., COVER] = cv2.max(masks[..., COVER], stroke)
        masks[..., DOUBT] = cv2.max(masks[..., DOUBT], stroke)
        masks[..., UNKNOWN] = cv2.min(masks[..., UNKNOWN], cv2.bitwise_not(stroke))
    coarse[:] = np.rint(coarse + (wrong - coarse) * soft).clip(0, 255).astype(np.uint8)


def _leave_sliver(
    coarse: np.ndarray, masks: np.ndarray, person: np.ndarray, stroke: np.ndarray,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Draw a thin strip of the person's edge beside it, as a cell that a turn pulled away."""
    edge = cv2.morphologyEx(person, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    part = cv2.dilate(stroke, np.ones((25, 25), np.uint8)) & edge
    angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(*_AWAY_PX)
    move = np.array([[1, 0, away * np.cos(angle)], [0, 1, away * np.sin(angle)]])
    strip = cv2.warpAffine(part, move, part.shape[::-1]) & ~person
    moved = cv2.warpAffine(coarse, move, part.shape[::-1], borderMode=cv2.BORDER_REFLECT)
    dense = (strip * rng.uniform(0.5, 1.0)).astype(np.uint8)
    coarse[:] = np.rint(coarse + (moved.astype(np.float32) - coarse) * (dense[..., None] / 255.0))
    masks[..., COVER] = cv2.max(masks[..., COVER], dense)
    masks[..., DOUBT] = cv2.max(masks[..., DOUBT], (dense * rng.uniform(0.3, 1.0)).astype(np.uint8))
    masks[..., UNKNOWN] = cv2.min(masks[..., UNKNOWN], cv2.bitwise_not(masks[..., COVER]))


def _displaced(
    picture: np.ndarray, stroke: np.ndarray, kind: str, rng: np.random.Generator
) -> np.ndarray:
    """Resample a picture so that a stroke shows what lies elsewhere, or few pixels drawn out."""
    x, y, width, height = cv2.boundingRect(stroke)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    anchor = np.array([x + width / 2, y + height / 2]) + along * max(width, height) / 2
    if kind == "stretched":
        share = rng.uniform(0.1, 0.45)
        linear = np.eye(2) - (1 - share) * np.outer(along, along)
        shift = anchor - linear @ anchor
    elif kind == "mirrored":
        linear = np.eye(2) - 2 * np.outer(along, along)
        shift = anchor - linear @ anchor
    else:
        linear, shift = np.eye(2), along * rng.uniform(6, 36)
    matrix = np.column_stack([linear, shift])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        picture, matrix, stroke.shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT
    ).astype(np.float32)


def _filled(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Continue a picture smoothly from where it is known: (S, S, 3) float32."""
    size = picture.shape[1] // _FILL_STEP, picture.shape[0] // _FILL_STEP
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    share = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    smooth = pull_push(small, (share == 255).astype(np.float32))
    return cv2.resize(smooth, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
