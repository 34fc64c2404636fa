"""Coarse re-posed heads with their truth, for the network `refine`.

    python -m training.learn.refine_pairs OUT --data ../shared/data --count 5000

The live path's own stages turn a synthetic person from one view to the pose of another, which is
known. Views differ from what the path can give by more than its faults: by the light on the turned
skin, and by a pixel or two where the fit is off. The truth is therefore laid onto the coarse
picture (`learn.refine_truth`) before anything learns from it.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
import tyro
from rich.progress import track

from stream.frame import Face, Frame
from stream.media.base import StreamInfo
from stream.networks import NetworkSettings
from stream.outlook import Outlook
from stream.pipeline import STILL_SAMPLES, Reposer
from stream.plate import PlateSettings
from stream.pose import PoseRequest
from stream.refine import SIZE, allowed, refine_masks, squeezed
from stream.settings import Settings
from stream.stats import StageTimer
from training.learn.refine_guesses import TellingWarp
from training.learn.refine_truth import aligned_truth, in_tone
from training.synthetic.dataset import Synthesiser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from stream.hair_depth import HeadDepth  # noqa: F401
    from stream.mesh import HeadMesh
    from stream.pose import HeadMotion
    from stream.region import Region

SYNTHETIC, REAL, TURNED = range(3)  # kinds: a pair; a real frame; a real frame, turned
FIELDS: dict[str, tuple[tuple[int, ...], str]] = {
    "coarse": ((SIZE, SIZE, 3), "uint8"),
    "masks": ((SIZE, SIZE, 4), "uint8"),
    "guesses": ((SIZE, SIZE, 3), "uint8"),
    "truth": ((SIZE, SIZE, 3), "uint8"),
    "kind": ((), "uint8"),
}
_VIEWS = 3  # of a person; each is turned to each
_LOOKS = 0.5, 0.2, 0.3  # shares of pictures, streams that begin, and streams that have run on
_TURN_DEG = (4.0, 45.0)
_MOST_YAW_DEG = 55.0  # beyond, no tracker holds a face
_NOISE = (0.0013, 0.0031)  # of each tracked point, and of all together, as shares of the view
_MOST_ERROR = 14.0  # grey levels between what is sure and the truth: a failed fit
_MOST_WRONG = 18.0  # the same of guesses: nothing that a repair could come near


@dataclass(frozen=True, slots=True)
class Coarse:
    """What the live path made of a frame, before it went back into it.

    Attributes:
        drawn: (h, w, 3) uint8, the re-posed region.
        before: (h, w, 3) uint8, the frame there.
        matte: (h, w) uint8, the person in the frame there.
        region: where that is.
        masks: (256, 256, 4) uint8, see `stream.refine.refine_masks`.
        guesses: (256, 256, 3) uint8, see `learn.refine_guesses`.
    """

    drawn: np.ndarray
    before: np.ndarray
    matte: np.ndarray
    region: Region
    masks: np.ndarray
    guesses: np.ndarray


@dataclass(frozen=True, slots=True)
class View:
    """One view of a synthetic person.

    Attributes:
        pixels: (S, S, 3) uint8 RGB.
        alpha: (S, S) uint8, coverage by the person.
        points_px: (478, 3) float32 as `Face` has them, exact.
        camera_from_head: (4, 4) float64.
        yaw_deg: as seen.
    """

    pixels: np.ndarray
    alpha: np.ndarray
    points_px: np.ndarray
    camera_from_head: np.ndarray
    yaw_deg: float


class _KeepingWarp(TellingWarp):
    """Keeps what it draws: the region drawn, the frame and the matte there, and where it is."""

    kept: tuple[np.ndarray, np.ndarray, np.ndarray, Region] | None = None

    def begin(
        self, picture: np.ndarray, matte: np.ndarray, plate: np.ndarray, region: Region,
        mesh: HeadMesh, motion: HeadMotion, camera: np.ndarray, presence: float = 1.0,
    ) -> None:  # fmt: skip
        """Draw as the live path does."""
        super().begin(picture, matte, plate, region, mesh, motion, camera, presence)
        self._before = picture.copy(), matte, region

    def finish(self) -> np.ndarray:
        """Finish as the live path does."""
        drawn = super().finish()
        self.kept = drawn, *self._before
        return drawn


class Look(Enum):
    """What a frame belongs to, which the live path draws differently."""

    PICTURE = "picture"  # a finer mesh, several samples a pixel, the best background fill
    BEGUN = "begun"  # a stream's first second: smooth colours behind the head
    RUNNING = "running"  # later in a stream, when its better fill is there


def drawn_look(rng: np.random.Generator) -> Look:
    """Draw what a frame belongs to: half of them are pictures."""
    return tuple(Look)[rng.choice(len(Look), p=_LOOKS)]


class CoarsePath(Reposer):
    """The live path up to the warp.

    Args:
        size: (width, height) of the frames.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        settings = replace(Settings(), networks=NetworkSettings(refine=False), helper=False)
        super().__init__(settings, StreamInfo(*size), StageTimer())
        context = self._warp.context
        self._video, self._picture = _KeepingWarp(context), _KeepingWarp(context, STILL_SAMPLES)
        self._warp = self._keeping = self._picture
        self._given: Face | None = None
        self._number = 0
        self.forget(Look.PICTURE)

    def forget(self, look: Look) -> None:
        """Begin with a new person."""
        self._still, self._look = look is Look.PICTURE, look
        self._warp = self._keeping = self._picture if self._still else self._video
        completion: Literal["inline", "off"] = "inline" if look is Look.RUNNING else "off"
        self._settings = replace(self._settings, plate=PlateSettings(completion=completion))
        self._forget()
        self._heads.reset()

    def turned(self, pixels: np.ndarray, face: Face | None, request: PoseRequest) -> Coarse | None:
        """Turn the head of a frame.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            face: the tracked face; looked for when absent.
            request: what is asked of it.

        Returns:
            None where there is no face, or it would not move.
        """
        self._given, self._keeping.kept = face, None
        # The better fill of a stream is made while the first frame is shown.
        for _ in range(2 if self._look is Look.RUNNING and not self._followed else 1):
            self._number += 1
            parts = self._parts(Frame(pixels, self._number, self._number / 25), request)
            deque(parts, maxlen=0)  # does them all
        if self._keeping.kept is None:
            return None
        drawn, before, matte, region = self._keeping.kept
        unseen = self.unseen(region, (SIZE, SIZE))
        masks = refine_masks(self._keeping.provenance(SIZE), unseen)
        return Coarse(drawn, before, matte, region, masks, self._keeping.guesses())

    def unseen(self, region: Region, size: tuple[int, int]) -> np.ndarray:
        """Tell where the background of the last head is a guess; see `BackgroundPlate.unseen`."""
        last = next(reversed(self._followed))
        return self._outlook.call(Outlook.unseen, last, region, size).result()

    def _track(self, frame: Frame) -> list[Face]:
        return super()._track(frame) if self._given is None else [self._given]


# --- synthetic pairs ----------------------------------------------------------------------------


def tracked(points_px: np.ndarray, side_px: int, rng: np.random.Generator, number: int = 0) -> Face:
    """Make a tracked face of exact points: each a little off, and all a little shifted.

    Args:
        points_px: (478, 3) as `Face` has them.
        side_px: of the view.
        rng: draws how far they are off.
        number: of the face.
    """
    own, common = (share * side_px for share in _NOISE)
    noisy = points_px + rng.normal(0, own, points_px.shape) * [1, 1, 2]
    noisy[:, :2] += rng.normal(0, common / 2, 2)
    middle = noisy[:, :2].mean(axis=0)
    noisy[:, :2] = middle + (noisy[:, :2] - middle) * (1 + rng.normal(0, 0.006))
    return Face(number, noisy.astype(np.float32))


def pairs_of(
    path: CoarsePath, views: Sequence[View], rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Turn each view of a person to each other one.

    Yields:
        Coarse picture, masks, guesses and truth, (256, 256, …) uint8.
    """
    for first in views:
        path.forget(drawn_look(rng))
        side = first.pixels.shape[1]
        face = tracked(first.points_px, side, rng)
        for second in views:
            if second is first or not _fits(first, second):
                continue
            request = PoseRequest(like=tracked(second.points_px, side, rng))
            coarse = path.turned(first.pixels, face, request)
            if coarse is None or min(coarse.drawn.shape[:2]) < SIZE // 3:
                continue
            picture = squeezed(coarse.drawn)
            truth = squeezed(coarse.region.crop(second.pixels))
            alpha = cv2.resize(coarse.region.crop(second.alpha), (SIZE, SIZE))
            truth, error = aligned_truth(picture, coarse.masks, truth, alpha)
            if error < _MOST_ERROR and guess_error(picture, coarse.masks, truth) < _MOST_WRONG:
                yield picture, coarse.masks, coarse.guesses, in_tone(picture, coarse.masks, truth)


def guess_error(coarse: np.ndarray, masks: np.ndarray, truth: np.ndarray) -> float:
    """Return by how many grey levels guesses of a coarse picture differ from the truth, in mean.

    Args:
        coarse: (S, S, 3) uint8.
        masks: (S, S, 4) uint8.
        truth: (S, S, 3) uint8.
    """
    weight = allowed(np.ascontiguousarray(masks)).astype(np.float64)
    off = np.abs(coarse.astype(np.float64) - truth).mean(axis=-1)
    return float((weight * off).sum() / max(weight.sum(), 1.0))


def _fits(first: View, second: View) -> bool:
    turn = first.camera_from_head[:3, :3].T @ second.camera_from_head[:3, :3]
    degrees = np.degrees(np.linalg.norm(cv2.Rodrigues(turn)[0]))
    ahead = max(abs(first.yaw_deg), abs(second.yaw_deg)) < _MOST_YAW_DEG
    return bool(ahead and _TURN_DEG[0] < degrees < _TURN_DEG[1])


_state: dict[str, tuple[Synthesiser, int, bool]] = {}


def _begin(data_dir: Path, size: int, seed: int, held_out: bool) -> None:
    cv2.setNumThreads(1)
    _state["own"] = Synthesiser(data_dir, size), seed, held_out


def _views(index: int) -> list[View]:
    """Draw one person in several poses, in a process of its own: contexts of OpenGL clash."""
    synthesiser, seed, held_out = _state["own"]
    views = []
    for sample in synthesiser.tuple(seed, index, _VIEWS, held_out):
        if sample.facts["handheld"] != "none":
            return []  # stays where it is while the head turns: no path could know
        points = sample.points478_px.copy()
        middle_mm = float(points[:468, 2].mean())
        points[:, 2] = (points[:, 2] - middle_mm) * sample.camera.intrinsics[0, 0] / middle_mm
        alpha = np.rint(sample.layers.alpha * 255).astype(np.uint8)
        yaw = float(sample.facts["yaw"])
        views.append(View(sample.pixels, alpha, points, sample.camera.camera_from_head, yaw))
    return views


class SetWriter:
    """Writes a set that `learn.prepared.open_set` opens; what was written before may be added to.

    Args:
        folder: where to; made when absent.
        capacity: most examples that it will hold.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self.count = folder, 0
        self._fields = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, (capacity, *shape))
            for name, (shape, kind) in FIELDS.items()
        }

    def add(
        self, kind: int, coarse: np.ndarray, masks: np.ndarray, guesses: np.ndarray,
        truth: np.ndarray,
    ) -> None:  # fmt: skip
        """Write one example; arrays as `FIELDS` has them."""
        values = {"coarse": coarse, "masks": masks, "guesses": guesses, "truth": truth}
        for name, value in values.items():
            self._fields[name][self.count] = value
        self._fields["kind"][self.count] = kind
        self.count += 1

    def close(self, recipe: dict[str, int | bool]) -> None:
        """Say how many there are; until then the set counts as unfinished."""
        for array in self._fields.values():
            array.flush()
        summary = {"count": self.count, "size": SIZE, **recipe}
        draft = self._folder / "set.draft"
        draft.write_text(json.dumps(summary) + "\n")
        draft.replace(self._folder / "set.json")


def make(
    out: tyro.conf.Positional[Path], *, data: Path = Path("../shared/data"), count: int = 5000,
    size: int = 512, seed: int = 11, held_out: bool = False, workers: int = 1,
) -> None:  # fmt: skip
    """Turn synthetic people and keep what comes of it beside the truth.

    Args:
        out: folder of the set.
        data: the data folder.
        count: pairs.
        size: side of the views; regions of heads are about half of it, and squeezed.
        seed: of the set.
        held_out: skins and hair that training never sees.
        workers: processes that draw people.
    """
    writer, rng = SetWriter(out, count), np.random.default_rng([seed, 5])
    cv2.setNumThreads(1)
    settings = (data, size, seed, held_out)
    with (
        multiprocessing.get_context("spawn").Pool(workers, _begin, settings) as pool,
        CoarsePath((size, size)) as path,
    ):
        pairs = (
            pair
            for views in pool.imap(_views, range(10 * count))
            for pair in pairs_of(path, views, rng)
        )
        for _, pair in zip(track(range(count)), pairs, strict=False):
            writer.add(SYNTHETIC, *pair)
            if writer.count % 250 == 0:
                writer.close({"seed": seed, "held_out": held_out})
        writer.close({"seed": seed, "held_out": held_out})
        pool.terminate()


if __name__ == "__main__":
    tyro.cli(make)
