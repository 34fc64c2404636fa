"""The network as a geometric constraint (Sela et al. 2017, §5.3): synthetic faces made real.

A generator changes synthetic pictures so that a discriminator takes them for photographs
(eq. 6), while what `pix2vertex` finds in them must stay as it was (eq. 7). `geometric_loss` is
the hook: any training that changes pictures of faces can add it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from stream.media import open_source
from stream.reconstruct.pix2vertex import SIDE, UNIT_MM, cut_square, face_square
from stream.track import FaceTracker
from training.nets.patch_discriminator import PatchDiscriminator
from training.nets.unet import UNet
from training.pix2vertex.examples import CropVariation, example
from training.pix2vertex.nets import Maps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from training.learn.prepared import PreparedSet

TRANSLATED = 128  # side of the pictures that are translated
_REACH = 0.35  # largest change of a colour


@dataclass(frozen=True, slots=True)
class TranslationConfig:
    """How a translator is trained.

    Attributes:
        steps: of generator and discriminator.
        batch: pictures of each kind a step.
        rate: learning rate.
        geometry: weight of eq. 7 beside eq. 6; 0 leaves it out.
        seed: of weights and pictures.
    """

    steps: int = 400
    batch: int = 4
    rate: float = 4e-4
    geometry: float = 10.0
    seed: int = 0


class Translator(nn.Module):
    """G of eq. 6: adds a change to a picture, at first none."""

    def __init__(self) -> None:
        super().__init__()
        self.body = UNet(3, 3, (24, 40, 64, 96), (1, 1, 1, 1))
        for weight in self.body.head[1].parameters():
            nn.init.zeros_(weight)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) RGB 0…1 → the same."""
        return (picture + _REACH * torch.tanh(self.body(picture - 0.45))).clamp(0, 1)


def geometric_loss(network: nn.Module, before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """‖Net(x) − Net(G(x))‖₁ (eq. 7), the mean over the face in `before`.

    Args:
        network: a trained network of pix2vertex; its weights get no slope.
        before: (N, 3, H, W) RGB 0…1; any side, the network sees its own.
        after: the same, changed.

    Returns:
        Mean difference in units of 100 mm, of places in space and on the mean head.
    """
    sides = (SIDE, SIDE)
    with torch.no_grad():
        wanted = Maps(*network(functional.interpolate(before, sides, mode="bilinear")))
    found = Maps(*network(functional.interpolate(after, sides, mode="bilinear")))
    inside = (wanted.mask > 0.5).float()
    losses = [(inside * (found.mask - wanted.mask).abs()).sum() / inside.sum().clamp(min=1)]
    for kind in ("points", "correspondence"):
        now, then = getattr(found, kind), getattr(wanted, kind)
        if now is not None:
            losses.append((inside * (now - then).abs()).sum() / (3 * inside.sum()).clamp(min=1))
    return torch.stack(losses).sum()


class Translation:
    """Trains a generator and its discriminator, one step at a time.

    Args:
        network: of pix2vertex, trained.
        config: how.
    """

    def __init__(self, network: nn.Module, config: TranslationConfig) -> None:
        torch.manual_seed(config.seed)
        self.network = network.eval().requires_grad_(False)
        self._config = config
        self.generator, self._judge = Translator(), PatchDiscriminator(3)
        betas = (0.5, 0.99)
        self._makes = torch.optim.Adam(self.generator.parameters(), config.rate, betas)
        self._judges = torch.optim.Adam(self._judge.parameters(), config.rate, betas)

    def learn(self, synthetic: torch.Tensor, real: torch.Tensor) -> dict[str, float]:
        """Take one step on (N, 3, H, W) pictures of both kinds; return the terms."""
        made = self.generator(synthetic)
        # log(1 − D(G(x))) has no slope while the judge is right: −log D(G(x)) instead, as usual.
        fooled = functional.softplus(-self._judge(made)).mean()
        geometry = geometric_loss(self.network, synthetic, made)
        self._makes.zero_grad(set_to_none=True)
        (fooled + self._config.geometry * geometry).backward()
        self._makes.step()
        judged = functional.softplus(-self._judge(real)).mean()
        judged = judged + functional.softplus(self._judge(made.detach())).mean()
        self._judges.zero_grad(set_to_none=True)
        judged.backward()
        self._judges.step()
        return {
            "fooled": float(fooled.detach()),
            "judged": float(judged.detach()),
            "geometry_mm": UNIT_MM * float(geometry.detach()),
        }


def real_faces(paths: Sequence[Path], every: int = 12, side: int = TRANSLATED) -> np.ndarray:
    """Cut the faces out of frames of clips and out of pictures; (N, side, side, 3) uint8."""
    found = []
    with FaceTracker(1, still=True) as tracker:
        for path in paths:
            with open_source(str(path)) as source:
                for number, frame in enumerate(source):
                    if number % every:
                        continue
                    for face in tracker.track(frame)[:1]:
                        crop = face_square(face.points_px).matrix(side)
                        found.append(cut_square(frame.pixels, crop, side))
    return np.array(found)


def synthetic_faces(
    data: PreparedSet, rows: Sequence[int] | np.ndarray, rng: np.random.Generator | None
) -> torch.Tensor:
    """Return (N, 3, S, S) float32 crops of a prepared set, varied when there is a generator."""
    calm = CropVariation(colour=0.0)
    pictures = [example(data, int(row), TRANSLATED, rng, calm)["picture"] for row in rows]
    return as_batch(np.stack(pictures))


def as_batch(pictures: np.ndarray) -> torch.Tensor:
    """(N, S, S, 3) uint8 → (N, 3, S, S) float32, 0…1."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255


def train_translation(
    network: nn.Module, data: PreparedSet, real: np.ndarray, config: TranslationConfig
) -> Translation:
    """Train a translator on a prepared set and on real faces of `real_faces`."""
    training, rng = Translation(network, config), np.random.default_rng(config.seed)
    for step in range(config.steps):
        synthetic = synthetic_faces(data, rng.integers(0, data.count, config.batch), rng)
        photographs = as_batch(real[rng.integers(0, len(real), config.batch)])
        terms = training.learn(synthetic, photographs)
        if step % 25 == 0:
            words = "  ".join(f"{name} {value:.3g}" for name, value in terms.items())
            print(f"step {step}  {words}", flush=True)
    return training


def judged_change(training: Translation, synthetic: torch.Tensor) -> dict[str, float]:
    """Measure what a translator does to (N, 3, S, S) pictures that it was not trained on.

    Returns:
        `geometry_mm`: eq. 7; `change`: mean change of colours, 0…1.
    """
    with torch.no_grad():
        made = training.generator.eval()(synthetic)
        geometry = UNIT_MM * float(geometric_loss(training.network, synthetic, made))
    return {"geometry_mm": geometry, "change": float((made - synthetic).abs().mean())}


def translation_sheet(
    synthetic: torch.Tensor, trainings: Sequence[Translation], real: np.ndarray | None = None
) -> np.ndarray:
    """Draw pictures, what each translator makes of them, and perhaps real ones below each other."""
    rows = [synthetic]
    with torch.no_grad():
        rows += [training.generator.eval()(synthetic) for training in trainings]
    strips = [np.hstack(list((255 * row).byte().permute(0, 2, 3, 1).numpy())) for row in rows]
    if real is not None:
        strips.append(np.hstack(list(real[: len(synthetic)])))
    sheet = np.vstack(strips)
    return cv2.resize(sheet, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
