"""Repair of pasted faces: CycleGAN between pictures with a pasted face and real ones.

DepthNets §2.4 and §3.3, Zhu et al. 2017. Domain A: faces laid on other people's heads, and faces
turned to the front before what is left of their picture; domain B: the pictures as they were.
Two generators translate both ways; least-squares discriminators, with a pool of 50 earlier
pictures, judge; cycle and identity terms hold the generators back. One term is not the paper's:
a face laid on the same person has a truth, and the generator is told of it.

The generator adds a change to the picture, and begins with none, so that it cannot spoil much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from stream.repair import PASTED, SIZE, UNKNOWN, change_allowed
from training.experiments.refine import tolerant
from training.learn.augment import recoloured
from training.learn.loop import channels_last
from training.learn.repair_pairs import FRONTAL, SELF, SWAPPED
from training.nets.cyclegan import ImagePool, PatchGan, ResnetGenerator
from training.nets.patch_discriminator import judge_loss, maker_loss
from training.nets.unet import UNet

if TYPE_CHECKING:
    from pathlib import Path

    from training.learn.experiment import Batch, Config
    from training.learn.prepared import PreparedSet

_WIDTHS, _DEPTHS, _FOLD = (24, 40, 64, 96), (1, 1, 2, 2), 4
# As in CycleGAN, but that the discriminators count ten times as much beside the cycle (its
# pictures are −1…1): a generator that begins by changing nothing needs a push.
_RATES = {"cycle": 0.5, "identity": 0.25, "adversarial": 0.25, "truth": 10.0}
_SLIGHT = 0.02
_ALONE = 4000  # steps in which the truth alone teaches
_POOL = 50


class Translator(nn.Module):
    """A generator: adds to a picture where it may change.

    Args:
        variant: `light` runs live; `resnet` is the generator of the CycleGAN paper.
    """

    soft: torch.Tensor

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.light = variant == "light"
        self.body: nn.Module = (
            UNet(5, 3, _WIDTHS, _DEPTHS, _FOLD) if self.light else ResnetGenerator(5, 3)
        )
        last = self.body.head[-1]
        for weights in last.parameters():
            nn.init.zeros_(weights)  # begins by changing nothing
        soft = torch.tensor([0.25, 0.5, 0.25])
        kernel = torch.outer(soft, soft).expand(3, 1, 3, 3).contiguous()
        self.register_buffer("soft", kernel)  # over the joints of what is unfolded

    def forward(self, picture: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Return the (N, 3, H, W) picture, 0…1; not clipped while training.

        Args:
            picture: (N, 3, H, W) RGB 0…1.
            masks: (N, 2, H, W) 0…1: pasted, unknown.
        """
        found = self.body(torch.cat([picture - 0.45, masks - 0.3], dim=1))
        if self.light:
            # As a layer that learns, it goes to 0 in the first steps and takes the rest along.
            found = functional.conv2d(found, self.soft.to(found.dtype), padding=1, groups=3)
        out = picture + found
        return out if self.training else out.clamp(0, 1)


class Cycle(nn.Module):
    """Both generators; `repair` goes from pasted to real, `spoil` back."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.repair, self.spoil = Translator(variant), Translator(variant)

    def forward(
        self, picture: torch.Tensor, masks: torch.Tensor, back: bool = False
    ) -> torch.Tensor:
        """Translate: see `Translator`; `back` makes a real picture look pasted."""
        return (self.spoil if back else self.repair)(picture, masks)


class Judges(nn.Module):
    """A discriminator for each domain; they see the masks beside the picture.

    Attributes:
        steps: of the training so far, kept with the weights.
    """

    steps: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.real, self.pasted = PatchGan(5), PatchGan(5)


class Repair:
    """The experiment; see `learn.experiment.Experiment` and `Adversarial`."""

    name = "repair"
    variants = ("light", "resnet")
    inputs = ("picture", "masks")
    outputs = ("repaired",)

    def __init__(self) -> None:
        self._judges: Judges | None = None
        self._pools = {"real": ImagePool(_POOL), "pasted": ImagePool(_POOL, seed=1)}
        self._made: dict[str, torch.Tensor] = {}

    def build(self, variant: str) -> nn.Module:
        """Make both generators; called with two tensors, the pair repairs."""
        return Cycle(variant)

    def adversary(self, config: Config, place: torch.device) -> nn.Module:
        """Make both discriminators."""
        self._judges = Judges()
        return channels_last(self._judges, place)

    def example(
        self, data: PreparedSet, index: int, rng: np.random.Generator | None
    ) -> dict[str, np.ndarray]:
        """Return `picture`, `masks`, `truth`, `kind`, and `other`, `other_masks` of another one.

        The other picture is a real one, unpaired, with where a face would be pasted into it.
        """
        arrays = [np.asarray(data[name][index]) for name in ("pasted", "masks", "real")]
        kind = np.array(int(data["kind"][index]), np.int64)
        if rng is None:
            other = [arrays[2], arrays[1]]
        else:
            at = int(rng.integers(data.count))
            other = _mirrored([np.asarray(data[name][at]) for name in ("real", "masks")], rng)
            both = recoloured(np.vstack([arrays[0], arrays[2]]), rng, 0.6)
            arrays = _mirrored([both[:SIZE], arrays[1], both[SIZE:]], rng)
        names = ("picture", "masks", "truth", "other", "other_masks")
        example = {n: np.ascontiguousarray(a) for n, a in zip(names, arrays + other, strict=True)}
        return example | {"kind": kind}

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the terms of CycleGAN (its eq. 3, with the identity term of §5.2), and truth.

        The first steps learn from the truth alone: they cost a sixth.
        """
        pasted, masks = batch["picture"], batch["masks"].float() / 255
        as_real = network(pasted, masks)
        own = (batch["kind"] == SELF).float().view(-1, 1, 1, 1)
        truth = tolerant(as_real, batch["truth"].float() / 255, own * _near(masks))
        terms = {"truth": _RATES["truth"] * truth}
        self._made = {}
        if self._judges is not None and int(self._judges.steps) < _ALONE:
            return terms
        real, real_masks = batch["other"].float() / 255, batch["other_masks"].float() / 255
        as_pasted = network(real, real_masks, True)
        cycle = _apart(network(as_real, masks, True), pasted)
        cycle = cycle + _apart(network(as_pasted, real_masks), real)
        same = _apart(network(real, real_masks), real)
        same = same + _apart(network(pasted, masks, True), pasted)
        terms |= {"cycle": _RATES["cycle"] * cycle, "identity": _RATES["identity"] * same}
        if self._judges is not None:
            seen = {
                "real": torch.cat([as_real.float(), masks], 1),
                "pasted": torch.cat([as_pasted.float(), real_masks], 1),
            }
            self._made = {name: made.detach() for name, made in seen.items()}
            terms["adversarial"] = _RATES["adversarial"] * self._fooled(self._judges, seen)
        return terms

    def _fooled(self, judges: Judges, seen: dict[str, torch.Tensor]) -> torch.Tensor:
        """How far both discriminators tell what was made: least squares (CycleGAN §4)."""
        judges.requires_grad_(False)
        pairs = (judges.real, seen["real"]), (judges.pasted, seen["pasted"])
        terms = [maker_loss(judge(made).float(), _near(made[:, 3:])) for judge, made in pairs]
        judges.requires_grad_(True)
        return terms[0] + terms[1]

    def adversary_loss(self, judge: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return what the discriminators make of real pictures and of made ones, old and new.

        While the generator learns from the truth alone they wait.
        """
        if not isinstance(judge, Judges):
            raise ValueError("Repair.adversary_loss: runs on one process")
        judge.steps += 1
        if not self._made:
            return {"judge_real": 0.0 * next(judge.real.parameters()).sum()}
        masks, real_masks = (batch[n].float() / 255 for n in ("masks", "other_masks"))
        whole = {
            "real": torch.cat([batch["other"].float() / 255, real_masks], 1),
            "pasted": torch.cat([batch["picture"], masks], 1),
        }
        terms = {}
        for name, net in (("real", judge.real), ("pasted", judge.pasted)):
            made = self._pools[name].exchange(self._made[name])
            score = net(torch.cat([whole[name], made])).float()
            of_whole, of_made = score[: len(made)], score[len(made) :]
            told = _near(whole[name][:, 3:]), _near(made[:, 3:])
            terms[f"judge_{name}"] = 0.5 * judge_loss(of_whole, of_made, *told)
        return terms

    def evaluate(self, network: nn.Module, data: PreparedSet, count: int) -> dict[str, float]:
        """Compare pasted and repaired pictures.

        Returns:
            `l1_…`: grey levels between them and the truth where a face was laid on the same
            person; `seam_…`: mean gradient across the edge of what was pasted, over that of the
            same place before anything was; both for `pasted` and `repaired`, of swaps and of
            faces turned to the front; `identity`: grey levels by which a real picture is changed.
        """
        sums: dict[str, list[float]] = {}
        for start in range(0, min(count, data.count), 20):
            rows = np.arange(start, min(start + 20, count, data.count))
            shown, kept = repaired(network, data, rows), repaired(network, data, rows, "real")
            for row, picture, same in zip(rows, shown, kept, strict=True):
                pasted, masks, real = (data[n][row] for n in ("pasted", "masks", "real"))
                allowed, kind = change_allowed(masks), int(data["kind"][row])
                sums.setdefault("identity", []).append(_difference(same, real, allowed))
                for name, one in (("pasted", pasted), ("repaired", picture)):
                    if kind == SELF:
                        sums.setdefault(f"l1_{name}", []).append(_difference(one, real, allowed))
                    label = {SWAPPED: "swap", SELF: "swap", FRONTAL: "frontal"}[kind]
                    sums.setdefault(f"seam_{label}_{name}", []).append(seam(one, real, masks))
        return {name: float(np.mean(values)) for name, values in sums.items()}

    def sheet(self, network: nn.Module, data: PreparedSet, path: Path) -> None:
        """Draw pasted, repaired and original pictures below each other, kind after kind."""
        strips = []
        for kind in (SWAPPED, SELF, FRONTAL):
            rows = np.flatnonzero(np.asarray(data["kind"][: data.count]) == kind)[:8]
            if len(rows) < 8:
                continue
            pictures = [data["pasted"][rows], repaired(network, data, rows), data["real"][rows]]
            strips += [np.hstack(list(one)) for one in pictures]
        if strips:
            cv2.imwrite(str(path), cv2.cvtColor(np.vstack(strips), cv2.COLOR_RGB2BGR))


def repaired(
    network: nn.Module, data: PreparedSet, rows: np.ndarray, field: str = "pasted"
) -> np.ndarray:
    """Repair pictures of a set as the live path does: (n, S, S, 3) uint8."""
    place = next(network.parameters()).device
    pictures, masks = (np.asarray(data[name][rows]) for name in (field, "masks"))
    tensors = [torch.from_numpy(a).permute(0, 3, 1, 2).float() / 255 for a in (pictures, masks)]
    with torch.no_grad():
        made = network(*(tensor.to(place) for tensor in tensors)).float().cpu()
    allowed = np.stack([change_allowed(one) for one in masks])[..., None]
    change = made.permute(0, 2, 3, 1).numpy() * 255 - pictures
    return np.rint(pictures + change * allowed).clip(0, 255).astype(np.uint8)


def seam(picture: np.ndarray, before: np.ndarray, masks: np.ndarray) -> float:
    """Return the gradient along a mask's edge, over that of the picture before.

    Args:
        picture: (S, S, 3) uint8.
        before: (S, S, 3) uint8, without a pasted face.
        masks: (S, S, 2) uint8.
    """
    covered = np.maximum(masks[..., PASTED], masks[..., UNKNOWN]) > 127
    edge = cv2.morphologyEx(covered.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5)))
    steps = []
    for one in (picture, before):
        grey = cv2.cvtColor(np.ascontiguousarray(one), cv2.COLOR_RGB2GRAY).astype(np.float32)
        steps.append(cv2.magnitude(*(cv2.Sobel(grey, -1, *d) / 8 for d in ((1, 0), (0, 1)))))
    inside = edge > 0
    return float(steps[0][inside].mean() / max(float(steps[1][inside].mean()), 0.5))


def _difference(one: np.ndarray, other: np.ndarray, weight: np.ndarray) -> float:
    apart = np.abs(one.astype(np.float32) - other).mean(axis=-1)
    return float((weight * apart).sum() / max(float(weight.sum()), 1.0))


def _apart(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference, but smooth where it is slight.

    With a corner at 0 a generator that begins by changing nothing would stay with that.
    """
    return (torch.sqrt((one.float() - other) ** 2 + _SLIGHT**2) - _SLIGHT).mean()


def _near(masks: torch.Tensor) -> torch.Tensor:
    """(N, 1, H, W) where pictures may change: in and a little around what is pasted or unknown."""
    return functional.max_pool2d(masks.amax(dim=1, keepdim=True), 9, 1, 4)


def _mirrored(arrays: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Mirror all, or none."""
    return [array[:, ::-1] for array in arrays] if rng.random() < 0.5 else arrays
