import errno
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import beeps, examine, read_stamp, stamped, turn_by_metadata

from stream.errors import UserError
from stream.frame import Frame
from stream.media import Colour, SinkOptions, StreamInfo, open_sink, open_source
from stream.media.partial import PartialFile, partial_path

SIZE = (64, 48)
INFO = StreamInfo(width=64, height=48, fps=25.0)


def numbered(count, size=SIZE, fps=25.0):
    for index in range(count):
        yield Frame(stamped(index, size), index, index / fps)


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


def describe(path):
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        codec = video.codec_context
        first = next(container.decode(video))
        return {
            "size": (codec.width, codec.height),
            "codec": codec.codec.canonical_name,
            "format": first.format.name,
            "rate": video.average_rate,
            "aspect": codec.sample_aspect_ratio,
            "matrix": int(codec.colorspace),
            "range": int(codec.color_range),
            "primaries": int(codec.color_primaries),
            "transfer": int(codec.color_trc),
        }


# --- pictures ---


@pytest.mark.parametrize("suffix", ["mp4", "m4v", "mov", "mkv", "webm", "avi", "gif", "ts"])
def test_every_frame_is_written_in_order_at_its_time(tmp_path, suffix):
    path = tmp_path / f"out.{suffix}"
    with open_sink(str(path), INFO) as sink:
        for frame in numbered(40):
            sink.write(frame)
    heard = examine(path)
    assert heard.stamps == list(range(40))
    times = np.array(heard.frame_times_s) - heard.frame_times_s[0]
    assert np.allclose(times, np.arange(40) / 25.0, atol=1.1e-3)
    codec = {"webm": "vp9", "gif": "gif"}.get(suffix, "h264")
    assert describe(path)["codec"] == codec
    assert codec in sink.description or "vpx" in sink.description or "x264" in sink.description
    assert list(tmp_path.iterdir()) == [path]


def test_a_whole_mp4_is_an_ordinary_one_with_its_frame_rate(tmp_path):
    info = StreamInfo(width=64, height=48, fps=30000 / 1001, time_base=Fraction(1, 30000))
    with open_sink(str(tmp_path / "o.mp4"), info) as sink:
        for frame in numbered(60, fps=30000 / 1001):
            sink.write(frame)
    with av.open(str(tmp_path / "o.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(30000, 1001)
        assert stream.frames == 60  # known only where there is an index of all frames
        stamps = [frame.pts for frame in container.decode(stream)]
    assert stamps == list(range(0, 60 * 1001, 1001)) or len(set(np.diff(stamps))) == 1


def test_variable_frame_rate_passes_through(make_clip, tmp_path):
    times = [0.0, 0.04, 0.05, 0.3, 0.31, 1.0, 1.7, 1.75]
    copy(make_clip(frames=8, times_s=times), tmp_path / "o.mp4")
    heard = examine(tmp_path / "o.mp4")
    assert np.allclose(heard.frame_times_s, times, atol=1e-4)
    assert heard.stamps == list(range(8))


COLOURS = [
    (1, 1, 1, 1),
    (1, 2, 1, 1),
    (6, 1, 6, 6),
    (5, 2, 5, 6),
    (9, 1, 9, 16),
    (2, 0, 2, 2),
]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_colour_is_kept_in_numbers_and_in_words(make_clip, tmp_path, colour, suffix):
    yuv = np.concatenate([np.full(64 * 48, 120), np.full(32 * 24, 110), np.full(32 * 24, 150)])
    yuv = yuv.astype(np.uint8).reshape(72, 64)
    clip = make_clip(f"in.{suffix}", frames=4, yuv=yuv, colour=colour, options={"crf": "1"})
    copy(clip, tmp_path / f"o.{suffix}")
    made = describe(tmp_path / f"o.{suffix}")
    assert (made["matrix"], made["primaries"], made["transfer"]) == (
        colour[0],
        colour[2],
        colour[3],
    )
    assert (made["range"] == 2) == (colour[1] == 2)
    with av.open(str(tmp_path / f"o.{suffix}")) as container:
        planes = next(container.decode(video=0)).to_ndarray()
    assert np.abs(planes.astype(int) - yuv).max() <= 1


def test_an_untouched_picture_keeps_its_brightness(make_clip, tmp_path):
    ramp = np.broadcast_to(np.linspace(20, 230, 256).astype(np.uint8)[None, :, None], (64, 256, 3))
    clip = make_clip(size=(256, 64), frames=3, picture=lambda i, s: ramp.copy())
    copy(clip, tmp_path / "o.mp4")
    with av.open(str(clip)) as before, av.open(str(tmp_path / "o.mp4")) as after:
        a, b = (next(c.decode(video=0)).to_ndarray().astype(int) for c in (before, after))
    assert abs((a - b)[:64].mean()) < 0.1


def test_rgb_input_is_written_as_bt709(tmp_path):
    info = StreamInfo(width=64, height=48, fps=25.0, colour=Colour(matrix=0))
    with open_sink(str(tmp_path / "o.mp4"), info) as sink:
        sink.write(Frame(np.full((48, 64, 3), (180, 90, 60), np.uint8)))
    made = describe(tmp_path / "o.mp4")
    assert (made["matrix"], made["range"], made["primaries"]) == (1, 1, 1)
    with open_source(str(tmp_path / "o.mp4")) as source:
        assert np.abs(next(iter(source)).pixels[20, 20].astype(int) - (180, 90, 60)).max() <= 3


@pytest.mark.parametrize("size", [(65, 48), (64, 47), (33, 31)])
@pytest.mark.parametrize(
    ("suffix", "samples"), [("mp4", "yuv444p"), ("webm", "yuv420p"), ("gif", "bgra")]
)
def test_odd_sizes_stay_odd(tmp_path, size, suffix, samples):
    info = StreamInfo(width=size[0], height=size[1], fps=25.0)
    path = tmp_path / f"o.{suffix}"
    with open_sink(str(path), info) as sink:
        for frame in numbered(5, size):
            sink.write(frame)
    made = describe(path)
    assert made["size"] == size
    assert made["format"] == samples
    assert examine(path).stamps == list(range(5))


def test_even_sizes_are_written_for_every_player(tmp_path):
    with open_sink(str(tmp_path / "o.mp4"), INFO) as sink:
        sink.write(Frame(stamped(1, SIZE)))
    assert describe(tmp_path / "o.mp4")["format"] == "yuv420p"


def test_a_turned_input_becomes_an_upright_output(make_clip, tmp_path):
    clip = turn_by_metadata(make_clip(frames=4, aspect=Fraction(4, 3)), (0, 1, -1, 0))
    copy(clip, tmp_path / "o.mp4")
    made = describe(tmp_path / "o.mp4")
    assert made["size"] == (48, 64)
    assert made["aspect"] == Fraction(3, 4)
    with open_source(str(clip)) as a, open_source(str(tmp_path / "o.mp4")) as b:
        for before, after in zip(a, b, strict=True):
            assert np.abs(before.pixels.astype(int) - after.pixels).mean() < 3


def test_interlaced_and_deep_inputs_become_plain_8_bit_video(make_clip, tmp_path):
    clip = make_clip("deep.mkv", codec="ffv1", pix_fmt="yuv422p10le", frames=4)
    copy(clip, tmp_path / "o.mp4")
    assert describe(tmp_path / "o.mp4")["format"] == "yuv420p"
    assert examine(tmp_path / "o.mp4").stamps == [0, 1, 2, 3]


def test_a_picture_becomes_a_short_video(tmp_path):
    info = StreamInfo(width=64, height=48, still=True, frame_count=1)
    with open_sink(str(tmp_path / "o.mp4"), info, options=SinkOptions(still_s=2.0)) as sink:
        sink.write(Frame(stamped(77, SIZE)))
    heard = examine(tmp_path / "o.mp4")
    assert set(heard.stamps) == {77}
    assert len(heard.stamps) == 50
    assert heard.frame_times_s[-1] == pytest.approx(1.96, abs=1e-3)


def test_8k(tmp_path):
    info = StreamInfo(width=7680, height=4320, fps=25.0)
    with open_sink(str(tmp_path / "o.mp4"), info) as sink:
        sink.write(Frame(stamped(5, (7680, 4320))))
    assert examine(tmp_path / "o.mp4").stamps == [5]


def test_a_frame_of_another_size_is_a_mistake_of_the_program(tmp_path):
    with open_sink(str(tmp_path / "o.mp4"), INFO) as sink:
        with pytest.raises(ValueError, match="expected 64x48 pixels, got 32x48"):
            sink.write(Frame(stamped(0, (32, 48))))
        sink.write(Frame(stamped(0, SIZE)))


def test_no_frame_no_file(tmp_path):
    with open_sink(str(tmp_path / "o.mp4"), INFO):
        pass
    assert list(tmp_path.iterdir()) == []


# --- sound ---


def packets_of(path, number):
    with av.open(str(path)) as container:
        stream = container.streams.audio[number]
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts"])
def test_sound_is_copied_as_it_is(make_clip, tmp_path, suffix):
    clip = make_clip(frames=75, sound=["aac"])
    copy(clip, tmp_path / f"o.{suffix}")
    heard = examine(tmp_path / f"o.{suffix}")
    assert heard.codecs == ["aac"]
    assert heard.stamps == list(range(75))
    if suffix != "ts":  # there every packet has a header of its own
        assert packets_of(tmp_path / f"o.{suffix}", 0) == packets_of(clip, 0)


CONTAINERS = {
    # input, its sound, output, sound of the output
    "mp4 to mp4": ("i.mp4", "aac", "o.mp4", "aac"),
    "mp4 to mkv": ("i.mp4", "aac", "o.mkv", "aac"),
    "mkv to mp4": ("i.mkv", "aac", "o.mp4", "aac"),
    "ts to mp4": ("i.ts", "aac", "o.mp4", "aac"),
    "ts to mkv": ("i.ts", "aac", "o.mkv", "aac"),
    "ts to ts": ("i.ts", "aac", "o.ts", "aac"),
    "mp2 to mp4": ("i.ts", "mp2", "o.mp4", "mp3"),
    "opus to webm": ("i.mkv", "libopus", "o.webm", "opus"),
    "aac to webm": ("i.mp4", "aac", "o.webm", "opus"),
    "pcm to mp4": ("i.mkv", "pcm_s16le", "o.mp4", "aac"),
    "pcm to mov": ("i.mov", "pcm_s16le", "o.mov", "pcm_s16le"),
    "pcm to mkv": ("i.mkv", "pcm_s16le", "o.mkv", "pcm_s16le"),
    "flac to mp4": ("i.mkv", "flac", "o.mp4", "flac"),
    "aac to avi": ("i.mp4", "aac", "o.avi", "pcm_s16le"),
    "avi to mp4": ("i.avi", "pcm_s16le", "o.mp4", "aac"),
    "mp3 to avi": ("i.mkv", "libmp3lame", "o.avi", "pcm_s16le"),
}


@pytest.mark.parametrize("case", CONTAINERS)
def test_sound_stays_in_step(make_clip, tmp_path, case):
    given, codec, target, wanted = CONTAINERS[case]
    options = {"bf": "0"} if given == "i.avi" else {}
    tick = Fraction(1, 25) if given == "i.avi" else Fraction(1, 12_800)
    clip = make_clip(given, frames=75, sound=[codec], options=options, tick=tick)
    copy(clip, tmp_path / target)
    before, after = examine(clip), examine(tmp_path / target)
    assert after.codecs == [wanted]
    assert after.stamps == list(range(75))
    assert lag(after) == pytest.approx(lag(before), abs=0.012)


def lag(heard, track=0):
    """Mean time from the pictures that show whole seconds to the beeps there, in seconds."""
    zero_s = heard.frame_times_s[0]
    seconds = np.round(np.array(heard.beep_times_s[track]) - zero_s)
    return float(np.mean(np.array(heard.beep_times_s[track]) - zero_s - seconds))


@pytest.mark.parametrize(
    ("start_s", "sound_start_s"), [(0.0, 0.0), (5.0, 0.0), (3.0, 0.3), (3.0, -0.3)]
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_shifted_starts_stay_in_step(make_clip, tmp_path, start_s, sound_start_s, suffix):
    clip = make_clip(
        "in.mkv", frames=75, sound=["aac"], start_s=start_s, sound_start_s=sound_start_s
    )
    copy(clip, tmp_path / f"o.{suffix}")
    before, after = examine(clip), examine(tmp_path / f"o.{suffix}")
    assert after.stamps == list(range(75))
    assert len(after.beep_times_s[0]) == len(before.beep_times_s[0]) >= 2
    assert lag(after) == pytest.approx(lag(before), abs=0.003)


def test_all_tracks_are_kept_with_their_languages(make_clip, tmp_path):
    clip = make_clip(
        "in.mkv", frames=50, sound=["aac", "ac3", "pcm_s16le"], languages=["eng", "deu", "jpn"]
    )
    copy(clip, tmp_path / "o.mp4")
    heard = examine(tmp_path / "o.mp4")
    assert heard.codecs == ["aac", "ac3", "aac"]
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert [s.language for s in container.streams.audio] == ["eng", "deu", "jpn"]
    assert max(abs(lag(heard, track)) for track in range(3)) < 0.02


def test_variable_frame_rate_with_sound_stays_in_step(make_clip, tmp_path):
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.choice([0.01, 0.02, 0.04, 0.08, 0.2], 120))
    times = np.round((times - times[0]) * 1000) / 1000
    clip = make_clip(
        "vfr.mkv", frames=120, times_s=times.tolist(), sound=["aac"], tick=Fraction(1, 1000)
    )
    copy(clip, tmp_path / "o.mp4")
    before, after = examine(clip), examine(tmp_path / "o.mp4")
    assert after.stamps == list(range(120))
    assert np.allclose(after.frame_times_s, times, atol=1e-3)
    assert np.allclose(after.beep_times_s[0], before.beep_times_s[0], atol=2e-3)


def test_after_ten_minutes_sound_and_picture_differ_by_less_than_a_frame(make_clip, tmp_path):
    rate = Fraction(5000, 1001)
    frames = 3000
    clip = make_clip(
        frames=frames,
        fps=rate,
        tick=Fraction(1, 5000),
        sound=["aac"],
        options={"preset": "ultrafast", "threads": "1"},
        picture=lambda i, s: stamped(i % 256, s),
    )
    copy(clip, tmp_path / "o.mp4")
    heard = examine(tmp_path / "o.mp4")
    assert len(heard.stamps) == frames
    assert heard.frame_times_s[-1] == pytest.approx(float((frames - 1) / rate), abs=1e-3)
    assert heard.frame_times_s[-1] > 600
    late = [beep - round(beep) for beep in heard.beep_times_s[0] if beep > 590]
    assert len(late) >= 9
    assert max(abs(value) for value in late) < 0.005


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sound_longer_than_the_pictures_is_kept_whole(make_clip, tmp_path, suffix):
    clip = make_clip(f"in.{suffix}", frames=25, sound=["aac"], sound_s=4.0)
    copy(clip, tmp_path / f"o.{suffix}")
    assert examine(tmp_path / f"o.{suffix}").sound_end_s[0] == pytest.approx(4.0, abs=0.05)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sound_under_a_last_picture_that_stays_is_kept(make_clip, tmp_path, suffix):
    times = [0.0, 0.04, 0.08, 3.0]
    clip = make_clip("in.mkv", frames=4, times_s=times, sound=["aac"], sound_s=6.0)
    copy(clip, tmp_path / f"o.{suffix}")
    assert examine(tmp_path / f"o.{suffix}").sound_end_s[0] == pytest.approx(6.0, abs=0.05)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_a_run_that_stops_early_cuts_the_sound_with_the_pictures(
    make_clip, tmp_path, suffix, codec
):
    clip = make_clip("in.mkv", frames=150, sound=[codec])
    copy(clip, tmp_path / f"o.{suffix}", limit=50)
    heard = examine(tmp_path / f"o.{suffix}")
    assert heard.stamps == list(range(50))
    assert heard.sound_end_s[0] == pytest.approx(2.0, abs=0.06)


def test_the_source_may_be_named_by_a_url(make_clip, tmp_path):
    clip = make_clip("a b.mp4", frames=10, sound=["aac"])
    with (
        open_source(clip.as_uri()) as source,
        open_sink(str(tmp_path / "o.mp4"), source.info, source=clip.as_uri()) as sink,
    ):
        for frame in source:
            sink.write(frame)
    assert examine(tmp_path / "o.mp4").codecs == ["aac"]


def test_ticks_too_fine_for_mp4_are_rounded(tmp_path):
    info = StreamInfo(width=64, height=48, fps=25.0, time_base=Fraction(1, 10**9))
    with open_sink(str(tmp_path / "o.mp4"), info) as sink:
        for frame in numbered(10):
            sink.write(frame)
    assert np.allclose(examine(tmp_path / "o.mp4").frame_times_s, np.arange(10) / 25.0, atol=1e-4)


def test_no_sound_no_track(make_clip, tmp_path):
    copy(make_clip(frames=5), tmp_path / "o.mp4")
    assert examine(tmp_path / "o.mp4").codecs == []
    copy(make_clip(frames=5, sound=["aac"]), tmp_path / "o.gif")
    assert examine(tmp_path / "o.gif").codecs == []


# --- interruptions and failures ---


def test_ctrl_c_leaves_a_finished_file(make_clip, tmp_path):
    clip = make_clip(frames=100, sound=["aac"])
    path = tmp_path / "o.mp4"
    with (
        pytest.raises(KeyboardInterrupt),
        open_source(str(clip)) as source,
        open_sink(str(path), source.info, source=str(clip)) as sink,
    ):
        for frame in source:
            sink.write(frame)
            if frame.index == 40:
                raise KeyboardInterrupt
    heard = examine(path)
    assert heard.stamps == list(range(41))
    assert heard.sound_end_s[0] == pytest.approx(41 / 25, abs=0.06)
    assert not partial_path(path).exists()


def test_a_camera_that_vanishes_leaves_a_finished_file(tmp_path):
    with pytest.raises(UserError, match="gone"), open_sink(str(tmp_path / "o.mp4"), INFO) as sink:
        for frame in numbered(10):
            sink.write(frame)
        raise UserError("gone", "b", "c")
    assert examine(tmp_path / "o.mp4").stamps == list(range(10))


def test_a_crash_of_the_program_leaves_the_old_output_and_a_part(tmp_path, caplog):
    path = tmp_path / "o.mp4"
    path.write_bytes(b"the old one")
    with pytest.raises(ZeroDivisionError), open_sink(str(path), INFO) as sink:
        for frame in numbered(10):
            sink.write(frame)
        raise ZeroDivisionError
    assert path.read_bytes() == b"the old one"
    assert examine(partial_path(path)).stamps == list(range(10))
    assert partial_path(path).name in caplog.text


_VICTIM = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from clips import stamped
from stream.frame import Frame
from stream.media import StreamInfo, open_sink
info = StreamInfo(64, 48, 25.0)
sink = open_sink({path!r}, info, source={source!r})
for index in range(250):
    sink.write(Frame(stamped(index, (64, 48)), index, index / 25.0))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("sound", [False, True])
def test_a_killed_run_leaves_a_part_that_plays(make_clip, tmp_path, suffix, sound):
    path = tmp_path / f"o.{suffix}"
    source = str(make_clip(frames=250, sound=["aac"])) if sound else None
    code = textwrap.dedent(_VICTIM).format(
        tests=str(Path(__file__).parent), path=str(path), source=source
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    with open_source(str(partial_path(path))) as frames:
        stamps = [read_stamp(frame.pixels) for frame in frames]
    assert len(stamps) > 100
    assert stamps == list(range(len(stamps)))

    with open_sink(str(path), INFO) as sink:  # the next run overwrites the part
        for frame in numbered(5):
            sink.write(frame)
    assert examine(path).stamps == list(range(5))
    assert not partial_path(path).exists()


class FullDisk:
    """Stands in for the file underneath: it takes so many bytes and no more."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = data[: self.room]
        self.room -= len(part)
        return self.file.write(part)

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.fixture
def full_disk(monkeypatch):
    plain = PartialFile.__init__

    def shrunk(self, target):
        plain(self, target)
        self._file = FullDisk(self._file, 120_000)

    monkeypatch.setattr(PartialFile, "__init__", shrunk)


def noisy(count, size=SIZE):
    rng = np.random.default_rng(1)
    for index in range(count):
        noise = rng.integers(0, 30, (size[1], size[0], 3))
        yield Frame((stamped(index % 256, size) + noise).astype(np.uint8), index, index / 25.0)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_full_disk_is_said_and_the_part_plays(full_disk, tmp_path, suffix):
    path = tmp_path / f"o.{suffix}"
    began = time.perf_counter()
    with pytest.raises(UserError) as caught, open_sink(str(path), INFO) as sink:
        for frame in noisy(5000):
            sink.write(frame)
    assert time.perf_counter() - began < 60
    error = caught.value
    assert str(path) in error.what
    assert "disk is full" in error.why
    assert "Free some space" in error.remedy
    assert str(partial_path(path)) in error.remedy
    assert not path.exists()
    with open_source(str(partial_path(path))) as frames:
        stamps = [read_stamp(frame.pixels) for frame in frames]
    assert len(stamps) > 30
    assert stamps == [index % 256 for index in range(len(stamps))]


def test_a_disk_that_fills_at_the_very_end_is_said_by_close(full_disk, tmp_path):
    sink = open_sink(str(tmp_path / "o.mp4"), INFO, options=SinkOptions(queue_frames=500))
    for frame in noisy(400):
        sink.write(frame)
    with pytest.raises(UserError, match="disk is full"):
        sink.close()
    sink.close()


@pytest.mark.skipif(os.name == "nt", reason="there are no resource limits")
def test_a_real_refusal_of_the_system_is_said(tmp_path):
    code = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_video_sink import noisy, INFO
from stream.errors import UserError
from stream.media import open_sink
try:
    with open_sink({str(tmp_path / "o.mp4")!r}, INFO) as sink:
        for frame in noisy(2000):
            sink.write(frame)
except UserError as error:
    sys.exit(f"said: {{error}}")
"""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 1
    assert "said: Cannot write" in done.stderr
    assert "File too large" in done.stderr


def test_a_failing_encoder_comes_out_of_write_within_two_seconds(tmp_path, monkeypatch):
    sink = open_sink(str(tmp_path / "o.mp4"), INFO)

    def fail(frame):
        raise RuntimeError("the encoder broke")

    monkeypatch.setattr(sink._encoder, "encode", fail)
    began = time.perf_counter()
    with pytest.raises(RuntimeError, match="the encoder broke"), sink:
        for frame in numbered(50):
            sink.write(frame)
    assert time.perf_counter() - began < 2.0
    assert list(tmp_path.iterdir()) == []


def test_writing_after_the_end_is_a_mistake(tmp_path):
    with open_sink(str(tmp_path / "o.mp4"), INFO) as sink:
        sink.write(Frame(stamped(0, SIZE)))
    with pytest.raises(ValueError, match="closed"):
        sink.write(Frame(stamped(0, SIZE)))


# --- refusals ---


def refusal(path, info=INFO, source=None):
    with pytest.raises(UserError) as caught:
        open_sink(str(path), info, source=source)
    return caught.value


def test_a_folder_that_does_not_exist(tmp_path):
    error = refusal(tmp_path / "no" / "where" / "o.mp4")
    assert "does not exist" in error.why
    assert f"mkdir -p {tmp_path / 'no' / 'where'}" in error.remedy
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_the_input(make_clip, tmp_path):
    clip = make_clip()
    before = clip.read_bytes()
    error = refusal(clip, source=str(clip))
    assert "it is the input" in error.why
    (tmp_path / "link.mp4").symlink_to(clip)
    assert "it is the input" in refusal(tmp_path / "link.mp4", source=str(clip)).why
    assert clip.read_bytes() == before


@pytest.mark.parametrize("name", ["o.xyz", "o"])
def test_an_unknown_extension(tmp_path, name):
    error = refusal(tmp_path / name)
    assert "extension" in error.why
    assert ".mp4" in error.remedy
    assert ".png" in error.remedy


def test_an_output_that_is_a_folder(tmp_path):
    (tmp_path / "o.mp4").mkdir()
    assert "folder" in refusal(tmp_path / "o.mp4").why


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    error = refusal(tmp_path / "o.mp4")
    assert "may not write" in error.why
    assert "folder" in error.remedy


def test_a_video_cannot_become_a_picture(tmp_path):
    error = refusal(tmp_path / "o.png")
    assert "the input is a video" in error.why
    assert "out.mp4" in error.remedy


def test_beeps_are_heard_where_they_are(make_clip):
    """The measuring tool itself."""
    heard = examine(make_clip("m.mkv", frames=100, sound=["pcm_s16le"]))
    assert np.allclose(heard.beep_times_s[0], [1.0, 2.0, 3.0], atol=1e-3)
    assert np.count_nonzero(np.abs(beeps(2.0)) > 0) > 1000
    logging.getLogger("voltface").debug("beeps at %s", heard.beep_times_s)
