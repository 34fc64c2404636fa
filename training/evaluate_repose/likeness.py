"""Is a turned head still that person? By the protocol of Deep 3D Portrait, Table 2."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from tyro.conf import Positional, arg

from stream.errors import UserError
from training.evaluate_repose import media, program, report
from training.evaluate_repose.faces import face_points
from training.evaluate_swap.identity import descriptors

Pictures = Annotated[tuple[Path, ...], Positional, arg(metavar="PICTURE …")]


def likeness(described: np.ndarray) -> np.ndarray:
    """Return the (N − 1,) cosines between the first descriptor of (N, D) and the others."""
    unit = described / np.linalg.norm(described, axis=1, keepdims=True)
    return unit[1:] @ unit[0]


def turned(picture: Path, yaws: Sequence[float]) -> list[np.ndarray]:
    """Return the head of a picture turned by each angle, RGB."""
    with tempfile.TemporaryDirectory() as folder:
        outs = []
        for number, yaw in enumerate(yaws):
            target = Path(folder) / f"{number}.png"
            program.repose(picture, target, ["--yaw", str(yaw)])
            outs.append(media.read_picture(target))
    return outs


def picture_row(picture: Path, yaws: Sequence[float], judge: str | None) -> report.Row:
    """Measure one picture: the cosine for each turn, None where no face is found any more.

    Raises:
        UserError: if there is no face in the picture, or no dlib to judge.
    """
    pictures = [media.read_picture(picture), *turned(picture, yaws)]
    points = [face_points(one) for one in pictures]
    if points[0] is None:
        raise UserError(f"{picture.name} shows no face", "none was found in it", "Name another.")
    found = [number for number, one in enumerate(points) if one is not None]
    boxes = [np.concatenate([p[:, :2].min(0), p[:, :2].max(0)]) for p in points if p is not None]
    described = descriptors([pictures[number] for number in found], boxes, judge)
    if described is None:
        raise UserError(
            "Nobody can judge", "dlib is not installed there", "Name a Python with dlib: --judge"
        )
    cosines = dict(zip(found[1:], likeness(described), strict=True))
    values = {
        f"{yaw:+g}°": float(cosines[number]) if number in cosines else None
        for number, yaw in enumerate(yaws, 1)
    }
    return {"picture": picture.name} | values


def run(
    pictures: Pictures,
    yaw: tuple[float, ...] = (-30.0, -15.0, 15.0, 30.0),
    judge: Annotated[str | None, arg(metavar="PYTHON")] = None,
    json: Path | None = None,
) -> None:
    """Compare who is seen in a picture before and after its head is turned.

    Args:
        pictures: portraits.
        yaw: turns, in degrees.
        judge: interpreter that has dlib; see `training/evaluate_swap/identity.py`.
        json: write the table there.
    """
    jobs = report.progress(pictures, "likeness", len(pictures))
    rows = [picture_row(picture, yaw, judge) for picture in jobs]
    rows.append(report.mean_row(rows, picture="mean"))
    report.publish(rows, json, "cosine of dlib's descriptors, the picture's and the turned one's")
