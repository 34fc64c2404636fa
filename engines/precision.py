"""Changes the precision inside a network file; inputs and outputs stay float32.

Needs the package ``onnx``, which running a network as it was shipped does not.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engines.engine import Frames
from engines.errors import EngineAbsentError
from engines.spec import NetSpec, Precision

try:
    import onnx
    from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference
except ImportError as error:
    raise EngineAbsentError(
        "the precision of a network cannot be changed",
        "the package onnx is not installed",
        "Install it: pip install onnx",
    ) from error

Half = Literal["fp16", "bf16"]

_HALF_TYPE = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
_FLOAT16_MAX = float(np.finfo(np.float16).max)
# Smaller tensors gain nothing from being stored as half, and biases sum up.
_SMALLEST_STORED = 64
# What sums, divides or raises stays in float32; so do type changes, which say their type.
_KEPT = frozenset(
    {
        "Cast", "CastLike", "Constant", "ConstantOfShape", "CumSum", "DequantizeLinear", "Exp",
        "GroupNormalization", "InstanceNormalization", "LayerNormalization", "Log", "LogSoftmax",
        "LpNormalization", "NonZero", "Pow", "QuantizeLinear", "Range", "ReduceL1", "ReduceL2",
        "ReduceMean", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Reciprocal", "Softmax",
        "Sqrt",
    }
)  # fmt: skip
# Inputs that must be float32 whatever the others are.
_KEPT_INPUTS = {"Resize": (1, 2), "Upsample": (1,)}
_QUANTISED = ["Conv", "ConvTranspose", "Gemm", "MatMul"]
_OPSET_OF_BF16 = 22


def with_precision(
    onnx_bytes: bytes,
    precision: Precision,
    spec: NetSpec,
    frames: Frames,
    signed: bool = False,
) -> bytes:
    """Return a network file that computes in a precision, whatever its weights were stored in.

    Args:
        onnx_bytes: the network file.
        precision: what to compute in.
        spec: of the network.
        frames: named inputs that give int8 its ranges; samples of the spec where empty.
        signed: see ``quantised``.
    """
    model = onnx.load_model_from_string(onnx_bytes)
    if precision == "int8":
        model = quantised(model, frames or [spec.sample(seed=seed) for seed in range(8)], signed)
    elif precision == "fp32":
        model = with_full_weights(model)
    else:
        model = computing_in(model, precision)
    return bytes(model.SerializeToString())


def with_half_weights(model: ModelProto) -> ModelProto:
    """Store weights as float16, each with a cast to float32: half the file, the same sums.

    Weights beyond the range of float16 and small ones stay as they are.
    """
    result = _copy(model)
    graph, casts = result.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size < _SMALLEST_STORED or np.abs(values).max() > _FLOAT16_MAX:
            continue
        name = tensor.name
        stored = numpy_helper.from_array(values.astype(np.float16), f"{name}_fp16")
        tensor.CopyFrom(stored)
        casts.append(helper.make_node("Cast", [stored.name], [name], to=TensorProto.FLOAT))
    _set_nodes(result, [*casts, *graph.node])
    return result


def with_full_weights(model: ModelProto) -> ModelProto:
    """Undo ``with_half_weights``: every weight in float32, without casts."""
    result = _copy(model)
    graph = result.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    nodes, opened = [], {}
    for node in graph.node:
        source = stored.get(node.input[0]) if node.op_type == "Cast" else None
        if source is not None and _cast_type(node) == TensorProto.FLOAT:
            values = numpy_helper.to_array(source).astype(np.float32)
            opened[node.output[0]] = numpy_helper.from_array(values, node.output[0])
        else:
            nodes.append(node)
    _set_nodes(result, nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for name, tensor in stored.items() if name in used]
    _set_weights(result, [*kept, *opened.values()])
    return result


def computing_in(model: ModelProto, half: Half) -> ModelProto:
    """Return a network that computes in half precision between its float32 ends.

    Sums over many values, powers and softmax stay in float32.

    Raises:
        ValueError: if the network has branches or loops.
    """
    source = with_full_weights(model)
    if half == "bf16":
        source = _of_opset(source, _OPSET_OF_BF16)
    return _HalfWriter(source, half).result()


def quantised(model: ModelProto, frames: Frames, signed: bool = False) -> ModelProto:
    """Return a network whose convolutions and products are int8, by static quantisation.

    Weights are signed and symmetric, with a scale per channel.

    Args:
        model: the network.
        frames: named inputs; the ranges of what flows through it are taken from them.
        signed: what flows through it is signed and symmetric, which TensorRT insists on; else
            it is unsigned, which CPUs multiply faster. OpenVINO 2026.4 gives wrong answers for
            signed values.
    """
    from onnxruntime.quantization import (  # noqa: PLC0415  brings much that others do not need
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):
        """Gives the frames one after the other."""

        def __init__(self) -> None:
            self._frames = iter(frames)

        def get_next(self) -> dict[str, np.ndarray] | None:
            frame = next(self._frames, None)
            return None if frame is None else dict(frame)

    options = {"ActivationSymmetric": signed, "WeightSymmetric": True, "QuantizeBias": False}
    with _quiet_root_log(), tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        onnx.save(with_full_weights(model), before)
        quantize_static(
            before,
            after,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            per_channel=True,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options=options,
        )
        return onnx.load(after)


class _quiet_root_log:  # noqa: N801  used like a function
    """Keeps advice that the quantiser writes to the root log away from the user."""

    def __enter__(self) -> None:
        self._before = logging.root.level
        logging.root.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        logging.root.setLevel(self._before)


class _HalfWriter:
    """Writes a graph anew: a float value ``v`` may exist as ``v`` and as ``v_half``."""

    def __init__(self, model: ModelProto, half: Half) -> None:
        self._model, self._type = model, _HALF_TYPE[half]
        self._floats = _float_values(model)
        self._weights = {tensor.name: tensor for tensor in model.graph.initializer}
        self._full = {value.name for value in model.graph.input}
        self._halves: set[str] = set()
        self._nodes: list[NodeProto] = []
        self._used: dict[str, TensorProto] = {}

    def result(self) -> ModelProto:
        for node in self._model.graph.node:
            if any(attribute.HasField("g") for attribute in node.attribute):
                raise ValueError(f"{node.op_type} holds a graph of its own")
            self._write(node)
        for output in self._model.graph.output:
            self._as_full(output.name)
        _set_nodes(self._model, self._nodes)
        _set_weights(self._model, list(self._used.values()))
        del self._model.graph.value_info[:]
        return self._model

    def _write(self, node: NodeProto) -> None:
        kept = node.op_type in _KEPT
        kept_inputs = _KEPT_INPUTS.get(node.op_type, ())
        written = NodeProto()
        written.CopyFrom(node)
        for index, name in enumerate(node.input):
            full = kept or index in kept_inputs
            written.input[index] = self._as_full(name) if full else self._as_half(name)
        for index, name in enumerate(node.output):
            if kept or name not in self._floats:
                self._full.add(name)
            else:
                self._halves.add(name)
                written.output[index] = f"{name}_half"
        self._nodes.append(written)

    def _as_full(self, name: str) -> str:
        if name in self._weights:
            self._used[name] = self._weights[name]
        elif name and name not in self._full:
            self._nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], to=1))
            self._full.add(name)
        return name

    def _as_half(self, name: str) -> str:
        if name not in self._floats:
            return self._as_full(name)
        half = f"{name}_half"
        if name in self._weights:
            self._used[half] = _as_type(self._weights[name], self._type, half)
        elif name not in self._halves:
            self._nodes.append(helper.make_node("Cast", [name], [half], to=self._type))
            self._halves.add(name)
        return half


def _float_values(model: ModelProto) -> set[str]:
    """Return the names of all values that are float32."""
    graph = shape_inference.infer_shapes(model).graph
    values = [*graph.input, *graph.output, *graph.value_info]
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    produced = {name for node in graph.node for name in node.output if name}
    unknown = sorted(name for name in produced if not types.get(name))
    if unknown:
        raise ValueError(f"the type of {unknown[0]} cannot be inferred")
    return {name for name, kind in types.items() if kind == TensorProto.FLOAT}


def _as_type(tensor: TensorProto, kind: int, name: str) -> TensorProto:
    values = numpy_helper.to_array(tensor)
    if kind == TensorProto.FLOAT16:
        clipped = np.clip(values, -_FLOAT16_MAX, _FLOAT16_MAX).astype(np.float16)
        return numpy_helper.from_array(clipped, name)
    return helper.make_tensor(name, kind, values.shape, _bf16_bits(values).tobytes(), raw=True)


def _bf16_bits(values: np.ndarray) -> np.ndarray:
    """Return bfloat16 as uint16, rounded to the nearest, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def _of_opset(model: ModelProto, least: int) -> ModelProto:
    """Return the network in an operator set that has bfloat16 for what it uses."""
    from onnx import version_converter  # noqa: PLC0415

    versions = {item.domain: item.version for item in model.opset_import}
    if versions.get("", least) >= least:
        return model
    return version_converter.convert_version(model, least)


def _cast_type(node: NodeProto) -> int:
    return next((item.i for item in node.attribute if item.name == "to"), 0)


def _copy(model: ModelProto) -> ModelProto:
    result = ModelProto()
    result.CopyFrom(model)
    return result


def _set_nodes(model: ModelProto, nodes: Sequence[NodeProto]) -> None:
    _replace(model.graph.node, nodes)


def _set_weights(model: ModelProto, tensors: Sequence[TensorProto]) -> None:
    _replace(model.graph.initializer, tensors)


def _replace(field: Any, items: Sequence[Any]) -> None:  # noqa: ANN401 - a protobuf list
    copies = list(_copies(items))
    del field[:]
    field.extend(copies)


def _copies(items: Sequence[Any]) -> Iterator[Any]:
    for item in items:
        copy = type(item)()
        copy.CopyFrom(item)
        yield copy
