import errno
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import INFO, SIZE, copy, examine, numbered, stamped, turn_by_metadata

from stream.errors import UserError
from stream.frame import Frame
from stream.media import Colour, SinkOptions, StreamInfo, open_sink, open_source


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


def test_ticks_too_fine_for_mp4_are_rounded(tmp_path):
    info = StreamInfo(width=64, height=48, fps=25.0, time_base=Fraction(1, 10**9))
    with open_sink(str(tmp_path / "o.mp4"), info) as sink:
        for frame in numbered(10):
            sink.write(frame)
    assert np.allclose(examine(tmp_path / "o.mp4").frame_times_s, np.arange(10) / 25.0, atol=1e-4)


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
    assert "it is an input" in error.why
    (tmp_path / "link.mp4").symlink_to(clip)
    assert "it is an input" in refusal(tmp_path / "link.mp4", source=str(clip)).why
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
