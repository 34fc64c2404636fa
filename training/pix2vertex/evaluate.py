"""Depth of the face by `pix2vertex` beside that of the fit, on rendered heads (§5.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.opening import open_engine
from engines.spec import SPECS, WEIGHTS
from stream.reconstruct.pix2vertex import in_frame, read_face, registered_depth
from training.evaluate_reconstruction.make import rendered
from training.evaluate_reconstruction.measure import face_errors
from training.evaluate_reconstruction.methods import Methods

if TYPE_CHECKING:
    from pathlib import Path

    from engines.engine import Engine
    from training.evaluate_reconstruction.make import Source
    from training.evaluate_reconstruction.scan import Scan

_SHOWN = ("mean head", "landmark fit", "fusion")


def compare(
    source: Source, data_dir: Path, count: int, seed: int = 5, weights: Path = WEIGHTS
) -> dict[str, dict[str, float]]:
    """Measure on rendered heads; only pictures count in which every method says something.

    Args:
        source: `ict` or `synthetic-val`.
        data_dir: the data folder.
        count: heads.
        seed: of them.
        weights: folder of the networks.

    Returns:
        Means over pictures of `face_errors` by method.
    """
    rows: dict[str, list[dict[str, float]]] = {}
    with open_engine(SPECS["pix2vertex"], "auto", weights=weights) as engine, Methods() as methods:
        for scan in rendered(source, data_dir, count, seed):
            depths = {n: d for n, d in methods.depths(scan.pixels).items() if n in _SHOWN}
            if not depths:
                continue
            depths["pix2vertex"] = _by_network(engine, methods, scan, depths["landmark fit"])
            errors = {name: face_errors(depth, scan) for name, depth in depths.items()}
            if all(errors.values()):
                for name, row in errors.items():
                    rows.setdefault(name, []).append(row)
    means = {
        name: {key: float(np.mean([row[key] for row in many])) for key in many[0]}
        for name, many in rows.items()
    }
    return {name: {"pictures": float(len(rows[name])), **row} for name, row in means.items()}


def _by_network(engine: Engine, methods: Methods, scan: Scan, fitted: np.ndarray) -> np.ndarray:
    """Return (H, W) depth by the network alone, laid on the fit."""
    look = methods._reconstructor.looker.look(scan.pixels)[0]
    maps = read_face(engine, look.pixels, look.face.points_px)
    rows, columns = np.indices(maps.mask.shape) + 0.5
    to_crop = maps.crop.matrix(len(maps.mask))
    x, y = ((axis - to_crop[i, 2]) / to_crop[i, i] for i, axis in enumerate((columns, rows)))
    height, width = fitted.shape
    inside = (x > 0) & (x < width) & (y > 0) & (y < height)
    picked = fitted[y.astype(int).clip(0, height - 1), x.astype(int).clip(0, width - 1)]
    placed = registered_depth(maps, look.head, np.where(inside, picked, np.nan))
    return in_frame(placed, maps.crop, (height, width))
