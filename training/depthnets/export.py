"""From a checkpoint that sees the source alone to `keypoint_depth.onnx`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

from engines.precision import with_half_weights
from engines.spec import SPECS
from stream.errors import UserError
from training.depthnets.models import load_depthnet

if TYPE_CHECKING:
    from pathlib import Path

    from training.depthnets.nets import DepthNet

_TOLERANCE = 2e-3  # of depths, in units of the crop
_OPSET = 17


class LiveDepth(nn.Module):
    """A DepthNet with inputs and outputs as `engines.spec` says."""

    def __init__(self, network: DepthNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """(N, 2, K, 1) keypoints → (N, K) depths."""
        return self.network(points[..., 0].transpose(1, 2))[0]


def export(checkpoint: Path, out: Path) -> dict[str, float]:
    """Write the network that ships: float16 weights, batch size free.

    Returns:
        Its size in MB and the worst difference from torch on faces of the spec's sample.

    Raises:
        UserError: if the checkpoint is of another kind.
        ValueError: if ONNX Runtime gives other answers than torch.
    """
    network, facts = load_depthnet(checkpoint)
    if facts["points"] != 478 or facts["paired"] or facts["pictures"]:
        raise UserError(
            f"{checkpoint.name} cannot ship",
            "the live path gives 478 keypoints of the source, nothing else",
            "Train with --points 478 --single.",
        )
    live, points = LiveDepth(network).eval(), _sample(network)
    draft = out.with_suffix(".draft.onnx")
    out.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter that is to be replaced one day
        torch.onnx.export(
            live, (points,), str(draft), input_names=["points"], output_names=["depth"],
            dynamic_axes={"points": {0: "batch"}, "depth": {0: "batch"}}, opset_version=_OPSET,
            dynamo=False,
        )  # fmt: skip
    try:
        onnx.save(_named_sizes(with_half_weights(onnx.load(str(draft)))), str(draft))
        worst = _difference(live, draft, points)
        if worst > _TOLERANCE:
            raise ValueError(f"ONNX Runtime differs from torch by {worst:.4f}")
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    return {"megabytes": out.stat().st_size / 1e6, "difference": worst}


def _named_sizes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write the sizes of the output, which the exporter leaves open."""
    for tensor, output in zip(SPECS["keypoint_depth"].outputs, model.graph.output, strict=True):
        for dim, size in zip(output.type.tensor_type.shape.dim, tensor.shape, strict=True):
            if size is not None:
                dim.dim_value = size
    onnx.checker.check_model(model, full_check=True)
    return model


def _sample(network: DepthNet) -> torch.Tensor:
    """Return two faces as the training set has them, (2, 2, K, 1)."""
    face = network.mean.T[None, ..., None]
    noise = network.spread.T[None, ..., None] * torch.linspace(-1, 1, face.shape[2])[:, None]
    return torch.cat([face, face + noise])


def _difference(live: nn.Module, path: Path, points: torch.Tensor) -> float:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(["depth"], {"points": points.numpy()})
    with torch.no_grad():
        return float(np.abs(found - live(points).numpy()).max())
