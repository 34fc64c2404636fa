"""Swap by mesh: the source's skin on the target's head, under the target's light.

`Swapper._process` reads as one line a stage; docs/swap.md says why each is there.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.allocator import keep_freed_memory
from stream.composite import head_region
from stream.gl import create_context
from stream.governor import HIGH
from stream.head_model import load_head_model
from stream.heads import HeadFinder
from stream.networks import Networks
from stream.path import FramePath
from stream.swap.casting import Casting, Looks
from stream.swap.compose import CLOSE, Laid, covering, face_region, laid
from stream.swap.contrast import Darks
from stream.swap.controls import pressed
from stream.swap.detail import detail_bands
from stream.swap.draw import FaceDrawer, Look, seen_at_vertices, soft_border
from stream.swap.fade import Fade, cut_off, turned_degrees
from stream.swap.finish import Finish
from stream.swap.glasses import Glasses
from stream.swap.light import LiveLight, source_light
from stream.swap.light_basis import light_basis
from stream.swap.lips import Lips
from stream.swap.occlude import Front, covered, look_in_front, with_nearer
from stream.swap.rim import Rim, SourceRim
from stream.swap.shape import ShapeBlender
from stream.swap.surround import surround_of
from stream.swap.tension import Tension

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.frame import Face, Frame, Head
    from stream.media import StreamInfo
    from stream.pose import PoseRequest
    from stream.region import Region
    from stream.settings import Settings
    from stream.stats import StageTimer
    from stream.swap.casting import Role
    from stream.swap.shape import FaceShape
    from stream.swap.source_face import SourceFace

_HIDDEN_SKIN = 0.1  # facing less, a vertex says nothing of what is in front of the face


@dataclass(slots=True)
class _Followed:
    """What is kept of one face from frame to frame."""

    blender: ShapeBlender
    light: LiveLight
    finish: Finish
    fade: Fade = field(default_factory=Fade)
    darks: Darks = field(default_factory=Darks)
    rim: Rim = field(default_factory=Rim)
    lips: Lips = field(default_factory=Lips)
    glasses: Glasses = field(default_factory=Glasses)
    region: Region | None = None  # of the head in the last frame
    front: Future[Front] | None = None  # being looked for in this frame


class Swapper(FramePath):
    """Swaps the faces of a stream, frame by frame.

    Args:
        settings: of the path; `swap` says how.
        info: the stream that comes in.
        timer: takes the time of each stage.
        sources: whose faces are put on.
        roles: who gets which.

    Attributes:
        options: how faces are swapped now; keys change it.
        covers: what was laid over the last frame, a row for each face.

    Raises:
        UserError: if OpenGL is missing.
    """

    def __init__(
        self,
        settings: Settings,
        info: StreamInfo,
        timer: StageTimer,
        *,
        sources: Sequence[SourceFace],
        roles: Sequence[Role],
    ) -> None:
        super().__init__(info)
        keep_freed_memory()
        self._stage = timer.stage
        self.options = settings.swap
        self.covers: list[Laid] = []
        self._seed = settings.seed or 0
        self._model = load_head_model()
        unused = replace(settings.networks, hair_depth=False, refine=False)
        self._networks = Networks(unused, settings.engine)
        self._labeller = self._networks.get("head_segmentation")
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._follower = self._heads = HeadFinder(
            self._model, settings, self._networks.get("face_3dmm"), self._beside, still=info.still
        )
        self._drawer = FaceDrawer(create_context(), self._model)
        self._basis = light_basis(self._model)
        self._sources = list(sources)
        self._seen = [seen_at_vertices(self._model, source.seen) for source in sources]
        self._lights = [
            source_light(self._model, source, seen)
            for source, seen in zip(sources, self._seen, strict=True)
        ]
        self._tensions = [Tension(self._model, source.expression) for source in sources]
        self._rims = [
            SourceRim(self._model, source.texture, seen)
            for source, seen in zip(sources, self._seen, strict=True)
        ]
        for number, source in enumerate(self._sources):
            detail = detail_bands(source.texture, self._model)
            self._drawer.add_texture(number, source.texture, source.folds, detail)
        self._casting = Casting(roles)
        self._looks = Looks(settings.engine) if self._casting.needs_looks else None
        self._followed: dict[int, _Followed] = {}
        self._frames = 0

    def close(self) -> None:
        """Give back the networks and the OpenGL context."""
        self._heads.close()
        self._beside.shutdown()
        self._networks.close()
        if self._looks is not None:
            self._looks.close()
        self._drawer.release()

    @property
    def engines(self) -> dict[str, dict[str, str]]:
        """What runs each network, as really executed."""
        return {**self._follower.as_stats, **self._networks.as_stats}

    def press(self, key: str) -> None:
        """Take one key of `stream.swap.controls.KEYS`."""
        self.options = pressed(self.options, key)

    def _process(self, frame: Frame, request: PoseRequest) -> Frame:
        self.covers = []
        self._look_ahead(frame)
        with self._stage("track"):
            faces = self._track(frame)
        with self._stage("fit"):
            heads = self._heads.fit(frame, faces)
        if self.options.strength == 0 or not heads:
            return frame
        pixels = frame.pixels.copy()
        self._cast(frame, heads)
        pairs = sorted(zip(faces, heads, strict=True), key=lambda pair: -_away_mm(pair[1]))
        for index, (face, head) in enumerate(pairs):
            number = self._casting.source_of(face.id)
            if number is not None:
                nearer = [other.points_px[:, :2] for other, _ in pairs[index + 1 :]]
                self._swap(pixels, frame, face, head, number, nearer)
        return replace(frame, pixels=pixels)

    def _swap(
        self, pixels: np.ndarray, frame: Frame, face: Face, head: Head, number: int,
        nearer: Sequence[np.ndarray],
    ) -> None:  # fmt: skip
        """Put the source of a number onto one face, in place in (H, W, 3) pixels.

        Faces of others that are nearer, each (478, 2) points, stay before it.
        """
        stage, options = self._stage, self.options
        source, followed = self._sources[number], self._state(face.id)
        with stage("shape"):
            shape = followed.blender(face, head, source, options.shape, frame.time_s)
            region = face_region(shape, self._model, frame.size)
        with stage("segment"):
            front = self._front(frame, head, followed)
            front = with_nearer(front, nearer) if front is not None and nearer else front
            level = self._level(frame, face, head, shape, front, followed)
        if region.is_empty or level == 0:
            return
        with stage("light"):
            light = followed.light(frame.pixels, shape, front, self._lights[number], options)
            squeeze = followed.darks(frame.pixels, shape, source.depth)
            rim = self._rims[number]
            light = followed.rim(frame.pixels, shape, front, rim, light, squeeze)
        with stage("surround"):
            around = surround_of(shape, followed.blender.follows, region, level)
            if around is not None:
                region.crop(pixels)[:] = around.of(pixels)
        inner = face_region(shape, self._model, frame.size, CLOSE)
        border = soft_border(self._model, options.softness, self._seen[number])
        folded = self._tensions[number].likeness(head.expression)
        finish = followed.finish

        def draw() -> np.ndarray:
            look = Look(finish.blur, squeeze, finish.detail)
            lines = folded * finish.detail[1]  # on a smooth face folds are shallow, too
            return self._drawer.draw(number, shape, light, border, inner, look, lines)

        with stage("draw"):
            drawn = draw()
        with stage("composite"):
            hidden = self._hidden(frame, shape, inner, front, followed)
            moved = None if around is None else around.part(region, inner)
            if hidden is not None and moved is not None:
                hidden = moved.of(hidden, inner[:2])
            cover = covering(drawn, shape, inner, hidden, options)
            under = inner.crop(pixels).copy()
            if not options.mouth:
                followed.lips(under, drawn, shape, inner, hidden)
            if finish.learn(drawn, under, cover, shape.eyes_px):
                drawn = draw()  # the first frame looks as the next ones will
            inner.crop(pixels)[:] = laid(finish(drawn, options), under, cover, level)
        self.covers.append(Laid(inner, cover, under))

    def _track(self, frame: Frame) -> list[Face]:
        faces = self._heads.track(frame)
        if self._heads.cut:
            self._followed.clear()
            self._casting.reset()
            if self._looks is not None:
                self._looks.reset()
        return faces

    def _cast(self, frame: Frame, heads: Sequence[Head]) -> None:
        across = {head.face_id: _place_px(head) for head in heads}
        looks = self._looks.update(frame, heads) if self._looks is not None else {}
        self._casting.update(across, looks)

    def _state(self, face_id: int) -> _Followed:
        if face_id not in self._followed:
            self._followed[face_id] = _Followed(
                ShapeBlender(self._model), LiveLight(self._basis), Finish(self._seed)
            )
        return self._followed[face_id]

    def _look_ahead(self, frame: Frame) -> None:
        """Look for what is in front of heads where they were, while the tracker runs.

        Where quality is low, what was seen in the last frames must do for the next.
        """
        self._frames += 1
        if self._frames % max(1, self.quality.hair_every // HIGH.hair_every):
            return
        for followed in self._followed.values():
            followed.front = None
            if followed.region is not None:
                followed.front = self._submit(frame, followed.region)

    def _submit(self, frame: Frame, region: Region) -> Future[Front] | None:
        if self._labeller is None or region.is_empty:
            return None
        crop = np.ascontiguousarray(region.crop(frame.pixels))
        return self._beside.submit(look_in_front, self._labeller, crop, region)

    def _front(self, frame: Frame, head: Head, followed: _Followed) -> Front | None:
        followed.region = head_region(head, frame.size)
        answer = followed.front or self._submit(frame, followed.region)
        return None if answer is None else answer.result()

    def _hidden(
        self, frame: Frame, shape: FaceShape, region: Region, front: Front | None,
        followed: _Followed,
    ) -> np.ndarray | None:  # fmt: skip
        """Return (h, w) uint8 what is in front of a face: hands, hair, glasses."""
        glasses = followed.glasses(frame.pixels, shape.tracked_px, region)
        things = covered(front, shape, region, region.crop(frame.pixels)) if front else None
        if glasses is None or things is None:
            return things if glasses is None else glasses
        return cv2.max(things, glasses)

    def _level(
        self, frame: Frame, face: Face, head: Head, shape: FaceShape, front: Front | None,
        followed: _Followed,
    ) -> float:  # fmt: skip
        """Return how far a face is shown as swapped, 0…1."""
        hidden = cut_off(shape.tracked_px, frame.size, shape.eyes_px)
        if front is not None:
            skin = self._basis.plain
            weights = np.maximum(shape.facing[skin] - _HIDDEN_SKIN, 0)
            before = float(weights @ front.at(shape.own_px[skin]) / max(weights.sum(), 1e-6))
            hidden = max(hidden, before)
        shown = followed.fade(turned_degrees(head), hidden, self.options.most_turned)
        return shown * face.presence * self.options.strength


def _away_mm(head: Head) -> float:
    """Return how far a head is from the camera."""
    return float(head.camera_from_head[2, 3])


def _place_px(head: Head) -> float:
    """Return where a head is across the frame."""
    x, _, z = head.camera_from_head[:3, 3]
    return float(head.camera[0, 0] * x / z + head.camera[0, 2])
