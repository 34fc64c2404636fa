"""The light on a face of the stream, followed over time, and that of a source's texture.

Letters: V vertices of the head model, N skin vertices that are looked at, K functions of light;
see `stream.swap.light_basis`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from stream.flatten import texture_uv
from stream.geometry import smoothstep
from stream.region import Region
from stream.swap.light_basis import LIFT, LightBasis, light_basis

if TYPE_CHECKING:
    from stream.head_model import HeadModel
    from stream.swap.occlude import Front
    from stream.swap.options import SwapSettings
    from stream.swap.shape import FaceShape
    from stream.swap.source_face import SourceFace

_HEAD = 0.5  # of the face's size, to every side: the head with its hair
_DARK_SIZE, _DARK_PERCENT, _CLEAR_BLACK = (128, 128), 0.5, 25.0
_LIGHT_SHARE = 0.3  # of a new frame in what is used
_CHANGED = (0.02, 0.08)  # of the logarithm: a light that surely is the same, and another one
_BLACK_EVERY = 5  # frames
_MOST_HAZE = 0.6  # of the skin's brightness
_BLUR = 0.09  # of the distance of the eyes: over which skin is averaged
_TEXTURE_BLUR = 0.012  # of its side
_FACING = (0.15, 0.55)  # cosine to the camera: says nothing, and counts in full
_RISE = 0.7
_LUMA = np.array([0.3, 0.59, 0.11], np.float32)


def relit(target: np.ndarray, source: np.ndarray, black: float) -> np.ndarray:
    """Return what takes the skin of a source to the light of a target.

    Colours are multiplied by how much more light there is, and so keep their hue. A source that
    is much darker gains less contrast than light, or a dark painting's cracks would glare. In
    haze nothing is darker than the haze.

    Args:
        target: (V, 3) logarithm of the target's light.
        source: (V, 3) of the source's.
        black: how bright the haze before the target is, 0…255.

    Returns:
        (V, 9) float32: factors of red, green and blue, what is added to them, of 0…1, and the
        colour of the source's skin, of 0…1.
    """
    goal, start = np.exp(target) - LIFT, np.exp(source) - LIFT
    haze = np.clip(black, 0, _MOST_HAZE * goal.clip(0))
    rise = np.maximum((target - source) @ _LUMA, 0)[:, None]
    contrast = np.exp((_RISE - 1) * rise)
    bare = np.maximum(start, 4)
    gain = np.maximum(goal - haze, 1) / bare
    added = contrast * haze + (1 - contrast) * goal
    return np.hstack([contrast * gain, added / 255, bare / 255]).astype(np.float32)


class SourceLight(NamedTuple):
    """What of light belongs to a source.

    Attributes:
        left: (V, 3) float32 logarithm of the light that is left in its texture.
        functions: (V, K) float32, those of light on a head of its shape.
    """

    left: np.ndarray
    functions: np.ndarray


class LiveLight:
    """Follows the light on one face of the stream.

    Args:
        basis: the functions of light.
    """

    def __init__(self, basis: LightBasis) -> None:
        self._basis = basis
        self._evidence: np.ndarray | None = None
        self._light: np.ndarray | None = None
        self._black, self._frames = 0.0, 0

    def __call__(
        self,
        pixels: np.ndarray,
        shape: FaceShape,
        front: Front | None,
        source: SourceLight,
        settings: SwapSettings,
    ) -> np.ndarray:
        """Return what takes a source's skin to the light of this frame: see `relit`.

        Args:
            pixels: (H, W, 3) uint8, the frame.
            shape: the geometry of the face.
            front: what is in front of it, or None.
            source: its own light and shape.
            settings: `colour_match` is used.
        """
        plain = self._basis.plain
        places = shape.own_px[plain]
        region, wide = (around(places, pixels, slack) for slack in (0.05, _HEAD))
        weights = np.clip((shape.facing[plain] - _FACING[0]) / (_FACING[1] - _FACING[0]), 0, 1)
        weights = (
            self._basis.inner
            * weights
            * (places >= region[:2]).all(1)
            * (places < region[2:]).all(1)
        )
        if front is not None:
            weights = weights * np.clip(1 - 2 * front.at(places), 0, 1)
        if not region.is_empty:
            colours = blurred_colours(
                region.crop(pixels), places - region[:2], _BLUR * shape.eyes_px
            )
            self._follow(self._basis.evidence(colours, weights))
            # Up and to the sides: clothes may be darker than any haze, and have colours.
            self._follow_black(wide._replace(y1=region.y1).crop(pixels))
        left, goal = source.left, source.left
        if self._light is not None:
            goal = self._basis.at_vertices(self._light, source.functions)
        if settings.colour_match < 1:
            goal = goal + (1 - settings.colour_match) * _tone_apart(goal[plain], left[plain])
        return relit(goal, left, self._black)

    def _follow(self, found: np.ndarray | None) -> None:
        """Average the evidence, not the light: what comes into view is believed at once.

        The more the light has changed, the faster it is followed: heads turn, lamps go on.
        """
        if found is None:
            return
        last, share = self._evidence, 1.0
        if last is not None and self._light is not None:
            change = self._basis.difference(self._light, found)
            share = _LIGHT_SHARE + (1 - _LIGHT_SHARE) * float(smoothstep(change, *_CHANGED))
            found = last + np.float32(share) * (found - last)
        self._evidence, self._light = found, self._basis.light(found)

    def _follow_black(self, head: np.ndarray) -> None:
        """Look once in a while: haze comes and goes slowly."""
        if self._frames % _BLACK_EVERY == 0:
            share = 1.0 if self._frames == 0 else _LIGHT_SHARE
            self._black += share * (_darkest(head) - self._black)
        self._frames += 1


def _darkest(crop: np.ndarray) -> float:
    """Return how bright the haze is before the darkest parts of a head: hair, pupils, shadows.

    Haze has hardly a colour, so that the least of the three is what it adds to all.
    """
    small = cv2.resize(crop, _DARK_SIZE, interpolation=cv2.INTER_AREA).reshape(-1, 3)
    luma = small @ _LUMA
    dark = small[luma <= np.percentile(luma, _DARK_PERCENT)]
    return max(float(dark.mean(axis=0).min()) - _CLEAR_BLACK, 0.0)


def _tone_apart(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return (3,) how a target's mean colour differs from the source's in tone.

    Its brightness is half light and half skin, as far as one can tell.
    """
    apart = source.mean(axis=0) - target.mean(axis=0)
    luma = float(apart @ _LUMA)
    return np.clip(apart - luma, -0.3, 0.3) + np.clip(0.5 * luma, -0.3, 0.3)


def source_light(model: HeadModel, source: SourceFace, seen: np.ndarray) -> SourceLight:
    """Return what of light belongs to a source.

    Args:
        model: the head model.
        source: whose texture and shape count.
        seen: (V,) 0…1, how well the vertices were seen.
    """
    basis, size = light_basis(model), len(source.texture)
    places = texture_uv(model)[basis.plain] * size
    colours = blurred_colours(source.texture, places, _TEXTURE_BLUR * size)
    left = basis.at_vertices(basis.fit_tints(colours, seen[basis.plain]))
    return SourceLight(left, basis.functions_on(model.shape(source.identity) + source.offset_mm))


def around(places: np.ndarray, pixels: np.ndarray, slack: float) -> Region:
    """Return the part of a frame around places, with so much more to every side."""
    low, high = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0)) + 1
    more = slack * float((high - low).max())
    corners = (*(low - more), *(high + more))
    return Region(*(int(one) for one in corners)).clipped(pixels.shape[1], pixels.shape[0])


def blurred_colours(picture: np.ndarray, places_px: np.ndarray, blur_px: float) -> np.ndarray:
    """Return (N, 3) float32 colours of a picture around places, averaged over a neighbourhood.

    Args:
        picture: (h, w, 3) uint8.
        places_px: (N, 2), pixel centres at +0.5.
        blur_px: width of the neighbourhood.
    """
    shrink = max(1.0, blur_px)
    size = (max(2, round(picture.shape[1] / shrink)), max(2, round(picture.shape[0] / shrink)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    scale = np.array([size[0] / picture.shape[1], size[1] / picture.shape[0]], np.float32)
    places = (places_px * scale - 0.5).astype(np.float32)
    return cv2.remap(small, places[:, 0], places[:, 1], cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE).reshape(-1, 3).astype(np.float32)  # fmt: skip
