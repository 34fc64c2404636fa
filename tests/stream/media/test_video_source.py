import shutil
import threading
import time
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from clips import frames_of, read_stamp, refusal, turn_by_metadata

from stream.media import open_sink, open_source


def test_a_file_gives_every_frame_in_order_with_its_time(make_clip):
    info, frames = frames_of(make_clip(frames=60, fps=Fraction(25)))
    assert [frame.index for frame in frames] == list(range(60))
    assert [read_stamp(frame.pixels) for frame in frames] == list(range(60))
    assert np.allclose([frame.time_s for frame in frames], np.arange(60) / 25.0, atol=1e-6)
    assert (info.width, info.height, info.fps) == (64, 48, 25.0)
    assert info.frame_count == 60
    assert not info.live
    assert not info.still


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.avi", "v.webm", "v.ts", "v.mov", "v.mpg"])
def test_containers(make_clip, name):
    codec = {"webm": "libvpx-vp9", "mpg": "mpeg1video", "avi": "mpeg4"}.get(name[2:], "libx264")
    fields = {"tick": Fraction(1, 25)} if name[2:] in ("avi", "mpg") else {}
    info, frames = frames_of(make_clip(name, codec=codec, frames=30, **fields))
    assert [read_stamp(frame.pixels) for frame in frames] == list(range(30))
    assert np.allclose([frame.time_s for frame in frames], np.arange(30) / 25.0, atol=2e-3)
    assert info.fps == pytest.approx(25.0)


def test_variable_frame_rate_is_kept(make_clip):
    times = [0.0, 0.04, 0.05, 0.3, 0.31, 1.0, 1.7]
    _, frames = frames_of(make_clip(frames=7, times_s=times))
    assert np.allclose([frame.time_s for frame in frames], times, atol=1e-4)


def test_a_clip_that_does_not_start_at_zero_is_timed_from_its_first_frame(make_clip):
    info, frames = frames_of(make_clip("late.mkv", start_s=5.0, frames=10))
    assert info.start_s == pytest.approx(5.0, abs=1e-3)
    assert np.allclose([frame.time_s for frame in frames], np.arange(10) / 25.0, atol=2e-3)


def corner(index, size):
    """A picture whose upper left quarter is red and upper right quarter green."""
    pixels = np.full((size[1], size[0], 3), 90, np.uint8)
    pixels[: size[1] // 2, : size[0] // 2] = (200, 40, 40)
    pixels[: size[1] // 2, size[0] // 2 :] = (40, 200, 40)
    return pixels


TURNS = {
    # display matrix (a, b, c, d) → what numpy does to the stored picture
    "0": ((1, 0, 0, 1), lambda p: p),
    "90": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "180": ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    "270": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda p: p[::-1]),
    "transposed": ((0, 1, 1, 0), lambda p: np.swapaxes(p, 0, 1)),
    "anti-transposed": ((0, -1, -1, 0), lambda p: np.rot90(np.swapaxes(p, 0, 1), 2)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_display_matrix_is_applied(make_clip, turn):
    matrix, expected = TURNS[turn]
    path = make_clip(frames=3, picture=corner)
    turn_by_metadata(path, matrix)
    info, frames = frames_of(path)
    wanted = expected(corner(0, (64, 48)))
    assert frames[0].pixels.shape == wanted.shape
    assert (info.width, info.height) == (wanted.shape[1], wanted.shape[0])
    assert np.abs(frames[0].pixels.astype(int) - wanted).mean() < 6.0


@pytest.mark.parametrize("size", [(65, 48), (64, 47), (33, 31), (1, 1)])
def test_odd_sizes(make_clip, size):
    clip = make_clip(
        "odd.mkv",
        size=size,
        codec="ffv1",
        pix_fmt="yuv444p",
        frames=5,
        picture=lambda i, s: np.full((s[1], s[0], 3), 20 * i + 40, np.uint8),
    )
    info, frames = frames_of(clip)
    assert (info.width, info.height) == size
    assert [round(frame.pixels.mean() / 20) for frame in frames] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p10le", "yuv444p12le", "gray10le"])
def test_deep_samples(make_clip, pix_fmt):
    clip = make_clip("deep.mkv", codec="ffv1", pix_fmt=pix_fmt, frames=4)
    info, frames = frames_of(clip)
    assert info.bit_depth == int(pix_fmt.rstrip("le")[-2:])
    assert [read_stamp(frame.pixels) for frame in frames] == [0, 1, 2, 3]
    assert frames[1].pixels[:, :4].mean() == pytest.approx(210, abs=2)


def moving_bar(index, size):
    """Two fields a frame: the bar moves on between the upper and the lower lines."""
    pixels = np.full((size[1], size[0], 3), 30, np.uint8)
    for field in (0, 1):
        left = (2 * index + field) * 6
        pixels[field::2, left : left + 12] = 220
    return pixels


def combing(pixels):
    """How much neighbouring lines differ beyond what lines two apart do."""
    grey = pixels[..., 1].astype(float)
    near = np.abs(grey[1:-1] - grey[:-2]).mean()
    far = np.abs(grey[2:] - grey[:-2]).mean()
    return near - far


@pytest.mark.parametrize("interlaced", [True, False])
def test_interlaced_video_is_deinterlaced_and_no_other(make_clip, interlaced):
    clip = make_clip(
        "fields.mpg",
        codec="mpeg2video",
        size=(192, 64),
        frames=12,
        tick=Fraction(1, 25),
        picture=moving_bar,
        interlaced=interlaced,
        options={"flags": "+ildct+ilme", "qscale": "2"} if interlaced else {"qscale": "2"},
    )
    info, frames = frames_of(clip)
    assert len(frames) == 12
    assert (info.width, info.height) == (192, 64)
    seen = max(combing(frame.pixels) for frame in frames[2:10])
    assert seen < 2.0 if interlaced else seen > 8.0
    assert np.allclose([frame.time_s for frame in frames], np.arange(12) / 25.0, atol=1e-3)


def test_animated_gif(make_clip):
    clip = make_clip("a.gif", codec="gif", pix_fmt="rgb8", tick=Fraction(1, 100), frames=9)
    info, frames = frames_of(clip)
    assert [read_stamp(frame.pixels) for frame in frames] == list(range(9))
    assert np.allclose([frame.time_s for frame in frames], np.arange(9) / 25.0, atol=1e-6)
    assert info.colour.matrix == 0


def test_pixels_that_are_not_square(make_clip):
    path = make_clip(frames=3, aspect=Fraction(4, 3))
    assert frames_of(path)[0].pixel_aspect == Fraction(4, 3)
    turn_by_metadata(path, (0, 1, -1, 0))
    assert frames_of(path)[0].pixel_aspect == Fraction(3, 4)


MATRICES = {
    # H.273 number → (red, blue) luma weights
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    1: (0.2126, 0.0722),
    9: (0.2627, 0.0593),
}


def yuv_of(rgb, weights, full):
    red, blue = weights
    r, g, b = (value / 255.0 for value in rgb)
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    scale, offset, chroma = (255.0, 0.0, 255.0) if full else (219.0, 16.0, 224.0)
    return [round(scale * y + offset), round(chroma * u + 128), round(chroma * v + 128)]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_matrix_and_range_are_respected(make_clip, matrix, full):
    colour = (180, 90, 60)
    y, u, v = yuv_of(colour, MATRICES[matrix], full)
    yuv = np.concatenate([np.full(64 * 48, y), np.full(32 * 24, u), np.full(32 * 24, v)])
    clip = make_clip(
        frames=3,
        yuv=yuv.astype(np.uint8).reshape(72, 64),
        colour=(matrix, 2 if full else 1, 2, 2),
        options={"crf": "1"},
    )
    info, frames = frames_of(clip)
    assert info.colour.matrix == matrix
    assert info.colour.full_range is full
    assert np.abs(frames[1].pixels[24, 32].astype(int) - colour).max() <= 2


@pytest.mark.parametrize(("size", "matrix"), [((64, 48), 6), ((1280, 720), 1)])
def test_an_untold_matrix_is_guessed_from_the_size(make_clip, size, matrix):
    colour = (180, 90, 60)
    y, u, v = yuv_of(colour, MATRICES[matrix], False)
    count = size[0] * size[1]
    yuv = np.concatenate([np.full(count, y), np.full(count // 4, u), np.full(count // 4, v)])
    clip = make_clip(frames=2, size=size, yuv=yuv.astype(np.uint8).reshape(-1, size[0]))
    info, frames = frames_of(clip)
    assert info.colour.matrix == 2
    assert np.abs(frames[1].pixels[24, 32].astype(int) - colour).max() <= 2


def test_a_change_of_size_in_mid_stream_is_scaled_to_the_first(make_clip, tmp_path):
    small, large = make_clip("s.ts", frames=10), make_clip("l.ts", frames=10, size=(128, 96))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    _, frames = frames_of(both)
    assert {frame.size for frame in frames} == {(64, 48)}
    assert [read_stamp(frame.pixels) for frame in frames] == [*range(10), *range(10)]
    times = [frame.time_s for frame in frames]
    assert all(np.diff(times) > 0)


def test_leaving_early_is_quick(make_clip):
    clip = make_clip(frames=200)
    began = time.perf_counter()
    with pytest.raises(ZeroDivisionError), open_source(str(clip)) as source:
        for frame in source:
            if frame.index == 3:
                raise ZeroDivisionError
    assert time.perf_counter() - began < 2.0


def test_opening_alone_holds_nothing(make_clip):
    clip = make_clip()
    with open_source(str(clip)):
        pass
    clip.unlink()
    assert threading.active_count() < 20


def test_8k_video(make_clip, tmp_path):
    clip = make_clip("8k.mp4", size=(7680, 4320), frames=2, options={"preset": "ultrafast"})
    info, frames = frames_of(clip)
    assert (info.width, info.height) == (7680, 4320)
    assert [read_stamp(frame.pixels) for frame in frames] == [0, 1]


@pytest.fixture
def web(tmp_path):
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *_: None
    SimpleHTTPRequestHandler.log_message = lambda *_: None
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_file_over_http_loses_no_frame_and_keeps_its_sound(make_clip, web, tmp_path):
    make_clip("w.mp4", frames=40, sound=["aac"], muxer_options={"movflags": "faststart"})
    info, frames = frames_of(f"{web}/w.mp4")
    assert not info.live
    assert [read_stamp(frame.pixels) for frame in frames] == list(range(40))
    with open_sink(str(tmp_path / "o.mp4"), info, source=f"{web}/w.mp4") as sink:
        for frame in frames:
            sink.write(frame)
    import av

    with av.open(str(tmp_path / "o.mp4")) as container:
        assert len(container.streams.audio) == 1


def test_a_url_that_does_not_answer(web):
    error = refusal(f"{web}/absent.mp4")
    assert "absent.mp4" in error.what
    assert "address" in error.remedy
    assert "Cannot open" in refusal("rtsp://127.0.0.1:9/x").what


def test_a_file_url(make_clip, tmp_path):
    clip = make_clip("with space.mp4", frames=4)
    _, frames = frames_of(clip.as_uri())
    assert len(frames) == 4
    shutil.copy(clip, tmp_path / "plain.bin")
    assert len(frames_of(tmp_path / "plain.bin")[1]) == 4  # the content counts, not the name
