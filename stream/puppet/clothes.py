"""Clothes stay before the neck that turns in them: a layer of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.fill import pull_push
from stream.geometry import smoothstep
from stream.nearest import Nearest
from stream.puppet.layers import laid_over
from stream.sight import BACKGROUND, BODY, FACE, NECK

if TYPE_CHECKING:
    from stream.sight import Sight

_RADIUS = 1 / 40  # of the crop's longer side, over which colours decide about the border
_EPSILON = 12.0**2  # squared grey levels below which colours do not differ
_SURE = (0.3, 0.75)  # of the filtered share: where cloth begins and is certain
_OPAQUE = 250  # of the matte: nearer to the outline the layer that moves shows by itself
_PERSON, _LIKELY = 0.7, 0.6  # likelihoods of the networks that are believed
_ENCLOSED = 0.6  # of what lies around a part: it is a part of that
_FAR = 0.48  # of a mean around from 0.5: all is alike
_DARK = 12.0  # grey levels that damp the ratios of dark colours
_SPREAD = np.array([0.08, 0.08, 0.6])  # at least, of skin: log ratios of its channels, its light
_UNLIKE = 3.0  # spreads: no skin
_BAND = 19  # of the network's 256 pixels, around the border, in which colours decide
_WORN = 0.03  # of the share: less is no cloth
_THERE = 0.15  # of share and matte: less cloth at the outline may be scenery
_SKIN_ENDS = 1.3  # times as deep as where its motion ends
_UNDER_MM = (6.0, 28.0)  # under the border of clothes, where the neck goes on, and ends
_LINING_MM = (10.0, 14.0)  # beside the border of clothes, behind the neck: where they fade, and end
_LINING_EDGE_PX = 5  # of clothes, whose colours mix with what is beside them
_LINING_SHADE = (0.9, 0.65)  # of their light, at their border and at the lining's end


def clothes_share(sight: Sight, picture: np.ndarray) -> np.ndarray:
    """Find what of a picture shows clothes.

    The network's answer is coarse, and takes a collar for a neck. So colours decide near the
    border of the two (GrabCut: Rother, Kolmogorov, Blake, 2004), and the picture's own edges
    say where exactly (guided filter: He, Sun, Tang, 2010).

    Args:
        sight: of the crop; without labels there are no clothes.
        picture: (h, w, 3) uint8 RGB of the crop.

    Returns:
        (h, w) float32, 0…1.
    """
    height, width = picture.shape[:2]
    if sight.labels is None:
        return np.zeros((height, width), np.float32)
    inside = (sight.person > _PERSON) & (sight.labels[BACKGROUND] < 0.5)
    settled = _without_islands(_by_colour(sight.square, sight.labels), sight.labels, inside)
    settled = _beyond_the_outline(settled, inside)
    coarse = cv2.resize(settled, (width, height))
    radius = max(round(_RADIUS * max(height, width)), 2)
    fine = cv2.ximgproc.guidedFilter(picture, coarse, radius, _EPSILON)
    around = cv2.blur(coarse, (4 * radius + 1, 4 * radius + 1))  # far from a border nothing is
    fine = np.where(np.abs(around - 0.5) > _FAR, around, fine)  # to be found out
    return np.asarray(np.clip((fine - _SURE[0]) / (_SURE[1] - _SURE[0]), 0, 1), np.float32)


def _beyond_the_outline(mask: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Continue a mask outside the person, so that it has no border along his outline."""
    if not inside.any():
        return mask
    return Nearest.among(inside).spread(mask)


def _without_islands(mask: np.ndarray, labels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Count to the clothes what lies in them, and to the head what hangs on no clothes.

    A badge or a tie's light stripe is no skin; an earring or a lock of hair no collar.
    """
    _, numbers = cv2.connectedComponents(((mask > 0.5) & inside).astype(np.uint8))
    of_body = np.unique(numbers[labels[BODY] > _LIKELY])
    clothes = (numbers > 0) & np.isin(numbers, of_body)
    _, numbers = cv2.connectedComponents((~clothes & inside).astype(np.uint8))
    of_face = np.unique(numbers[labels[FACE] > _LIKELY])
    others: list[int] = np.setdiff1d(np.unique(numbers), [0, *of_face]).tolist()
    for number in others if len(of_face) else []:
        part = (numbers == number).astype(np.uint8)
        around = (cv2.dilate(part, np.ones((5, 5), np.uint8)) > part) & inside
        if around.any() and clothes[around].mean() > _ENCLOSED:
            clothes |= part > 0
    return clothes.astype(np.float32)


def _by_colour(square: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (256, 256) float32, 1 where clothes are, settled by colours near the neck."""
    body, neck, face = labels[BODY], labels[NECK], labels[FACE]
    within = np.ones((_BAND, _BAND), np.uint8)
    bare = neck * _like_skin(square, face > _LIKELY)
    sure = cv2.erode((body > _LIKELY).astype(np.uint8), within)
    skin = cv2.erode((bare > _LIKELY).astype(np.uint8), within) | (face > _LIKELY)
    mask = np.where(bare > body, cv2.GC_PR_BGD, cv2.GC_PR_FGD).astype(np.uint8)
    mask[body + neck < 0.5] = cv2.GC_BGD
    mask[skin > 0], mask[sure > 0] = cv2.GC_BGD, cv2.GC_FGD
    if not sure.any() or not skin.any():
        return (body > 0.5).astype(np.float32)
    # What is neither must not look like skin: a white wall would take a white collar for its own.
    told = square.copy()
    told[(body + neck < 0.5) & (skin == 0)] = np.median(square[skin > 0], axis=0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(told, mask, None, *models, 3, cv2.GC_INIT_WITH_MASK)
    return np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)


def _like_skin(square: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Return (256, 256) bool, where colours may be those of the face in whatever light."""
    if not face.any():
        return np.ones(face.shape, bool)
    logs = np.log(cv2.GaussianBlur(square, (0, 0), 1.0).astype(np.float32) + _DARK)
    light = logs.mean(axis=2)
    told = np.dstack([logs[..., 0] - logs[..., 1], logs[..., 1] - logs[..., 2], light])
    usual = np.median(told[face], axis=0)
    spread = np.maximum(1.48 * np.median(np.abs(told[face] - usual), axis=0), _SPREAD)
    return np.asarray((((told - usual) / spread) ** 2).sum(axis=2) < _UNLIKE**2)


def under_clothes(
    picture: np.ndarray, share: np.ndarray, matte: np.ndarray, plate: np.ndarray, px_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Continue the skin of the neck under the clothes, as far as it moves, within their outline.

    Args:
        picture: (h, w, 3) uint8 RGB.
        share: (h, w) float32, what is cloth.
        matte: (h, w) uint8 of the person.
        plate: (h, w, 3) uint8, the background.
        px_mm: size of a pixel at the neck.

    Returns:
        (h, w, 3) uint8 picture and (h, w) uint8 matte of the person without clothes.
    """
    worn = _worn(share, matte)
    known = ((matte > _OPAQUE) & ~worn).astype(np.float32)
    if not known.any():
        return picture, matte
    skin = np.rint(pull_push(picture.astype(np.float32), known)).astype(np.uint8)
    inside = cv2.erode((matte > _OPAQUE).astype(np.uint8), np.ones((5, 5), np.uint8))
    outline = (1 - cv2.blur(inside.astype(np.float32), (3, 3))) * np.clip(share / 0.5, 0, 1)
    bare = ((share < 0.5) & (matte > 127)).astype(np.uint8)
    deep_mm = cv2.distanceTransform(1 - bare, cv2.DIST_L2, 5) * px_mm
    ends = smoothstep(deep_mm, _UNDER_MM[1], _SKIN_ENDS * _UNDER_MM[1]) * (share > 0)
    left = np.asarray(np.rint(matte * (1 - outline) * (1 - ends)), np.uint8)
    # Whatever is left of clothes in the layer that moves would show as a rim that turns.
    return np.where(worn[..., None], laid_over(skin, left, plate), picture), left


def _worn(share: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """Return (h, w) bool, where clothes are or mix their colour into what is beside them."""
    around = np.ones((5, 5), np.uint8)
    cloth = cv2.dilate((share > _WORN).astype(np.uint8), around)
    there = cv2.dilate((share * matte > 255 * _THERE).astype(np.uint8), around)
    return np.asarray((cloth > 0) & (there > 0) & (matte > 255 * _WORN))


def clothes_layer(
    picture: np.ndarray, share: np.ndarray, matte: np.ndarray, behind: np.ndarray
) -> np.ndarray:
    """Return the clothes that, laid over what is behind them, give the picture.

    Args:
        picture: (h, w, 3) uint8 RGB, I.
        share: (h, w) float32, what is cloth.
        matte: (h, w) uint8 of the person.
        behind: (h, w, 3) uint8, D.

    Returns:
        (h, w, 4) uint8, premultiplied: I − (1 − s)·D, and s.
    """
    cover = share * matte
    # Nothing is darker than black or brighter than white: where D is so far from I, there is
    # more cloth than that.
    darker = 1 - ((picture + 1.0) / (behind + 1.0)).min(axis=2)
    brighter = 1 - ((256.0 - picture) / (256.0 - behind)).min(axis=2)
    least = 255 * np.maximum(darker, brighter)
    worn = _worn(share, matte)
    cover = np.where(worn, np.clip(np.maximum(cover, least), 0, 255), 0)
    colours = picture - (1 - cover[..., None] / 255) * behind
    colours = np.where(worn[..., None], np.clip(colours, 0, 255), 0)
    return np.asarray(np.rint(np.dstack([colours, cover])), np.uint8)


def lining(clothes: np.ndarray, matte: np.ndarray, px_mm: float) -> np.ndarray:
    """Return what lies behind the neck beside clothes: their other side.

    Where a neck that moves aside uncovers what it hid, there is the inside of the collar as long
    as clothes come next in the row, and scenery else.

    Args:
        clothes: (h, w, 4) uint8 premultiplied, in front of the neck.
        matte: (h, w) uint8 of the person with his clothes.
        px_mm: size of a pixel at the neck.

    Returns:
        (h, w, 4) uint8, premultiplied.
    """
    solid = (clothes[..., 3] > _OPAQUE).astype(np.uint8)
    inner = cv2.erode(solid, np.ones((_LINING_EDGE_PX, _LINING_EDGE_PX), np.uint8)) > 0
    rows, columns = np.indices(inner.shape)
    left = np.maximum.accumulate(np.where(inner, columns, -inner.size), axis=1)
    right = np.minimum.accumulate(np.where(inner, columns, inner.size)[:, ::-1], axis=1)[:, ::-1]
    nearest = np.where(columns - left <= right - columns, left, right)
    away_px = np.abs(nearest - columns)
    away_mm = away_px * px_mm
    nearest = np.clip(nearest, 0, inner.shape[1] - 1)
    cover = (1 - smoothstep(away_mm, *_LINING_MM)) * ((matte > _OPAQUE) & ~inner)
    # From the tip of a collar it falls off as a collar does, instead of ending in a row.
    side = 2 * round(_LINING_MM[1] / px_mm) + 1
    first = np.where(inner.any(axis=0), inner.argmax(axis=0), len(inner)).astype(np.float32)
    top = cv2.erode(first[None], np.ones((1, side), np.uint8))[0]
    reach_px = 2 * (rows - top[nearest])
    cover = cover * np.clip((reach_px - away_px) / _LINING_EDGE_PX, 0, 1)
    colours = clothes[rows, nearest, :3]
    dark = np.interp(away_mm, (0.0, _LINING_MM[1]), _LINING_SHADE)
    shown = np.dstack([colours * dark[..., None], np.full(cover.shape, 255.0)]) * cover[..., None]
    tall = 2 * max(round(_LINING_MM[0] / px_mm / 4), 1) + 1  # rows must not show as streaks
    total, weight = cv2.blur(shown, (1, tall)), cv2.blur(cover, (1, tall))
    mean = total / np.maximum(weight, 1e-3)[..., None]
    return np.asarray(np.rint(np.clip(mean, 0, 255) * cover[..., None]), np.uint8)


def still_under_clothes(
    turn: np.ndarray, share: np.ndarray, matte: np.ndarray, node_mm: float
) -> np.ndarray:
    """Let the share of the head's motion end a little under the border of the clothes.

    Args:
        turn: (rows, columns) share at the nodes.
        share: (rows, columns) 0…1, what is cloth.
        matte: (rows, columns) of the person.
        node_mm: distance of two nodes.

    Returns:
        (rows, columns) float32.
    """
    skin = ((share < 0.5) & (matte > 0.5)).astype(np.uint8)
    deep_mm = cv2.distanceTransform(1 - skin, cv2.DIST_L2, 5) * node_mm
    deep = np.clip((deep_mm - _UNDER_MM[0]) / (_UNDER_MM[1] - _UNDER_MM[0]), 0, 1)
    worn = cv2.dilate((share > 0.1).astype(np.uint8), np.ones((5, 5), np.uint8))
    deep = cv2.blur(deep * worn, (3, 3))
    return np.asarray(turn * (1 - deep * deep * (3 - 2 * deep)), np.float32)


def clothes_let_go(sight: Sight) -> Sight:
    """Return the sight as if clothes were neck, so that depth and motion go on under them."""
    if sight.labels is None:
        return sight
    labels = sight.labels.copy()
    labels[NECK] += labels[BODY]
    labels[BODY] = 0
    return replace(sight, labels=labels, cloth=None)


def clothes_told(sight: Sight, share: np.ndarray) -> Sight:
    """Return the sight with no skin where clothes are, as colours and edges settled it.

    Args:
        sight: of the crop.
        share: (h, w) float32, what is cloth.
    """
    if sight.labels is None:
        return sight
    labels = sight.labels.copy()
    bare = 1 - cv2.resize(share, labels.shape[:0:-1], interpolation=cv2.INTER_AREA)
    labels[[FACE, NECK]] *= bare
    return replace(sight, labels=labels, cloth=None)
