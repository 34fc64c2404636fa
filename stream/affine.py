"""Affine cameras from point pairs: eqs. 2 and 3 of DepthNets, for numpy and torch alike.

Letters as in the paper: K points, source points (x, y, z), target points (x, y), and the 2×4
matrix m that maps the first to the second. The 2K×8 system of eq. 2 holds one K×4 matrix twice,
once for each coordinate of the target; here it is one least-squares problem with two right-hand
sides, solved for any number of pairs at once. Functions take numpy arrays or torch tensors and
give back the same; gradients flow through all of them.
"""

import sys
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray or torch.Tensor, which share what is used of them here
Module = Any  # numpy or torch

LEAST_POINTS = 4


class DegeneratePointsError(ValueError):
    """The points do not fix an affine: they lie in a plane, on a line, or are too few."""


def namespace(array: Array) -> Module:
    """Return the module whose functions take an array: torch for its tensors, else numpy."""
    of_torch = type(array).__module__.split(".")[0] == "torch"
    return sys.modules["torch"] if of_torch else np


def lift(points: Array, depth: Array) -> Array:
    """Put (…, K, 2) points and their (…, K) depths together: (…, K, 3)."""
    return namespace(points).concatenate([points, depth[..., None]], axis=-1)


def apply_affine(affine: Array, points: Array) -> Array:
    """Map (…, K, D) points by (…, 2, D + 1) affines: (…, K, 2)."""
    return points @ _transposed(affine[..., :-1]) + affine[..., None, :, -1]


def solve_affine(source: Array, target: Array, ridge: float = 0.0) -> Array:
    """Return the affine that maps points to their targets best: eq. 3 of DepthNets.

    Both sets are centred and scaled first, depth by itself, so that neither the place of the
    face nor the unit of depth matters; then one QR factorisation serves both rows of m.

    Args:
        source: (…, K, D) points; D = 3 with depth, as in the paper, or 2 for a plane affine.
        target: (…, K, 2) where they go.
        ridge: weight of a pull of m's linear part to 0, relative to the scaled points. With it
            points in a plane have an answer too, as a network's first guesses need; 0 is exact.

    Returns:
        (…, 2, D + 1): linear part, then shift.

    Raises:
        DegeneratePointsError: if the points are too few, not finite, or (without a ridge) lie in
            a subspace, so that no single affine is best.
    """
    xp = namespace(source)
    count, size = source.shape[-2:]
    if count < size + 1:
        raise DegeneratePointsError(f"{count} points do not fix an affine of {size + 1} columns")
    points, centre, scale = _normalised(xp, source, split=2)
    wanted, target_centre, target_scale = _normalised(xp, target, split=2)
    # Centred on both sides, the shift is 0 and its column of eq. 2 is orthogonal to the others.
    if ridge:
        points, wanted = _with_ridge(xp, points, wanted, ridge)
    q, r = xp.linalg.qr(points)
    _require_full_rank(xp, r)
    linear = _transposed(xp.linalg.solve(r, _transposed(q) @ wanted))
    linear = linear * _transposed(target_scale) / scale
    shift = _transposed(target_centre) - linear @ _transposed(centre)
    return xp.concatenate([linear, shift], axis=-1)


def depth_row(affine: Array) -> Array:
    """Return the (…, 4) row that a 2×4 affine lacks: it gives depth after the motion.

    The paper drops it. It is the direction that both rows leave out, as long as they are, so
    that a scaled rotation is completed to itself; the shift is 0.
    """
    xp = namespace(affine)
    across, down = affine[..., 0, :3], affine[..., 1, :3]
    normal = xp.linalg.cross(across, down) if xp is not np else np.cross(across, down)
    lengths = (across**2).sum(-1) * (down**2).sum(-1)
    row = normal / xp.maximum(lengths, xp.full_like(lengths, 1e-24))[..., None] ** 0.25
    return xp.concatenate([row, xp.zeros_like(row[..., :1])], axis=-1)


def _normalised(xp: Module, points: Array, split: int) -> tuple[Array, Array, Array]:
    """Centre points and scale them to unit spread: the first `split` axes alike, others alone."""
    centre = points.mean(-2)[..., None, :]
    rest = points - centre
    variance = (rest**2).mean(-2)[..., None, :]
    flat = xp.ones_like(variance[..., :split]) * variance[..., :split].mean(-1)[..., None]
    variance = xp.concatenate([flat, variance[..., split:]], axis=-1)
    scale = (variance + np.finfo(np.float32).tiny) ** 0.5  # differentiable where all is one place
    return rest / scale, centre, scale


def _with_ridge(xp: Module, points: Array, wanted: Array, ridge: float) -> tuple[Array, Array]:
    """Append rows that pull the linear part to 0."""
    size = points.shape[-1]
    weight = (ridge * points.shape[-2]) ** 0.5
    pull = xp.zeros_like(points[..., :size, :]) + weight * _eye(xp, points)
    still = xp.zeros_like(wanted[..., :1, :]) + xp.zeros_like(pull[..., :1])
    return xp.concatenate([points, pull], axis=-2), xp.concatenate([wanted, still], axis=-2)


def _eye(xp: Module, like: Array) -> Array:
    """Return the identity of the kind and type of points."""
    size = like.shape[-1]
    if xp is np:
        return np.eye(size, dtype=like.dtype)
    return xp.eye(size, dtype=like.dtype, device=like.device)


def _require_full_rank(xp: Module, r: Array) -> None:
    """Refuse sets whose smallest extent is nothing but rounding."""
    inner = r.detach() if xp is not np else r
    finite = bool(xp.isfinite(inner).all())
    spread = xp.linalg.svd(inner)[1] if finite else None
    least = float(xp.finfo(r.dtype).eps) ** 0.5
    if spread is None or bool((spread[..., -1] <= least * spread[..., 0]).any()):
        raise DegeneratePointsError("the points lie in a plane or on a line, or are not finite")


def _transposed(array: Array) -> Array:
    return array.swapaxes(-1, -2)
