"""A small encoder for the live path: 0.3 GFLOP at 192², and the heads of `face_3dmm` on it.

Like `training.nets.unet` it folds 4×4 pixels into channels first and uses plain 3×3 convolutions:
on processors with matrix units they take half the time of a MobileNet's depthwise ones.
"""

from collections.abc import Sequence

import torch
from torch import nn

from training.nets.unet import ConvUnit, ResidualUnit


class MobileEncoder(nn.Module):
    """Features at 1/32 of the resolution.

    Args:
        widths: channels at 1/4, 1/8, 1/16 and 1/32 of the resolution.
        depths: residual units at each of them.

    Attributes:
        channels: that come out.
    """

    def __init__(
        self, widths: Sequence[int] = (24, 56, 96, 160), depths: Sequence[int] = (0, 1, 2, 1)
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.PixelUnshuffle(4), ConvUnit(48, widths[0])]
        for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            if level:
                layers.append(ConvUnit(widths[level - 1], width, stride=2))
            layers += [ResidualUnit(width) for _ in range(depth)]
        self.body = nn.Sequential(*layers)
        self.channels = widths[-1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) → (N, channels, H/32, W/32)."""
        return self.body(x)
