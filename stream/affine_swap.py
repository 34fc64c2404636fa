"""`swap --method affine`: a face goes onto another one's geometry and pose by DepthNets' affine.

The source's keypoints get their depth once, from `keypoint_depth`; in every frame the 2×4 affine
that lays them on the keypoints of the video's face follows in closed form (eqs. 2 and 3).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.affine import apply_affine, depth_row, solve_affine
from stream.affine_blend import ToneMatch, face_side, lay_face
from stream.affine_cover import FaceCover, open_labeller
from stream.affine_draw import FaceDrawer, FaceMesh
from stream.affine_source import LiftedFace, following, lifted_face, mirrored_places
from stream.affine_track import KeypointTracker, LiveDepth
from stream.allocator import keep_freed_memory
from stream.errors import UserError
from stream.frame import Frame
from stream.gl import create_context
from stream.keypoint_mesh import face_triangles
from stream.media import read_picture
from stream.path import FramePath
from stream.region import Region
from stream.repair import FaceRepair, open_repair
from stream.swap.source_photo import PhotoSpec
from stream.track import FaceTracker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import moderngl

    from engines.engine import Engine
    from stream.affine_settings import AffineSettings
    from stream.media import StreamInfo
    from stream.pose import PoseRequest
    from stream.settings import Settings
    from stream.stats import StageTimer

_LARGEST_FACE_PX = 640.0  # of a source: more than a frame shows
_MOST_IN_PHOTO = 8
_MARGIN = 0.12  # of the face's side, around it in its texture
_AROUND = 0.06  # of the face's side, around it in the frame


@dataclass(frozen=True, slots=True)
class SourceFace:
    """A source that is ready to be drawn.

    Attributes:
        face: it, with depth.
        texture: its picture on the card.
    """

    face: LiftedFace
    texture: moderngl.Texture


@dataclass(slots=True)
class _Target:
    """What is kept of one face of the video."""

    source: SourceFace
    cover: FaceCover | None
    repair: FaceRepair | None
    tone: ToneMatch = field(default_factory=ToneMatch)


class AffineSwapper(FramePath):
    """Puts the faces of pictures onto the faces of a stream.

    Args:
        settings: of the path.
        info: the stream that comes in.
        timer: takes the time of each stage.
        sources: pictures with a face each, ``photo.jpg#2`` for the second from the left; the
            first face of the stream gets the first, and so on, beginning anew when there are more.
        strength: opacity of the pasted face, 0…1.

    Raises:
        UserError: if a picture cannot be read or shows no face, or OpenGL is missing.
    """

    def __init__(
        self, settings: Settings, info: StreamInfo, timer: StageTimer,
        *, sources: Sequence[str | Path], strength: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(info)
        keep_freed_memory()
        if not sources:
            raise UserError("there is no face to put on", "no source was given", "Give --source")
        self._stage, self._strength = timer.stage, float(np.clip(strength, 0, 1))
        self._options = settings.affine
        self._depth = LiveDepth(settings.engine)
        self._labeller = open_labeller(settings.engine) if self._options.occlusion else None
        faces = [read_source(path, self._depth, self._options, self._labeller) for path in sources]
        self._context = create_context()
        self._drawer = FaceDrawer(self._context)
        self._sources = [
            SourceFace(face, self._drawer.texture(face.pixels, many_sizes=True)) for face in faces
        ]
        self._follower = self._tracker = KeypointTracker(settings, still=info.still)
        self._repair = open_repair(settings.engine) if self._options.repair else None
        self._targets: dict[int, _Target] = {}

    def close(self) -> None:
        """Give back the networks and the OpenGL context."""
        self._tracker.close()
        for engine in (self._depth, self._labeller, self._repair):
            if engine is not None:
                engine.close()
        for source in self._sources:
            source.texture.release()
        self._sources = []
        self._drawer.release()

    @property
    def engines(self) -> dict[str, dict[str, str]]:
        """What runs each network, as really executed."""
        own = {"head_segmentation": self._labeller, "repair": self._repair}
        opened = {name: engine.as_stats for name, engine in own.items() if engine is not None}
        return {**self._follower.as_stats, **self._depth.as_stats, **opened}

    def _process(self, frame: Frame, request: PoseRequest) -> Frame:
        with self._stage("track"):
            faces = self._tracker.track(frame)
        if self._tracker.cut:
            self._targets.clear()
        if not faces or self._strength == 0:
            return frame
        pixels = frame.pixels.copy()
        for face in faces:
            target = self._target(face.id)
            points = face.points_px[:, :2].astype(np.float64)
            with self._stage("fit"):
                mesh = swapped_mesh(target.source.face, points, self._options.follow)
            region = face_region(mesh.places_px, frame.size)
            if region.is_empty:
                continue
            hidden = None
            if target.cover is not None:
                with self._stage("segment"):
                    hidden = target.cover.within(frame.pixels, face.points_px, region)
            with self._stage("warp"):
                drawn = self._drawer.draw(target.source.texture, mesh, region)
            with self._stage("composite"):
                below = np.ascontiguousarray(region.crop(pixels))
                share = self._strength * face.presence
                region.crop(pixels)[:], mask = lay_face(
                    below, drawn, points - region[:2], target.tone, self._options, share, hidden
                )
            if target.repair is not None:
                with self._stage("refine"):
                    mask = cv2.convertScaleAbs(mask, alpha=share)
                    target.repair.apply(pixels, points, mask, region)
        return replace(frame, pixels=pixels)

    def _target(self, face_id: int) -> _Target:
        if face_id not in self._targets:
            source = self._sources[len(self._targets) % len(self._sources)]
            cover = None if self._labeller is None else FaceCover(self._labeller)
            repair = None if self._repair is None else FaceRepair(self._repair)
            self._targets[face_id] = _Target(source, cover, repair)
        return self._targets[face_id]


def read_source(
    path: str | Path, depth: LiveDepth, options: AffineSettings, labeller: Engine | None = None
) -> LiftedFace:
    """Read a picture, find its face, and give its keypoints depth.

    Args:
        path: of the picture, as the user names it.
        depth: of keypoints.
        options: whether the mirror half is used.
        labeller: runs `head_segmentation`, which tells hair and things before the face.

    Raises:
        UserError: if it cannot be read or shows no face.
    """
    spec = PhotoSpec.parse(path)
    pixels, _ = read_picture(spec.path)
    with FaceTracker(_MOST_IN_PHOTO, still=True) as tracker:
        faces = tracker.track(Frame(pixels))
    number = spec.number or 1
    if len(faces) < number:
        raise UserError(
            f"{len(faces) or 'no'} face{'s' * (len(faces) > 1)} found in the picture {spec.path}",
            f"--source {spec.name} gives the face that is put on",
            "Give a picture in which a face is seen from the front and not too small",
        )
    if spec.number is None:
        found = max(faces, key=lambda face: face_side(face.points_px))
    else:
        found = sorted(faces, key=lambda face: float(face.points_px[:, 0].mean()))[number - 1]
    points = found.points_px[:, :2].astype(np.float64)
    cover = None if labeller is None else _uncovered(pixels, found.points_px, labeller)
    return cropped_face(pixels, points, depth(found.points_px), cover, mirror=options.mirror)


def _uncovered(pixels: np.ndarray, points_px: np.ndarray, labeller: Engine) -> np.ndarray:
    """Return how far each keypoint of a face is seen: (478,) 0…1."""
    whole = Region(0, 0, pixels.shape[1], pixels.shape[0])
    hidden = FaceCover(labeller).within(pixels, points_px, whole)
    at = (points_px[:, None, :2] - 0.5).astype(np.float32)
    told = cv2.remap(hidden, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return 1 - told[:, 0].astype(np.float32) / 255


def cropped_face(
    pixels: np.ndarray, points_px: np.ndarray, depth_px: np.ndarray,
    cover: np.ndarray | None = None, *, mirror: bool = True,
) -> LiftedFace:  # fmt: skip
    """Cut a picture around its face, make it as small as frames need it, and lift the face.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        points_px: (478, 2) in it.
        depth_px: (478,).
        cover: (478,) how far each point is seen, where something lies before the face.
        mirror: complete what is hidden from the mirror half.
    """
    side = face_side(points_px)
    scale = min(1.0, _LARGEST_FACE_PX / side)
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        # The resized picture has whole pixels, so that its scale is not quite the one asked for.
    height, width = pixels.shape[:2]
    margin = _MARGIN * side * scale
    low = np.maximum(np.floor(points_px.min(0) * scale - margin), 0).astype(int)
    high = np.ceil(points_px.max(0) * scale + margin).astype(int)
    crop = pixels[low[1] : min(high[1], height), low[0] : min(high[0], width)]
    points = points_px * scale - low
    return lifted_face(np.ascontiguousarray(crop), points, depth_px * scale, cover, mirror=mirror)


def swapped_mesh(face: LiftedFace, target_px: np.ndarray, follow: float = 1.0) -> FaceMesh:
    """Return a source's mesh on the geometry and pose of another face.

    The affine is eq. 3 of DepthNets; `follow` moves eyes, lips and outline on from there to
    where the other face has them.

    Args:
        face: the source.
        target_px: (478, 2) keypoints of the other face.
        follow: 0…1.

    Raises:
        DegeneratePointsError: if the source's points lie in a plane.
    """
    affine = solve_affine(face.lifted, target_px)
    placed = apply_affine(affine, face.lifted)
    placed = placed + (follow * following())[:, None] * (target_px - placed)
    nearness = face.lifted @ depth_row(affine)[:3]
    return face_mesh(face, placed, nearness)


def face_mesh(face: LiftedFace, places_px: np.ndarray, depth: np.ndarray) -> FaceMesh:
    """Return a face's mesh with its corners at new places."""
    return FaceMesh(
        places_px, depth, face.texture_px, mirrored_places(face.texture_px), face.mirrored,
        face.gain, face.cover, face_triangles(len(places_px)),
    )  # fmt: skip


def face_region(points_px: np.ndarray, size: tuple[int, int]) -> Region:
    """Return the part of a frame that holds a face and a little more."""
    margin = _AROUND * face_side(points_px) + 2
    low, high = np.floor(points_px.min(0) - margin), np.ceil(points_px.max(0) + margin)
    return Region(int(low[0]), int(low[1]), int(high[0]), int(high[1])).clipped(*size)
