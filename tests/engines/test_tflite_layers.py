"""The custom layers of a .tflite file are read with all that the file says of them."""

import struct
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from engines.tflite_layers import custom_layers

FOLDER = Path(find_spec("mediapipe").origin).parent / "modules" / "face_landmark"


@pytest.fixture(scope="module")
def attention():
    return custom_layers((FOLDER / "face_landmark_with_attention.tflite").read_bytes())


def test_every_custom_layer_is_found_and_no_other(attention):
    assert Counter(layer.kind for layer in attention) == {
        "Landmarks2TransformMatrix": 3,
        "TransformTensorBilinear": 3,
        "TransformLandmarks": 5,
    }
    assert len({layer.output for layer in attention}) == 11


def test_options_are_read_and_may_be_left_out(attention):
    lips, *eyes = [layer.options for layer in attention if layer.kind.startswith("Landmarks2")]
    assert (lips["left_rotation_idx"], lips["right_rotation_idx"]) == (61, 291)  # mouth corners
    assert lips["scale_x"] == lips["scale_y"] == 1.5
    assert [len(set(part["subset_idxs"])) for part in (lips, *eyes)] == [80, 71, 71]
    assert attention[3].options == {"output_height": 16, "output_width": 16}
    assert attention[-1].options == {}


def test_a_network_without_custom_layers_has_none():
    assert custom_layers((FOLDER / "face_landmark.tflite").read_bytes()) == []


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\xff" * 64])
def test_what_is_no_network_is_refused(content):
    with pytest.raises((struct.error, IndexError, TypeError)):
        custom_layers(content)
