"""Ship the identity network: from `learn.face_identity`'s file to ``face_identity.onnx``.

python -m training.export_identity FILE.pt [--out FOLDER]
"""

from __future__ import annotations

import warnings
from pathlib import Path  # noqa: TC003  the command line reads the annotations

import numpy as np
import onnx
import onnxruntime
import torch
import tyro
from torch import nn

from engines.precision import with_half_weights
from engines.spec import SPECS, WEIGHTS
from training.learn.face_identity import Features, load_identity

_SPEC = SPECS["face_identity"]
_OPSET = 17
_TOLERANCE = 5e-3  # of features of unit length, with the weights stored as float16


class Shipped(nn.Module):
    """The network as the spec has it: one input, features of unit length."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features

    def forward(self, skin: torch.Tensor) -> torch.Tensor:
        """(N, 4, F, 1) colours and seen → (N, 128)."""
        rows = skin.squeeze(-1)
        found = self.features(rows[:, :3].transpose(1, 2), rows[:, 3])
        return nn.functional.normalize(found)


def export_identity(network: Features, out: Path) -> float:
    """Write the network file; return the worst difference from torch on the spec's sample.

    Raises:
        ValueError: when ONNX Runtime gives other answers than torch.
    """
    shipped = Shipped(network).eval()
    sample = torch.from_numpy(_SPEC.sample(2)["skin"])
    sample[:, 3] = (sample[:, 3] > 0.4).float()
    draft = out.with_suffix(".draft.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter that is to be replaced one day
        torch.onnx.export(
            shipped,
            (sample,),
            str(draft),
            input_names=["skin"],
            output_names=["features"],
            dynamic_axes={"skin": {0: "batch"}, "features": {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,
        )
    try:
        model = onnx.load(str(draft))
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 128
        onnx.save(with_half_weights(model), str(draft))
        session = onnxruntime.InferenceSession(str(draft), providers=["CPUExecutionProvider"])
        (found,) = session.run(["features"], {"skin": sample.numpy()})
        with torch.no_grad():
            apart = float(np.abs(np.asarray(found) - shipped(sample).numpy()).max())
        if apart > _TOLERANCE:
            raise ValueError(f"face_identity: ONNX Runtime differs from torch by {apart:.4f}")
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    return apart


def main(file: tyro.conf.Positional[Path], out: Path = WEIGHTS) -> None:
    """Export the network."""
    path = out / _SPEC.file_name
    apart = export_identity(load_identity(file), path)
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, differs by {apart:.1e}")


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.export_identity", description=__doc__)
