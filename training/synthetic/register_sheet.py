"""Measure how ICT-FaceKit's people lie on the base head, and draw them.

    python -m training.synthetic.register_sheet --out FOLDER [--data DATA] [--people 20]

Prints distances in mm from the vertices of the registered head to ICT's surface: for the mean,
and for random people, whose components were carried linearly. The sheets show ICT on the left
of each pair.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import igl
import numpy as np
from PIL import Image

from training.head_model.render import Layer, Renderer, vertex_normals
from training.head_model.sheet import rotation
from training.synthetic.register import IctPeople
from training.synthetic.register_data import Scan, read_scan

SIZE = (440, 520)
_MIDDLE_MM = np.array([0.0, -690.0, -60.0])  # of the heads, in the place of the base head
_FAR_MM, _FOCAL_PX = 900.0, 1500.0
_REGIONS = {1: "face", 2: "scalp", 3: "ears"}
_SKIN, _EYE = (0.78, 0.70, 0.65), (0.95, 0.95, 1.0)


def distances(vertices: np.ndarray, surface: np.ndarray, scan: Scan) -> np.ndarray:
    """Return (N,) mm from (N, 3) places to ICT's skin in a shape (V, 3)."""
    places = np.ascontiguousarray(vertices, np.float64)
    return np.sqrt(igl.point_mesh_squared_distance(places, surface, scan.skin)[0])


def measure(people: IctPeople, scan: Scan, weights: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return all distances in mm by region, and `matched face` for rows that have a place."""
    labels, matched = people.template.labels, people.registration.triangle >= 0
    rows = {name: labels == label for label, name in _REGIONS.items()}
    rows["matched face"] = (labels == 1) & matched
    found: dict[str, list[np.ndarray]] = {name: [] for name in rows}
    for drawn in weights:
        ours = people.template.vertices + people.offsets(drawn)
        theirs = scan.vertices + np.tensordot(drawn, scan.identity, 1)
        for name, chosen in rows.items():
            found[name].append(distances(ours[chosen], theirs, scan))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _layers(vertices: np.ndarray, parts: Sequence[np.ndarray], yaw: float) -> list[Layer]:
    placed = (vertices - _MIDDLE_MM) @ rotation(yaw).T + [0, 0, _FAR_MM]
    layers = []
    for triangles, colour in zip(parts, (_SKIN, _EYE), strict=True):
        colours = np.tile(colour, (len(placed), 1))
        layers.append(Layer(placed, triangles, vertex_normals(placed, triangles), colours))
    return layers


def _row(
    renderer: Renderer, vertices: np.ndarray, parts: Sequence[np.ndarray], yaws: Sequence[float]
) -> np.ndarray:
    camera = np.array([[_FOCAL_PX, 0, SIZE[0] / 2], [0, _FOCAL_PX, SIZE[1] / 2], [0, 0, 1]])
    return np.hstack([renderer.draw(_layers(vertices, parts, yaw), camera) for yaw in yaws])


def _ict_eyes(data: Path) -> np.ndarray:
    with np.load(data / "ict" / "ict_facekit.npz", allow_pickle=False) as stored:
        names = [str(name) for name in stored["material_names"]]
        wanted = [names.index("M_ScleraLeft"), names.index("M_ScleraRight")]
        return stored["f"][np.isin(stored["material"], wanted)]


def draw(
    people: IctPeople, scan: Scan, eyes: np.ndarray, weights: Sequence[np.ndarray], folder: Path
) -> None:
    """Write `mean.png` and `people.png`."""
    template = people.template
    ours, theirs = (template.triangles, template.eye_triangles), (scan.skin, eyes)
    with Renderer(SIZE) as renderer:
        yaws = (0, 40, 90, 180)
        mean = template.vertices + people.registration.mean
        shown = ((scan.vertices, theirs), (mean, ours), (template.vertices, ours))
        rows = [_row(renderer, shape, parts, yaws) for shape, parts in shown]
        Image.fromarray(np.vstack(rows)).save(folder / "mean.png")
        rows = []
        for drawn in weights:
            real = scan.vertices + np.tensordot(drawn, scan.identity, 1)
            carried = template.vertices + people.offsets(drawn)
            pair = [_row(renderer, real, theirs, (0, 50))]
            pair.append(_row(renderer, carried, ours, (0, 50)))
            rows.append(np.hstack(pair))
        Image.fromarray(np.vstack(rows)).save(folder / "people.png")


def main() -> None:
    """Run the command line."""
    default = Path(os.environ.get("VOLTFACE_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=default, help="the data folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the sheets")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    people, rng = IctPeople(options.data), np.random.default_rng(options.seed)
    scan = read_scan(options.data, people.template.points68 @ people.template.vertices)
    weights = [people.draw_weights(rng) for _ in range(options.people)]
    zero = np.zeros(len(people.registration.basis), np.float32)
    for title, drawn in (("mean", [zero]), (f"{len(weights)} people", weights)):
        for name, apart in measure(people, scan, drawn).items():
            print(f"{title}, {name}: mean {apart.mean():.2f}, 95 % {np.quantile(apart, 0.95):.2f}")
    options.out.mkdir(parents=True, exist_ok=True)
    draw(people, scan, _ict_eyes(options.data), weights[:6], options.out)


if __name__ == "__main__":
    main()
