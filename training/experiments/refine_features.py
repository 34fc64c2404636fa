"""How alike two pictures are to a network: the feature loss of Deep 3D Portrait, eq. 13.

The paper takes VGG-19, whose weights are not free to hand on. Here the encoder of our own
`head_segmentation` takes its place: it tells hair, skin, ears and background apart, which is what
is torn. Until it is trained, the bands of a Laplacian pyramid stand in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional

from training.experiments.head_segmentation import HeadSegmentation
from training.learn.loop import load

if TYPE_CHECKING:
    from pathlib import Path

    from training.nets.unet import UNet

_LEVELS = 3  # of the encoder, and bands of the pyramid
_LACK = 0.7  # streaks and ragged edges are worse than softness
_EDGES = 1.5  # weight of the pyramid's bands beside the encoder


class Likeness(nn.Module):
    """Mean distance of features where a weight says so.

    Args:
        checkpoint: of `head_segmentation`; without it only the pyramid is used.
    """

    def __init__(self, checkpoint: Path | None = None) -> None:
        super().__init__()
        self.body: UNet | None = None
        if checkpoint is not None:
            network, _ = load(HeadSegmentation(), checkpoint)
            self.body = cast("UNet", network.body).requires_grad_(False)

    def forward(
        self, made: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Return the distance.

        Args:
            made: (N, 3, H, W) RGB, 0…1.
            truth: the same.
            weight: (N, 1, H, W).
        """
        total = made.new_zeros(())
        for one, other in zip(_bands(made), _bands(truth), strict=True):
            # Energies of a band rather than its pixels: detail may lie a pixel off.
            excess = _energy(one) - _energy(other)
            excess = torch.where(excess > 0, excess, -_LACK * excess)
            total = total + _EDGES * _distance(excess, torch.zeros_like(excess), weight)
        if self.body is None:
            return total
        with torch.no_grad():
            wanted = self._features(truth)
        for one, other in zip(self._features(made), wanted, strict=True):
            scale = other.abs().mean().clamp(min=1e-4)
            total = total + 0.1 * _distance(one / scale, other / scale, weight)
        return total

    def _features(self, picture: torch.Tensor) -> list[torch.Tensor]:
        body = self.body
        if body is None:
            return []
        body.eval()  # its running means, whatever mode its owner is put into
        x = body.stem(body.fold(picture - 0.45))
        features = []
        for level in range(_LEVELS):
            if level:
                x = body.downs[level - 1](x)
            x = body.levels[level](x)
            features.append(x)
        return features


def _bands(picture: torch.Tensor) -> list[torch.Tensor]:
    bands = []
    for _ in range(_LEVELS):
        smaller = functional.avg_pool2d(picture, 2)
        bands.append(picture - functional.interpolate(smaller, scale_factor=2.0, mode="bilinear"))
        picture = smaller
    return bands


def _energy(band: torch.Tensor) -> torch.Tensor:
    return torch.sqrt(functional.avg_pool2d(band**2, 4) + 1e-5)


def _distance(one: torch.Tensor, other: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    scale = weight.shape[-1] // one.shape[-1]
    weight = functional.avg_pool2d(weight, scale)
    some = weight.sum().clamp(min=weight.shape[-1])
    return (weight * (one.float() - other.float()).abs()).sum() / (some * one.shape[1])
