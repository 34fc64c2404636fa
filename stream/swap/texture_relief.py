"""Relief of light in a texture: what is left of hard light after the smooth light is taken off.

A lamp at one side, or a painter, leaves patches with sharp borders on nose, sockets and cheeks.
Neither harmonics of the normal nor what varies slowly explains them, and under the even light of
another face they look like metal. Skin by itself varies little once brows, lips, nostrils, lines
and moles are left out; all these are narrow. So the texture is parted, relative to the skin that is
expected, into a base that goes along with borders but not with what is narrow (a guided filter, He
et al. 2013), and the rest. The base is pressed into what skin may have; the rest stays. Colour that
lay in the dark is noise, and gives way to the expected one.

Sockets and nose are shaped so that shadows are narrow there, too, and a photo or painting without
brows has nothing but shade and grain where brows would be. So where there are no brows, or the
light was hard, the rest is pressed there as well, but for what is as dark as the hairs of brows. In
an even light that shade is the person's own, by which he is known, and stays.

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
_USUAL = 0.25  # spread of the base in an evenly lit photo; where there is more, it is light
_MOST_ON_FOREHEAD = 0.08  # and temples, which are plain: strands, their shadows, gloss
_MOST, _MOST_HUE = 0.25, 0.06  # of log colour: how far skin differs from skin
_DOUBT = (0.1, 0.6)  # so much lifted or lowered, the hue is doubtful, and worth nothing
_HARD = (0.16, 0.23)  # that spread: begins to be, and is, hard light
_MOST_IN_SOCKET = (0.3, 0.5)  # and beside the nose, of broad and narrow: without brows, and with
_BROW_HAIR, _HAIR_REACH = (0.35, 0.65), 0.014  # of log colour; of the side, around hairs
_DEEPEST_PERCENT, _HAS_BROWS = 98, (0.45, 0.75)  # of the skin about brows; of log colour
_DOUBT_IN_SOCKET = 0.7
# Points of features, and how far they reach, mm: whose colour is their own, and where shade is
# narrow. Nostrils are holes, not shade.
_EYES, _BROWS, _NOSE, _NOSTRILS = range(36, 48), range(17, 27), range(27, 36), range(31, 36)
_WITHIN_BROWS = range(18, 26)  # beside whose outer ends hair of the temples begins
_OUTLINES_MM = (range(36, 42), 2.0), (range(42, 48), 2.0), (range(48, 60), 1.5)  # eyes, lips
_BROWS_MM, _NOSTRILS_MM, _SOFT_MM = 7.0, 3.0, 3.0
_SOCKET_MM, _ABOUT_EYES_MM, _BESIDE_NOSE_MM, _HAIRS_MM = 14.0, 16.0, 9.0, 11.0
_LOWER_LIP, _BELOW_LIP_MM, _HOLLOW_MM = range(55, 60), 5.0, 4.0  # the hollow above the chin


class _Places(NamedTuple):
    """(S, S) float32 each, 0…1.

    Attributes:
        skin: plain skin.
        own: what keeps its colour.
        brows: around the brows.
        hairs: farther around the brows, where their hairs may be.
        shaded: sockets, the sides of the nose and below the lip, where shade is narrow.
        about_eyes: farther around the eyes, falling slowly.
    """

    skin: np.ndarray
    own: np.ndarray
    brows: np.ndarray
    hairs: np.ndarray
    shaded: np.ndarray
    about_eyes: np.ndarray


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
    level = _beside(logs, known, bare)
    base = _base(level, bare, places.brows)
    spread = _spread(base, bare)
    has_brows, hairs = _hairs(level, places)
    pressed = max(1 - has_brows, float(smoothstep(spread, *_HARD)))
    if pressed > 0:
        known = _without_sockets(known, places, pressed)
        level = _beside(logs, known, bare)
        base = _base(level, bare, places.brows * has_brows)
    forehead, _ = bare_regions(SameModel(model), len(albedo))
    most = _MOST + forehead * (1 - places.brows) * (_MOST_ON_FOREHEAD - _MOST)
    trust = min(1.0, _USUAL / max(spread, 1e-6))
    kept = most * np.tanh(trust / most * base)
    glint = np.maximum(_soft(level) - base - _GLINT, 0)
    cut = base - kept + glint - forehead * _strands(level)
    socket = pressed * places.shaded * (1 - hairs)
    most_there = trust * np.interp(has_brows, (0, 1), _MOST_IN_SOCKET)
    left = _soft(level) - cut
    cut = (cut + socket * (left - most_there * np.tanh(left / most_there))) * bare
    hue = (logs - known) - (logs - known).mean(axis=2, keepdims=True)
    hue -= np.median(hue[bare > 0.5], axis=0)
    doubt = np.maximum(smoothstep(np.abs(cut), *_DOUBT), _DOUBT_IN_SOCKET * socket)
    wanted = _calm_hue(hue, doubt, bare)
    return np.exp(logs - cut[..., None] + wanted - hue).astype(np.float32)


def _beside(logs: np.ndarray, known: np.ndarray, bare: np.ndarray) -> np.ndarray:
    """Return (S, S) how bright logarithms are beside known ones, 0 on most of the bare skin."""
    level = (logs - known).mean(axis=2)
    return np.asarray(level - np.median(level[bare > 0.5]))


def _spread(base: np.ndarray, bare: np.ndarray) -> float:
    return float(np.sqrt((bare * base**2).sum() / bare.sum()))


def _without_sockets(known: np.ndarray, places: _Places, share: float) -> np.ndarray:
    """Return what skin is expected, (S, S, 3) logarithms, as plain in sockets as around them.

    The skin model is a mean of people, whose brows and deep-set eyes are a wide shade in it: what
    is pressed towards it would get the ghost of a brow.
    """
    outside = places.skin * (1 - np.maximum(places.about_eyes, places.own)) > 0.5
    plain = np.median(known[outside], axis=0)
    return known + share * places.about_eyes[..., None] * (plain - known)


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


def _hairs(level: np.ndarray, places: _Places) -> tuple[float, np.ndarray]:
    """Return how surely there are brows, 0…1, and (S, S) 0…1 where their hairs are.

    Hairs are much darker than what is around them.
    """
    soft, size = _soft(level), len(level)
    darker = cv2.morphologyEx(soft, cv2.MORPH_CLOSE, _disc(round(_BROW * size))) - soft
    deepest = float(np.percentile(darker[places.brows > 0.5], _DEEPEST_PERCENT))
    has_brows = float(smoothstep(deepest, *_HAS_BROWS))
    hairs = (has_brows * smoothstep(darker, *_BROW_HAIR)).astype(np.float32)
    grown = cv2.dilate(hairs, _disc(round(2 * _HAIR_REACH * size)))
    return has_brows, places.hairs * cv2.GaussianBlur(grown, (0, 0), _HAIR_REACH * size / 2)


def _strands(level: np.ndarray) -> np.ndarray:
    """Return (S, S) how much darker than beside it is what is narrow across, as no wrinkle is."""
    soft = _soft(level)
    across = np.ones((1, round(_STRAND_WIDTH * len(level)) | 1), np.uint8)
    deeper = cv2.morphologyEx(soft, cv2.MORPH_CLOSE, across) - soft
    return np.maximum(deeper - _STRAND, 0)


def _soft(level: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(level, (0, 0), _PORES * len(level))


def _calm_hue(hue: np.ndarray, doubt: np.ndarray, bare: np.ndarray) -> np.ndarray:
    """Return log hues (S, S, 3) that differ less from the expected ones on bare skin.

    Args:
        hue: (S, S, 3) beside the expected one.
        doubt: (S, S) 0…1, where hues are worth nothing.
        bare: (S, S) 0…1, where skin is bare.
    """
    around = np.stack([_mean(hue[..., channel], bare) for channel in range(3)], axis=2)
    excess = around - _MOST_HUE * np.tanh(around / _MOST_HUE)
    return hue + bare[..., None] * ((1 - doubt[..., None]) * (hue - excess) - hue)


def _mean(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    sigma = _AROUND * len(values)
    mass = cv2.GaussianBlur(weight, (0, 0), sigma)
    return cv2.GaussianBlur((values * weight).astype(np.float32), (0, 0), sigma) / (mass + 1e-4)


def _disc(width: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width | 1, width | 1))


@lru_cache(maxsize=4)
def _places(key: SameModel, size: int) -> _Places:
    model, points = key.model, key.model.points68()

    def near(part: range, reach_mm: float, soft_mm: float = _SOFT_MM) -> np.ndarray:
        return _near(model, points[list(part)], reach_mm, soft_mm)

    own = [_within(model, part, reach_mm) for part, reach_mm in _OUTLINES_MM]
    own = np.maximum.reduce([*own, near(_NOSTRILS, _NOSTRILS_MM)])
    hollow = points[list(_LOWER_LIP)] + np.array([0.0, _BELOW_LIP_MM, 0.0])
    shaded = np.maximum.reduce(
        [near(_EYES, _SOCKET_MM), near(_NOSE, _BESIDE_NOSE_MM), _near(model, hollow, _HOLLOW_MM)]
    )
    brows, hairs = near(_BROWS, _BROWS_MM), near(_WITHIN_BROWS, _HAIRS_MM)
    about_eyes = near(_EYES, _SOCKET_MM, _ABOUT_EYES_MM)
    at_vertices = np.stack([own, brows, hairs, shaded, about_eyes], axis=1)
    painted = texel_map(model, size).painted(at_vertices.astype(np.float32))
    skin = (label_map(model, size) == _SKIN).astype(np.float32)
    return _Places(skin, *np.moveaxis(np.clip(painted, 0, 1), 2, 0))  # painting overshoots


def _near(
    model: HeadModel, places: np.ndarray, reach_mm: float, soft_mm: float = _SOFT_MM
) -> np.ndarray:
    """Return (V,) 1 as near to one of the places (N, 3) as a reach, and 0 a little beyond it."""
    away = cKDTree(places).query(model.vertices)[0]
    return 1 - smoothstep(away, reach_mm, reach_mm + soft_mm)


def _within(model: HeadModel, part: range, reach_mm: float) -> np.ndarray:
    """Return (V,) 1 within an outline of points as seen from the front, and a little beyond it."""
    outline = model.points68()[list(part), :2].astype(np.float32)
    away = [-cv2.pointPolygonTest(outline, (float(x), float(y)), measureDist=True)
            for x, y in model.vertices[:, :2]]  # fmt: skip
    return 1 - smoothstep(np.array(away), reach_mm, reach_mm + _SOFT_MM)
