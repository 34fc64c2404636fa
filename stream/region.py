"""Rectangles of the frame in which one head is worked on, and the node grid on them."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from stream.geometry import project
from stream.nearest import Nearest

if TYPE_CHECKING:
    from stream.frame import Head

SURE = 0.9  # matte: surely the person
_STRIP = 64  # rows that are mixed at a time


class Region(NamedTuple):
    """A rectangle of whole frame pixels: x0 ≤ x < x1, y0 ≤ y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0

    @property
    def is_empty(self) -> bool:
        """True where it holds no pixel."""
        return self.width <= 0 or self.height <= 0

    def crop(self, picture: np.ndarray) -> np.ndarray:
        """Return the view of an (H, W, …) picture that lies in the region."""
        return picture[self.y0 : self.y1, self.x0 : self.x1]

    def clipped(self, width: int, height: int) -> "Region":
        """Return the part that lies inside a frame."""
        x0, x1 = np.clip((self.x0, self.x1), 0, width)
        y0, y1 = np.clip((self.y0, self.y1), 0, height)
        return Region(int(x0), int(y0), int(x1), int(y1))

    def intersection(self, other: "Region") -> "Region":
        """Return the part that lies in both; may be empty."""
        return Region(
            max(self.x0, other.x0),
            max(self.y0, other.y0),
            min(self.x1, other.x1),
            min(self.y1, other.y1),
        )

    def moved_into(self, outer: "Region") -> "Region":
        """Return the same rectangle, counted from the corner of another region."""
        return Region(
            self.x0 - outer.x0, self.y0 - outer.y0, self.x1 - outer.x0, self.y1 - outer.y0
        )

    def shifted(self, x: int, y: int) -> "Region":
        """Return the rectangle moved by so many pixels."""
        return Region(self.x0 + x, self.y0 + y, self.x1 + x, self.y1 + y)

    def union(self, other: "Region") -> "Region":
        """Return the smallest region that holds both."""
        return Region(
            min(self.x0, other.x0),
            min(self.y0, other.y0),
            max(self.x1, other.x1),
            max(self.y1, other.y1),
        )


@dataclass(frozen=True, slots=True)
class NodeGrid:
    """A regular grid of nodes that spans a region from corner to corner.

    Node (row, column) lies at frame position (x0 + column · step_x, y0 + row · step_y).
    """

    region: Region
    columns: int
    rows: int

    @property
    def step_px(self) -> tuple[float, float]:
        """Distance of neighbouring nodes along x and y."""
        return self.region.width / (self.columns - 1), self.region.height / (self.rows - 1)

    @property
    def positions_px(self) -> np.ndarray:
        """(rows, columns, 2) float32 frame positions of the nodes; not to be written to."""
        return _positions_px(self)

    @property
    def nodes_from_frame(self) -> np.ndarray:
        """(2, 3) affine from frame positions to (column, row)."""
        step_x, step_y = self.step_px
        return np.array(
            [[1 / step_x, 0, -self.region.x0 / step_x], [0, 1 / step_y, -self.region.y0 / step_y]]
        )

    def nodes_at(self, places_px: np.ndarray) -> np.ndarray:
        """Return (..., 2) float64, the (column, row) of (..., 2) places in the frame."""
        affine = self.nodes_from_frame
        return np.asarray(places_px @ affine[:, :2].T + affine[:, 2])

    @classmethod
    def over(cls, region: Region, nodes: int) -> "NodeGrid":
        """Return a grid with ``nodes`` nodes along the longer side and square-ish cells."""
        longer = max(region.width, region.height)
        columns = max(2, round(nodes * region.width / longer))
        rows = max(2, round(nodes * region.height / longer))
        return cls(region, columns, rows)


def resample_to_nodes(matte: np.ndarray, grid: NodeGrid) -> np.ndarray:
    """Return (rows, columns) float32 values of a matte that spans the grid's region.

    Nodes lie on the region's corners, pixels of the matte half a pixel inside.
    """
    if max(matte.shape) > 2 * max(grid.columns, grid.rows):
        matte = halved(matte)
    x, y = _node_places(matte.shape, grid.columns, grid.rows)
    return cv2.remap(matte, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def halved(picture: np.ndarray) -> np.ndarray:
    """Average 2×2 pixels: much quicker than by any other area; an odd last one is left out."""
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    whole = picture[: 2 * height, : 2 * width]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)


def reduced(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a picture at a smaller (width, height), averaged."""
    if 2 * max(size) <= max(picture.shape[:2]):  # then halves are much quicker than other areas
        return cv2.resize(halved(picture), size)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def mix_in(picture: np.ndarray, other: np.ndarray, share: np.ndarray) -> None:
    """Let so much, (h, w) uint8 of 255, of another picture into one; both (h, w, 3) uint8."""
    # In strips, what lies between stays in the processor's cache; their empty sides cost nothing.
    for first in range(0, len(share), _STRIP):
        rows = np.s_[first : first + _STRIP]
        x, _, width, _ = cv2.boundingRect(share[rows])
        if width:
            part = rows, np.s_[x : x + width]
            much = cv2.cvtColor(share[part], cv2.COLOR_GRAY2RGB)
            rest = cv2.multiply(picture[part], cv2.bitwise_not(much), scale=1 / 255)
            cv2.add(cv2.multiply(other[part], much, scale=1 / 255), rest, dst=picture[part])


@lru_cache(maxsize=16)
def _node_places(shape: tuple[int, int], columns: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y, (rows, columns) float32, of the nodes in a picture of the grid's region."""
    height, width = shape
    column = np.arange(columns, dtype=np.float32) * (width / (columns - 1)) - 0.5
    row = np.arange(rows, dtype=np.float32) * (height / (rows - 1)) - 0.5
    x, y = np.meshgrid(column, row)
    return x, y


def within_person(
    points: np.ndarray, sure: np.ndarray, grid: NodeGrid, camera: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move points across the line of sight until the person of the frame hides them.

    Args:
        points: (S, 3) camera space, mm.
        sure: (rows, columns) float32 person matte at the nodes; erode it where its rim is not to
            hide anything.
        grid: the nodes.
        camera: (3, 3) intrinsics.

    Returns:
        (S, 3) points, and (S,) how far they had to go, mm: more than the model may be off, and
        what they are has no place in this frame.
    """
    inside = sure >= SURE
    if not inside.any():
        return points, np.full(len(points), np.inf)
    nearest_px = Nearest.among(inside).spread(grid.positions_px)
    places = project(points, camera)
    node = grid.nodes_at(places)
    last = np.array([grid.columns, grid.rows]) - 1
    column, row = np.clip(np.rint(node), 0, last).astype(int).T
    off = ~inside[row, column, None]
    shift_px = np.where(off, nearest_px[row, column] - places, 0)
    moved = points.copy()
    moved[:, :2] += shift_px * (points[:, 2:] / camera[0, 0])
    return moved, np.linalg.norm(moved - points, axis=1)


def node_mm(grid: NodeGrid, head: "Head") -> float:
    """Return the distance of neighbouring nodes at a head."""
    return float(max(grid.step_px) * head.camera_from_head[2, 3] / head.camera[0, 0])


def looked_up(layer: np.ndarray, places_px: np.ndarray, region: Region) -> np.ndarray:
    """Return (n, m) values of a map at places of the frame, 0 beside the map.

    Args:
        layer: (h, w) over the region.
        places_px: (n, m, 2) frame positions.
        region: of the frame.
    """
    scale = layer.shape[1] / region.width, layer.shape[0] / region.height
    at = ((places_px - region[:2]) * scale - 0.5).astype(np.float32)
    return cv2.remap(layer, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


@lru_cache(maxsize=8)
def _positions_px(grid: NodeGrid) -> np.ndarray:
    region = grid.region
    x = np.linspace(region.x0, region.x1, grid.columns, dtype=np.float32)
    y = np.linspace(region.y0, region.y1, grid.rows, dtype=np.float32)
    positions = np.stack(np.meshgrid(x, y), axis=-1)
    positions.setflags(write=False)
    return positions
