"""3DMM-STN as one module: localiser, grid generator, sampler and masking (Bas et al. 2017, §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import nn

from training.nets.mobile import MobileEncoder
from training.stn import layers

if TYPE_CHECKING:
    from training.stn.geometry_image import GeometryImage

POSE = 6  # r (3), t (2), log s
_VGG = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")
_FACE_SHARE = 0.30  # of the picture's side, by 100 mm of a usual face
SIDES = {"light": 128, "paper": 224}


class Parameters(NamedTuple):
    """θ = (r, t, log s, α) (eq. 1).

    Attributes:
        rotation: (B, 3) axis-angle.
        shift: (B, 2) pixels.
        log_scale: (B,), pixels per 100 mm.
        alpha: (B, D) standard deviations.
    """

    rotation: torch.Tensor
    shift: torch.Tensor
    log_scale: torch.Tensor
    alpha: torch.Tensor


class Flattened(NamedTuple):
    """What the network makes of pictures.

    Attributes:
        parameters: θ.
        places: (B, 2, N) Y″, pixels with centres at whole numbers.
        values: (B, C, h, w) V, before the mask.
        mask: (B, h, w) M.
        masked: (B, C, h, w) W = V ⊙ M.
    """

    parameters: Parameters
    places: torch.Tensor
    values: torch.Tensor
    mask: torch.Tensor
    masked: torch.Tensor


class Localiser(nn.Module):
    """Regresses θ from a picture (§2.1): VGG-16 as VGG-Faces, or a small encoder.

    Args:
        shapes: D.
        variant: `paper`, 224², or `light`, 128².
    """

    def __init__(self, shapes: int, variant: str) -> None:
        super().__init__()
        self.side = SIDES[variant]
        if variant == "paper":
            self.body: nn.Module = _vgg()
            inputs = 4096
        else:
            encoder = MobileEncoder()
            cells = (self.side // 32) ** 2
            self.body = nn.Sequential(
                encoder, nn.Flatten(), nn.Linear(encoder.channels * cells, 256, bias=False),
                nn.BatchNorm1d(256), nn.ReLU(inplace=True),
            )  # fmt: skip
            inputs = 256
        self.last = nn.Linear(inputs, POSE + shapes)
        nn.init.normal_(self.last.weight, std=0.1 / inputs**0.5)
        nn.init.zeros_(self.last.bias)

    def forward(self, picture: torch.Tensor) -> Parameters:
        """(B, 3, S, S) RGB 0…1 → θ; at the start a frontal face in the middle."""
        raw = self.last(self.body(picture - 0.45)).float()
        side = picture.shape[-1]
        return Parameters(
            rotation=raw[:, :3],
            shift=side / 2 - 0.5 + side / 4 * raw[:, 3:5],
            log_scale=float(np.log(_FACE_SHARE * side)) + raw[:, 5],
            alpha=raw[:, POSE:],
        )


class ThreeDmmStn(nn.Module):
    """The whole of Figure 1.

    Args:
        image: the head model over the grid.
        variant: of the localiser.
    """

    def __init__(self, image: GeometryImage, variant: str = "light") -> None:
        super().__init__()
        self.localiser = Localiser(image.basis.shape[2], variant)
        self.size = image.size
        self.mean: torch.Tensor
        self.basis: torch.Tensor
        self.triangles: torch.Tensor
        self.landmarks: torch.Tensor
        for name in ("mean", "basis", "triangles", "landmarks"):
            value = torch.from_numpy(getattr(image, name))
            self.register_buffer(name, value, persistent=False)

    def forward(self, picture: torch.Tensor) -> Flattened:
        """Flatten pictures (B, 3, S, S), RGB 0…1."""
        theta = self.localiser(picture)
        shape, rotation, places = self.grid(theta)
        values = layers.BilinearSampler.apply(picture, places)
        mask = layers.Visible.apply(rotation, shape, self.triangles)
        masked = layers.Mask.apply(values, mask)
        grid = (-1, picture.shape[1], self.size, self.size)
        return Flattened(
            theta, places, values.view(grid), mask.view(-1, self.size, self.size),
            masked.view(grid),
        )  # fmt: skip

    def grid(self, theta: Parameters) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Run the grid generator (Figure 2): X (B, 3, N), R (B, 3, 3) and Y″ (B, 2, N)."""
        shape = layers.MorphableModel.apply(theta.alpha, self.basis, self.mean)
        rotation = layers.AxisAngle.apply(theta.rotation)
        flat = layers.Orthographic.apply(layers.Rotate.apply(rotation, shape))
        scale = layers.Exponential.apply(theta.log_scale)
        return shape, rotation, layers.Translate.apply(theta.shift, layers.Scale.apply(scale, flat))

    def points(self, places: torch.Tensor) -> torch.Tensor:
        """Select the tracked points among the vertices (eq. 4): (B, 2, 478)."""
        return layers.Select.apply(places, self.landmarks)


def _vgg() -> nn.Sequential:
    """VGG-16 without its classification layer: (B, 3, 224, 224) → (B, 4096)."""
    parts: list[nn.Module] = []
    now = 3
    for width in _VGG:
        if isinstance(width, str):
            parts.append(nn.MaxPool2d(2))
        else:
            parts += [nn.Conv2d(now, width, 3, 1, 1), nn.ReLU(inplace=True)]
            now = width
    hidden = [nn.Linear(now * 49, 4096), nn.ReLU(inplace=True), nn.Dropout()]
    hidden += [nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout()]
    return nn.Sequential(*parts, nn.Flatten(), *hidden)
