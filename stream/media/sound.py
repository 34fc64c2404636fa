"""The sound of the input, copied into the output in step with its pictures."""

import logging
from collections.abc import Iterator

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer

from stream.media.base import SourceOptions, StreamInfo
from stream.media.containers import Container
from stream.media.video_source import open_container

_log = logging.getLogger("voltface")
# Sound that begins longer than this before the pictures is not waited for.
_LONGEST_LEAD_S = 10.0
_OPUS_RATE = 48_000
_BITS_PER_CHANNEL = 96_000


class _Track:
    """One sound track on its way, copied as it is."""

    def __init__(self, source: AudioStream, target: AudioStream, shift_s: float) -> None:
        self._source, self.target = source, target
        self._shift_s = shift_s
        self._last_dts: int | None = None
        language = source.metadata.get("language")
        if language:
            target.metadata["language"] = language

    def packets(self, packet: av.Packet) -> Iterator[av.Packet]:
        """Yield what one packet of the input becomes, on the output's clock."""
        yield from self._shifted(packet)

    def rest(self) -> Iterator[av.Packet]:
        """Yield what is still held back."""
        yield from ()

    def _shifted(self, packet: av.Packet) -> Iterator[av.Packet]:
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or packet.time_base is None:
            return
        shift = round(self._shift_s / packet.time_base)
        dts = stamp + shift
        if self._last_dts is not None and dts <= self._last_dts:
            return  # the input repeats itself; no container takes that
        self._last_dts = dts
        packet.pts = dts if packet.pts is None else packet.pts + shift
        packet.dts = dts
        packet.stream = self.target
        yield packet


class _UnwrappedTrack(_Track):
    """One sound track of AAC on its way, freed of the headers that MPEG streams put on it.

    MP4 wants it bare, and with a delayed header its multiplexer does not see to that itself.
    """

    def __init__(self, source: AudioStream, target: AudioStream, shift_s: float) -> None:
        super().__init__(source, target, shift_s)
        self._filter = BitStreamFilterContext("aac_adtstoasc", source)

    def packets(self, packet: av.Packet) -> Iterator[av.Packet]:
        """Yield what one packet of the input becomes, on the output's clock."""
        for bare in self._filter.filter(packet):
            yield from self._shifted(bare)


class _MadeTrack(_Track):
    """One sound track on its way, encoded anew because the container cannot hold it."""

    def __init__(self, source: AudioStream, target: AudioStream, shift_s: float) -> None:
        super().__init__(source, target, shift_s)
        codec = target.codec_context
        assert isinstance(codec, AudioCodecContext)  # noqa: S101 - a sound track has no other
        self._resampler = AudioResampler(codec.format, codec.layout, codec.sample_rate)

    def packets(self, packet: av.Packet) -> Iterator[av.Packet]:
        """Yield what one packet of the input becomes, on the output's clock."""
        try:
            frames = self._source.decode(packet)
        except av.FFmpegError:
            return  # damaged sound leaves a gap, nothing worse
        for frame in frames:
            yield from self._encoded(self._resampler.resample(frame))

    def rest(self) -> Iterator[av.Packet]:
        """Yield what is still held back."""
        yield from self._encoded(self._resampler.resample(None))
        for packet in self.target.encode(None):
            yield from self._shifted(packet)

    def _encoded(self, frames: list[AudioFrame]) -> Iterator[av.Packet]:
        for frame in filter(None, frames):  # a resampler without work flushes a None
            for packet in self.target.encode(frame):
                yield from self._shifted(packet)


class Sound:
    """The sound tracks of an input, read beside its pictures.

    Attributes:
        lead_s: when the first picture is to be shown on the output's clock; above 0 where
            the sound begins before the pictures.
    """

    def __init__(
        self, source: str, info: StreamInfo, output: OutputContainer, container: Container
    ) -> None:
        self._input = open_container(source, SourceOptions())
        streams = list(self._input.streams.audio) if container.made_sound else []
        starts = [float((s.start_time or 0) * (s.time_base or 0)) for s in streams]
        lead_s = max([0.0, *(info.start_s - start for start in starts)])
        self.lead_s = lead_s if lead_s <= _LONGEST_LEAD_S else 0.0
        self._start_s = info.start_s
        self._output = output
        self._tracks: dict[int, _Track] = {}
        for stream in streams:
            self._add(stream, container)
        self._packets = self._input.demux(streams) if streams else iter(())
        self._waiting: av.Packet | None = None

    def _add(self, stream: AudioStream, container: Container) -> None:
        name = stream.codec_context.codec.canonical_name
        shift_s = self.lead_s - self._start_s
        try:
            if container.copied_sound is None or name in container.copied_sound:
                target = self._output.add_stream_from_template(stream)
                wrapped = name == "aac" and not stream.codec_context.extradata
                bare = wrapped and container.muxer in ("mp4", "mov")
                kind = _UnwrappedTrack if bare else _Track
                self._tracks[stream.index] = kind(stream, target, shift_s)
                return
            self._tracks[stream.index] = _MadeTrack(stream, self._made(stream, container), shift_s)
        except (av.FFmpegError, ValueError) as error:
            _log.warning("sound track %d (%s) is left out: %s", stream.index, name, error)

    def _made(self, stream: AudioStream, container: Container) -> AudioStream:
        rate = stream.codec_context.sample_rate
        if container.made_sound == "libopus":
            rate = _OPUS_RATE
        mono = stream.codec_context.channels == 1
        target = self._output.add_stream(container.made_sound, rate=rate)
        assert isinstance(target, AudioStream)  # noqa: S101 - the codecs are those of sound
        target.codec_context.layout = "mono" if mono else "stereo"
        target.codec_context.bit_rate = _BITS_PER_CHANNEL * (1 if mono else 2)
        _log.info("sound track %d becomes %s", stream.index, container.made_sound)
        return target

    def advance(self, until_s: float | None) -> None:
        """Write the sound that belongs before a time.

        Args:
            until_s: seconds from the first picture; None writes all that is left.
        """
        while True:
            packet, self._waiting = self._waiting or self._next(), None
            if packet is None:
                return
            if until_s is not None and self._time_s(packet) >= until_s:
                self._waiting = packet
                return
            for out in self._tracks[packet.stream_index].packets(packet):
                self._output.mux(out)

    def finish(self) -> None:
        """Write what the encoders still hold."""
        for track in self._tracks.values():
            for out in track.rest():
                self._output.mux(out)

    def close(self) -> None:
        """Close the input."""
        self._input.close()

    def _next(self) -> av.Packet | None:
        """Return the next packet of a track that is kept; a damaged input just ends."""
        while True:
            try:
                packet = next(self._packets, None)
            except (av.FFmpegError, OSError):
                return None
            if packet is None or (packet.size and packet.stream_index in self._tracks):
                return packet

    def _time_s(self, packet: av.Packet) -> float:
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or packet.time_base is None:
            return 0.0
        return float(stamp * packet.time_base) - self._start_s
