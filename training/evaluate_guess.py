"""Measure what the network `face_3dmm` brings to the fit of the head model.

    python -m training.evaluate_guess people [--people 24] [--source ict|makehuman]
    python -m training.evaluate_guess pictures SET [--count 200]
    python -m training.evaluate_guess clips [CLIP ...]
    python -m training.evaluate_guess alone [CLIP ...] [--sheet SHEET.png]

`people` draws synthetic people whom training never saw, tracks their faces in single pictures,
fits them as the live path does, and compares the face at rest with the true one: mean distance
of its vertices in mm, once place, turn and size are taken away; `pictures` does so on a prepared
set. `clips` fits real clips with and
without the network: the distance between tracked and fitted points in % of the inter-ocular
distance, and how long identity takes to settle: the seconds after which the points at rest
never again lie farther than 0.5 mm (mean) from where they are at the end. `alone` compares
tracked points with those of the head as the network alone sees it, and draws it.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
import tyro

from engines.opening import open_engine
from engines.spec import SPECS, WEIGHTS
from stream.face_3dmm import FaceReader, cut, face_crop
from stream.face_looks import FaceLooks
from stream.fit import FitSettings, HeadFitter
from stream.frame import Frame, Head
from stream.geometry import pinhole_camera
from stream.head_model import load_head_model
from stream.media import open_source
from stream.track import FaceTracker
from training.evaluate_fit import draw_head, point_errors_px, unsmoothed
from training.learn.prepared import open_set
from training.synthetic.dataset import VIEWS_PER_PERSON, Synthesiser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stream.face_3dmm import FaceGuess, Network
    from stream.frame import Face
    from stream.head_model import HeadModel

_EYE_CORNERS = (33, 263)
_SETTLED_MM = 0.5
_SUFFIXES, _PICTURES = {".mp4", ".mpg", ".gif"}, {".jpg", ".png"}
_TILE, _TILES = 192, 5  # pixels; pairs of pictures in a row of the sheet
_GUESS_MM = FitSettings().guess_mm
Clips = tyro.conf.Positional[tuple[Path, ...]]
app = tyro.extras.SubcommandApp()


def shape_error(found: np.ndarray, true: np.ndarray) -> float:
    """Return the mean distance of (V, 3) points after the best similarity, in the true size."""
    a, b = found - found.mean(axis=0), true - true.mean(axis=0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.linalg.det(u @ vt)])
    scale = (s * sign).sum() / (a * a).sum()
    return float(np.linalg.norm(scale * a @ ((u * sign) @ vt).T - b, axis=1).mean())


def people_drawn(
    synthesiser: Synthesiser, source: str, seed: int
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Draw held-out people without end: true vertices at rest, and pictures of each."""
    number = 0
    while True:
        number += 1
        first = number * VIEWS_PER_PERSON
        sample = synthesiser.sample(seed, first, held_out=True)
        if sample.facts["source"] != source:
            continue
        views = range(first + 1, first + VIEWS_PER_PERSON)
        pictures = [sample.pixels, *(synthesiser.sample(seed, i, True).pixels for i in views)]
        person = synthesiser._person(seed, number, True)
        still = synthesiser._people.portrait(person, {}, np.zeros(3))
        yield still.model_vertices_mm, pictures


def measure_picture(
    model: HeadModel,
    true: np.ndarray,
    frame: Frame,
    face: Face,
    guess: FaceGuess,
    guess_mm: float = _GUESS_MM,
) -> dict[str, float]:
    """Compare fits of one picture: errors at rest in mm, of points in %."""
    skin = model.labels == 1
    result = {
        "mean": shape_error(model.vertices[skin], true[skin]),
        "network": shape_error(model.shape(guess.identity)[skin], true[skin]),
    }
    settings = replace(unsmoothed(FitSettings()), guess_mm=guess_mm)
    for name, given in (("fit", None), ("both", guess)):
        head = HeadFitter(model, settings).fit(face, frame.size, 0.0, given)
        result[name] = shape_error(model.shape(head.identity)[skin], true[skin])
        result[f"{name} %"] = _percent(model, head, face)
    return result


@app.command
def people(
    *, people: int = 24, source: Literal["ict", "makehuman"] = "ict", seed: int = 4242,
    weights: Path = WEIGHTS, data: Path = Path("../shared/data"), size: int = 384,
    guess_mm: float = _GUESS_MM,
) -> None:  # fmt: skip
    """Compare the face at rest with the truth, on people whom training never saw."""
    with Synthesiser(data, size) as synthesiser:
        drawn = islice(people_drawn(synthesiser, source, seed), people)
        pairs = ((true, pixels) for true, pictures in drawn for pixels in pictures)
        _compare(pairs, weights, guess_mm)


@app.command
def pictures(
    data: tyro.conf.Positional[Path], *, count: int = 200, weights: Path = WEIGHTS,
    guess_mm: float = _GUESS_MM,
) -> None:  # fmt: skip
    """Compare the face at rest with the truth, on a prepared set."""
    held_out, model = open_set(data), load_head_model()
    rows = np.linspace(0, held_out.count - 1, min(count, held_out.count)).astype(int)
    pairs = ((model.shape(held_out["identity"][i]), held_out["pixels"][i]) for i in rows.tolist())
    _compare(pairs, weights, guess_mm)


def _compare(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], weights: Path, guess_mm: float
) -> None:
    """Print the errors of fits of pictures, each with its true vertices at rest."""
    model, reader = load_head_model(), FaceReader(_network(weights))
    rows, looked = [], 0
    with FaceTracker(1, still=True) as tracker:
        for true, pixels in pairs:
            looked += 1
            frame = Frame(np.array(pixels))
            for face in tracker.track(frame)[:1]:
                guess = reader.read(frame, [face])[0]
                rows.append(measure_picture(model, true, frame, face, guess, guess_mm))
    print(f"a face was found in {len(rows)} of {looked} pictures")
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        print(f"{name:10} mean {values.mean():5.2f}  median {np.median(values):5.2f}")


@app.command
def clips(clips: Clips = (), weights: Path = WEIGHTS, guess_mm: float = _GUESS_MM) -> None:
    """Fit real clips with and without the network."""
    model, network = load_head_model(), _network(weights)
    print("clip                      without: %  settled s   with: %  settled s   apart mm")
    for path in _paths(clips, _SUFFIXES):
        with FaceTracker() as tracker, open_source(str(path)) as source:
            seen = [(replace(frame), tracker.track(frame), tracker.cut) for frame in source]
        settings = replace(unsmoothed(FitSettings()), guess_mm=guess_mm)
        fits = [_fitted(model, settings, seen, net) for net in (None, network)]
        if fits[0] is None or fits[1] is None:
            print(f"{path.name[:24]:24}  no face")
            continue
        (bare, bare_s, bare_rest), (helped, helped_s, helped_rest) = fits[0], fits[1]
        apart = shape_error(helped_rest, bare_rest)
        print(
            f"{path.name[:24]:24}  {bare:10.2f} {bare_s:10.2f} {helped:9.2f} {helped_s:10.2f} "
            f"{apart:10.2f}",
            flush=True,
        )


@app.command
def alone(
    clips: Clips = (), weights: Path = WEIGHTS, frames: int = 12, sheet: Path | None = None
) -> None:
    """Compare the network's own head with the tracked points, without any fit."""
    model, reader = load_head_model(), FaceReader(_network(weights))
    rows = []
    for path in _paths(clips, _SUFFIXES | _PICTURES):
        shots = list(_shots(path, frames))
        heads = [_guessed(reader, frame, face) for frame, face in shots]
        errors = [_percent(model, h, f) for h, (_, f) in zip(heads, shots, strict=True)]
        print(f"{path.name[:24]:24} {len(errors):4} frames  {np.mean(errors or [np.nan]):6.2f} %")
        pairs = zip(shots[::3], heads[::3], strict=True)
        rows += [_drawn(model, frame, face, head) for (frame, face), head in pairs]
    if sheet is not None:
        blank = np.zeros_like(rows[0])
        rows += [blank] * (-len(rows) % _TILES)
        lines = [np.hstack(rows[i : i + _TILES]) for i in range(0, len(rows), _TILES)]
        cv2.imwrite(str(sheet), cv2.cvtColor(np.vstack(lines), cv2.COLOR_RGB2BGR))


def _shots(path: Path, count: int) -> Iterator[tuple[Frame, Face]]:
    """Yield up to `count` frames of a clip with their largest face, tracked one by one."""
    with open_source(str(path)) as source:
        seen = list(source)
    with FaceTracker(1, still=True) as tracker:
        for frame in seen[:: max(1, len(seen) // count)][:count]:
            for face in tracker.track(frame)[:1]:
                yield frame, face


def _guessed(reader: FaceReader, frame: Frame, face: Face) -> Head:
    guess, camera = reader.read(frame, [face])[0], pinhole_camera(*frame.size)
    pose = guess.camera_from_head(camera)
    return Head(face.id, guess.identity, guess.expression, pose, camera)


def _percent(model: HeadModel, head: Head, face: Face) -> float:
    span = float(np.linalg.norm(np.subtract(*face.points_px[list(_EYE_CORNERS)])))
    return 100 * float(point_errors_px(model, head, face).mean()) / span


def _drawn(model: HeadModel, frame: Frame, face: Face, head: Head) -> np.ndarray:
    """Draw a face beside the network's head over it."""
    crop = face_crop(face.points_px)
    matrix = crop.matrix(_TILE)
    camera = np.vstack([matrix, [0, 0, 1]]) @ head.camera
    picture = cut(frame.pixels, crop)
    picture = cv2.resize(picture, (_TILE, _TILE), interpolation=cv2.INTER_LINEAR)
    return np.hstack([picture, draw_head(picture, replace(head, camera=camera), model)])


def _paths(clips: tuple[Path, ...], suffixes: set[str]) -> list[Path]:
    data = Path(os.environ.get("VOLTFACE_DATA", "../shared/data"))
    found = [*(data / "dev_clips").iterdir(), *(data / "dev_portraits").iterdir()]
    return list(clips) or sorted(path for path in found if path.suffix in suffixes)


def _fitted(
    model: HeadModel,
    settings: FitSettings,
    seen: list[tuple[Frame, list[Face], bool]],
    network: Network | None,
) -> tuple[float, float, np.ndarray] | None:
    """Fit a clip: error in %, seconds until identity settles, and the last points at rest."""
    fitter = HeadFitter(model, settings)
    errors: list[float] = []
    rest: dict[int, list[tuple[float, np.ndarray]]] = {}
    with ThreadPoolExecutor(1) as pool:
        looks = FaceLooks(network, pool)
        for frame, faces, cut in seen:
            if cut:
                fitter.reset()
                looks.reset()
            news = looks.update(frame, faces)
            for face in faces:
                head = fitter.fit(face, frame.size, frame.time_s, news.get(face.id))
                if face.fresh and face.presence == 1.0:
                    errors.append(_percent(model, head, face))
                    points = model.points478(head.identity, np.zeros_like(head.expression))
                    rest.setdefault(face.id, []).append((frame.time_s, points))
            looks.look_ahead(frame, faces)
    if not errors:
        return None
    longest = max(rest.values(), key=len)
    return float(np.mean(errors)), _settled_s(longest), longest[-1][1]


def _settled_s(rest: list[tuple[float, np.ndarray]]) -> float:
    """Return how long after the first look the points at rest are where they end."""
    start, last = rest[0][0], rest[-1][1]
    restless = [
        time_s for time_s, points in rest
        if shape_error(points, last) > _SETTLED_MM
    ]  # fmt: skip
    return restless[-1] - start if restless else 0.0


def _network(weights: Path) -> Network:
    engine = open_engine(SPECS["face_3dmm"], weights=weights, threads=1)

    def run(**arrays: np.ndarray) -> dict[str, np.ndarray]:
        return engine(**arrays)

    return run


if __name__ == "__main__":
    app.cli(prog="python -m training.evaluate_guess", description=__doc__)
