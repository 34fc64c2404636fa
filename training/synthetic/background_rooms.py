"""Rooms behind synthetic heads: walls with things on them, floor, ceiling, a side wall."""

import cv2
import numpy as np

from training.synthetic.background_textures import (
    any_colour,
    shaded,
    slanted,
    texture,
    wall_colour,
    wood_colour,
)
from training.synthetic.background_things import THINGS, Wall, blotched

_SHARES = np.array([share for _, share in THINGS])


def draw_room(
    rng: np.random.Generator, size: tuple[int, int], outside: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the part of a room that a camera sees behind a head.

    Args:
        rng: draws everything.
        size: (width, height).
        outside: (h, w, 3) uint8 sRGB, what windows and pictures show.

    Returns:
        (H, W, 3) uint8 sRGB, evenly lit, and (H, W) uint8: how much more light comes from here
        than from a lit surface (lamps, windows, screens).
    """
    width, height = size
    shown = float(np.exp(rng.normal(np.log(1.7), 0.35)))  # metres over the picture's width
    scale = width / np.clip(shown, 0.7, 3.6)
    floor = height * rng.uniform(0.35, 0.55) + rng.uniform(1.0, 1.6) * scale
    wall = _bare_wall(rng, size, scale, floor, outside)
    _furnish(wall, float(rng.gamma(3.0, 0.7)))
    _floor_and_ceiling(wall)
    both = np.dstack([wall.pixels, wall.glow])
    if rng.random() < 0.35:
        both = _with_side_wall(rng, both, _side_wall(rng, wall))
    if rng.random() < 0.75:
        both = slanted(rng, _rolled(rng, both), 0.1)
    return np.ascontiguousarray(both[..., :3]), np.ascontiguousarray(both[..., 3])


def _bare_wall(
    rng: np.random.Generator,
    size: tuple[int, int],
    scale: float,
    floor: float,
    outside: np.ndarray,
) -> Wall:
    width, height = size
    if rng.random() < 0.15:
        pixels = texture(rng, size)
    else:
        pixels = np.full((height, width, 3), wall_colour(rng), np.uint8)
        blotched(rng, pixels, rng.uniform(0.0, 0.012))
    return Wall(rng, pixels, np.zeros((height, width), np.uint8), scale, floor, outside)


def _furnish(wall: Wall, per_metre: float) -> None:
    """Put things along the wall, not quite beside each other."""
    count = min(10, int(wall.rng.poisson(per_metre * (wall.width + 0.5))))
    for _ in range(count):
        thing, _ = THINGS[int(wall.rng.choice(len(THINGS), p=_SHARES / _SHARES.sum()))]
        thing(wall, float(wall.rng.uniform(-0.5, wall.width)))


def _floor_and_ceiling(wall: Wall) -> None:
    rng = wall.rng
    height, width = wall.pixels.shape[:2]
    row = round(wall.floor)
    if row < height - 2:
        colour = wood_colour(rng)
        wall.box(-0.1, -5.0, wall.width + 0.2, 5.0, colour)
        vanish = (width * rng.uniform(0.3, 0.7), height * 0.45)
        lines = int(rng.choice([0, rng.integers(8, 24)]))
        for column in np.linspace(-width, 2 * width, lines):
            end = (round(column + (column - vanish[0]) * 2), row + round((row - vanish[1]) * 2))
            cv2.line(wall.pixels, (round(column), row), end, shaded(colour, 0.75), 1, cv2.LINE_AA)
        if rng.random() < 0.7:
            wall.box(-0.1, 0.0, wall.width + 0.2, 0.08, shaded(wall_colour(rng), 1.0))
    if rng.random() < 0.8:
        wall.box(-0.1, rng.uniform(2.35, 2.7), wall.width + 0.2, 2.0, (228, 226, 222))


def _side_wall(rng: np.random.Generator, wall: Wall) -> np.ndarray:
    """Draw the wall that comes towards the camera, seen from its front: (H, W, 4) uint8."""
    height, width = wall.pixels.shape[:2]
    ground = wall.pixels[height // 3, width // 2].tolist()
    colour = any_colour(rng) if rng.random() < 0.2 else (ground[0], ground[1], ground[2])
    colour = shaded(colour, rng.uniform(0.55, 1.1))
    pixels = np.full((height, width, 3), colour, np.uint8)
    glow = np.zeros((height, width), np.uint8)
    side = Wall(rng, pixels, glow, wall.scale * 0.8, wall.floor * 0.9, wall.outside)
    _furnish(side, rng.uniform(0.0, 1.5))
    return np.dstack([side.pixels, side.glow])


def _with_side_wall(rng: np.random.Generator, back: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Fold the side wall in from the left or the right."""
    height, width = back.shape[:2]
    edge, spread = width * rng.uniform(0.1, 0.4), height * rng.uniform(0.2, 0.7)
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    target = np.array(
        [[-0.1 * edge, -spread], [edge, 0], [edge, height], [-0.1 * edge, height + spread]],
        np.float32,
    )
    if rng.random() < 0.5:
        source, target = source[[1, 0, 3, 2]], target[[1, 0, 3, 2]]
        target[:, 0] = width - target[:, 0]
        source = source[[1, 0, 3, 2]]
        target = target[[1, 0, 3, 2]]
    move = cv2.getPerspectiveTransform(source, target)
    folded = cv2.warpPerspective(side, move, (width, height))
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, np.rint(target).astype(np.int32), 255)
    cv2.copyTo(folded, mask, back)
    return back


def _rolled(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Tilt the camera a little."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.normal(0, 2.0)), 1.06)
    return cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
