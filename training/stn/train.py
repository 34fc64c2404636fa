"""Training of 3DMM-STN from landmarks alone (Bas et al. 2017, §4): its four losses together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  the command line reads the annotations
from typing import TYPE_CHECKING

import numpy as np
import torch

from training.stn import losses
from training.stn.faces import shown
from training.stn.geometry_image import geometry_image
from training.stn.model import Flattened, ThreeDmmStn

if TYPE_CHECKING:
    from training.stn.faces import Faces

_LAST_RATE = 4.0  # times the rate of the rest, for the last layer (§4)
_POINTS = 468  # without the irises, which the head model turns by itself


@dataclass(frozen=True, slots=True)
class StnConfig:
    """How 3DMM-STN is trained.

    Attributes:
        variant: of the localiser: `light`, or `paper`.
        grid: H′ = W′ of the texture; the paper's is 224.
        identities, expressions: components of the shape; the paper has five of each.
        steps: optimiser steps.
        batch: pictures a step.
        rate: learning rate; the last layer's is four times that.
        landmark, symmetry, multiview, prior: weights of the losses.
        seed: of weights and pictures.
        threads: of torch; 0 leaves it to torch.
        every: steps between lines of the log.
    """

    variant: str = "light"
    grid: int = 112
    identities: int = 5
    expressions: int = 5
    steps: int = 2000
    batch: int = 16
    rate: float = 3e-4
    landmark: float = 1.0
    symmetry: float = 0.3
    multiview: float = 0.3
    prior: float = 0.02
    seed: int = 0
    threads: int = 0
    every: int = 50


def build(config: StnConfig) -> ThreeDmmStn:
    """Make the network."""
    image = geometry_image(config.grid, config.identities, config.expressions)
    return ThreeDmmStn(image, config.variant)


def train(faces: Faces, config: StnConfig, out: Path, held_out: Faces | None = None) -> Path:
    """Train 3DMM-STN and keep it in a folder.

    Args:
        faces: pictures with landmarks.
        config: how.
        out: folder of the checkpoint `stn.pt`.
        held_out: measured on the way.

    Returns:
        The checkpoint.
    """
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    network, rng = build(config), np.random.default_rng(config.seed)
    last = {id(parameter) for parameter in network.localiser.last.parameters()}
    groups = [
        {"params": [p for p in network.parameters() if id(p) not in last], "lr": config.rate},
        {"params": network.localiser.last.parameters(), "lr": _LAST_RATE * config.rate},
    ]
    optimiser = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    sums: dict[str, float] = {}
    for step in range(1, config.steps + 1):
        terms = step_terms(
            network, batch_of(faces, network.localiser.side, config.batch, rng), config
        )
        total = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        for name, value in terms.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step % config.every == 0:
            _report(network, step, {n: v / config.every for n, v in sums.items()}, held_out)
            sums = {}
            _save(network, config, out)
    _save(network, config, out)
    return out / "stn.pt"


def batch_of(
    faces: Faces, side: int, count: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw pictures (B, 3, S, S) 0…1, landmarks (B, 2, 478) and their confidence (B, 478)."""
    rows = rng.integers(0, faces.count, count)
    pixels, points, confidence = zip(
        *(shown(faces, int(row), side, rng) for row in rows), strict=True
    )
    picture = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    return picture, torch.from_numpy(np.stack(points)), torch.from_numpy(np.stack(confidence))


def step_terms(
    network: ThreeDmmStn, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor], config: StnConfig
) -> dict[str, torch.Tensor]:
    """Return the weighted losses of a batch; every picture goes with its mirror image (§3.2)."""
    picture, points, confidence = batch
    count, side = len(picture), picture.shape[-1]
    both = network(torch.cat([picture, picture.flip(3)]))
    first, second = _half(both, slice(0, count)), _half(both, slice(count, None))
    unit = 100.0 / side  # landmarks count in % of the picture's side
    found = network.points(first.places)[:, :, :_POINTS] * unit
    return {
        "landmark": config.landmark
        * losses.landmark(found, points[:, :, :_POINTS] * unit, confidence[:, :_POINTS]),
        "symmetry": config.symmetry * losses.symmetry(both.values, both.mask),
        "multiview": config.multiview
        * losses.multiview(first.values, second.values, (first.mask, second.mask)),
        "prior": config.prior * losses.prior(both.parameters.alpha),
    }


def _half(whole: Flattened, rows: slice) -> Flattened:
    parameters = type(whole.parameters)(*(part[rows] for part in whole.parameters))
    return Flattened(parameters, *(part[rows] for part in whole[1:]))


def landmark_error(network: ThreeDmmStn, faces: Faces, count: int = 300) -> dict[str, float]:
    """Measure visible landmarks: mean distance in pixels of a 224² picture, and % of the eyes'."""
    rows = np.linspace(0, faces.count - 1, min(count, faces.count)).astype(int)
    side, pixels, percent = network.localiser.side, [], []
    network.eval()
    with torch.no_grad():
        for start in range(0, len(rows), 32):
            cases = [shown(faces, int(row), side, None) for row in rows[start : start + 32]]
            picture = np.stack([one[0] for one in cases]).transpose(0, 3, 1, 2)
            flat = network(torch.from_numpy(picture).float() / 255)
            found = network.points(flat.places).numpy()
            for places, (_, points, confidence) in zip(found, cases, strict=True):
                away = np.linalg.norm(places - points, axis=0)[:_POINTS]
                error = away[confidence[:_POINTS] > 0].mean()
                eyes = np.linalg.norm(points[:, 33] - points[:, 263])
                pixels.append(error * 224 / side)
                percent.append(100 * error / max(eyes, 1e-6))
    network.train()
    return {"pixels_of_224": float(np.mean(pixels)), "median_percent": float(np.median(percent))}


def load(path: Path) -> ThreeDmmStn:
    """Read a trained network, in evaluation mode."""
    kept = torch.load(path, map_location="cpu", weights_only=True)
    network = build(StnConfig(**kept["config"]))
    network.load_state_dict(kept["network"])
    return network.eval()


def _save(network: ThreeDmmStn, config: StnConfig, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    settings = {name: getattr(config, name) for name in StnConfig.__dataclass_fields__}
    torch.save({"network": network.state_dict(), "config": settings}, out / "stn.pt")


def _report(
    network: ThreeDmmStn, step: int, terms: dict[str, float], held_out: Faces | None
) -> None:
    row: dict[str, float] = {"step": step} | terms
    if held_out is not None:
        row |= landmark_error(network, held_out)
    print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
