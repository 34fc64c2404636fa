"""Makers of test media: every picture carries its number, every sound its seconds."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stream.errors import UserError
from stream.frame import Frame
from stream.media import StreamInfo, open_sink, open_source

_BITS = 8
_RATE = 48_000
BEEP_S = 0.05


def stamped(index: int, size: tuple[int, int]) -> np.ndarray:
    """Draw a number (0…255) as eight black or white columns. → (H, W, 3) uint8."""
    bits = [(index >> bit) & 1 for bit in range(_BITS)]
    columns = np.array(bits)[np.arange(size[0]) * _BITS // size[0]]
    row = (40 + columns * 170).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (size[1], size[0], 3)))


def read_stamp(pixels: np.ndarray) -> int:
    """Read the number back."""
    width = pixels.shape[1]
    centres = (np.arange(_BITS) + 0.5) * width / _BITS
    levels = pixels[:, centres.astype(int)].mean(axis=(0, 2))
    return sum(1 << bit for bit in range(_BITS) if levels[bit] > 125)


def beeps(seconds: float, shift_s: float = 0.0, rate: int = _RATE) -> np.ndarray:
    """Make a tone at the start of every whole second. → (samples,) float32."""
    times = np.arange(round(seconds * rate)) / rate + shift_s
    loud = (times % 1.0 < BEEP_S) & (times > 0.5)
    return (0.8 * loud * np.sin(2 * np.pi * 1000 * times)).astype(np.float32)


@dataclass
class Clip:
    """What ``make_clip`` writes."""

    size: tuple[int, int] = (64, 48)
    fps: Fraction = Fraction(25)
    frames: int = 25
    times_s: Sequence[float] | None = None
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    tick: Fraction = Fraction(1, 12_800)
    start_s: float = 0.0
    sound: Sequence[str] = ()
    sound_s: float | None = None
    sound_start_s: float = 0.0
    languages: Sequence[str] = ()
    aspect: Fraction = Fraction(1)
    colour: tuple[int, int, int, int] = (2, 0, 2, 2)  # matrix, range, primaries, transfer
    options: dict[str, str] = field(default_factory=dict)
    muxer_options: dict[str, str] = field(default_factory=dict)
    picture: Callable[[int, tuple[int, int]], np.ndarray] = stamped
    interlaced: bool = False
    yuv: np.ndarray | None = None


def _video_stream(output: av.container.OutputContainer, clip: Clip) -> av.VideoStream:
    stream = output.add_stream(clip.codec, rate=clip.fps, options=clip.options)
    stream.width, stream.height, stream.pix_fmt = *clip.size, clip.pix_fmt
    codec = stream.codec_context
    codec.time_base = clip.tick
    codec.sample_aspect_ratio = clip.aspect
    codec.colorspace, codec.color_range, codec.color_primaries, codec.color_trc = clip.colour
    return stream


def _frame(clip: Clip, index: int) -> av.VideoFrame:
    if clip.yuv is not None:
        frame = av.VideoFrame.from_ndarray(clip.yuv, format=clip.pix_fmt)
    else:
        rgb = av.VideoFrame.from_ndarray(clip.picture(index, clip.size), format="rgb24")
        frame = rgb.reformat(format=clip.pix_fmt)
    if clip.interlaced:
        frame = _interlaced(frame)
    time_s = clip.times_s[index] if clip.times_s is not None else float(index / clip.fps)
    frame.pts, frame.time_base = round((time_s + clip.start_s) / clip.tick), clip.tick
    return frame


def _interlaced(frame: av.VideoFrame) -> av.VideoFrame:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    graph.link_nodes(source, graph.add("setfield", "tff"), graph.add("buffersink")).configure()
    graph.push(frame)
    return graph.pull()


def _sound_stream(output: av.container.OutputContainer, clip: Clip, number: int):
    stream = output.add_stream(clip.sound[number], rate=_RATE)
    stream.codec_context.layout = "mono"
    stream.codec_context.bit_rate = 96_000
    if clip.languages:
        stream.metadata["language"] = clip.languages[number]
    return stream


def _sound_packets(stream, clip: Clip):
    length_s = clip.sound_s
    if length_s is None:
        length_s = clip.times_s[-1] if clip.times_s is not None else clip.frames / clip.fps
    samples = beeps(float(length_s), clip.sound_start_s)
    kind = stream.codec_context.format.name
    if kind.startswith("s32"):
        samples = (samples * 2**30).astype(np.int32)
    if kind.startswith("s16"):
        samples = (samples * 32_000).astype(np.int16)
    for start in range(0, len(samples), 4800):
        part = samples[start : start + 4800]
        sound = av.AudioFrame.from_ndarray(part[None], format=kind, layout="mono")
        sound.sample_rate = _RATE
        sound.pts = start + round((clip.start_s + clip.sound_start_s) * _RATE)
        sound.time_base = Fraction(1, _RATE)
        yield from stream.encode(sound)
    yield from stream.encode(None)


def write_clip(path: Path, clip: Clip) -> Path:
    """Write a video file."""
    with av.open(str(path), "w", container_options=clip.muxer_options) as output:
        video = _video_stream(output, clip)
        sounds = [_sound_stream(output, clip, number) for number in range(len(clip.sound))]
        packets = [packet for i in range(clip.frames) for packet in video.encode(_frame(clip, i))]
        packets += video.encode(None)
        for sound in sounds:
            packets += _sound_packets(sound, clip)
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        output.mux(packets)
    return path


def turn_by_metadata(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Put a display matrix (a, b, c, d, in whole numbers) into the first track of an mp4."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # after version, times, ids, layer, volume
    a, b, c, d = (value << 16 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))
    return path


@dataclass(frozen=True)
class Heard:
    """The sound and the frames of a file, on its own clock."""

    frame_times_s: list[float]
    stamps: list[int]
    beep_times_s: list[list[float]]
    codecs: list[str]
    sound_end_s: list[float]


def examine(path: Path) -> Heard:
    """Decode a file whole: frame times and stamps, and when each track beeps."""
    times, stamps = [], []
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        if path.suffix == ".avi":  # it has no times but those of storing; guesses are late
            container.flags &= ~av.container.Flags.gen_pts.value
        for frame in container.decode(video):
            stamp = frame.dts if frame.pts is None else frame.pts
            times.append(float(stamp * video.time_base))
            stamps.append(read_stamp(frame.to_ndarray(format="rgb24")))
        tracks = [s.codec_context.codec.canonical_name for s in container.streams.audio]
    sounds = [_hear(path, number) for number in range(len(tracks))]
    return Heard(times, stamps, [s[0] for s in sounds], tracks, [s[1] for s in sounds])


def _hear(path: Path, number: int) -> tuple[list[float], float]:
    """Return when each beep of a track begins and when the track ends, in seconds."""
    loud, end_s = [np.empty(0)], 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=number):
            samples = frame.to_ndarray()
            full = 1.0 if samples.dtype.kind == "f" else float(np.iinfo(samples.dtype).max)
            if not frame.format.is_planar:
                samples = samples.reshape(-1, frame.layout.nb_channels).T
            start_s = float(frame.pts * frame.time_base)
            end_s = start_s + frame.samples / frame.sample_rate
            loud.append(start_s + np.flatnonzero(np.abs(samples[0]) > 0.25 * full) / frame.rate)
    times = np.concatenate(loud)
    return times[np.diff(times, prepend=-1.0) > BEEP_S * 2].tolist(), end_s


# --- through the program ---

SIZE = (64, 48)
INFO = StreamInfo(width=64, height=48, fps=25.0)


def numbered(count, size=SIZE, fps=25.0):
    for index in range(count):
        yield Frame(stamped(index, size), index, index / fps)


def noisy(count, size=SIZE):
    rng = np.random.default_rng(1)
    for index in range(count):
        noise = rng.integers(0, 30, (size[1], size[0], 3))
        yield Frame((stamped(index % 256, size) + noise).astype(np.uint8), index, index / 25.0)


def copy(source, target, limit=None):
    """Send an input to an output unchanged."""
    with (
        open_source(str(source)) as frames,
        open_sink(str(target), frames.info, source=str(source)) as sink,
    ):
        for frame in frames:
            sink.write(frame)
            if limit is not None and frame.index + 1 == limit:
                break
    return target


def frames_of(path, **kwargs):
    """Read an input whole: what is known of it, and its frames."""
    with open_source(str(path), **kwargs) as source:
        return source.info, list(source)


def refusal(spec):
    """Return the error with which an input is refused."""
    with pytest.raises(UserError) as caught, open_source(str(spec)):
        pass
    return caught.value
