"""Between the samples of a video file and upright RGB, by chains of FFmpeg's filters."""

import struct
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext

from stream.media.base import RGB_MATRIX, UNSPECIFIED, Colour
from stream.media.planar import PlanarToRgb, is_planar

# H.273 matrix coefficients → what the scale filter calls them
_MATRIX_NAMES = {
    1: "bt709",
    4: "fcc",
    5: "bt470",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020",
    10: "bt2020",
}
_BT709, _BT601 = 1, 6
# Rounding that is exact brings the luma of an untouched pixel back unchanged; the fast
# way darkens every picture by one level.
_TO_RGB_FLAGS = "bilinear+accurate_rnd+full_chroma_int"
_FROM_RGB_FLAGS = "bilinear+accurate_rnd+full_chroma_inp"
# Signs of the display matrix (a, b, c, d) → filters that make the picture upright
_TURNS = {
    (1, 0, 0, 1): (),
    (-1, 0, 0, 1): ("hflip",),
    (1, 0, 0, -1): ("vflip",),
    (-1, 0, 0, -1): ("hflip", "vflip"),
    (0, 1, -1, 0): ("transpose=clock",),
    (0, -1, 1, 0): ("transpose=cclock",),
    (0, 1, 1, 0): ("transpose=cclock_flip",),
    (0, -1, -1, 0): ("transpose=clock_flip",),
}

# The same without mirrors: degrees as PyAV tells them
_QUARTER_TURNS = {
    90: _TURNS[0, -1, 1, 0],
    -90: _TURNS[0, 1, -1, 0],
    180: _TURNS[-1, 0, 0, -1],
    -180: _TURNS[-1, 0, 0, -1],
}


def stated_colour(frame: av.VideoFrame, codec: av.VideoCodecContext) -> Colour:
    """Read what a decoded frame says of its colour."""
    planar_rgb = frame.format.is_rgb or frame.format.has_palette
    full = {1: False, 2: True}.get(int(frame.color_range))
    if frame.format.name.startswith("yuvj"):
        full = True
    return Colour(
        matrix=RGB_MATRIX if planar_rgb else int(frame.colorspace),
        full_range=full,
        primaries=int(codec.color_primaries),
        transfer=int(codec.color_trc),
    )


def written_colour(colour: Colour) -> Colour:
    """Return what a file is told to say: the same, or BT.709 for what was RGB."""
    if colour.matrix != RGB_MATRIX:
        return colour
    given = replace(colour, matrix=_BT709, full_range=False)
    if colour.primaries == UNSPECIFIED:
        given = replace(given, primaries=_BT709)
    return replace(given, transfer=_BT709) if colour.transfer == UNSPECIFIED else given


def matrix_name(colour: Colour, size: tuple[int, int]) -> str:
    """Name the matrix to convert with; guess as players do where it is not told."""
    guess = _BT709 if size[0] >= 1280 or size[1] > 576 else _BT601
    return _MATRIX_NAMES.get(colour.matrix, _MATRIX_NAMES[guess])


def turns_of(frame: av.VideoFrame) -> tuple[str, ...]:
    """Return the filters that bring a frame upright, from its display matrix."""
    try:
        data = cast("Mapping[str, bytes]", frame.side_data).get("DISPLAYMATRIX")
    except ValueError:  # PyAV stumbles over kinds of side data that it has no name for, as EXIF
        return _QUARTER_TURNS.get(round(frame.rotation), ())
    if data is None:
        return ()
    a, b, _, c, d = struct.unpack_from("=5i", bytes(data))
    largest = max(abs(value) for value in (a, b, c, d)) or 1
    return _TURNS.get(tuple(round(value / largest) for value in (a, b, c, d)), ())


def _add_buffer(graph: Graph, frame: av.VideoFrame) -> FilterContext:
    return graph.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base=str(frame.time_base or Fraction(1, 1000)),
        pixel_aspect="1/1",
    )


def chain(frame: av.VideoFrame, filters: list[str]) -> Graph:
    """Build a chain of filters, each ``name`` or ``name=options``, for frames like this one."""
    graph = Graph()
    nodes = [_add_buffer(graph, frame)]
    for spec in filters:
        name, _, options = spec.partition("=")
        nodes.append(graph.add(name, options or None))
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


def pulled(graph: Graph) -> Iterator[av.VideoFrame]:
    """Yield what a chain has ready."""
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        assert isinstance(frame, av.VideoFrame)  # noqa: S101 - the chain has pictures only
        yield frame


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a chain was built for; another frame needs another chain."""

    width: int
    height: int
    format: str
    colour: Colour
    interlaced: bool
    turns: tuple[str, ...]


class ToRgb:
    """Turn decoded frames into upright RGB of one size, deinterlaced where they need it."""

    def __init__(self, codec: av.VideoCodecContext) -> None:
        self._codec = codec
        self._size: tuple[int, int] | None = None
        self._shape: _Shape | None = None
        self._graph: Graph | None = None
        self._planar: PlanarToRgb | None = None
        self._times: deque[float] = deque()

    def push(self, frame: av.VideoFrame, time_s: float) -> Iterator[tuple[np.ndarray, float]]:
        """Take one decoded frame, yield (H, W, 3) uint8 pictures that are ready, and their times.

        A frame that only its colours keep from being RGB goes the quick way.
        """
        shape = self._shape_of(frame)
        if shape != self._shape:
            yield from self.flush()
            self._shape = shape
            filters = self._filters(shape)
            self._planar = self._quick_way(frame, shape)
            self._graph = None if self._planar else chain(frame, filters)
        if self._planar is not None:
            yield self._planar(frame), time_s
            return
        assert self._graph is not None  # noqa: S101 - built above
        self._times.append(time_s)
        self._graph.push(frame)
        yield from self._ready()

    def flush(self) -> Iterator[tuple[np.ndarray, float]]:
        """Yield what the deinterlacer still holds."""
        if self._graph is not None:
            self._graph.push(None)
            yield from self._ready()
        self._graph = self._shape = None

    def _ready(self) -> Iterator[tuple[np.ndarray, float]]:
        assert self._graph is not None  # noqa: S101 - see the callers
        for frame in pulled(self._graph):  # one comes out for each that went in
            yield frame.to_ndarray(), self._times.popleft()

    def _quick_way(self, frame: av.VideoFrame, shape: _Shape) -> PlanarToRgb | None:
        size = (shape.width, shape.height)
        if shape.interlaced or shape.turns or size != self._size or not is_planar(frame):
            return None
        return PlanarToRgb.of(matrix_name(shape.colour, size), bool(shape.colour.full_range))

    def _shape_of(self, frame: av.VideoFrame) -> _Shape:
        # Once interlaced, always: mixed material would rebuild the chain at each change.
        before = self._shape is not None and self._shape.interlaced
        return _Shape(
            width=frame.width,
            height=frame.height,
            format=frame.format.name,
            colour=stated_colour(frame, self._codec),
            interlaced=before or bool(frame.interlaced_frame),
            turns=turns_of(frame),
        )

    def _filters(self, shape: _Shape) -> list[str]:
        sideways = any(turn.startswith("transpose") for turn in shape.turns)
        size = (shape.height, shape.width) if sideways else (shape.width, shape.height)
        self._size = self._size or size
        scale = f"scale={self._size[0]}:{self._size[1]}:flags={_TO_RGB_FLAGS}:out_range=pc"
        if shape.colour.matrix != RGB_MATRIX:
            scale += f":in_color_matrix={matrix_name(shape.colour, size)}"
            scale += f":in_range={'pc' if shape.colour.full_range else 'tv'}"
        deinterlace = ["bwdif=mode=send_frame:deint=interlaced"] if shape.interlaced else []
        return [*deinterlace, *shape.turns, scale, "format=pix_fmts=rgb24"]


def rgb_frame(pixels: np.ndarray) -> av.VideoFrame:
    """Copy a picture into a frame of FFmpeg; PyAV's own way goes row by row where it pads.

    Args:
        pixels: (H, W, 3) uint8 RGB.
    """
    height, width = pixels.shape[:2]
    frame = av.VideoFrame(width, height, "rgb24")
    plane = frame.planes[0]
    rows = np.frombuffer(cast("bytearray", plane), np.uint8).reshape(height, plane.line_size)
    rows[:, : width * 3] = pixels.reshape(height, width * 3)
    return frame


class FromRgb:
    """Turn RGB frames of one size into the samples that an encoder takes."""

    def __init__(self, colour: Colour, pixel_format: str) -> None:
        self._colour = written_colour(colour)
        self._format = pixel_format
        self._graph: Graph | None = None

    def convert(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Convert one frame; its presentation time is left to the caller."""
        if self._graph is None:
            matrix = matrix_name(self._colour, (frame.width, frame.height))
            out_range = "pc" if self._colour.full_range else "tv"
            scale = f"scale=flags={_FROM_RGB_FLAGS}:in_range=pc:out_range={out_range}"
            scale += f":out_color_matrix={matrix}"
            self._graph = chain(frame, [scale, f"format=pix_fmts={self._format}"])
        self._graph.push(frame)
        return next(pulled(self._graph))


class ToPalette:
    """Turn RGB frames into frames of 256 colours, chosen for each frame anew."""

    def __init__(self) -> None:
        self._graph: Graph | None = None

    def convert(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Convert one frame; its presentation time is left to the caller."""
        if self._graph is None:
            self._graph = _palette_graph(frame)
        self._graph.push(frame)
        return next(pulled(self._graph))


def _palette_graph(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    source = _add_buffer(graph, frame)
    split = graph.add("split")
    generate = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    use = graph.add("paletteuse", "new=1")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(generate, 1, 0)
    generate.link_to(use, 0, 1)
    use.link_to(graph.add("buffersink"))
    graph.configure()
    return graph
