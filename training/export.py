"""From a checkpoint to the ONNX file that ships."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import torch

from engines.precision import with_half_weights
from engines.spec import SPECS, NetSpec
from training.learn.loop import load

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from training.learn.experiment import Experiment

OPSET = 17
_TOLERANCE = 2e-3  # of the outputs, between torch and ONNX Runtime
_HALF_TOLERANCE = 2e-2  # the same, once the weights are stored as float16


def export(experiment: Experiment, checkpoint: Path, out: Path) -> dict[str, float]:
    """Write a trained network as ONNX: batch size free, inputs and outputs as its spec says.

    Weights are stored as float16, which halves the file; sums are in float32.

    Args:
        experiment: of the network.
        checkpoint: what training wrote.
        out: the file.

    Returns:
        Size in MB, steps trained, and the worst differences from torch on the spec's sample:
        of the network itself, and with its weights stored as float16.

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
    try:
        worst = _checked(network, draft, experiment, inputs, _TOLERANCE)
        model = _sized(onnx.load(str(draft)), SPECS[experiment.name])
        onnx.save(with_half_weights(model), str(draft))
        half = _checked(network, draft, experiment, inputs, _HALF_TOLERANCE)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    size = out.stat().st_size / 1e6
    return {"megabytes": size, "steps": facts["step"], "difference": worst, "half": half}


def _sized(model: onnx.ModelProto, spec: NetSpec) -> onnx.ModelProto:
    """Write the sizes of outputs, which the exporter leaves open where they follow from others."""
    sizes = {tensor.name: tensor.shape for tensor in spec.outputs}
    for output in model.graph.output:
        dims = output.type.tensor_type.shape.dim
        for dim, size in zip(dims, sizes[output.name], strict=True):
            if size is not None:
                dim.dim_value = size
    return model


def _checked(
    network: nn.Module,
    path: Path,
    experiment: Experiment,
    inputs: list[torch.Tensor],
    tolerance: float,
) -> float:
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)
    worst = _difference(network, path, experiment, inputs)
    if worst > tolerance:
        raise ValueError(f"{experiment.name}: ONNX Runtime differs from torch by {worst:.4f}")
    return worst


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
