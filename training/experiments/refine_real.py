"""Real free pictures for the network `refine`: frames with their matte, and heads turned in them.

    python -m training.experiments.refine_real OUT --sources grid_*.mpg portrait.jpg …

Only what may train weights that ship belongs here; see the README of the data folder.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  the command line reads the annotations
from typing import TYPE_CHECKING

import cv2
import numpy as np
import tyro
from rich.progress import track

from stream.media import open_source
from stream.pose import PoseRequest
from stream.refine import COVER, SIZE, squeezed
from training.learn.refine_pairs import REAL, TURNED, CoarsePath, SetWriter, drawn_look

if TYPE_CHECKING:
    from collections.abc import Iterator

_TURN_DEG = (22.0, 14.0, 8.0)  # standard deviations of yaw, pitch, roll that are asked for
_LEAST_DEG = 6.0
_LONGEST = 900  # side of a picture that is worked on: heads as large as webcams show them
_LEAST_SIDE = 110  # of the region: a smaller one is all blur


def frames_of(source: Path, count: int) -> list[np.ndarray]:
    """Read up to `count` frames, evenly spread; a picture is one frame."""
    with open_source(str(source)) as opened:
        frames = [frame.pixels for frame in opened]
    chosen = frames[:: max(1, len(frames) // count)][:count]
    return [_bounded(pixels) for pixels in chosen]


def _bounded(pixels: np.ndarray) -> np.ndarray:
    share = _LONGEST / max(pixels.shape[:2])
    if share >= 1:
        return pixels
    return cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)


def turned_heads(
    source: Path, count: int, rng: np.random.Generator
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Turn the head of a clip or picture by random angles.

    Yields:
        Kind, coarse picture, masks, guesses and truth, as `refine_pairs.SetWriter.add` takes them:
        the frame with its matte as cover (`REAL`), and the turned head beside the frame (`TURNED`).
    """
    frames = frames_of(source, count)
    height, width = frames[0].shape[:2]
    with CoarsePath((width, height)) as path:
        for number in range(count):
            path.forget(drawn_look(rng))
            angles = rng.normal(0, _TURN_DEG)
            if np.abs(angles).max() < _LEAST_DEG:
                angles[0] = 2 * _LEAST_DEG
            yaw, pitch, roll = (float(angle) for angle in angles)
            request = PoseRequest(yaw, pitch, roll)
            coarse = path.turned(frames[number % len(frames)], None, request)
            if coarse is None or min(coarse.drawn.shape[:2]) < _LEAST_SIDE:
                continue
            before = squeezed(coarse.before)
            masks = np.zeros((SIZE, SIZE, 4), np.uint8)
            masks[..., COVER] = squeezed(coarse.matte)
            yield REAL, before, masks, np.zeros_like(before), before
            yield TURNED, squeezed(coarse.drawn), coarse.masks, coarse.guesses, before


def make(
    out: tyro.conf.Positional[Path], *, sources: list[Path], each: int = 40, seed: int = 21
) -> None:
    """Make a set of real pictures.

    Args:
        out: folder of the set.
        sources: clips and pictures that are free to train from.
        each: turns of each of them.
        seed: of the turns.
    """
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    writer = SetWriter(out, 2 * each * len(sources))
    for source in track(sources):
        for example in turned_heads(source, each, rng):
            writer.add(*example)
    writer.close({"seed": seed})
    print(f"{out}: {writer.count} examples")


if __name__ == "__main__":
    tyro.cli(make)
