"""Checks a network file, and measures an engine against ONNX Runtime in float32."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engines.engine import Engine, Frames, check_signature
from engines.errors import EngineAbsentError, SpecMismatchError
from engines.onnxruntime_backend import OnnxRuntimeBackend
from engines.spec import NetSpec

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

_WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a comparison.

    Attributes:
        milliseconds: median time of a call with one picture.
        mean_error: mean absolute difference over all outputs, in units of the outputs.
        worst_error: the largest.
    """

    milliseconds: float
    mean_error: float
    worst_error: float


def check_network(spec: NetSpec, onnx_bytes: bytes) -> None:
    """Refuse a network file that is damaged, or whose tensors are not those of its spec.

    Raises:
        SpecMismatchError: saying what is wrong with it.
        EngineAbsentError: if the package onnx is not installed.
    """
    try:
        import onnx  # noqa: PLC0415  only needed for building
    except ImportError as error:
        remedy = "Install it: pip install onnx"
        raise EngineAbsentError("networks cannot be checked", "there is no onnx", remedy) from error
    try:
        model = onnx.load_model_from_string(onnx_bytes)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        what = f"the network file {spec.file_name} is damaged"
        raise SpecMismatchError(what, why, "Export it anew") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in weights]
    check_signature(spec, _shapes(inputs), _shapes(_inferred(model).graph.output))


def _inferred(model: "ModelProto") -> "ModelProto":
    """Work out the sizes of outputs: exporters leave them open where they follow from others."""
    from onnx import ModelProto, shape_inference  # noqa: PLC0415  only needed for building

    bare = ModelProto()
    bare.CopyFrom(model)
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    found = shape_inference.infer_shapes(bare, data_prop=True)
    sized = all(output.type.tensor_type.HasField("shape") for output in found.graph.output)
    return found if sized else model


def _shapes(values: "Sequence[ValueInfoProto]") -> Mapping[str, list[int | str]]:
    return {
        value.name: [
            size.dim_value if size.HasField("dim_value") else size.dim_param or "N"
            for size in value.type.tensor_type.shape.dim
        ]
        for value in values
    }


def reference_answers(
    spec: NetSpec, onnx_bytes: bytes, frames: Frames
) -> list[dict[str, np.ndarray]]:
    """Return what ONNX Runtime gives in float32 on the CPU, for each frame.

    Raises:
        EngineAbsentError: if it is not installed.
    """
    backend = OnnxRuntimeBackend()
    backend.require()
    with backend.open_on("CPUExecutionProvider", spec, onnx_bytes, "fp32") as engine:
        return [engine(**frame) for frame in frames]


def measure(
    engine: Engine, frames: Frames, answers: Sequence[Mapping[str, np.ndarray]], repeats: int = 20
) -> Measured:
    """Time an engine and compare it with the reference.

    Args:
        engine: to be measured.
        frames: named inputs of one picture each.
        answers: what the reference gave for each frame.
        repeats: timed calls, the frames in turn.
    """
    errors = [
        np.abs(given[name].astype(np.float64) - wanted[name]).ravel()
        for frame, wanted in zip(frames, answers, strict=True)
        for given in [engine(**frame)]
        for name in wanted
    ]
    spent = []
    for index in range(_WARM_UP + repeats):
        begun = time.perf_counter()
        engine(**frames[index % len(frames)])
        spent.append(time.perf_counter() - begun)
    apart = np.concatenate(errors)
    median_s = float(np.median(spent[_WARM_UP:]))
    return Measured(median_s * 1000, float(apart.mean()), float(apart.max()))
