"""A discriminator that judges every patch of a picture (Isola et al. 2017), without a sigmoid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

if TYPE_CHECKING:
    from collections.abc import Sequence


_SPREAD = 4.0  # bounded layers lose what differs little


class PatchDiscriminator(nn.Module):
    """Scores of overlapping patches, for least-squares losses (Mao et al. 2017).

    Its layers but the last are bounded by their spectral norm (Miyato et al. 2018), which keeps
    training calm with few examples.

    Args:
        inputs: channels that come in.
        widths: channels of the layers; each halves the resolution.

    Attributes:
        steps: how many steps it was trained, kept with its weights.
    """

    steps: torch.Tensor

    def __init__(self, inputs: int, widths: Sequence[int] = (32, 64, 96, 128)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((inputs, *widths[:-1]), widths, strict=True):
            layers += [spectral_norm(nn.Conv2d(before, after, 4, 2, 1)), nn.LeakyReLU(0.2)]
        layers.append(nn.Conv2d(widths[-1], 1, 3, 1, 1))
        self.body = nn.Sequential(*layers)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) → (N, 1, H/16, W/16); 1 means real, 0 made."""
        return self.body(_SPREAD * (x - 0.5))


def judge_loss(
    real: torch.Tensor, made: torch.Tensor, weight_real: torch.Tensor, weight_made: torch.Tensor
) -> torch.Tensor:
    """Least squares of the discriminator (Deep 3D Portrait, eq. 12), where a weight says so.

    Args:
        real: (N, 1, h, w) scores.
        made: (M, 1, h, w) scores.
        weight_real: (N, 1, H, W), any resolution; of two pictures only what differs tells.
        weight_made: (M, 1, H, W).
    """
    return maker_loss(real, weight_real) + maker_loss(made + 1, weight_made)


def maker_loss(made: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Least squares of the network that is judged (eq. 11); arguments as above."""
    weight = functional.adaptive_avg_pool2d(weight, (made.shape[2], made.shape[3]))
    return (weight * (made - 1) ** 2).sum() / weight.sum().clamp(min=1.0)
