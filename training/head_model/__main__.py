"""Command line: ``python -m training.head_model [STEP]``; no step makes the file."""

import argparse
import os
from pathlib import Path

import numpy as np

from stream.head_model import load_head_model
from training.head_model import build, evaluate, sheet
from training.head_model import calibrate as by_rendering
from training.head_model.points import read_canonical


def _data_folder(given: Path | None) -> Path | None:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = given or Path(os.environ.get("VOLTFACE_DATA", default))
    return folder if folder.is_dir() else None


def _needed(data: Path | None) -> Path:
    if data is None:
        raise SystemExit("the data folder is absent: give --data or set VOLTFACE_DATA")
    return data


def _calibrate(data: Path, views: int) -> None:
    """Render heads, detect their faces, move the tracked points, report, store."""
    source = build.load_source()
    mean = build.load_mean(source)
    canonical = read_canonical(data / "mediapipe_ref" / "face_model_with_iris.obj")
    start = build.tracked_points(source.topology, mean, data, calibrated=False)
    seen = []
    for view, _ in by_rendering.views(source, data, views):
        seen.append(view)
        if len(seen) % 20 == 0:
            print(f"{len(seen)} of {views} heads seen", flush=True)
    kept = len(seen) * 3 // 4
    found = by_rendering.calibrate(source, mean, start, canonical.mirror, seen[:kept])
    for name, embedding in (("registered", start), ("calibrated", found)):
        apart = by_rendering.summary(seen[kept:], embedding, source.topology)
        print(f"{name}: {apart}", flush=True)
    by_rendering.store(found, source.topology.triangles)


def main() -> None:
    """Parse the command line and run one step."""
    parser = argparse.ArgumentParser(prog="python -m training.head_model", description=__doc__)
    parser.add_argument("--data", type=Path, help="data folder (default: ../shared/data)")
    parser.add_argument("--model", type=Path, help="head model file to make, measure or show")
    steps = parser.add_subparsers(dest="step")
    steps.add_parser("make", help="make engines/weights/head_model.npz (the default)")
    calibrated = steps.add_parser("calibrate", help="place the tracked points by rendering")
    calibrated.add_argument("--views", type=int, default=320)
    steps.add_parser("evaluate", help="measure the fit of unseen heads")
    pictures = {
        "sheet": "draw mean, components, units",
        "people": "draw random heads",
        "surface": "draw points, scalp weight and map",
    }
    for name, text in pictures.items():
        steps.add_parser(name, help=text).add_argument("out", type=Path)
    given = parser.parse_args()
    data = _data_folder(given.data)
    if given.step in (None, "make"):
        build.write(build.build(data), given.model or build.WEIGHTS)
    elif given.step == "calibrate":
        _calibrate(_needed(data), given.views)
    else:
        _look(given, data)


def _look(given: argparse.Namespace, data: Path | None) -> None:
    model = load_head_model(given.model)
    if given.step == "evaluate":
        evaluate.report(model, data)
    elif given.step == "sheet":
        sheet.write_sheet(model, given.out)
    elif given.step == "surface":
        sheet.write_surface(model, given.out)
    else:
        sheet.write_people(model, given.out, np.random.default_rng(1))


if __name__ == "__main__":
    main()
