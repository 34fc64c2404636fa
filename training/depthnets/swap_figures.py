"""Figures 4 and 5 of the paper: the background of a frontalised face, and faces on other heads."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.affine_blend import face_side
from stream.affine_settings import AffineSettings
from stream.affine_swap import AffineSwapper
from stream.errors import UserError
from stream.heads import face_of_picture
from stream.media import open_source, read_picture
from stream.pose import PoseRequest
from stream.repair import FaceRepair, open_repair
from stream.settings import Settings
from stream.stats import StageTimer
from training.learn.prepared import open_set
from training.learn.repair_pairs import Paster, synthetic_portraits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stream.frame import Frame

_CELL = 220
_ROOM = 2.0  # side of a cell, in sides of the face
_TURNED = (0.7, 0.92)  # of all people by their turn: those of figure 4


def figure_4(data: Path, path: Path, columns: int = 8, seed: int = 5) -> None:
    """Draw faces turned to the front before what is left of their picture.

    Rows: the picture; the turned face with what is known around it; the same repaired, where the
    network is shipped.

    Args:
        data: prepared set of synthetic people.
        path: of the figure.
        columns: how many people.
        seed: of the noise on their keypoints.
    """
    rng = np.random.default_rng(seed)
    people = synthetic_portraits(open_set(data), 400)
    ordered = sorted(people, key=lambda one: _asymmetry(one.points))
    chosen = np.linspace(*_TURNED, columns) * (len(ordered) - 1)
    paster, engine = Paster(rng), open_repair("onnxruntime")
    rows: list[list[np.ndarray]] = [[], [], []]
    for number in chosen.astype(int):
        portrait = ordered[number]
        made = paster.frontalised(portrait)
        mended = made.pasted if engine is None else FaceRepair(engine)(made.pasted, made.masks)
        for row, picture in zip(rows, (made.real, made.pasted, mended), strict=True):
            row.append(cv2.resize(picture, (_CELL, _CELL), interpolation=cv2.INTER_CUBIC))
    _write(path, rows if engine is not None else rows[:2])


def figure_5(sources: Sequence[Path], clip: Path, path: Path, columns: int = 4) -> None:
    """Draw the faces of pictures on the head in a video.

    First row: the video; first column: the sources. Each further row has one source's face, by
    the live path, its mirror half and the colours of the video's face.

    Args:
        sources: pictures with a face each.
        clip: video.
        path: of the figure.
        columns: how many frames.

    Raises:
        UserError: if no source is named.
    """
    if not sources:
        raise UserError("there is no face to put on", "no source was named", "Give --sources")
    with open_source(str(clip)) as opened:
        frames, info = list(opened), opened.info
    chosen = np.linspace(0, len(frames) - 1, columns + 2).astype(int)[1:-1]
    rows = [[np.full((_CELL, _CELL, 3), 255, np.uint8), *(_fit(frames[n].pixels) for n in chosen)]]
    for source in sources:
        settings = replace(Settings(), affine=AffineSettings())
        row = [_fit(read_picture(source)[0])]
        with AffineSwapper(settings, info, StageTimer(), sources=[source]) as swapper:
            shown = _swapped(swapper, frames[: chosen[-1] + 1])
        rows.append([*row, *(_fit(shown[n]) for n in chosen)])
    _write(path, rows)


def _swapped(swapper: AffineSwapper, frames: Sequence[Frame]) -> list[np.ndarray]:
    return [swapper.process(frame, PoseRequest()).pixels for frame in frames]


def _asymmetry(points: np.ndarray) -> float:
    """How much wider one side of a face is than the other, from the nose: a sign of its turn."""
    upright = _levelled(points)
    left, right = upright[:468, 0].max() - upright[1, 0], upright[1, 0] - upright[:468, 0].min()
    return float(abs(np.log(max(left, 1e-3) / max(right, 1e-3))))


def _levelled(points: np.ndarray) -> np.ndarray:
    """Return (478, 2) keypoints turned so that the eyes lie level."""
    across = points[263] - points[33]
    cosine, sine = across / np.linalg.norm(across)
    return points @ np.array([[cosine, -sine], [sine, cosine]])


def _fit(picture: np.ndarray) -> np.ndarray:
    """Cut a square around a picture's face and size it for a cell."""
    height, width = picture.shape[:2]
    face = face_of_picture(picture, (width, height))
    side = float(min(height, width))
    x, y = width / 2, height / 2
    if face is not None:
        x, y = face.points_px[:, :2].mean(axis=0).tolist()
        side = min(side, _ROOM * face_side(face.points_px))
    x0 = round(float(np.clip(x - side / 2, 0, width - side)))
    y0 = round(float(np.clip(y - side / 2, 0, height - side)))
    cut = picture[y0 : y0 + round(side), x0 : x0 + round(side)]
    way = cv2.INTER_AREA if side > _CELL else cv2.INTER_CUBIC
    return cv2.resize(cut, (_CELL, _CELL), interpolation=way)


def _write(path: Path, rows: list[list[np.ndarray]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet = np.vstack([np.hstack(row) for row in rows])
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
