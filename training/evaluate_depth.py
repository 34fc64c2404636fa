"""Measure depth of hair and head on a prepared set: the analytic stage beside a network.

    python -m training.evaluate_depth PREPARED --checkpoint runs/hair_depth/checkpoint.pt

Both get the same fitted head, off by as much as a fit is; the analytic stage also gets the true
matte, so that only its geometry is judged.
"""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003  tyro reads the annotations

import cv2
import numpy as np
import tyro

from stream.gl import create_context
from stream.hair_depth import HairDepth
from stream.head_model import load_head_model
from stream.raster import DepthRaster
from stream.region import NodeGrid, Region
from training.experiments.hair_depth import HairDepthTraining, region_errors
from training.learn.fitted import fitted_head
from training.learn.loop import load
from training.learn.prepared import DEPTH_UNIT_MM, PreparedSet, open_set

_NODES = 96  # along a side, as live


class AnalyticDepth:
    """The live path's stage without a network, on samples of a prepared set."""

    def __init__(self, data: PreparedSet) -> None:
        self._data = data
        model = load_head_model()
        raster = DepthRaster(create_context(), model.triangles, model.triangles_of(1, 2, 3, 4))
        self._hair = HairDepth(model, raster)
        self._grid = NodeGrid.over(Region(0, 0, data.size, data.size), _NODES)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return (n, S, S) float32 depth of samples, relative to the head, in 100 mm."""
        return np.stack([self._one(int(row)) for row in rows])

    def _one(self, row: int) -> np.ndarray:
        head = fitted_head(self._data, row)
        matte = self._data["alpha"][row].astype(np.float32) / 255
        self._hair.reset()
        depth = self._hair.estimate(head, cv2.resize(matte, (_NODES, _NODES)), self._grid)
        # Nodes span the picture from corner to corner.
        places = (np.arange(self._data.size, dtype=np.float32) + 0.5) / self._data.size
        x, y = np.meshgrid(places * (_NODES - 1), places * (_NODES - 1))
        front = cv2.remap(depth.front_mm, x, y, cv2.INTER_LINEAR)
        return (front - head.camera_from_head[2, 3]) / DEPTH_UNIT_MM


def main(
    data: tyro.conf.Positional[Path], checkpoint: Path | None = None, count: int = 500
) -> None:
    """Print the errors in mm by region as JSON."""
    held_out = open_set(data)
    result = {"analytic": region_errors(held_out, count, AnalyticDepth(held_out))}
    if checkpoint is not None:
        experiment = HairDepthTraining()
        network, _ = load(experiment, checkpoint)
        result["network"] = experiment.evaluate(network, held_out, count)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    tyro.cli(main)
