"""`repose --method affine`: the face between its keypoints is turned by DepthNets' affine.

Every frame's keypoints get their depth from `keypoint_depth`; turned in space they are the target
of the closed-form affine (eqs. 2 and 3), by which the face is drawn anew, its hidden side from
its mirror half. Around the face rings of mesh follow less and less, so that hair, ears and neck
give way and the background stays where it is: no hole is left to be filled.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.affine import apply_affine, depth_row, lift, solve_affine
from stream.affine_draw import FaceDrawer, FaceMesh
from stream.affine_pose import FacePose, face_pose, moved_points, points_like
from stream.affine_source import LiftedFace, lifted_face, mirrored_places
from stream.affine_track import KeypointTracker, LiveDepth
from stream.allocator import keep_freed_memory
from stream.gl import create_context
from stream.head_model import load_head_model
from stream.keypoint_mesh import OVAL, face_triangles
from stream.path import FramePath
from stream.pose import PoseController
from stream.region import Region
from stream.smooth import OneEuro, OneEuroRotation, SmoothSettings

if TYPE_CHECKING:
    from stream.frame import Face, Frame
    from stream.media import StreamInfo
    from stream.pose import PoseRequest
    from stream.settings import Settings
    from stream.stats import StageTimer

# Of what the face covers: size, and following. The first ring goes where the outline goes, and
# has its mirrored colours; to the second one these fade.
_RINGS = ((1.0, 1.0), (1.07, 0.99), (1.2, 0.8), (1.42, 0.45), (1.75, 0.15), (2.1, 0.0))
_MESHED = 468
_BEHIND = 0.25  # of the face's depth: rings lie behind it, the farther out the more
_SIDES_EVERY = 3  # frames: what is hidden, and the light of the two sides, change slowly
_GAIN_SHARE = 0.4  # of a new look in what is remembered of them
_SMOOTH_DEPTH = SmoothSettings(1.0, 2.0, 2.0)
_SMOOTH_TURN = SmoothSettings(1.5, 16.0, 3.0)


@dataclass(slots=True)
class _Followed:
    """What is kept of one face from frame to frame."""

    depth: OneEuro = field(default_factory=lambda: OneEuro(_SMOOTH_DEPTH))
    turn: OneEuroRotation = field(default_factory=lambda: OneEuroRotation(_SMOOTH_TURN))
    sides: LiftedFace | None = None  # of the last frame
    age: int = 0  # frames


class AffineReposer(FramePath):
    """Turns the faces of a stream by affines of their keypoints.

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
        self._stage, self._options = timer.stage, settings.affine
        self._depth = LiveDepth(settings.engine)
        self._drawer = FaceDrawer(create_context())
        self._follower = self._tracker = KeypointTracker(settings, still=info.still)
        self._poses = PoseController(load_head_model().neck_joint, settings.limits)
        self._followed: dict[int, _Followed] = {}

    def close(self) -> None:
        """Give back the networks and what was made for drawing."""
        self._tracker.close()
        self._depth.close()
        self._drawer.release()

    @property
    def engines(self) -> dict[str, dict[str, str]]:
        """What runs each network, as really executed."""
        return {**self._follower.as_stats, **self._depth.as_stats}

    def _process(self, frame: Frame, request: PoseRequest) -> Frame:
        with self._stage("track"):
            faces = self._tracker.track(frame)
        if self._tracker.cut:
            self._followed.clear()
        if request.is_rest or not faces:
            return frame
        pixels = frame.pixels.copy()
        for face in faces:
            followed = self._followed.setdefault(face.id, _Followed())
            with self._stage("fit"):
                lifted, pose = self._lifted(face, followed, frame.time_s)
                aimed = self._aimed(lifted, pose, face, request)
                aimed = lifted + face.presence * (aimed - lifted)
            with self._stage("mesh"):
                own = self._textured(pixels, lifted, followed)
                mesh = ringed_mesh(own, aimed)
            region = _region_of(mesh, frame.size)
            if region.is_empty:
                continue
            with self._stage("warp"):
                drawn = self._drawn(pixels, mesh, region)
            with self._stage("composite"):
                inside = drawn[..., 3:] > 0
                np.copyto(region.crop(pixels), drawn[..., :3], where=inside)
        return replace(frame, pixels=pixels)

    def _lifted(
        self, face: Face, followed: _Followed, time_s: float
    ) -> tuple[np.ndarray, FacePose]:
        """Return the keypoints with steady depth, and the face's steady pose."""
        points = face.points_px
        scale = float(np.ptp(points[:, :2], axis=0).max())
        depth = followed.depth(self._depth(points) / scale, time_s) * scale
        lifted = lift(points[:, :2].astype(np.float64), depth)
        pose = face_pose(lifted)
        return lifted, pose._replace(rotation=followed.turn(pose.rotation, time_s))

    def _aimed(
        self, lifted: np.ndarray, pose: FacePose, face: Face, request: PoseRequest
    ) -> np.ndarray:
        """Return where the lifted keypoints shall go."""
        if request.like is not None:
            points = request.like.points_px
            like = lift(points[:, :2].astype(np.float64), self._depth(points))
            return points_like(lifted, pose, face_pose(like))
        head = pose.as_head(face.id, face.presence)
        motion = self._poses.motion(head, request)
        return moved_points(lifted, pose, motion.blended(np.array(1.0), np.array(0.0))[:3, :3])

    def _textured(self, pixels: np.ndarray, lifted: np.ndarray, followed: _Followed) -> LiftedFace:
        """Return the face as its own texture; light of the two sides changes slowly."""
        last = followed.sides
        look = self._options.mirror and followed.age % _SIDES_EVERY == 0
        own = lifted_face(pixels, lifted[:, :2], lifted[:, 2], mirror=look)
        followed.age += 1
        if last is not None:
            share = np.float32(_GAIN_SHARE if look else 0)
            gain = last.gain + share * (own.gain - last.gain)
            mirrored = last.mirrored + share * (own.mirrored - last.mirrored)
            own = replace(own, gain=gain, mirrored=mirrored)
        followed.sides = own
        return own

    def _drawn(self, pixels: np.ndarray, mesh: FaceMesh, region: Region) -> np.ndarray:
        """Draw the mesh with the frame as its texture, of which only a part is loaded."""
        low = np.minimum(mesh.own_px, mesh.mirror_px).min(0)
        high = np.maximum(mesh.own_px, mesh.mirror_px).max(0)
        part = _around(low, high, (pixels.shape[1], pixels.shape[0]))
        texture = self._drawer.texture(part.crop(pixels), many_sizes=False)
        shifted = mesh._replace(own_px=mesh.own_px - part[:2], mirror_px=mesh.mirror_px - part[:2])
        drawn = self._drawer.draw(texture, shifted, region)
        texture.release()
        return drawn


def ringed_mesh(face: LiftedFace, aimed: np.ndarray) -> FaceMesh:
    """Return the mesh that takes a face to its aim, and what is around it some of the way.

    Args:
        face: with its own frame as texture.
        aimed: (478, 3) where its keypoints shall go.
    """
    affine = solve_affine(face.lifted, aimed[:, :2])
    placed = apply_affine(affine, face.lifted)
    nearness = face.lifted @ depth_row(affine)[:3]
    oval = list(OVAL)
    centre, out = _covered(face.points_px)
    rings = [centre + size * out for size, _ in _RINGS]
    way = placed[oval] - rings[0]
    step = _BEHIND * float(np.ptp(nearness))
    places = [ring + share * way for ring, (_, share) in zip(rings, _RINGS, strict=True)]
    depths = [nearness[oval].max() + (n + 1) * step + 0 * nearness[oval] for n in range(len(rings))]
    partners = mirrored_places(face.texture_px)
    rest = len(oval) * (len(rings) - 1)
    own = np.concatenate([face.points_px, *rings])
    return FaceMesh(
        np.concatenate([placed, *places]),
        np.concatenate([nearness, *depths]),
        own,
        np.concatenate([partners, *([partners[oval]] * len(rings))]),
        np.concatenate([face.mirrored, face.mirrored[oval], np.zeros(rest, np.float32)]),
        np.concatenate([face.gain, *([face.gain[oval]] * len(rings))]),
        np.ones(len(own), np.float32),
        np.concatenate([face_triangles(478), _ring_triangles()]),
    )


def _covered(points_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of a face, and the way from there to its edge for each outline point.

    The outline of a turned face lies partly behind a cheek; the edge is what is seen.

    Returns:
        (2,), and (36, 2) in the directions of the outline's points.
    """
    oval = points_px[list(OVAL)]
    centre = oval.mean(0)
    out = oval - centre
    hull = cv2.convexHull(points_px[:_MESHED].astype(np.float32))[:, 0].astype(np.float64) - centre
    after = np.roll(hull, -1, axis=0)
    # A ray d meets the side from a to b where d·t = a + s·(b − a), 0 ≤ s ≤ 1, t > 0.
    side = after - hull
    bottom = out[:, None, 0] * side[None, :, 1] - out[:, None, 1] * side[None, :, 0]
    bottom = np.where(np.abs(bottom) < 1e-9, 1e-9, bottom)
    far = (hull[:, 0] * side[:, 1] - hull[:, 1] * side[:, 0])[None] / bottom
    along = (hull[None, :, 0] * out[:, None, 1] - hull[None, :, 1] * out[:, None, 0]) / bottom
    meets = (far > 0) & (along >= -1e-6) & (along <= 1 + 1e-6)
    reach = np.where(meets, far, 0).max(axis=1)
    return centre, out * np.maximum(reach, 1.0)[:, None]


def _ring_triangles() -> np.ndarray:
    """Triangles between the outline and the rings around it: (T, 3) int32."""
    loops = [np.array(OVAL)]
    size = len(loops[0])
    loops += [478 + n * size + np.arange(size) for n in range(len(_RINGS))]
    parts = []
    for inner, outer in pairwise(loops):
        a, b, c, d = inner, np.roll(inner, -1), outer, np.roll(outer, -1)
        parts += [np.stack([a, b, c], 1), np.stack([b, d, c], 1)]
    return np.concatenate(parts).astype(np.int32)


def _region_of(mesh: FaceMesh, size: tuple[int, int]) -> Region:
    return _around(mesh.places_px.min(0), mesh.places_px.max(0), size)


def _around(low: np.ndarray, high: np.ndarray, size: tuple[int, int]) -> Region:
    x0, y0 = np.floor(low).astype(int) - 1
    x1, y1 = np.ceil(high).astype(int) + 1
    return Region(int(x0), int(y0), int(x1), int(y1)).clipped(*size)
