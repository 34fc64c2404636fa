"""The pictures of docs/swap.md: made of the demo clip, which shows nobody's private picture.

The clip holds a rendered head and NASA's portrait of Eileen Collins (public domain); each gets
the face of the other.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from stream.demo import CLIP
from stream.media import write_picture as write_photo
from stream.swap.options import SwapSettings
from training.evaluate_repose import media, report
from training.evaluate_swap.swapped import swap_frames

_CUT = 84  # frame at which the clip goes from the rendered head to the portrait
_HEAD, _PORTRAIT = slice(0, 60), slice(_CUT, _CUT + 40)
_MOMENTS = (8, 34)
_FACE = (slice(20, 400), slice(130, 510))
_CONTROLS: tuple[tuple[str, dict[str, float | bool]], ...] = (
    ("--shape target", {"shape": 0.0}),
    ("--shape source", {"shape": 1.0}),
    ("--strength 0.5", {"strength": 0.5}),
    ("--keep-brows", {"keep_brows": True}),
    ("--mouth-from-target", {"mouth": True}),
    ("--colour-match 0", {"colour_match": 0.0}),
)


def run(out: Path = Path("docs/pictures")) -> None:
    """Make docs/pictures/swap_demo.jpg and swap_controls.jpg.

    Args:
        out: folder.
    """
    frames, fps = list(media.read_clip(CLIP).frames), 25.0
    photos = [out / ".head.png", out / ".portrait.png"]
    for photo, picture in zip(photos, (frames[4], frames[_CUT + 36]), strict=True):
        write_photo(photo, picture)
    rows: list[list[np.ndarray]] = []
    for part, photo in ((_HEAD, photos[1]), (_PORTRAIT, photos[0])):
        done = swap_frames(frames[part], fps, photo, SwapSettings())
        row = [media.read_picture(photo)]
        for moment in _MOMENTS:
            row += [frames[part][moment], done.frames[moment]]
        rows.append([_labelled(one, "source" if not n else "") for n, one in enumerate(row)])
    _write(out / "swap_demo.jpg", rows)
    _write(out / "swap_controls.jpg", _controls(frames[_HEAD][:10], fps, photos[1]))
    for photo in photos:
        photo.unlink()


def _controls(frames: list[np.ndarray], fps: float, photo: Path) -> list[list[np.ndarray]]:
    """Return two rows: the same frame under different controls."""
    tiles = []
    for name, options in _CONTROLS:
        settings = replace(SwapSettings(), **options)  # type: ignore[arg-type]
        done = swap_frames(frames, fps, photo, settings)
        tiles.append(_labelled(done.frames[-1], name))
    return [tiles[:3], tiles[3:]]


def _labelled(picture: np.ndarray, words: str) -> np.ndarray:
    part = np.ascontiguousarray(picture[_FACE])
    return report.labelled(part, [words]) if words else part


def _write(path: Path, rows: list[list[np.ndarray]]) -> None:
    sheet = report.sheet(rows)
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(path)
