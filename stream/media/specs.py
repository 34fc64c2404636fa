"""What the words INPUT and OUTPUT of the command line name."""

import re
import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stream.errors import UserError

LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "srt", "rtmp", "rtmps", "udp", "rtp", "tcp"})
FILE_SCHEMES = frozenset({"http", "https"})
SINK_SCHEMES = frozenset({"srt", "rtmp", "rtmps", "udp", "tcp"})
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})

_DEVICE = re.compile(r"/dev/video\d+")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
# The first bytes of pictures; animated and sequence formats are for the video reader.
_PICTURE_STARTS = (
    b"\x89PNG\r\n", b"\xff\xd8\xff", b"BM", b"II*\x00", b"MM\x00*",
    b"P5\n", b"P6\n", b"\x00\x00\x00\x0cjP  ",  # PGM, PPM, JPEG 2000
)  # fmt: skip
# AVIF and HEIC: the kind of a file that opens with a box "ftyp"
_PACKED_KINDS = (b"avif", b"heic", b"heix", b"mif1")
_NOT_PICTURES = frozenset({".gif", ".apng", ".mjpg", ".mjpeg", ".avi"})


class Kind(Enum):
    """What an INPUT or an OUTPUT is."""

    CAMERA = "camera"
    WINDOW = "window"
    NULL = "null"
    URL = "url"
    FILE = "file"


def classify(spec: str) -> Kind:
    """Tell what a spec names, from its wording alone.

    Raises:
        UserError: it is empty.
    """
    if not spec.strip():
        raise UserError("No input or output was named", "the name is empty", "Name a file.")
    if spec == "camera" or spec.startswith("camera:") or _DEVICE.fullmatch(spec):
        return Kind.CAMERA
    if spec in ("window", "null"):
        return Kind(spec)
    return Kind.URL if scheme_of(spec) not in ("", "file") else Kind.FILE


def scheme_of(spec: str) -> str:
    """Return the scheme of a URL in lower case, or an empty string."""
    match = _SCHEME.match(spec)
    return match[1].lower() if match else ""


def path_of(spec: str) -> Path:
    """Return the path that a file spec names; ``file://`` and ``~`` are understood."""
    if scheme_of(spec) == "file":
        spec = unquote(urlsplit(spec).path)
        if sys.platform == "win32":
            spec = spec.lstrip("/")
    try:
        return Path(spec).expanduser()
    except RuntimeError:  # there is no such user: it is a name like any other
        return Path(spec)


def camera_device(spec: str) -> int | str:
    """Return the number or the device path that a camera spec names.

    Raises:
        UserError: what follows ``camera:`` is neither.
    """
    name = spec.removeprefix("camera").removeprefix(":")
    if not name:
        return 0
    if name.isdigit():
        return int(name)
    if _DEVICE.fullmatch(name):
        return name
    raise UserError(
        f"Cannot open the camera {name!r}",
        "a camera is named by its number",
        "Say camera for the first one, camera:1 for the second.",
    )


def read_start(path: Path) -> bytes:
    """Return the first bytes of an input file; none of a pipe, which gives each byte but once.

    Raises:
        UserError: the file is missing, empty, a folder, or may not be read.
    """
    if path.is_dir():
        raise UserError(f"Cannot read {path}", "it is a folder", "Name a file inside it.")
    try:
        if path.is_fifo():
            return b""
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError:
        raise UserError(
            f"Cannot find {path}",
            "there is no such file",
            "Check the spelling; a camera is called camera, camera:1 or /dev/video0.",
        ) from None
    except PermissionError:
        raise UserError(
            f"Cannot read {path}",
            "this user has no permission to",
            f"Allow it, for example with: chmod u+r {path}",
        ) from None
    except OSError as error:
        raise UserError(f"Cannot read {path}", f"{error.strerror}", "Check the disk.") from None
    if not start:
        raise UserError(
            f"Cannot read {path}", "the file is empty (0 bytes)", "Copy or record it again."
        )
    return start


def is_picture(path: Path, start: bytes) -> bool:
    """Tell a picture from a video by the first bytes of the file."""
    if path.suffix.lower() in _NOT_PICTURES:
        return False
    webp = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    return webp or start.startswith(_PICTURE_STARTS) or is_packed_picture(start)


def is_packed_picture(start: bytes) -> bool:
    """Tell an AVIF or HEIC, a single frame of a video codec, by the first bytes of the file."""
    return start[4:8] == b"ftyp" and start[8:12] in _PACKED_KINDS


def check_target(path: Path) -> None:
    """Refuse an output file that cannot be made.

    Raises:
        UserError: its folder is missing, or it is a folder itself.
    """
    folder = path.parent
    if not folder.is_dir():
        raise UserError(
            f"Cannot write {path}",
            f"the folder {folder} does not exist",
            f"Make it first: mkdir -p {folder}",
        )
    if path.is_dir():
        raise UserError(f"Cannot write {path}", "it is a folder", "Name a file inside it.")


def check_apart(written: Iterable[str | Path | None], read: Iterable[str | Path | None]) -> None:
    """Refuse to write over what the same run reads, or two outputs into one file.

    Args:
        written: the outputs; None and what is no file are passed over.
        read: the inputs, likewise; ``photo.jpg#2`` names ``photo.jpg``, too.

    Raises:
        UserError: one of the written files is among the others.
    """
    taken = dict.fromkeys((place for spec in read for place in _places(spec)), "it is an input")
    for spec in written:
        for place in _places(spec):
            if place in taken:
                remedy = "Give the output another name."
                raise UserError(f"Cannot write {spec}", taken[place], remedy)
            taken[place] = "another output of this run goes there"


def _places(spec: str | Path | None) -> Iterator[Path | tuple[int, int]]:
    """Yield what tells the files that a spec may mean from all others."""
    if spec is None or classify(str(spec)) is not Kind.FILE:
        return
    yield _identity(path_of(str(spec)))
    photo, _, number = str(spec).rpartition("#")
    if photo and number.isdigit():
        yield _identity(path_of(photo))


def _identity(path: Path) -> Path | tuple[int, int]:
    """Return where a file lies on which device, the same by all its links; else its real name."""
    try:
        status = path.stat()
    except OSError:  # it is not there yet
        return path.resolve()
    return status.st_dev, status.st_ino
