"""The training loop: mixed precision, a running mean of weights, resume, log, sheets, DDP."""

from __future__ import annotations

import csv
import itertools
import math
import os
import queue
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import distributed, nn

from stream.errors import UserError
from training.learn.experiment import Adversarial
from training.learn.prepared import PreparedSet, open_set

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from training.learn.experiment import Batch, Config, Experiment

_CHECKPOINT = "checkpoint.pt"


def train(experiment: Experiment, config: Config) -> Path:
    """Train a network, or go on training it.

    On several processes (torchrun) gradients are averaged over them; the first one logs. Ctrl-C
    writes a checkpoint and ends.

    Returns:
        The checkpoint: a file with `network` (the running mean of the weights), `variant`,
        `step` and what is needed to go on.
    """
    place = _device()
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    variant = config.variant or experiment.variants[0]
    network = channels_last(experiment.build(variant), place)
    run = _Run(experiment, network, config, variant, place)
    run.restore()
    data = open_set(config.data)
    with _Interrupt() as interrupt, _Feed(experiment, data, config, run.step) as feed:
        for batch in feed:
            if run.step >= config.steps or interrupt.asked:
                break
            run.learn({name: value.to(place, non_blocking=True) for name, value in batch.items()})
            if run.step % config.every == 0:
                run.report()
    run.save()
    return run.folder / _CHECKPOINT


def load(experiment: Experiment, path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Read a trained network for use: in evaluation mode, on the CPU.

    Returns:
        The network and the checkpoint's `variant`, `step` and `seconds`.
    """
    kept = torch.load(path, map_location="cpu", weights_only=True)
    network = experiment.build(kept["variant"])
    network.load_state_dict(kept["network"])
    facts = {name: kept[name] for name in ("variant", "step", "seconds")}
    return network.eval(), facts


def average_checkpoints(paths: Sequence[Path], out: Path) -> None:
    """Write the mean of the weights of checkpoints, which begin or go on from one another.

    Args:
        paths: the checkpoints; facts are taken from the last.
        out: file for the mean, in the same form, without what is needed to go on.

    Raises:
        UserError: if there is none, or they are of different networks.
    """
    kept = [torch.load(path, map_location="cpu", weights_only=True) for path in paths]
    shapes = [{name: value.shape for name, value in one["network"].items()} for one in kept]
    if not kept or any(one != shapes[0] for one in shapes):
        why = "their weights differ in number or shape" if kept else "none was named"
        raise UserError("cannot average the checkpoints", why, "Name those of one training.")
    mean = dict(kept[-1]["network"])
    for name, value in mean.items():
        if value.is_floating_point():
            mean[name] = torch.stack([one["network"][name] for one in kept]).mean(dim=0)
    facts = {name: kept[-1][name] for name in ("variant", "step", "seconds")}
    torch.save({"network": mean} | facts, out)


class _Run:
    """The state of one training."""

    def __init__(
        self,
        experiment: Experiment,
        network: nn.Module,
        config: Config,
        variant: str,
        place: torch.device,
    ) -> None:
        self._experiment, self._config, self._variant = experiment, config, variant
        self._place = place
        self.folder = config.out or config.data.parent / experiment.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.network = network
        self.mean = _copied(experiment, variant, network, place)
        many = distributed.is_initialized()
        self._wrapped = nn.parallel.DistributedDataParallel(network) if many else network
        self._first = not many or distributed.get_rank() == 0
        self._optimiser = torch.optim.AdamW(
            network.parameters(), lr=config.rate, weight_decay=config.decay
        )
        self._rival = _Rival(experiment, config, place) if _is_judged(experiment) else None
        self.step, self._seconds, self._started = 0, 0.0, time.perf_counter()
        self._sums: dict[str, float] = {}
        self._since = 0

    def learn(self, batch: Batch) -> None:
        """Take one step."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate()
        self.network.train()
        with torch.autocast(self._place.type, torch.bfloat16):
            terms = self._experiment.loss(self._wrapped, batch)
        total = torch.stack(list(terms.values())).sum()
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimiser.step()
        if self._rival is not None:
            terms |= self._rival.learn(batch, self._rate())
        self.step += 1
        self._average()
        for name, value in (*terms.items(), ("total", total)):
            self._sums[name] = self._sums.get(name, 0.0) + float(value.detach())
        self._since += 1

    def report(self) -> None:
        """Log the means since the last report, measure, draw a sheet, keep a checkpoint."""
        row: dict[str, float] = {"step": self.step, "seconds": round(self.seconds)}
        row |= {name: value / self._since for name, value in self._sums.items()}
        self._sums, self._since = {}, 0
        if not self._first:
            return
        if self._config.validation is not None:
            held_out = open_set(self._config.validation)
            network = self.mean.eval()
            row |= self._experiment.evaluate(network, held_out, 200)
            self._experiment.sheet(network, held_out, self.folder / "sheet.jpg")
        print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
        _append(self.folder / "log.csv", row)
        self.save()

    @property
    def seconds(self) -> float:
        """Time spent training, over all sessions."""
        return self._seconds + time.perf_counter() - self._started

    def save(self) -> None:
        """Write the checkpoint under a temporary name and rename it when whole."""
        if not self._first:
            return
        state = {
            "variant": self._variant,
            "step": self.step,
            "seconds": self.seconds,
            "network": self.mean.state_dict(),
            "trained": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        if self._rival is not None:
            state["rival"] = self._rival.state_dict()
        draft = self.folder / "checkpoint.draft"
        torch.save(state, draft)
        draft.replace(self.folder / _CHECKPOINT)

    def restore(self) -> None:
        """Go on where the last run ended, or begin with the weights of another."""
        path = self.folder / _CHECKPOINT if self._config.resume else self._config.start
        if path is None or not path.is_file():
            return
        kept = torch.load(path, map_location=self._place, weights_only=True)
        self.mean.load_state_dict(kept["network"])
        if self._config.resume:
            self.network.load_state_dict(kept["trained"])
            self._optimiser.load_state_dict(kept["optimiser"])
            self.step, self._seconds = kept["step"], kept["seconds"]
            if self._rival is not None:
                self._rival.load_state_dict(kept["rival"])
        else:
            self.network.load_state_dict(kept["network"])

    def _rate(self) -> float:
        config = self._config
        if self.step < config.warmup:
            return config.rate * (self.step + 1) / config.warmup
        share = (self.step - config.warmup) / max(config.steps - config.warmup, 1)
        return config.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))

    def _average(self) -> None:
        """Follow the weights with the running mean, faster at the start."""
        keep = min(self._config.average, self.step / (self.step + 10))
        with torch.no_grad():
            pairs = zip(
                self.mean.state_dict().values(), self.network.state_dict().values(), strict=True
            )
            for mean, now in pairs:
                if mean.is_floating_point():
                    mean.lerp_(now, 1 - keep)
                else:
                    mean.copy_(now)


def _is_judged(experiment: Experiment) -> bool:
    return isinstance(experiment, Adversarial)


class _Rival:
    """The network that judges the trained one, and is trained in turn."""

    def __init__(self, experiment: Any, config: Config, place: torch.device) -> None:  # noqa: ANN401
        self._experiment, self._place = experiment, place
        self._network = experiment.adversary(config, place)
        many = distributed.is_initialized()
        self._wrapped = (
            nn.parallel.DistributedDataParallel(self._network) if many else self._network
        )
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), lr=config.rate, betas=(0.5, 0.99), weight_decay=0.0
        )

    def learn(self, batch: Batch, rate: float) -> dict[str, torch.Tensor]:
        """Take one step; return the terms of its loss."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._network.train()
        self._optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self._place.type, torch.bfloat16):
            terms = self._experiment.adversary_loss(self._wrapped, batch)
        torch.stack(list(terms.values())).sum().backward()
        self._optimiser.step()
        return terms

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on."""
        return {"network": self._network.state_dict(), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, kept: dict[str, Any]) -> None:
        """Go on with what was kept."""
        self._network.load_state_dict(kept["network"])
        self._optimiser.load_state_dict(kept["optimiser"])


class _Feed:
    """Prepares batches ahead in threads; OpenCV and numpy let them run side by side."""

    def __init__(
        self, experiment: Experiment, data: PreparedSet, config: Config, step: int
    ) -> None:
        cv2.setNumThreads(1)
        self._experiment, self._data, self._config = experiment, data, config
        self._ready: queue.Queue[Batch] = queue.Queue(maxsize=4)
        self._stop = threading.Event()
        self._numbers = itertools.count()  # one step for all threads, so that it needs no lock
        rank = distributed.get_rank() if distributed.is_initialized() else 0
        self._seed = (config.seed, rank, step)
        self._threads = [
            threading.Thread(target=self._work, daemon=True) for _ in range(max(config.workers, 1))
        ]

    def __enter__(self) -> Iterator[Batch]:
        for thread in self._threads:
            thread.start()
        return iter(self._ready.get, None)

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:  # one that outlives torch would end the program badly
            thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            rng = np.random.default_rng([*self._seed, next(self._numbers)])
            indices = rng.integers(0, self._data.count, self._config.batch)
            examples = [self._experiment.example(self._data, int(i), rng) for i in indices]
            batch = collated(examples)
            while not self._stop.is_set():
                try:
                    self._ready.put(batch, timeout=1.0)
                    break
                except queue.Full:
                    continue


class _Interrupt:
    """Turns Ctrl-C into a request to end after the step."""

    asked = False

    def __enter__(self) -> _Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_: object) -> None:
        self.asked = True


def collated(examples: list[dict[str, np.ndarray]]) -> Batch:
    """Stack examples; (h, w, c) maps become (n, c, h, w), uint8 pictures 0…1."""
    batch = {}
    for name in examples[0]:
        stacked = torch.from_numpy(np.stack([example[name] for example in examples]))
        if stacked.ndim == 4:
            stacked = stacked.permute(0, 3, 1, 2)  # channels last in memory, as the network wants
        batch[name] = stacked.float() / 255 if name == "picture" else stacked
    return batch


def _copied(
    experiment: Experiment, variant: str, network: nn.Module, place: torch.device
) -> nn.Module:
    mean = channels_last(experiment.build(variant), place)
    mean.load_state_dict(network.state_dict())
    return mean.requires_grad_(False)


def channels_last(network: nn.Module, place: torch.device) -> nn.Module:
    """Put a network on its device, its weights in the order that convolutions run fastest in."""
    # The stubs of torch do not know this argument.
    return network.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _device() -> torch.device:
    """Pick the device, and join the other processes when torchrun started several."""
    cuda = torch.cuda.is_available()
    if "RANK" in os.environ and not distributed.is_initialized():
        distributed.init_process_group("nccl" if cuda else "gloo")
    if not cuda:
        return torch.device("cpu")
    number = int(os.environ.get("LOCAL_RANK", "0"))
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def _append(path: Path, row: dict[str, float]) -> None:
    """Add a row to a CSV file; a file with other columns is begun anew beside the old one."""
    header = list(row)
    if path.is_file() and path.read_text().split("\n", 1)[0].split(",") != header:
        path.replace(path.with_suffix(".old.csv"))
    new = not path.is_file()
    with path.open("a", newline="") as opened:
        writer = csv.writer(opened)
        if new:
            writer.writerow(header)
        writer.writerow([f"{value:.6g}" for value in row.values()])
