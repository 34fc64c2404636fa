"""A tiny network whose answer is known: it proves that a backend does its work."""

import base64
import zlib

import numpy as np

from engines.spec import NetSpec, TensorSpec

TINY = NetSpec(
    "tiny",
    inputs=(TensorSpec("picture", (None, 3, 8, 8), "multiples of 1/8"),),
    outputs=(TensorSpec("out", (None, 2, 8, 8), "of a 3×3 convolution, cut at 0"),),
)
# One convolution of 3×3 and a ReLU, with the weights of `_weights`.
TINY_ONNX = zlib.decompress(
    base64.b64decode(
        "eNrj4LB6z8SlwcVekJlcUlqUysVYLsSYrMTinJ9XpiXIxVKQmFLswAiBCxjZufi4GJOFmPNLS5RYglJzSoVYSjLz"
        "KrVeMHIwcTCDoACjE2O51w1GBgaG/QwMDfsYwKDBDkjYDwexKCV4UAmJc4lyMAoJcjELMfpxAf0PxBwgnCTHBQoh"
        "dHkmmLwTCxeDgCAASuw8Qg=="
    )
)
# Every product and sum is exact in bfloat16.
TOLERANCE = 0.01


def tiny_input() -> np.ndarray:
    """Return two pictures, shape (2, 3, 8, 8)."""
    values = np.arange(2 * 3 * 8 * 8, dtype=np.float32).reshape(2, 3, 8, 8)
    return (values % 7) / 8


def tiny_answer(picture: np.ndarray) -> np.ndarray:
    """Return what the network must give, computed without it."""
    padded = np.pad(picture, ((0, 0), (0, 0), (1, 1), (1, 1)))
    parts = (
        np.einsum("ncyx,oc->noyx", padded[:, :, y : y + 8, x : x + 8], _weights()[:, :, y, x])
        for y in range(3)
        for x in range(3)
    )
    return np.maximum(np.sum(list(parts), axis=0), 0)


def _weights() -> np.ndarray:
    return (np.arange(54).reshape(2, 3, 3, 3) % 5 - 2).astype(np.float32) / 4
