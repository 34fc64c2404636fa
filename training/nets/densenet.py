"""DenseNet-121 (Huang et al. 2017), as Learning Monocular Face Reconstruction §III-B uses it."""

import torch
from torch import nn

_LAYERS, _GROWTH, _FIRST = (6, 12, 24, 16), 32, 64


class DenseNet(nn.Module):
    """The encoder without its classifier.

    Attributes:
        channels: that come out, 1024.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Conv2d(3, _FIRST, 7, 2, 3, bias=False),
            nn.BatchNorm2d(_FIRST),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        ]
        now = _FIRST
        for number, depth in enumerate(_LAYERS):
            if number:
                layers += [_activated(now, now // 2, 1), nn.AvgPool2d(2)]
                now //= 2
            for _ in range(depth):
                layers.append(_DenseLayer(now))
                now += _GROWTH
        self.body = nn.Sequential(*layers, nn.BatchNorm2d(now), nn.ReLU(inplace=True))
        self.channels = now

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) → (N, 1024, H/32, W/32)."""
        return self.body(x)


class _DenseLayer(nn.Module):
    """Adds channels that are seen by all layers after it."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        wide = 4 * _GROWTH
        self.body = nn.Sequential(_activated(inputs, wide, 1), _activated(wide, _GROWTH, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.body(x)], dim=1)


def _activated(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(inplace=False),
        nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, bias=False),
    )
