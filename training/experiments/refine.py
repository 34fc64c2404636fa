"""Repair of a coarse re-posed head: what the warp cannot know.

Deep 3D Portrait (Xu et al. 2020) §5.2. Paired data are synthetic people turned by the live path
(`learn.refine_pairs`) and real pictures spoilt along the head's edge (`refine_corrupt`); unpaired
data are real heads turned by the live path (`refine_real`). The terms are the paper's: colour
(eq. 10), a least-squares discriminator (eqs. 11 and 12), features (eq. 13).

Where a colour is no guess the coarse picture is the truth, for it is the frame: the other view
differs there by its light and by the fit's errors, which nothing should learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from stream.refine import DOUBT, SIZE, UNKNOWN, allowed
from training.experiments.refine_corrupt import corrupted
from training.experiments.refine_features import Likeness
from training.learn.augment import recoloured
from training.learn.loop import channels_last
from training.learn.prepared import PreparedSet, open_set
from training.learn.refine_guesses import widened
from training.learn.refine_pairs import REAL, SYNTHETIC, TURNED
from training.nets.patch_discriminator import PatchDiscriminator, judge_loss, maker_loss
from training.nets.unet import UNet

if TYPE_CHECKING:
    from pathlib import Path

    from training.learn.experiment import Batch, Config

_SIZES = {
    "light": ((32, 48, 80, 112), (1, 1, 2, 2), 4),
    "paper": ((64, 128, 256, 512), (2, 2, 3, 3), 2),
}
_RATES = {"colour": 3.0, "kept": 3.0, "adversarial": 0.05, "feature": 1.2}
_SHARES = (0.7, 0.15, 0.15)  # of the kinds in a batch, where there are real pictures
_BEHIND = 0.4  # how much unknown background counts beside guesses on the head
_DARK, _USUAL, _DISPUTED = 0.06, 0.35, 0.25
_AROUND = 7  # pixels over which it is asked whether two pictures show the same thing
_PART = 128  # side of what is learnt from at a time, around a guess
_LATE = 200, 800  # steps of the discriminator before, and until, it counts
_GATE = 5.0, -2.5  # the network's own gate begins open where a colour is a guess, else closed
_SURE, _GUESS = 13, 128  # of 255: weights up to, and from, which the measures count


class RefineNet(nn.Module):
    """A picture with its guesses repaired.

    Args:
        variant: `light` runs live; `paper` is larger. With `-merge` only what the masks call a
            guess is replaced, as in the paper's ablation: J′ = M·G(J) + (1 − M)·J.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        size, _, merge = variant.partition("-")
        widths, depths, fold = _SIZES[size]
        self.merge = bool(merge)
        self.body = UNet(7, 4, widths, depths, fold)
        self.smooth = nn.Conv2d(4, 4, 3, padding=1)  # over the joints of what is unfolded
        for weights in (*self.body.head[-1].parameters(), *self.smooth.parameters()):
            nn.init.zeros_(weights)  # begins by changing nothing
        soft = torch.tensor([0.25, 0.5, 0.25])
        with torch.no_grad():
            self.smooth.weight.copy_(torch.einsum("io,y,x->ioyx", torch.eye(4), soft, soft))

    def forward(self, picture: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Return the (N, 3, H, W) picture, 0…1; not clipped while training.

        Args:
            picture: (N, 3, H, W) RGB 0…1.
            masks: (N, 4, H, W) 0…1: cover, doubt, unknown background, rest.
        """
        found = self.smooth(self.body(torch.cat([picture - 0.45, masks - 0.3], dim=1)))
        guess = _around(torch.maximum(masks[:, 1:2], masks[:, 2:3]), 5)
        if self.merge:
            # Not compared with a threshold in half of a level: masks come as whole levels.
            out = picture + (guess > 0.1).to(picture.dtype) * found[:, :3]
        else:
            gain, bias = _GATE
            out = picture + torch.sigmoid(found[:, 3:] + gain * guess + bias) * found[:, :3]
        return out if self.training else out.clamp(0, 1)


class Refine:
    """The experiment; see `learn.experiment.Experiment` and `Adversarial`."""

    name = "refine"
    variants = ("light", "paper", "light-merge", "paper-merge")
    inputs = ("picture", "masks")
    outputs = ("refined",)

    def __init__(self) -> None:
        self._judge: PatchDiscriminator | None = None
        self._likeness = Likeness()
        self._real: PreparedSet | None = None
        self._made: torch.Tensor | None = None

    def build(self, variant: str) -> nn.Module:
        """Make the network."""
        return RefineNet(variant)

    def adversary(self, config: Config, place: torch.device) -> nn.Module:
        """Make the discriminator; find the real pictures and the features to compare by.

        Real pictures lie beside the set, in a folder with `_real` after the set's name.
        """
        real = config.data.with_name(config.data.name + "_real")
        self._real = open_set(real) if (real / "set.json").is_file() else None
        self._likeness = Likeness(config.features).to(place)
        self._judge = PatchDiscriminator(4)
        return channels_last(self._judge, place)

    def example(
        self, data: PreparedSet, index: int, rng: np.random.Generator | None
    ) -> dict[str, np.ndarray]:
        """Return `picture`, `masks`, `truth` uint8 (S, S, C), `weight` (S, S, 1) and `kind`.

        `weight` is how far the live path lets a pixel change; the truth of what it does not let
        change is the picture. For training, a part around a guess is cut out.
        """
        if rng is not None and self._real is not None:
            kind = rng.choice(3, p=_SHARES)
            if kind != SYNTHETIC:
                data = self._real
                rows = np.flatnonzero(np.asarray(data["kind"][: data.count]) == kind)
                index = int(rows[index % len(rows)])
        coarse, masks, truth = (np.asarray(data[n][index]) for n in ("coarse", "masks", "truth"))
        kind = int(data["kind"][index])
        if rng is not None:
            masks = widened(masks, np.asarray(data["guesses"][index]), rng)
            both = recoloured(np.vstack([coarse, truth]), rng, 0.8)
            coarse, truth = both[:SIZE], both[SIZE:]
            if kind == REAL:
                coarse, masks = corrupted(coarse.copy(), np.ascontiguousarray(masks[..., 0]), rng)
        arrays = [coarse, masks, truth, allowed(np.ascontiguousarray(masks))[..., None]]
        if rng is not None:
            x, y = _corner(arrays[-1], rng)
            arrays = [array[y : y + _PART, x : x + _PART] for array in arrays]
            if rng.random() < 0.5:
                arrays = [array[:, ::-1] for array in arrays]
        names = ("picture", "masks", "truth", "weight")
        example = {n: np.ascontiguousarray(a) for n, a in zip(names, arrays, strict=True)}
        return example | {"kind": np.array(kind, np.int64)}

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the terms of eqs. 10, 11 and 13."""
        picture, weight = batch["picture"], batch["weight"].float() / 255
        made = network(picture, batch["masks"].float() / 255).float()
        truth = picture + weight * (batch["truth"].float() / 255 - picture)
        shown = picture + weight * (made - picture)
        paired = (batch["kind"] != TURNED).float().view(-1, 1, 1, 1)
        counts = weight * paired * _importance(batch["masks"])
        drawn = (batch["kind"] == SYNTHETIC).view(-1, 1, 1, 1)
        counts = torch.where(drawn, counts * agreement(picture, truth), counts)
        terms = {
            "colour": _RATES["colour"] * tolerant(shown, truth, counts),
            "kept": _RATES["kept"] * ((1 - weight) * (made - picture).abs()).mean(),
            "feature": _RATES["feature"] * self._likeness(shown, truth, counts),
        }
        if self._judge is not None:
            seen = torch.cat([shown, weight], dim=1)
            self._made = seen.detach()
            share = _RATES["adversarial"] * _risen(self._judge)
            self._judge.requires_grad_(False)
            terms["adversarial"] = share * maker_loss(self._judge(seen).float(), weight)
            self._judge.requires_grad_(True)
        return terms

    def adversary_loss(self, judge: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the term of eq. 12 on what `loss` has just made."""
        if self._made is None:
            raise ValueError("Refine.adversary_loss: comes after loss")
        picture, weight = batch["picture"], batch["weight"].float() / 255
        truth = picture + weight * (batch["truth"].float() / 255 - picture)
        paired = batch["kind"] != TURNED
        real = torch.cat([truth, weight], dim=1)[paired]
        score = judge(torch.cat([real, self._made])).float()
        if self._judge is not None:
            self._judge.steps += 1
        of_real, of_made = score[: len(real)], score[len(real) :]
        return {"judge": judge_loss(of_real, of_made, weight[paired], weight)}

    def evaluate(self, network: nn.Module, data: PreparedSet, count: int) -> dict[str, float]:
        """Compare what the live path would show, and the coarse picture, with the truth.

        Returns:
            For `coarse` and `refined`, by place (`guess`, `sure`, `whole`): L1 in grey levels,
            PSNR in dB, SSIM; means over the pixels of all pictures.
        """
        sums: dict[str, np.ndarray] = {}
        for start in range(0, min(count, data.count), 20):
            rows = np.arange(start, min(start + 20, count, data.count))
            shown, weights = refined(network, data, rows)
            for row, picture, weight in zip(rows, shown, weights, strict=True):
                places = {"guess": weight >= _GUESS, "sure": weight <= _SURE, "whole": weight >= 0}
                for name, one in (("coarse", data["coarse"][row]), ("refined", picture)):
                    for key, value in _measured(one, data["truth"][row], places).items():
                        place = f"{name}_{key}"
                        sums[place] = sums.get(place, np.zeros(4)) + value
        scores = {}
        for place, (l1, square, ssim, pixels) in sums.items():
            some = max(pixels, 1)
            scores[f"l1_{place}"] = float(l1 / some)
            scores[f"psnr_{place}"] = float(10 * np.log10(255**2 / max(square / some, 1e-9)))
            scores[f"ssim_{place}"] = float(ssim / some)
        return scores

    def sheet(self, network: nn.Module, data: PreparedSet, path: Path) -> None:
        """Draw masks, coarse, refined and true pictures below each other, at full size."""
        rows = np.linspace(0, data.count - 1, 10).astype(int)
        shown, _ = refined(network, data, rows)
        masks = data["masks"][rows][..., :3]
        strips = [masks, data["coarse"][rows], shown, data["truth"][rows]]
        sheet = np.vstack([np.hstack(list(strip)) for strip in strips])
        cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def tolerant(made: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Compare pictures where a weight says so, at three resolutions.

    The truth may lie a pixel off, which a comparison of single pixels answers with blur; coarser
    ones, which count more, tell of tone and place without that.

    Args:
        made: (N, 3, H, W).
        truth: the same.
        weight: (N, 1, H, W).
    """
    total = made.new_zeros(())
    difference = made - truth
    for level, share in enumerate((0.25, 0.3, 0.45)):
        if level:
            difference = functional.avg_pool2d(difference, 2)
            weight = functional.avg_pool2d(weight, 2)
        some = weight.sum().clamp(min=weight.shape[-1])
        error = torch.sqrt(difference**2 + 1e-5)  # smooth about 0
        total = total + share * (weight * error).sum() / (3 * some)
    return total


def agreement(picture: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, H, W), how much a pixel counts, by whether a picture and its truth agree.

    Another view shows room where the coarse picture shows hair since the fit is off more often than
    since the warp is. Were that to count in full, the network would let outlines and ears fade into
    the room, which are right in most pictures.

    Args:
        picture: (N, 3, H, W) RGB, 0…1.
        truth: the same.
    """
    now, then = (
        functional.avg_pool2d(p, _AROUND, 1, _AROUND // 2, count_include_pad=False) + _DARK
        for p in (picture, truth)
    )
    apart = (torch.log(now / then).abs().amax(dim=1, keepdim=True) / _USUAL) ** 2
    return _DISPUTED + (1 - _DISPUTED) * torch.exp(-apart)


def refined(
    network: nn.Module, data: PreparedSet, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Repair coarse pictures of a set as the live path does.

    Returns:
        (n, S, S, 3) uint8 pictures and the (n, S, S) uint8 weights of the change.
    """
    place = next(network.parameters()).device
    coarse, masks = (np.asarray(data[name][rows]) for name in ("coarse", "masks"))
    tensors = [torch.from_numpy(a).permute(0, 3, 1, 2).float() / 255 for a in (coarse, masks)]
    with torch.no_grad():
        made = network(*(tensor.to(place) for tensor in tensors)).float().cpu()
    weights = np.stack([allowed(mask) for mask in masks])
    change = made.permute(0, 2, 3, 1).numpy() * 255 - coarse
    shown = coarse + change * (weights[..., None] / np.float32(255))
    return np.rint(shown).clip(0, 255).astype(np.uint8), weights


def _importance(masks: torch.Tensor) -> torch.Tensor:
    """(N, 1, H, W) how much a pixel counts: most of what is unknown is room far from the head."""
    doubt = masks[:, DOUBT : DOUBT + 1].float() / 255
    return _BEHIND + (1 - _BEHIND) * _around(doubt, 9)


def _around(values: torch.Tensor, side: int) -> torch.Tensor:
    """Return the largest of (N, 1, H, W) values in a square of odd side around each pixel.

    In rows, then in columns: at once it took nearly half of the network's time.
    """
    reach = side // 2
    rows = functional.max_pool2d(values, (side, 1), 1, (reach, 0))
    return functional.max_pool2d(rows, (1, side), 1, (0, reach))


def _corner(weight: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """Draw x and y of a part around a guess."""
    guess = np.argwhere(weight[::4, ::4, 0] > _GUESS) * 4
    centre = guess[rng.integers(len(guess))] if len(guess) else np.array([SIZE, SIZE]) // 2
    y, x = np.clip(centre - _PART // 2, 0, SIZE - _PART)
    return int(x), int(y)


def _risen(judge: PatchDiscriminator) -> float:
    """How far the discriminator counts by now."""
    begin, full = _LATE
    return float(np.clip((int(judge.steps) - begin) / (full - begin), 0, 1))


def _measured(
    picture: np.ndarray, truth: np.ndarray, places: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return sums of |error|, error², SSIM and pixels by place."""
    error = picture.astype(np.float32) - truth
    similar = _ssim(picture, truth)
    one, two = np.abs(error).mean(axis=-1), (error**2).mean(axis=-1)
    return {
        name: np.array([one[p].sum(), two[p].sum(), similar[p].sum(), p.sum()], np.float64)
        for name, p in places.items()
    }


def _ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(H, W) structural similarity of grey levels (Wang et al. 2004)."""
    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (first, second))

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    ma, mb = mean(a), mean(b)
    va, vb, both = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    c1, c2 = 6.5025, 58.5225
    return ((2 * ma * mb + c1) * (2 * both + c2)) / ((ma**2 + mb**2 + c1) * (va + vb + c2))


__all__ = ["DOUBT", "UNKNOWN", "Refine", "RefineNet", "refined", "tolerant"]
