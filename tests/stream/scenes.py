"""Made-up people before made-up rooms: pictures of which matte and background are known."""

from dataclasses import dataclass

import cv2
import numpy as np

SKIN, HAIR, SHIRT = (205.0, 160.0, 135.0), (60.0, 45.0, 35.0), (60.0, 70.0, 120.0)


def plain_room(height: int, width: int) -> np.ndarray:
    """A wall that darkens to one side: (h, w, 3) uint8."""
    shade = np.linspace(215, 165, width)[None, :, None]
    tint = np.array([1.0, 0.97, 0.9])
    return np.broadcast_to(shade * tint, (height, width, 3)).astype(np.uint8)


def rough_room(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blobs of many sizes and colours: (h, w, 3) uint8."""
    rng = np.random.default_rng(seed)
    total = np.full((height, width, 3), 120, np.float32)
    for cell, strength in ((40, 70), (16, 45), (7, 25)):
        small = rng.normal(0, 1, (height // cell + 3, width // cell + 3, 3)).astype(np.float32)
        total += strength * cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total, 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Person:
    """A head with hair, a neck and shoulders, as masks over a picture.

    Attributes:
        alpha: (h, w) float32, true matte.
        colour: (h, w, 3) float32 of the person.
        prior: (h, w) float32, what a head model would cover: less than the person.
    """

    alpha: np.ndarray
    colour: np.ndarray
    prior: np.ndarray


def person(height: int, width: int, x: float = 0.5, y: float = 0.42, size: float = 0.2) -> Person:
    """Paint a person; ``x, y`` is the head's middle and ``size`` its radius, as shares."""
    scale = 4  # drawn large, then averaged: edges have true coverage
    big = (height * scale, width * scale)
    head = np.zeros(big, np.uint8)
    centre = int(x * big[1]), int(y * big[0])
    radius = int(size * big[0])
    cv2.ellipse(head, centre, (int(radius * 0.75), radius), 0, 0, 360, 255, -1)
    face = np.zeros(big, np.uint8)
    chin = centre[0], centre[1] + radius // 5
    cv2.ellipse(face, chin, (int(radius * 0.55), int(radius * 0.72)), 0, 0, 360, 255, -1)
    body = np.zeros(big, np.uint8)
    shoulder = centre[1] + int(1.25 * radius)
    cv2.ellipse(
        body, (centre[0], shoulder + radius), (int(1.6 * radius), radius), 0, 180, 360, 255, -1
    )
    cv2.rectangle(body, (centre[0] - int(1.6 * radius), shoulder + radius),
                  (centre[0] + int(1.6 * radius), big[0]), 255, -1)  # fmt: skip
    neck = radius // 3
    cv2.rectangle(face, (centre[0] - neck, centre[1]), (centre[0] + neck, shoulder + neck), 255, -1)
    head, face, body = (_reduced(mask, height, width) for mask in (head, face, body))
    colour = np.zeros((height, width, 3), np.float32) + np.float32(HAIR)
    colour += (np.float32(SHIRT) - colour) * (body * (1 - head))[..., None]
    colour += (np.float32(SKIN) - colour) * face[..., None]
    prior = cv2.erode(np.maximum(head, face), np.ones((3, 3), np.uint8))
    return Person(np.maximum(np.maximum(head, face), body), colour, prior)


def composed(who: Person, room: np.ndarray, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Put a person before a room: (h, w, 3) uint8."""
    alpha = who.alpha[..., None]
    picture = who.colour * alpha + room * (1 - alpha)
    if noise:
        picture = picture + np.random.default_rng(seed).normal(0, noise, picture.shape)
    return np.clip(np.round(picture), 0, 255).astype(np.uint8)


def coarse_mask(who: Person, wobble: float = 0.0, seed: int = 0) -> np.ndarray:
    """What a segmenter might answer: (256, 256) float32, its outline wrong by about ``wobble``."""
    alpha = cv2.resize(who.alpha, (256, 256), interpolation=cv2.INTER_AREA)
    if wobble:
        rng = np.random.default_rng(seed)
        field = [
            wobble * cv2.resize(rng.normal(0, 1, (12, 12)).astype(np.float32), (256, 256))
            for _ in range(2)
        ]
        rows, columns = np.mgrid[0:256, 0:256].astype(np.float32)
        alpha = cv2.remap(
            alpha, columns + field[0], rows + field[1], cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
    return cv2.GaussianBlur(alpha, (0, 0), 1.5)


def _reduced(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    small = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255
