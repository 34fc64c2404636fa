"""Depth of hair and ears by the network, laid over the analytic depth.

After Deep 3D Portrait (Xu et al. 2020) §4.2: the network sees the picture and the depth of the
fitted head, and answers with the depth of the whole head. What it changes against the analytic
depth is averaged over time, so that its noise does not shake the picture, while the analytic
depth follows every motion at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.region import NodeGrid, resample_to_nodes
from stream.sight import BODY, EYES, FACE, MOUTH, NECK, OCCLUDER, Sight, as_input

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from engines.engine import Engine
    from stream.frame import Head
    from stream.raster import DepthRaster

_NOT_HAIR = (FACE, MOUTH, EYES, NECK, BODY, OCCLUDER)
UNIT_MM = 100.0  # of the network's depths, which count from the head's centre
_CALM_NODES = 1.5  # blur of the depth within hair
_WITHIN = np.ones((7, 7), np.uint8)  # nodes: the outline of hair curves back, and stays
_SIDE = 256
_DRAWN = 128  # the fitted head is smooth: half of the side is enough


@dataclass(frozen=True, slots=True)
class HairNetworkSettings:
    """How the network's depth is used.

    Attributes:
        settle_looks: time constant of its change against the analytic depth, in looks.
        largest_mm: the change is kept within this.
        smooth_nodes: blur of the change, in nodes.
        every: once it has settled, the network is asked at every n-th look.
    """

    settle_looks: float = 3.0
    largest_mm: float = 60.0
    smooth_nodes: float = 1.0
    every: int = 2


class HairNetwork:
    """Runs the network for one head, look by look.

    Args:
        engine: of `hair_depth`.
        raster: draws the model's triangles.
        settings: how its answer is used.
        beside: where it runs, for the next look to know; at once unless given, and at first.
    """

    def __init__(
        self,
        engine: Engine,
        raster: DepthRaster,
        settings: HairNetworkSettings | None = None,
        beside: Executor | None = None,
    ) -> None:
        self._engine, self._raster, self._beside = engine, raster, beside
        self._settings = settings or HairNetworkSettings()
        self.reset()

    def reset(self) -> None:
        """Forget earlier looks."""
        self._change: np.ndarray | None = None
        self._awaited: Future[np.ndarray] | None = None
        self._looks = 0

    def improved(
        self,
        front_mm: np.ndarray,
        head: Head,
        vertices_mm: np.ndarray,
        grid: NodeGrid,
        sight: Sight,
        node_matte: np.ndarray,
    ) -> np.ndarray:
        """Return the depth of what is seen, hair and ears by the network.

        Args:
            front_mm: (rows, columns) float32 analytic depth at the nodes.
            head: the fitted head.
            vertices_mm: (V, 3) the head model's vertices in camera space.
            grid: the nodes.
            sight: the crop of the grid's region.
            node_matte: (rows, columns) person matte.

        Returns:
            (rows, columns) float32 mm.
        """
        self._looks += 1
        if self._awaited is not None:
            self._learn(self._awaited.result())
            self._awaited = None
        missing = self._change is None or self._change.shape != front_mm.shape
        settled = self._looks > self._settings.settle_looks and self._looks % self._settings.every
        if missing or not settled:
            given = self._fitted_depth(vertices_mm, head, grid)
            asked = given, front_mm, head, grid, sight, node_matte
            if missing or self._beside is None:
                self._learn(self._found_change(*asked))
            else:
                self._awaited = self._beside.submit(self._found_change, *asked)
        return _calmed(
            front_mm + self._change, _of_hair(sight, grid, cv2.erode(node_matte, _WITHIN))
        )

    def _learn(self, change: np.ndarray) -> None:
        if self._change is None or self._change.shape != change.shape:
            self._change = change
        self._change = self._change + (change - self._change) / self._settings.settle_looks

    def _found_change(
        self,
        given: np.ndarray,
        front_mm: np.ndarray,
        head: Head,
        grid: NodeGrid,
        sight: Sight,
        node_matte: np.ndarray,
    ) -> np.ndarray:
        """Ask the network; return (rows, columns) mm that it adds to the analytic depth."""
        found = self._engine(picture=as_input(sight.square), face_depth=given)["depth"][0, 0]
        found_mm = resample_to_nodes(found, grid) * UNIT_MM + _centre_mm(head)
        weight = _of_hair(sight, grid, node_matte)
        bound = self._settings.largest_mm
        change = weight * np.clip(found_mm - front_mm, -bound, bound)
        return cv2.GaussianBlur(change, (0, 0), self._settings.smooth_nodes)

    def _fitted_depth(self, vertices_mm: np.ndarray, head: Head, grid: NodeGrid) -> np.ndarray:
        """Return (1, 2, 256, 256) float32: depth of the fitted head in units, and its mask."""
        front = self._raster.front(vertices_mm, head.camera, NodeGrid(grid.region, _DRAWN, _DRAWN))
        there = (front > 0).astype(np.float32)
        relative = np.where(front > 0, (front - _centre_mm(head)) / UNIT_MM, 0).astype(np.float32)
        maps = [
            cv2.resize(m, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
            for m in (relative, there)
        ]
        return np.stack(maps)[None]


def _of_hair(sight: Sight, grid: NodeGrid, node_matte: np.ndarray) -> np.ndarray:
    """Return (rows, columns) float32: where the network knows better than the fitted model."""
    weight = np.clip((node_matte - 0.3) / 0.5, 0, 1)
    below = sight.share(*_NOT_HAIR)
    return weight if below is None else weight * (1 - resample_to_nodes(below, grid))


def _calmed(depth_mm: np.ndarray, of_hair: np.ndarray) -> np.ndarray:
    """Smooth depth within hair, where the model's outline, drawn on few nodes, left its steps.

    Strands over such steps would come out wavy.
    """
    mean = cv2.GaussianBlur(depth_mm * of_hair, (0, 0), _CALM_NODES)
    mean /= np.maximum(cv2.GaussianBlur(of_hair, (0, 0), _CALM_NODES), 1e-3)
    return np.asarray(depth_mm + of_hair * (mean - depth_mm), np.float32)


def _centre_mm(head: Head) -> float:
    return float(head.camera_from_head[2, 3])
