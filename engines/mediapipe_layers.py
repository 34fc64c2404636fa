"""The three kinds of custom layers of MediaPipe's attention networks, as OpenVINO operations.

Such a network (*Attention Mesh*, Grishchenko et al. 2020) finds a rough mesh first, and then looks
again at parts of a face: it cuts an upright crop around each out of its own features, and finds
the part's points in there.

- ``Landmarks2TransformMatrix`` lays a box around some of the points, turned with the line through
  two of them, and gives the matrix from the crop's pixels to the feature map's.
- ``TransformTensorBilinear`` samples the crop from the feature map.
- ``TransformLandmarks`` takes points of a crop back to where the crop was cut.

All positions are pixels whose centres lie at +0.5; matrices are (1, 4, 4), row-major, applied to
columns (x, y, 0, 1), and their third row and column are those of the identity. The numbers are
those of MediaPipe's own layers (``mediapipe/util/tflite/operations``), also beyond the border of
the feature map: there a sample is 0, even where a neighbour of it lies within.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from engines.errors import UserError
from engines.openvino_backend import imported
from engines.tflite_layers import CustomLayer

CROP_MATRIX = "Landmarks2TransformMatrix"
_POINTS = np.int64(1)  # the axis along which points lie
_TRANSPOSED = np.array([0, 2, 1])
_SHORTEST = 1e-9  # square of the length of the line that turns a box; its ends may coincide
_FAR_OUT = 3.0  # so far from a picture that goes from -1 to 1 that none of it is a neighbour


def translated(layer: CustomLayer, inputs: Sequence[Any]) -> Any:  # noqa: ANN401 - an Output
    """Return what a custom layer gives, computed by OpenVINO's operations.

    Args:
        layer: what the file says of it.
        inputs: the outputs that go into it.

    Raises:
        UserError: if there is no translation.
    """
    translation = _TRANSLATIONS.get(layer.kind)
    if translation is None:
        why = f"its layer {layer.output} is of the unknown kind {layer.kind}"
        raise UserError("OpenVINO cannot run a network of MediaPipe", why, "Use MediaPipe 0.10.21")
    return translation(*inputs, layer.options).output(0)


def _crop_matrix(landmarks: Any, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - nodes
    """Translate ``Landmarks2TransformMatrix``: (1, N, 3) points → (1, 4, 4) map from its crop.

    With the box's directions as the rows of `axes`, q of the crop comes from
    p = middle + axesᵀ · diag(scale · size / crop size) · (q − crop size / 2) of the feature map.
    """
    op = _operations()
    crop_size = np.array([options["output_width"], options["output_height"]], np.float32)
    scale = np.array([options["scale_x"], options["scale_y"]], np.float32) / crop_size
    axes = _box_axes(landmarks, options)
    part = op.gather(landmarks, np.array(options["subset_idxs"], np.int64), _POINTS)
    upright = op.matmul(part, axes, False, True)  # (1, S, 2), as the axes have no z
    high = op.reduce_max(upright, _POINTS, True)
    low = op.reduce_min(upright, _POINTS, True)
    size = op.reshape(op.subtract(high, low), np.array([1, 2, 1]), False)
    steps = op.multiply(op.multiply(size, scale.reshape(1, 2, 1)), axes)  # of a pixel of the crop
    twice_middle = op.matmul(op.add(high, low), axes, False, False)
    across = op.matmul(_constant(crop_size.reshape(1, 1, 2)), steps, False, False)
    corner = op.multiply(op.subtract(twice_middle, across), np.float32(0.5))
    columns = op.concat([steps, _constant([[[0, 0, 1]]]), corner], 1)
    last_row = _constant([[[0], [0], [0], [1]]])
    return op.transpose(op.concat([columns, last_row], 2), _TRANSPOSED)


def _box_axes(landmarks: Any, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - nodes
    """Return the directions of a crop's rows and columns, (1, 2, 3) in feature map and depth.

    The first is that of the line between two points, turned back by the angle that this line is
    to have in the crop; the second stands upright on it; neither has a depth.
    """
    op = _operations()
    c, s = np.cos(options["target_rotation_radians"]), np.sin(options["target_rotation_radians"])
    from_line = np.array([[c, -s, 0, s, c, 0], [s, c, 0, -c, s, 0], [0, 0, 0, 0, 0, 0]])
    ends = np.array([options["left_rotation_idx"], options["right_rotation_idx"]], np.int64)
    both = op.reshape(op.gather(landmarks, ends, _POINTS), np.array([1, 6]), False)
    line = op.matmul(both, _constant(np.concatenate([-from_line, from_line])), False, False)
    axes = op.reshape(line, np.array([1, 2, 3]), False)
    return op.normalize_l2(axes, np.array([2], np.int64), _SHORTEST, "max")


def _crop_features(
    features: Any,  # noqa: ANN401 - nodes
    matrix: Any,  # noqa: ANN401
    options: Mapping[str, Any],
) -> Any:  # noqa: ANN401
    """Translate ``TransformTensorBilinear``: (1, H, W, C) and a matrix → (1, h, w, C).

    `grid_sample` counts places from -1 to 1 across the picture, from border to border.
    """
    op = _operations()
    width, height = options["output_width"], options["output_height"]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    places = np.stack([x, y, 0 * x, 1 + 0 * x], axis=-1).reshape(1, -1, 4)
    whole = np.array([features.get_shape()[2], features.get_shape()[1]], np.float32)
    on_map = op.matmul(_constant(places), _two_rows(matrix), False, True)  # (1, h · w, 2) px
    place = op.subtract(op.multiply(on_map, 2 / whole), np.float32(1))
    # Half a pixel within the border are the centres of the last pixels: beyond them all is 0.
    outside = op.greater(op.absolute(place), 1 - 1 / whole)
    place = op.select(outside, np.float32(_FAR_OUT), place)
    grid = op.reshape(place, np.array([1, height, width, 2]), False)
    channels_first = op.transpose(features, np.array([0, 3, 1, 2]))
    how = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": False}
    return op.transpose(op.grid_sample(channels_first, grid, how), np.array([0, 2, 3, 1]))


def _landmarks_from_crop(
    landmarks: Any,  # noqa: ANN401 - nodes
    matrix: Any,  # noqa: ANN401
    _options: Mapping[str, Any],
) -> Any:  # noqa: ANN401
    """Translate ``TransformLandmarks``: (1, N, 2) points of a crop → where it was cut."""
    op = _operations()
    rows = _two_rows(matrix)
    linear = op.gather(rows, np.array([0, 1], np.int64), np.int64(2))
    corner = op.transpose(op.gather(rows, np.array([3], np.int64), np.int64(2)), _TRANSPOSED)
    return op.add(op.matmul(landmarks, linear, False, True), corner)


_Translation = Callable[..., Any]
_TRANSLATIONS: dict[str, _Translation] = {
    CROP_MATRIX: _crop_matrix,
    "TransformTensorBilinear": _crop_features,
    "TransformLandmarks": _landmarks_from_crop,
}


def _two_rows(matrix: Any) -> Any:  # noqa: ANN401 - nodes
    """Return the rows of a matrix that give x and y, (1, 2, 4)."""
    return _operations().gather(matrix, np.array([0, 1], np.int64), np.int64(1))


def _constant(values: Any) -> Any:  # noqa: ANN401 - a node
    return _operations().constant(np.asarray(values, np.float32))


def _operations() -> Any:  # noqa: ANN401 - a module
    return imported().opset13
