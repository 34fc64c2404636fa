"""Hair of synthetic people: ten styles, varied in volume, length, parting, colour and curl."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from training.synthetic.children import GROWN_UP
from training.synthetic.drape import Drape

STYLES = (
    *("afro01", "bob01", "bob02", "braid01", "long01"),
    *("ponytail01", "short01", "short02", "short03", "short04"),
)
HELD_OUT_STYLES = ("short04", "braid01")
_FREE_OF_EYES = 62.0  # head space y of the ears: hair above keeps its length
_FOREHEAD_MM = (-25.0, 50.0)  # head space y over which a fringe leaves the middle of the face
_TEMPLE_MM, _WIDEST_MM = 58.0, 110.0  # |x| that a swept fringe keeps clear of, and ends at
_FRINGE_FRONT_MM = (-80.0, -15.0)  # head space z from which hair counts as being before the face
_CROSSED_MM = 40.0  # how far a fringe may reach over to the other side of the face
_LONG = ("long01",)  # styles that reach below the shoulders
_BEFORE_SHOULDERS = 0.75  # of the people who wear them
_SWEPT = 0.75  # share of people whose fringe lies beside the eyes
_COLOURS: dict[str, tuple[tuple[int, int, int], float]] = {  # sRGB of a lit strand, share
    "black": ((40, 34, 32), 0.3),
    "dark brown": ((72, 50, 38), 0.24),
    "brown": ((108, 76, 52), 0.16),
    "blond": ((196, 158, 106), 0.11),
    "red": ((142, 68, 38), 0.05),
    "grey": ((150, 148, 146), 0.06),
    "white": ((214, 212, 208), 0.03),
    "dyed": ((0, 0, 0), 0.05),
}


@dataclass(frozen=True, slots=True)
class HairSpec:
    """What was drawn of the hair.

    Attributes:
        style: one of `STYLES`, `bald` or `shaved`.
        colour: name of the colour.
        rgb: sRGB of a lit strand.
        volume: factor on the distance from the scalp.
        length: factor on how far it falls below the ears.
        mirrored: whether the parting is on the other side.
        curl_mm: how far strands swing to the sides.
        curl_period_mm: length of a swing.
        density: gain of the texture's alpha.
        roots: 0…1, how much darker than the tips the roots are.
        seed: of the swings' phases.
        fringe: 0…1, how far hair before the face is swept to the temples.
        front: 0…1, how many of the strands that hang beside the head lie before the shoulders.
        front_side: -1 or 1 for one shoulder, 0 for both.
    """

    style: str
    colour: str
    rgb: tuple[int, int, int]
    volume: float
    length: float
    mirrored: bool
    curl_mm: float
    curl_period_mm: float
    density: float
    roots: float
    seed: int
    fringe: float = 0.0
    front: float = 0.0
    front_side: int = 0


def sample_hair(
    rng: np.random.Generator, male: float, age: float, dark: bool, held_out: bool
) -> HairSpec:
    """Draw hair; short styles are commoner on men, grey comes with age.

    Args:
        rng: source of chance.
        male: 0 female … 1 male.
        age: 0…1; 0.5 is a young adult.
        dark: whether the skin is dark, which goes with dark hair.
        held_out: draw only the styles that training never sees.
    """
    name = _colour_name(rng, age, dark)
    style = _style(rng, male, age, held_out)
    front, side = float(rng.uniform(0.6, 1.0)), int(rng.choice([-1, 0, 1], p=[0.3, 0.4, 0.3]))
    before = style in _LONG and rng.random() < _BEFORE_SHOULDERS
    return HairSpec(
        style=style,
        colour=name,
        rgb=_strand(rng, name),
        volume=float(np.clip(rng.normal(1.0, 0.16), 0.6, 1.5)),
        length=float(np.clip(rng.lognormal(0.0, 0.22), 0.55, 1.6)),
        mirrored=bool(rng.random() < 0.5),
        curl_mm=float(rng.gamma(1.2, 1.6)) if rng.random() < 0.45 else 0.0,
        curl_period_mm=float(rng.uniform(14.0, 60.0)),
        density=float(rng.uniform(0.85, 1.5)),
        roots=float(rng.beta(1.2, 3.0)),
        seed=int(rng.integers(1 << 31)),
        fringe=float(rng.uniform(*((0.8, 1.0) if rng.random() < _SWEPT else (0.0, 0.1)))),
        front=front if before else 0.0,
        front_side=side,
    )


def _style(rng: np.random.Generator, male: float, age: float, held_out: bool) -> str:
    if held_out:
        return str(rng.choice(HELD_OUT_STYLES))
    bare = rng.random() if age > GROWN_UP else 1.0
    if male > 0.5 and bare < 0.08 + 0.1 * max(0.0, age - 0.5):
        return "bald"
    if bare < (0.14 if male > 0.5 else 0.02):
        return "shaved"
    short = {"short01": 1.0, "short02": 1.0, "short03": 0.5, "afro01": 0.2}
    long = {"long01": 1.0, "bob01": 0.35, "bob02": 0.35, "ponytail01": 0.9, "afro01": 0.2}
    weights = dict.fromkeys(STYLES, 0.0)
    for styles, share in ((short, 0.12 + 0.8 * male), (long, 0.12 + 0.8 * (1 - male))):
        total = sum(styles.values())
        for style, weight in styles.items():
            weights[style] += share * weight / total
    chances = np.array(list(weights.values()))
    return str(rng.choice(list(weights), p=chances / chances.sum()))


def _colour_name(rng: np.random.Generator, age: float, dark: bool) -> str:
    weights = np.array([share for _, share in _COLOURS.values()])
    names = list(_COLOURS)
    for name in ("grey", "white"):
        weights[names.index(name)] *= (0.3 if age > GROWN_UP else 0.0) + 6.0 * max(0.0, age - 0.55)
    if dark:
        for name in ("blond", "red", "brown"):
            weights[names.index(name)] *= 0.15
    return str(rng.choice(names, p=weights / weights.sum()))


def _strand(rng: np.random.Generator, name: str) -> tuple[int, int, int]:
    if name == "dyed":
        pixel = np.array([[(rng.uniform(0, 180), rng.uniform(90, 220), rng.uniform(90, 230))]])
        colour = cv2.cvtColor(pixel.astype(np.uint8), cv2.COLOR_HSV2RGB)[0, 0].astype(float)
    else:
        warm, bright = rng.normal(0.0, [0.08, 0.16])  # ash to golden, never green
        colour = np.array(_COLOURS[name][0]) * np.exp([bright + warm, bright, bright - 1.5 * warm])
    red, green, blue = np.clip(colour, 8, 240).astype(int).tolist()
    return red, green, blue


class HairDresser:
    """Shapes one style of hair.

    Args:
        rest_mm: (N, 3) the style on the plain head, head space.
        skin_mm: (M, 3) skin vertices of that head which hair may grow from.
        uv: (N, 2) texture place of the vertices, for the phase of the curls.
        triangles: (T, 3) of the style.
    """

    def __init__(
        self, rest_mm: np.ndarray, skin_mm: np.ndarray, uv: np.ndarray, triangles: np.ndarray
    ) -> None:
        self._drape = Drape(rest_mm, triangles, skin_mm)
        tree = cKDTree(skin_mm)
        _, self._root = tree.query(rest_mm)
        self._uv = uv
        height = np.maximum(rest_mm[:, 1] - _FREE_OF_EYES, 0.0)
        self._hanging = height  # mm below the ears
        self._loose = np.clip((rest_mm[:, 1] - skin_mm[self._root, 1]) / 40.0, 0.0, 1.0)
        before = 1.0 - _ramp(rest_mm[:, 2], *_FRINGE_FRONT_MM)
        self._over_face = before * _ramp(rest_mm[:, 1], *_FOREHEAD_MM)
        lean = float(np.sign(rest_mm[:, 0]) @ self._over_face) / max(self._over_face.sum(), 1e-6)
        crossed = -_CROSSED_MM * lean if abs(lean) > 0.3 else 0.0  # beyond it, the other parting
        self._aside = np.where(rest_mm[:, 0] >= crossed, 1.0, -1.0)

    def shape(
        self, placed_mm: np.ndarray, skin_mm: np.ndarray, spec: HairSpec, pressed: bool
    ) -> np.ndarray:
        """Vary hair that was placed on a person's head.

        Args:
            placed_mm: (N, 3) the style as its references place it, head space.
            skin_mm: (M, 3) the skin vertices that were given at the start, of this person.
            spec: what was drawn.
            pressed: whether the band of headphones presses it to the skull.

        Returns:
            (N, 3) float32 head space, mm.
        """
        roots = skin_mm[self._root]
        away = placed_mm - roots
        volume = np.where(self._hanging > 0, 0.5 + 0.5 * spec.volume, spec.volume)
        shaped = roots + away * volume[:, None]
        shaped[:, 1] += (spec.length - 1.0) * self._hanging
        shaped = self._swept(shaped, spec.fringe)
        shaped = self._drape.lay(shaped, skin_mm, self._before(spec))
        shaped += self._swing(shaped, spec)
        if pressed:
            out = shaped - roots
            far = np.linalg.norm(out, axis=1, keepdims=True)
            flat = roots + out * np.minimum(1.0, 5.0 / np.maximum(far, 1e-6))
            above = np.clip((45.0 - shaped[:, 1:2]) / 25.0, 0.0, 1.0)
            shaped += above * (flat - shaped)
        if spec.mirrored:
            shaped[:, 0] *= -1.0
        return shaped.astype(np.float32)

    def worn(self, triangles: np.ndarray, spec: HairSpec) -> np.ndarray:
        """Tell which (T, 3) triangles are drawn, (T,) bool: hair parts at the shoulders."""
        return self._drape.whole(triangles, self._before(spec))

    def _before(self, spec: HairSpec) -> np.ndarray:
        return self._drape.share(spec.front, spec.front_side)

    def _swept(self, points_mm: np.ndarray, amount: float) -> np.ndarray:
        """Brush hair that hangs before the eyes to the temples, round the face as skin goes."""
        across = points_mm[:, 0] * self._aside
        target = _TEMPLE_MM + across * (_WIDEST_MM - _TEMPLE_MM) / _WIDEST_MM
        move = amount * self._over_face * np.maximum(target - across, 0.0)
        swept = points_mm.copy()
        swept[:, 0] += self._aside * move
        swept[:, 2] += np.minimum(move, target)
        return swept

    def _swing(self, points_mm: np.ndarray, spec: HairSpec) -> np.ndarray:
        """Waves across the strands, stronger towards their ends."""
        if spec.curl_mm == 0.0:
            return np.zeros_like(points_mm)
        rng = np.random.default_rng(spec.seed)
        phases = rng.uniform(0, 2 * np.pi, 3)
        along = points_mm[:, 1] * 2 * np.pi / spec.curl_period_mm + 9.0 * self._uv[:, 0]
        wave = np.stack([np.sin(along + phases[0]), 0 * along, np.cos(along + phases[2])], axis=-1)
        return spec.curl_mm * (0.25 + 0.75 * self._loose[:, None]) * wave


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def recoloured(picture: np.ndarray, spec: HairSpec, size: int) -> np.ndarray:
    """Dye a hair texture: its light and dark stay, its hue goes.

    Args:
        picture: (h, w, 4) uint8 RGBA.
        spec: what was drawn.
        size: longest side of the result.

    Returns:
        (h', w', 4) uint8 RGBA.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, size / max(height, width))
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(picture[..., :3], cv2.COLOR_RGB2GRAY)
    there = picture[..., 3] > 100
    usual = float(grey[there].mean()) if there.any() else 128.0
    levels = np.arange(256, dtype=np.float32)
    relief = cv2.LUT(grey, np.clip(levels / max(usual, 1.0), 0.15, 2.2) ** np.float32(0.8))
    strands = np.random.default_rng(spec.seed).normal(1.0, 0.1, (1, grey.shape[1]))
    relief *= cv2.blur(strands.astype(np.float32), (3, 1))
    relief *= np.linspace(1.0 - 0.6 * spec.roots, 1.0, grey.shape[0], dtype=np.float32)[:, None]
    channels = [np.minimum(relief * np.float32(part), 255).astype(np.uint8) for part in spec.rgb]
    alpha = np.clip(levels * spec.density, 0, 255).astype(np.uint8)
    return cv2.merge([*channels, cv2.LUT(np.ascontiguousarray(picture[..., 3]), alpha)])


def beard_rgb(hair: HairSpec) -> tuple[int, int, int]:
    """Whoever dyes hair rarely dyes the beard."""
    return (64, 48, 38) if hair.colour == "dyed" else hair.rgb


def brow_rgb(hair: HairSpec) -> tuple[int, int, int]:
    """Brows are darker than hair, and keep their own colour when hair is dyed."""
    shade = (60, 46, 38) if hair.colour == "dyed" else hair.rgb
    red, green, blue = (int(30 + 0.55 * max(value - 30, 0)) for value in shade)
    return red, green, blue
