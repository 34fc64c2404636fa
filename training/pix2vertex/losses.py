"""Losses of pix2vertex: L1 on maps and on normals (Sela et al. 2017, §3.2 and supplement A)."""

from __future__ import annotations

import torch
from torch.nn import functional

RATE_L1 = 100.0  # λ_L1 of supplement A
RATE_NORMALS = 10.0  # λ_N


def masked_l1(found: torch.Tensor, true: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean |found − true| where the mask is 1.

    Args:
        found: (N, C, H, W).
        true: the same.
        mask: (N, 1, H, W), 0 or 1.
    """
    weight = mask.to(found.dtype)
    total = (weight * (found - true).abs()).sum()
    return total / (weight.sum() * found.shape[1]).clamp(min=1)


def normals(points: torch.Tensor) -> torch.Tensor:
    """Unit normals of a surface given by the place of each pixel, towards the camera.

    Args:
        points: (N, 3, H, W), x right, y down, z forward.

    Returns:
        (N, 3, H−1, W−1), of each square of four pixels.
    """
    across = points[:, :, :-1, 1:] + points[:, :, 1:, 1:] - points[:, :, :-1, :-1]
    across = across - points[:, :, 1:, :-1]
    down = points[:, :, 1:, :-1] + points[:, :, 1:, 1:] - points[:, :, :-1, :-1]
    down = down - points[:, :, :-1, 1:]
    # Written out: torch's own cross product and normalisation take five times as long here.
    (a, b, c), (d, e, f) = down.unbind(1), across.unbind(1)
    facing = torch.stack([b * f - c * e, c * d - a * f, a * e - b * d], dim=1)
    return facing * torch.rsqrt((facing * facing).sum(dim=1, keepdim=True) + 1e-18)


def squares_inside(mask: torch.Tensor) -> torch.Tensor:
    """(N, 1, H, W) → (N, 1, H−1, W−1): whether all four pixels of a square are."""
    return -functional.max_pool2d(-mask.float(), 2, 1)


def normal_loss(points: torch.Tensor, true: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """‖n(ẑ) − n(z)‖₁ (eq. 1), the mean over the face.

    Only z is the network's: x and y of the truth are taken on both sides, so that the term sees
    the relief and not where the pixels lie.

    Args:
        points: (N, 3, H, W) found.
        true: the same, true.
        mask: (N, 1, H, W), 0 or 1, where the truth is known.
    """
    relief = torch.cat([true[:, :2], points[:, 2:]], dim=1)
    return 3 * masked_l1(normals(relief), normals(true), squares_inside(mask))
