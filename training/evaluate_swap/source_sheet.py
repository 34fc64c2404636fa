"""Contact sheets of sources: photo, texture, what was seen, and the head at three angles.

    python -m training.evaluate_swap.source_sheet SHEET.png PHOTO [PHOTO ...]

A name that ends in a video's extension stands for its middle frame, NAME@N for frame N.
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import tyro

from stream.errors import UserError
from stream.media import read_picture, write_picture
from stream.networks import Networks, NetworkSettings
from stream.swap.source import SourceFace, make_source
from training.evaluate_repose import media
from training.evaluate_repose.faces import face_points, head_box
from training.evaluate_swap.textured import TexturedHead

_VIDEO = re.compile(r"(.+\.(?:mp4|mpg|gif|mov|mkv|webm))(?:@(\d+))?$")
_ANGLES = (-30.0, 0.0, 30.0)
_SIDE = 400


def row(name: str, source: SourceFace, photo: np.ndarray, head: TexturedHead) -> np.ndarray:
    """Return one row of a sheet: (400, 2400, 3) uint8."""
    shape = head.model.shape(source.identity) + source.offset_mm
    cells = [
        _fitted(photo),
        _fitted(source.texture),
        np.repeat(_fitted(source.seen)[..., None], 3, 2),
    ]
    cells += [head.draw(source.texture, shape, yaw=yaw) for yaw in _ANGLES]
    picture = np.hstack(cells)
    cv2.putText(picture, name, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 0), 1)
    return picture


def _fitted(picture: np.ndarray) -> np.ndarray:
    scale = _SIDE / max(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    result = np.zeros((_SIDE, _SIDE, *picture.shape[2:]), np.uint8)
    result[: small.shape[0], : small.shape[1]] = small
    return result


def _around_face(name: str) -> np.ndarray:
    """Return the part of a photo around its largest face."""
    pixels, _ = read_picture(name.partition("#")[0])
    points = face_points(pixels)
    if points is None:
        return pixels
    return pixels[head_box(points, (pixels.shape[1], pixels.shape[0]), 2.2)]


def _as_picture(name: str, folder: Path) -> str:
    """Return a picture's name: itself, or a frame of a video written to a folder."""
    video = _VIDEO.match(name)
    if video is None:
        return name
    frames = media.read_clip(Path(video[1]), 400).frames
    index = int(video[2]) if video[2] else len(frames) // 2
    path = folder / f"{Path(video[1]).stem}_{index}.png"
    write_picture(path, frames[index])
    return str(path)


def main(
    sheet: tyro.conf.Positional[Path], photos: tyro.conf.Positional[list[str]], size: int = 1024
) -> None:
    """Draw the sheet; every photo is a source of its own, A+B one of two photos."""
    head, rows = TexturedHead(_SIDE), []
    networks = Networks(NetworkSettings(hair_depth=False, refine=False))
    with networks, tempfile.TemporaryDirectory() as folder:
        for photo in photos:
            names = [_as_picture(name, Path(folder)) for name in photo.split("+")]
            started = time.perf_counter()
            try:
                source = make_source(names, networks, size=size)
            except UserError as error:
                print(f"{photo}: {error}")
                continue
            print(f"{photo}: {time.perf_counter() - started:.2f} s; {'; '.join(source.warnings)}")
            rows.append(row(Path(photo).name, source, _around_face(names[0]), head))
    cv2.imwrite(str(sheet), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.evaluate_swap.source_sheet", description=__doc__)
