"""The path of a frame: capture → track → fit → segment → hair depth → mesh → pose → warp → sink.

`Reposer._turned` reads as the table in docs/architecture.md: one statement a stage.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stream.allocator import keep_freed_memory
from stream.composite import head_region, moving_region, paste
from stream.depth_over_time import DepthOverTime
from stream.gl import create_context
from stream.governor import HIGH
from stream.hair_depth import HairDepth
from stream.hair_network import HairNetwork
from stream.head_model import load_head_model
from stream.heads import HeadFinder
from stream.helper import Answer, Helper, HelperLostError, ThreadHelper, open_helper
from stream.matte import MatteState, head_matte, without_told_background
from stream.mesh import build_mesh
from stream.networks import LIVE, Networks
from stream.outlook import LABELS, Outlook
from stream.overhang import Overhang
from stream.parting import Collar
from stream.path import FramePath
from stream.pose import PoseController
from stream.raster import DepthRaster
from stream.refine import SIZE as REFINED
from stream.refine import Refiner
from stream.refine_over_time import RefineOverTime, drawn_marks
from stream.region import NodeGrid, Region, resample_to_nodes
from stream.still_outline import Turning
from stream.symmetry import with_mirror_half
from stream.underlay import Underlay
from stream.warp import Warp
from stream.worn import mended

if TYPE_CHECKING:
    from collections.abc import Generator

    from stream.frame import Face, Frame, Head
    from stream.hair_depth import HeadDepth
    from stream.matte_colour import KnownBackground
    from stream.media import StreamInfo
    from stream.mesh import HeadMesh
    from stream.pose import HeadMotion, PoseRequest
    from stream.settings import Settings
    from stream.sight import Sight
    from stream.stats import StageTimer

_log = logging.getLogger("voltface")
_STILL_NODES, STILL_SAMPLES = 128, 4
_OTHER_ROOM = 64 << 20  # bytes on their way to and from the helper, beside frames


class _Looked(NamedTuple):
    """What was asked for of a region of the present frame."""

    region: Region
    glance: Answer[Sight]
    known: Answer[KnownBackground | None]
    labels: Answer[Sight | None]


class _Followed:
    """What is kept of one head from frame to frame."""

    def __init__(self, hair: HairDepth, underlay: Underlay, refine: RefineOverTime | None) -> None:
        self.hair = hair
        self.underlay = underlay
        self.refine = refine
        self.matte = MatteState()
        self.collar = Collar()
        self.overhang = Overhang()
        self.region: Region | None = None  # of the last frame
        self.ahead: _Looked | None = None  # of that region in this one
        self.depth = DepthOverTime(hair)
        self.seen: Sight | None = None  # of the last region


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
        self._settings = settings
        self._outlook = self._begun()  # it starts while the rest is made
        self._model = load_head_model()
        context = create_context()
        self._raster = DepthRaster(
            context, self._model.triangles, self._model.triangles_of(1, 2, 3, 4)
        )
        self._warp = Warp(context, STILL_SAMPLES if info.still else 0)
        others = [name for name in LIVE if name != LABELS]
        self._networks = Networks(settings.networks, settings.engine, needed=others)
        refine = self._networks.get("refine")
        self._refiner = Refiner(refine) if refine else None
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._follower = self._heads = HeadFinder(
            self._model, settings, self._networks.get("face_3dmm"), self._beside, still=info.still
        )
        self._poses = PoseController(self._model.neck_joint, settings.limits)
        self._followed: dict[int, _Followed] = {}
        try:
            self._outlook.wait()
        except HelperLostError as error:
            _log.warning("%s: a thread does its work", error)
            self._go_on_alone()
        self._seers = self._outlook.call(Outlook.engines).result()

    def _go_on_alone(self) -> None:
        """Do the helper's work in a thread, from now on."""
        self._outlook.close()
        self._followed.clear()
        self._outlook = ThreadHelper(Outlook, self._settings.networks, self._settings.engine)

    def _begun(self) -> Helper[Outlook]:
        """Return what looks on beside the path; a picture ends before a process has started."""
        given = Outlook, self._settings.networks, self._settings.engine
        if self._still or not self._settings.helper:
            return ThreadHelper(*given)
        width, height = self._size
        return open_helper(_OTHER_ROOM + 6 * 3 * width * height, *given)

    def close(self) -> None:
        """Give back the networks and the OpenGL context."""
        self._heads.close()
        self._beside.shutdown()
        self._outlook.close()
        self._networks.close()
        self._raster.release()
        self._warp.release()

    @property
    def _nodes(self) -> int:
        """Nodes along a region's longer side; a picture has time for more."""
        return max(_STILL_NODES, self.quality.nodes) if self._still else self.quality.nodes

    @property
    def engines(self) -> dict[str, dict[str, str]]:
        """What runs each network, as really executed."""
        return {**self._follower.as_stats, **self._seers, **self._networks.as_stats}

    def _parts(self, frame: Frame, request: PoseRequest) -> Generator[None, None, Frame]:
        try:
            return (yield from self._turned(frame, request))
        except HelperLostError:
            self._go_on_alone()
            raise

    def _turned(self, frame: Frame, request: PoseRequest) -> Generator[None, None, Frame]:
        stage, ask = self._stage, self._outlook.call
        pixels = frame.pixels.copy()
        self._look_ahead(pixels, request)
        with stage("track"):
            faces = self._track(frame)
        yield  # the frame before is finished
        with stage("fit"):
            heads, likes = self._fitted(frame, faces, request)
        if request.is_rest or not heads:
            return frame
        for head, like in zip(heads, likes, strict=True):
            region = _region(head, like, frame)
            if region.is_empty:
                continue
            followed, grid = self._state(head), NodeGrid.over(region, self._nodes)
            with stage("segment"):
                matte, sight = self._matte(pixels, head, region, grid, followed)
            # The background is found while the head's geometry is, and learns while that is drawn.
            shown = ask(Outlook.show, head.face_id, region, matte, finish=self._still)
            with stage("hair depth"):
                node_matte = resample_to_nodes(matte, grid)
                depth = self._depth(head, node_matte, grid, sight, followed)
            with stage("mesh"):
                mesh = build_mesh(depth, node_matte, head.camera[0, 0], self._settings.mesh)
            with stage("pose"):
                motion = self._poses.motion(head, request, like)
                turning = Turning.of(depth, motion, head.camera)
                behind = ask(Outlook.behind, head.face_id, turning)
                crop = region.crop(pixels)
                mesh = _completed(mesh, crop, node_matte, sight, head, motion, followed)
                moving = moving_region(mesh, motion, head.camera).intersection(region)
            with stage("plate"):
                learnt = shown if self._still else ask(Outlook.learn, head.face_id)
                unseen = self._unseen(head, moving, motion, followed)
                shown.result()
                plate, alpha = behind.result()
            if moving.is_empty:
                continue
            with stage("warp"):
                part = moving.moved_into(region)
                self._warp.begin(
                    moving.crop(pixels), part.crop(alpha), part.crop(plate),
                    moving, mesh, motion, head.camera, head.presence,
                )  # fmt: skip
            if head is heads[-1]:
                yield  # while it is drawn, the next frame is looked at
            with stage("warp"):
                drawn = self._warp.finish()
            learnt.result()  # from the pixels that are changed now
            if self._refines:
                with stage("refine"):
                    drawn = self._refined(drawn, moving, head, motion, followed, unseen)
            with stage("composite"):
                paste(pixels, drawn, moving)
                if head is not heads[-1]:
                    ask(Outlook.paint, drawn, moving)
        return replace(frame, pixels=pixels)

    @property
    def _refines(self) -> bool:
        return self._refiner is not None and self.quality.refine_every > 0

    def _unseen(
        self, head: Head, moving: Region, motion: HeadMotion, followed: _Followed
    ) -> Answer[np.ndarray] | None:
        """Ask what of the background in a region is a guess, where a look for repair is due."""
        refine, every = followed.refine, self.quality.refine_every
        if refine is None:
            return None
        if not every:
            refine.forget()
        elif not moving.is_empty and refine.is_due(moving, drawn_marks(head, motion), every):
            return self._outlook.call(Outlook.unseen, head.face_id, moving, (REFINED, REFINED))
        return None

    def _refined(
        self, drawn: np.ndarray, moving: Region, head: Head, motion: HeadMotion,
        followed: _Followed, unseen: Answer[np.ndarray] | None,
    ) -> np.ndarray:  # fmt: skip
        """Repair a region that was just drawn, by the last look's change between looks."""
        if followed.refine is None:
            return drawn
        told = None
        if unseen is not None:
            # As good as of full size, and sooner drawn.
            told = self._warp.provenance(REFINED // 2), unseen.result()
        return followed.refine.refined(drawn, moving, drawn_marks(head, motion), told)

    def _track(self, frame: Frame) -> list[Face]:
        faces = self._heads.track(frame)
        if self._heads.cut:
            self._forget()
        return faces

    def _forget(self) -> None:
        self._outlook.call(Outlook.forget)
        self._followed.clear()

    def _fitted(
        self, frame: Frame, faces: list[Face], request: PoseRequest
    ) -> tuple[list[Head], list[Head | None]]:
        """Return the heads of a frame, and whose pose each is to take."""
        heads = self._heads.fit(frame, faces)
        self._leave_out_others(heads)
        return heads, [self._like(head, request) for head in heads]

    def _like(self, head: Head, request: PoseRequest) -> Head | None:
        if request.like is None:
            return None
        return self._heads.fit_as(head.face_id, request.like, self._size)

    def _state(self, head: Head) -> _Followed:
        if head.face_id not in self._followed:
            hair = self._hair_depth()
            self._outlook.call(Outlook.meet, head.face_id, self._settings.plate)
            underlay = Underlay(self._model, self._settings.hair.neck_mm, self._beside)
            beside = None if self._still else self._beside
            refine = None if self._refiner is None else RefineOverTime(self._refiner, beside)
            self._followed[head.face_id] = _Followed(hair, underlay, refine)
        return self._followed[head.face_id]

    def _hair_depth(self) -> HairDepth:
        engine, settings = self._networks.get("hair_depth"), self._settings
        network = None
        if engine is not None:
            network = HairNetwork(engine, self._raster, settings.hair_network, self._beside)
        return HairDepth(self._model, self._raster, settings.hair, network)

    def _look_ahead(self, pixels: np.ndarray, request: PoseRequest) -> None:
        """Look at the heads where they were, while the tracker looks where they are.

        Regions snap to a coarse grid, so that a head is mostly found in its last one.
        """
        if request.is_rest:
            return
        self._outlook.call(Outlook.begin, pixels)
        for face_id, followed in self._followed.items():
            if followed.region is not None:
                afresh = followed.seen is None
                followed.ahead = self._looked(face_id, followed.region, afresh=afresh)

    def _looked(self, face_id: int, region: Region, *, afresh: bool) -> _Looked:
        ask = self._outlook.call
        glance = ask(Outlook.glance, face_id, region)
        known = ask(Outlook.follow, face_id, region)
        # The matte does without labels: they come last.
        return _Looked(region, glance, known, ask(Outlook.labels, face_id, afresh=afresh))

    def _leave_out_others(self, heads: list[Head]) -> None:
        """Look no more where heads were that are gone."""
        seen = {head.face_id for head in heads}
        for face_id, followed in self._followed.items():
            if face_id not in seen:
                followed.region = followed.ahead = None

    def _matte(
        self, pixels: np.ndarray, head: Head, region: Region, grid: NodeGrid, followed: _Followed
    ) -> tuple[np.ndarray, Sight]:
        looked = followed.ahead
        if looked is None or looked.region != region:
            looked = self._looked(head.face_id, region, afresh=True)
        followed.region, followed.ahead = region, None
        prior = followed.hair.prior(head, grid)
        size = round(self._settings.matte.size * self.quality.matte_share)
        settings = replace(self._settings.matte, size=size)
        crop = np.ascontiguousarray(region.crop(pixels))
        glance, known = looked.glance.result(), looked.known.result()
        matte = head_matte(crop, glance.person, prior, settings, followed.matte, region, known)
        sight = looked.labels.result()
        if sight is None and followed.seen is not None:
            sight = followed.seen.carried_on(glance)
        followed.seen = sight = sight or glance
        return without_told_background(matte, sight.told), sight

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


def _region(head: Head, like: Head | None, frame: Frame) -> Region:
    """Return the part of a frame in which a head is, and that of which it takes the pose."""
    region = head_region(head, frame.size)
    return region if like is None else region.union(head_region(like, frame.size))


def _completed(
    mesh: HeadMesh, crop: np.ndarray, node_matte: np.ndarray, sight: Sight, head: Head,
    motion: HeadMotion, followed: _Followed,
) -> HeadMesh:  # fmt: skip
    """Return a mesh with what a motion brings to light: the hidden half, and hidden skin."""
    mesh = with_mirror_half(mesh, crop, node_matte, head, motion, sight, followed.overhang)
    under = followed.underlay.sheet(crop, head, mesh.depth, node_matte, sight)
    return mended(mesh, under, node_matte, sight, head, motion, followed.collar)
