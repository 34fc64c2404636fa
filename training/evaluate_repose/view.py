"""Rendered heads: re-pose a picture by a known turn and compare with the rendered truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stream.geometry import (
    angles_from_rotation,
    axis_angle_from_rotation,
    pinhole_camera,
    rigid_transform,
    rotation_from_angles,
)
from stream.heads import face_of_picture
from training.evaluate_repose import media, report
from training.evaluate_repose.baselines import thin_plate
from training.evaluate_repose.depth import recorded_depth, region_errors
from training.evaluate_repose.faces import face_points, interocular, rotation_by_procrustes
from training.evaluate_repose.program import InProcess
from training.makehuman import EAR, EYES, FACE, HAIR, MOUTH, HeadLibrary, sample_person, turned
from training.render import Renderer, Rendering

SIZE = (640, 640)
_PLACE_MM = np.array([0.0, 25.0, 560.0])
_HEAD_LABELS = (FACE, HAIR, EAR, EYES, MOUTH)
_SETTLE = 8  # the same picture so many times, for the fit to settle


@dataclass(frozen=True, slots=True)
class View:
    """A rendered head in two poses.

    Attributes:
        name: person and turn.
        first: the head as it is given.
        second: the head as it should become.
        turn: yaw, pitch, roll in degrees from first to second.
    """

    name: str
    first: Rendering
    second: Rendering
    turn: tuple[float, float, float]


def render_view(
    library: HeadLibrary,
    renderer: Renderer,
    background: np.ndarray,
    seed: int,
    turn: tuple[float, float, float],
) -> View:
    """Render a random person facing about forwards, and again after a turn of the head."""
    rng = np.random.default_rng(seed + 1000)
    start = rng.uniform((-10.0, -6.0, -4.0), (10.0, 6.0, 4.0))
    parts = library.parts(sample_person(seed))
    pose, camera = rigid_transform(np.eye(3), _PLACE_MM), pinhole_camera(*SIZE)
    first, second = (
        renderer.render(
            turned(parts, axis_angle_from_rotation(rotation_from_angles(*angles))),
            pose,
            camera,
            background,
        )
        for angles in (start, start + np.array(turn))
    )
    hair = sample_person(seed).hair
    return View(f"{seed} {hair} {turn[0]:+.0f} {turn[1]:+.0f}", first, second, turn)


def head_scores(output: np.ndarray, view: View) -> dict[str, report.Value]:
    """Compare an RGB picture with the truth inside its head.

    Returns:
        SSIM and PSNR; and, as Face Mesh sees both pictures, the landmark error in % of the
        inter-ocular distance and how many degrees beyond the true turn the head is.
    """
    truth = view.second
    head = np.isin(truth.labels, _HEAD_LABELS)
    return {
        "ssim": float(ssim_map(output, truth.pixels)[head].mean()),
        "psnr": media.psnr(output, truth.pixels, head),
        **_seen_errors(output, view),
    }


def _seen_errors(output: np.ndarray, view: View) -> dict[str, report.Value]:
    found, wanted = face_points(output), face_points(view.second.pixels)
    if found is None or wanted is None:
        return dict.fromkeys(("nme %", "yaw over °", "pitch over °"))
    nme = np.linalg.norm(found[:468, :2] - wanted[:468, :2], axis=1).mean() / interocular(wanted)
    angles = [angles_from_rotation(rotation_by_procrustes(p)) for p in (found, wanted)]
    over = (angles[0] - angles[1]) * np.sign(view.turn)
    return {
        "nme %": float(100 * nme),
        "yaw over °": float(over[0]) if view.turn[0] else None,
        "pitch over °": float(over[1]) if view.turn[1] else None,
    }


def ssim_map(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the (H, W) structural similarity of the grey of two RGB pictures."""
    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float64) for p in (first, second))
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    shared = _blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_a * mean_b + c1) * (2 * shared + c2)
    return top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


def _blur(values: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(values, (11, 11), 1.5)


def methods(view: View) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Re-pose the first picture by every method.

    Returns:
        The pictures: as it is, by thin plate, by the program from angles and from the second
        picture as `like`; and the depth errors of the program on the first picture.
    """
    source, goal = view.first.pixels, view.second.pixels
    out = {"copy": source}
    points, wanted = face_points(source), face_points(goal)
    if points is not None and wanted is not None:
        out["thin-plate"] = thin_plate(source, points, wanted)
    yaw, pitch, roll = view.turn
    errors: dict[str, float] = {}
    with InProcess(SIZE) as path, recorded_depth() as depths:
        for _ in range(_SETTLE):
            out["voltface"] = path.process(source, yaw=yaw, pitch=pitch, roll=roll)
        if depths:
            errors = region_errors(depths[-1], view.first)
        like = face_of_picture(goal, SIZE)
        if like is not None:
            out["voltface --like"] = path.process(source, like=like)
    return out, errors


def view_sheet(view: View, outputs: dict[str, np.ndarray]) -> np.ndarray:
    """Lay out the two renderings and each method's picture above its difference."""
    top: list[np.ndarray | None] = [view.first.pixels, view.second.pixels]
    below: list[np.ndarray | None] = [None, None]
    for method, output in outputs.items():
        top.append(report.labelled(output, [method]))
        below.append(report.difference(output, view.second.pixels))
    return report.sheet([top, below])


def run(
    data: Path = Path("../shared/data"),
    seeds: Sequence[int] = (0, 3, 4, 6, 7, 9),
    turns: Sequence[str] = ("20,0,0", "-15,8,0"),
    background: Path | None = None,
    sheets: Path | None = None,
    json: Path | None = None,
) -> None:
    """Re-pose rendered heads by known turns and compare with the rendered truth.

    Args:
        data: the data folder, with makehuman.
        seeds: people; the hair style is the seed's last digit.
        turns: yaw,pitch,roll in degrees.
        background: picture behind the head; noise of several scales when absent.
        sheets: folder for contact sheets.
        json: write every row there.
    """
    library = HeadLibrary(data / "makehuman")
    behind = texture(SIZE) if background is None else media.read_picture(background)
    behind = cv2.resize(behind, SIZE, interpolation=cv2.INTER_AREA)
    rows: list[report.Row] = []
    jobs = [(seed, turn) for seed in seeds for turn in turns]
    for seed, turn in report.progress(jobs, "view", len(jobs)):
        yaw, pitch, roll = (float(v) for v in turn.split(","))
        with Renderer(SIZE) as renderer:
            view = render_view(library, renderer, behind, seed, (yaw, pitch, roll))
        outputs, errors = methods(view)
        none = dict.fromkeys(("depth face %", "depth hair %", "relief"))
        for method, output in outputs.items():
            row: dict[str, report.Value] = {"view": view.name, "method": method}
            known = errors if method == "voltface" else none
            rows.append(row | head_scores(output, view) | none | dict(known))
        if sheets is not None:
            name = view.name.replace(" ", "_")
            media.write_picture(sheets / f"{name}.png", view_sheet(view, outputs))
    report.publish(rows, json, "rendered heads")
    names = list(dict.fromkeys(str(row["method"]) for row in rows))
    means = [
        report.mean_row([row for row in rows if row["method"] == name], view="mean", method=name)
        for name in names
    ]
    report.publish(means, None, "means")


def texture(size: tuple[int, int]) -> np.ndarray:
    """Return an (H, W, 3) uint8 picture of coloured noise at several scales."""
    rng = np.random.default_rng(0)
    total = np.zeros((size[1], size[0], 3), np.float32)
    for cells in (4, 12, 40):
        noise = rng.uniform(0, 1, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC) / 3
    return (40 + 150 * total.clip(0, 1)).astype(np.uint8)
