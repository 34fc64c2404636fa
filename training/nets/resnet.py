"""Residual encoders of the papers (He et al. 2016): 18 and 50 layers."""

import torch
from torch import nn

_LAYOUTS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


def _normed(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class _Block(nn.Module):
    """Two 3×3 convolutions, or a 1×1–3×3–1×1 bottleneck, beside a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        self.outputs = 4 * width if bottleneck else width
        relu = nn.ReLU(inplace=True)
        if bottleneck:
            parts = [_normed(inputs, width, 1), relu, _normed(width, width, 3, stride), relu]
            parts.append(_normed(width, self.outputs, 1))
        else:
            parts = [_normed(inputs, width, 3, stride), relu, _normed(width, width, 3)]
        self.body = nn.Sequential(*parts)
        same = stride == 1 and inputs == self.outputs
        self.shortcut = nn.Identity() if same else _normed(inputs, self.outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    """The encoder without pooling and classifier.

    Args:
        layers: 18 or 50.
        inputs: channels that come in.

    Attributes:
        channels: of the four feature maps.
    """

    def __init__(self, layers: int, inputs: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(_normed(inputs, 64, 7, 2), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.stages = nn.ModuleList()
        self.channels: list[int] = []
        width, now = 64, 64
        for number, depth in enumerate(_LAYOUTS[layers]):
            blocks = []
            for block in range(depth):
                stride = 2 if number and not block else 1
                blocks.append(_Block(now, width, stride, bottleneck=layers >= 50))
                now = blocks[-1].outputs
            self.stages.append(nn.Sequential(*blocks))
            self.channels.append(now)
            width *= 2

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the features at 1/4, 1/8, 1/16 and 1/32 of the resolution."""
        x = self.pool(self.stem(x))
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class ResNetDecoder(nn.Module):
    """Deep 3D Portrait's depth network (§4.2): ResNet-18, skips at 64, 32 and 16, 256×256.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.encoder = ResNet(18, inputs)
        self.ups, self.merges = nn.ModuleList(), nn.ModuleList()
        channels = self.encoder.channels
        for lower, upper in zip(reversed(channels[1:]), reversed(channels[:-1]), strict=True):
            self.ups.append(_raise(lower, upper))
            self.merges.append(nn.Sequential(_normed(2 * upper, upper, 3), nn.ReLU(inplace=True)))
        self.head = nn.Sequential(
            _raise(channels[0], 48), _raise(48, 24), nn.Conv2d(24, outputs, 3, 1, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) → (N, outputs, H, W)."""
        *skips, x = self.encoder(x)
        for up, merge, skip in zip(self.ups, self.merges, reversed(skips), strict=True):
            x = merge(torch.cat([up(x), skip], dim=1))
        return self.head(x)


def _raise(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
