"""Tables in markdown, progress on standard error, and contact sheets."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

Value = float | int | str | None
Row = Mapping[str, Value]
Item = TypeVar("Item")

_TEXT_PX = 16


def cell(value: Value) -> str:
    """Write one value of a table: about three significant digits, a dash where it is absent."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def markdown(rows: Sequence[Row]) -> str:
    """Write rows with the columns of the first one as a markdown table."""
    if not rows:
        return "(nothing was measured)"
    names = list(rows[0])
    lines = [names, ["---"] * len(names)]
    lines += [[cell(row.get(name)) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def mean_row(rows: Sequence[Row], **given: Value) -> dict[str, Value]:
    """Average the numbers of rows, leaving out what is absent; `given` replaces columns."""
    mean: dict[str, Value] = {}
    for name in rows[0]:
        column = [row[name] for row in rows]
        numbers = [v for v in column if isinstance(v, int | float) and np.isfinite(v)]
        mean[name] = float(np.mean(numbers)) if numbers else None
    return mean | given


def publish(rows: Sequence[Row], json_file: Path | None, title: str = "") -> None:
    """Print the table, and write the rows as JSON where a file is named."""
    if title:
        print(f"\n**{title}**\n")
    print(markdown(rows), flush=True)
    if json_file is not None:
        save(rows, json_file, title)


def save(rows: Sequence[Row], json_file: Path, title: str = "") -> None:
    """Write rows as JSON."""
    content = {"title": title, "rows": [dict(row) for row in rows]}
    json_file.write_text(json.dumps(content, indent=1) + "\n")


def progress(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """Pass items on and keep one line on standard error up to date."""
    for number, item in enumerate(items, start=1):
        of = f"/{total}" if total else ""
        print(f"\r{label} {number}{of}", end="", file=sys.stderr, flush=True)
        yield item
    print(file=sys.stderr, flush=True)


def labelled(picture: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    """Return a copy of an RGB picture with lines of text in its upper left corner."""
    out = picture.copy()
    for number, line in enumerate(lines, start=1):
        at = (4, number * _TEXT_PX)
        for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(out, line, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, width, cv2.LINE_AA)
    return out


def sheet(rows: Sequence[Sequence[np.ndarray | None]]) -> np.ndarray:
    """Lay RGB pictures out in rows; None and what is missing leave grey gaps."""
    pictures = [p for row in rows for p in row if p is not None]
    height = max(p.shape[0] for p in pictures)
    width = max(p.shape[1] for p in pictures)
    columns = max(len(row) for row in rows)
    out = np.full((len(rows) * (height + 2), columns * (width + 2), 3), 96, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            if picture is not None:
                top, left = i * (height + 2), j * (width + 2)
                out[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return out


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return |first − second| of two RGB pictures as one, doubled so that it can be seen."""
    return cv2.convertScaleAbs(cv2.absdiff(first, second), alpha=2.0)
