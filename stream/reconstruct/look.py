"""What the stages of the live path see in one picture, head by head."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from stream.closing import Closing
from stream.composite import head_region
from stream.frame import Frame
from stream.gl import create_context
from stream.hair_depth import HairDepth, HeadDepth
from stream.hair_network import HairNetwork
from stream.head_model import load_head_model
from stream.heads import HeadFinder
from stream.matte import MatteState, head_matte
from stream.mediapipe_graph import MEDIAPIPE
from stream.networks import Networks
from stream.raster import DepthRaster
from stream.reconstruct.face_depth import FaceDepth, FaceView
from stream.reconstruct.stance import agreed_head, tilted_head
from stream.region import NodeGrid, Region, resample_to_nodes
from stream.segment import PersonSegmenter
from stream.sight import HeadSight, Sight

if TYPE_CHECKING:
    from stream.face_3dmm import FaceGuess
    from stream.frame import Face, Head
    from stream.settings import Settings

_NODES = 160  # along a region's longer side: a picture has time for more than a frame
_MATTE_SIZE = 512
_NEEDED = ("head_segmentation", "hair_depth", "face_3dmm", "face_depth")


@dataclass(frozen=True, slots=True)
class HeadLook:
    """All that the stages found of one head.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, the whole picture.
        face: the tracked points.
        head: the fitted head model.
        region: the part of the picture that holds the head.
        matte: (h, w) float32 0…1, the person, over the region at any resolution.
        sight: what the networks saw in the region.
        depth: of the head and its hair, at the nodes of a grid over the region.
        face_view: what the network `face_depth` says of the face, if there is one.
    """

    pixels: np.ndarray
    face: Face
    head: Head
    region: Region
    matte: np.ndarray
    sight: Sight
    depth: HeadDepth
    face_view: FaceView | None = None


class HeadLooker(Closing):
    """Runs tracking, fitting, segmentation and hair depth on pictures.

    Args:
        settings: of the path; `faces` says whether one head is wanted or all.

    Raises:
        UserError: if OpenGL is missing.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.model = load_head_model()
        self.context = create_context()
        self._raster = DepthRaster(
            self.context, self.model.triangles, self.model.triangles_of(1, 2, 3, 4)
        )
        self.networks = Networks(settings.networks, settings.engine, needed=_NEEDED)
        engine = self.networks.get("face_depth")
        self._face_depth = FaceDepth(engine, self._raster, self.model) if engine else None
        self._segmenter = PersonSegmenter()
        self._sight = HeadSight(self._segmenter, self.networks.get("head_segmentation"))
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._finders: dict[str, dict[str, str]] = {}

    def close(self) -> None:
        """Give back the networks and the OpenGL context."""
        self._beside.shutdown()
        self._segmenter.close()
        self.networks.close()
        self._raster.release()
        self.context.release()

    @property
    def engines(self) -> dict[str, dict[str, str]]:
        """What runs each network, as really executed."""
        return {**self._finders, "person_segmentation": MEDIAPIPE, **self.networks.as_stats}

    def look(self, pixels: np.ndarray) -> list[HeadLook]:
        """Return what is seen of the heads of a picture, the largest first.

        Args:
            pixels: (H, W, 3) uint8 RGB.
        """
        frame = Frame(pixels)
        network = self.networks.get("face_3dmm")
        with HeadFinder(self.model, self._settings, network, self._beside, still=True) as heads:
            self._finders = heads.as_stats
            faces = heads.track(frame)
            fitted = [
                self._turned(head, heads.guess(face.id), face)
                for face, head in zip(faces, heads.fit(frame, faces), strict=True)
            ]
        looks = [self._head(frame, face, head) for face, head in zip(faces, fitted, strict=True)]
        found = [look for look in looks if look is not None]
        return sorted(found, key=lambda look: look.head.camera_from_head[2, 3])

    def _turned(self, head: Head, guess: FaceGuess | None, face: Face) -> Head:
        return head if guess is None else agreed_head(head, guess, face, self.model)

    def _head(self, frame: Frame, face: Face, head: Head) -> HeadLook | None:
        view = None
        if self._face_depth is not None:
            view = self._face_depth.view(frame.pixels, face, head)
            head = tilted_head(head, view, face, self.model)
        region = head_region(head, frame.size)
        if region.is_empty:
            return None
        grid = NodeGrid.over(region, _NODES)
        crop = np.ascontiguousarray(region.crop(frame.pixels))
        hair = self._hair_depth()
        sight = self._sight.look(crop)
        settings = replace(self._settings.matte, size=_MATTE_SIZE)
        prior = hair.prior(head, grid)
        matte = head_matte(crop, sight.person, prior, settings, MatteState(), region)
        depth = hair.estimate(head, resample_to_nodes(matte, grid), grid, sight)
        return HeadLook(frame.pixels, face, head, region, matte, sight, depth, view)

    def _hair_depth(self) -> HairDepth:
        engine, settings = self.networks.get("hair_depth"), self._settings
        network = HairNetwork(engine, self._raster, settings.hair_network) if engine else None
        return HairDepth(self.model, self._raster, settings.hair, network)
