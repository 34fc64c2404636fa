"""Pictures of maps: to look at while training, and for the documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from training.pix2vertex.losses import normals
from training.pix2vertex.measure import ask

if TYPE_CHECKING:
    from torch import nn

_TILE = 192
_LIGHT = np.array([-0.35, -0.45, -0.82])  # towards the lamp, camera space


def shaded(points: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Light a surface given by the place of each pixel: (H, W, 3) uint8.

    Args:
        points: (H, W, 3), x right, y down, z forward.
        inside: (H, W) bool, what is drawn; the rest is white.
    """
    facing = normals(torch.from_numpy(points.transpose(2, 0, 1)[None].astype(np.float32)))[0]
    lamp = torch.tensor(_LIGHT / np.linalg.norm(_LIGHT), dtype=torch.float32)
    light = (facing * lamp[:, None, None]).sum(0).clamp(min=0).numpy()
    grey = np.pad(0.12 + 0.8 * light, ((0, 1), (0, 1)), mode="edge")
    grey = np.where(inside, grey, 1.0)
    return np.repeat((255 * np.clip(grey, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def coloured(places: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Paint places on the mean head as colours (Fig. 3): (H, W, 3) uint8, white outside.

    Args:
        places: (H, W, 3) in units of 100 mm.
        inside: (H, W) bool.
    """
    colour = np.clip(0.5 + places * [0.55, 0.4, 0.55], 0, 1)
    # Lines of equal height and side show smoothness better than colour.
    lines = (np.abs(np.sin(places[..., :2] * (np.pi / 0.1))) < 0.12).any(axis=-1)
    colour = np.where((lines & inside)[..., None], 0.35 * colour, colour)
    colour = np.where(inside[..., None], colour, 1.0)
    return (255 * colour).astype(np.uint8)


def map_sheet(network: nn.Module, examples: list[dict[str, np.ndarray]], side: int) -> np.ndarray:
    """Draw examples side by side: picture, true and found relief, true and found places.

    Args:
        network: what finds them; maps that it does not find are left out.
        examples: of `training.pix2vertex.examples`.
        side: of their pictures.
    """
    columns = []
    for one in examples:
        found = ask(network, one["picture"])
        true = one["mask"][..., 0] > 0
        seen = found.mask[0, 0].numpy() > 0.5
        tiles = [one["picture"]]
        if found.points is not None:
            tiles += [shaded(one["points"], true), shaded(_last(found.points), seen)]
        if found.correspondence is not None:
            matched = one["matched"][..., 0] > 0
            tiles += [
                coloured(one["correspondence"], matched),
                coloured(_last(found.correspondence), seen),
            ]
        columns.append(np.vstack(tiles))
    sheet = np.hstack(columns)
    scale = _TILE / side
    return cv2.resize(sheet, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _last(maps: torch.Tensor) -> np.ndarray:
    return maps[0].permute(1, 2, 0).numpy()
