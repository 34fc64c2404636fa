import errno
import struct
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.errors import UserError
from stream.frame import Frame
from stream.media import (
    StreamInfo,
    open_sink,
    open_source,
    read_picture,
    write_picture,
)

LOSSLESS = ["png", "bmp", "tiff", "tif"]
LOSSY = ["jpg", "jpeg", "webp"]


def scene(size=(64, 48)):
    """Red, green, blue and a ramp in the four quarters."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    half_w, half_h = size[0] // 2, size[1] // 2
    pixels[:half_h, :half_w] = (200, 40, 30)
    pixels[:half_h, half_w:] = (30, 180, 60)
    pixels[half_h:, :half_w] = (40, 60, 190)
    pixels[half_h:, half_w:] = np.linspace(0, 255, size[0] - half_w).astype(np.uint8)[:, None]
    return pixels


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_written_and_read_back_unchanged(tmp_path, suffix):
    write_picture(tmp_path / f"p.{suffix}", scene())
    pixels, alpha = read_picture(tmp_path / f"p.{suffix}")
    assert np.array_equal(pixels, scene())
    assert alpha is None
    assert [path.name for path in tmp_path.iterdir()] == [f"p.{suffix}"]


@pytest.mark.parametrize("suffix", LOSSY)
def test_lossy_formats_lose_little(tmp_path, suffix):
    write_picture(tmp_path / f"p.{suffix}", scene())
    pixels, _ = read_picture(tmp_path / f"p.{suffix}")
    assert np.abs(pixels.astype(int) - scene()).mean() < (5.0 if suffix == "webp" else 1.5)
    start = (tmp_path / f"p.{suffix}").read_bytes()[:12]
    assert start.startswith(b"\xff\xd8") == suffix.startswith("jp")
    assert (start[8:] == b"WEBP") == (suffix == "webp")


def exif(orientation: int) -> bytes:
    """The EXIF block of a picture that holds nothing but an orientation."""
    entry = struct.pack("<HHII", 0x0112, 3, 1, orientation)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + bytes(4)


def turned_jpeg(path: Path, stored: np.ndarray, orientation: int) -> Path:
    done, data = cv2.imencode(".jpg", stored[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    assert done
    block = b"Exif\0\0" + exif(orientation)
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    raw = data.tobytes()
    path.write_bytes(raw[:2] + segment + raw[2:])
    return path


def turned_png(path: Path, stored: np.ndarray, orientation: int) -> Path:
    import zlib

    done, data = cv2.imencode(".png", cv2.cvtColor(stored, cv2.COLOR_RGBA2BGRA))
    assert done
    raw, block = data.tobytes(), exif(orientation)
    chunk = b"eXIf" + block
    chunk = struct.pack(">I", len(block)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(raw[:33] + chunk + raw[33:])  # after the header
    return path


STORED = {
    # EXIF orientation → how an upright picture is stored under it
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: np.swapaxes(p, 0, 1),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: np.swapaxes(p[::-1, ::-1], 0, 1),
    8: lambda p: np.rot90(p, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation(tmp_path, orientation):
    stored = np.ascontiguousarray(STORED[orientation](scene()))
    pixels, _ = read_picture(turned_jpeg(tmp_path / "p.jpg", stored, orientation))
    assert pixels.shape == scene().shape
    assert np.abs(pixels.astype(int) - scene()).mean() < 5.0


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_of_a_picture_with_alpha(tmp_path, orientation):
    opacity = np.full((48, 64, 1), 255, np.uint8)
    opacity[:5] = 100
    upright = np.dstack([scene(), opacity])
    stored = np.ascontiguousarray(STORED[orientation](upright))
    pixels, alpha = read_picture(turned_png(tmp_path / "p.png", stored, orientation))
    assert np.array_equal(alpha, opacity[..., 0])
    assert np.array_equal(pixels[5:], scene()[5:])


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_pictures_are_rounded(tmp_path, suffix):
    deep = scene().astype(np.uint16) * 257
    assert cv2.imwrite(str(tmp_path / f"p.{suffix}"), deep[..., ::-1])
    assert np.array_equal(read_picture(tmp_path / f"p.{suffix}")[0], scene())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_pictures_become_rgb(tmp_path, dtype):
    grey = scene()[..., 0].astype(dtype) * (257 if dtype == np.uint16 else 1)
    assert cv2.imwrite(str(tmp_path / "p.png"), grey)
    pixels, alpha = read_picture(tmp_path / "p.png")
    assert np.array_equal(pixels, np.repeat(scene()[..., :1], 3, axis=2))
    assert alpha is None


def test_16_bit_alpha(tmp_path):
    deep = np.dstack([scene(), np.full((48, 64), 255, np.uint8)]).astype(np.uint16) * 257
    assert cv2.imwrite(str(tmp_path / "p.png"), cv2.cvtColor(deep, cv2.COLOR_RGBA2BGRA))
    pixels, alpha = read_picture(tmp_path / "p.png")
    assert np.array_equal(pixels, scene())
    assert alpha.dtype == np.uint8
    assert alpha.min() == 255


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff"])
def test_transparency_is_laid_over_white_and_restored(tmp_path, suffix):
    alpha = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    original = cv2.cvtColor(np.dstack([scene(), alpha]), cv2.COLOR_RGBA2BGRA)
    assert cv2.imwrite(str(tmp_path / "in.png"), original)
    with open_source(str(tmp_path / "in.png")) as source:
        (frame,) = source
        info = source.info
    assert np.array_equal(info.alpha, alpha)
    assert frame.pixels[5, 0].min() == 255  # nothing to see there but the paper
    assert np.array_equal(frame.pixels[:, -1], scene()[:, -1])
    target = tmp_path / f"o.{suffix}"
    with open_sink(str(target), info, source=str(tmp_path / "in.png")) as sink:
        sink.write(frame)
    made = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
    assert np.abs(made[..., 3].astype(int) - alpha).max() <= (0 if suffix != "webp" else 2)
    seen = alpha > 60
    colours = np.abs(made[..., 2::-1].astype(int) - scene())[seen]
    assert colours.mean() < 5.0


def test_transparency_becomes_white_in_a_jpeg(tmp_path):
    write_picture(tmp_path / "o.jpg", np.full((16, 16, 3), 255, np.uint8), np.zeros((16, 16)))
    assert read_picture(tmp_path / "o.jpg")[0].min() > 250


def test_one_pixel(tmp_path):
    write_picture(tmp_path / "p.png", np.full((1, 1, 3), 9, np.uint8))
    with open_source(str(tmp_path / "p.png")) as source:
        (frame,) = source
    assert frame.pixels.shape == (1, 1, 3)
    assert (source.info.width, source.info.height) == (1, 1)


def test_8k(tmp_path):
    big = np.zeros((4320, 7680, 3), np.uint8)
    big[2000:2100] = 200
    write_picture(tmp_path / "p.bmp", big)
    with open_source(str(tmp_path / "p.bmp")) as source:
        (frame,) = source
        with open_sink(str(tmp_path / "o.jpg"), source.info) as sink:
            sink.write(frame)
    assert np.array_equal(frame.pixels, big)
    assert cv2.absdiff(read_picture(tmp_path / "o.jpg")[0], big).max() < 20


def test_a_picture_is_one_frame(tmp_path):
    write_picture(tmp_path / "p.png", scene())
    with open_source(str(tmp_path / "p.png")) as source:
        frames = list(source)
    info = source.info
    assert len(frames) == 1
    assert (frames[0].index, frames[0].time_s) == (0, 0.0)
    assert info.still
    assert not info.live
    assert (info.width, info.height, info.frame_count, info.fps) == (64, 48, 1, None)
    assert info.name == "p.png"


def test_a_repeated_picture_is_like_a_camera(tmp_path):
    write_picture(tmp_path / "p.png", scene())
    began = time.perf_counter()
    with open_source(str(tmp_path / "p.png"), repeat_still=True) as source:
        assert source.info.live
        assert not source.info.still
        frames = [frame for frame, _ in zip(source, range(5), strict=False)]
    assert time.perf_counter() - began < 2.0
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})
    assert frames[-1].time_s == pytest.approx(frames[-1].index / 25.0)


@pytest.mark.parametrize("suffix", ["ppm", "pgm", "jp2"])
def test_rarer_formats_are_pictures_too(tmp_path, suffix):
    path = tmp_path / f"p.{suffix}"
    cv2.imwrite(str(path), scene()[..., 1] if suffix == "pgm" else scene()[..., ::-1])
    with open_source(str(path)) as source:
        assert source.info.still
        (frame,) = source
    expected = np.repeat(scene()[..., 1:2], 3, 2) if suffix == "pgm" else scene()
    assert np.abs(frame.pixels.astype(int) - expected).mean() < 3.0


def test_the_content_counts_not_the_name(tmp_path):
    write_picture(tmp_path / "p.png", scene())
    (tmp_path / "p.png").rename(tmp_path / "p.mp4")
    with open_source(str(tmp_path / "p.mp4")) as source:
        assert source.info.still


@pytest.mark.parametrize("name", ["p.png", "p.jpg", "p.webp", "p.tiff"])
def test_what_is_no_picture_any_more(tmp_path, name):
    write_picture(tmp_path / name, scene())
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:24])
    with pytest.raises(UserError) as caught, open_source(str(tmp_path / name)):
        pass
    assert name in caught.value.what
    assert "damaged" in caught.value.why
    assert "PNG or JPEG" in caught.value.remedy


def test_read_picture_says_what_is_missing(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_picture(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("text " * 50)
    with pytest.raises(UserError, match="unknown kind"):
        read_picture(tmp_path / "text.png")


def test_unknown_format(tmp_path):
    with pytest.raises(UserError, match="no picture format"):
        write_picture(tmp_path / "p.xyz", scene())


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="mkdir -p"):
        write_picture(tmp_path / "no" / "p.png", scene())


def test_output_over_the_input(tmp_path):
    write_picture(tmp_path / "p.png", scene())
    info = StreamInfo(64, 48, still=True)
    with pytest.raises(UserError, match="it is an input"):
        open_sink(str(tmp_path / "p.png"), info, source=str(tmp_path / "p.png"))


def test_a_full_disk(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(UserError, match="disk is full"):
        write_picture(tmp_path / "p.png", scene())
    assert list(tmp_path.iterdir()) == []


def test_a_picture_of_another_size_is_a_mistake(tmp_path):
    with (
        open_sink(str(tmp_path / "p.png"), StreamInfo(64, 48, still=True)) as sink,
        pytest.raises(ValueError, match="expected 64x48"),
    ):
        sink.write(Frame(scene((20, 20))))


# Frames that wait for later ones get a time of their own making, which the file refuses at times.
_X265 = "log-level=error:bframes=0"


def write_packed(path, muxer, codec, layers, **options):
    """Write pictures into one file, each as a single frame of a video codec."""
    with av.open(path, "w", format=muxer, options=options) as container:
        frames = []
        for pixels in layers:
            stream = container.add_stream(codec, rate=1)
            stream.height, stream.width = pixels.shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": "10", "log-level": "error", "x265-params": _X265}
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = 0
            frames.append((stream, frame))
        for stream, frame in frames:
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


@pytest.mark.parametrize(
    "name, muxer, codec, options",
    [("p.avif", "avif", "libsvtav1", {}), ("p.heic", "mp4", "libx265", {"brand": "heic"})],
)
def test_what_telephones_and_browsers_pack_is_a_picture(tmp_path, name, muxer, codec, options):
    try:
        write_packed(tmp_path / name, muxer, codec, [scene((128, 96))], **options)
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f"this PyAV has no {codec} to make the file with")
    pixels, alpha = read_picture(tmp_path / name)
    assert alpha is None
    assert np.abs(pixels.astype(int) - scene((128, 96))).mean() < 8.0
    with open_source(str(tmp_path / name)) as source:
        assert source.info.still
        assert [frame.size for frame in source] == [(128, 96)]


def test_a_packed_picture_that_is_cut_off_is_refused(tmp_path):
    (tmp_path / "p.avif").write_bytes(b"\0\0\0\x20ftypavif" + bytes(40))
    with pytest.raises(UserError, match=r"p\.avif"):
        read_picture(tmp_path / "p.avif")
