"""Depth of the whole head, hair and ears included, from a picture and the fitted face's depth.

Deep 3D Portrait (Xu et al. 2020) §4.2. On synthetic people the depth is known; the paper's own
terms, which need no truth, go beside it: layer order (eq. 9), second-order smoothness (eq. 8),
and colour and gradient constancy between two views of one head (eqs. 4 and 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import nn

from training.learn.augment import Variation, cropped, recoloured, sample_crop
from training.learn.constancy import Views, constancy
from training.learn.prepared import DEPTH_UNIT_MM
from training.learn.view_pairs import cropped_pair
from training.nets.resnet import ResNetDecoder
from training.nets.unet import UNet
from training.synthetic.scene import Label

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training.learn.experiment import Batch
    from training.learn.prepared import PreparedSet

HEAD = (Label.FACE, Label.HAIR, Label.EAR, Label.MOUTH, Label.EYES)
_WEIGHTS = {
    Label.FACE: 1.0,
    Label.HAIR: 2.0,
    Label.EAR: 2.0,
    Label.NECK: 0.7,
    Label.MOUTH: 0.7,
    Label.EYES: 1.0,
    Label.BODY: 0.3,
}
_LAYER_MARGIN = 0.01  # hair lies at least a millimetre before the skin
_STEP = 0.15  # a difference of neighbours above 15 mm is a border, not a slope
_RATES = {
    "depth": 1.0, "slope": 0.6, "layer": 0.3, "smooth": 0.05, "colour": 0.5, "gradient": 0.5,
}  # fmt: skip


class DepthNet(nn.Module):
    """Depth of a head.

    Args:
        variant: `light` runs live; `paper` is the paper's ResNet-18; with `-blind` neither sees
            the face's depth, as in the paper's ablation (Table 1).
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        size, _, blind = variant.partition("-")
        self.blind = bool(blind)
        inputs = 3 if self.blind else 5
        if size == "paper":
            self.body: nn.Module = ResNetDecoder(inputs, 1)
        else:
            self.body = UNet(inputs, 1, (28, 48, 80, 112), (1, 1, 2, 2))

    def forward(self, picture: torch.Tensor, face_depth: torch.Tensor) -> torch.Tensor:
        """Return depth relative to the head's centre, in units of 100 mm.

        Args:
            picture: (N, 3, H, W) RGB 0…1.
            face_depth: (N, 2, H, W) depth of the fitted head model in the same units, 0 where it
                is not, and 1 where it is.

        Returns:
            (N, 1, H, W).
        """
        if self.blind:
            return self.body(picture - 0.45)
        change = self.body(torch.cat([picture - 0.45, face_depth], dim=1))
        return face_depth[:, :1] + change


class HairDepthTraining:
    """The experiment; see `learn.experiment.Experiment`."""

    name = "hair_depth"
    variants = ("light", "paper", "light-blind", "paper-blind")
    inputs = ("picture", "face_depth")
    outputs = ("depth",)

    def __init__(self) -> None:
        self._variation = Variation()

    def build(self, variant: str) -> nn.Module:
        """Make the network."""
        return DepthNet(variant)

    def example(
        self, data: PreparedSet, index: int, rng: np.random.Generator | None
    ) -> dict[str, np.ndarray]:
        """Return `picture`, `face_depth` (S, S, 2), `depth` (S, S) and `labels` (S, S).

        For training on a set with pairs of views there is one beside: `pair_…`.
        """
        names = ("pixels", "labels", "depth", "fitted_depth")
        arrays = {name: data[name][index] for name in names}
        if rng is not None:
            crop = sample_crop(rng, data.size, self._variation)
            arrays = cropped(arrays, crop, self._variation.side(data.size))
            arrays["pixels"] = recoloured(arrays["pixels"], rng, self._variation.colour)
        return {
            "picture": np.ascontiguousarray(arrays["pixels"]),
            "face_depth": two_channels(arrays["fitted_depth"]),
            "depth": arrays["depth"].astype(np.float32),
            "labels": np.ascontiguousarray(arrays["labels"]),
        } | (self._pair(data, rng) if rng is not None and data.pairs else {})

    def _pair(self, data: PreparedSet, rng: np.random.Generator) -> dict[str, np.ndarray]:
        side = self._variation.side(data.size)
        crop = sample_crop(rng, data.size, self._variation)
        pair = cropped_pair(data.pairs, int(rng.integers(len(data.pairs["pixels"]))), crop, side)
        pixels = recoloured(np.vstack(list(pair["pixels"])), rng, self._variation.colour)
        return {
            "pair_pixels": pixels.reshape(2, side, side, 3),
            "pair_face_depth": np.stack([two_channels(depth) for depth in pair["fitted_depth"]]),
            "pair_inside": pair["inside"][..., None],
            "pair_projection": pair["projection"].reshape(2, 9),
            "pair_pose": pair["camera_from_head"].reshape(2, 16),
        }

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the supervised terms and the paper's layer order and smoothness."""
        found = network(batch["picture"], batch["face_depth"]).float()[:, 0]
        terms = supervised(found, batch["depth"], batch["labels"])
        head = torch.isin(batch["labels"], torch.tensor(HEAD, device=found.device))
        terms["layer"] = layer_order(found, batch["face_depth"], batch["labels"])
        terms["smooth"] = smoothness(found, head, batch["depth"])
        if "pair_pixels" in batch:
            terms |= siamese(network, batch)
        return {name: _RATES[name] * value for name, value in terms.items()}

    def evaluate(self, network: nn.Module, data: PreparedSet, count: int) -> dict[str, float]:
        """Return mean absolute errors in mm by region."""
        return region_errors(data, count, lambda rows: predicted(network, data, rows))

    def sheet(self, network: nn.Module, data: PreparedSet, path: Path) -> None:
        """Draw pictures, true depth, found depth and the fitted face's below each other."""
        rows = np.linspace(0, data.count - 1, 14).astype(int)
        found = predicted(network, data, rows)
        true = data["depth"][rows].astype(np.float32)
        fitted = data["fitted_depth"][rows].astype(np.float32)
        inside = np.isfinite(true)
        maps = [_shaded(true, inside), _shaded(found, inside), _shaded(fitted, np.isfinite(fitted))]
        strips = [data["pixels"][rows], *maps]
        sheet = np.vstack([np.hstack(list(strip)) for strip in strips])
        half = cv2.resize(sheet, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(path), cv2.cvtColor(half, cv2.COLOR_RGB2BGR))


def two_channels(depth: np.ndarray) -> np.ndarray:
    """(S, S) depth, infinite where there is none → (S, S, 2) float32 depth and mask."""
    there = np.isfinite(depth)
    return np.dstack([np.where(there, depth, 0), there]).astype(np.float32)


def siamese(network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
    """Compare two views of each head through the depths found in both (eqs. 4 and 5)."""
    count = len(batch["pair_pixels"])
    pictures = batch["pair_pixels"].transpose(0, 1).flatten(0, 1).permute(0, 3, 1, 2)
    faces = batch["pair_face_depth"].transpose(0, 1).flatten(0, 1).permute(0, 3, 1, 2)
    pictures = pictures.float() / 255
    found = network(pictures, faces).float()[:, 0]
    with torch.autocast(found.device.type, enabled=False):
        poses = batch["pair_pose"].float().view(count, 2, 4, 4)
        views = []
        for number in range(2):
            rows, pose = slice(number * count, (number + 1) * count), poses[:, number]
            depth = found[rows] * DEPTH_UNIT_MM + pose[:, 2, 3, None, None]
            inside = batch["pair_inside"][:, number, ..., 0]
            projection = batch["pair_projection"][:, number].float().view(count, 3, 3)
            views.append(Views(pictures[rows], depth, inside, projection, pose))
        return constancy(*views)


def supervised(
    found: torch.Tensor, true: torch.Tensor, labels: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Compare depths, and their slopes inside of surfaces, where the truth is known."""
    known = torch.isfinite(true)
    weight = torch.zeros_like(found)
    for label, value in _WEIGHTS.items():
        weight = torch.where(labels == label, value, weight)
    weight = weight * known
    safe = torch.where(known, true, 0.0)
    error = (found - safe).abs()
    depth = (weight * error).sum() / weight.sum().clamp(min=1)
    slopes = []
    for step in (1, 2, 4):
        for axis in (1, 2):
            differences = []
            for values in (found - safe, safe, weight):
                ahead = values.narrow(axis, step, values.shape[axis] - step)
                here = values.narrow(axis, 0, values.shape[axis] - step)
                differences.append((ahead - here, torch.minimum(ahead, here)))
            inside = (differences[1][0].abs() < _STEP) * differences[2][1]
            slopes.append((inside * differences[0][0].abs()).sum() / inside.sum().clamp(min=1))
    return {"depth": depth, "slope": torch.stack(slopes).sum()}


def layer_order(
    found: torch.Tensor, face_depth: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Hair before the face it covers: max(0, d − d_f) over hair on the face (eq. 9)."""
    covered = (labels == Label.HAIR) & (face_depth[:, 1] > 0.5)
    behind = torch.relu(found - face_depth[:, 0] + _LAYER_MARGIN) * covered
    return behind.sum() / covered.sum().clamp(min=1)


def smoothness(
    found: torch.Tensor, inside: torch.Tensor, true: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean |Δd| over the head (eq. 8); true borders of surfaces are left out where known."""
    kernel = found.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    padded = nn.functional.pad(found.unsqueeze(1), (1, 1, 1, 1), mode="replicate")
    curved = nn.functional.conv2d(padded, kernel)[:, 0].abs()
    weight = 1 - nn.functional.max_pool2d(1 - inside.float().unsqueeze(1), 3, 1, 1)[:, 0]
    weight = nn.functional.pad(weight[:, 1:-1, 1:-1], (1, 1, 1, 1))  # the rim has no neighbours
    if true is not None:
        safe = torch.where(torch.isfinite(true), true, 0.0).unsqueeze(1)
        highest = nn.functional.max_pool2d(safe, 3, 1, 1)
        lowest = -nn.functional.max_pool2d(-safe, 3, 1, 1)
        weight = weight * ((highest - lowest)[:, 0] < _STEP)
    return (weight * curved).sum() / weight.sum().clamp(min=1)


def predicted(network: nn.Module, data: PreparedSet, rows: np.ndarray) -> np.ndarray:
    """Run a network on samples of a set: (n, S, S) float32, units of 100 mm."""
    place = next(network.parameters()).device
    picture = torch.tensor(np.asarray(data["pixels"][rows])).permute(0, 3, 1, 2).float() / 255
    fitted = np.stack([two_channels(depth) for depth in data["fitted_depth"][rows]])
    face = torch.from_numpy(fitted).permute(0, 3, 1, 2)
    with torch.no_grad():
        return network(picture.to(place), face.to(place))[:, 0].float().cpu().numpy()


def region_errors(
    data: PreparedSet, count: int, estimate: Callable[[np.ndarray], np.ndarray]
) -> dict[str, float]:
    """Measure a way of estimating depth.

    Args:
        data: a prepared set.
        count: how many of its samples.
        estimate: from rows of the set to depths as `predicted` gives them.

    Returns:
        Mean absolute error in mm over all pixels of a region, of all samples together.
    """
    regions = {"hair": (2,), "face": (1, 5, 6), "ear": (3,), "neck": (4,), "head": HEAD}
    sums = {name: np.zeros(2) for name in regions}
    for start in range(0, min(count, data.count), 20):
        rows = np.arange(start, min(start + 20, count, data.count))
        found = estimate(rows)
        true = data["depth"][rows].astype(np.float32)
        labels = np.asarray(data["labels"][rows])
        for name, members in regions.items():
            inside = np.isin(labels, members) & np.isfinite(true)
            sums[name] += np.abs(found - true)[inside].sum(), inside.sum()
    return {f"mm_{n}": float(s / max(c, 1) * DEPTH_UNIT_MM) for n, (s, c) in sums.items()}


def _shaded(depth: np.ndarray, inside: np.ndarray) -> np.ndarray:
    grey = np.clip(0.5 - np.where(inside, depth, 10.0) / 3, 0, 1)
    return np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=3)
