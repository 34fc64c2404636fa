from fractions import Fraction

import av
import numpy as np
import pytest
from clips import beeps, copy, examine, stamped

from stream.media import open_sink, open_source


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
    rate = Fraction(2000, 1001)
    frames = 1250
    clip = make_clip(
        frames=frames,
        fps=rate,
        tick=Fraction(1, 2000),
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


def test_no_sound_no_track(make_clip, tmp_path):
    copy(make_clip(frames=5), tmp_path / "o.mp4")
    assert examine(tmp_path / "o.mp4").codecs == []
    copy(make_clip(frames=5, sound=["aac"]), tmp_path / "o.gif")
    assert examine(tmp_path / "o.gif").codecs == []


def test_beeps_are_heard_where_they_are(make_clip):
    """The measuring tool itself."""
    heard = examine(make_clip("m.mkv", frames=100, sound=["pcm_s16le"]))
    assert np.allclose(heard.beep_times_s[0], [1.0, 2.0, 3.0], atol=1e-3)
    assert np.count_nonzero(np.abs(beeps(2.0)) > 0) > 1000
