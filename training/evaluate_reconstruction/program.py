"""`python -m training evaluate reconstruction`: depth against scans, beside the papers' tables."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from training.evaluate_reconstruction import tables
from training.evaluate_reconstruction.layouts import LAYOUTS, layout_of
from training.evaluate_reconstruction.measure import (
    aligned_distances,
    face_errors,
    hair_errors,
    normalised_mean_error,
)
from training.evaluate_reconstruction.methods import Estimate, Methods
from training.evaluate_reconstruction.scan import Scan, read_folder, write_scan
from training.evaluate_repose.report import Row, Value, mean_row, progress, publish

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Layout = Literal["auto", "folder", "bu3dfe", "florence", "biwi"]
_OUTER_EYES_MM = 92.0  # distance of the outer corners where a scan does not tell it


def evaluate(
    data: Path,
    layout: Layout = "auto",
    render: Literal["ict", "synthetic-val"] | None = None,
    source: Path = Path("../shared/data"),
    count: int = 60,
    seed: int = 5,
    detail: bool = False,
    json: Path | None = None,
) -> None:
    """Measure `voltface reconstruct` and what it is made of on scans.

    Args:
        data: folder of scans; with --render it is filled first.
        layout: how the folder is laid out; told from the names in it unless given.
        render: heads to render into the folder.
        source: data folder that --render takes heads from.
        count: scans that are rendered, or looked at at most.
        seed: of what is rendered.
        detail: also measure the fusion with --detail.
        json: write the rows to this file.
    """
    if render is not None:
        _render(data, render, source, count, seed)
    kind = layout_of(data) if layout == "auto" else layout
    scans = read_folder(data) if kind == "folder" else LAYOUTS[kind](data)
    rows, found, seen = _measured(scans, count, kind, detail)
    _print(rows, kind, f"{seen}, {found}", json)


def _render(
    folder: Path, render: Literal["ict", "synthetic-val"], source: Path, count: int, seed: int
) -> None:
    from training.evaluate_reconstruction.make import rendered  # noqa: PLC0415  needs torch

    folder.mkdir(parents=True, exist_ok=True)
    for scan in progress(rendered(render, source, count, seed), "rendered", count):
        write_scan(folder, scan)


def _measured(
    scans: Iterator[Scan], count: int, kind: str, detail: bool
) -> tuple[list[Row], str, str]:
    """Return a row for each method and picture, and in words how many of what."""
    rows: list[Row] = []
    seen: set[str] = set()
    looked, missed, begun_s = 0, 0, time.perf_counter()
    with Methods(detail=detail) as methods:
        for scan in progress(_first(scans, count), "measured"):
            looked += 1
            seen.add(scan.source or "a folder of scans")
            estimates = methods.estimates(scan.pixels)
            missed += not estimates
            for method, estimate in estimates.items():
                errors = _errors(estimate, scan, kind)
                rows.append({"method": method, "expression": scan.expression, **errors})
    each_s = (time.perf_counter() - begun_s) / max(looked, 1)
    words = f"{looked - missed} of {looked} pictures, {each_s:.1f} s each with all methods"
    return rows, words, ", ".join(sorted(seen))


def _errors(estimate: Estimate, scan: Scan, kind: str) -> dict[str, float]:
    depth, camera = estimate.depth_mm, estimate.camera
    errors = face_errors(depth, scan, camera) | hair_errors(depth, scan, camera)
    if kind == "florence" and errors:
        errors["NME"] = normalised_mean_error(depth, scan, _OUTER_EYES_MM)
    if kind == "biwi":
        errors |= aligned_distances(depth, scan)
    return errors


def _print(rows: Sequence[Row], kind: str, source: str, json: Path | None) -> None:
    methods = list(dict.fromkeys(str(row["method"]) for row in rows))
    means = [mean_row([r for r in rows if r["method"] == m], method=m) for m in methods]
    columns = [name for name in dict.fromkeys(n for row in means for n in row)
               if name != "expression"]  # fmt: skip
    papers, named = tables.OF_LAYOUT.get(kind, (tables.PIX2VERTEX_1, "BU-3DFE"))
    ours: list[Row] = [{name: row.get(name) for name in columns} for row in means]
    publish([*ours, *papers], json, f"Depth after scale and shift: {source}")
    print(f"\n{tables.NOTE.format(data=named, source=source)}")
    if any(row["expression"] for row in rows):
        by_expression = [_by_expression(rows, method) for method in methods]
        publish([*by_expression, *tables.PIX2VERTEX_2], None, "Mean % by expression")


def _by_expression(rows: Sequence[Row], method: str) -> Row:
    line: dict[str, Value] = {"method": method}
    for name in tables.EXPRESSIONS:
        chosen = [r for r in rows if r["method"] == method and r["expression"] == name]
        line[name] = mean_row(chosen).get("mean %") if chosen else None
    return line


def _first(scans: Iterator[Scan], count: int) -> Iterator[Scan]:
    for number, scan in enumerate(scans):
        if number >= count:
            return
        yield scan


def run(arguments: Sequence[str]) -> None:
    """Run the program with arguments."""
    tyro.cli(evaluate, prog="python -m training evaluate reconstruction", args=list(arguments))
