"""Plane and gain of the light DepthNet alone, on features of its U-Net that are kept.

A fit is mostly wrong as a whole, and the four numbers that mend it can be learnt in minutes once
the U-Net rests: its deepest features are computed once. For each picture the squared error over
the face is a quadratic form of the four numbers, so that no picture is looked at again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import nn

from stream.reconstruct.face_depth import OFFSET
from training.experiments.face_depth import FaceDepthTraining

if TYPE_CHECKING:
    from training.learn.prepared import PreparedSet
    from training.multiview.nets import LightDepthNet

_VARIATIONS, _PASSES, _BATCH = 3, 30, 64
_RATE, _DECAY, _DROPPED = 1e-3, 1e-2, 0.3
_LEAST_FACE = 400  # pixels


class Forms(NamedTuple):
    """What remains of pictures.

    Attributes:
        features: (n, F) of the U-Net.
        square: (n, 4, 4) H and
        slope: (n, 4) g of the mean squared error w·H·w − 2 g·w + constant.
    """

    features: torch.Tensor
    square: torch.Tensor
    slope: torch.Tensor

    def cost(self, found: torch.Tensor) -> torch.Tensor:
        """Return (n,) how much the error changes by (n, 4) planes and gains; below 0 is better."""
        bent = torch.einsum("ni,nij,nj->n", found, self.square, found)
        return bent - 2 * (found * self.slope).sum(dim=1)

    def rows(self, chosen: torch.Tensor) -> Forms:
        """Return some of them."""
        return Forms(*(part[chosen] for part in self))


def forms_of(
    network: LightDepthNet, data: PreparedSet, rows: np.ndarray, rng: np.random.Generator | None
) -> Forms:
    """Run the U-Net on samples of a set and reduce each to its features and quadratic form."""
    experiment, features, squares, slopes = FaceDepthTraining("none"), [], [], []
    for start in range(0, len(rows), 32):
        some = [experiment.example(data, int(row), rng) for row in rows[start : start + 32]]
        picture = np.stack([one["picture"] for one in some]).transpose(0, 3, 1, 2)
        face = np.stack([one["face_depth"] for one in some]).transpose(0, 3, 1, 2)
        given = torch.from_numpy(np.ascontiguousarray(face))
        with torch.no_grad():
            found, deep = network.bare(torch.from_numpy(picture).float() / 255, given)
        features.append(network.whole[:2](deep))
        for one, depth in zip(some, found[:, 0].numpy(), strict=True):
            square, slope = quadratic_form(one, depth)
            squares.append(square)
            slopes.append(slope)
    return Forms(
        torch.cat(features),
        torch.from_numpy(np.array(squares, np.float32)),
        torch.from_numpy(np.array(slopes, np.float32)),
    )


def quadratic_form(
    example: dict[str, np.ndarray], found: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return H (4, 4) and g (4,) of one example whose depth was found as (S, S)."""
    judged = (example["weight"] > 0.5) & (example["face_depth"][..., 1] > 0)
    if judged.sum() < _LEAST_FACE:
        return np.zeros((4, 4)), np.zeros(4)
    row, column = np.nonzero(judged)
    side = np.linspace(-1, 1, found.shape[0])
    relief = example["face_depth"][..., 0][judged] - OFFSET
    design = np.stack([np.ones(len(row)), side[column], side[row], relief], axis=1)
    missing = example["depth"][judged] - found[judged]
    return design.T @ design / len(row), design.T @ missing / len(row)


def train_plane(
    network: LightDepthNet, data: PreparedSet, seed: int = 0, passes: int = _PASSES
) -> dict[str, float]:
    """Train plane and gain in place; a tenth of the set chooses the best pass.

    Returns:
        The mean change of the squared error on that tenth: what was found, and the most that any
        plane and gain could do.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(data.count)
    kept, used = np.sort(order[: data.count // 10]), np.sort(order[data.count // 10 :])
    network.eval()
    judged = forms_of(network, data, kept, None)
    parts = [forms_of(network, data, used, rng) for _ in range(_VARIATIONS)]
    parts.append(forms_of(network, data, used, None))
    seen = Forms(*(torch.cat(part) for part in zip(*parts, strict=True)))
    middle, spread = seen.features.mean(dim=0), seen.features.std(dim=0) + 1e-4
    best = _learnt(seen, judged, (middle, spread), passes)
    state = {
        "2.weight": best["1.weight"] / spread,
        "2.bias": best["1.bias"] - (best["1.weight"] / spread) @ middle,
        "4.weight": best["4.weight"],
        "4.bias": best["4.bias"],
    }
    network.whole.load_state_dict(state)
    reached = judged.cost(network.whole[2:](judged.features)).mean()
    ideal = torch.linalg.solve(judged.square + 1e-6 * torch.eye(4), judged.slope)
    return {"change": float(reached.detach()), "at_best": float(judged.cost(ideal).mean())}


def _learnt(
    seen: Forms, judged: Forms, scale: tuple[torch.Tensor, torch.Tensor], passes: int
) -> dict[str, torch.Tensor]:
    """Return the weights of the pass that does best on the pictures that are held back."""
    middle, spread = scale
    width = seen.features.shape[1]
    last = nn.Linear(96, 4)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    head = nn.Sequential(
        nn.Dropout(_DROPPED), nn.Linear(width, 96), nn.ReLU(), nn.Dropout(_DROPPED / 2), last
    )
    optimiser = torch.optim.AdamW(head.parameters(), _RATE, weight_decay=_DECAY)
    best, least = {name: value.clone() for name, value in head.state_dict().items()}, 0.0
    for _ in range(passes):
        head.train()
        for chosen in torch.randperm(len(seen.features)).split(_BATCH):
            some = seen.rows(chosen)
            error = some.cost(head((some.features - middle) / spread)).mean()
            optimiser.zero_grad()
            error.backward()
            optimiser.step()
        head.eval()
        with torch.no_grad():
            now = float(judged.cost(head((judged.features - middle) / spread)).mean())
        if now < least:
            least, best = now, {name: value.clone() for name, value in head.state_dict().items()}
    return best
