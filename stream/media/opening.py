"""From the words INPUT and OUTPUT to a source and a sink."""

from stream.errors import UserError
from stream.media.base import NullSink, Sink, SinkOptions, Source, SourceOptions, StreamInfo
from stream.media.camera import CameraSource
from stream.media.picture import PictureSink, PictureSource
from stream.media.specs import (
    FILE_SCHEMES,
    LIVE_SCHEMES,
    PICTURE_SUFFIXES,
    Kind,
    camera_device,
    classify,
    is_picture,
    path_of,
    read_start,
    scheme_of,
)
from stream.media.video_sink import FileSink, UrlSink
from stream.media.video_source import VideoSource
from stream.media.virtual_camera import VirtualCameraSink
from stream.media.window import WindowSink

_DEFAULT_SOURCE, _DEFAULT_SINK = SourceOptions(), SinkOptions()


def open_source(
    spec: str, *, options: SourceOptions = _DEFAULT_SOURCE, repeat_still: bool = False
) -> Source:
    """Open an input and read its first picture.

    Args:
        spec: ``camera``, ``camera:1``, ``/dev/video0``, a video file, a picture, or a URL
            (http, https, rtsp, srt, rtmp, udp, tcp).
        options: how it is read.
        repeat_still: give a picture again and again, 25 times a second, as a camera would.

    Raises:
        UserError: it does not exist, cannot be read, or holds no picture.
    """
    kind = classify(spec)
    if kind is Kind.CAMERA:
        return CameraSource(camera_device(spec), options)
    if kind in (Kind.WINDOW, Kind.NULL):
        raise UserError(
            f"Cannot read from {spec}",
            f"{spec} is an output",
            "Name a camera, a video, a picture or a URL as INPUT.",
        )
    if kind is Kind.URL:
        if scheme_of(spec) not in LIVE_SCHEMES | FILE_SCHEMES:
            known = ", ".join(f"{name}://" for name in sorted(LIVE_SCHEMES | FILE_SCHEMES))
            raise UserError(
                f"Cannot open {spec}",
                f"{scheme_of(spec)}:// is not a kind of address that is read",
                f"Use one of {known}, or a file.",
            )
        return VideoSource(spec, options)
    path = path_of(spec)
    if is_picture(path, read_start(path)):
        return PictureSource(path, options, repeat_still)
    return VideoSource(str(path), options)


def open_sink(
    spec: str,
    info: StreamInfo,
    *,
    source: str | None = None,
    options: SinkOptions = _DEFAULT_SINK,
) -> Sink:
    """Open an output for the frames of a stream.

    Args:
        spec: a video file, a picture, ``camera`` or ``camera:NAME`` (virtual), ``window``,
            ``null``, or a URL (srt, rtmp, udp, tcp).
        info: of the source, with the size of the frames that will be written.
        source: the INPUT spec; its sound is copied where it is a file.
        options: how it is written.

    Raises:
        UserError: it cannot be written, or does not go with the input.
    """
    kind = classify(spec)
    if source is not None and classify(source) is Kind.FILE:
        pipe = path_of(source).is_fifo()  # whose bytes the pictures have taken
        source = None if pipe else str(path_of(source))
    if kind is Kind.CAMERA:
        return VirtualCameraSink(spec.removeprefix("camera").removeprefix(":"), info)
    if kind is Kind.WINDOW:
        return WindowSink(info, options)
    if kind is Kind.NULL:
        return NullSink()
    if kind is Kind.URL:
        return UrlSink(spec, info, source, options)
    path = path_of(spec)
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        return FileSink(path, info, source, options)
    if not info.still:
        raise UserError(
            f"Cannot write {path}",
            "the output is a picture but the input is a video",
            "Name a video file, such as out.mp4, or give a picture as INPUT.",
        )
    return PictureSink(path, info, source, options)
