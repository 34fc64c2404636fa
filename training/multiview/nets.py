"""The networks of Learning Monocular Face Reconstruction using Multi-View Supervision, §III-B.

3DMMNet is `training.experiments.face_3dmm.FaceNet`: `paper-dense` on DenseNet-121, or `light`.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from stream.reconstruct.face_depth import GAIN, OFFSET
from training.nets.unet import UNet

_SIDE_MM = 285.0  # of a usual crop
_TIP_MM = 110.0  # from the middle of a usual head to the tip of its nose
_UNIT_MM = 100.0
_WIDTHS = (28, 48, 80, 112)
_LEVELS = 6  # halvings of the paper's U-Net
_FIRST, _MOST = 64, 512  # channels
_SURE = 2.0  # of the suitability map at the start: 0.88


class LightDepthNet(nn.Module):
    """DepthNet for the live path: also told the depth of the fitted head, which it changes.

    A fit is mostly wrong as a whole: turned, too flat or too deep. So the deepest features also
    give a plane and a gain of the relief, and the U-Net only what is left. Inside, depth is in
    100 mm from the middle of the head as in the network `hair_depth`, whose weights it can start
    from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = UNet(5, 1, _WIDTHS, (1, 1, 2, 2))
        last = nn.Linear(96, 4)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        # The deepest features are 6 × 6.
        self.whole = nn.Sequential(
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(9 * _WIDTHS[-1], 96),
            nn.ReLU(inplace=True),
            last,
        )

    def forward(self, picture: torch.Tensor, face_depth: torch.Tensor) -> torch.Tensor:
        """Return normalised depth.

        Args:
            picture: (N, 3, 192, 192) RGB 0…1.
            face_depth: (N, 2, 192, 192) normalised depth of the fitted head, 0 where it is not,
                and 1 where it is.

        Returns:
            (N, 1, 192, 192).
        """
        found, deep = self.bare(picture, face_depth)
        height, width = picture.shape[2:]
        across = torch.linspace(-1, 1, width, device=picture.device).view(1, 1, 1, -1)
        down = torch.linspace(-1, 1, height, device=picture.device).view(1, 1, -1, 1)
        level, right, below, gain = self.whole(deep).view(-1, 4, 1, 1).split(1, dim=1)
        relief = (face_depth[:, :1] - OFFSET) * face_depth[:, 1:]
        return found + level + right * across + below * down + gain * relief

    def bare(
        self, picture: torch.Tensor, face_depth: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the depth (N, 1, H, W) without plane and gain, and the deepest features."""
        fitted, there = face_depth[:, :1], face_depth[:, 1:]
        per_unit = _SIDE_MM / (GAIN * _UNIT_MM)
        relative = ((fitted - OFFSET) * per_unit - _TIP_MM / _UNIT_MM) * there
        change, deep = self._body(torch.cat([picture - 0.45, relative, there], dim=1))
        return fitted + change / per_unit, deep

    def _body(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the U-Net; return its map and its deepest features."""
        x = self.body.stem(self.body.fold(x))
        skips = []
        for level, block in enumerate(self.body.levels):
            x = block(self.body.downs[level - 1](x) if level else x)
            skips.append(x)
        deep = x
        for up, skip in zip(self.body.ups, reversed(skips[:-1]), strict=True):
            narrow, merge = cast("nn.ModuleList", up)
            x = merge(nn.functional.interpolate(narrow(x), scale_factor=2.0, mode="nearest") + skip)
        return self.body.unfold(self.body.head(x)), deep


class PaperDepthNet(nn.Module):
    """DepthNet at the paper's size: a U-Net after Isola et al. 2017 at 360², from the picture.

    The paper's supplement, which holds its layers, is not at hand: 4×4 convolutions of stride 2
    from 64 to 512 channels, normalised, and a skip at each level.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = [min(_FIRST << level, _MOST) for level in range(_LEVELS)]
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for lower, upper in zip([3, *widths[:-1]], widths, strict=True):
            self.downs.append(_down(lower, upper, normed=lower != 3))
        skip = 0
        for inputs, outputs in zip(widths[::-1], widths[-2::-1], strict=False):
            self.ups.append(_up(inputs + skip, outputs))
            skip = outputs
        self.head = nn.ConvTranspose2d(2 * widths[0], 1, 4, 2, 1)

    def forward(
        self, picture: torch.Tensor, face_depth: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(N, 3, H, W) RGB 0…1 → (N, 1, H, W) normalised depth; what the fit says is not used."""
        height, width = picture.shape[2:]
        step = 1 << _LEVELS
        beyond = (0, -width % step, 0, -height % step)
        x = nn.functional.pad(2 * picture - 1, beyond, mode="replicate")
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        for up, kept in zip(self.ups, skips[-2::-1], strict=True):
            x = torch.cat([up(x), kept], dim=1)
        return torch.sigmoid(self.head(x)[..., :height, :width])


class SuitabilityNet(nn.Module):
    """h of eq. 14: how well a pixel serves to compare views, 0…1."""

    def __init__(self) -> None:
        super().__init__()
        self.body = UNet(3, 1, (16, 24, 32), (1, 1, 1))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) RGB 0…1 → (N, H, W)."""
        return torch.sigmoid(self.body(picture - 0.45)[:, 0] + _SURE)


class DepthAndSuitability(nn.Module):
    """DepthNet and the suitability network, which are trained together and of which one ships.

    Args:
        variant: `light`, or `paper`.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.depth = PaperDepthNet() if variant == "paper" else LightDepthNet()
        self.suitability = SuitabilityNet()

    def forward(
        self, picture: torch.Tensor, face_depth: torch.Tensor, suitable: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return normalised depth (N, 1, H, W), and the suitability map (N, H, W) if asked for."""
        depth = self.depth(picture, face_depth)
        return (depth, self.suitability(picture)) if suitable else depth


def _down(inputs: int, outputs: int, *, normed: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not normed)]
    if normed:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, nn.LeakyReLU(0.2))


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
