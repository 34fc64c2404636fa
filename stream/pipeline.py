"""The path of a frame: capture → track → fit → segment → hair depth → mesh → pose → warp → sink.

`Reposer._process` reads as the table in docs/architecture.md: one statement a stage.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stream.allocator import keep_freed_memory
from stream.composite import (
    head_region,
    matte_at_frame,
    moving_region,
    paste,
)
from stream.depth_over_time import DepthOverTime
from stream.gl import create_context
from stream.governor import HIGH
from stream.hair_depth import HairDepth
from stream.hair_network import HairNetwork
from stream.head_model import load_head_model
from stream.heads import HeadFinder
from stream.matte import MatteState, head_matte, without_told_background
from stream.mesh import build_mesh
from stream.networks import Networks
from stream.overhang import Overhang
from stream.parting import Collar
from stream.path import MEDIAPIPE, FramePath
from stream.plate import BackgroundPlate
from stream.pose import PoseController
from stream.raster import DepthRaster
from stream.refine import SIZE as REFINED
from stream.refine import Refiner
from stream.refine_over_time import RefineOverTime, drawn_place
from stream.region import NodeGrid, Region, resample_to_nodes
from stream.segment import PersonSegmenter
from stream.sight import HeadSight, Sight
from stream.still_outline import show_beside
from stream.symmetry import with_mirror_half
from stream.underlay import Underlay
from stream.warp import Warp
from stream.worn import mended

if TYPE_CHECKING:
    from stream.frame import Face, Frame, Head
    from stream.hair_depth import HeadDepth
    from stream.media import StreamInfo
    from stream.pose import HeadMotion, PoseRequest
    from stream.settings import Settings
    from stream.stats import StageTimer

_STILL_NODES, STILL_SAMPLES = 128, 4


class _Followed:
    """What is kept of one head from frame to frame."""

    def __init__(self, hair: HairDepth, plate: BackgroundPlate, underlay: Underlay) -> None:
        self.hair = hair
        self.plate = plate
        self.underlay = underlay
        self.matte = MatteState()
        self.collar = Collar()
        self.overhang = Overhang()
        self.region: Region | None = None  # of the last frame
        self.glance: Future[Sight] | None = None  # of that region in this one, being made
        self.sight: Future[Sight] | None = None  # the same with labels
        self.aligned: Future[None] | None = None  # the plate with this frame, being done
        self.depth = DepthOverTime(hair)
        self.seen: Sight | None = None  # of the last region
        self.refine: RefineOverTime | None = None


class Reposer(FramePath):
    """Re-poses the heads of a stream, frame by frame.

    Args:
        settings: of the path.
        info: the stream that comes in.
        timer: takes the time of each stage.

    Raises:
        UserError: if OpenGL is missing.
    """

    def __init__(self, settings: Settings, info: StreamInfo, timer: StageTimer) -> None:
        super().__init__(info)
        keep_freed_memory()
        self._stage = timer.stage
        self._still = info.still
        self._size = (info.width, info.height)
        self._model = load_head_model()
        context = create_context()
        self._raster = DepthRaster(
            context, self._model.triangles, self._model.triangles_of(1, 2, 3, 4)
        )
        self._warp = Warp(context, STILL_SAMPLES if info.still else 0)
        self._networks = Networks(settings.networks, settings.engine)
        self._segmenter = PersonSegmenter()
        self._sight = HeadSight(self._segmenter, self._networks.get("head_segmentation"))
        refine = self._networks.get("refine")
        self._refiner = Refiner(refine) if refine else None
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._follower = self._heads = HeadFinder(
            self._model, settings, self._networks.get("face_3dmm"), self._beside, still=info.still
        )
        self._settings = settings
        self._poses = PoseController(self._model.neck_joint, settings.limits)
        self._followed: dict[int, _Followed] = {}

    def close(self) -> None:
        """Give back the networks and the OpenGL context."""
        self._heads.close()
        self._beside.shutdown()
        self._segmenter.close()
        self._networks.close()
        self._forget()
        self._raster.release()
        self._warp.release()

    @property
    def _nodes(self) -> int:
        """Nodes along a region's longer side; a picture has time for more."""
        return max(_STILL_NODES, self.quality.nodes) if self._still else self.quality.nodes

    @property
    def engines(self) -> dict[str, dict[str, str]]:
        """What runs each network, as really executed."""
        own = self._networks.as_stats
        return {"face_mesh": MEDIAPIPE, "person_segmentation": MEDIAPIPE, **own}

    def _process(self, frame: Frame, request: PoseRequest) -> Frame:
        stage = self._stage
        pixels = frame.pixels.copy()
        if not request.is_rest:
            self._look_ahead(pixels)
        with stage("track"):
            faces = self._track(frame)
        with stage("fit"):
            heads = self._heads.fit(frame, faces)
            likes = [self._like(head, request) for head in heads]
        self._leave_out_others(heads)
        if request.is_rest or not heads:
            return frame
        for head, like in zip(heads, likes, strict=True):
            region = head_region(head, frame.size)
            if like is not None:
                region = region.union(head_region(like, frame.size))
            if region.is_empty:
                continue
            followed, grid = self._state(head), NodeGrid.over(region, self._nodes)
            with stage("segment"):
                matte, sight = self._matte(pixels, head, region, grid, followed)
            # The background is found while the head's geometry is, and learns while that is drawn.
            behind = self._beside.submit(self._background, followed, pixels, region, matte)
            with stage("hair depth"):
                node_matte = resample_to_nodes(matte, grid)
                depth = self._depth(head, node_matte, grid, sight, followed)
            with stage("mesh"):
                mesh = build_mesh(depth, node_matte, head.camera[0, 0], self._settings.mesh)
            with stage("pose"):
                motion = self._poses.motion(head, request, like)
                crop = region.crop(pixels)
                behind = self._beside.submit(_fitted, behind, crop, depth, motion, head.camera)
                learnt = behind if self._still else self._beside.submit(followed.plate.learn)
                mesh = with_mirror_half(
                    mesh, crop, node_matte, head, motion, sight, followed.overhang
                )
                under = followed.underlay.sheet(crop, head, depth, node_matte, sight)
                mesh = mended(mesh, under, node_matte, sight, head, motion, followed.collar)
                moving = moving_region(mesh, motion, head.camera).intersection(region)
            with stage("plate"):
                plate, alpha = behind.result()
            if moving.is_empty:
                continue
            with stage("warp"):
                part = moving.moved_into(region)
                drawn = self._warp.draw(
                    moving.crop(pixels), part.crop(alpha), part.crop(plate),
                    moving, mesh, motion, head.camera, head.presence,
                )  # fmt: skip
            learnt.result()  # from the pixels that are changed now
            if self._refiner is not None and self.quality.refine_every:
                with stage("refine"):
                    place_px = drawn_place(head, motion)
                    drawn = self._refined(drawn, moving, place_px, followed, self._refiner)
            with stage("composite"):
                paste(pixels, drawn, moving)
        return replace(frame, pixels=pixels)

    def _refined(
        self,
        drawn: np.ndarray,
        moving: Region,
        place_px: np.ndarray,
        followed: _Followed,
        refiner: Refiner,
    ) -> np.ndarray:
        """Repair a region that was just drawn, by the last look's change between looks."""

        def tell() -> tuple[np.ndarray, np.ndarray]:
            unseen = followed.plate.unseen(moving, (REFINED, REFINED))
            return self._warp.provenance(REFINED // 2), unseen  # as good, and sooner drawn

        if followed.refine is None:
            followed.refine = RefineOverTime(refiner, None if self._still else self._beside)
        return followed.refine.refined(drawn, moving, place_px, self.quality.refine_every, tell)

    def _track(self, frame: Frame) -> list[Face]:
        faces = self._heads.track(frame)
        if self._heads.cut:
            self._forget()
        return faces

    def _forget(self) -> None:
        for followed in self._followed.values():
            followed.plate.close()
        self._followed.clear()

    def _like(self, head: Head, request: PoseRequest) -> Head | None:
        if request.like is None:
            return None
        return self._heads.fit_as(head.face_id, request.like, self._size)

    def _state(self, head: Head) -> _Followed:
        if head.face_id not in self._followed:
            hair = self._hair_depth()
            plate = BackgroundPlate(self._settings.plate)
            underlay = Underlay(self._model, self._settings.hair.neck_mm, self._beside)
            self._followed[head.face_id] = _Followed(hair, plate, underlay)
        return self._followed[head.face_id]

    def _hair_depth(self) -> HairDepth:
        engine, settings = self._networks.get("hair_depth"), self._settings
        network = None
        if engine is not None:
            network = HairNetwork(engine, self._raster, settings.hair_network, self._beside)
        return HairDepth(self._model, self._raster, settings.hair, network)

    def _look_ahead(self, pixels: np.ndarray) -> None:
        """Look at the heads where they were, while the tracker looks where they are.

        Regions snap to a coarse grid, so that a head is mostly found in its last one.
        """
        for followed in self._followed.values():
            if followed.region is not None:
                crop = np.ascontiguousarray(followed.region.crop(pixels))
                followed.glance = self._beside.submit(self._sight.glance, crop)
                followed.aligned = self._beside.submit(followed.plate.follow, pixels)
                # The matte does without labels: they come last.
                followed.sight = self._label(followed.glance, followed.seen)

    def _label(self, glance: Future[Sight], last: Sight | None = None) -> Future[Sight]:
        return self._beside.submit(lambda: self._sight.labelled(glance.result(), last))

    def _leave_out_others(self, heads: list[Head]) -> None:
        """Look no more where heads were that are gone."""
        seen = {head.face_id for head in heads}
        for face_id, followed in self._followed.items():
            if face_id not in seen:
                followed.region = None

    def _matte(
        self, pixels: np.ndarray, head: Head, region: Region, grid: NodeGrid, followed: _Followed
    ) -> tuple[np.ndarray, Sight]:
        crop = np.ascontiguousarray(region.crop(pixels))
        glance, answer = followed.glance, followed.sight
        if glance is None or answer is None or followed.region != region:
            glance = self._beside.submit(self._sight.glance, crop)
            answer = self._label(glance)
        prior = followed.hair.prior(head, grid)
        if followed.aligned is not None:
            followed.aligned.result()
        followed.plate.follow(pixels)  # nothing is left to do where that was this frame's
        followed.region, followed.aligned = region, None
        followed.glance = followed.sight = None
        known = followed.plate.known(region, (crop.shape[1], crop.shape[0]))
        person = glance.result().person
        size = round(self._settings.matte.size * self.quality.matte_share)
        settings = replace(self._settings.matte, size=size)
        matte = head_matte(crop, person, prior, settings, followed.matte, region, known)
        sight = followed.seen = answer.result()
        return without_told_background(matte, sight.told), sight

    def _background(
        self, followed: _Followed, pixels: np.ndarray, region: Region, matte: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Show the plate a frame; return plate and matte of a region, in its pixels."""
        followed.plate.see(pixels, region, matte)
        if self._still:
            followed.plate.learn()
            followed.plate.finish()
        return followed.plate.background(region), matte_at_frame(matte, region)

    def _depth(
        self,
        head: Head,
        node_matte: np.ndarray,
        grid: NodeGrid,
        sight: Sight,
        followed: _Followed,
    ) -> HeadDepth:
        # At high quality a region that moved on its snapping grid is worth a new look.
        every = self.quality.hair_every
        strict = every == HIGH.hair_every
        return followed.depth.at(head, node_matte, grid, sight, every, strict=strict)


def _fitted(
    behind: Future[tuple[np.ndarray, np.ndarray]],
    crop: np.ndarray,
    depth: HeadDepth,
    motion: HeadMotion,
    camera: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return plate and matte of a region, the plate as the frame shows it beside shoulders."""
    plate, alpha = behind.result()
    show_beside(crop, alpha, plate, depth, motion, camera)
    return plate, alpha
