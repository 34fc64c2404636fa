"""Constancy of colours and their gradients between two views of one head.

Deep 3D Portrait (Xu et al. 2020), eqs. 4 and 5. The paper draws the mesh of the first view in
the second; here the second view is looked up at where each pixel of the first one goes, which
compares the same pairs of pixels and needs no rasteriser. What the other view hides is found by
its own depth and left out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

_HIDDEN_MM = 15.0  # farther behind the other view's surface than this is hidden there
_LEAST_MM = 50.0


class Views(NamedTuple):
    """One view of each head of a batch.

    Attributes:
        picture: (N, 3, H, W) 0…1.
        depth_mm: (N, H, W) camera space z.
        inside: (N, H, W) bool, where the head is.
        projection: (N, 3, 3) pixels from camera space, pixel centres at +0.5.
        camera_from_head: (N, 4, 4), mm.
    """

    picture: torch.Tensor
    depth_mm: torch.Tensor
    inside: torch.Tensor
    projection: torch.Tensor
    camera_from_head: torch.Tensor


def constancy(first: Views, second: Views) -> dict[str, torch.Tensor]:
    """Return the terms `colour` (eq. 4) and `gradient` (eq. 5), over both directions."""
    there, back = _one_way(first, second), _one_way(second, first)
    return {"colour": there[0] + back[0], "gradient": there[1] + back[1]}


def _one_way(first: Views, second: Views) -> tuple[torch.Tensor, torch.Tensor]:
    seen, visible = looked_up(first, second)
    weight = (visible & first.inside).float()
    difference = (seen - first.picture).abs().mean(1)
    colour = (weight * difference).sum() / weight.sum().clamp(min=1)
    gradient = colour.new_zeros(())
    for axis in (2, 3):
        change = (_ahead(seen, axis) - _ahead(first.picture, axis)).abs().mean(1)
        both = _both(weight, axis - 1)
        gradient = gradient + (both * change).sum() / both.sum().clamp(min=1)
    return colour, gradient


def looked_up(first: Views, second: Views) -> tuple[torch.Tensor, torch.Tensor]:
    """Look the second view up where the head's own motion takes the pixels of the first.

    Returns:
        (N, 3, H, W) colours of the second view, and (N, H, W) bool, where it shows the head and
        does not hide the point.
    """
    height, width = first.depth_mm.shape[1:]
    points = _points(first)
    motion = second.camera_from_head @ torch.linalg.inv(first.camera_from_head)
    moved = points @ motion[:, :3, :3].mT + motion[:, None, :3, 3]
    projected = moved @ second.projection.mT
    ahead = projected[..., 2] > _LEAST_MM
    pixel = projected[..., :2] / projected[..., 2:].clamp(min=_LEAST_MM)
    grid = (pixel / pixel.new_tensor([width, height]) * 2 - 1).view(-1, height, width, 2)
    colours = nn.functional.grid_sample(second.picture, grid, align_corners=False)
    with torch.no_grad():
        known = torch.stack([second.depth_mm, second.inside.float()], dim=1)
        depth, inside = nn.functional.grid_sample(known, grid, align_corners=False).unbind(1)
        z = moved[..., 2].view(-1, height, width)
        visible = ahead.view_as(z) & (inside > 0.99) & (z < depth + _HIDDEN_MM)
    return colours, visible


def _points(view: Views) -> torch.Tensor:
    """Return (N, H·W, 3) camera space points of the pixels, mm."""
    count, height, width = view.depth_mm.shape
    rows = torch.arange(height, device=view.depth_mm.device) + 0.5
    columns = torch.arange(width, device=view.depth_mm.device) + 0.5
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    pixels = torch.stack([u, v, torch.ones_like(u)], dim=-1).view(1, -1, 3)
    rays = pixels @ torch.linalg.inv(view.projection).mT
    return rays / rays[..., 2:] * view.depth_mm.view(count, -1, 1)


def _ahead(values: torch.Tensor, axis: int) -> torch.Tensor:
    return values.narrow(axis, 1, values.shape[axis] - 1) - values.narrow(
        axis, 0, values.shape[axis] - 1
    )


def _both(weight: torch.Tensor, axis: int) -> torch.Tensor:
    """Weight of differences of neighbours: both must count."""
    side = weight.shape[axis] - 1
    return torch.minimum(weight.narrow(axis, 1, side), weight.narrow(axis, 0, side))
