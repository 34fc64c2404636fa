"""Video files and streams from the network, read with PyAV."""

import itertools
import logging
import re
import time
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import Flags, InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from stream.errors import UserError
from stream.frame import Frame
from stream.media.base import SourceOptions, StreamInfo
from stream.media.convert import ToRgb, stated_colour, turns_of
from stream.media.handoff import ThreadedSource
from stream.media.relay import Relay, relay_for
from stream.media.specs import LIVE_SCHEMES, scheme_of

_log = logging.getLogger("voltface")
_GENERATE_PTS = cast("int", Flags.gen_pts.value)
# A file that ends this much before the time that it announces has been cut off.
_CUT_OFF_S = 1.0
# A clock that jumps back this far was set anew; less is disorder among the frames.
_CLOCK_RESET_S = 1.0
_TS_PACKETS = (188, 192, 204)
# Of other containers FFmpeg guesses the length.
_TELL_LENGTH = ("mov", "matroska", "avi", "flv")
_TAGGED_DURATION = re.compile(r"(\d+):(\d+):(\d+\.?\d*)")
_LIVE_OPTIONS = {"fflags": "nobuffer", "analyzeduration": "1000000"}


def open_container(spec: str, options: SourceOptions, relay: Relay | None = None) -> InputContainer:
    """Open a video file or a URL for reading, or what a relay receives from there.

    Raises:
        UserError: it cannot be reached, or is no video that FFmpeg knows.
    """
    scheme = scheme_of(spec)
    extra = dict(_LIVE_OPTIONS) if scheme in LIVE_SCHEMES else {}
    if scheme.startswith("rtsp"):
        extra["rtsp_transport"] = "tcp"
    timeout = (options.timeout_s, options.timeout_s) if scheme else None
    try:
        place = relay or spec
        return av.open(place, "r", options=extra, timeout=timeout, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        if relay is not None and (problem := relay.finish()):
            raise problem from None
        raise (_no_url(spec, error) if scheme else _no_video(spec, error)) from None


def _no_url(spec: str, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, (av.ExitError, TimeoutError)):
        reason = "nothing came before the time was up"
    return UserError(
        f"Cannot open {spec}",
        reason,
        "Check the address, and that the sender is running and can be reached.",
    )


def _no_video(spec: str, error: Exception) -> UserError:
    reason = "it is not a video or picture that can be read, or it is cut off"
    if not isinstance(error, av.InvalidDataError):
        reason = getattr(error, "strerror", None) or str(error)
    return UserError(
        f"Cannot read {spec}",
        reason,
        "See whether another player opens it; if it was cut off while it was copied or "
        "recorded, copy it again.",
    )


def _video_stream(container: InputContainer, spec: str) -> VideoStream:
    for stream in container.streams.video:
        if Disposition.attached_pic not in stream.disposition:
            return stream
    raise UserError(
        f"Cannot use {spec}",
        "there is sound in it but no video" if container.streams.audio else "it has no video",
        "Name a file with pictures.",
    )


class VideoSource(ThreadedSource):
    """A video file, or a stream from the network.

    Presentation times are the file's own, so that a variable frame rate stays.

    Raises:
        UserError: the input cannot be opened or holds no picture.
    """

    def __init__(self, spec: str, options: SourceOptions) -> None:
        self._spec = spec
        self._damaged = 0
        self._read_to_s = 0.0
        self._relay = relay_for(spec, sending=False, timeout_s=options.timeout_s)
        self._container = open_container(spec, options, self._relay)
        try:
            self._stream = _video_stream(self._container, spec)
            if not self._stream.codec_context.has_b_frames:
                # Where a container tells only the order of storing, FFmpeg would guess times
                # for that of showing that lag by a frame.
                self._container.flags &= ~_GENERATE_PTS
            self._stream.thread_type = "SLICE" if scheme_of(spec) in LIVE_SCHEMES else "AUTO"
            self._decoded = self._decode()
            self._first = self._first_frame()
            info = self._describe(self._first)
        except BaseException:
            self._end_relay()
            self._container.close()
            raise
        super().__init__(info, options.queue_frames)

    def _first_frame(self) -> av.VideoFrame:
        for frame in self._decoded:
            return frame
        raise UserError(
            f"Cannot read {self._spec}",
            "no picture in it can be decoded",
            "It is damaged or was cut off: copy or record it again.",
        )

    def _packets(self) -> Iterator[av.Packet]:
        """Yield the video's packets; note how far the file reaches, sound included."""
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError) as error:
                self._on_broken_input(error)
                return
            if packet is None:
                return
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None and packet.time_base:
                end_s = float((stamp + (packet.duration or 0)) * packet.time_base)
                self._read_to_s = max(self._read_to_s, end_s)
            if packet.stream_index == self._stream.index and packet.size:
                self._damaged += packet.is_corrupt
                yield packet

    def _decode(self) -> Generator[av.VideoFrame, None, None]:
        """Yield decoded frames; skip what is damaged and count it."""
        for packet in itertools.chain(self._packets(), (None,)):
            try:
                for frame in self._stream.decode(packet):
                    self._damaged += frame.is_corrupt
                    yield frame
            except av.EOFError:
                return
            except av.FFmpegError:
                self._damaged += 1

    def _on_broken_input(self, error: Exception) -> None:
        if scheme_of(self._spec):
            raise UserError(
                f"The stream {self._spec} broke off",
                getattr(error, "strerror", None) or str(error),
                "What came before is kept; start again once the sender is back.",
            ) from None
        self._damaged += 1

    def _describe(self, first: av.VideoFrame) -> StreamInfo:
        stream, turns = self._stream, turns_of(first)
        sideways = any(turn.startswith("transpose") for turn in turns)
        aspect = stream.codec_context.sample_aspect_ratio or stream.sample_aspect_ratio
        aspect = Fraction(aspect or 1)
        fps = float(stream.average_rate or stream.guessed_rate or 0) or None
        start_s = self._time_of(first) or 0.0
        duration_s = self._duration_s()
        live = scheme_of(self._spec) in LIVE_SCHEMES or (
            scheme_of(self._spec) != "" and duration_s is None
        )
        return StreamInfo(
            width=first.height if sideways else first.width,
            height=first.width if sideways else first.height,
            fps=fps,
            frame_count=None if live else self._frame_count(fps, duration_s),
            live=live,
            name=self._spec if scheme_of(self._spec) else Path(self._spec).name,
            colour=stated_colour(first, stream.codec_context),
            bit_depth=first.format.components[0].bits,
            time_base=Fraction(stream.time_base or Fraction(1, 90_000)),
            start_s=start_s,
            pixel_aspect=1 / aspect if sideways else aspect,
        )

    def _duration_s(self) -> float | None:
        """Return the length of the video track, None where the file does not tell."""
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        tagged = _TAGGED_DURATION.match(self._stream.metadata.get("DURATION", ""))
        if tagged:  # Matroska
            return int(tagged[1]) * 3600 + int(tagged[2]) * 60 + float(tagged[3])
        whole = self._container.duration
        return whole / av.time_base if whole and not self._container.streams.audio else None

    def _frame_count(self, fps: float | None, duration_s: float | None) -> int | None:
        if self._stream.frames:
            return self._stream.frames
        return round(duration_s * fps) if duration_s and fps else None

    def _timed(self) -> Iterator[tuple[av.VideoFrame, float]]:
        """Yield decoded frames with strictly rising times from the first frame."""
        nominal_s = 1.0 / (self.info.fps or 25.0)
        offset_s, last_s = -self.info.start_s, -nominal_s
        frame: av.VideoFrame | None = self._first
        while frame is not None:
            stamp_s = self._time_of(frame)
            time_s = last_s + nominal_s if stamp_s is None else stamp_s + offset_s
            if stamp_s is not None and time_s < last_s - _CLOCK_RESET_S:
                offset_s = last_s + nominal_s - stamp_s
                time_s = stamp_s + offset_s
            last_s = max(time_s, last_s + min(nominal_s, 1e-3))
            yield frame, last_s
            frame = next(self._decoded, None)

    def _upright(self) -> Iterator[tuple[np.ndarray, float]]:
        rgb = ToRgb(self._stream.codec_context)
        for frame, time_s in self._timed():
            yield from rgb.push(frame, time_s)
        yield from rgb.flush()

    def _read(self) -> Iterator[Frame]:
        for index, (rgb, time_s) in enumerate(self._upright()):
            yield Frame(rgb, index, time_s, time.perf_counter())
        self._report_end()

    def _ends_in_a_packet(self) -> bool:
        """Tell whether the last packet of a transport stream is not whole."""
        size = self._container.size if self._container.format.name == "mpegts" else 0
        return size > 0 and all(size % length for length in _TS_PACKETS)

    def _report_end(self) -> None:
        if self._damaged or self._ends_in_a_packet():
            _log.warning(
                "%s is damaged or cut off (%d places): what could be read was used",
                self.info.name,
                max(1, self._damaged),
            )
            return
        container = self._container
        whole_s = ((container.start_time or 0) + (container.duration or 0)) / av.time_base
        tells = container.format.name.startswith(_TELL_LENGTH)
        if tells and not self.info.live and self._read_to_s < whole_s - _CUT_OFF_S:
            _log.warning(
                "%s is cut off: it ends after %.1f s instead of %.1f s; that much was used",
                self.info.name,
                self._read_to_s,
                whole_s,
            )

    def _time_of(self, frame: av.VideoFrame) -> float | None:
        stamp = frame.pts if frame.pts is not None else frame.dts
        tick = self._stream.time_base  # the frame's own is missing at the end of the file
        return None if stamp is None or tick is None else float(stamp * tick)

    def close(self) -> None:
        """Stop the thread, which may be waiting for the relay, and release the input."""
        self._end_relay()
        super().close()

    def _end_relay(self) -> None:
        if self._relay is not None:
            self._relay.stop()

    def _release(self) -> None:
        self._decoded.close()
        self._container.close()
