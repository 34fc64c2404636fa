"""pix2vertex: depth and correspondence of a face from its picture (Sela et al. 2017, §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch.nn import functional

from stream.reconstruct.pix2vertex import SIDE
from training.pix2vertex import losses
from training.pix2vertex.examples import CropVariation, example
from training.pix2vertex.measure import map_errors
from training.pix2vertex.nets import LightNet, Maps, PaperNet
from training.pix2vertex.sheets import map_sheet

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from training.learn.experiment import Batch
    from training.learn.prepared import PreparedSet

PAPER_SIDE = 512
_RATE_MASK = 20.0  # the paper has the background in its maps; here a channel of its own tells it


class Pix2Vertex:
    """The experiment; see `learn.experiment.Experiment`.

    `light` answers both questions and ships; `paper-depth` and `paper-correspondence` are the
    paper's two networks, at 512².
    """

    name = "pix2vertex"
    variants = ("light", "paper-depth", "paper-correspondence")
    inputs = ("picture",)
    outputs = ("points", "mask", "correspondence")

    def __init__(self) -> None:
        self._side = SIDE
        self._variation = CropVariation()

    def build(self, variant: str) -> nn.Module:
        """Make the network; examples are then of the resolution that it takes."""
        size, _, finds = variant.partition("-")
        self._side = PAPER_SIDE if size == "paper" else SIDE
        return PaperNet(finds) if size == "paper" else LightNet()

    def example(
        self, data: PreparedSet, index: int, rng: np.random.Generator | None
    ) -> dict[str, np.ndarray]:
        """Return one crop and its truth; see `training.pix2vertex.examples.example`."""
        return example(data, index, self._side, rng, self._variation)

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return λ_L1 · L1 of what the network finds, and λ_N · eq. 1 of its depth."""
        return supervised(Maps(*network(batch["picture"])), batch)

    def evaluate(self, network: nn.Module, data: PreparedSet, count: int) -> dict[str, float]:
        """Return errors of depth, normals, correspondence and mask."""
        return map_errors(network, self._validation(data, count))

    def sheet(self, network: nn.Module, data: PreparedSet, path: Path) -> None:
        """Draw pictures, and true and found maps below each other."""
        rows = np.linspace(0, data.count - 1, 10).astype(int)
        given = [self.example(data, int(row), None) for row in rows]
        sheet = map_sheet(network, given, self._side)
        cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))

    def _validation(self, data: PreparedSet, count: int) -> list[dict[str, np.ndarray]]:
        rows = np.linspace(0, data.count - 1, min(count, data.count)).astype(int)
        return [self.example(data, int(row), None) for row in rows]


def supervised(found: Maps, batch: Batch) -> dict[str, torch.Tensor]:
    """Return the weighted terms of supplement A for whatever a network finds.

    Args:
        found: by the network.
        batch: `points`, `correspondence` (N, 3, H, W), `mask` and `matched` (N, 1, H, W).
    """
    with torch.autocast(batch["picture"].device.type, enabled=False):
        mask = batch["mask"].float()
        wrong = functional.binary_cross_entropy(found.mask.float(), mask)
        terms = {"mask": _RATE_MASK * wrong}
        if found.points is not None:
            points = found.points.float()
            l1 = losses.masked_l1(points, batch["points"], mask)
            terms["points"] = losses.RATE_L1 * l1
            relief = losses.normal_loss(points, batch["points"], mask)
            terms["normals"] = losses.RATE_NORMALS * relief
        if found.correspondence is not None:
            places = found.correspondence.float()
            l1 = losses.masked_l1(places, batch["correspondence"], batch["matched"])
            terms["correspondence"] = losses.RATE_L1 * l1
    return terms
