"""Video files and network streams, encoded and multiplexed with PyAV."""

import logging
import threading
from abc import abstractmethod
from pathlib import Path
from types import TracebackType

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from stream.errors import UserError
from stream.frame import Frame
from stream.media.base import Sink, SinkOptions, StreamInfo, check_size
from stream.media.containers import (
    Container,
    container_of_file,
    container_of_url,
    encoder_options,
    frame_rate,
    keyframe_interval,
    pixel_format,
    time_base,
)
from stream.media.convert import FromRgb, ToPalette, rgb_frame, written_colour
from stream.media.handoff import Handoff, start_thread
from stream.media.pacing import Pacer
from stream.media.partial import PartialFile
from stream.media.relay import relay_for
from stream.media.sound import Sound
from stream.media.specs import check_apart, check_target, scheme_of

_log = logging.getLogger("voltface")
_STILL_FPS = 25
_WAKE_S = 0.2
_URL_CLOSE_S = 5.0


class Encoder:
    """Encode frames and multiplex them with the input's sound.

    Attributes:
        frames: how many were encoded.
        ends_s: where the last one ends, seconds from the first.
    """

    def __init__(
        self,
        output: OutputContainer,
        container: Container,
        info: StreamInfo,
        source: str | None,
        options: SinkOptions,
        live: bool,
    ) -> None:
        self._output, self._info = output, info
        self._tick = time_base(container, info)
        settings = encoder_options(container, options, live)
        self._stream = self._add_video(container, settings)
        palette = container.codec == "gif"
        samples = pixel_format(container, info)
        self._converter = ToPalette() if palette else FromRgb(info.colour, samples)
        self._sound = Sound(source, info, output, container) if source is not None else None
        self._lead_s = self._sound.lead_s if self._sound else 0.0
        self._last_pts: int | None = None
        self.frames = 0
        self.ends_s = 0.0

    def _add_video(self, container: Container, settings: dict[str, str]) -> VideoStream:
        info = self._info
        stream = self._output.add_stream(container.codec, rate=frame_rate(info), options=settings)
        assert isinstance(stream, VideoStream)  # noqa: S101 - the codecs are those of pictures
        stream.width, stream.height = info.width, info.height
        stream.pix_fmt = pixel_format(container, info)
        codec, colour = stream.codec_context, written_colour(info.colour)
        codec.time_base = self._tick
        codec.sample_aspect_ratio = info.pixel_aspect
        codec.gop_size = keyframe_interval(info)
        if container.codec != "gif":
            codec.colorspace, codec.color_primaries = colour.matrix, colour.primaries
            codec.color_trc = colour.transfer
            codec.color_range = {None: 0, False: 1, True: 2}[colour.full_range]
        return stream

    def start(self) -> None:
        """Write the header, which connects to the peer of a network stream."""
        self._output.start_encoding()

    def encode(self, frame: Frame) -> None:
        """Encode one frame and the sound up to it."""
        self._encode_at(self._converted(frame), frame.time_s)
        if self._sound:
            self._sound.advance(frame.time_s)

    def repeat(self, frame: Frame, seconds: float) -> None:
        """Encode a frame again and again until a video has a length."""
        picture = self._converted(frame)
        for index in range(1, round(seconds * _STILL_FPS)):
            self._encode_at(picture, index / _STILL_FPS)

    def _converted(self, frame: Frame) -> av.VideoFrame:
        return self._converter.convert(rgb_frame(frame.pixels))

    def _encode_at(self, picture: av.VideoFrame, time_s: float) -> None:
        pts = round((time_s + self._lead_s) / self._tick)
        if self._last_pts is not None:
            pts = max(pts, self._last_pts + 1)
        picture.pts, picture.time_base = pts, self._tick
        self._last_pts = pts
        for packet in self._stream.encode(picture):
            self._output.mux(packet)
        self.frames += 1
        self.ends_s = time_s + 1.0 / float(frame_rate(self._info))

    def finish(self, whole: bool) -> None:
        """Write what is held back; sound beyond the pictures only if they are whole."""
        for packet in self._stream.encode(None):
            self._output.mux(packet)
        if self._sound:
            self._sound.advance(None if whole else self.ends_s)
            self._sound.finish()

    def close(self) -> None:
        """Close the container and the input of the sound."""
        try:
            self._output.close()
        finally:
            if self._sound:
                self._sound.close()


class EncodingSink(Sink):
    """A sink whose frames are encoded by a thread of its own.

    Subclasses build the encoder and say how it ends.
    """

    _close_limit_s: float | None = None

    def __init__(self, name: str, info: StreamInfo, options: SinkOptions) -> None:
        self._name, self._info, self._options = name, info, options
        self._handoff: Handoff[Frame] = Handoff(options.queue_frames)
        self._failure: BaseException | None = None
        self._stopped_early = False
        self._closed = False
        self._started = threading.Event()

    def _launch(self, encoder: Encoder) -> None:
        """Start the thread and wait until the output is ready for frames."""
        self._encoder = encoder
        self._thread = start_thread("voltface-sink", self._run)
        while not self._started.wait(_WAKE_S):
            pass
        if self._failure is not None:
            self.close()

    @abstractmethod
    def _settle(self) -> None:
        """Give the output its final state once the thread has ended."""

    @abstractmethod
    def _explain(self, error: av.FFmpegError) -> BaseException:
        """Turn a failure of FFmpeg into what the user is told."""

    def _run(self) -> None:
        try:
            self._encoder.start()
            self._started.set()
            self._encode_all()
        except av.FFmpegError as error:
            self._failure = self._explain(error)
        except BaseException as error:  # noqa: BLE001 - raised again by write and close
            self._failure = error
        finally:
            self._end()
            self._handoff.close()
            self._started.set()

    def _encode_all(self) -> None:
        last: Frame | None = None
        for last in self._handoff:
            self._take(last)
        if last is None:
            return
        if self._info.still and self._encoder.frames == 1:
            self._encoder.repeat(last, self._options.still_s)
        ended = self._info.ended is None or self._info.ended.is_set()
        self._encoder.finish(whole=ended and not self._stopped_early)

    def _take(self, frame: Frame) -> None:
        self._encoder.encode(frame)

    def _end(self) -> None:
        try:
            self._encoder.close()
        except av.FFmpegError as error:
            self._failure = self._failure or self._explain(error)

    def write(self, frame: Frame) -> None:
        """Hand one frame to the encoder, waiting while it is busy."""
        check_size(frame, self._info)
        if not self._handoff.put(frame):
            self.close()
            raise ValueError(f"{self._name} is closed already")

    def close(self) -> None:
        """Finish the output and wait for it."""
        if self._closed:
            return
        self._handoff.finish()
        waited_s = 0.0
        while self._thread.is_alive():
            self._thread.join(_WAKE_S)  # in short naps, so that Ctrl-C is heard on Windows
            waited_s += _WAKE_S
            if self._close_limit_s is not None and waited_s > self._close_limit_s:
                _log.warning("%s does not answer: given up", self._name)
                break
        self._closed = True
        self._settle()
        if self._failure is not None:
            raise self._failure

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped_early = kind is not None
        try:
            self.close()
        except UserError as late:
            if kind is None:
                raise
            _log.warning("%s", late)  # the error under way says more


class FileSink(EncodingSink):
    """A video file, under a temporary name until it is whole.

    Whatever ends the run in good order, Ctrl-C included, leaves a finished file under its
    name. After a crash the part that was written lies under the temporary name and plays.
    """

    def __init__(
        self, path: Path, info: StreamInfo, source: str | None, options: SinkOptions
    ) -> None:
        container = container_of_file(path)
        check_target(path)
        check_apart((path,), (source,))
        super().__init__(path.name, info, options)
        self._path, self._crashed = path, False
        self.description = f"{path.name} ({container.codec} {info.width}x{info.height})"
        self._file = PartialFile(path)
        sound = None if info.live or info.still else source
        try:
            output = av.open(
                self._file, "w", format=container.muxer, container_options=dict(container.options)
            )
            encoder = Encoder(output, container, info, sound, options, live=False)
        except BaseException:
            self._file.discard()
            raise
        self._launch(encoder)

    def _take(self, frame: Frame) -> None:
        super()._take(frame)
        self._file.check()

    def _explain(self, error: av.FFmpegError) -> BaseException:
        return UserError(
            f"Cannot write {self._path}",
            f"the encoder reports: {error.strerror}",
            "Try another extension, such as .mp4 or .mkv, and the defaults of [sink].",
        )

    def _settle(self) -> None:
        try:
            self._file.check()
        except UserError as error:
            self._failure = error
        if self._encoder.frames == 0 and self._file.failure is None:
            self._file.discard()
        elif self._file.failure is not None:
            self._file.keep()
        elif self._failure is not None or self._crashed:
            self._file.keep()
            _log.warning("%s is not whole; its part is in %s", self._path, self._file.path)
        else:
            self._file.finish()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        orderly = kind is None or issubclass(kind, (KeyboardInterrupt, UserError))
        self._crashed = not orderly
        super().__exit__(kind, error, trace)


class UrlSink(EncodingSink):
    """A network stream, sent at the pace at which it is to be seen."""

    _close_limit_s = _URL_CLOSE_S

    def __init__(
        self, url: str, info: StreamInfo, source: str | None, options: SinkOptions
    ) -> None:
        container = container_of_url(url, scheme_of(url))
        super().__init__(url, info, options)
        self._pacer = Pacer(info.live)
        self._relay = relay_for(url, sending=True)
        self.description = f"{url} ({container.codec} {info.width}x{info.height})"
        sound = None if info.live or info.still else source
        output = av.open(
            self._relay or url,
            "w",
            format=container.muxer,
            container_options=dict(container.options),
        )
        self._launch(Encoder(output, container, info, sound, options, live=True))

    def _take(self, frame: Frame) -> None:
        self._pacer.wait(frame.time_s)
        super()._take(frame)

    def _explain(self, error: av.FFmpegError) -> BaseException:
        return UserError(
            f"Cannot send to {self._name}",
            f"{error.strerror}",
            "Check the address, and that the receiver is running and can be reached.",
        )

    def _settle(self) -> None:
        """Leave everything to the receiver, once a relay has sent what it holds."""
        if self._relay is not None:
            self._failure = self._failure or self._relay.finish()
