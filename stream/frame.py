"""The data objects that travel along the path of a frame."""

from dataclasses import dataclass

import numpy as np

POINT_COUNT = 478


def _check(name: str, array: np.ndarray, shape: tuple[int | None, ...], dtype: type) -> None:
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype != dtype:
        raise ValueError(
            f"{name}: expected shape {shape} of {np.dtype(dtype).name}, "
            f"got {array.shape} of {array.dtype.name}"
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of the input, upright, as it enters the path.

    Attributes:
        pixels: (H, W, 3) uint8, RGB, never written to after capture.
        index: position in the source, from 0, without gaps for files.
        time_s: presentation time in seconds from the first frame of the source.
        captured_s: ``time.perf_counter()`` when the frame became available.
    """

    pixels: np.ndarray
    index: int = 0
    time_s: float = 0.0
    captured_s: float = 0.0

    def __post_init__(self) -> None:
        _check("Frame.pixels", self.pixels, (None, None, 3), np.uint8)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


@dataclass(frozen=True, slots=True)
class Face:
    """One tracked face in one frame.

    Attributes:
        id: stays with the same person from frame to frame.
        points_px: (478, 3) float32; x, y in frame pixels (pixel centres at +0.5), z in the
            same scale, relative to the head's centre, smaller is nearer (Face Mesh).
        presence: 0…1; falls to 0 within five frames once the face is lost and rises as
            fast when it returns, so that effects fade instead of jumping.
        fresh: False while the points are carried over from an earlier frame.
    """

    id: int
    points_px: np.ndarray
    presence: float = 1.0
    fresh: bool = True

    def __post_init__(self) -> None:
        _check("Face.points_px", self.points_px, (POINT_COUNT, 3), np.float32)


@dataclass(frozen=True, slots=True)
class Head:
    """A head model fitted to one face.

    Attributes:
        face_id: the tracked face that it belongs to.
        identity: (K,) float32, in standard deviations.
        expression: (52,) float32, face units, 0…1.
        camera_from_head: (4, 4) float64 rigid transform, millimetres.
        camera: (3, 3) float64 pinhole intrinsics, pixels.
        presence: 0…1, as in Face.
    """

    face_id: int
    identity: np.ndarray
    expression: np.ndarray
    camera_from_head: np.ndarray
    camera: np.ndarray
    presence: float = 1.0

    def __post_init__(self) -> None:
        _check("Head.identity", self.identity, (None,), np.float32)
        _check("Head.expression", self.expression, (None,), np.float32)
        _check("Head.camera_from_head", self.camera_from_head, (4, 4), np.float64)
        _check("Head.camera", self.camera, (3, 3), np.float64)
