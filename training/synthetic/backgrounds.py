"""What lies behind synthetic heads: rooms, places, walls, patterns, backdrops, light stripes.

A background is linear light in the exposure of a normally lit room; a camera's faults come
later, for head and background together. Only defocus is applied here, since it depends on how
far away things are.
"""

from pathlib import Path

import cv2
import numpy as np

from stream.errors import UserError
from training.synthetic.background_rooms import draw_room
from training.synthetic.background_textures import (
    Colour,
    any_colour,
    octave_noise,
    texture,
    vivid_colour,
    wall_colour,
)

KINDS = {
    "room": 0.42, "place": 0.22, "plain": 0.1, "texture": 0.1, "backdrop": 0.04,
    "stripes": 0.07, "lights": 0.05,
}  # fmt: skip
DARKEST, BRIGHTEST = 0.055, 0.58  # bounds of the mean

_HDRI = "hdri/hdri_18x128x256_f16.npz"
_MOST = 6.0  # highlights end here, times the mean of the brightest picture
_GREY = np.array([0.2126, 0.7152, 0.0722], np.float32)
_STEPS = np.arange(256) / 255.0
_LINEAR = np.where(_STEPS <= 0.04045, _STEPS / 12.92, ((_STEPS + 0.055) / 1.055) ** 2.4)
_LINEAR = _LINEAR.astype(np.float32)
_VIEW_SIDE = 72  # a degree and a half a texel: more samples would show nothing more


class BackgroundLibrary:
    """Draws backgrounds, with views of the HDR maps of the data folder among them.

    Args:
        data_dir: the data folder.

    Raises:
        UserError: when the folder holds no HDR maps.
    """

    def __init__(self, data_dir: Path) -> None:
        try:
            with np.load(data_dir / _HDRI) as stored:
                maps = stored["rgb"].astype(np.float32)
        except (OSError, KeyError, ValueError) as error:
            raise UserError(
                f"cannot read the HDR maps {_HDRI}", str(error), "Give the whole data folder"
            ) from error
        self._maps = [_padded(_calm(radiance)) for radiance in maps]

    def sample(self, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        """Draw one background.

        Args:
            rng: draws everything.
            size: (width, height).

        Returns:
            (H, W, 3) float32 linear RGB, mean 0.055 to 0.58; highlights reach over 1.
        """
        kind = str(rng.choice(list(KINDS), p=np.array(list(KINDS.values()))))
        light = self._draw(kind, rng, size)
        light = _defocused(light, _blur_radius(rng, kind) * min(size) / 256)
        return _exposed(rng, light, dark=kind in ("stripes", "lights"))

    def _draw(self, kind: str, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        if kind == "room":
            light = self._room(rng, size) * _lamplight(rng, size)
        elif kind == "texture":
            light = _decoded(texture(rng, size)) * _lamplight(rng, size)
        elif kind == "plain":
            light = _plain(rng, size)
        elif kind == "backdrop":
            light = _backdrop(rng, size)
        elif kind == "stripes":
            light = _striped(rng, self._room(rng, size))
        elif kind == "lights":
            behind = str(rng.choice(["room", "place"]))
            light = _with_lights(rng, 0.25 * self._draw(behind, rng, size))
        else:
            # Cubic interpolation would draw dark rings around lamps.
            light = cv2.resize(self._view(rng), size, interpolation=cv2.INTER_LINEAR)
            light = cv2.GaussianBlur(light, (0, 0), 0.4 * min(size) / _VIEW_SIDE)
        return light

    def _room(self, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
        outside = np.clip(self._view(rng), 0.0, 1.0) ** np.float32(1 / 2.2) * 255.0
        pixels, glow = draw_room(rng, size, outside.astype(np.uint8))
        gain = cv2.LUT(glow, (1.0 + _STEPS * 8.0).astype(np.float32))
        return _decoded(pixels) * gain[..., None]

    def _view(self, rng: np.random.Generator) -> np.ndarray:
        """Look into an HDR map in any direction: (72, 72, 3) float32, mean about 0.3."""
        radiance = self._maps[int(rng.integers(len(self._maps)))]
        half = np.tan(np.radians(rng.uniform(40.0, 95.0)) / 2)
        steps = np.linspace(-half, half, _VIEW_SIDE, dtype=np.float32)
        x, y = np.meshgrid(steps, steps)
        roll, pitch = np.radians(rng.normal(0.0, 4.0)), np.radians(rng.normal(2.0, 10.0))
        x, y = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
        y, z = y * np.cos(pitch) - np.sin(pitch), np.cos(pitch) + y * np.sin(pitch)
        turn = np.arctan2(x, z) / (2 * np.pi) + rng.random()
        polar = np.arctan2(y, np.hypot(x, z)) / np.pi + 0.5
        height, width = radiance.shape[0], radiance.shape[1] - 2
        columns = (turn % 1.0 * width + 0.5).astype(np.float32)
        rows = (polar * height - 0.5).astype(np.float32)
        view = cv2.remap(radiance, columns, rows, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
        return view * np.float32(0.3 / max(float(np.minimum(view, 1.5).mean()), 0.02))


def _calm(radiance: np.ndarray) -> np.ndarray:
    """Scale a map to a mean of 0.3 without its lamps, and cut these off at 20."""
    radiance = np.nan_to_num(radiance, posinf=6e4).clip(0.0)
    middle = float(np.minimum(radiance, np.quantile(radiance, 0.95)).mean())
    return np.minimum(radiance * np.float32(0.3 / middle), 20.0)


def _padded(radiance: np.ndarray) -> np.ndarray:
    """Add a column on either side, so that a map goes on around."""
    return np.concatenate([radiance[:, -1:], radiance, radiance[:, :1]], axis=1)


def _decoded(pixels: np.ndarray) -> np.ndarray:
    return cv2.LUT(pixels, _LINEAR)


def _swatch(colour: Colour) -> np.ndarray:
    """Return the linear light, (3,) float32, of an sRGB colour."""
    return _LINEAR[list(colour)]


def _lamplight(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw uneven light: (H, W, 3) float32 around 1, lighter to one side, tinted."""
    y, x = np.mgrid[-1:1:5j, -1:1:5j].astype(np.float32)
    slope = rng.normal(0.0, 0.35, 2)
    field = slope[0] * x + slope[1] * y + rng.normal(0.0, 0.04, (5, 5))
    if rng.random() < 0.4:  # a pool of light
        centre = rng.uniform(-1.2, 1.2, 2)
        reach = rng.uniform(0.3, 1.0)
        away = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
        field = field + rng.uniform(0.3, 1.2) * np.exp(-away / reach)
    warm = rng.normal(0.0, 0.12)
    tint = np.array([warm, 0.0, -warm])
    few = np.exp(field[..., None] + tint).astype(np.float32)
    return cv2.resize(few, size, interpolation=cv2.INTER_CUBIC)


def _plain(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Draw a wall of one colour or a gradient between two, under uneven light."""
    light = _lamplight(rng, size)
    first = _swatch(wall_colour(rng))
    if rng.random() < 0.4:
        second = _swatch(any_colour(rng))
        corners = np.stack([first, second, first, second])[rng.permutation(4)].reshape(2, 2, 3)
        return cv2.resize(corners, size, interpolation=cv2.INTER_LINEAR) * light
    grain = 1.0 + rng.uniform(0.0, 0.04) * octave_noise(rng, size, (20, 20), 3)
    return first * light * grain[..., None].astype(np.float32)


def _backdrop(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Hang a green or blue cloth, lit unevenly, with soft folds."""
    green = rng.random() < 0.65
    colour = (
        rng.uniform([0.02, 0.3, 0.02], [0.12, 0.75, 0.18])
        if green
        else rng.uniform([0.01, 0.06, 0.3], [0.08, 0.25, 0.8])
    )
    folds = 1.0 + rng.uniform(0.0, 0.08) * octave_noise(rng, size, (rng.uniform(1, 8), 1.0), 2)
    cloth = colour.astype(np.float32) * folds[..., None].astype(np.float32)
    return cloth * _lamplight(rng, size)


def _striped(rng: np.random.Generator, room: np.ndarray) -> np.ndarray:
    """Darken a room and light it by coloured stripes, as streamers do."""
    height, width = room.shape[:2]
    tubes, halo = np.zeros_like(room), np.zeros((height // 4, width // 4, 3), np.float32)
    tint = _swatch(vivid_colour(rng))
    for _ in range(int(rng.integers(1, 5))):
        if rng.random() < 0.5:
            tint = _swatch(vivid_colour(rng))
        first = rng.uniform(-0.1, 1.1, 2) * [width, height]
        angle = rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)], p=[0.4, 0.35, 0.25])
        last = first + rng.uniform(0.3, 1.6) * width * np.array([np.cos(angle), np.sin(angle)])
        ends = [(int(end[0]), int(end[1])) for end in (first, last)]
        small = [(x // 4, y // 4) for x, y in ends]
        colour = tuple(float(part) for part in tint)
        wide = max(1, round(rng.uniform(0.006, 0.03) * width))
        if rng.random() < 0.75:
            cv2.line(tubes, *ends, tuple(2.0 * part + 0.6 for part in colour), wide)
        cv2.line(halo, *small, colour, max(2, wide))
    glow = cv2.GaussianBlur(halo, (0, 0), float(rng.uniform(4.0, 14.0)))
    glow *= np.float32(1.2 / max(float(glow.max()), 1e-3))
    glow += _swatch(any_colour(rng, (0.1, 0.4)))
    spread = cv2.resize(glow, (width, height), interpolation=cv2.INTER_LINEAR)
    return cv2.GaussianBlur(tubes, (0, 0), 0.8 * width / 256) + np.minimum(room, 2.0) * spread


def _with_lights(rng: np.random.Generator, light: np.ndarray) -> np.ndarray:
    """Add small lamps, which strong defocus turns into discs."""
    height, width = light.shape[:2]
    warm = rng.random() < 0.6
    for _ in range(int(rng.integers(4, 40))):
        centre = int(rng.integers(width)), int(rng.integers(height))
        colour = np.array([1.0, rng.uniform(0.5, 0.9), rng.uniform(0.2, 0.7)])
        if not warm:
            colour = _swatch(vivid_colour(rng))
        strength = float(np.exp(rng.uniform(np.log(3.0), np.log(60.0))))
        radius = max(1, round(rng.uniform(0.004, 0.015) * width))
        cv2.circle(light, centre, radius, tuple(float(part) for part in strength * colour), -1)
    return light


def _blur_radius(rng: np.random.Generator, kind: str) -> float:
    """Draw the radius of defocus in pixels of a picture of 256: often none, at times strong."""
    if kind == "lights":
        return float(rng.uniform(3.0, 14.0))
    if rng.random() < 0.45:
        return 0.0
    return float(min(rng.lognormal(np.log(2.2), 0.8), 16.0))


def _defocused(light: np.ndarray, radius: float) -> np.ndarray:
    """Blur by a disc, as a lens does; large discs are laid at a lower resolution."""
    if radius < 0.4:
        return light
    height, width = light.shape[:2]
    coarse = 1
    while radius / coarse > 3.5:
        coarse *= 2
    size = (max(2, width // coarse), max(2, height // coarse))
    small = cv2.resize(light, size, interpolation=cv2.INTER_AREA) if coarse > 1 else light
    blurred = cv2.filter2D(small, -1, _disc(radius / coarse), borderType=cv2.BORDER_REFLECT)
    return cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)


def _disc(radius: float) -> np.ndarray:
    half = int(np.ceil(radius))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0.0, 1.0).astype(np.float32)
    return kernel / kernel.sum()


def _exposed(rng: np.random.Generator, light: np.ndarray, dark: bool) -> np.ndarray:
    """Set the exposure: about that of a lit face, darker in rooms that are lit for effect."""
    mean = max(float((np.minimum(light, 1.5) @ _GREY).mean()), 1e-4)
    usual = 0.11 if dark else 0.24
    aim = usual * (mean / usual) ** 0.6 * float(np.exp(rng.normal(0.0, 0.3)))
    aim = float(np.clip(aim, DARKEST * 1.1, BRIGHTEST * 0.9))
    light = np.minimum(light * np.float32(aim / mean), _MOST)
    mean = float(light.mean())
    bounded = float(np.clip(mean, DARKEST * 1.02, BRIGHTEST * 0.98))
    return np.ascontiguousarray(light * np.float32(bounded / max(mean, 1e-4)), np.float32)
