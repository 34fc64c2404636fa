"""Skins of synthetic people: tone, blemishes, freckles, stubble, make-up, painted in UV space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.synthetic.children import GROWN_UP

if TYPE_CHECKING:
    from stream.head_model import HeadModel
    from training.synthetic.meshes import Mesh

# Canonical face mesh numbers of the outlines that paint follows.
_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
_EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
# How colour goes with lightness in human skin: CIELAB a*, b* at L* 25, 40, 55, 70, 80.
_TONE_L = (25.0, 40.0, 55.0, 70.0, 80.0)
_TONE_A = (9.0, 13.0, 14.5, 13.0, 11.5)
_TONE_B = (11.0, 18.0, 21.0, 18.5, 16.0)
_FAIREST = 74.0
_BARE_LASHES = 0.45  # opacity of lashes without make-up


@dataclass(frozen=True, slots=True)
class SkinSpec:
    """What was drawn of a skin.

    Attributes:
        file: name of the texture.
        lightness: CIELAB L* of the cheek.
        redness, yellowness: CIELAB shifts from what goes with that lightness.
        stubble: 0…1, how dark the beard shimmers through.
        freckles, blemishes, blush, lipstick, shadow: strengths 0…1.
        make_up_rgb: sRGB of lips and lids.
        seed: of the spots.
    """

    file: str
    lightness: float
    redness: float
    yellowness: float
    stubble: float
    freckles: float
    blemishes: float
    blush: float
    lipstick: float
    shadow: float
    make_up_rgb: tuple[int, int, int]
    seed: int


def sample_skin(rng: np.random.Generator, files: list[str], male: float, age: float) -> SkinSpec:
    """Draw a skin whose sex and age suit the shape.

    Args:
        rng: source of chance.
        files: names of textures to choose among.
        male: 0 female … 1 male.
        age: 0…1 as in training.head_model.people; 0.5 is a young adult.
    """
    weights = np.array([_suits(name, male, age) for name in files])
    file = files[int(rng.choice(len(files), p=weights / weights.sum()))]
    middle = 38.0 if "dark" in file else 61.0
    grown_up = age > GROWN_UP
    made_up = male < 0.5 and rng.random() < 0.45 and grown_up
    bearded = male > 0.6 and rng.random() < 0.6 and grown_up
    return SkinSpec(
        file=file,
        lightness=float(np.clip(rng.normal(middle, 8.0), 22.0, _FAIREST)),
        redness=float(rng.normal(0.0, 1.6)),
        yellowness=float(rng.normal(0.0, 2.0)),
        stubble=float(rng.beta(1.2, 1.6)) if bearded else 0.0,
        freckles=float(rng.uniform(0.2, 1.0)) if rng.random() < 0.12 else 0.0,
        blemishes=float(rng.beta(1.0, 2.5)),
        blush=float(rng.beta(1.2, 3.0)),
        lipstick=float(rng.uniform(0.2, 0.8)) if made_up else 0.0,
        shadow=float(rng.uniform(0.1, 0.6)) if made_up else 0.0,
        make_up_rgb=_make_up(rng),
        seed=int(rng.integers(1 << 31)),
    )


def tone_rgb(spec: SkinSpec) -> np.ndarray:
    """Return (3,) float32 sRGB, 0…1, of the cheek."""
    lab = (
        spec.lightness,
        float(np.interp(spec.lightness, _TONE_L, _TONE_A)) + spec.redness,
        float(np.interp(spec.lightness, _TONE_L, _TONE_B)) + spec.yellowness,
    )
    return cv2.cvtColor(np.array([[lab]], np.float32), cv2.COLOR_LAB2RGB)[0, 0]


def thinned(lashes: np.ndarray, spec: SkinSpec) -> np.ndarray:
    """Let skin show through lashes that are not made up: (h, w, 4) uint8 RGBA."""
    thin = lashes.copy()
    strength = _BARE_LASHES + (1 - _BARE_LASHES) * spec.shadow
    thin[..., 3] = (lashes[..., 3] * strength).astype(np.uint8)
    return thin


def _suits(name: str, male: float, age: float) -> float:
    """Weigh a texture by its name; none is ruled out, since looks vary."""
    sex = (1.0 - male) if "female" in name else male
    old = max(0.0, (age - 0.5) * 2)
    fit = {"young": 1.0 - old, "middleage": 0.3 + 0.7 * (1 - abs(2 * old - 1)), "old": old}
    kind = next(word for word in fit if f"skin_{word}" in name)
    return (0.08 + sex) * (0.08 + fit[kind])


def _make_up(rng: np.random.Generator) -> tuple[int, int, int]:
    choices = ((150, 30, 45), (180, 70, 80), (120, 50, 60), (95, 40, 70), (190, 90, 70))
    red, green, blue = choices[int(rng.integers(len(choices)))]
    return red, green, blue


class SkinPainter:
    """Paints skins in the texture space of the MakeHuman skin.

    Args:
        mesh: the split skin mesh.
        places_mm: (V, 3) where its vertices lie on a head laid on the head model's mean.
        scalp: (V,) 0…1, how far hair grows there.
        model: the head model.
        size: side of the textures.
    """

    def __init__(
        self,
        mesh: Mesh,
        places_mm: np.ndarray,
        scalp: np.ndarray,
        model: HeadModel,
        size: int,
    ) -> None:
        self.size = size
        baked = _baked(mesh, np.column_stack([places_mm, scalp]), size)
        self._place = baked[..., :3]
        self._scalp = _soft(np.clip(2.5 * np.nan_to_num(baked[..., 3]), 0, 1), size / 250)
        points = model.points478_mean
        front = self._place[..., 2] < -30.0
        self._lips = self._inside(points[list(_LIPS)], front, grow_mm=0.5)
        eyes = [self._inside(points[list(eye)], front, grow_mm=9.0) for eye in _EYES]
        lids = (eyes[0] + eyes[1]) * (self._place[..., 1] < points[33, 1] + 2.0)
        self._lids = _soft(lids, size / 200)
        cheeks = np.stack([points[50] + [-4, 2, 6], points[280] + [4, 2, 6]])
        self._cheeks = self._blob(cheeks[0], 17.0) + self._blob(cheeks[1], 17.0)
        self._freckled = np.maximum(self._cheeks, self._blob(points[5], 18.0))
        self._beard = _soft(self._beard_area(points) * (1 - self._lips), size / 80)
        self._face = np.isfinite(self._place[..., 0]) & front
        self._lips = _soft(self._lips, size / 350)
        self._skins: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def paint(
        self, picture: np.ndarray, spec: SkinSpec, shaved: tuple[int, int, int] | None = None
    ) -> np.ndarray:
        """Paint one skin.

        Args:
            picture: (h, w, 3) uint8 sRGB of the texture file.
            spec: what was drawn.
            shaved: sRGB of hair that was cut to a millimetre, None for a bald or covered scalp.

        Returns:
            (size, size, 4) uint8 RGBA.
        """
        rng = np.random.default_rng(spec.seed)
        small, cheeks = self._shrunk(picture, spec.file)
        small = cv2.LUT(small, self._toning(cheeks, spec)).astype(np.float32)
        clear: np.ndarray = 1.0 - self._spots(spec, rng)
        small *= cv2.merge([cv2.pow(clear, 0.55), cv2.pow(clear, 0.9), clear])
        if spec.stubble > 0:
            _stipple(small, 0.55 * spec.stubble * self._beard, (38, 34, 34), rng)
        if shaved is not None:
            _stipple(small, 0.8 * self._scalp, shaved, rng)
        small += self._blood(spec)[..., None] * np.array((26, -14, -8), np.float32)
        colour = np.array(spec.make_up_rgb, np.float32)
        for area, strength in ((self._lips, spec.lipstick), (self._lids, spec.shadow)):
            if strength > 0:
                small += (strength * area)[..., None] * (colour - small)
        painted = np.clip(small, 0, 255, out=small).astype(np.uint8)
        return cv2.cvtColor(painted, cv2.COLOR_RGB2RGBA)

    def _blood(self, spec: SkinSpec) -> np.ndarray:
        """(size, size) float32 how red cheeks and nose are: more so where skin is fair."""
        fair = float(np.clip((spec.lightness - 58.0) / 14.0, 0.0, 1.0))
        return 0.3 * (spec.blush + fair) * self._cheeks + 0.3 * fair * self._freckled

    def _shrunk(self, picture: np.ndarray, file: str) -> tuple[np.ndarray, np.ndarray]:
        """Bring a texture to size, once: (size, size, 3) uint8, and (3,) the face's mean, 0…1."""
        if file not in self._skins:
            side = (self.size, self.size)
            small = cv2.resize(picture[..., :3], side, interpolation=cv2.INTER_AREA)
            self._skins[file] = small, small[self._face].mean(axis=0) / 255.0
        return self._skins[file]

    def _toning(self, have: np.ndarray, spec: SkinSpec) -> np.ndarray:
        """Return the table (256, 1, 3) that brings cheeks (3,) to the tone that was drawn.

        A power law keeps black and white where they are, so that pores and lips keep their
        contrast at any tone.
        """
        target = tone_rgb(spec)
        power = np.log(np.clip(target, 0.02, 0.97)) / np.log(np.clip(have, 0.02, 0.97))
        # Half by power, half by gain: either alone looks burnt at the ends.
        levels = np.linspace(0.0, 1.0, 256)[:, None]
        powered = levels ** (0.5 + 0.5 * power)
        gain = np.clip(target, 0.02, 0.97) / have ** (0.5 + 0.5 * power)
        return (np.clip(powered * gain, 0, 1) * 255).astype(np.uint8)[:, None, :]

    def _spots(self, spec: SkinSpec, rng: np.random.Generator) -> np.ndarray:
        """(size, size) float32 how much of green light spots swallow, 0…0.5."""
        spots = np.zeros((self.size, self.size), np.float32)
        unit = self.size / 512
        for _ in range(int(14 * spec.blemishes)):
            centre = rng.integers(0, self.size, 2).tolist()
            cv2.circle(
                spots, centre, max(1, round(rng.gamma(2, 0.8) * unit)), rng.uniform(0.1, 0.4), -1
            )
        if spec.freckles > 0:
            dots = (rng.random(spots.shape) > 0.985).astype(np.float32)
            dots = cv2.GaussianBlur(dots, (0, 0), 0.8 * unit) * 1.6
            spots += np.clip(dots, 0, 0.4) * spec.freckles * self._freckled
        blotches = rng.standard_normal((12, 12)).astype(np.float32)
        blotches = cv2.resize(blotches, spots.shape[::-1], interpolation=cv2.INTER_CUBIC)
        spots = cv2.GaussianBlur(spots, (0, 0), 0.7 * unit) + 0.03 * spec.blemishes * blotches
        return np.clip(spots, 0, 0.5)

    def _inside(self, outline_mm: np.ndarray, where: np.ndarray, grow_mm: float) -> np.ndarray:
        """(size, size) float32: texels whose place, seen from the front, lies in an outline."""
        middle = outline_mm[:, :2].mean(axis=0)
        away = outline_mm[:, :2] - middle
        grown = outline_mm[:, :2] + grow_mm * away / np.linalg.norm(away, axis=1, keepdims=True)
        canvas = np.zeros((400, 400), np.uint8)  # 0.5 mm a cell
        cv2.fillPoly(canvas, [np.round((grown - middle) * 2 + 200).astype(np.int32)], 255)
        seen = (np.nan_to_num(self._place[..., :2], nan=1e3) - middle) * 2 + 200
        inside = cv2.remap(canvas, seen.astype(np.float32), None, cv2.INTER_LINEAR)
        return inside.astype(np.float32) / 255 * where

    def _blob(self, centre_mm: np.ndarray, radius_mm: float) -> np.ndarray:
        distance = np.square(self._place - centre_mm).sum(-1)
        return np.nan_to_num(np.exp(-0.5 * distance / radius_mm**2)).astype(np.float32)

    def _beard_area(self, points: np.ndarray) -> np.ndarray:
        """Mark jaw, chin, throat and upper lip: below a line from the ears to the mouth."""
        x, y, z = np.moveaxis(np.nan_to_num(self._place, nan=1e3), -1, 0)
        mouth, nose, chin = points[291], points[2], points[152]
        side = np.clip((np.abs(x) - mouth[0]) / 45.0, 0, 1)
        line = mouth[1] - 6.0 - 26.0 * side**1.5
        lower = (y > line) & (y < chin[1] + 22.0) & (z < 5.0) & (np.abs(x) > mouth[0] - 4)
        chin_area = (y > mouth[1] + 2) & (y < chin[1] + 22.0) & (z < 5.0)
        lip = (np.abs(x) < mouth[0] + 4) & (y > nose[1] + 3) & (y < mouth[1] + 4) & (z < -80)
        return (lower | chin_area | lip).astype(np.float32)


def _stipple(
    picture: np.ndarray, share: np.ndarray, rgb: tuple[int, int, int], rng: np.random.Generator
) -> None:
    """Let short hair of one colour shimmer through, in place."""
    grain = np.clip(rng.normal(0.75, 0.25, share.shape), 0.0, 1.2).astype(np.float32)
    shade = (share * grain)[..., None]
    picture += shade * (np.array(rgb, np.float32) - picture)


def _soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(sigma, 0.3))


def _baked(mesh: Mesh, values: np.ndarray, size: int) -> np.ndarray:
    """Rasterise values of vertices (V, C) into UV space: (size, size, C) float32, else nan."""
    baked = np.full((size, size, values.shape[1]), np.nan, np.float32)
    corners = mesh.uv[mesh.triangles] * size - 0.5
    low = np.clip(np.floor(corners.min(axis=1)), 0, size - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=1)), 0, size - 1).astype(int)
    for triangle, corner, (x0, y0), (x1, y1) in zip(
        mesh.triangles, corners, low, high, strict=True
    ):
        a, b, c = corner
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if abs(area) < 1e-9:
            continue
        x, y = np.meshgrid(np.arange(x0, x1 + 1), np.arange(y0, y1 + 1))
        second = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
        third = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
        inside = (second >= -0.02) & (third >= -0.02) & (second + third <= 1.02)
        shares = np.stack([1 - second - third, second, third], axis=-1)[inside]
        baked[y[inside], x[inside]] = shares @ values[triangle]
    return baked
