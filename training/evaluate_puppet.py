"""Measure how well a photo follows its driver.

    OPENBLAS_NUM_THREADS=1 python -m training.evaluate_puppet --photo IMAGE --clip FILE ...

With --sheet, a picture is drawn instead: moments of the first clip above what each photo, at
the left, makes of them.

Every photo is driven by every clip. Tracker and fit look at what comes out just as at what goes
in, and both are compared: opening of mouth and eyes (correlation), angles (correlation and
gain), the tracked points against where the driver's expression should put them (percent of the
distance between the outer eye corners), flicker (second differences of the points over time, out
over in; beside it that of the points as they were drawn, to which the tracker adds its own noise,
that of the picture itself by optical flow, which needs no tracker, and that of the skin's
colours), and whose identity the fit sees. A clip ends at its first cut:
after it the driver's rest is another.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path  # noqa: TC003  tyro reads the annotations
from typing import TYPE_CHECKING, Annotated

import cv2
import numpy as np
import tyro

from stream.head_model import load_head_model
from stream.heads import HeadFinder
from stream.media import open_source, write_picture
from stream.networks import Networks
from stream.pose import PoseRequest
from stream.puppet.driver import Measure, face_middle, measure
from stream.puppet.path import Puppeteer, PuppetOptions
from stream.puppet.photo import read_photo
from stream.settings import Settings
from stream.stats import StageTimer
from training.evaluate_swap.measures import colour_courses, jerk
from training.flow import Flow, unsteadiness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.frame import Frame, Head

_EYE_CORNERS = (33, 263)
_INNER = 468
_TILE = 256
_WARM_UP = 15  # frames until rest and identity are known


@dataclass(frozen=True, slots=True)
class Seen:
    """What tracker and fit see in one frame.

    Attributes:
        points_px: (478, 3) tracked points.
        measure: of pose and expression.
        identity: (K,) of the fitted head.
    """

    points_px: np.ndarray
    measure: Measure
    identity: np.ndarray


@dataclass(frozen=True, slots=True)
class Row:
    """One frame.

    Attributes:
        before, after: what is seen in the driver, and in what came out.
        wanted_px: (468, 2) where the tracked points should lie in what came out.
        colours: (2, N, 3) mean colours of steady skin in both, 0…255.
        flow: (2, 468, 2) how far the pixels went since the last frame; see `training.flow`.
    """

    before: Seen
    after: Seen
    wanted_px: np.ndarray
    colours: np.ndarray
    flow: np.ndarray


@dataclass(frozen=True, slots=True)
class Score:
    """How well one photo followed one clip.

    Attributes:
        frames: that were compared.
        mouth, eyes: correlation of the openings.
        spread: standard deviations of the driver's yaw, pitch, roll, degrees: what hardly
            changes cannot be followed.
        turn: correlations of yaw, pitch, roll.
        gain: degrees out for a degree in.
        points: mean error of the tracked points, % of the distance of the eye corners.
        flicker: of the points, out over in, both over the distance of the eye corners.
        drawn: the same of the points as they were drawn.
        flow: flicker of the picture itself: mean change of its optical flow, out over in.
        colour: flicker of the skin's colours, out over in.
        identity: share of frames whose fitted identity is nearer to the photo's.
    """

    frames: int
    mouth: float
    eyes: float
    spread: tuple[float, ...]
    turn: tuple[float, ...]
    gain: tuple[float, ...]
    points: float
    flicker: float
    drawn: float
    flow: float
    colour: float
    identity: float


class Looker:
    """Tracks and fits the one face of a stream of frames."""

    def __init__(self, settings: Settings) -> None:
        self._beside = ThreadPoolExecutor(1)
        self._networks = Networks(settings.networks)
        network = self._networks.get("face_3dmm")
        model = load_head_model()
        self._middle = face_middle(model)
        self._finder = HeadFinder(model, settings, network, self._beside)

    @property
    def cut(self) -> bool:
        """Whether the last frame began a new scene."""
        return self._finder.cut

    def look(self, frame: Frame) -> Seen | None:
        """Return what is seen, or None without a face."""
        faces = self._finder.track(frame)
        heads: list[Head] = self._finder.fit(frame, faces)
        if not heads or not faces[0].fresh or heads[0].presence < 1:
            return None
        return Seen(
            faces[0].points_px,
            measure(faces[0], heads[0], self._middle),
            heads[0].identity,
        )

    def close(self) -> None:
        """Give back the networks."""
        self._finder.close()
        self._beside.shutdown()
        self._networks.close()


def driven(photo: Path, clip: Path, most: int) -> Iterator[Row]:
    """Drive a photo by a clip, as far as its first cut."""
    settings = replace(Settings(), faces="largest")
    with open_source(str(clip)) as source:
        looks = Looker(settings), Looker(settings)
        path = Puppeteer(str(photo), PuppetOptions(), settings, source.info, StageTimer())
        flows: list[Flow] = []
        try:
            for frame in source:
                if frame.index >= most:
                    break
                shown = path.process(frame, PoseRequest())
                before, after = looks[0].look(frame), looks[1].look(shown)
                if looks[0].cut:
                    break
                if before is not None and after is not None and frame.index >= _WARM_UP:
                    wanted = path.expected_points_px()
                    pictures = [frame.pixels, shown.pixels]
                    places = [before.points_px[:_INNER, :2], wanted]
                    flows = flows or [Flow(_eyes_px(one)) for one in places]
                    flow = [
                        follow(*one) for follow, *one in zip(flows, pictures, places, strict=True)
                    ]
                    colours = colour_courses(pictures, places)
                    yield Row(before, after, wanted, colours, np.stack(flow))
                else:
                    for follow in flows:
                        follow.reset()
        finally:
            path.close()
            for look in looks:
                look.close()


def score(rows: list[Row], photo_identity: np.ndarray) -> Score:
    """Compare what went in with what came out."""
    before, after, wanted = ([getattr(row, name) for row in rows]
                             for name in ("before", "after", "wanted_px"))  # fmt: skip
    colours, flows = (
        [np.stack([getattr(row, name)[number] for row in rows]) for number in (0, 1)]
        for name in ("colours", "flow")
    )
    angles = (np.stack([one.measure.angles for one in seen]).T for seen in (before, after))
    pairs = list(zip(*angles, strict=True))
    errors = [
        np.linalg.norm(seen.points_px[:_INNER, :2] - points, axis=1).mean()
        / _eyes_px(seen.points_px)
        for seen, points in zip(after, wanted, strict=True)
    ]
    driver = np.mean([one.identity for one in before], axis=0)
    nearer = [
        np.linalg.norm(one.identity - photo_identity) < np.linalg.norm(one.identity - driver)
        for one in after
    ]
    return Score(
        frames=len(rows),
        mouth=_correlation(*([one.measure.mouth[0] for one in seen] for seen in (before, after))),
        eyes=_correlation(*([one.measure.eyes.mean() for one in seen] for seen in (before, after))),
        spread=tuple(float(turn.std()) for turn, _ in pairs),
        turn=tuple(_correlation(*pair) for pair in pairs),
        gain=tuple(_gain(*pair) for pair in pairs),
        points=100 * float(np.mean(errors)),
        flicker=_flicker(_tracked(after)) / _flicker(_tracked(before)),
        drawn=_flicker(np.stack(wanted)) / _flicker(_tracked(before)),
        flow=unsteadiness(flows[1]) / unsteadiness(flows[0]),
        colour=jerk(colours[1]) / jerk(colours[0]),
        identity=float(np.mean(nearer)),
    )


def _eyes_px(points_px: np.ndarray) -> float:
    left, right = points_px[list(_EYE_CORNERS), :2]
    return float(np.linalg.norm(left - right))


def _tracked(seen: list[Seen]) -> np.ndarray:
    return np.stack([one.points_px[:_INNER, :2] for one in seen])


def _flicker(points_px: np.ndarray) -> float:
    """Return the mean second difference of (frames, 468, 2) points over the eyes' distance."""
    left, right = (points_px[:, corner] for corner in _EYE_CORNERS)
    scale = float(np.median(np.linalg.norm(left - right, axis=1)))
    return float(np.abs(np.diff(points_px, n=2, axis=0)).mean()) / scale


def _correlation(a: object, b: object) -> float:
    first, second = np.asarray(a, float), np.asarray(b, float)
    if first.std() < 1e-9 or second.std() < 1e-9:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _gain(before: np.ndarray, after: np.ndarray) -> float:
    spread = before - before.mean()
    return float((spread @ (after - after.mean())) / max(spread @ spread, 1e-9))


def sheet(photos: tuple[Path, ...], clip: Path, columns: int, most: int) -> np.ndarray:
    """Return (h, w, 3) uint8: moments of a clip, and below what each photo makes of them."""
    with open_source(str(clip)) as source:
        frames = [frame for frame, _ in zip(source, range(most), strict=False)]
        info = source.info
    moments = np.linspace(_WARM_UP, len(frames) - 1, columns).round().astype(int).tolist()
    blank = np.full((_TILE, _TILE, 3), 255, np.uint8)
    rows = [np.hstack([blank, *(_tile(frames[number].pixels) for number in moments)])]
    for photo in photos:
        options = PuppetOptions()
        with Puppeteer(str(photo), options, Settings(), info, StageTimer()) as path:
            shown = [path.process(frame, PoseRequest()).pixels for frame in frames]
        rows.append(
            np.hstack(
                [_tile(read_photo(str(photo))), *(_tile(shown[number]) for number in moments)]
            )
        )
    return np.vstack(rows)


def _tile(pixels: np.ndarray) -> np.ndarray:
    """Return the middle square of a picture, (_TILE, _TILE, 3)."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    return cv2.resize(square, (_TILE, _TILE), interpolation=cv2.INTER_AREA)


def identity_of(photo: Path) -> np.ndarray:
    """Return (K,) the identity that the fit alone sees in a photo."""
    with open_source(str(photo)) as source, ThreadPoolExecutor(1) as beside:
        frame = next(iter(source))
        with HeadFinder(load_head_model(), Settings(), None, beside, still=True) as finder:
            return finder.fit(frame, finder.track(frame))[0].identity


def _cell(value: float | tuple[float, ...]) -> str:
    if isinstance(value, tuple):
        return " ".join(f"{one:.2f}" for one in value)
    return f"{value:d}" if isinstance(value, int) else f"{value:.2f}"


def main(
    photo: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction],
    clip: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction],
    most: int = 200,
    sheet_to: Annotated[Path | None, tyro.conf.arg(name="sheet", metavar="FILE")] = None,
    columns: int = 5,
) -> None:
    """Drive every photo by every clip and print a table, or draw a sheet.

    Args:
        photo: pictures.
        clip: videos of drivers.
        most: frames of each clip.
        sheet_to: draw a sheet of the first clip into this file instead.
        columns: moments in the sheet.
    """
    if sheet_to is not None:
        write_picture(sheet_to, sheet(photo, clip[0], columns, most), quality=88)
        return
    names = [one.name for one in fields(Score)]
    print("| photo | clip | " + " | ".join(names) + " |")
    print("| --- " * (len(names) + 2) + "|")
    for picture in photo:
        identity = identity_of(picture)
        for driver in clip:
            rows = list(driven(picture, driver, most))
            if len(rows) < 3:
                print(f"| {picture.stem} | {driver.stem} | too few frames with a face |")
                continue
            result = score(rows, identity)
            values = [getattr(result, name) for name in names]
            cells = [_cell(value) for value in values]
            print(f"| {picture.stem} | {driver.stem} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    tyro.cli(main, prog="python -m training.evaluate_puppet", description=__doc__)
