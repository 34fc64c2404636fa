"""Train a DepthNet, with or without a judge of depths, and the comparator AIGN."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

from stream.affine import apply_affine, lift
from stream.errors import UserError
from stream.keypoint_mesh import mirror_order
from training.depthnets.keypoints import draw_pairs
from training.depthnets.measure import depth_corr, mse, mse_norm
from training.depthnets.models import (
    MODELS,
    Model,
    answers,
    ask,
    load_depthnet,
    pictures_of,
    save,
    take_over,
)
from training.depthnets.nets import Aign, DepthJudge, DepthNet

if TYPE_CHECKING:
    from collections.abc import Callable

    from training.depthnets.keypoints import KeypointSet

_SLOPE, _DRIFT = 10.0, 1e-3  # of the judge: weights of its slope being 1 and of its scores
_UNIT = 1000.0  # the keypoint loss in units of the crop is this much too small beside the others


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a keypoint network is trained.

    Attributes:
        pairs: faces of the same person (Table 1) or of different people (Tables 2 and 3).
        steps: optimiser steps.
        batch: pairs a step.
        rate: peak learning rate; it falls along a cosine.
        decay: weight decay.
        width: of the widest layer.
        turn_deg: faces are turned in the picture by up to this, each by itself.
        judge: weight of the adversarial loss on depths (DepthNet+GAN); 0 for none.
        labels: weight of true depths as labels, which the paper does not use; 0 for none.
        single: depth depends on the source alone.
        threads: of the CPU; 0 leaves it to torch.
        every: steps between lines of the log.
        seed: of weights, pairs and turns.
        start: checkpoint to begin with; one without pictures may start one with them, and model 3
            may start model 7.
    """

    pairs: Literal["same", "different"] = "same"
    steps: int = 10_000
    batch: int = 256
    rate: float = 1e-3
    decay: float = 1e-4
    width: int = 512
    turn_deg: float = 10.0
    judge: float = 0.0
    labels: float = 0.0
    single: bool = False
    threads: int = 1
    every: int = 500
    seed: int = 0
    start: Path | None = None


@dataclass(frozen=True, slots=True)
class _Batch:
    """Pairs of faces as a network sees them."""

    source: torch.Tensor
    target: torch.Tensor
    depth: torch.Tensor | None
    pictures: tuple[torch.Tensor, ...]


def train_depthnet(
    number: int, faces: KeypointSet, held_out: KeypointSet | None, config: TrainConfig, out: Path,
    log: Callable[[str], None] = print,
) -> Path:  # fmt: skip
    """Train the network of a model of Table 1.

    Args:
        number: 3 to 8; 5 and 6 train as 3 and 4 do.
        faces: what to learn from; the keypoint loss needs no depth.
        held_out: faces for measuring on the way.
        config: how.
        out: folder for the checkpoint.
        log: takes lines.

    Returns:
        The checkpoint.

    Raises:
        UserError: if the model learns nothing, or the faces lack depth or pictures it needs.
    """
    model = _model(number, faces, config)
    _begin(config)
    side = 0 if faces.pictures is None or not model.pictures else faces.pictures.shape[1]
    kind: dict[str, Any] = {
        "points": faces.size, "affine": not model.joint, "pictures": side,
        "paired": not config.single, "width": config.width,
    }  # fmt: skip
    network = DepthNet(**kind)
    network.standardise(torch.from_numpy(faces.points))
    if config.start is not None:
        take_over(network, load_depthnet(config.start)[0])
    judge = _Judge(_true_faces(faces)) if config.judge else None
    rng, optimiser, pace = _tools(network, config)
    started = time.monotonic()
    for step in range(config.steps):
        _set_rate(optimiser, config, step)
        network.train()
        batch = _drawn(network, faces, config, rng)
        terms = _losses(MODELS[model.learned_by], network, batch, config)
        depth = terms.pop("_depth")
        if judge is not None:
            terms["judged"] = config.judge * judge.maker(batch.source, depth)
        loss = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        if judge is not None and batch.depth is not None:
            judge.learn(lift(batch.source, batch.depth), lift(batch.source, depth))
        pace(step, terms, lambda: _measured(model, network, held_out, config), log)
    facts = kind | {
        "model": model.learned_by, "steps": config.steps, "faces": faces.name,
        "seconds": round(time.monotonic() - started), **_plain(config),
    }  # fmt: skip
    path = out / f"model{model.learned_by}{'_gan' if config.judge else ''}.pt"
    save(path, network, facts)
    return path


def _model(number: int, faces: KeypointSet, config: TrainConfig) -> Model:
    model = MODELS.get(number)
    if model is None or not model.learned_by:
        raise UserError(
            f"model {number} cannot be trained",
            "models 1 and 2 are closed forms" if model else "there are eight models",
            "Use --model 3 to --model 8; `table 1` measures all of them.",
        )
    if (config.judge or config.labels) and faces.depth is None:
        raise UserError(
            "the judge and labels of depth need true depths",
            f"{faces.name} have none",
            "Train on synthetic people or 3DFAW, or without --judge and --labels.",
        )
    if model.pictures and faces.pictures is None:
        raise UserError(
            f"model {number} needs pictures", f"{faces.name} have none", "Give --pictures 40."
        )
    return model


def _begin(config: TrainConfig) -> None:
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)


def _tools(
    network: nn.Module, config: TrainConfig
) -> tuple[np.random.Generator, torch.optim.Optimizer, Callable]:
    rng = np.random.default_rng(config.seed)
    optimiser = torch.optim.AdamW(
        network.parameters(), config.rate, weight_decay=config.decay, betas=(0.9, 0.98)
    )

    def pace(step: int, terms: dict, measured: Callable[[], str], log: Callable) -> None:
        if (step + 1) % config.every == 0 or step + 1 == config.steps:
            values = ", ".join(f"{name} {value.item():.4f}" for name, value in terms.items())
            log(f"{step + 1}: {values}; {measured()}")

    return rng, optimiser, pace


def _set_rate(optimiser: torch.optim.Optimizer, config: TrainConfig, step: int) -> None:
    warmup = min(1.0, (step + 1) / min(200, 1 + config.steps / 10))
    fall = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    for group in optimiser.param_groups:
        group["lr"] = config.rate * warmup * max(fall, 1e-3)


def _losses(
    model: Model, network: DepthNet, batch: _Batch, config: TrainConfig
) -> dict[str, torch.Tensor]:
    """Eq. 1, with m predicted or solved for; the depth goes along as `_depth`."""
    depth, affine = ask(model, network, batch.source, batch.target, *batch.pictures)
    placed = apply_affine(affine, lift(batch.source, depth))
    terms = {"keypoints": _UNIT * ((placed - batch.target) ** 2).mean(), "_depth": depth}
    if config.labels and batch.depth is not None:
        terms["labels"] = config.labels * (depth - batch.depth).abs().mean()
    return terms


def _measured(
    model: Model, network: DepthNet, held_out: KeypointSet | None, config: TrainConfig
) -> str:
    """Measure on the same pairs every time."""
    if held_out is None:
        return "not measured"
    rng = np.random.default_rng(99)
    first, second = draw_pairs(held_out, 2048, rng, same_person=config.pairs == "same")
    told = answers(model, network, held_out, first, second)
    target = held_out.points[second]
    line = f"MSE {mse(told.placed, target):.3f}, norm {mse_norm(told.placed, target):.3f}"
    if held_out.depth is not None and told.depth is not None:
        line += f", DepthCorr {depth_corr(told.depth, held_out.depth[first]):.2f}"
    return line


# --- examples -----------------------------------------------------------------------------------


def _drawn(
    network: DepthNet, faces: KeypointSet, config: TrainConfig, rng: np.random.Generator
) -> _Batch:
    """Draw pairs, mirror half of them and turn each face a little in its picture."""
    pair = draw_pairs(faces, config.batch, rng, same_person=config.pairs == "same")
    source, target = (torch.from_numpy(faces.points[numbers]) for numbers in pair)
    depth = None if faces.depth is None else torch.from_numpy(faces.depth[pair[0]])
    pictures = pictures_of(network, faces, *pair)
    order = mirror_order(faces.size)
    if order is not None:  # both faces of a pair, or they would not be of one person any more
        mirrored = torch.from_numpy(rng.random(config.batch) < 0.5)
        source, target = (_mirrored(points, order, mirrored) for points in (source, target))
        depth = None if depth is None else torch.where(mirrored[:, None], depth[:, order], depth)
        flips = [torch.where(mirrored[:, None, None, None], p.flip(3), p) for p in pictures]
        pictures = flips
    turned = []
    for place, points in enumerate((source, target)):
        turn = _turns(config, rng)
        turned.append(points @ turn.transpose(1, 2))
        if pictures:
            pictures[place] = _turned_pictures(pictures[place], turn)
    return _Batch(turned[0], turned[1], depth, tuple(pictures))


def _mirrored(points: torch.Tensor, order: np.ndarray, mirrored: torch.Tensor) -> torch.Tensor:
    flipped = points[:, order] * points.new_tensor([-1.0, 1.0])
    return torch.where(mirrored[:, None, None], flipped, points)


def _turns(config: TrainConfig, rng: np.random.Generator) -> torch.Tensor:
    angle = np.radians(rng.uniform(-config.turn_deg, config.turn_deg, config.batch))
    rows = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1)
    return torch.from_numpy(rows.reshape(-1, 2, 2).astype(np.float32))


def _turned_pictures(pictures: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Turn (N, 3, S, S) pictures about their middle as keypoints turn."""
    back = turn.transpose(1, 2)
    rows = torch.cat([back, torch.zeros_like(back[..., :1])], dim=2)
    grid = nn.functional.affine_grid(rows, list(pictures.shape), align_corners=False)
    return nn.functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


# --- DepthNet + GAN, and AIGN -------------------------------------------------------------------


class _Judge:
    """The adversary of depths and how it learns: a Wasserstein critic (Gulrajani et al. 2017).

    Judges that answer 0 or 1 tell estimates from truth with ease before the network has found
    the scale and slope of true depth, which the keypoint loss leaves open, and then teach nothing.
    """

    def __init__(self, true: torch.Tensor) -> None:
        self._network = DepthJudge(true.shape[1])
        self._network.standardise(true)
        self._optimiser = torch.optim.Adam(self._network.parameters(), 4e-4, betas=(0.5, 0.98))

    def maker(self, points: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        """Return the loss of the network that is judged."""
        return -self._network(points, depth).mean()

    def learn(self, true: torch.Tensor, made: torch.Tensor) -> None:
        """Take one step on true and on estimated faces, (N, K, 3)."""
        made = made.detach()
        share = torch.rand(len(true), 1, 1)
        between = (share * true + (1 - share) * made).requires_grad_()
        slope = self._network.slope(between)
        scores = self._network(true[..., :2], true[..., 2])
        loss = self._network(made[..., :2], made[..., 2]).mean() - scores.mean()
        loss = loss + _SLOPE * ((slope - 1) ** 2).mean() + _DRIFT * (scores**2).mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()


def _true_faces(faces: KeypointSet) -> torch.Tensor:
    if faces.depth is None:
        raise UserError("no true depths", f"{faces.name} have none", "Use synthetic people.")
    return torch.from_numpy(lift(faces.points, faces.depth))


def train_aign(
    faces: KeypointSet, config: TrainConfig, out: Path, log: Callable[[str], None] = print
) -> Path:
    """Train AIGN: reprojection of single faces, and a judge of 3D keypoints."""
    _begin(config)
    true = _true_faces(faces)
    network, judge = Aign(faces.size), _Judge(true)
    network.mean_shape.copy_(true.mean(0))
    network.shape_spread.copy_(true.std(0) + 1e-3)
    rng, optimiser, pace = _tools(network, config)
    weight = config.judge or 0.2
    for step in range(config.steps):
        _set_rate(optimiser, config, step)
        real = true[torch.from_numpy(rng.integers(len(faces), size=config.batch))]
        source = true[torch.from_numpy(rng.integers(len(faces), size=config.batch))][..., :2]
        face, placed = network(source)
        terms = {
            "reprojection": 20 * (placed - source).abs().mean(),
            "judged": weight * judge.maker(face[..., :2], face[..., 2]),
        }
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
        judge.learn(real, face)
        pace(step, terms, lambda: "", log)
    path = out / "aign.pt"
    save(path, network, {"points": faces.size, "faces": faces.name, **_plain(config)})
    return path


@torch.no_grad()
def aign_depth(network: Aign, points: np.ndarray) -> np.ndarray:
    """Estimate (N, K) depths of (N, K, 2) faces by AIGN."""
    network.eval()
    chunks = [torch.from_numpy(points[n : n + 256]) for n in range(0, len(points), 256)]
    return np.concatenate([network(chunk)[0][..., 2].numpy() for chunk in chunks])


def load_aign(path: Path) -> Aign:
    """Read a checkpoint of AIGN."""
    stored = torch.load(path, weights_only=True)
    network = Aign(stored["facts"]["points"])
    network.load_state_dict(stored["network"])
    return network.eval()


def _plain(config: TrainConfig) -> dict[str, int | float | str | bool | None]:
    """Return the settings as a checkpoint may keep them."""
    return {n: str(v) if isinstance(v, Path) else v for n, v in asdict(config).items()}
