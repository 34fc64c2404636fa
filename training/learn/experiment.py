"""What the training loop asks of a network's own module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  the command line reads the annotations
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from training.learn.prepared import PreparedSet

Batch = dict[str, "torch.Tensor"]


class Experiment(Protocol):
    """One network: how it is built, fed, judged and shown.

    Attributes:
        name: of the network, as in engines.spec.
    """

    name: str

    @property
    def variants(self) -> tuple[str, ...]:
        """Sizes that can be built; the first is the one that ships."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors that go in, as in engines.spec."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the tensors that come out, as in engines.spec."""

    def build(self, variant: str) -> nn.Module:
        """Make the network; it takes `inputs` in order and returns one tensor or a tuple."""

    def example(self, data: PreparedSet, index: int, rng: np.random.Generator | None) -> dict:
        """Return one training example as arrays; without a generator, the same one always."""

    def loss(self, network: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the terms of the loss, weighted; their sum is minimised."""

    def evaluate(self, network: nn.Module, data: PreparedSet, count: int) -> dict[str, float]:
        """Measure the network on a set it was not trained on."""

    def sheet(self, network: nn.Module, data: PreparedSet, path: Path) -> None:
        """Write a picture of what the network does on some samples."""


@runtime_checkable
class Adversarial(Protocol):
    """What an experiment offers besides when a second network judges the first one."""

    def adversary(self, config: Config, place: torch.device) -> nn.Module:
        """Make the judge, on its device; `loss` may use it, and leaves its weights alone."""

    def adversary_loss(self, judge: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
        """Return the judge's own terms, after the network's step on the same batch."""


@dataclass(frozen=True, slots=True)
class Config:
    """How a network is trained.

    Attributes:
        data: folder of the prepared set.
        validation: folder of the prepared set that training never sees; without it nothing is
            measured on the way.
        out: folder for checkpoints, the log and sheets.
        variant: size of the network; the first of its experiment when empty.
        steps: optimiser steps.
        batch: examples a step and process.
        rate: peak learning rate.
        warmup: steps until it is reached; afterwards it falls along a cosine.
        decay: weight decay.
        average: of the running mean of the weights, which is what is kept.
        workers: threads that prepare examples.
        threads: threads of the network on a CPU; 0 leaves it to torch.
        every: steps between checkpoints, measurements and sheets.
        seed: of weights and examples.
        resume: go on from the last checkpoint of `out`.
        start: checkpoint whose weights to begin with.
        features: checkpoint of `head_segmentation` whose layers tell how alike pictures are, for
            the networks that make pictures.
    """

    data: Path
    validation: Path | None = None
    out: Path | None = None
    variant: str = ""
    steps: int = 20_000
    batch: int = 24
    rate: float = 2e-3
    warmup: int = 300
    decay: float = 1e-2
    average: float = 0.998
    workers: int = 1
    threads: int = 0
    every: int = 1000
    seed: int = 0
    resume: bool = False
    start: Path | None = None
    features: Path | None = None
