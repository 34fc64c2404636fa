"""Pictures: reading, writing, and as a source or a sink of one frame."""

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from stream.errors import UserError
from stream.frame import Frame
from stream.media.base import (
    RGB_MATRIX,
    Colour,
    Sink,
    SinkOptions,
    SourceOptions,
    StreamInfo,
    check_size,
)
from stream.media.handoff import ThreadedSource
from stream.media.packed_picture import read_packed_picture
from stream.media.partial import partial_path, write_refused
from stream.media.specs import (
    PICTURE_SUFFIXES,
    check_apart,
    check_target,
    is_packed_picture,
    is_picture,
    path_of,
    read_start,
)

_PAPER = 255.0
_REPEAT_FPS = 25.0
_WITH_ALPHA = frozenset({".png", ".webp", ".tif", ".tiff"})


def read_picture(path: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a picture upright, as its EXIF says, and 8 bits deep.

    Args:
        path: a PNG, JPEG, WebP, BMP, TIFF, AVIF, HEIC, JPEG 2000, PGM or PPM, grey or coloured, of
            up to 16 bits.

    Returns:
        (H, W, 3) uint8 RGB, laid over white where it is transparent, and
        (H, W) uint8 opacity or None.

    Raises:
        UserError: the file cannot be read as a picture.
    """
    path = path_of(str(path))
    if is_packed_picture(read_start(path)):
        pixels, alpha = read_packed_picture(path)
        return (pixels, None) if alpha is None else (_over_paper(pixels, alpha), alpha)
    data = np.fromfile(path, np.uint8)
    raw = _decode(data, cv2.IMREAD_UNCHANGED, path)
    if raw.ndim == 3 and raw.shape[2] == 4:
        raw = _like_upright(raw, _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, path))
        bgra = _to_8_bit(raw)
        return _over_paper(cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGB), bgra[..., 3]), bgra[..., 3]
    raw = _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, path)
    return cv2.cvtColor(_to_8_bit(raw), cv2.COLOR_BGR2RGB), None


def _decode(data: np.ndarray, flags: int, path: Path) -> np.ndarray:
    try:
        picture = cv2.imdecode(data, flags)
        reason = "it is damaged or cut off"
    except cv2.error as error:
        picture, reason = None, error.err or "it is too large"
    if picture is not None:
        return picture
    what, remedy = f"Cannot read the picture {path}", "Save it again as PNG or JPEG."
    if not is_picture(path, data[:16].tobytes()):
        reason = "it is no picture, or one of an unknown kind"
        remedy = "Give a PNG or JPEG; of a video, save one frame as such."
    raise UserError(what, reason, remedy)


def _to_8_bit(picture: np.ndarray) -> np.ndarray:
    if picture.dtype == np.uint16:
        return cv2.convertScaleAbs(picture, alpha=1.0 / 257.0)
    if picture.dtype != np.uint8:  # TIFF may hold floats, 0…1
        return cv2.convertScaleAbs(np.clip(np.nan_to_num(picture), 0.0, 1.0), alpha=255.0)
    return picture


def _like_upright(raw: np.ndarray, upright: np.ndarray) -> np.ndarray:
    """Turn a picture with alpha, which OpenCV leaves as stored, as it turned the one without."""
    for mirrored in (raw, raw[:, ::-1]):
        for quarters in range(4):
            turned = np.rot90(mirrored, quarters)
            if np.array_equal(turned[..., :3], upright):
                return np.ascontiguousarray(turned)
    return raw


def _over_paper(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lay a picture over white. [..., 3] and [...] → [..., 3]."""
    opacity = alpha[..., None].astype(np.float32) / 255.0
    mixed = pixels * opacity + _PAPER * (1.0 - opacity)
    return np.round(mixed).astype(np.uint8)


def _off_paper(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Undo ``_over_paper`` where anything is left to see."""
    opacity = alpha[..., None].astype(np.float32) / 255.0
    straight = (pixels - _PAPER * (1.0 - opacity)) / np.maximum(opacity, 1.0 / 255.0)
    return np.clip(np.round(straight), 0, 255).astype(np.uint8)


def write_picture(
    path: str | Path,
    pixels: np.ndarray,
    alpha: np.ndarray | None = None,
    quality: int = 95,
) -> None:
    """Write a picture in the format of its extension, whole or not at all.

    Args:
        path: ends in ``.png``, ``.jpg``, ``.webp``, ``.bmp`` or ``.tiff``.
        pixels: (H, W, 3) uint8 RGB.
        alpha: (H, W) uint8 opacity of a picture that was laid over white; formats
            without opacity keep the white.
        quality: 0…100, for JPEG and WebP.

    Raises:
        UserError: the extension is unknown or the file cannot be written.
    """
    path = path_of(str(path))
    suffix = path.suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise UserError(
            f"Cannot write {path}",
            f"{suffix or 'a name without extension'} is no picture format",
            f"Use one of {', '.join(sorted(PICTURE_SUFFIXES))}.",
        )
    check_target(path)
    picture = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    if alpha is not None and alpha.shape == pixels.shape[:2] and suffix in _WITH_ALPHA:
        straight = cv2.cvtColor(_off_paper(pixels, alpha), cv2.COLOR_RGB2BGR)
        picture = np.dstack([straight, alpha])
    _write_whole(path, _encode(path, picture, quality))


def _encode(path: Path, picture: np.ndarray, quality: int) -> np.ndarray:
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    jpeg = [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling]
    webp = [cv2.IMWRITE_WEBP_QUALITY, quality]
    suffix = path.suffix.lower()
    settings = {".jpg": jpeg, ".jpeg": jpeg, ".webp": webp}.get(suffix, [])
    try:
        done, data = cv2.imencode(suffix, picture, settings)
        reason = "the format cannot hold this picture"
    except cv2.error as error:
        done, data, reason = False, np.empty(0, np.uint8), error.err
    if not done:
        raise UserError(f"Cannot write {path}", reason, "Use a name that ends in .png.")
    return data


def _write_whole(path: Path, data: np.ndarray) -> None:
    partial = partial_path(path)
    try:
        partial.write_bytes(data.tobytes())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise write_refused(path, error) from None


class PictureSource(ThreadedSource):
    """A picture: one frame, or the same one for ever where it is repeated."""

    def __init__(self, path: Path, options: SourceOptions, repeat: bool = False) -> None:
        self._pixels, alpha = read_picture(path)
        height, width = self._pixels.shape[:2]
        info = StreamInfo(
            width=width,
            height=height,
            fps=_REPEAT_FPS if repeat else None,
            frame_count=None if repeat else 1,
            live=repeat,
            still=not repeat,
            name=path.name,
            colour=Colour(matrix=RGB_MATRIX),
            alpha=alpha,
        )
        super().__init__(info, options.queue_frames)

    def _read(self) -> Iterator[Frame]:
        began_s, index = time.perf_counter(), 0
        yield Frame(self._pixels, 0, 0.0, began_s)
        while self.info.live:
            index += 1
            time_s = index / _REPEAT_FPS
            if self._done.wait(max(0.0, began_s + time_s - time.perf_counter())):
                return
            yield Frame(self._pixels, index, time_s, time.perf_counter())

    def _release(self) -> None:
        """Hold nothing."""


class PictureSink(Sink):
    """A picture file, written when its frame arrives."""

    def __init__(
        self, path: Path, info: StreamInfo, source: str | None, options: SinkOptions
    ) -> None:
        check_target(path)
        check_apart((path,), (source,))
        self._path, self._info, self._options = path, info, options
        self.description = f"{path.name} ({info.width}x{info.height})"

    def write(self, frame: Frame) -> None:
        """Write the picture."""
        check_size(frame, self._info)
        write_picture(self._path, frame.pixels, self._info.alpha, self._options.picture_quality)

    def close(self) -> None:
        """Do nothing: the picture is written whole at once."""
