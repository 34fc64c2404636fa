"""Patterns for what lies behind synthetic heads: noise, wood, bricks, cloth, tiles, leaves.

All of them are (H, W, 3) uint8 sRGB and are drawn from a random generator. Sizes are
(width, height) as everywhere where a picture is not yet an array.
"""

import colorsys

import cv2
import numpy as np

Colour = tuple[int, int, int]

_SINES = np.sin(np.arange(1024) * (2 * np.pi / 1024)).astype(np.float32)


def any_colour(rng: np.random.Generator, value: tuple[float, float] = (0.15, 0.95)) -> Colour:
    """Draw a colour, more often dull than vivid; `value` bounds its brightness, 0…1."""
    return _from_hsv(rng.random(), rng.beta(1.2, 2.0), rng.uniform(*value))


def vivid_colour(rng: np.random.Generator) -> Colour:
    """Draw a saturated colour."""
    return _from_hsv(rng.random(), rng.uniform(0.65, 1.0), rng.uniform(0.6, 1.0))


def wall_colour(rng: np.random.Generator) -> Colour:
    """Draw a colour in which walls are painted: mostly near white, some tinted, a few dark."""
    kind = rng.choice(3, p=[0.6, 0.27, 0.13])
    hue = rng.choice([rng.uniform(0.05, 0.16), rng.random()], p=[0.55, 0.45])
    if kind == 0:
        return _from_hsv(hue, rng.uniform(0.0, 0.12), rng.uniform(0.62, 0.97))
    if kind == 1:
        return _from_hsv(hue, rng.uniform(0.12, 0.5), rng.uniform(0.45, 0.9))
    return _from_hsv(hue, rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.4))


def wood_colour(rng: np.random.Generator) -> Colour:
    """Draw a colour of wood, from birch to walnut, or of painted wood."""
    if rng.random() < 0.3:
        return _from_hsv(rng.random(), rng.uniform(0.0, 0.1), rng.uniform(0.08, 0.95))
    return _from_hsv(rng.uniform(0.05, 0.11), rng.uniform(0.25, 0.65), rng.uniform(0.2, 0.8))


def shaded(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker or lighter."""
    red, green, blue = (min(255, max(0, round(part * factor))) for part in colour)
    return red, green, blue


def octave_noise(
    rng: np.random.Generator, size: tuple[int, int], cells: tuple[float, float], octaves: int
) -> np.ndarray:
    """Sum smooth noise of doubling fineness.

    Args:
        rng: draws the noise.
        size: (width, height).
        cells: how many bumps the coarsest noise has along x and y.
        octaves: how many finenesses there are, each half as strong as the one before.

    Returns:
        (H, W) float32 of standard deviation about 1.
    """
    total = np.zeros((size[1], size[0]), np.float32)
    for octave in range(octaves):
        columns, rows = (min(round(c * 2**octave) + 2, s) for c, s in zip(cells, size, strict=True))
        grid = rng.standard_normal((rows, columns), np.float32) * np.float32(0.5**octave)
        total += cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
    return total


def between(mix: np.ndarray, first: Colour, second: Colour) -> np.ndarray:
    """Blend two colours by an (H, W) share, clipped to 0…1."""
    share = np.clip(mix * 255.0, 0, 255).astype(np.uint8)
    steps = np.linspace(0.0, 1.0, 256)[:, None]
    table = np.rint((1 - steps) * first + steps * np.asarray(second)).astype(np.uint8)
    return cv2.LUT(cv2.merge([share, share, share]), table[None])


def texture(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw a pattern of any kind, seen at a slant now and then."""
    makers = (noise, wood, bricks, cloth, stripes, checks, leaves, speckles)
    maker = makers[int(rng.choice(len(makers), p=_SHARES))]
    picture = maker(rng, size)
    return slanted(rng, picture, 0.25) if rng.random() < 0.6 else picture


_SHARES = (0.16, 0.16, 0.15, 0.15, 0.1, 0.1, 0.12, 0.06)


def slanted(rng: np.random.Generator, picture: np.ndarray, most: float) -> np.ndarray:
    """Look at a picture from the side: its corners move outwards by up to `most` of its size."""
    height, width = picture.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    inset = rng.uniform(0.0, most, (4, 2)) * [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    source = (corners + inset * [width, height]).astype(np.float32)
    return cv2.warpPerspective(
        picture, cv2.getPerspectiveTransform(source, corners), (width, height),
        flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


def noise(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw plaster, stone or blots in two colours."""
    cells = float(np.exp(rng.uniform(np.log(1.5), np.log(20.0))))
    field = octave_noise(rng, size, (cells, cells), int(rng.integers(3, 6)))
    first = any_colour(rng)
    second = any_colour(rng) if rng.random() < 0.4 else shaded(first, rng.uniform(0.5, 1.4))
    return between(0.5 + rng.uniform(0.15, 0.5) * field, first, second)


def speckles(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw terrazzo or carpet: grains of several colours."""
    width, height = size
    grain = float(rng.uniform(1.0, 5.0))
    few = (round(width / grain) + 1, round(height / grain) + 1)
    palette = np.array([any_colour(rng) for _ in range(4)], np.uint8)
    grains = palette[rng.choice(4, size=few[::-1], p=[0.6, 0.2, 0.12, 0.08])]
    return cv2.resize(grains, size, interpolation=cv2.INTER_LINEAR)


def wood(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw boards with grain, standing or lying."""
    width, height = size
    flow = octave_noise(rng, (width, height), (rng.uniform(8, 30), rng.uniform(0.5, 2)), 3)
    boards = int(rng.integers(1, 9))
    number = np.arange(width) * boards // width
    jump = rng.uniform(0.0, 40.0, boards)[number].astype(np.float32)
    across = np.linspace(0.0, float(rng.uniform(3, 14)), width, dtype=np.float32)
    rings = sine(across + jump + 0.35 * flow)
    colour = wood_colour(rng)
    tone = rng.normal(0.0, 0.12, boards)[number].astype(np.float32)
    mix = 0.5 + 0.2 * rings + 0.15 * flow + tone
    picture = between(mix, shaded(colour, 0.6), shaded(colour, 1.25))
    picture[:, np.flatnonzero(np.diff(number))] //= 2
    if rng.random() < 0.5 and width == height:
        return np.ascontiguousarray(picture.transpose(1, 0, 2))
    return picture


def bricks(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw bricks or tiles with joints."""
    width, height = size
    rows = int(rng.integers(4, 22))
    length = rng.uniform(0.9, 3.2)  # in heights of a brick
    high = height / rows
    offset = 0.5 if rng.random() < 0.7 else 0.0
    y = np.arange(height, dtype=np.float32) / high
    x = np.arange(width, dtype=np.float32) / (high * length)
    row = y.astype(int)
    column = x[None] + offset * (row[:, None] % 2)
    whole = column.astype(int)
    tones = rng.normal(0.0, rng.uniform(0.03, 0.22), (rows + 1, int(whole.max()) + 1))
    joint = float(rng.uniform(0.04, 0.12))
    gap = (column - whole < joint / length) | ((y - row)[:, None] < joint)
    brick = any_colour(rng) if rng.random() < 0.5 else _from_hsv(
        rng.uniform(0.0, 0.06), rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.8)
    )  # fmt: skip
    grain = 0.12 * octave_noise(rng, size, (30, 30), 2)
    mix = 0.5 + tones[row[:, None], whole].astype(np.float32) + grain
    picture = between(mix, shaded(brick, 0.55), shaded(brick, 1.4))
    picture[gap] = any_colour(rng, (0.3, 0.9))
    return picture


def cloth(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw a curtain or a hung cloth: folds that wander, and a weave."""
    width, height = size
    wander = octave_noise(rng, size, (2, 1.2), 3)
    folds = np.linspace(0.0, float(rng.uniform(2, 16)), width, dtype=np.float32)
    shade = sine(folds + rng.uniform(0.05, 0.3) * wander)
    shade += 0.4 * sine(2.3 * folds + 0.2 * wander)
    weave = rng.standard_normal((height, width), np.float32)
    colour = any_colour(rng)
    mix = 0.5 + 0.28 * shade + rng.uniform(0.0, 0.06) * weave
    return between(mix, shaded(colour, 0.45), shaded(colour, 1.2))


def stripes(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw stripes at any angle, hard or soft."""
    along, _ = _turned_grid(rng, size, float(rng.uniform(3, 24)))
    hardness = rng.choice([0.5, 4.0])
    first = any_colour(rng)
    second = any_colour(rng) if rng.random() < 0.5 else shaded(first, rng.uniform(0.6, 1.3))
    return between(0.5 + hardness * sine(along), first, second)


def checks(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw checks, or the squares of a tartan."""
    along, across = _turned_grid(rng, size, float(rng.uniform(2, 14)))
    first = any_colour(rng)
    second = any_colour(rng) if rng.random() < 0.5 else shaded(first, rng.uniform(0.6, 1.3))
    if rng.random() < 0.5:
        return between(0.5 + 6.0 * sine(along) * sine(across), first, second)
    return between(0.5 + 1.5 * (sine(along) + sine(across)), first, second)


def leaves(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw a hedge or trees: leaves over darkness, lighter the later they were laid."""
    width, height = size
    hue = rng.uniform(0.16, 0.38)
    picture = np.full((height, width, 3), _from_hsv(hue, 0.5, 0.12), np.uint8)
    count = int(rng.integers(90, 200))
    place = rng.uniform(0.0, 1.0, (count, 2)) * [width, height]
    length = rng.uniform(0.02, 0.09, count) * width
    slim = rng.uniform(0.25, 0.8, count)
    angle = rng.uniform(0.0, 180.0, count)
    tone = rng.uniform(0.15, 0.35, count) + np.linspace(0.0, rng.uniform(0.2, 0.6), count)
    tints = rng.normal(hue, 0.03, count)
    for k in range(count):
        colour = _from_hsv(tints[k], 0.6, min(tone[k], 1.0))
        axes = (max(1, int(length[k])), max(1, int(length[k] * slim[k])))
        centre = (int(place[k, 0]), int(place[k, 1]))
        cv2.ellipse(picture, centre, axes, angle[k], 0, 360, colour, -1)
    return picture


def sine(turns: np.ndarray) -> np.ndarray:
    """Return the sines of angles given in whole turns, by table: quicker than by series."""
    return _SINES[(turns * 1024.0).astype(np.int32) & 1023]


def _turned_grid(
    rng: np.random.Generator, size: tuple[int, int], count: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return two (H, W) coordinates at right angles, turned, `count` units over the width."""
    angle = float(rng.choice([0.0, np.pi / 2, np.pi / 4, rng.uniform(0.0, np.pi)]))
    scale = count / size[0]
    x = (np.arange(size[0], dtype=np.float32) * scale)[None]
    y = (np.arange(size[1], dtype=np.float32) * scale)[:, None]
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x


def _from_hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(saturation, 1.0), min(value, 1.0))
    return round(255 * red), round(255 * green), round(255 * blue)
