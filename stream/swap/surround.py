"""What surrounds a swapped face: the frame itself, moved so that it meets the new outline.

Where the source's jaw is narrower than the target's, a second cheek would show beside the drawn
face. The frame is therefore warped by the same motion that takes the target's shape to the drawn
one, which decays to nothing a short way outside the face. Eyes and mouth of the target, which
stay, come out of the same warped frame and so lie where the drawn lids and lips are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from stream.geometry import smoothstep

if TYPE_CHECKING:
    from stream.region import Region
    from stream.swap.shape import FaceShape

_CELLS_PER_EYES = 14.0  # grid cells along the distance of the eyes
_NEAR, _WIDE = 0.8, 3.5  # cells: width of the kernels that spread the motion
_LEAST = 0.06  # of a vertex's weight: the wide kernel dies out below
_FACING = 0.05
_LARGEST = 0.16  # of the distance of the eyes: longer motions would bend what is behind
_SLIGHT_PX = 0.05
_BORDER = 4.0  # cells


def surround_motion(shape: FaceShape, follows: np.ndarray, region: Region) -> np.ndarray | None:
    """Return where each cell of a coarse grid finds its colours, relative to itself.

    The motion is known at the vertices; in between it is their mean by a narrow kernel, and
    outside of them it fades by a wide one.

    Args:
        shape: the geometry of the face.
        follows: (V,) vertices with 0 say nothing; see `ShapeBlender.follows`.
        region: what part of the frame is wanted.

    Returns:
        (rows, columns, 2) float32 px; None where nothing moves.
    """
    known = (shape.facing > _FACING) & (follows > 0)
    motion = shape.own_px[known] - shape.drawn_px[known]
    length = np.linalg.norm(motion, axis=1)
    if float(length.max(initial=0)) < _SLIGHT_PX:
        return None
    limit = _LARGEST * shape.eyes_px
    motion *= (limit / np.maximum(length, 1e-6) * np.tanh(length / limit))[:, None]
    cell = shape.eyes_px / _CELLS_PER_EYES
    columns, rows = (int(np.ceil(side / cell)) + 1 for side in (region.width, region.height))
    place = ((shape.drawn_px[known] - [region.x0, region.y0]) / cell).astype(np.int32)
    inside = (place >= 0).all(axis=1) & (place < [columns, rows]).all(axis=1)
    index = place[inside, 1] * columns + place[inside, 0]
    values = np.column_stack([np.ones(inside.sum()), motion[inside]])
    sums = np.stack(
        [np.bincount(index, values[:, axis], rows * columns) for axis in range(3)], axis=1
    )
    # Many vertices in a cell count once: their density is no matter of the picture.
    mean = sums / np.maximum(sums[:, :1], 1)
    mean = mean.reshape(rows, columns, 3).astype(np.float32)
    near, wide = (cv2.GaussianBlur(mean, (0, 0), width) for width in (_NEAR, _WIDE))
    weight = near[..., :1] + 0.05 * wide[..., :1]
    fade = wide[..., :1] / (wide[..., :1] + _LEAST) * _border_window(rows, columns)
    return (near[..., 1:] + 0.05 * wide[..., 1:]) / np.maximum(weight, 1e-6) * fade


def _border_window(rows: int, columns: int) -> np.ndarray:
    """Return (rows, columns, 1), 0 on the border of the grid, 1 a few cells inside.

    The frame outside of the region does not move, so what lies on its border may not, either.
    """
    down, across = (
        smoothstep(np.minimum(np.arange(count), count - 2 - np.arange(count)), 0.0, _BORDER)
        for count in (rows, columns)
    )  # the last row and column reach over the region's border
    return (down[:, None] * across)[..., None]


class Surround(NamedTuple):
    """Where each pixel of a region finds its colours in the frame; (h, w) float32 each."""

    x: np.ndarray
    y: np.ndarray

    def part(self, region: Region, inner: Region) -> Surround:
        """Return what belongs to a part of the region."""
        part = inner.moved_into(region)
        return Surround(part.crop(self.x), part.crop(self.y))

    def of(self, picture: np.ndarray, corner: tuple[int, int] = (0, 0)) -> np.ndarray:
        """Sample a picture, (H, W, …) uint8 whose first pixel lies at a corner of the frame."""
        x, y = self.x - np.float32(corner[0]), self.y - np.float32(corner[1])
        return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def surround_of(
    shape: FaceShape, follows: np.ndarray, region: Region, share: float
) -> Surround | None:
    """Return how the frame is warped around a face; None where nothing moves.

    Args:
        shape: the geometry of the face.
        follows: (V,) vertices with 0 say nothing; see `ShapeBlender.follows`.
        region: what part of the frame is wanted.
        share: of the motion, 0…1.
    """
    motion = surround_motion(shape, follows, region)
    if motion is None or share <= 0:
        return None
    cell = shape.eyes_px / _CELLS_PER_EYES
    size = (round(motion.shape[1] * cell), round(motion.shape[0] * cell))
    full = cv2.resize(motion * share, size, interpolation=cv2.INTER_LINEAR)
    full = full[: region.height, : region.width]
    x = np.arange(region.x0, region.x1, dtype=np.float32)[None, :] + full[..., 0]
    y = np.arange(region.y0, region.y1, dtype=np.float32)[:, None] + full[..., 1]
    return Surround(x, y)
