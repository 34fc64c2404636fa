"""The path of a frame that drives a photo: track → fit → act → draw."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from stream.allocator import keep_freed_memory
from stream.gl import create_context
from stream.head_model import load_head_model
from stream.heads import HeadFinder
from stream.networks import Networks
from stream.path import FramePath
from stream.puppet.acting import USUAL_YAW, Act, Director
from stream.puppet.driver import MeasureSmoother, face_middle, measure
from stream.puppet.figure import Figure
from stream.puppet.lips import BELIEVED, read_lips
from stream.puppet.photo import read_photo
from stream.puppet.portrait import Portrait, Studio
from stream.puppet.rest import Rest
from stream.raster import DepthRaster
from stream.segment import PersonSegmenter
from stream.swap.source_photo import PhotoSpec

if TYPE_CHECKING:
    from stream.frame import Face, Frame, Head
    from stream.media import StreamInfo
    from stream.path import PathBuilder
    from stream.pose import PoseRequest
    from stream.settings import Settings
    from stream.stats import StageTimer

CALIBRATE_KEY = "c"


@dataclass(frozen=True, slots=True)
class PuppetOptions:
    """How a photo is driven.

    Attributes:
        absolute: take pose and expression of the driver as they are, not against his rest.
        most_yaw: degrees that the head turns to a side beyond the photo's pose.
    """

    absolute: bool = False
    most_yaw: float = USUAL_YAW


class Puppeteer(FramePath):
    """Drives a photo by the frames of a stream.

    Args:
        photo: path of the picture; ``photo.jpg#2`` takes the second face from the left.
        options: how it is driven.
        settings: of the path.
        info: the stream that comes in.
        timer: takes the time of each stage.

    Raises:
        UserError: if the photo cannot be used, or OpenGL is missing.
    """

    def __init__(
        self, photo: str, options: PuppetOptions, settings: Settings, info: StreamInfo,
        timer: StageTimer,
    ) -> None:  # fmt: skip
        super().__init__(info)
        keep_freed_memory()
        self._stage = timer.stage
        self._model = load_head_model()
        spec = PhotoSpec.parse(photo)
        pixels = read_photo(str(spec.path))
        self._context = create_context()
        self._networks = Networks(settings.networks, settings.engine)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._portrait = self._taken_apart(pixels, spec, settings)
        self._figure = Figure(self._context, self._model, self._portrait)
        # A single picture has no rest that it could be compared with.
        options = replace(options, absolute=options.absolute or info.still)
        self._middle = face_middle(self._model)
        self._director = self._directed(settings, options)
        self._follower = self._heads = HeadFinder(
            self._model, replace(settings, faces="largest"), self._networks.get("face_3dmm"),
            self._beside, still=info.still,
        )  # fmt: skip
        self._rest, self._smoother = Rest(), MeasureSmoother()
        self._calibrate = False
        self._act: Act = self._director.rest()
        width, height = self._portrait.size
        self.output_info = replace(
            info, width=width, height=height, alpha=None, pixel_aspect=Fraction(1)
        )

    def _taken_apart(self, pixels: np.ndarray, spec: PhotoSpec, settings: Settings) -> Portrait:
        model = self._model
        raster = DepthRaster(self._context, model.triangles, model.triangles_of(1, 2, 3, 4))
        with PersonSegmenter() as segmenter:
            studio = Studio(model, settings, self._networks, segmenter, raster)
            portrait = studio.portrait(pixels, spec)
        raster.release()
        return portrait

    def _directed(self, settings: Settings, options: PuppetOptions) -> Director:
        """Return the director, who has watched how the tracker reads the portrait's lips."""
        head, mouth, model = self._portrait.head, self._figure.photo_mouth, self._model
        rest = Director(head, model, mouth, BELIEVED, absolute=False).rest()
        with HeadFinder(model, replace(settings, faces="largest"), None, self._beside) as finder:
            lips = read_lips(self._figure, rest, finder, self._middle)
        return Director(
            head, model, mouth, lips, absolute=options.absolute, most_yaw=options.most_yaw
        )

    def close(self) -> None:
        """Give back the networks and the OpenGL context."""
        self._heads.close()
        self._beside.shutdown()
        self._networks.close()
        self._figure.close()
        self._context.release()

    @property
    def engines(self) -> dict[str, dict[str, str]]:
        """What runs each network, as really executed."""
        return {**self._follower.as_stats, **self._networks.as_stats}

    def press(self, key: str) -> None:
        """Take the calibration key: the driver's present face is his rest from now on."""
        if key == CALIBRATE_KEY:
            self._calibrate = True

    def expected_points_px(self) -> np.ndarray:
        """Return (468, 2) where the tracked points lie in what was drawn last."""
        return self._figure.points_px(self._act)

    def _process(self, frame: Frame, request: PoseRequest) -> Frame:
        stage = self._stage
        with stage("track"):
            faces = self._heads.track(frame)
            if self._heads.cut:
                self._rest.reset()
                self._smoother.reset()
        with stage("fit"):
            heads = self._heads.fit(frame, faces)
        with stage("act"):
            self._act = self._acted(frame, faces, heads, request)
        with stage("draw"):
            pixels = self._figure.draw(self._act, smooth=self.quality.refine_every > 0)
        return replace(frame, pixels=pixels)

    def _acted(
        self, frame: Frame, faces: list[Face], heads: list[Head], request: PoseRequest
    ) -> Act:
        if not heads:
            return self._director.rest()
        face, head = faces[0], heads[0]
        now = self._smoother(measure(face, head, self._middle), frame.time_s)
        good = face.fresh and head.presence > 0.99
        if self._calibrate and good:
            self._rest.take(now)
            self._calibrate = False
        rest = self._rest.update(now)
        added = np.array([request.yaw, request.pitch, request.roll])
        return self._director.act(now, rest, head.presence, added)

    def _plain(self, frame: Frame) -> Frame:
        return replace(frame, pixels=self._portrait.pixels)


def puppet_path(photo: str, options: PuppetOptions | None = None) -> PathBuilder:
    """Return what builds the path that drives a photo, for a job."""
    chosen = options or PuppetOptions()

    def build(settings: Settings, info: StreamInfo, timer: StageTimer) -> FramePath:
        return Puppeteer(photo, chosen, settings, info, timer)

    return build
