"""The path of a frame: capture → track → fit → segment → hair depth → mesh → pose → warp → sink.

`Reposer.process` reads as the table in docs/architecture.md: one statement a stage.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import cv2
import numpy as np

from stream.composite import (
    head_region,
    moving_region,
    paste,
    picture_with_matte,
    resample_to_nodes,
)
from stream.fit import HeadFitter
from stream.frame import Face, Frame, Head
from stream.gl import create_context
from stream.governor import HIGH, Quality
from stream.hair_depth import HairDepth
from stream.head_model import load_head_model
from stream.matte import MatteState, head_matte
from stream.mesh import build_mesh
from stream.plate import BackgroundPlate
from stream.pose import PoseController, PoseRequest
from stream.raster import DepthRaster
from stream.region import NodeGrid
from stream.segment import PersonSegmenter
from stream.track import FaceTracker
from stream.warp import Warp

if TYPE_CHECKING:
    from types import TracebackType

    from stream.media import StreamInfo
    from stream.settings import Settings
    from stream.stats import StageTimer

_log = logging.getLogger("voltface")

_NODES = 112  # along the longer side of a head's region


class _Followed:
    """What is kept of one head from frame to frame."""

    def __init__(self, hair: HairDepth) -> None:
        self.hair = hair
        self.matte = MatteState()
        self.last_index = 0


class Reposer:
    """Re-poses the heads of a stream, frame by frame.

    Args:
        settings: of the path.
        info: the stream that comes in.
        timer: takes the time of each stage.

    Attributes:
        quality: how much work the next frame may cost; set by the governor.
        faces_tracked: how many different faces were followed so far.
        last_faces: how many faces the last frame held.

    Raises:
        UserError: if OpenGL is missing.
    """

    def __init__(self, settings: Settings, info: StreamInfo, timer: StageTimer) -> None:
        self._stage = timer.stage
        self._all_faces = settings.faces == "all"
        self._still = info.still
        self._size = (info.width, info.height)
        self._model = load_head_model()
        context = create_context()
        self._raster = DepthRaster(context, self._model.triangles)
        self._warp = Warp(context)
        self._tracker = FaceTracker(4 if self._all_faces else 1, still=info.still)
        self._fitter = HeadFitter(self._model)
        self._segmenter = PersonSegmenter()
        self._plate = BackgroundPlate()
        self._poses = PoseController(self._model.neck_joint, settings.limits)
        self._followed: dict[int, _Followed] = {}
        self._failed = False
        self._ids: set[int] = set()
        self.quality: Quality = HIGH
        self.last_faces = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the networks and the OpenGL context."""
        self._tracker.close()
        self._segmenter.close()
        self._plate.close()
        self._warp.release()

    @property
    def faces_tracked(self) -> int:
        """How many different faces were followed so far."""
        return len(self._ids)

    @property
    def engines(self) -> dict[str, dict[str, str]]:
        """What runs each network, as really executed."""
        mediapipe = {"backend": "mediapipe", "device": "cpu", "precision": "fp32"}
        return {"face_mesh": dict(mediapipe), "person_segmentation": dict(mediapipe)}

    def process(self, frame: Frame, request: PoseRequest) -> Frame:
        """Return the frame with its heads as requested.

        When a stage fails, the frame comes back unchanged, and the reason is logged once.
        """
        try:
            return self._process(frame, request)
        except Exception as error:
            if not self._failed:
                _log.exception("a frame passes unchanged: %s", error)
            self._failed = True
            return frame

    def _process(self, frame: Frame, request: PoseRequest) -> Frame:
        stage = self._stage
        with stage("track"):
            faces = self._track(frame)
        with stage("fit"):
            heads = [self._fitter.fit(face, frame.size, frame.time_s) for face in faces]
        if request.is_rest or not heads:
            return frame
        pixels = frame.pixels.copy()
        for head in heads:
            self._repose(pixels, frame, head, request)
        return replace(frame, pixels=pixels)
