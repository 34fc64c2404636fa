"""The ends of the path: where frames come from and where they go."""

from stream.media.base import (
    Colour,
    NullSink,
    Sink,
    SinkOptions,
    Source,
    SourceOptions,
    StreamInfo,
)
from stream.media.camera import list_cameras
from stream.media.opening import open_sink, open_source
from stream.media.picture import read_picture, write_picture
from stream.media.window import window_problem

__all__ = [
    "Colour",
    "NullSink",
    "Sink",
    "SinkOptions",
    "Source",
    "SourceOptions",
    "StreamInfo",
    "list_cameras",
    "open_sink",
    "open_source",
    "read_picture",
    "window_problem",
    "write_picture",
]
