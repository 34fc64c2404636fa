"""The precision inside a network file is what was asked for, and its answers stay near."""

import importlib
import sys

import numpy as np
import onnx
import pytest
from engine_models import network
from onnx import TensorProto, helper, numpy_helper

from engines import precision as module
from engines.errors import EngineAbsentError
from engines.onnxruntime_backend import OnnxRuntimeBackend
from engines.precision import (
    computing_in,
    quantised,
    with_full_weights,
    with_half_weights,
    with_precision,
)
from engines.spec import SPECS


def model_of(spec, **options):
    return onnx.load_model_from_string(network(spec, **options))


def run(spec, model):
    data = model.SerializeToString()
    with OnnxRuntimeBackend().open_on("CPUExecutionProvider", spec, data, "fp32") as engine:
        return engine(**spec.sample(2))


def types_of(model):
    return {tensor.data_type for tensor in model.graph.initializer}


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_weights_stored_as_half_give_nearly_the_same_and_can_be_undone(spec):
    full = model_of(spec)
    half = with_half_weights(full)
    assert TensorProto.FLOAT16 in types_of(half)
    if spec.name == "face_3dmm":
        assert half.ByteSize() < 0.75 * full.ByteSize()
    onnx.checker.check_model(half, full_check=True)
    back = with_full_weights(half)
    assert types_of(back) == {TensorProto.FLOAT}
    assert not any(node.op_type == "Cast" for node in back.graph.node)
    onnx.checker.check_model(back, full_check=True)
    wanted, stored, opened = run(spec, full), run(spec, half), run(spec, back)
    for name, array in wanted.items():
        assert np.abs(stored[name] - array).max() < 5e-3
        assert np.allclose(stored[name], opened[name], atol=1e-6)
    assert types_of(full) == {TensorProto.FLOAT}, "the argument was changed"


def test_weights_that_half_cannot_hold_stay_as_they_are():
    spec = SPECS["refine"]
    model = model_of(spec)
    values = numpy_helper.to_array(model.graph.initializer[0]).copy()
    values.flat[0] = 1e6
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "first"))
    stored = {
        tensor.name: tensor.data_type for tensor in with_half_weights(model).graph.initializer
    }
    assert stored["first"] == TensorProto.FLOAT


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("stored_as_half", [True, False])
def test_fp16_computes_in_half_between_float_ends(spec, stored_as_half):
    model = computing_in(model_of(spec, half=stored_as_half), "fp16")
    onnx.checker.check_model(model, full_check=True)
    assert types_of(model) == {TensorProto.FLOAT16}
    ends = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in ends} == {TensorProto.FLOAT}
    wanted = run(spec, model_of(spec))
    for name, array in run(spec, model).items():
        assert 0 < np.abs(array - wanted[name]).max() < 2e-2


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.name)
def test_bf16_is_a_valid_network_of_bf16_weights(spec):
    model = computing_in(model_of(spec, half=True), "bf16")
    onnx.checker.check_model(model, full_check=True)
    assert types_of(model) == {TensorProto.BFLOAT16}


def test_bf16_weights_are_rounded_to_the_nearest():
    values = np.array([1.0, 1.0 + 2**-8, 1.0 + 3 * 2**-8, -2.7, 1e-30, 65504.0], np.float32)
    bits = module._bf16_bits(values).astype(np.uint32) << 16
    rounded = bits.view(np.float32)
    assert np.abs(rounded / values - 1).max() <= 2**-8
    assert rounded[:3].tolist() == [1.0, 1.0, 1.0 + 2**-6]


def with_resize(spec):
    """A network that halves and doubles the size and takes a mean and a softmax on the way."""
    nodes = [
        helper.make_node("Resize", ["picture", "", "down"], ["small"], mode="linear"),
        helper.make_node("Relu", ["small"], ["positive"]),
        helper.make_node("ReduceMean", ["positive"], ["mean"], axes=[2, 3], keepdims=1),
        helper.make_node("Mul", ["positive", "mean"], ["scaled"]),
        helper.make_node("Resize", ["scaled", "", "up"], ["large"], mode="linear"),
        helper.make_node("Slice", ["masks", "from", "to", "axis"], ["three"]),
        helper.make_node("Add", ["large", "three"], ["refined"]),
    ]
    weights = [
        numpy_helper.from_array(np.array([1, 1, 0.5, 0.5], np.float32), "down"),
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "up"),
        *(
            numpy_helper.from_array(np.array([value], np.int64), name)
            for name, value in (("from", 0), ("to", 3), ("axis", 1))
        ),
    ]
    base = model_of(spec)
    graph = helper.make_graph(nodes, "g", base.graph.input, base.graph.output, weights)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


@pytest.mark.parametrize("half", ["fp16", "bf16"])
def test_sums_and_scales_stay_in_float(half):
    spec = SPECS["refine"]
    before = with_resize(spec)
    model = computing_in(before, half)
    onnx.checker.check_model(model, full_check=True)
    scales = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert (scales["down"], scales["up"]) == (TensorProto.FLOAT, TensorProto.FLOAT)
    means = [node for node in model.graph.node if node.op_type == "ReduceMean"]
    assert means[0].input[0] == "positive"
    if half == "fp16":
        assert np.abs(run(spec, model)["refined"] - run(spec, before)["refined"]).max() < 5e-3


def test_a_graph_within_a_graph_is_refused():
    spec = SPECS["refine"]
    model = with_resize(spec)
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node[1].attribute.append(helper.make_attribute("then_branch", inner))
    with pytest.raises(ValueError, match="graph of its own"):
        computing_in(model, "fp16")


@pytest.mark.parametrize("signed", [True, False])
def test_int8_has_int8_weights_with_a_scale_per_channel(signed):
    spec = SPECS["refine"]
    frames = [spec.sample(seed=seed) for seed in range(4)]
    model = quantised(model_of(spec, half=True), frames, signed)
    onnx.checker.check_model(model)
    kinds = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = [item for item in kinds.values() if item.name.endswith("_quantized")]
    assert weights
    assert all(item.data_type == TensorProto.INT8 for item in weights)
    scales = numpy_helper.to_array(kinds["first_scale"])
    assert scales.shape == (8,)
    points = {item.data_type for item in kinds.values() if item.name == "picture_zero_point"}
    flowing = {item.data_type for item in kinds.values() if item.name.endswith("zero_point")}
    assert points | flowing <= {TensorProto.INT8, TensorProto.UINT8}
    assert (TensorProto.UINT8 in flowing) is not signed
    wanted = run(spec, model_of(spec))["refined"]
    assert np.abs(run(spec, model)["refined"] - wanted).mean() < 0.03


def test_a_precision_can_be_had_of_what_was_stored_in_any():
    spec = SPECS["hair_depth"]
    data = network(spec, half=True)
    for precision, kind in (("fp32", TensorProto.FLOAT), ("fp16", TensorProto.FLOAT16)):
        model = onnx.load_model_from_string(with_precision(data, precision, spec, ()))
        assert types_of(model) == {kind}


def test_without_onnx_the_message_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "engines.precision")
    with pytest.raises(EngineAbsentError, match="pip install onnx"):
        importlib.import_module("engines.precision")
