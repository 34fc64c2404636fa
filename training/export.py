"""From a checkpoint to the ONNX file that ships."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import torch

from engines.spec import SPECS
from training.learn.loop import load

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from training.learn.experiment import Experiment

OPSET = 17
_TOLERANCE = 2e-3  # of the outputs, between torch and ONNX Runtime


def export(experiment: Experiment, checkpoint: Path, out: Path) -> dict[str, float]:
    """Write a trained network as ONNX: fp32, batch size free, inputs and outputs as its spec says.

    Args:
        experiment: of the network.
        checkpoint: what training wrote.
        out: the file.

    Returns:
        Size in MB, steps trained, and the worst difference from torch on the spec's sample.

    Raises:
        ValueError: when ONNX Runtime gives other answers than torch.
    """
    network, facts = load(experiment, checkpoint)
    sample = SPECS[experiment.name].sample()
    inputs = [torch.from_numpy(sample[name]) for name in experiment.inputs]
    draft = out.with_suffix(".draft.onnx")
    out.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter that is to be replaced one day
        torch.onnx.export(
            network,
            tuple(inputs),
            str(draft),
            input_names=list(experiment.inputs),
            output_names=list(experiment.outputs),
            dynamic_axes={n: {0: "batch"} for n in (*experiment.inputs, *experiment.outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(onnx.load(str(draft)))
    worst = _difference(network, draft, experiment, inputs)
    if worst > _TOLERANCE:
        draft.unlink()
        raise ValueError(f"{experiment.name}: ONNX Runtime differs from torch by {worst:.4f}")
    draft.replace(out)
    return {"megabytes": out.stat().st_size / 1e6, "steps": facts["step"], "difference": worst}


def _difference(
    network: nn.Module, path: Path, experiment: Experiment, inputs: list[torch.Tensor]
) -> float:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {name: t.numpy() for name, t in zip(experiment.inputs, inputs, strict=True)}
    found = session.run(list(experiment.outputs), given)
    with torch.no_grad():
        wanted = network(*inputs)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    pairs = zip(found, wanted, strict=True)
    return max(float(np.abs(np.asarray(f) - w.numpy()).max()) for f, w in pairs)
