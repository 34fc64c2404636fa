"""Which pixel of a head crop is face, hair, ear, neck, mouth, eyes, body or something else.

Trained on synthetic people alone, whose labels and mattes are exact: the target of a pixel on
the edge of hair is shared by the matte, so that the network learns soft edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import nn

from training.learn.augment import (
    Variation,
    bent,
    cropped,
    part_recoloured,
    recoloured,
    sample_crop,
    sheened,
)
from training.nets.unet import UNet
from training.synthetic.scene import Label

if TYPE_CHECKING:
    from pathlib import Path

    from training.learn.experiment import Batch
    from training.learn.prepared import PreparedSet

CLASSES = len(Label)
_WEIGHTS = (1.0, 1.0, 1.6, 3.0, 1.2, 3.0, 3.0, 1.0, 1.6)  # of the classes; small ones count more
_BENT, _BENT_SHARE = 0.02, 0.6  # of the side; of the samples
_PARTS = ((Label.HAIR,), (Label.BODY,), (Label.OCCLUDER,), (Label.BACKGROUND,))
_PART_COLOUR, _PART_SHARE = 2.5, 0.35
_SHEEN, _SHEEN_SHARE = 0.85, 0.3
_NAMES = tuple(label.name.lower() for label in Label)
LABEL_RGB = np.array(
    [(0, 0, 0), (230, 180, 150), (120, 70, 30), (250, 120, 90), (200, 140, 110), (200, 30, 60),
     (60, 160, 250), (70, 90, 200), (60, 220, 90)], np.uint8,
)  # fmt: skip
_SIZES = {
    "light": ((24, 40, 72, 96), (1, 1, 1, 2)),
    "paper": ((64, 128, 256, 512), (2, 2, 2, 2)),
}


class Segmenter(nn.Module):
    """Probabilities of the labels.

    Args:
        variant: `light` runs live; `paper` is as large as the ResNet-18 of the papers.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.body = UNet(3, CLASSES, *_SIZES[variant])

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) RGB 0…1 → (N, 9, H, W) probabilities; logits while training."""
        logits = self.body(picture - 0.45)
        return logits if self.training else logits.softmax(dim=1)


class HeadSegmentation:
    """The experiment; see `learn.experiment.Experiment`."""

    name = "head_segmentation"
    variants = ("light", "paper")
    inputs = ("picture",)
    outputs = ("probabilities",)

    def __init__(self) -> None:
        self._variation = Variation()

    def build(self, variant: str) -> nn.Module:
        """Make the network."""
        return Segmenter(variant)

    def example(
        self, data: PreparedSet, index: int, rng: np.random.Generator | None
    ) -> dict[str, np.ndarray]:
        """Return `picture` uint8 (S, S, 3) and `target` (S, S, 9) float16 shares of labels."""
        names = ("pixels", "labels", "hair_alpha", "alpha")
        arrays = {name: data[name][index] for name in names}
        if rng is not None:
            crop = sample_crop(rng, data.size, self._variation)
            arrays = cropped(arrays, crop, self._variation.side(data.size))
            arrays = restyled(arrays, rng)
            arrays["pixels"] = recoloured(arrays["pixels"], rng, self._variation.colour)
        picture = np.ascontiguousarray(arrays["pixels"])
        return {"picture": picture, **{name: arrays[name] for name in names[1:]}}

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Cross entropy with soft edges, and the overlap of the small regions."""
        covers = coverage(batch["labels"], batch["hair_alpha"], batch["alpha"])
        logits = network(batch["picture"]).float()
        weights = torch.tensor(_WEIGHTS, device=logits.device)
        log_shares = logits.log_softmax(dim=1)
        entropy, hits = 0.0, logits.new_zeros(CLASSES)
        wanted = logits.new_zeros(CLASSES)
        # Three labels at most share a pixel, so that no (N, 9, H, W) target is needed.
        for label, cover in covers:
            found = log_shares.gather(1, label.unsqueeze(1))[:, 0]
            entropy = entropy - (weights[label] * cover * found).mean()
            flat = label.flatten()
            hits = hits.index_add(0, flat, (found.exp() * cover).flatten())
            wanted = wanted.index_add(0, flat, cover.flatten())
        either = log_shares.exp().sum((0, 2, 3)) + wanted
        overlap = 1 - ((2 * hits + 1) / (either + 1)).mean()
        return {"entropy": entropy, "overlap": 0.5 * overlap}

    def evaluate(self, network: nn.Module, data: PreparedSet, count: int) -> dict[str, float]:
        """Return the intersection over union of each label, and of the head as a whole."""
        counts = np.zeros((CLASSES, CLASSES), np.int64)
        head = np.zeros(2, np.int64)
        for start in range(0, min(count, data.count), 25):
            rows = slice(start, min(start + 25, count, data.count))
            found = _labels(network, data["pixels"][rows])
            true = np.asarray(data["labels"][rows])
            counts += np.bincount(
                (true.astype(np.int64) * CLASSES + found).ravel(), minlength=CLASSES**2
            ).reshape(CLASSES, CLASSES)
            inside = [np.isin(labels, (1, 2, 3, 5, 6)) for labels in (true, found)]
            head += (inside[0] & inside[1]).sum(), (inside[0] | inside[1]).sum()
        hits = np.diag(counts)
        union = counts.sum(0) + counts.sum(1) - hits
        scores = {
            f"iou_{n}": float(h / max(u, 1)) for n, h, u in zip(_NAMES, hits, union, strict=True)
        }
        return scores | {"iou_head": float(head[0] / max(head[1], 1))}

    def sheet(self, network: nn.Module, data: PreparedSet, path: Path) -> None:
        """Draw pictures, true labels and found ones below each other."""
        rows = np.linspace(0, data.count - 1, 16).astype(int)
        pixels = data["pixels"][rows]
        found = _labels(network, pixels)
        strips = [pixels, LABEL_RGB[data["labels"][rows]], LABEL_RGB[found]]
        sheet = np.vstack([np.hstack(list(strip)) for strip in strips])
        half = cv2.resize(sheet, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(path), cv2.cvtColor(half, cv2.COLOR_RGB2BGR))


def restyled(arrays: dict[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Give a sample hair, clothes and things of other forms and colours than the few there are."""
    if rng.random() < _BENT_SHARE:
        arrays = bent(arrays, rng, _BENT)
    for part in _PARTS:
        if rng.random() < _PART_SHARE:
            inside = np.isin(arrays["labels"], part)
            pixels = part_recoloured(arrays["pixels"], inside, rng, _PART_COLOUR)
            arrays = arrays | {"pixels": pixels}
    if rng.random() < _SHEEN_SHARE:
        hair = arrays["labels"] == Label.HAIR
        arrays = arrays | {"pixels": sheened(arrays["pixels"], hair, rng, _SHEEN)}
    return arrays


def coverage(
    labels: torch.Tensor, hair_alpha: torch.Tensor, alpha: torch.Tensor
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Turn labels and mattes into how much of a pixel belongs to which label.

    Args:
        labels: (N, H, W) uint8.
        hair_alpha: (N, H, W) uint8, coverage by hair.
        alpha: (N, H, W) uint8, coverage by anything in the foreground.

    Returns:
        Background, hair and what lies solid there: each as label numbers (N, H, W) int64 and
        shares (N, H, W) float32; the shares of a pixel sum to 1.
    """
    covered = alpha.float() / 255
    hair = torch.minimum(hair_alpha.float() / 255, covered)
    solid = labels.long()
    # A soft edge over the background is hair; without hair it is what the label says.
    solid = torch.where((solid == Label.BACKGROUND) & (hair > 0.02), int(Label.HAIR), solid)
    bare = solid == Label.BACKGROUND
    covered = torch.where(bare, 0.0, covered)
    hair = torch.where(bare, 0.0, hair)
    background, strands = (torch.full_like(solid, int(n)) for n in (Label.BACKGROUND, Label.HAIR))
    return [(background, 1 - covered), (strands, hair), (solid, covered - hair)]


def _labels(network: nn.Module, pixels: np.ndarray) -> np.ndarray:
    """(n, H, W, 3) uint8 → (n, H, W) labels."""
    batch = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
    place = next(network.parameters()).device
    with torch.no_grad():
        return network(batch.to(place)).argmax(dim=1).cpu().numpy()
