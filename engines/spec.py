"""What each network takes and gives: one description for training, export, build and runtime.

Every tensor is NCHW float32 with a free batch size. A network's weights are the file
``engines/weights/NAME.onnx``, whose inputs and outputs bear the names that stand here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

Precision = Literal["fp32", "fp16", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
WEIGHTS = Path(__file__).resolve().parent / "weights"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output.

    Attributes:
        name: of the tensor in the network file and in calls.
        shape: sizes; None for the free batch size, which comes first.
        meaning: what the values are, with units.
        low, high: the range that the values usually have.
        dtype: numpy's name of the element type.
    """

    name: str
    shape: tuple[int | None, ...]
    meaning: str
    low: float = 0.0
    high: float = 1.0
    dtype: str = "float32"

    def sized(self, batch: int) -> tuple[int, ...]:
        """Return the shape with the batch size filled in."""
        return tuple(batch if size is None else size for size in self.shape)

    def fits(self, shape: tuple[object, ...]) -> bool:
        """Return whether a shape has these sizes, whatever stands for the batch size."""
        pairs = zip(self.shape, shape, strict=False)
        return len(shape) == len(self.shape) and all(
            size is None or size == other for size, other in pairs
        )


@dataclass(frozen=True, slots=True)
class NetSpec:
    """One network.

    Attributes:
        name: of the network and of its file.
        inputs, outputs: its tensors.
        precisions: in which its results are good enough; of them the engine takes the one that
            is quickest on the device. int8 is only taken where it is asked for.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precisions: tuple[Precision, ...] = ("fp16", "bf16", "fp32")

    @property
    def file_name(self) -> str:
        """Name of the network file in the folder of the weights."""
        return f"{self.name}.onnx"

    def sample(self, batch: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
        """Return the same named inputs for the same arguments: smooth shapes with some noise.

        Args:
            batch: how many pictures.
            seed: another one gives other inputs.

        Returns:
            ``{name: array}`` of the inputs' shapes, within their usual ranges.
        """
        random = np.random.default_rng([seed, *self.name.encode()])
        return {tensor.name: _sample(tensor, batch, random) for tensor in self.inputs}

    def checked(self, arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], int]:
        """Return the inputs as contiguous arrays of the right type, and their batch size.

        Raises:
            ValueError: if a name is missing or unknown, or a shape is wrong.
        """
        names = {tensor.name for tensor in self.inputs}
        if names != set(arrays):
            raise ValueError(f"{self.name} takes {sorted(names)}, not {sorted(arrays)}")
        batches, ready = set(), {}
        for tensor in self.inputs:
            array = np.asarray(arrays[tensor.name])
            if not tensor.fits(array.shape):
                wanted = tensor.sized(-1)
                raise ValueError(f"{self.name}.{tensor.name} is {array.shape}, not {wanted}")
            batches.add(array.shape[0])
            ready[tensor.name] = np.ascontiguousarray(array, dtype=tensor.dtype)
        if len(batches) != 1:
            raise ValueError(f"{self.name} got inputs of different batch sizes {sorted(batches)}")
        return ready, batches.pop()


def _sample(tensor: TensorSpec, batch: int, random: np.random.Generator) -> np.ndarray:
    shape = tensor.sized(batch)
    grid = np.meshgrid(*(np.linspace(0, 1, size) for size in shape[2:]), indexing="ij")
    phase = random.uniform(0, 2 * np.pi, (*shape[:2], *([1] * len(grid))))
    waves = sum((np.sin(random.uniform(3, 9) * axis + phase) for axis in grid), start=0 * phase)
    noise = random.uniform(-0.2, 0.2, shape)
    share = np.clip(0.5 + 0.2 * waves + noise, 0, 1)
    return (tensor.low + (tensor.high - tensor.low) * share).astype(tensor.dtype)


def _picture(size: int) -> TensorSpec:
    return TensorSpec("picture", (None, 3, size, size), "RGB crop of the head, 0 to 1")


_SEGMENTATION = NetSpec(
    "head_segmentation",
    inputs=(_picture(256),),
    outputs=(
        TensorSpec(
            "probabilities",
            (None, 9, 256, 256),
            "0 background, 1 face, 2 hair, 3 ear, 4 neck, 5 mouth, 6 eyes, 7 body, 8 occluder; "
            "they sum up to 1",
        ),
    ),
)
_HAIR_DEPTH = NetSpec(
    "hair_depth",
    inputs=(
        _picture(256),
        TensorSpec(
            "face_depth",
            (None, 2, 256, 256),
            "0: depth of the fitted head model relative to the head's centre in units of "
            "100 mm, 0 where there is none; 1: 1 where the model is, else 0",
            low=-1.5,
            high=1.5,
        ),
    ),
    outputs=(
        TensorSpec(
            "depth",
            (None, 1, 256, 256),
            "depth of the head region relative to the head's centre in units of 100 mm",
            low=-2.0,
            high=2.0,
        ),
    ),
)
_FACE_3DMM = NetSpec(
    "face_3dmm",
    inputs=(_picture(192),),
    outputs=(
        TensorSpec("identity", (None, 80), "of the head model, standard deviations", -3, 3),
        TensorSpec("expression", (None, 52), "strength of each face unit", 0, 1),
        TensorSpec("rotation", (None, 6), "first two columns of the head's rotation", -1, 1),
        TensorSpec("place", (None, 3), "of the head in the crop: across, down, size", -1, 1),
        TensorSpec("texture", (None, 40), "of the skin model, standard deviations", -3, 3),
        TensorSpec("light", (None, 27), "9 spherical harmonics each of red, green, blue", -1, 2),
    ),
)
_REFINE = NetSpec(
    "refine",
    inputs=(
        _picture(256),
        TensorSpec("masks", (None, 4, 256, 256), "what the warp knows of each pixel, 0 to 1"),
    ),
    outputs=(TensorSpec("refined", (None, 3, 256, 256), "the repaired picture, RGB, 0 to 1"),),
)

_KEYPOINT_DEPTH = NetSpec(
    "keypoint_depth",
    inputs=(
        TensorSpec(
            "points",
            (None, 2, 478, 1),
            "x and y of the tracked points, from the middle of the face's square crop, in units "
            "of its side",
            low=-0.5,
            high=0.5,
        ),
    ),
    outputs=(
        TensorSpec(
            "depth",
            (None, 478),
            "of each point, relative to their mean, in the same unit; smaller is nearer",
            low=-0.5,
            high=0.5,
        ),
    ),
)

_REPAIR = NetSpec(
    "repair",
    inputs=(
        TensorSpec("picture", (None, 3, 128, 128), "RGB square around a pasted face, 0 to 1"),
        TensorSpec("masks", (None, 2, 128, 128), "0: how far a pixel is pasted; 1: unknown"),
    ),
    outputs=(TensorSpec("repaired", (None, 3, 128, 128), "the repaired picture, RGB, 0 to 1"),),
)

_FACE_IDENTITY = NetSpec(
    "face_identity",
    inputs=(
        TensorSpec(
            "skin",
            (None, 4, 640, 1),
            "red, green, blue, 0 to 1, of places on the face's skin (stream.swap.likeness), and "
            "whether each is seen",
        ),
    ),
    outputs=(
        TensorSpec("features", (None, 128), "of which the direction says who it is", -1.0, 1.0),
    ),
    precisions=("fp32",),
)

_FACE_DEPTH = NetSpec(
    "face_depth",
    inputs=(
        _picture(192),
        TensorSpec(
            "face_depth",
            (None, 2, 192, 192),
            "0: depth of the fitted head model, 0.75 - 1.5 r with r how far a point lies behind "
            "the tip of the nose, in crop sides at the nose's distance, and 0 where there is no "
            "head; 1: 1 where the model is, else 0",
        ),
    ),
    outputs=(
        TensorSpec(
            "depth", (None, 1, 192, 192), "depth of the face in the same unit", low=-0.5, high=1.2
        ),
    ),
)

_PIX2VERTEX = NetSpec(
    "pix2vertex",
    inputs=(_picture(192),),
    outputs=(
        TensorSpec(
            "points",
            (None, 3, 192, 192),
            "place of what a pixel shows, relative to the head's centre in units of 100 mm, "
            "right, down and away along the ray through the crop's centre",
            low=-1.5,
            high=1.5,
        ),
        TensorSpec("mask", (None, 1, 192, 192), "whether the pixel shows the face, 0 to 1"),
        TensorSpec(
            "correspondence",
            (None, 3, 192, 192),
            "its place on the mean head, head space, in units of 100 mm",
            low=-1.5,
            high=1.5,
        ),
    ),
)

SPECS: dict[str, NetSpec] = {
    spec.name: spec
    for spec in (
        _SEGMENTATION,
        _HAIR_DEPTH,
        _FACE_3DMM,
        _FACE_IDENTITY,
        _REFINE,
        _KEYPOINT_DEPTH,
        _FACE_DEPTH,
        _REPAIR,
        _PIX2VERTEX,
    )
}
