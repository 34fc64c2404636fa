"""The inside of a mouth that a photo does not show: teeth, gums, tongue and the dark, painted.

In the size of the head and in the light of the photo. No two rows of teeth are alike: theirs
follow from the photo, so that they are always the same for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

import cv2
import numpy as np

from stream.geometry import smoothstep

_FINE = 4  # painted so many times larger
_OWN_BLUR_PX = 0.7  # that this and the look at the photo leave
_TOOTH = np.array([236.0, 228.0, 212.0])
_GUM = np.array([176.0, 92.0, 92.0])
_TONGUE = np.array([178.0, 96.0, 94.0])
_CAVITY = np.array([44.0, 16.0, 15.0])
_TONGUE_MM = (20.0, 22.0, -1.0)  # half its width and height as seen, and how far below the lips
_FURROW, _TIP_SHADE, _ROUGH, _WET = 0.13, 0.3, 0.04, 16.0  # light lost, its noise; grey levels
# Widths of teeth from the middle to the side and how far they fall short of the longest, mm.
_UPPER_TEETH = ((8.5, 0.0), (6.6, 0.8), (7.4, 0.1), (6.6, 0.7), (6.2, 1.0), (8.0, 1.5))
_LOWER_TEETH = ((5.2, 0.0), (5.7, 0.1), (6.6, 0.0), (6.8, 0.6), (6.8, 1.0), (9.0, 1.4))
_UPPER_MM, _LOWER_MM = 9.5, 8.0  # height
_ARCH_MM = 24.0  # half of the width of the arch of teeth
_UPPER_EDGE_MM, _LOWER_EDGE_MM = 3.8, -1.0  # below the line between the lips
_LOWER_ARCH = 0.012  # mm of height for a square mm to the side
_CORNER_MM = (9.0, 23.0)  # from the middle: where less light comes in, and hardly any
_VARIED = (0.05, 0.3, 0.035, 0.7)  # of width; mm of length; of brightness; mm of the midline
_LIGHT_SKIN = 185.0  # brightness of skin in full light, grey levels
_LUMA = np.array([0.3, 0.59, 0.11])
_SKIN_HUE, _WHITE_HUE = 0.2, 0.75  # share of the hue of skin, and of eyes, that is the light's
_IN_SHADOW = (0.5, 0.9)  # of the skin's brightness: whites so dark tell nothing of it, and all
_LIDS_SHADE = 0.88  # of the light, that lids leave on the white of an eye
_AS_BRIGHT = (0.92, 1.15)  # as the eyes' white, within what the skin lets expect


class MouthPart(Enum):
    """What is painted by itself, from the back to the front; the first two go with the jaw."""

    DEEP = auto()  # the dark, and the tongue
    LOWER_TEETH = auto()
    UPPER_TEETH = auto()


@dataclass(frozen=True, slots=True)
class MouthLook:
    """How the inside of a mouth looks in a photo.

    Attributes:
        light: (3,) share of full light that falls on it, by channel.
        tooth: (3,) colour of its teeth, 0…255.
        character: number from which all follows that differs from mouth to mouth.
        seen: the photo shows teeth of its own.
        blur_px: deviation of the photo's blur.
    """

    light: np.ndarray
    tooth: np.ndarray
    character: int
    seen: bool
    blur_px: float = 0.0


def mouth_look(
    skin: np.ndarray, eye_white: np.ndarray | None, teeth: np.ndarray | None, character: int,
    blur_px: float = 0.0,
) -> MouthLook:  # fmt: skip
    """Tell the light from what is seen: the skin, the whites of the eyes, and teeth.

    Args:
        skin: (3,) typical colour of the face.
        eye_white: (3,) of the eyes, None where they do not show it.
        teeth: (3,) of teeth that the photo shows, or None.
        character: see `MouthLook`.
        blur_px: of the photo.
    """
    light = float(np.clip(skin @ _LUMA / _LIGHT_SKIN, 0.15, 1.0))
    tint = 1 + _SKIN_HUE * (_hue(skin) - 1)
    bright = light
    if eye_white is not None:
        told = float(smoothstep(eye_white @ _LUMA / max(skin @ _LUMA, 1.0), *_IN_SHADOW))
        white = 1 + _WHITE_HUE * (_hue(eye_white) - 1)
        # An eye's white is bluish by itself, in pictures more than in life; teeth never are.
        white[2] = min(white[2], max(float(tint[2]), float(white[0])))
        tint = tint + told * (white - tint)
        whites = float(eye_white @ _LUMA / (_TOOTH @ _LUMA)) / _LIDS_SHADE
        bright = float(np.clip(whites, _AS_BRIGHT[0] * light, _AS_BRIGHT[1] * light))
    tooth = np.clip(_TOOTH * bright * tint, 0, 255) if teeth is None else teeth
    return MouthLook(light * tint, np.asarray(tooth, float), character, teeth is not None, blur_px)


def _hue(colour: np.ndarray) -> np.ndarray:
    return np.clip(colour / max(float(colour.mean()), 1.0), 0.6, 1.4)


def painted_mouth(
    size: tuple[int, int], ends_px: np.ndarray, px_per_mm: float, look: MouthLook, part: MouthPart
) -> np.ndarray:
    """Paint one part of the inside of a mouth.

    Args:
        size: (height, width) of the picture.
        ends_px: (2, 2) ends of the line between the lips.
        px_per_mm: pixels of a millimetre.
        look: its light and character.
        part: which part.

    Returns:
        (h, w, 4) float32, 0…255 and premultiplied.
    """
    scale = px_per_mm * _FINE
    height, width = size[0] * _FINE, size[1] * _FINE
    across = ends_px[1] - ends_px[0]
    angle = float(np.arctan2(across[1], across[0]))
    middle = ends_px.mean(axis=0) * _FINE
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    dx, dy = x - middle[0], y - middle[1]
    c, s = np.cos(angle), np.sin(angle)
    x_mm, y_mm = (c * dx + s * dy) / scale, (c * dy - s * dx) / scale
    picture = _PAINTED[part](x_mm, y_mm, look)
    small = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
    further = np.sqrt(max(look.blur_px**2 - _OWN_BLUR_PX**2, 0.0))
    return cv2.GaussianBlur(small, (0, 0), further) if further > _OWN_BLUR_PX else small


def _upper_teeth(x_mm: np.ndarray, y_mm: np.ndarray, look: MouthLook) -> np.ndarray:
    """Upper teeth and their gums."""
    picture = np.zeros((*x_mm.shape, 4), np.float32)
    row = _Row.varied(_UPPER_TEETH, _UPPER_MM, look.character)
    teeth, shade = row.painted(x_mm, y_mm - _UPPER_EDGE_MM)
    dark = _dark_aside(x_mm)
    gums = (y_mm < _UPPER_EDGE_MM + 0.8 - _UPPER_MM) & (np.abs(x_mm) < _ARCH_MM)
    _lay(picture, _GUM * look.light * 0.75 * (shade * dark)[..., None], gums)
    _lay(picture, look.tooth * (shade * dark)[..., None], teeth)
    return picture


def _deep(x_mm: np.ndarray, y_mm: np.ndarray, look: MouthLook) -> np.ndarray:
    """The dark of the mouth, and the tongue."""
    picture = np.empty((*x_mm.shape, 4), np.float32)
    picture[..., :3] = _CAVITY * look.light * np.exp(-((x_mm / 22.0) ** 2))[..., None]
    picture[..., 3] = 255
    across, down = x_mm / _TONGUE_MM[0], (y_mm - _TONGUE_MM[2]) / _TONGUE_MM[1]
    # Its tip lies behind the lower teeth; it rises from there, and falls off to the throat and to
    # its sides, and into a furrow that ends before the tip.
    bent = 0.02 * np.sin(y_mm / 4.0 + look.character % 7)
    lit = 0.2 + 0.65 * np.exp(-(((down + 0.25) / 0.55) ** 2) - (across / 0.85) ** 2)
    furrow = np.exp(-((x_mm / 1.8 - bent * y_mm) ** 2)) * smoothstep(-down, 0.02, 0.25)
    lit *= 1 - _FURROW * furrow - 0.05 * np.exp(-((x_mm / 4.5) ** 2))
    lit *= 1 - _TIP_SHADE * smoothstep(down, -0.12, 0.02)  # in the shadow of the teeth
    rough = _speckle(x_mm.shape, look.character)
    wet = np.exp(-(((np.abs(across) - 0.28) / 0.2) ** 2 + ((down + 0.28) / 0.2) ** 2))
    wet = wet * np.clip(0.5 + 0.5 * rough, 0, 1.5)
    cover = np.clip((1 - np.hypot(across, down)) / 0.45, 0, 1)
    skin = _TONGUE * (lit * (1 + _ROUGH * rough))[..., None] + _WET * wet[..., None]
    _lay(picture, skin * look.light, cover)
    return picture


def _speckle(shape: tuple[int, ...], character: int) -> np.ndarray:
    """Return (h, w) float32 noise of deviation 1, as coarse as what lies on a tongue."""
    noise = np.random.default_rng(character).normal(size=shape).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), _FINE)
    return np.asarray(soft / max(float(soft.std()), 1e-6))


def _lower_teeth(x_mm: np.ndarray, y_mm: np.ndarray, look: MouthLook) -> np.ndarray:
    """Lower teeth and their gums."""
    picture = np.zeros((*x_mm.shape, 4), np.float32)
    row = _Row.varied(_LOWER_TEETH, _LOWER_MM, look.character + 1)
    # One looks down on the arch: to the sides it rises.
    below = _LOWER_EDGE_MM - y_mm - _LOWER_ARCH * x_mm**2
    teeth, shade = row.painted(x_mm, below)
    # Below the upper teeth and behind the lip they lie in shadow.
    shade *= 0.8 * _dark_aside(x_mm)
    gums = (below < 2.0 - _LOWER_MM) & (np.abs(x_mm) < _ARCH_MM)
    _lay(picture, _GUM * look.light * 0.75 * shade[..., None], gums)
    _lay(picture, look.tooth * shade[..., None], teeth)
    return picture


_PAINTED = {
    MouthPart.DEEP: _deep,
    MouthPart.LOWER_TEETH: _lower_teeth,
    MouthPart.UPPER_TEETH: _upper_teeth,
}


def _dark_aside(x_mm: np.ndarray) -> np.ndarray:
    """Return the light that comes in towards the corners of a mouth, 1 in its middle."""
    share = np.clip((np.abs(x_mm) - _CORNER_MM[0]) / (_CORNER_MM[1] - _CORNER_MM[0]), 0, 1)
    return np.asarray(1 - 0.75 * share * share * (3 - 2 * share), np.float32)


def _lay(picture: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> None:
    """Lay a colour over a premultiplied picture, in place."""
    share = cover.astype(np.float32)[..., None]
    picture *= 1 - share
    picture[..., :3] += share * colour
    picture[..., 3:] += share * 255


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of teeth on an arch that turns away to the sides.

    Attributes:
        widths, shorts, lights: (2, n) of each tooth from the middle to the right and to the
            left: width, mm; how far it falls short, mm; brightness.
        middle_mm: where its middle is.
        height: of the teeth, mm.
    """

    widths: np.ndarray
    shorts: np.ndarray
    lights: np.ndarray
    middle_mm: float
    height: float

    @classmethod
    def varied(cls, usual: tuple[tuple[float, float], ...], height: float, character: int) -> _Row:
        """Return a row of teeth as somebody may have them."""
        random = np.random.default_rng(character)
        width, short = (np.array([column, column]) for column in zip(*usual, strict=True))
        noise = random.normal(size=(3, *width.shape)).clip(-2, 2)
        size = 1 + _VARIED[0] * float(random.normal())
        return cls(
            width * size * (1 + _VARIED[0] * noise[0]),
            np.maximum(short + _VARIED[1] * noise[1], 0),
            1 + _VARIED[2] * (noise[2] - 1),
            _VARIED[3] * float(random.normal()),
            height * size,
        )

    def painted(self, x_mm: np.ndarray, below_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cover and shade.

        Args:
            x_mm: from the middle of the mouth.
            below_mm: from the edge of the longest teeth, away from the gums.
        """
        x_mm = x_mm - self.middle_mm
        side = (x_mm > 0).astype(np.intp)
        turn = np.arcsin(np.clip(np.abs(x_mm) / _ARCH_MM, 0, 1))
        along = turn * _ARCH_MM  # length of the arch from the middle
        ends = np.cumsum(self.widths, axis=1)
        number = np.minimum((along[..., None] >= ends[side]).sum(axis=-1), ends.shape[1] - 1)
        width = self.widths[side, number]
        place = (along - ends[side, number]) / width * 2 + 1  # −1…1 across the tooth
        rounded = 0.9 * np.abs(place) ** 5
        inside = -(below_mm + self.shorts[side, number] + rounded)
        cover = np.clip(inside / 0.25 + 0.5, 0, 1) * (inside < self.height)
        cover *= (np.abs(x_mm) < _ARCH_MM) & (place <= 1)
        groove = 1 - 0.4 * np.clip((np.abs(place) - 0.84) / 0.16, 0, 1) ** 2
        domed = 1 - 0.1 * place**2  # a tooth turns away from the light to both sides
        root = np.clip(inside / self.height, 0, 1)
        shade = groove * domed * (1 - 0.22 * root**2) * np.sqrt(np.maximum(np.cos(turn), 0))
        return cover.astype(np.float32), (shade * self.lights[side, number]).astype(np.float32)
