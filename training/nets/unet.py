"""A U-Net for crops of heads, shaped so that a matrix unit stays busy.

Depthwise convolutions save operations but not time on processors with matrix units (AMX, tensor
cores), so that plain 3×3 convolutions on few channels are used. Pixels are folded into channels
first (space to depth) and unfolded last, after Shi et al. 2016, which keeps the full resolution
at the cost of the quarter one.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn


class ConvUnit(nn.Sequential):
    """3×3 convolution, batch normalisation, ReLU; (N, c, h, w) → (N, d, h/stride, w/stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class ResidualUnit(nn.Module):
    """Two convolutions beside a shortcut, after He et al. 2016."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvUnit(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, c, h, w) of the same shape."""
        return torch.relu(x + self.second(self.first(x)))


class UNet(nn.Module):
    """Encoder, decoder and skips.

    Args:
        inputs: channels that come in.
        outputs: channels that go out, at the same resolution.
        widths: channels of the levels; the first is at 1/`fold` of the resolution, each
            further one at half of the one before.
        depths: residual units of each level on the way down.
        fold: side of the square of pixels that is folded into channels.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        widths: Sequence[int] = (28, 48, 80, 112),
        depths: Sequence[int] = (1, 1, 2, 2),
        fold: int = 4,
    ) -> None:
        super().__init__()
        self.fold = nn.PixelUnshuffle(fold)
        self.stem = ConvUnit(inputs * fold * fold, widths[0])
        self.levels = nn.ModuleList()
        self.downs = nn.ModuleList()
        for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            if level:
                self.downs.append(ConvUnit(widths[level - 1], width, stride=2))
            self.levels.append(nn.Sequential(*[ResidualUnit(width) for _ in range(depth)]))
        self.ups = nn.ModuleList()
        for lower, upper in zip(reversed(widths[1:]), reversed(widths[:-1]), strict=True):
            self.ups.append(nn.ModuleList([nn.Conv2d(lower, upper, 1), ConvUnit(upper, upper)]))
        self.head = nn.Sequential(
            ConvUnit(widths[0], widths[0]), nn.Conv2d(widths[0], outputs * fold * fold, 1)
        )
        self.unfold = nn.PixelShuffle(fold)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, outputs, H, W) for (N, inputs, H, W); sides are multiples of 8·fold."""
        x = self.stem(self.fold(x))
        skips = []
        for level, block in enumerate(self.levels):
            if level:
                x = self.downs[level - 1](x)
            x = block(x)
            skips.append(x)
        for up, skip in zip(self.ups, reversed(skips[:-1]), strict=True):
            narrow, merge = cast("nn.ModuleList", up)
            x = nn.functional.interpolate(narrow(x), scale_factor=2.0, mode="nearest")
            x = merge(x + skip)
        return self.unfold(self.head(x))


def operations(network: nn.Module, *inputs: torch.Tensor) -> int:
    """Count multiplications and additions of convolutions and linear layers, for a batch of one.

    One multiplication with its addition counts as two, as figures in GFLOP usually do.
    """
    total = 0

    def count(module: nn.Module, _: tuple, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            if isinstance(module, nn.ConvTranspose2d):
                places = output.numel() // (module.stride[0] * module.stride[1])
            else:
                places = output.numel()
            kernel = module.kernel_size[0] * module.kernel_size[1]
            total += 2 * places * kernel * module.in_channels // module.groups
        elif isinstance(module, nn.Linear):
            total += 2 * output.numel() * module.in_features

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    training = network.training
    network.eval()
    with torch.no_grad():
        network(*inputs)
    network.train(training)
    for hook in hooks:
        hook.remove()
    return total
