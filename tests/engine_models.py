"""Small networks with the names and shapes of the specs, and a TensorRT that is not there."""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from engines.precision import with_half_weights
from engines.spec import NetSpec

_CHANNELS = 8


def network(spec: NetSpec, seed: int = 0, half: bool = False) -> bytes:
    """Return a network file for a spec: a convolution or two for each output.

    Args:
        spec: of the network.
        seed: another one gives other weights.
        half: store the weights as float16, as shipped files do.
    """
    random = np.random.default_rng(seed)
    weights, nodes = [], []

    def weight(name, *shape):
        values = random.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        return name

    taken = sum(tensor.shape[1] for tensor in spec.inputs)
    nodes.append(helper.make_node("Concat", [item.name for item in spec.inputs], ["all"], axis=1))
    first = ["all", weight("first", _CHANNELS, taken, 3, 3)]
    nodes.append(helper.make_node("Conv", first, ["convolved"], pads=[1] * 4))
    nodes.append(helper.make_node("Relu", ["convolved"], ["inner"]))
    for tensor in spec.outputs:
        own = f"{tensor.name}_weight"
        if len(tensor.shape) == 4:
            weight(own, tensor.shape[1], _CHANNELS, 1, 1)
            last = "drawn" if tensor.name == "probabilities" else tensor.name
            nodes.append(helper.make_node("Conv", ["inner", own], [last]))
            if last == "drawn":
                nodes.append(helper.make_node("Softmax", [last], [tensor.name], axis=1))
        else:
            weight(own, _CHANNELS, tensor.shape[1])
            pooled, flat = f"{tensor.name}_pooled", f"{tensor.name}_flat"
            nodes.append(helper.make_node("GlobalAveragePool", ["inner"], [pooled]))
            nodes.append(helper.make_node("Flatten", [pooled], [flat]))
            nodes.append(helper.make_node("MatMul", [flat, own], [tensor.name]))
    graph = helper.make_graph(
        nodes, spec.name, _values(spec.inputs), _values(spec.outputs), weights
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    checker.check_model(model, full_check=True)
    return (with_half_weights(model) if half else model).SerializeToString()


def _values(tensors):
    return [
        helper.make_tensor_value_info(item.name, TensorProto.FLOAT, ["N", *item.shape[1:]])
        for item in tensors
    ]
