"""Losses of Learning Monocular Face Reconstruction using Multi-View Supervision, eqs. 3–16.

Each function is one equation. Depth is normalised (eq. 7): 0…1, 0 where there is no face.
‖·‖ is the mean absolute difference, so that a weight does not depend on the size of pictures.
Letters in shapes: N pictures, H × W pixels, K identity components, E face units, L landmarks.
"""

from __future__ import annotations

import torch
from torch import nn

MODEL_WEIGHT = 0.02  # λ3 of eq. 10
OCCLUSION_STEP = 0.05  # of normalised depth, §III-D


# --- 3DMMNet ------------------------------------------------------------------------------------


def parameters(
    identity: torch.Tensor,
    true_identity: torch.Tensor,
    expression: torch.Tensor,
    true_expression: torch.Tensor,
    known: torch.Tensor,
) -> torch.Tensor:
    """E_α: λ1 ‖α_id − α̂_id‖ + λ2 ‖α_exp − α̂_exp‖ (eq. 3), λ1 = 1.

    Args:
        identity: (N, K) found.
        true_identity: (N, K).
        expression: (N, E) found.
        true_expression: (N, E).
        known: (N,) λ2: 1 where the expression is known, 0 for real pictures.
    """
    first = (identity - true_identity).abs().mean(dim=1)
    second = (expression - true_expression).abs().mean(dim=1)
    return (first + known * second).mean()


def pair(
    identity: tuple[torch.Tensor, torch.Tensor], expression: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """E_pair: ‖g_id(I¹) − g_id(I²)‖ + ‖g_exp(I¹) − g_exp(I²)‖ (eq. 4), for (N, K) and (N, E)."""
    return (identity[0] - identity[1]).abs().mean() + (expression[0] - expression[1]).abs().mean()


def landmarks(found: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """E_land: mean distance of projected from detected landmarks (eq. 5), both (N, L, 2)."""
    return ((found - seen).square().sum(dim=-1) + 1e-12).sqrt().mean()


# --- DepthNet -----------------------------------------------------------------------------------


def depth(found: torch.Tensor, true: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """E_depth: ‖D − D̂‖ over what is known (eq. 8).

    Args:
        found: (N, H, W).
        true: likewise; anything where it is not known.
        known: (N, H, W) weight, 0…1.
    """
    return _mean((found - torch.where(known > 0, true, 0.0)).abs(), known)


def normals_of(value: torch.Tensor, across: float) -> torch.Tensor:
    """Return (N, 3, H−1, W−1) unit normals by finite differences (eq. 9).

    They are x right, y down and towards the camera, as normalised depth rises towards it.

    Args:
        value: (N, H, W) normalised depth.
        across: length of a pixel in the units of normalised depth, so that normals are those of
            the surface: |a| ÷ pixels of the crop's side.
    """
    right = value[:, :-1, 1:] - value[:, :-1, :-1]
    down = value[:, 1:, :-1] - value[:, :-1, :-1]
    normal = torch.stack([-right, -down, torch.full_like(right, across)], dim=1)
    return nn.functional.normalize(normal, dim=1)


def normals(
    found: torch.Tensor, true: torch.Tensor, known: torch.Tensor, across: float
) -> torch.Tensor:
    """E_normals: ‖N_D − N_D̂‖ where three neighbours are known (eq. 9); arguments as above."""
    safe = torch.where(known > 0, true, 0.0)
    weight = torch.minimum(known[:, :-1, :-1], known[:, :-1, 1:])
    weight = torch.minimum(weight, known[:, 1:, :-1])
    difference = (normals_of(found, across) - normals_of(safe, across)).abs().sum(dim=1)
    return _mean(difference, weight)


def relief(found: torch.Tensor, true: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return what §V judges depth by: ‖s D + t − D̂‖ with each picture's best scale s and shift t.

    Not one of the paper's losses: E_depth (eq. 8) is mostly the distance of the whole face, which
    a face in a crop hardly shows, and drowns its form. No gradient goes through s and t.

    Args:
        found: (N, H, W).
        true: likewise; anything where it is not known.
        known: (N, H, W) weight, 0…1.
    """
    target = torch.where(known > 0, true, 0.0)
    total = known.sum(dim=(1, 2), keepdim=True).clamp_min(1.0)

    def mean(values: torch.Tensor) -> torch.Tensor:
        return (known * values).sum(dim=(1, 2), keepdim=True) / total

    with torch.no_grad():
        middle, level = mean(found), mean(target)
        spread = mean((found - middle).square()).clamp_min(1e-6)
        scale = mean((found - middle) * (target - level)) / spread
    return _mean((scale * (found - middle) + level - target).abs(), known)


def model(found: torch.Tensor, model_depth: torch.Tensor) -> torch.Tensor:
    """E_3DMM: λ3 ‖D − D_S‖² over the whole picture (eq. 10), λ3 = 0.02.

    D_S is 0 where the model is not, so that depth is drawn to 0 there. No gradient goes to D_S.
    """
    return MODEL_WEIGHT * (found - model_depth.detach()).square().mean()


def photo(first: torch.Tensor, warped: torch.Tensor) -> torch.Tensor:
    """E_multiview: ‖I¹ − I^(2→1)‖ of (N, 3, H, W) pictures (eq. 11)."""
    return (first - warped).abs().mean()


def seen_photo(first: torch.Tensor, warped: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """E_multiview with an occlusion mask: ‖M° ⊙ (I¹ − I^(2→1))‖ (eq. 12).

    Args:
        first: (N, 3, H, W).
        warped: likewise.
        seen: (N, H, W) M°, 1 where both views show the point. The mean is over these pixels.
    """
    return _mean((first - warped).abs().mean(dim=1), seen)


def suitable_photo(
    first: torch.Tensor, warped: torch.Tensor, seen: torch.Tensor, suitability: torch.Tensor
) -> torch.Tensor:
    """E_VS: ‖h(I¹) ⊙ M° ⊙ (I¹ − I^(2→1))‖ (eq. 14); suitability is (N, H, W), 0…1.

    The mean is over M°: over h as well, the scale of h would cancel and eq. 15 balance nothing.
    """
    difference = suitability * (first - warped).abs().mean(dim=1)
    return _mean(difference, seen)


def suitability(found: torch.Tensor) -> torch.Tensor:
    """E_reg: ‖C − 1‖ keeps the map from being 0 everywhere (eq. 15)."""
    return (found - 1).abs().mean()


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    weight = weight.float()
    return (weight * values).sum() / weight.sum().clamp(min=1)
