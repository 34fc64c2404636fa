"""The paper's text files: numbers in rows, between blanks or commas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


def read_rows(path: Path, columns: tuple[int, ...], what: str) -> np.ndarray:
    """Read (R, C) float64 numbers.

    Args:
        path: the file.
        columns: how many numbers a row may have.
        what: names the content in errors.

    Raises:
        UserError: if there is no such file, or it holds something else.
    """
    wanted = " or ".join(str(column) for column in columns)
    try:
        lines = path.read_text().replace(",", " ").splitlines()
        rows = np.array([line.split() for line in lines if line.strip()], np.float64)
    except OSError as error:
        why = error.strerror or "it is no file"
        raise UserError(f"{path.name} cannot be read", why, f"Name a file of {what}.") from error
    except ValueError as error:
        raise UserError(
            f"{path.name} holds no {what}",
            "its rows are not numbers, or not equally many",
            f"Write rows of {wanted} numbers.",
        ) from error
    if rows.ndim != 2 or rows.shape[1] not in columns or not np.isfinite(rows).all():
        found = f"{rows.shape[1]} finite and other numbers" if rows.ndim == 2 else "no numbers"
        raise UserError(
            f"{path.name} holds no {what}",
            f"its rows have {found}, not {wanted} finite ones",
            f"Write rows of {wanted} numbers.",
        )
    return rows


def read_keypoints(path: Path) -> np.ndarray:
    """Read (K, 2) pixels; further columns are left out."""
    return read_rows(path, (2, 3), "keypoints, x and y in pixels")[:, :2]


def read_depth(path: Path) -> np.ndarray:
    """Read (K,) depths."""
    return read_rows(path, (1,), "depths")[:, 0]


def read_affine(path: Path) -> np.ndarray:
    """Read a (2, 4) affine; more rows are refused."""
    rows = read_rows(path, (4,), "an affine")
    if len(rows) != 2:
        raise UserError(
            f"{path.name} holds no affine", f"it has {len(rows)} rows", "Write two rows of four."
        )
    return rows


def read_triangles(path: Path, points: int) -> np.ndarray:
    """Read (T, 3) int32 numbers of keypoints, from 0.

    Raises:
        UserError: also if a number is none of the `points` keypoints.
    """
    rows = read_rows(path, (3,), "triangles")
    numbers = rows.astype(np.int32)
    if (numbers != rows).any() or numbers.min() < 0 or numbers.max() >= points:
        raise UserError(
            f"{path.name} holds no triangles",
            f"there is a number that is none of the keypoints 0 to {points - 1}",
            "Count keypoints from 0.",
        )
    return numbers


def write_rows(path: Path, rows: np.ndarray) -> None:
    """Write keypoints, depths or an affine so that the paper's tools read them."""
    rows = np.atleast_2d(rows) if rows.ndim != 1 else rows[:, None]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(" ".join(f"{x:.6g}" for x in row) + "\n" for row in rows))
