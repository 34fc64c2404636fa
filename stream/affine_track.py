"""Keypoints of the faces of a stream, steady in time, and their depth."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from engines.spec import WEIGHTS
from stream.affine_blend import face_side
from stream.closing import Closing
from stream.heads import FaceFollower
from stream.keypoint_depth import KeypointDepth
from stream.networks import open_if_shipped
from stream.smooth import OneEuro, SmoothSettings

if TYPE_CHECKING:
    from pathlib import Path

    from stream.frame import Face, Frame
    from stream.settings import Settings

_log = logging.getLogger("voltface")
_MOST_FACES = 4
# Of coordinates in units of the face: steady within a few thousandths, quick with the head.
_SMOOTH = SmoothSettings(min_cutoff=2.5, beta=25.0, d_cutoff=4.0)


class LiveDepth(Closing):
    """Depth of a face's keypoints: from the network, or from the tracker where it is absent.

    Args:
        choice: what runs the network; see `--engine`.
        weights: folder of the network files.
    """

    def __init__(self, choice: str = "auto", weights: Path = WEIGHTS) -> None:
        self._engine = open_if_shipped("keypoint_depth", choice, threads=1, weights=weights)
        self._network = None if self._engine is None else KeypointDepth(self._engine)

    def __call__(self, points_px: np.ndarray) -> np.ndarray:
        """Return the (478,) depths of (478, 3) tracked points, in their pixels."""
        if self._network is not None:
            return self._network(points_px[:, :2]).astype(np.float64)
        depth = points_px[:, 2].astype(np.float64)
        return depth - depth.mean()

    @property
    def as_stats(self) -> dict[str, dict[str, str]]:
        """What ``--stats`` says of it."""
        return {} if self._engine is None else {"keypoint_depth": self._engine.as_stats}

    def close(self) -> None:
        """Give back the network; closing twice does no harm."""
        if self._engine is not None:
            self._engine.close()
        self._engine = None


class KeypointTracker(FaceFollower):
    """Follows the faces of a stream; their keypoints are smoothed in units of the face."""

    def __init__(self, settings: Settings, *, still: bool = False) -> None:
        super().__init__(settings, still=still)
        self._smooth: dict[int, tuple[OneEuro, float]] = {}

    def track(self, frame: Frame) -> list[Face]:
        """Find the faces of the next frame, with their identities and steady points."""
        return [self._steady(face, frame.time_s) for face in super().track(frame)]

    def reset(self) -> None:
        """Let the next points pass unsmoothed."""
        self._smooth.clear()

    def _steady(self, face: Face, time_s: float) -> Face:
        if face.id not in self._smooth:
            # The unit stays, or its own noise would move a face that lies far from the corner.
            self._smooth[face.id] = OneEuro(_SMOOTH), max(face_side(face.points_px), 1.0)
        smooth, side = self._smooth[face.id]
        points = smooth((face.points_px / side).ravel(), time_s).reshape(-1, 3) * side
        return replace(face, points_px=points.astype(np.float32))
