"""Networks of pix2vertex: from the picture of a face to places in space and on the mean head.

Sela et al. 2017, §3.2 and supplement A. Both networks of the paper have one architecture: the
U-Net of Isola et al. 2017 with three 1×1 convolutions at its end. The light network that ships
gives both answers at once.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from training.nets.unet import UNet

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLOPE = 0.2  # of the encoder's leaky ReLU
_REACH = 1.4  # units of 100 mm from the middle of a usual crop to its border
ENCODER = (64, 128, 256, 512, 512, 512, 512, 512)
DECODER = (512, 512, 512, 512, 512, 256, 128, 64)
LAST = (64, 32, 4)
_PLACES = 6  # channels of the two kinds of places
_DROPPED = 3  # layers of the decoder with dropout: CD in the paper's notation


class Maps(NamedTuple):
    """What is found at each pixel; a network of the paper finds one of the two places.

    Attributes:
        points: (N, 3, H, W) place relative to the head's centre, units of 100 mm, in the frame
            of the crop (see `stream.reconstruct.pix2vertex`), or None.
        mask: (N, 1, H, W) 0…1, whether a face is there.
        correspondence: (N, 3, H, W) place on the mean head in the same units, or None.
    """

    points: torch.Tensor | None
    mask: torch.Tensor
    correspondence: torch.Tensor | None


class PaperNet(nn.Module):
    """One of the two networks of supplement A, for pictures of 512².

    Encoder C64-C128-C256-C512×5, decoder CD512×3-C512-C512-C256-C128-C64 with skips, then
    C*64-C*32-C*4. The fourth channel tells the face from the background, to which the paper
    gives a value that no face has.

    Args:
        finds: `depth` or `correspondence`.
        narrow: channels are divided by it, for tests.
    """

    def __init__(self, finds: str, narrow: int = 1) -> None:
        super().__init__()
        self.finds = finds
        down = [max(width // narrow, 4) for width in ENCODER]
        up = [max(width // narrow, 4) for width in DECODER]
        self.downs = nn.ModuleList()
        for level, (before, after) in enumerate(zip((3, *down[:-1]), down, strict=True)):
            # The first layer has no normalisation, as in Isola et al., nor the last, which may
            # be left with a single place.
            plain = level in (0, len(down) - 1)
            self.downs.append(_down(before, after, level > 0, not plain))
        self.ups = nn.ModuleList()
        skips = [*reversed(down[:-1]), 0]
        before = down[-1]
        for level, (after, skip) in enumerate(zip(up, skips, strict=True)):
            self.ups.append(_up(before, after, level < _DROPPED))
            before = after + skip
        self.last = nn.Sequential(nn.ReLU(), *_pointwise((before, *LAST)))

    def forward(self, picture: torch.Tensor) -> Maps:
        """(N, 3, H, W) RGB 0…1 → maps of the same size; sides are multiples of 256."""
        x, kept = 2 * picture - 1, []
        for down in self.downs:
            x = down(x)
            kept.append(x)
        kept.pop()
        for up in self.ups:
            x = up(x)
            if kept:
                x = torch.cat([x, kept.pop()], dim=1)
        found = self.last(x)
        mask = torch.sigmoid(found[:, 3:])
        if self.finds == "depth":
            return Maps(found[:, :3], mask, None)
        return Maps(None, mask, found[:, :3])


class LightNet(nn.Module):
    """Both answers by one small U-Net, for pictures of 256².

    The place of each pixel in the crop goes in beside its colour, and x and y count from where
    a face of usual size has that pixel: what is left to find is smooth.

    Args:
        widths: channels of the levels of the U-Net.
        depths: its residual units.
    """

    def __init__(
        self, widths: Sequence[int] = (24, 40, 72, 96), depths: Sequence[int] = (1, 1, 2, 3)
    ) -> None:
        super().__init__()
        self.body = UNet(5, 10, widths, depths)
        self.last = _pointwise((10 + 2, 16, 16, 7))

    def forward(self, picture: torch.Tensor) -> Maps:
        """(N, 3, H, W) RGB 0…1 → maps of the same size; sides are multiples of 32."""
        place = _places(picture)
        found = self.last(torch.cat([self.body(torch.cat([picture - 0.45, place], 1)), place], 1))
        shift = torch.cat([_REACH * place, torch.zeros_like(place[:, :1])], dim=1)
        places = _without_grid(found[:, :_PLACES])
        return Maps(places[:, :3] + shift, torch.sigmoid(found[:, _PLACES:]), places[:, 3:])


def _without_grid(maps: torch.Tensor) -> torch.Tensor:
    """Average (N, 6, H, W) over 4×4 pixels, the fold of the U-Net.

    Unfolding gives each of 16 pixels a filter of its own, whose differences repeat every four
    pixels; this mean is blind to whatever has that period.
    """
    taps = torch.tensor([0.5, 1, 1, 1, 0.5], dtype=maps.dtype, device=maps.device) / 4
    # Not functional.pad: of its node in an ONNX file no size of the output is known.
    first, last = maps[..., :1], maps[..., -1:]
    wide = torch.cat([first, first, maps, last, last], dim=3)
    across = functional.conv2d(wide, taps.repeat(_PLACES, 1, 1, 1), groups=_PLACES)
    first, last = across[..., :1, :], across[..., -1:, :]
    high = torch.cat([first, first, across, last, last], dim=2)
    return functional.conv2d(high, taps.repeat(_PLACES, 1, 1, 1).mT, groups=_PLACES)


def _places(picture: torch.Tensor) -> torch.Tensor:
    """(N, 2, H, W): x and y of each pixel, −1…1 over the crop."""
    height, width = int(picture.shape[2]), int(picture.shape[3])  # constants in the ONNX file
    across = (torch.arange(width, device=picture.device) + 0.5) * (2 / width) - 1
    down = (torch.arange(height, device=picture.device) + 0.5) * (2 / height) - 1
    grid = torch.stack([across.expand(height, width), down[:, None].expand(height, width)])
    return grid.to(picture.dtype) + torch.zeros_like(picture[:, :2])


def _down(before: int, after: int, active: bool, normal: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.LeakyReLU(_SLOPE)] if active else []
    layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=not normal))
    return nn.Sequential(*layers, *([nn.BatchNorm2d(after)] if normal else []))


def _up(before: int, after: int, dropped: bool) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.ReLU(),
        nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
        nn.BatchNorm2d(after),
    ]
    return nn.Sequential(*layers, *([nn.Dropout(0.5)] if dropped else []))


def _pointwise(widths: Sequence[int]) -> nn.Sequential:
    """Three 1×1 convolutions with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Conv2d(before, after, 1), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def begun_from_segmentation(weights: dict[str, torch.Tensor]) -> LightNet:
    """Make a light network that begins with what `head_segmentation` sees in a picture.

    Layers that both have are taken over, added residual units begin as the identity, and the
    places of pixels begin without influence.

    Args:
        weights: of the light `head_segmentation`.
    """
    network = LightNet()
    own = network.state_dict()
    for name, value in own.items():
        if name.endswith("second.1.weight") and name not in weights:
            own[name] = torch.zeros_like(value)
        elif name in weights and weights[name].shape == value.shape:
            own[name] = weights[name]
    stem = "body.stem.0.weight"
    colours = weights[stem].shape[1]
    own[stem] = torch.zeros_like(own[stem])
    own[stem][:, :colours] = weights[stem]
    network.load_state_dict(own)
    return network
