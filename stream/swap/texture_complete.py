"""Completing a texture: what no photo shows, from the mirror half and from smooth continuation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.fill import pull_push
from stream.swap.texture_map import island_map, label_map, texel_map

if TYPE_CHECKING:
    from stream.head_model import HeadModel

_MIRROR_TRUST = 0.9
_DARK = 0.004
_GAINS = (0.4, 2.5)
_BORDER, _BORDER_TRUST = 0.01, 0.25  # of the side: as far as a mirrored colour takes on a level
_LEVEL, _HUE = 0.35, 0.06  # of log colour: how far what is continued may lie from the mean
_MOUTH, _EYES = 5, 6
# Linear albedo of what lips and lids hide.
_LINING, _SOCKET = np.array([0.16, 0.045, 0.045]), np.array([0.25, 0.10, 0.08])
_TEETH, _TONGUE = np.array([0.62, 0.56, 0.46]), np.array([0.34, 0.12, 0.12])


def completed(
    albedo: np.ndarray, seen: np.ndarray, expected: np.ndarray, model: HeadModel
) -> np.ndarray:
    """Fill a texture where it was not seen.

    First from the mirror half, with its level carried over from where both halves are known;
    then with the ratio to an expected skin, continued smoothly, so that lips stay lips. Each
    island of the map is filled from itself.

    Args:
        albedo: (S, S, 3) linear.
        seen: (S, S) trust, 0…1.
        expected: (S, S, 3) linear, a skin that is roughly right everywhere.
        model: the head model.

    Returns:
        (S, S, 3) float32 linear; equal to ``albedo`` where ``seen`` is 1.
    """
    result, known = with_mirror(albedo, seen)
    ratio = _calm(np.log(np.maximum(result, _DARK)) - np.log(np.maximum(expected, _DARK)), known)
    filled = np.zeros_like(ratio)
    for part in islands(model, len(albedo)):
        inside = pull_push(ratio, known * part)
        filled = np.where(part[..., None] > 0, inside, filled)
    guess = np.exp(filled) * np.maximum(expected, _DARK)
    share = known[..., None]
    return np.clip(share * result + (1 - share) * guess, 0, 1).astype(np.float32)


def _calm(ratio: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Bound log ratios (S, S, 3) about their mean: what is wild shall not be continued."""
    mean = (ratio * known[..., None]).sum(axis=(0, 1)) / max(float(known.sum()), 1e-6)
    apart = ratio - mean
    level = apart.mean(axis=2, keepdims=True)
    return mean + np.clip(level, -_LEVEL, _LEVEL) + np.clip(apart - level, -_HUE, _HUE)


def with_mirror(albedo: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay the mirrored texture under a texture.

    The mirrored colours take on the level of their new side where both sides are seen; farther
    in they keep their own, since an extrapolated level is worse than none.

    Args:
        albedo: (S, S, 3) linear.
        seen: (S, S) trust, 0…1.

    Returns:
        Colours (S, S, 3), and how well known they are (S, S).
    """
    seen_there = seen[:, ::-1]
    logs = np.log(np.maximum(albedo, _DARK))
    both = np.minimum(seen, seen_there)
    apart = np.clip(logs - logs[:, ::-1], *np.log(_GAINS)) * both[..., None]
    sigma = _BORDER * len(albedo)
    near = np.maximum(cv2.GaussianBlur(both, (0, 0), sigma), _BORDER_TRUST)
    level = cv2.GaussianBlur(apart, (0, 0), sigma) / near[..., None]
    own = seen**2  # what is seen poorly yields to a mirror image that is seen well
    added = (1 - own) * seen_there * _MIRROR_TRUST
    known = own + added
    mixed = albedo * own[..., None] + albedo[:, ::-1] * np.exp(level) * added[..., None]
    return (mixed / np.maximum(known, 1e-6)[..., None]).astype(np.float32), known


def with_mouth_inside(albedo: np.ndarray, level: np.ndarray, model: HeadModel) -> np.ndarray:
    """Paint what no photo shows well: the linings of mouth and lids, teeth and tongue.

    Args:
        albedo: (S, S, 3) linear.
        level: (3,) gain from true albedo to that of the texture.
        model: the head model.
    """
    labels, island = label_map(model, len(albedo)), island_map(model, len(albedo))
    mouth, skin = labels == _MOUTH, island == 0
    painted = mouth | ((labels == _EYES) & skin)
    result = albedo.copy()
    result[painted] = np.where(mouth[painted][:, None], _LINING, _SOCKET) * level
    inside = np.unique(island[mouth & ~skin])
    for number in inside:  # rows of teeth, and the tongue below them
        colour = _TONGUE if number == inside[-1] else _TEETH
        result[mouth & (island == number)] = colour * level
    soft = cv2.GaussianBlur(result, (0, 0), 0.002 * len(albedo))
    return np.where(painted[..., None], soft, result).astype(np.float32)


def with_margins(albedo: np.ndarray, model: HeadModel) -> np.ndarray:
    """Continue the colours over the borders of the islands, for smaller levels of the texture."""
    covered = texel_map(model, len(albedo)).covered.astype(np.float32)
    return pull_push(albedo, covered)


def islands(model: HeadModel, size: int) -> list[np.ndarray]:
    """Return (S, S) float32 masks that part the texture: skin first, then left and right rest.

    Off the surface, texels belong to what is near them.
    """
    others = (island_map(model, size) > 0).astype(np.uint8)
    others = (cv2.dilate(others, np.ones((9, 9), np.uint8)) > 0) & (island_map(model, size) != 0)
    left = np.broadcast_to(np.arange(size) < size // 2, (size, size))
    parts = (~others, others & left, others & ~left)
    return [part.astype(np.float32) for part in parts]
