"""Relief of light in a texture: what is left of hard light after the smooth light is taken off.

A lamp at one side, or a painter, leaves patches with sharp borders on nose, sockets and cheeks.
Neither harmonics of the normal nor what varies slowly explains them, and under the even light of
another face they look like metal. Skin by itself varies little once brows, lips, nostrils, lines
and moles are left out; all these are narrow. So the texture is parted, relative to the skin that is
expected, into a base that goes along with borders but not with what is narrow (a guided filter, He
et al. 2013), and the rest. The base is pressed into what skin may have; the rest stays. Colour that
lay in the dark is noise, and gives way to the expected one.

Letters: S texture side. Logarithms are of linear colours.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from scipy.spatial import cKDTree

from stream.geometry import smoothstep
from stream.swap.source_skin import bare_regions
from stream.swap.texture_map import SameModel, label_map, texel_map

if TYPE_CHECKING:
    from stream.head_model import HeadModel

_SKIN = 1
_DARK = 0.004
_AROUND, _BORDER = 0.015, 0.2  # of the side: the filter's reach; log step that is a border
_PORES = 0.002  # of the side: what is finer is skin
_GLINT = 0.1  # of log colour: nothing narrow on skin is brighter but gloss, and seams of completion
_STRAND, _STRAND_WIDTH = 0.05, 0.045  # of log colour; of the side: the tips of hair
_NARROW, _BROW = 0.017, 0.06  # of the side: dark things that are not light, and brows
_HAIR = (0.2, 0.5)  # of log colour: from the shade below a brow's bone to its hairs
_USUAL = 0.15  # spread of the base in an evenly lit photo; where there is more, it is light
_MOST_ON_FOREHEAD = 0.08  # and temples, which are plain: strands, their shadows, gloss
_MOST, _MOST_HUE = 0.25, 0.06  # of log colour: how far skin differs from skin
_DOUBT = (0.1, 0.6)  # so much lifted or lowered, the hue is doubtful, and worth nothing
# Points of features whose colour is their own, and how far they reach, mm.
_OWN_MM, _SOFT_MM = ((range(36, 48), 2.0), (range(48, 68), 5.0)), 3.0
_BROWS_MM = 7.0


class _Places(NamedTuple):
    """(S, S) float32 each, 0…1: plain skin, what keeps its colour, and around the brows."""

    skin: np.ndarray
    own: np.ndarray
    brows: np.ndarray


def without_relief(albedo: np.ndarray, expected: np.ndarray, model: HeadModel) -> np.ndarray:
    """Press what is broader than a feature into what skin may have.

    Args:
        albedo: (S, S, 3) linear, without gaps.
        expected: (S, S, 3) linear, the skin model's.
        model: the head model.

    Returns:
        (S, S, 3) float32 linear; lips, and all that is not skin, as they were.
    """
    places = _places(SameModel(model), len(albedo))
    bare = places.skin * (1 - places.own)
    logs, known = (np.log(np.maximum(each, _DARK)) for each in (albedo, expected))
    level = (logs - known).mean(axis=2)
    level -= np.median(level[bare > 0.5])
    base = _base(level, bare, places.brows)
    spread = float(np.sqrt((bare * base**2).sum() / bare.sum()))
    forehead, _ = bare_regions(SameModel(model), len(albedo))
    most = _MOST + forehead * (1 - places.brows) * (_MOST_ON_FOREHEAD - _MOST)
    kept = most * np.tanh(min(1.0, _USUAL / max(spread, 1e-6)) / most * base)
    glint = np.maximum(_soft(level) - base - _GLINT, 0)
    cut = (base - kept + glint - forehead * _strands(level)) * bare
    hue = (logs - known) - (logs - known).mean(axis=2, keepdims=True)
    hue -= np.median(hue[bare > 0.5], axis=0)
    wanted = _calm_hue(hue, cut, bare)
    return np.exp(logs - cut[..., None] + wanted - hue).astype(np.float32)


def _base(level: np.ndarray, weight: np.ndarray, brows: np.ndarray) -> np.ndarray:
    """Return (S, S) what is left of a level (S, S) without what is narrow and dark."""
    size = len(level)
    soft = _soft(level)
    narrow, wide = (
        cv2.morphologyEx(soft, cv2.MORPH_CLOSE, _disc(round(width * size)))
        for width in (_NARROW, _BROW)
    )
    brow = np.where(narrow < wide, wide - narrow, 0)
    guide = narrow + brows * smoothstep(brow, *_HAIR) * brow
    mean = _mean(guide, weight)
    varied = np.maximum(_mean(guide * guide, weight) - mean * mean, 0)
    slope = varied / (varied + _BORDER**2)
    return _mean(slope, weight) * guide + _mean(mean * (1 - slope), weight)


def _strands(level: np.ndarray) -> np.ndarray:
    """Return (S, S) how much darker than beside it is what is narrow across, as no wrinkle is."""
    soft = _soft(level)
    across = np.ones((1, round(_STRAND_WIDTH * len(level)) | 1), np.uint8)
    deeper = cv2.morphologyEx(soft, cv2.MORPH_CLOSE, across) - soft
    return np.maximum(deeper - _STRAND, 0)


def _soft(level: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(level, (0, 0), _PORES * len(level))


def _calm_hue(hue: np.ndarray, cut: np.ndarray, bare: np.ndarray) -> np.ndarray:
    """Return log hues (S, S, 3) that differ less from the expected ones on bare skin."""
    around = np.stack([_mean(hue[..., channel], bare) for channel in range(3)], axis=2)
    excess = around - _MOST_HUE * np.tanh(around / _MOST_HUE)
    doubt = smoothstep(np.abs(cut), *_DOUBT)[..., None]
    return hue + bare[..., None] * ((1 - doubt) * (hue - excess) - hue)


def _mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    sigma = _AROUND * len(values)
    mass = cv2.GaussianBlur(weight, (0, 0), sigma)
    return cv2.GaussianBlur((values * weight).astype(np.float32), (0, 0), sigma) / (mass + 1e-4)


def _disc(width: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width | 1, width | 1))


@lru_cache(maxsize=4)
def _places(key: SameModel, size: int) -> _Places:
    model, points = key.model, key.model.points68()

    def near(part: range, reach_mm: float) -> np.ndarray:
        away = cKDTree(points[list(part)]).query(model.vertices)[0]
        return 1 - smoothstep(away, reach_mm, reach_mm + _SOFT_MM)

    own = np.maximum.reduce([near(*each) for each in _OWN_MM])
    brows = near(range(17, 27), _BROWS_MM)
    painted = texel_map(model, size).painted(np.stack([own, brows], axis=1).astype(np.float32))
    skin = (label_map(model, size) == _SKIN).astype(np.float32)
    return _Places(skin, painted[..., 0], painted[..., 1])
