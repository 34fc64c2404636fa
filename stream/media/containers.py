"""Which container, video codec and sound codecs an output name stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from stream.errors import UserError
from stream.media.base import SinkOptions, StreamInfo
from stream.media.specs import PICTURE_SUFFIXES, SINK_SCHEMES

_DEFAULT_FPS = 30.0
_KEYFRAME_S = 2.0
# Ticks of a nanosecond, which some recorders write, overflow the fields of MP4.
_FINEST_TICK, _USUAL_TICK = Fraction(1, 1_000_000), Fraction(1, 90_000)


@dataclass(frozen=True, slots=True)
class Container:
    """How one kind of output is written.

    Attributes:
        muxer: FFmpeg's name.
        codec: of the video.
        copied_sound: codecs of sound that are copied as they are; None copies all.
        made_sound: codec that other sound becomes; empty where there is no sound.
        tick: time base, None for that of the input.
        fixed_rate: it holds one frame for each tick of the frame rate.
        options: for the muxer.
    """

    muxer: str
    codec: str = "libx264"
    copied_sound: frozenset[str] | None = None
    made_sound: str = "aac"
    tick: Fraction | None = None
    fixed_rate: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


_MP4_SOUND = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac"})
_PCM = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le"})
# Fragments of two seconds make a file that plays even after a crash; once whole, it becomes
# an ordinary one in place. The delayed header carries the edit lists that keep sound in sync.
_CRASH_SAFE = {"movflags": "hybrid_fragmented+delay_moov"}
_MP4 = Container("mp4", copied_sound=_MP4_SOUND, options=_CRASH_SAFE)
_TS = Container("mpegts", copied_sound=frozenset({"aac", "mp2", "mp3", "ac3", "eac3"}))
_FLV = Container(
    "flv",
    copied_sound=frozenset({"aac", "mp3"}),
    tick=Fraction(1, 1000),
    options={"flvflags": "no_duration_filesize"},
)
_BY_SUFFIX = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container("mov", copied_sound=(_MP4_SOUND - {"opus"}) | _PCM, options=_CRASH_SAFE),
    ".mkv": Container("matroska"),
    ".webm": Container(
        "webm",
        codec="libvpx-vp9",
        copied_sound=frozenset({"opus", "vorbis"}),
        made_sound="libopus",
    ),
    ".avi": Container(
        "avi",
        copied_sound=frozenset({"pcm_s16le", "pcm_u8"}),
        made_sound="pcm_s16le",  # other codecs begin with padding that AVI cannot mark
        fixed_rate=True,
    ),
    ".gif": Container("gif", codec="gif", made_sound="", tick=Fraction(1, 100)),
    ".ts": _TS,
}


def container_of_file(path: Path) -> Container:
    """Return the container of a video file.

    Raises:
        UserError: the extension names none.
    """
    container = _BY_SUFFIX.get(path.suffix.lower())
    if container is None:
        suffix = path.suffix
        raise UserError(
            f"Cannot write {path}",
            f"the extension {suffix} is unknown" if suffix else "it has no extension",
            f"End the name in one of {', '.join(sorted(_BY_SUFFIX))} for a video or "
            f"{', '.join(sorted(PICTURE_SUFFIXES))} for a picture; other outputs are "
            "camera, window, null and URLs.",
        )
    return container


def container_of_url(url: str, scheme: str) -> Container:
    """Return the container of a network stream.

    Raises:
        UserError: nothing can be sent that way.
    """
    if scheme not in SINK_SCHEMES:
        raise UserError(
            f"Cannot send to {url}",
            f"{scheme}:// is no way to send a video",
            f"Use one of {', '.join(name + '://' for name in sorted(SINK_SCHEMES))}.",
        )
    return _FLV if scheme.startswith("rtmp") else _TS


def frame_rate(info: StreamInfo) -> Fraction:
    """Return the nominal frame rate as players like to see it (30000/1001, 25/1)."""
    return Fraction(info.fps or _DEFAULT_FPS).limit_denominator(1001)


def time_base(container: Container, info: StreamInfo) -> Fraction:
    """Return the tick in which the frames of an output are timed."""
    if container.fixed_rate:
        return 1 / frame_rate(info)
    usual = info.time_base if info.time_base >= _FINEST_TICK else _USUAL_TICK
    return container.tick or usual


def pixel_format(container: Container, info: StreamInfo) -> str:
    """Choose the samples.

    H.264 in 4:2:0 has even sizes only; 4:4:4 keeps an odd one, at the price of players
    that decode in hardware. VP9 has no such limit.
    """
    if container.codec == "gif":
        return "pal8"
    odd = info.width % 2 or info.height % 2
    return "yuv444p" if odd and container.codec == "libx264" else "yuv420p"


def encoder_options(container: Container, options: SinkOptions, live: bool) -> dict[str, str]:
    """Return the settings of the video encoder, with less delay where someone watches live."""
    if container.codec == "libx264":
        settings = {"preset": options.preset, "crf": str(options.quality)}
        if container.fixed_rate:
            settings["bf"] = "0"  # AVI knows no order of showing other than that of storing
        return settings | ({"tune": "zerolatency"} if live else {})
    if container.codec == "libvpx-vp9":
        quality = str(min(63, options.quality + 10))  # its scale is longer than that of H.264
        return {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": quality, "b": "0"}
    return {}


def keyframe_interval(info: StreamInfo) -> int:
    """Return how many frames apart keyframes are: two seconds."""
    return max(1, round(_KEYFRAME_S * float(frame_rate(info))))
