"""Measure face depth by the protocol of §V-B: scans, scale and shift, % of the depth range."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engines.errors import NotShippedError
from engines.opening import open_engine
from engines.spec import SPECS, WEIGHTS
from stream.frame import Head
from stream.geometry import transform_points
from stream.reconstruct.face_depth import FaceDepth
from stream.region import NodeGrid, Region
from training.evaluate_repose.depth import depth_error
from training.experiments.face_depth import FACE
from training.multiview.face_set import Known, known_people, known_scans
from training.multiview.fits import FittedFace, LandmarkFits
from training.multiview.scans import IctScans

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from training.learn.prepared import PreparedSet

PAPER = {  # Table I, on BU-3DFE: mean, standard deviation, median, 90 %
    "paper: Zhu et al.": (3.85, 3.23, 2.93, 7.91),
    "paper: Sela et al.": (3.51, 2.69, 2.65, 6.59),
    "paper: DepthNet": (2.95, 2.83, 2.22, 3.26),
}
Figures = dict[str, tuple[float, float, float, float]]


def ict_heads(data_dir: Path, count: int, seed: int = 32) -> list[Known]:
    """Render held-out heads of ICT-FaceKit."""
    with IctScans(data_dir) as scans:
        return list(known_scans(scans, count, seed))


def synthetic_people(source: PreparedSet, count: int) -> list[Known]:
    """Take pictures of a prepared set of held-out people."""
    rows = np.linspace(0, source.count - 1, min(count, source.count)).astype(int)
    return list(known_people(source, rows.tolist()))


def compare(pictures: Iterable[Known], weights: Path = WEIGHTS) -> tuple[Figures, int]:
    """Measure, on the same pictures and pixels, a mean head, the landmark fit and the network.

    Args:
        pictures: with true depth.
        weights: folder of the network files; without `face_depth` it is left out.

    Returns:
        Mean, standard deviation, median and 90th percentile, over pictures, of the mean error of
        the face after scale and shift, % of its depth range; and in how many pictures a face was
        found.
    """
    errors: dict[str, list[float]] = {}
    with LandmarkFits(weights) as fits:
        network = _network(fits, weights)
        for known in pictures:
            fitted = fits.fit(known.pixels)
            if fitted is None:
                continue
            depths = _estimates(fits, network, known, fitted)
            for name, value in _errors(known, depths).items():
                errors.setdefault(name, []).append(value)
    count = len(next(iter(errors.values()), []))
    return {name: summary(values) for name, values in errors.items()}, count


def _network(fits: LandmarkFits, weights: Path) -> FaceDepth | None:
    try:
        engine = open_engine(SPECS["face_depth"], "onnxruntime", threads=1, weights=weights)
    except NotShippedError:
        return None
    return FaceDepth(engine, fits.raster, fits.model)


def _estimates(
    fits: LandmarkFits, network: FaceDepth | None, known: Known, fitted: FittedFace
) -> dict[str, np.ndarray]:
    """Return (H, W) mm by each way, nan where it says nothing."""
    height, width = known.pixels.shape[:2]
    grid = NodeGrid(Region(0, 0, width - 1, height - 1), width, height)
    head = fitted.head
    mean = Head(
        head.face_id, np.zeros_like(head.identity), np.zeros_like(head.expression),
        head.camera_from_head, head.camera,
    )  # fmt: skip
    depths = {
        "mean head in the fitted pose": drawn(fits, mean, grid),
        "landmark fit": drawn(fits, head, grid),
    }
    if network is not None:
        # Pixel centres of this grid lie at whole numbers: shift to +0.5.
        centred = NodeGrid(Region(0, 0, width, height), 2 * width + 1, 2 * height + 1)
        found = network.refined(known.pixels, fitted.face, head, centred)
        depths["face_depth"] = found[1::2, 1::2]
    return depths


def drawn(fits: LandmarkFits, head: Head, grid: NodeGrid) -> np.ndarray:
    """Draw a head's depth at pixel centres: (H, W) mm, nan where it is not."""
    camera = head.camera.copy()
    camera[:2, 2] -= 0.5
    shape = fits.model.shape(head.identity, head.expression)
    placed = transform_points(head.camera_from_head, shape)
    depth = fits.raster.draw(placed, camera, grid)[0]
    return np.where(depth > 0, depth, np.nan)


def _errors(known: Known, depths: dict[str, np.ndarray]) -> dict[str, float]:
    """Judge all ways on the pixels that all of them know."""
    face = np.isin(known.labels, FACE) & np.isfinite(known.depth_mm)
    for depth in depths.values():
        face = face & np.isfinite(depth)
    true = np.where(face, known.depth_mm, np.nan)
    return {name: depth_error(depth, true, face, face) for name, depth in depths.items()}


def summary(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Return mean, standard deviation, median and 90th percentile, as Table I has them."""
    kept = np.array(values)[np.isfinite(values)]
    if len(kept) == 0:
        return (float("nan"),) * 4
    low, high = np.percentile(kept, (50, 90))
    return float(kept.mean()), float(kept.std()), float(low), float(high)


def table(figures: Figures, title: str) -> str:
    """Lay figures out below the paper's: rows of Markdown."""
    lines = [f"| {title} | mean | std | median | 90 % |", "| --- | --- | --- | --- | --- |"]
    for name, row in (PAPER | figures).items():
        lines.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in row) + " |")
    return "\n".join(lines)
