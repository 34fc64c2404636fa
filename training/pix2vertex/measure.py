"""How good maps are: depth as in §5.2, normals, correspondence, mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from stream.reconstruct.pix2vertex import UNIT_MM
from training.pix2vertex.losses import normals, squares_inside
from training.pix2vertex.nets import Maps

if TYPE_CHECKING:
    from torch import nn

_INLIER_SHARE = 0.05  # of the true range: what counts as fitting, for the robust fit
_TRIES = 200
_MOST_FITTED = 20_000  # pixels that the fit looks at


def fitted_depth(
    found: np.ndarray, true: np.ndarray, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the scale and shift that lay a depth on the true one, by RANSAC (§5.2).

    Args:
        found: (N,) depths of the pixels that both know.
        true: (N,).
        rng: draws the pairs of pixels; the same for all methods.
    """
    if len(found) > _MOST_FITTED:
        chosen = rng.choice(len(found), _MOST_FITTED, replace=False)
        found, true = found[chosen], true[chosen]
    limit = _INLIER_SHARE * max(float(np.ptp(true)), 1e-6)
    pairs = rng.integers(0, len(found), (_TRIES, 2))
    run = found[pairs[:, 1]] - found[pairs[:, 0]]
    rise = true[pairs[:, 1]] - true[pairs[:, 0]]
    scales = rise / np.where(np.abs(run) > 1e-6, run, np.inf)
    shifts = true[pairs[:, 0]] - scales * found[pairs[:, 0]]
    off = np.abs(scales[:, None] * found + shifts[:, None] - true)
    inside = off[int((off < limit).sum(axis=1).argmax())] < limit
    if inside.sum() < 3:
        inside = np.ones(len(found), bool)
    scale, shift = np.polyfit(found[inside], true[inside], 1)
    return float(scale), float(shift)


def depth_errors(found: np.ndarray, true: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return absolute errors after scale and shift, in % of the true range (§5.2, Table 1).

    Args:
        found: (N,) depths of the pixels that both know.
        true: (N,).
        seed: of the fit.
    """
    found, true = np.asarray(found, np.float64), np.asarray(true, np.float64)
    scale, shift = fitted_depth(found, true, np.random.default_rng(seed))
    return 100 * np.abs(scale * found + shift - true) / np.ptp(true)


def map_errors(network: nn.Module, examples: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """Measure a network on examples of `training.pix2vertex.examples`.

    Returns:
        `depth_percent` (§5.2, mean over faces of the mean over pixels), `depth_mm` (without
        scale and shift), `normal_deg`, `match_mm` (median and mean over all pixels), `mask_iou`.
    """
    sums: dict[str, list[float]] = {}
    for one in examples:
        found = ask(network, one["picture"])
        mask = one["mask"][..., 0] > 0
        seen = found.mask[0, 0].numpy() > 0.5
        row = {"mask_iou": (mask & seen).sum() / max((mask | seen).sum(), 1)}
        if found.points is not None and (mask & seen).sum() > 50:
            row |= _point_errors(found.points[0].numpy(), one, mask & seen)
        if found.correspondence is not None and (matched := one["matched"][..., 0] > 0).any():
            off = found.correspondence[0].permute(1, 2, 0).numpy() - one["correspondence"]
            distance = UNIT_MM * np.linalg.norm(off, axis=-1)[matched]
            row |= {"match_mm": distance.mean(), "match_median_mm": np.median(distance)}
        for name, value in row.items():
            sums.setdefault(name, []).append(float(value))
    return {name: float(np.mean(values)) for name, values in sums.items()}


def ask(network: nn.Module, picture: np.ndarray) -> Maps:
    """Run a network on one (S, S, 3) uint8 picture; maps on the CPU, batch of one."""
    place = next(network.parameters()).device
    given = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        found = Maps(*network(given.to(place)))
    points = None if found.points is None else found.points.float().cpu()
    places = None if found.correspondence is None else found.correspondence.float().cpu()
    return Maps(points, found.mask.float().cpu(), places)


def _point_errors(
    points: np.ndarray, one: dict[str, np.ndarray], inside: np.ndarray
) -> dict[str, float]:
    true = one["points"].transpose(2, 0, 1)
    relief = torch.from_numpy(np.concatenate([true[:2], points[2:]])[None])
    facing = (normals(relief) * normals(torch.from_numpy(true[None].copy()))).sum(dim=1)[0]
    whole = squares_inside(torch.from_numpy(inside[None, None].astype(np.float32)))[0, 0] > 0
    angle = torch.rad2deg(torch.acos(facing.clamp(-1, 1)))[whole]
    return {
        "depth_percent": float(depth_errors(points[2][inside], true[2][inside]).mean()),
        "depth_mm": float(UNIT_MM * np.abs(points[2] - true[2])[inside].mean()),
        "normal_deg": float(angle.mean()),
    }
