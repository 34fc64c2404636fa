"""Things that stand or hang at the walls behind synthetic heads: shelves, windows, doors, lamps.

A `Wall` is drawn on as seen from the front, in metres: x from the left edge of the picture, y
from the floor upwards. What shines is noted beside the colours in `glow`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from training.synthetic.background_textures import (
    Colour,
    any_colour,
    octave_noise,
    shaded,
    sine,
    texture,
    vivid_colour,
    wood_colour,
)


@dataclass(frozen=True, slots=True)
class Wall:
    """A wall that is drawn on.

    Attributes:
        rng: draws everything.
        pixels: (H, W, 3) uint8 sRGB.
        glow: (H, W) uint8, how much more light than a lit surface comes from here.
        scale: pixels per metre.
        floor: row of the floor; may lie below the picture.
        outside: (h, w, 3) uint8 sRGB, what windows and pictures show.
    """

    rng: np.random.Generator
    pixels: np.ndarray
    glow: np.ndarray
    scale: float
    floor: float
    outside: np.ndarray

    @property
    def width(self) -> float:
        """Metres that the picture shows."""
        return self.pixels.shape[1] / self.scale

    def at(self, x: float, y: float) -> tuple[int, int]:
        """Return the pixel (column, row) of a place in metres."""
        return round(x * self.scale), round(self.floor - y * self.scale)

    def box(
        self, x: float, y: float, wide: float, high: float, colour: Colour, glow: int = 0
    ) -> None:
        """Fill a rectangle whose lower left corner is at (x, y)."""
        first, last = self.at(x, y + high), self.at(x + wide, y)
        cv2.rectangle(self.pixels, first, last, colour, -1)
        cv2.rectangle(self.glow, first, last, glow, -1)

    def line(self, first: tuple[float, float], last: tuple[float, float], colour: Colour) -> None:
        """Draw a line one or two pixels wide."""
        wide = 1 + (self.scale > 170)
        cv2.line(self.pixels, self.at(*first), self.at(*last), colour, wide, cv2.LINE_AA)

    def polygon(
        self, points: list[tuple[float, float]], colour: Colour, glow: int | None = None
    ) -> None:
        """Fill a convex polygon; `glow` stays what it was when None."""
        corners = np.array([self.at(*point) for point in points], np.int32)
        cv2.fillConvexPoly(self.pixels, corners, colour, cv2.LINE_AA)
        if glow is not None:
            cv2.fillConvexPoly(self.glow, corners, glow)

    def disc(self, x: float, y: float, radius: float, colour: Colour, glow: int = 0) -> None:
        """Fill a disc."""
        reach = max(1, round(radius * self.scale))
        cv2.circle(self.pixels, self.at(x, y), reach, colour, -1, cv2.LINE_AA)
        cv2.circle(self.glow, self.at(x, y), reach, glow, -1)

    def paste(
        self, x: float, y: float, wide: float, high: float, picture: np.ndarray, glow: int = 0
    ) -> None:
        """Lay a picture into a rectangle."""
        (x0, y0), (x1, y1) = self.at(x, y + high), self.at(x + wide, y)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return
        whole = cv2.resize(picture, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        rows, columns = slice(max(y0, 0), max(y1, 0)), slice(max(x0, 0), max(x1, 0))
        target = self.pixels[rows, columns]
        high_px, wide_px = target.shape[:2]
        top, left = max(-y0, 0), max(-x0, 0)
        target[:] = whole[top : top + high_px, left : left + wide_px]
        self.glow[rows, columns] = glow

    def shadow(self, x: float, y: float, wide: float, high: float, factor: float = 0.75) -> None:
        """Darken a rectangle."""
        (x0, y0), (x1, y1) = self.at(x, y + high), self.at(x + wide, y)
        part = self.pixels[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        if part.size:
            cv2.convertScaleAbs(part, part, factor)


def _shelf(wall: Wall, x: float) -> None:
    """Put up a bookcase, or boards on the wall, with books and boxes."""
    rng = wall.rng
    wide, step = rng.uniform(0.5, 1.4), rng.uniform(0.26, 0.4)
    boards = int(rng.integers(1, 7))
    bottom = 0.05 if boards > 3 else rng.uniform(0.9, 1.5)
    colour = wood_colour(rng)
    wall.shadow(x + 0.04, bottom - 0.04, wide, boards * step)
    if boards > 2:
        wall.box(x, bottom, wide, boards * step, shaded(colour, rng.uniform(0.3, 0.8)))
    for board in range(boards):
        _books(wall, x + 0.03, bottom + board * step + 0.02, wide - 0.06, step - 0.06)
        wall.box(x, bottom + board * step, wide, 0.02, colour)
    if boards > 2:
        wall.box(x, bottom + boards * step, wide, 0.025, colour)
        for side in (x, x + wide - 0.02):
            wall.box(side, bottom, 0.02, boards * step, shaded(colour, 0.9))


def _books(wall: Wall, x: float, y: float, wide: float, high: float) -> None:
    """Fill a board with books, with gaps and a thing here and there."""
    rng = wall.rng
    end = x + wide * (1.0 if rng.random() < 0.6 else rng.uniform(0.2, 0.9))
    palette = [any_colour(rng, (0.1, 0.95)) for _ in range(6)]
    while x < end - 0.02:
        if rng.random() < 0.06:
            thing = min(rng.uniform(0.08, 0.25), end - x)
            wall.box(x, y, thing, high * rng.uniform(0.3, 0.9), any_colour(rng))
            x += thing + rng.uniform(0.0, 0.1)
            continue
        book = min(rng.uniform(0.018, 0.055), end - x)
        tall = high * rng.uniform(0.6, 0.98)
        colour = shaded(palette[int(rng.integers(6))], rng.uniform(0.7, 1.2))
        wall.box(x, y, book, tall, colour)
        wall.line((x, y), (x, y + tall), shaded(colour, 0.5))
        x += book


def _picture(wall: Wall, x: float) -> None:
    """Hang pictures or posters, framed or not."""
    rng = wall.rng
    for _ in range(int(rng.integers(1, 4))):
        wide, high = rng.uniform(0.2, 0.8, 2)
        y = rng.uniform(1.2, 1.75)
        frame = rng.uniform(0.0, 0.05)
        wall.shadow(x + 0.015, y - 0.02, wide, high)
        wall.box(x, y, wide, high, wood_colour(rng))
        if rng.random() < 0.5:
            wall.box(x + frame, y + frame, wide - 2 * frame, high - 2 * frame, (235, 232, 225))
            frame += rng.uniform(0.02, 0.07)
        inside = (x + frame, y + frame, wide - 2 * frame, high - 2 * frame)
        wall.paste(*inside, _artwork(wall))
        x += wide + rng.uniform(0.05, 0.3)


def _artwork(wall: Wall) -> np.ndarray:
    """Draw what a picture shows: a landscape, colours, a pattern, or lines of text."""
    rng = wall.rng
    kind = int(rng.integers(4))
    if kind == 0:
        return np.ascontiguousarray(wall.outside[:, :: int(rng.choice([-1, 1]))])
    if kind == 1:
        few = rng.integers(0, 256, (*rng.integers(2, 6, 2), 3)).astype(np.uint8)
        way = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_NEAREST
        return cv2.resize(few, (64, 64), interpolation=way)
    if kind == 2:
        return texture(rng, (64, 64))
    sheet = np.full((64, 48, 3), any_colour(rng, (0.2, 1.0)), np.uint8)
    ink = any_colour(rng, (0.0, 0.9))
    for row in range(6, 60, int(rng.integers(4, 9))):
        thick = int(rng.integers(1, 4))
        cv2.line(sheet, (5, row), (int(rng.integers(15, 44)), row), ink, thick)
    return sheet


def _window(wall: Wall, x: float) -> None:
    """Break a window into the wall, with bars, perhaps blinds or curtains."""
    rng = wall.rng
    wide, high, y = rng.uniform(0.6, 1.8), rng.uniform(0.9, 1.6), rng.uniform(0.5, 1.1)
    glow = int(rng.choice([0, rng.integers(20, 255)], p=[0.25, 0.75]))
    frame = (240, 240, 236) if rng.random() < 0.7 else wood_colour(rng)
    wall.box(x - 0.05, y - 0.05, wide + 0.1, high + 0.1, frame)
    wall.paste(x, y, wide, high, wall.outside, glow)
    bars = int(rng.integers(1, 4))
    for bar in range(1, bars):
        wall.box(x + wide * bar / bars - 0.02, y, 0.04, high, frame)
    if rng.random() < 0.4:
        wall.box(x, y + high * 0.6, wide, 0.035, frame)
    if rng.random() < 0.3:
        slat = rng.uniform(0.03, 0.06)
        for k in range(int(high / slat * rng.uniform(0.3, 1.0))):
            wall.box(x, y + high - (k + 1) * slat, wide, slat * 0.55, frame, glow // 4)
    wall.box(x - 0.08, y - 0.09, wide + 0.16, 0.05, shaded(frame, 0.85))
    if rng.random() < 0.5:
        colour = any_colour(rng)
        for left in (x - 0.3, x + wide - 0.1):
            _hang(wall, left, y + high + 0.1, rng.uniform(0.25, 0.5), colour)


def _curtain(wall: Wall, x: float) -> None:
    """Hang a curtain from the ceiling to the floor."""
    _hang(wall, x, 2.4, wall.rng.uniform(0.4, 1.6), any_colour(wall.rng))


def _hang(wall: Wall, x: float, top: float, wide: float, colour: Colour) -> None:
    folds = max(2, round(wide / wall.rng.uniform(0.05, 0.12)))
    turns = np.linspace(0.0, folds, 96, dtype=np.float32) + wall.rng.uniform(0, 1)
    share = (0.75 + 0.3 * sine(turns))[None, :, None] * np.asarray(colour, np.float32)
    wall.paste(x, 0.05, wide, top - 0.05, np.clip(share, 0, 255).astype(np.uint8))


def _door(wall: Wall, x: float) -> None:
    """Set a door with its frame; some stand open on a dark or lit room."""
    rng = wall.rng
    wide, high = rng.uniform(0.75, 0.95), rng.uniform(1.95, 2.1)
    colour = wood_colour(rng) if rng.random() < 0.6 else (236, 234, 228)
    wall.box(x - 0.07, 0, wide + 0.14, high + 0.07, shaded(colour, 0.85))
    if rng.random() < 0.25:
        inside = any_colour(rng, (0.05, 0.7))
        wall.box(x, 0, wide, high, inside)
        wall.box(x + 0.5 * wide, 0, 0.5 * wide, high * 0.7, shaded(inside, 0.7))
        return
    wall.box(x, 0, wide, high, colour)
    panels = int(rng.integers(0, 4))
    for k in range(panels):
        y = 0.15 + k * (high - 0.2) / panels
        tall = (high - 0.3) / panels - 0.1
        wall.box(x + 0.13, y, wide - 0.26, tall, shaded(colour, rng.choice([0.88, 1.06])))
    wall.disc(x + wide - 0.07, 1.02, 0.025, (170, 165, 150))


def _cupboard(wall: Wall, x: float) -> None:
    """Stand a wardrobe or a row of kitchen cupboards."""
    rng = wall.rng
    doors, wide = int(rng.integers(1, 5)), rng.uniform(0.4, 0.6)
    bottom, high = (1.45, 0.7) if rng.random() < 0.4 else (0.05, rng.uniform(0.8, 2.2))
    colour = wood_colour(rng)
    wall.shadow(x + 0.05, bottom - 0.05, doors * wide, high)
    wall.box(x, bottom, doors * wide, high, colour)
    for k in range(doors):
        left = x + k * wide
        wall.line((left, bottom), (left, bottom + high), shaded(colour, 0.5))
        wall.box(left + wide - 0.06, bottom + high * 0.45, 0.02, 0.12, shaded(colour, 0.5))
    if high < 1.3:
        _books(wall, x, bottom + high, doors * wide, 0.3)


def _lamp(wall: Wall, x: float) -> None:
    """Stand or hang a lamp, mostly lit."""
    rng = wall.rng
    glow = int(rng.integers(60, 255)) if rng.random() < 0.7 else 0
    light = (255, int(rng.integers(205, 250)), int(rng.integers(150, 235)))
    wide = rng.uniform(0.12, 0.3)
    if rng.random() < 0.6:
        y = rng.uniform(1.2, 1.7)
        wall.box(x - 0.012, 0, 0.024, y, (60, 58, 55))
    else:
        y = rng.uniform(1.5, 2.0)
        wall.box(x - 0.006, y, 0.012, 1.5, (50, 50, 50))
    if rng.random() < 0.35:
        wall.disc(x, y, wide * 0.6, light, glow)
        return
    top = wide * rng.uniform(0.4, 1.0)
    shade = [(x - wide, y), (x + wide, y), (x + top, y + 0.3), (x - top, y + 0.3)]
    wall.polygon(shade, light, glow)


def _plant(wall: Wall, x: float) -> None:
    """Stand a pot with leaves."""
    rng = wall.rng
    y = rng.uniform(0.0, 1.2)
    reach, tall = rng.uniform(0.12, 0.4), rng.uniform(0.3, 0.9)
    wall.box(x - 0.12, y, 0.24, 0.22, any_colour(rng))
    green = np.array([rng.uniform(40, 110), rng.uniform(90, 170), rng.uniform(30, 90)])
    for _ in range(int(rng.integers(12, 45))):
        tip = (x + reach * rng.normal(), y + 0.2 + tall * rng.uniform(0.1, 1.0))
        tone = green * rng.uniform(0.4, 1.2)
        colour = (int(tone[0]), min(int(tone[1]), 255), int(tone[2]))
        axes = (max(1, int(0.1 * wall.scale)), max(1, int(rng.uniform(0.01, 0.05) * wall.scale)))
        angle = float(rng.uniform(-80, 80)) + 90
        cv2.ellipse(wall.pixels, wall.at(*tip), axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(wall.glow, wall.at(*tip), axes, angle, 0, 360, 0, -1)


def _screen(wall: Wall, x: float) -> None:
    """Put up a television or a monitor, dark or on, or a white board."""
    rng = wall.rng
    wide = rng.uniform(0.5, 1.3)
    high, y = wide * 0.58, rng.uniform(0.9, 1.3)
    kind = int(rng.integers(3))
    if kind == 0:
        wall.box(x, y, wide, high, (22, 22, 25))
        wall.polygon(
            [(x, y + high), (x + 0.4 * wide, y + high), (x + 0.1 * wide, y), (x, y)], (38, 38, 42)
        )
        return
    edge = (25, 25, 27) if kind == 1 else (190, 190, 190)
    wall.box(x, y, wide, high, edge)
    inside = (x + 0.015, y + 0.015, wide - 0.03, high - 0.03)
    if kind == 1:
        wall.paste(*inside, _artwork(wall), int(rng.integers(10, 80)))
        return
    wall.box(*inside, (246, 246, 244))
    for _ in range(int(rng.integers(2, 9))):
        first = x + wide * rng.uniform(0.05, 0.6), y + high * rng.uniform(0.1, 0.9)
        last = first[0] + wide * rng.uniform(0.05, 0.3), first[1] + 0.05 * rng.normal()
        wall.line(first, last, vivid_colour(rng))


def _sofa(wall: Wall, x: float) -> None:
    """Stand a sofa, a bed's head or an armchair with cushions."""
    rng = wall.rng
    wide, high = rng.uniform(0.8, 2.2), rng.uniform(0.7, 1.15)
    colour = any_colour(rng)
    x -= 0.3
    wall.box(x, 0.0, wide, high, colour)
    wall.box(x, high - 0.06, wide, 0.06, shaded(colour, 1.15))
    for k in range(int(rng.integers(0, 4))):
        left = x + wide * (0.1 + 0.25 * k)
        wall.box(left, high * 0.55, 0.4, 0.38, any_colour(rng))


def _clock(wall: Wall, x: float) -> None:
    """Hang a clock or a round mirror."""
    rng = wall.rng
    y, radius = rng.uniform(1.6, 2.0), rng.uniform(0.1, 0.3)
    wall.disc(x, y, radius, any_colour(rng))
    wall.disc(x, y, radius * 0.9, (238, 238, 235) if rng.random() < 0.6 else any_colour(rng))
    for angle in rng.uniform(0, 2 * np.pi, 2):
        tip = (x + 0.6 * radius * np.sin(angle), y + 0.6 * radius * np.cos(angle))
        wall.line((x, y), tip, (30, 30, 30))


def _fairy_lights(wall: Wall, x: float) -> None:
    """Hang a string of small lamps."""
    rng = wall.rng
    colour = (255, 225, 170) if rng.random() < 0.7 else vivid_colour(rng)
    y, sag = rng.uniform(1.5, 2.1), rng.uniform(0.0, 0.4)
    for share in np.linspace(-1, 1, int(rng.integers(8, 26))):
        glow = int(rng.integers(100, 255))
        wall.disc(x + share, y + sag * share * share, 0.012, colour, glow)


def _pattern(wall: Wall, x: float) -> None:
    """Hang a rug, a flag or a panel of wood."""
    rng = wall.rng
    wide, high = rng.uniform(0.4, 1.6, 2)
    wall.paste(x, rng.uniform(0.3, 1.2), wide, high, texture(rng, (96, 96)))


def _beam(wall: Wall, x: float) -> None:
    """Stand a pillar, a pipe or a corner that juts out."""
    wide = wall.rng.uniform(0.05, 0.4)
    row = wall.pixels[wall.pixels.shape[0] // 2, 0].tolist()
    colour = shaded((row[0], row[1], row[2]), wall.rng.uniform(0.7, 1.2))
    wall.box(x, 0, wide, 3.0, colour)
    wall.shadow(x + wide, 0, 0.06, 3.0, 0.85)


def _notes(wall: Wall, x: float) -> None:
    """Pin up notes and photographs."""
    rng = wall.rng
    for _ in range(int(rng.integers(4, 16))):
        left, bottom = x + rng.uniform(-0.4, 0.6), rng.uniform(1.1, 2.0)
        wall.box(left, bottom, rng.uniform(0.06, 0.15), rng.uniform(0.06, 0.2), any_colour(rng))


def blotched(rng: np.random.Generator, picture: np.ndarray, strength: float) -> None:
    """Make paint uneven, in place."""
    size = (picture.shape[1], picture.shape[0])
    field = octave_noise(rng, size, (3, 3), 3) * np.float32(strength * 255)
    cv2.add(picture, cv2.merge([field] * 3), picture, dtype=cv2.CV_8U)


THINGS: tuple[tuple[Callable[[Wall, float], None], float], ...] = (
    (_shelf, 0.2), (_picture, 0.16), (_window, 0.12), (_curtain, 0.05), (_door, 0.08),
    (_cupboard, 0.08), (_lamp, 0.07), (_plant, 0.06), (_screen, 0.05), (_sofa, 0.04),
    (_clock, 0.02), (_fairy_lights, 0.02), (_pattern, 0.02), (_beam, 0.02), (_notes, 0.01),
)  # fmt: skip
