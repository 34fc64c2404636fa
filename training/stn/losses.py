"""The four losses of 3DMM-STN (Bas et al. 2017), §3; each is one equation.

Letters in shapes: B pictures, C channels, L landmarks, D shape parameters, h × w texels. Sums
over texels are divided by how many count, so that a weight does not depend on the grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def symmetry(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """ℓ_sym = Σ M_i M_sym(i) (V_i − V_sym(i))² (eq. 2).

    Args:
        values: (B, C, h, w) sampled texture; columns mirror about its middle.
        mask: (B, h, w), 1 where a texel is visible.
    """
    both = mask * mask.flip(2)
    return _mean((values - values.flip(3)).square().sum(dim=1), both)


def multiview(
    first: torch.Tensor, second: torch.Tensor, masks: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """ℓ_multiview = Σ M_i N_i (V_i − W_i)² (eq. 3).

    Args:
        first: (B, C, h, w) texture of one view.
        second: of the other: another picture of the person, or the mirrored picture (§3.2).
        masks: (B, h, w) visibility of each.
    """
    return _mean((first - second).square().sum(dim=1), masks[0] * masks[1])


def landmark(found: torch.Tensor, seen: torch.Tensor, confidence: torch.Tensor) -> torch.Tensor:
    """ℓ_landmark = Σ c_i ‖L_i − l_i‖² (eq. 5), mean over the batch and the confidence.

    Args:
        found: (B, 2, L).
        seen: likewise.
        confidence: (B, L); 0 for what was not detected.
    """
    return _mean((found - seen).square().sum(dim=1), confidence)


def prior(alpha: torch.Tensor) -> torch.Tensor:
    """ℓ_prior = ‖α‖² of (B, D) (eq. 6), mean over the batch."""
    return alpha.square().sum(dim=1).mean()


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (weight * values).sum() / weight.sum().clamp(min=1)
