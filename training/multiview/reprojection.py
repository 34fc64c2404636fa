"""From one view to the other through depth: eqs. 11 and 13, in torch, with derivatives.

Letters in shapes: N pairs, H × W pixels of a view.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from stream.reconstruct.face_depth import GAIN, OFFSET
from training.multiview.losses import OCCLUSION_STEP

_LEAST = 1e-3


class View(NamedTuple):
    """One view of each head of a batch: V and what is seen from there.

    Attributes:
        picture: (N, 3, H, W) 0…1.
        intrinsics: (N, 3, 3) of the picture, pixel centres at +0.5; a picture that was turned or
            mirrored has its map in them.
        camera_from_head: (N, 4, 4), mm.
        tip_mm: (N,) ξ of eq. 7.
        side_px: (N,) of the crop that normalised depth refers to, in pixels of the picture.
        ray: (N, 3) unit, camera space: along which depth counts.
    """

    picture: torch.Tensor
    intrinsics: torch.Tensor
    camera_from_head: torch.Tensor
    tip_mm: torch.Tensor
    side_px: torch.Tensor
    ray: torch.Tensor

    def depth_mm(self, value: torch.Tensor) -> torch.Tensor:
        """Turn normalised depth (N, H, W) into mm along the ray: undoes eq. 7."""
        scale = self._side_mm()
        return self.tip_mm[:, None, None] + (value - OFFSET) / GAIN * scale[:, None, None]

    def normalised(self, depth_mm: torch.Tensor) -> torch.Tensor:
        """Turn mm along the ray (N, …) into normalised depth (eq. 7)."""
        scale = self._side_mm()
        shape = (-1, *[1] * (depth_mm.ndim - 1))
        return GAIN * (depth_mm - self.tip_mm.view(shape)) / scale.view(shape) + OFFSET

    def _side_mm(self) -> torch.Tensor:
        """Return (N,) side of the crop at the tip of the nose; crops may be turned, mirrored."""
        turned = self.intrinsics[:, :2, :2]
        area = turned[:, 0, 0] * turned[:, 1, 1] - turned[:, 0, 1] * turned[:, 1, 0]
        return self.tip_mm * self.side_px / area.abs().sqrt()


def reprojected(
    first: View, second: View, value: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Carry the pixels of the first view to the second through their depth.

    Args:
        first: the view whose pixels are carried.
        second: where to.
        value: (N, H, W) normalised depth of the first view.

    Returns:
        (N, H, W, 2) places in the second view, −1…1 as grid_sample wants them, and (N, H, W)
        normalised depth there.
    """
    depth_mm = first.depth_mm(value)
    count, height, width = value.shape
    rows = torch.arange(height, device=value.device) + 0.5
    columns = torch.arange(width, device=value.device) + 0.5
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    pixels = torch.stack([u, v, torch.ones_like(u)], dim=-1).view(1, -1, 3)
    rays = pixels @ torch.linalg.inv(first.intrinsics).mT
    points = rays / (rays @ first.ray[..., None]) * depth_mm.view(count, -1, 1)
    motion = second.camera_from_head @ torch.linalg.inv(first.camera_from_head)
    moved = points @ motion[:, :3, :3].mT + motion[:, None, :3, 3]
    image = moved @ second.intrinsics.mT
    places = image[..., :2] / image[..., 2:].clamp(min=_LEAST)
    grid = places / places.new_tensor([width, height]) * 2 - 1
    return (
        grid.view(count, height, width, 2),
        second.normalised((moved @ second.ray[..., None])[..., 0]).view(count, height, width),
    )


def warped(second: View, grid: torch.Tensor) -> torch.Tensor:
    """Return I^(2→1): the second view's colours at places that pixels go to (eq. 11)."""
    return nn.functional.grid_sample(second.picture, grid, align_corners=False)


def occlusion_mask(
    first: View, second: View, models: tuple[torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    """Return M° (eq. 13): (N, H, W) bool, whether both views show a pixel of the first one.

    The model's depth in the first view is carried to the second and compared there with the
    model's own: where they differ by more than 0.05 the point is hidden. No gradient passes.

    Args:
        first: the view whose pixels are asked about.
        second: the other.
        models: (N, H, W) normalised depth of the model in each, 0 where it is not.
    """
    with torch.no_grad():
        grid, arriving = reprojected(first, second, models[0])
        there = torch.stack([models[1], (models[1] != 0).float()], dim=1)
        own, inside = nn.functional.grid_sample(there, grid, align_corners=False).unbind(1)
        known = (models[0] != 0) & (inside > 0.99)
        return known & ((arriving - own).abs() < OCCLUSION_STEP)
