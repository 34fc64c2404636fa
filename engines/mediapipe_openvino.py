"""MediaPipe's network for the 478 points of a face, in OpenVINO instead of MediaPipe's graph.

The weights are those of MediaPipe's own file, and so are the numbers, to float32's last digits; on
a CPU OpenVINO takes less time for them. Its reader of TensorFlow Lite files knows all layers but
MediaPipe's own, which `engines.mediapipe_layers` translates. What MediaPipe's graph does after the
network, to put its outputs together, is a part of the network here.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engines.engine import Engine, Frames
from engines.manifest import EngineFolder
from engines.mediapipe_layers import CROP_MATRIX, translated
from engines.opening import open_on
from engines.openvino_backend import OpenVinoBackend, exported, imported
from engines.spec import NetSpec, Precision, TensorSpec
from engines.tflite_layers import CustomLayer, custom_layers

_SIDE, _COARSE, _IRIS = 192, 468, 5  # pixels of the input; points
_EYE_CONTOUR = 16  # the points of an eye's part that lie around the eyeball come first
_POINTS = (
    "output_mesh_identity", "output_lips", "output_left_eye", "output_right_eye",
    "output_left_iris", "output_right_iris",
)  # fmt: skip
_PRESENCE = "conv_faceflag"
FACE_MESH = NetSpec(
    "face_mesh",
    inputs=(TensorSpec("picture", (None, _SIDE, _SIDE, 3), "RGB, rows first, 0 to 255", 0, 255),),
    outputs=(
        TensorSpec("points", (None, _COARSE + 2 * _IRIS, 3), "x, y, z in pixels of the picture"),
        TensorSpec("presence", (None, 1), "how sure it is that there is a face, 0 to 1"),
    ),
    precisions=("fp32",),  # bf16 moves points by 0.2 px in the mean, and saves nothing
)


class MediaPipeOnOpenVino(OpenVinoBackend):
    """OpenVINO, building from a .tflite file of MediaPipe's attention Face Mesh.

    Where another model is made of the same file, what is kept must be made stale, by another
    number for the recipe in `engines.manifest`.
    """

    def build(self, spec: NetSpec, onnx: bytes, precision: Precision, frames: Frames) -> bytes:
        """See Backend; `onnx` is the .tflite file."""
        return exported(face_mesh_model(onnx), precision)


def open_face_mesh(tflite: bytes, cache: EngineFolder | None = None) -> Engine:
    """Open MediaPipe's attention Face Mesh in OpenVINO, in float32 and one thread.

    What was built is kept where engines are kept (see `open_engine`), and built anew where the
    file, OpenVINO or the CPU is another, or what was kept is damaged.

    Args:
        tflite: the network file, ``face_landmark_with_attention.tflite``.
        cache: folder of the built engines; the user's unless given.

    Returns:
        The engine of `FACE_MESH`.

    Raises:
        EngineAbsentError: if OpenVINO is not installed.
        UserError, RuntimeError, ValueError: if it cannot run the network.
    """
    backend = MediaPipeOnOpenVino()
    backend.require()
    return open_on(backend, FACE_MESH, tflite, 1, "fp32", cache or EngineFolder())


def face_mesh_model(tflite: bytes) -> Any:  # noqa: ANN401 - a Model
    """Return the network of a file as OpenVINO's Model, with inputs and outputs of `FACE_MESH`.

    Raises:
        UserError: if it has layers that are not known.
        RuntimeError, KeyError, IndexError: if it is no such network.
    """
    layers = custom_layers(tflite)
    model = _converted(tflite, layers)
    boxes = [layer.options for layer in layers if layer.kind == CROP_MATRIX]
    parts = [np.array(box["subset_idxs"]).ravel() for box in boxes]  # in the order of _POINTS
    given = {name: model.output(name).get_node().input_value(0) for name in (*_POINTS, _PRESENCE)}
    op = imported().opset13
    points = _points([given[name] for name in _POINTS], parts)
    presence = op.reshape(op.sigmoid(given[_PRESENCE]), np.array([1, 1]), False)
    results = [points.output(0), presence.output(0)]
    for result, tensor in zip(results, FACE_MESH.outputs, strict=True):
        result.set_names({tensor.name})
    return _taking_levels(imported().Model(results, model.get_parameters(), FACE_MESH.name))


def _converted(tflite: bytes, layers: Sequence[CustomLayer]) -> Any:  # noqa: ANN401 - a Model
    """Read a network file, and put operations in the place of its custom layers."""
    imported()
    from openvino.frontend import FrontEndManager  # noqa: PLC0415  only after `imported`

    reader = FrontEndManager().load_by_framework("tflite")
    with tempfile.TemporaryDirectory() as folder:  # it reads files only
        path = Path(folder) / "network.tflite"
        path.write_bytes(tflite)
        model = reader.convert_partially(reader.load(str(path)))
    by_output = {layer.output: layer for layer in layers}
    for node in model.get_ordered_ops():
        for name in by_output.keys() & node.output(0).get_names():
            result = translated(by_output[name], node.input_values())
            result.set_names(node.output(0).get_names())
            for taker in list(node.output(0).get_target_inputs()):
                taker.replace_source_output(result)
    model.validate_nodes_and_infer_types()
    reader.normalize(model)
    return model


def _points(given: Sequence[Any], parts: Sequence[np.ndarray]) -> Any:  # noqa: ANN401 - nodes
    """Put the points of a face together from those of the coarse mesh and of its parts.

    Args:
        given: the coarse mesh in (x, y, z); lips, left and right eye, left and right iris in
            (x, y): outputs of any shape.
        parts: which points of the mesh lips, left and right eye find anew.

    Returns:
        A node of (1, 478, 3): the mesh, x and y anew where a part has them, and the irises, as
        deep as the contours of their eyes are in the mean.
    """
    op = imported().opset13
    points, axes = np.int64(1), np.int64(2)
    mesh = op.reshape(given[0], np.array([1, _COARSE, 3]), False)
    finer = [op.reshape(part, np.array([1, -1, 2]), False) for part in given[1:]]
    xy = op.concat([op.gather(mesh, np.array([0, 1]), axes), *finer], 1)
    z = op.gather(mesh, np.array([2]), axes)
    contours = [op.gather(z, eye[:_EYE_CONTOUR], points) for eye in parts[1:]]
    means = [op.reduce_mean(contour, points, True) for contour in contours]
    irises_z = [mean for mean in means for _ in range(_IRIS)]
    irises = np.arange(_COARSE, _COARSE + 2 * _IRIS)
    source = np.arange(_COARSE + 2 * _IRIS)  # which of all points found is taken: the last one
    found = np.concatenate([*parts, irises])
    source[found] = _COARSE + np.arange(len(found))
    return op.concat([op.gather(xy, source, points), op.concat([z, *irises_z], 1)], 2)


def _taking_levels(model: Any) -> Any:  # noqa: ANN401 - a Model
    """Let a network that takes 0…1 take grey levels 0…255.

    As float32: with uint8 the network's first layers take longer than numpy does to convert.
    """
    imported()
    from openvino.preprocess import PrePostProcessor  # noqa: PLC0415  only after `imported`

    model.inputs[0].set_names({FACE_MESH.inputs[0].name})
    steps = PrePostProcessor(model)
    steps.input().preprocess().scale(255.0)
    return steps.build()
