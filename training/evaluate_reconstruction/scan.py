"""A picture of a head with its true depth, as every layout hands it out and as a folder keeps it.

A folder of scans holds, for every NAME, the picture `NAME.png` (or .jpg) and `NAME.npz` with
`depth` (H, W) float32, mm along z, nan where there is no head; `camera` (3, 3) float64, pinhole,
pixel centres at +0.5; and, where they are known, `face` (H, W) bool, skin of the face and eyes;
`hair` (H, W) bool; `expression` and `source`, words. The depth may also lie in `NAME.exr` (one
channel, 0 where there is no head), the camera then in `NAME.json` as {"camera": [[…], …]}.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")  # read when OpenCV is loaded

import cv2
import numpy as np

from stream.errors import UserError
from stream.media import read_picture
from stream.media.picture import write_picture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True, slots=True)
class Scan:
    """One picture whose geometry is known.

    Attributes:
        name: of the picture.
        pixels: (H, W, 3) uint8 RGB.
        depth_mm: (H, W) float32 along z, nan where there is no head.
        camera: (3, 3) intrinsics, pixel centres at +0.5.
        face: (H, W) bool, where the face is; None where that is not known.
        hair: (H, W) bool, likewise.
        expression: short name, or empty.
        source: what data it comes from.
    """

    name: str
    pixels: np.ndarray
    depth_mm: np.ndarray
    camera: np.ndarray
    face: np.ndarray | None = None
    hair: np.ndarray | None = None
    expression: str = ""
    source: str = ""


def write_scan(folder: Path, scan: Scan) -> None:
    """Write a scan as two files of a folder."""
    write_picture(folder / f"{scan.name}.png", scan.pixels)
    masks = {"face": scan.face, "hair": scan.hair}
    np.savez_compressed(
        folder / f"{scan.name}.npz",
        depth=scan.depth_mm.astype(np.float32),
        camera=scan.camera,
        expression=scan.expression,
        source=scan.source,
        **{name: mask for name, mask in masks.items() if mask is not None},  # type: ignore[arg-type]
    )


def read_folder(folder: Path) -> Iterator[Scan]:
    """Yield the scans of a folder, by name.

    Raises:
        UserError: if there are none, or one is not as it should be.
    """
    pictures = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _PICTURES)
    known = [p for p in pictures if p.with_suffix(".npz").is_file() or _exr(p)]
    if not known:
        raise UserError(
            f"no scan in {folder}",
            "there is no picture with an npz or exr of the same name",
            "Render some: python -m training evaluate reconstruction --data FOLDER --render ict",
        )
    for picture in known:
        yield _from_npz(picture) if picture.with_suffix(".npz").is_file() else _from_exr(picture)


def _from_npz(picture: Path) -> Scan:
    pixels, _ = read_picture(picture)
    with np.load(picture.with_suffix(".npz"), allow_pickle=False) as stored:
        try:
            depth, camera = stored["depth"], stored["camera"]
        except KeyError as error:
            raise _wrong(picture.with_suffix(".npz"), f"it has no array {error}") from error
        face, hair = (stored[n] if n in stored.files else None for n in ("face", "hair"))
        words = [str(stored[n]) if n in stored.files else "" for n in ("expression", "source")]
    return _checked(picture, pixels, depth, camera, (face, hair), words)


def _from_exr(picture: Path) -> Scan:
    pixels, _ = read_picture(picture)
    depth = cv2.imread(str(_exr(picture)), cv2.IMREAD_UNCHANGED)
    if depth is None:
        raise _wrong(picture.with_suffix(".exr"), "it cannot be read")
    depth = depth[..., -1] if depth.ndim == 3 else depth
    try:
        camera = np.array(json.loads(picture.with_suffix(".json").read_text())["camera"], float)
    except (OSError, KeyError, ValueError) as error:
        raise _wrong(picture.with_suffix(".json"), f"it holds no camera ({error})") from error
    depth = np.where(depth > 0, depth, np.nan)
    return _checked(picture, pixels, depth, camera, (None, None), ["", ""])


def _checked(
    picture: Path,
    pixels: np.ndarray,
    depth: np.ndarray,
    camera: np.ndarray,
    masks: tuple[np.ndarray | None, np.ndarray | None],
    words: list[str],
) -> Scan:
    if depth.shape != pixels.shape[:2] or camera.shape != (3, 3):
        why = f"depth {depth.shape} and camera {camera.shape} do not go with {pixels.shape}"
        raise _wrong(picture, why)
    depth = depth.astype(np.float32)
    name = picture.stem
    return Scan(name, pixels, depth, camera.astype(float), *masks, words[0], words[1])


def _exr(picture: Path) -> Path | None:
    path = picture.with_suffix(".exr")
    return path if path.is_file() else None


def _wrong(path: Path, why: str) -> UserError:
    return UserError(f"{path} is not a scan", why, "See training/evaluate_reconstruction/scan.py")
