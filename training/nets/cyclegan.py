"""What CycleGAN (Zhu et al. 2017) is made of: generator, discriminator, pool of pictures."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class ResnetGenerator(nn.Module):
    """The paper's generator (§7.1): two halvings, residual blocks, two doublings.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        width: channels at full resolution.
        blocks: residual blocks; the paper takes 9 for 256² and 6 for 128².
    """

    def __init__(self, inputs: int, outputs: int, width: int = 64, blocks: int = 9) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), *_unit(inputs, width, 7, 1, 0)]
        layers += [*_unit(width, 2 * width, 3, 2, 1), *_unit(2 * width, 4 * width, 3, 2, 1)]
        layers += [_Block(4 * width) for _ in range(blocks)]
        for before, after in ((4 * width, 2 * width), (2 * width, width)):
            layers += [
                nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1),
                nn.InstanceNorm2d(after),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) → (N, outputs, H, W), not bounded; sides are multiples of 4."""
        return self.head(self.body(x))


class PatchGan(nn.Module):
    """The paper's discriminator: every score sees a part of the picture, without a sigmoid.

    Args:
        inputs: channels that come in.
        widths: channels of the layers, of which each halves the resolution; the first is not
            normalised.
    """

    def __init__(self, inputs: int, widths: Sequence[int] = (32, 64, 128)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((inputs, *widths[:-1]), widths, strict=True):
            layers.append(nn.Conv2d(before, after, 4, 2, 1))
            if layers[1:]:
                layers.append(nn.InstanceNorm2d(after))
            layers.append(nn.LeakyReLU(0.2))
        self.body = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) → (N, 1, h, w); 1 means of the domain, 0 made."""
        return self.body(2 * x - 1)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), *_unit(width, width, 3, 1, 0)]
        second = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width)]
        self.body = nn.Sequential(*first, *second)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


def _unit(before: int, after: int, kernel: int, stride: int, pad: int) -> Sequence[nn.Module]:
    return (
        nn.Conv2d(before, after, kernel, stride, pad),
        nn.InstanceNorm2d(after),
        nn.ReLU(),
    )


class ImagePool:
    """Pictures that a generator made before, so that a discriminator does not forget them.

    Half of the time a picture that is asked for is one of these, and a new one takes its place
    (Shrivastava et al. 2017; CycleGAN §4).

    Args:
        size: how many are kept; 0 gives every picture back.
        seed: of the draws.
    """

    def __init__(self, size: int = 50, seed: int = 0) -> None:
        self._size = size
        self._kept: list[torch.Tensor] = []
        self._random = random.Random(seed)  # noqa: S311  not for secrets

    def __len__(self) -> int:
        return len(self._kept)

    def exchange(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return as many (N, C, H, W) pictures as came in, some of them from earlier calls."""
        if self._size == 0:
            return pictures.detach()
        return torch.stack([self._one(picture.detach()) for picture in pictures])

    def _one(self, picture: torch.Tensor) -> torch.Tensor:
        if len(self._kept) < self._size:
            self._kept.append(picture.clone())
            return picture
        if self._random.random() < 0.5:
            return picture
        at = self._random.randrange(self._size)
        before, self._kept[at] = self._kept[at], picture.clone()
        return before
