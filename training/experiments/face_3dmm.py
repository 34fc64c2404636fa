"""Head model coefficients, pose, skin and light from the crop of a face.

Deep 3D Portrait (Xu et al. 2020) §4.1 and Learning Monocular Face Reconstruction (Shu et al.)
§III-C; what the outputs mean stands in stream.face_3dmm, the losses in learn.face_losses. Trained
on synthetic people, of whom all is known; two views of one person go together.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from stream.face_3dmm import SIZE
from training.experiments.face_3dmm_report import errors, write_sheet
from training.learn import face_losses as losses
from training.learn.face_geometry import (
    FaceGeometry,
    colours_at,
    in_camera,
    light_from_picture,
    projected,
    rotation_matrix,
    shaded,
)
from training.learn.face_identity import load_identity
from training.learn.face_views import other_view, view
from training.nets.densenet import DenseNet
from training.nets.mobile import MobileEncoder
from training.nets.resnet import ResNet

if TYPE_CHECKING:
    from training.learn.experiment import Batch
    from training.learn.face_identity import Features
    from training.learn.prepared import PreparedSet

OUTPUTS = {"identity": 80, "expression": 52, "rotation": 6, "place": 3, "texture": 40, "light": 27}
_SCALES = {"identity": 1.0, "expression": 0.3, "rotation": 0.4, "place": 0.2, "texture": 1.0,
           "light": 0.5}  # fmt: skip
_START = {"expression": (0.05,) * 52, "rotation": (1.0, 0, 0, 0, 1.0, 0),
          "place": (0.0, -0.15, 1.2), "light": (2.0, *[0.0] * 8) * 3}  # fmt: skip
_RATES = {
    "identity": 1.0, "expression": 2.0, "units": 60.0, "shape": 5.0, "neutral": 5.0,
    "rotation": 3.0, "place": 3.0, "landmark": 15.0, "photo": 1.0, "light": 0.2, "texture": 0.5,
    "pair": 0.03, "prior": 0.002, "perceptual": 0.1,
}  # fmt: skip
_FLAT = {"ray": (3, 3), "points": (478, 2)}
IDENTITY_VARIABLE = "VOLTFACE_IDENTITY"  # file of an identity network; see learn.face_identity


class FaceNet(nn.Module):
    """An encoder and one head for all coefficients.

    Args:
        variant: `light` runs live; `paper` is Deep 3D Portrait's ResNet-50, `paper-dense` the
            DenseNet of Learning Monocular Face Reconstruction.
    """

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.light = variant == "light"
        if self.light:
            self.encoder: nn.Module = MobileEncoder()
            narrow, wide, side = 48, 288, SIZE // 32
            self.pool: nn.Module = nn.Sequential(
                nn.Conv2d(self.encoder.channels, narrow, 1, bias=False),
                nn.BatchNorm2d(narrow),
                nn.ReLU(inplace=True),
                nn.Flatten(),
            )
            inputs = narrow * side * side
        else:
            self.encoder = DenseNet() if variant == "paper-dense" else ResNet(50)
            inputs = 1024 if variant == "paper-dense" else 2048
            wide = 512
            self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        # Normalised, so that steps of the optimiser stay small against its many inputs.
        self.hidden = nn.Sequential(nn.Linear(inputs, wide, bias=False), nn.BatchNorm1d(wide))
        self.heads = nn.Linear(wide, sum(OUTPUTS.values()))
        nn.init.normal_(self.heads.weight, std=0.01)
        nn.init.zeros_(self.heads.bias)

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(N, 3, 192, 192) RGB 0…1 → the outputs of stream.face_3dmm, in the order of OUTPUTS."""
        features = self.encoder(picture - 0.45)
        if isinstance(features, list):
            features = features[-1]
        x = torch.relu(self.hidden(self.pool(features)))
        if torch.is_autocast_enabled(x.device.type):  # half floats are too coarse for a pose
            with torch.autocast(x.device.type, enabled=False):
                return self._coefficients(self.heads(x.float()))
        return self._coefficients(self.heads(x))

    def _coefficients(self, raw: torch.Tensor) -> tuple[torch.Tensor, ...]:
        result = []
        parts = raw.split(list(OUTPUTS.values()), dim=1)
        for name, part in zip(OUTPUTS, parts, strict=True):
            value = part * _SCALES[name]
            if name in _START:
                value = value + value.new_tensor(_START[name])
            if name == "rotation":
                value = _orthonormal(value)
            elif name == "expression" and not self.training:
                value = value.clamp(0.0, 1.0)  # while training, a bound would stop the learning
            result.append(value)
        return tuple(result)


def _orthonormal(columns: torch.Tensor) -> torch.Tensor:
    """Make two columns (N, 6) orthonormal, with operations that any engine has."""
    first, second = columns[:, :3], columns[:, 3:]
    first = first / ((first * first).sum(1, keepdim=True) + 1e-9).sqrt()
    second = second - (first * second).sum(1, keepdim=True) * first
    second = second / ((second * second).sum(1, keepdim=True) + 1e-9).sqrt()
    return torch.cat([first, second], dim=1)


class Face3dmm:
    """The experiment; see `learn.experiment.Experiment`."""

    name = "face_3dmm"
    variants = ("light", "paper", "paper-dense")
    inputs = ("picture",)
    outputs = tuple(OUTPUTS)

    def __init__(self) -> None:
        self._geometry: FaceGeometry | None = None
        self._identity: Features | None = None

    def build(self, variant: str) -> nn.Module:
        """Make the network."""
        return FaceNet(variant)

    def example(
        self, data: PreparedSet, index: int, rng: np.random.Generator | None
    ) -> dict[str, np.ndarray]:
        """Return two views of one person, as learn.face_views gives them.

        Pictures lie behind each other in the channels, (192, 192, 6); all else is (2, …). Without
        a generator both are the same view.
        """
        indices = [index, index if rng is None else other_view(data, index, rng)]
        views = [view(data, number, rng) for number in indices]
        both = {name: np.stack([one[name] for one in views]) for name in views[0]}
        both["picture"] = np.concatenate([one["picture"] for one in views], axis=2)
        for name in _FLAT:  # what has four axes in a batch would be taken for maps
            both[name] = both[name].reshape(2, -1)
        return both

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the weighted terms; each one's equation stands in learn.face_losses."""
        pictures = batch["picture"].unflatten(1, (2, 3))
        batch = {name: value.flatten(0, 1) for name, value in batch.items() if name != "picture"}
        batch |= {name: batch[name].unflatten(1, shape) for name, shape in _FLAT.items()}
        batch["picture"] = pictures.flatten(0, 1)
        picture = batch["picture"].contiguous(memory_format=torch.channels_last)
        outputs = network(picture)
        with torch.autocast(picture.device.type, enabled=False):
            found = {name: x.float() for name, x in zip(OUTPUTS, outputs, strict=True)}
            terms = self._terms(found, batch)
        return {name: _RATES[name] * value for name, value in terms.items()}

    def _terms(self, found: Batch, true: Batch) -> dict[str, torch.Tensor]:
        if self._geometry is None:
            self._geometry = FaceGeometry(true["picture"].device)
            chosen = os.environ.get(IDENTITY_VARIABLE)
            self._identity = load_identity(Path(chosen)) if chosen else None
        geometry, weigh = self._geometry, self._geometry.importance
        identity = found["identity"]
        terms = {
            name: losses.coefficients(found[name], true[name], weigh[name])
            for name in ("identity", "expression", "texture")
        }
        terms["units"] = losses.strengths(
            found["expression"], true["expression"], weigh["expression"]
        )
        rotations = [rotation_matrix(one["rotation"]) for one in (found, true)]
        terms["rotation"] = (rotations[0] - rotations[1]).abs().mean()
        terms["place"] = (found["place"] - true["place"]).abs().mean()
        points = geometry.points(identity, found["expression"])
        points = projected(in_camera(points, rotations[0], found["place"], true), true)
        terms["landmark"] = losses.landmarks(points, true["points"], true["visible"])
        rest = torch.zeros_like(true["expression"])
        neutral = [geometry.vertices(one["identity"], rest) for one in (found, true)]
        posed = [geometry.vertices(one["identity"], one["expression"]) for one in (found, true)]
        terms["neutral"], terms["shape"] = losses.shape(*neutral), losses.shape(*posed)
        terms["pair"] = losses.consistency(identity[0::2], identity[1::2], weigh["identity"])
        terms["prior"] = losses.regularisation(identity, found["texture"])
        return terms | self._seen_terms(found, true, posed)

    def _seen_terms(
        self, found: Batch, true: Batch, posed: list[torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Return the terms that compare colours, and that of the light which they tell."""
        geometry = self._geometry
        assert geometry is not None  # noqa: S101  set by the only caller
        with torch.no_grad():
            skin = geometry.skin(posed[1], true, true)
            colours = colours_at(true["picture"], skin.places)
            albedo = geometry.albedo(true["texture"])
            light = light_from_picture(colours, albedo, skin.normals, true["seen"])
        skin = geometry.skin(posed[0], found, true)
        colours = colours_at(true["picture"], skin.places)
        drawn = shaded(geometry.albedo(found["texture"]), skin.normals, found["light"])
        terms = {
            "photo": losses.photometric(colours, drawn, true["seen"]),
            "light": (found["light"] - light).abs().clamp(max=3).mean(),
        }
        if self._identity is not None:
            seen = true["seen"]
            terms["perceptual"] = losses.perceptual(self._identity, colours, drawn, seen)
        return terms

    def evaluate(self, network: nn.Module, data: PreparedSet, count: int) -> dict[str, float]:
        """Return errors in mm, % of the inter-ocular distance and degrees."""
        return errors(network, data, count)

    def sheet(self, network: nn.Module, data: PreparedSet, path: Path) -> None:
        """Draw crops, the found head over them, and the found skin in the found light."""
        write_sheet(network, data, path)
