"""Measure segmentation on real pictures: GRID's keyed backdrops and the Deep 3D Portrait masks.

    python -m training.evaluate_masks --onnx engines/weights/head_segmentation.onnx --sheet out.jpg

Nothing here trains anything. The crop is the live path's own: the head's region, squeezed to a
square. GRID: everything above the chin that is not backdrop is head. Deep 3D Portrait: masks
made by the paper's segmentation network (face with eyes, hair, ears), over the same region.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnxruntime
import scipy.io
import tyro

from stream.composite import head_region
from stream.fit import HeadFitter
from stream.frame import Frame, Head
from stream.head_model import load_head_model
from stream.media import open_source
from stream.segment import PersonSegmenter
from stream.track import FaceTracker
from training.clip_masks import chroma_key_mask
from training.experiments.head_segmentation import LABEL_RGB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.region import Region

SIDE = 256
_HEAD = (1, 2, 3, 5, 6)
_CHIN = 152
_EVERY = 15  # frames of a clip


@dataclass(frozen=True, slots=True)
class Case:
    """One head with a mask from elsewhere.

    Attributes:
        name: of the clip or portrait.
        crop: (256, 256, 3) uint8, the region squeezed to a square.
        wanted: (256, 256) uint8 labels of the reference: 0 background, 1 face, 2 hair, 3 ear,
            255 not judged; for GRID 1 stands for the whole person.
        kind: `grid` or `portrait`.
    """

    name: str
    crop: np.ndarray
    wanted: np.ndarray
    kind: str


def grid_cases(clips: Path) -> Iterator[Case]:
    """Take frames of GRID clips; below the chin nothing is judged."""
    for path in sorted(clips.glob("grid_*.mpg")):
        with FaceTracker(1) as tracker, open_source(str(path)) as source:
            fitter = HeadFitter(load_head_model())
            for number, frame in enumerate(source):
                faces = tracker.track(frame)
                if not faces:
                    continue
                head = fitter.fit(faces[0], frame.size, frame.time_s)
                if number % _EVERY:
                    continue
                region = head_region(head, frame.size)
                wanted = (chroma_key_mask(frame.pixels) > 0.5).astype(np.uint8)
                wanted[round(float(faces[0].points_px[_CHIN, 1])) :] = 255
                yield Case(
                    path.stem, _squeezed(frame.pixels, region), _nearest(wanted, region), "grid"
                )


def portrait_cases(folder: Path) -> Iterator[Case]:
    """Take the portraits of Deep 3D Portrait with their masks."""
    for path in sorted(folder.glob("*.mat")):
        found = sorted(folder.glob(f"{path.stem}.jp*g"))
        if not found:
            continue
        pixels = cv2.cvtColor(cv2.imread(str(found[0])), cv2.COLOR_BGR2RGB)
        mask = scipy.io.loadmat(path)["mask"]
        table = np.array([0, 1, 2, 3, 3, 1], np.uint8)  # both ears; the mouth is part of the face
        wanted = table[mask.astype(int).clip(0, 5)]
        scale = 1280 / max(pixels.shape[:2])
        if scale < 1:
            pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        wanted = cv2.resize(wanted, pixels.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        head = _fitted(pixels)
        if head is None:
            continue
        region = head_region(head, (pixels.shape[1], pixels.shape[0]))
        yield Case(path.stem, _squeezed(pixels, region), _nearest(wanted, region), "portrait")


def scores(cases: list[Case], labels: list[np.ndarray]) -> dict[str, float]:
    """Return intersections over union, each over all pixels of all cases together.

    Args:
        cases: the cases.
        labels: (256, 256) found labels of each, as the contract numbers them.
    """
    sums: dict[str, np.ndarray] = {}
    for case, found in zip(cases, labels, strict=True):
        judged = case.wanted != 255
        pairs = {"grid head": (np.isin(found, (*_HEAD, 8)), case.wanted == 1)}
        if case.kind == "portrait":
            pairs = {
                "portrait face": (np.isin(found, (1, 5, 6)), case.wanted == 1),
                "portrait hair": (found == 2, case.wanted == 2),
                "portrait ears": (found == 3, case.wanted == 3),
                "portrait head": (np.isin(found, _HEAD), case.wanted > 0),
            }
        for name, (a, b) in pairs.items():
            both, either = (a & b & judged).sum(), ((a | b) & judged).sum()
            sums[name] = sums.get(name, np.zeros(2)) + np.array([both, either])
    return {name: round(float(a / max(b, 1)), 4) for name, (a, b) in sorted(sums.items())}


def _fitted(pixels: np.ndarray) -> Head | None:
    with FaceTracker(1, still=True) as tracker:
        faces = tracker.track(Frame(pixels))
    if not faces:
        return None
    return HeadFitter(load_head_model()).fit(faces[0], (pixels.shape[1], pixels.shape[0]), 0.0)


def _squeezed(pixels: np.ndarray, region: Region) -> np.ndarray:
    return cv2.resize(region.crop(pixels), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _nearest(labels: np.ndarray, region: Region) -> np.ndarray:
    return cv2.resize(region.crop(labels), (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)


def _person(cases: list[Case]) -> list[np.ndarray]:
    """MediaPipe's person network, for comparison: 1 where it sees a person."""
    segmenter = PersonSegmenter()
    found = [(segmenter.segment(case.crop) > 0.5).astype(np.uint8) for case in cases]
    segmenter.close()
    return found


def main(
    onnx: Path = Path("engines/weights/head_segmentation.onnx"),
    data: Path = Path("../shared/data"),
    sheet: Path | None = None,
) -> None:
    """Print the scores as JSON; write a sheet of crop, reference and answer."""
    cases = [*grid_cases(data / "dev_clips"), *portrait_cases(data / "d3dportrait" / "examples")]
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    labels = []
    for case in cases:
        picture = case.crop.transpose(2, 0, 1)[None].astype(np.float32) / 255
        labels.append(session.run(None, {"picture": picture})[0][0].argmax(0).astype(np.uint8))
    print(json.dumps(scores(cases, labels), indent=1))
    grid = [case for case in cases if case.kind == "grid"]
    print(json.dumps({"mediapipe": scores(grid, _person(grid))}))
    if sheet is not None:
        _write_sheet(sheet, cases, labels)


def _write_sheet(path: Path, cases: list[Case], labels: list[np.ndarray]) -> None:
    rows = []
    for case, found in zip(cases, labels, strict=True):
        wanted = np.where(case.wanted == 255, 0, case.wanted)
        mixed = (0.5 * case.crop + 0.5 * LABEL_RGB[found]).astype(np.uint8)
        rows.append(np.hstack([case.crop, LABEL_RGB[wanted], LABEL_RGB[found], mixed]))
    while len(rows) % 2:
        rows.append(np.zeros_like(rows[0]))
    pairs = [np.hstack(rows[i : i + 2]) for i in range(0, len(rows), 2)]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(pairs), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    tyro.cli(main)
