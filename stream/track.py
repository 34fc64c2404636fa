"""Tracking: the faces of a frame, each with the identity that it had in the last one.

Every face has its own region, moved on with its own velocity, in which the mesh network looks
for it. The detectors only run when a face is missing. Identities are then settled between all
faces at once, so that two that cross do not change places.
"""

from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Protocol, Self

import numpy as np

from stream.assign import Likeness, Sight, assign, overlap
from stream.cuts import CutDetector, CutSettings
from stream.face_mesh import ROI_SCALE, FaceNet, Mesh, Roi, roi_from_points
from stream.frame import Face, Frame

_FADE_FRAMES = 5
_USUAL_STEP_S = 1 / 30
_LONGEST_STEP_S = 0.2
_ROI_SLACK = 0.03  # of its side: the region rests while the face moves less, and so do points
_LARGEST_DRIFT = 0.4  # of the region's side, from its middle to that of the points
_LEAST_FILL = 0.4  # of the side of the region that the points suggest, to that of the one used
_LIKENESS_SHARE = 0.15
_VELOCITY_SHARE = 0.5
_COASTING = 0.7  # a lost face keeps this share of its velocity from frame to frame


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How faces are found, kept and let go.

    Attributes:
        memory_s: how long a lost face is remembered; until then it gets its identity back.
        search_every: frames between two searches for further faces while some are tracked.
        min_score: least certainty of the mesh network for a face that is followed.
        min_new_score: the same for a face that appears.
        cuts: see CutSettings.
    """

    memory_s: float = 1.5
    search_every: int = 8
    min_score: float = 0.5
    min_new_score: float = 0.7
    cuts: CutSettings = field(default_factory=CutSettings)


class Net(Protocol):
    """What the tracker needs of the networks; see FaceNet."""

    def mesh(self, pixels: np.ndarray, roi: Roi) -> Mesh | None: ...  # noqa: D102

    def detect(self, pixels: np.ndarray, *, far: bool) -> list[Roi]: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


@dataclass(slots=True)
class _Seen:
    """A face that the mesh network found in this frame."""

    mesh: Mesh
    sight: Sight
    roi: Roi


@dataclass(slots=True)
class _Track:
    """A face that is followed, or remembered."""

    id: int
    points_px: np.ndarray
    roi: Roi
    sight: Sight
    latest: Likeness
    presence: float
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))  # px a second
    lost_s: float = 0.0
    confirmed: bool = False

    @property
    def live(self) -> bool:
        return self.lost_s == 0.0

    def expected(self, step_s: float) -> Sight:
        """Return where and how the face should be in the next frame."""
        centre = self.sight.centre_px + self.velocity * step_s
        reach = 0.6 + 2.0 * self.lost_s
        return replace(self.sight, centre_px=centre, latest=self.latest, reach=reach)

    def expected_roi(self, step_s: float) -> Roi:
        """Return the region in which to look; it rests while the face nearly does."""
        moved = self.points_px.copy()
        moved[:, :2] += (self.velocity * step_s).astype(np.float32)
        return _eased(self.roi, roi_from_points(moved))

    def see(self, seen: _Seen, step_s: float) -> None:
        """Take over what was seen of this face."""
        velocity = (seen.sight.centre_px - self.sight.centre_px) / (step_s + self.lost_s)
        share = _VELOCITY_SHARE if self.live else 0.0
        self.velocity = self.velocity + share * (velocity - self.velocity)
        likeness = self.sight.likeness.moved_to(seen.sight.likeness, _LIKENESS_SHARE)
        self.sight = replace(seen.sight, likeness=likeness)
        self.latest = seen.sight.likeness
        self.points_px, self.roi = seen.mesh.points_px, seen.roi
        self.presence = min(1.0, self.presence + 1 / _FADE_FRAMES)
        self.lost_s = 0.0
        self.confirmed = True

    def miss(self, step_s: float) -> None:
        """Carry the face on without having seen it."""
        shift = self.velocity * step_s
        self.points_px = self.points_px.copy()
        self.points_px[:, :2] += shift.astype(np.float32)
        self.sight = replace(self.sight, centre_px=self.sight.centre_px + shift)
        self.velocity = _COASTING * self.velocity
        self.presence = max(0.0, self.presence - 1 / _FADE_FRAMES)
        if self.presence < 0.5 / _FADE_FRAMES:
            self.presence = 0.0
        self.lost_s += step_s


def _eased(old: Roi, new: Roi) -> Roi:
    """Move a region towards another, all but the slack."""

    def move(start: float, end: float, slack: float) -> float:
        step = end - start
        return start + float(np.sign(step)) * max(0.0, abs(step) - slack)

    slack = _ROI_SLACK * new.side
    turn = (new.angle - old.angle + np.pi) % (2 * np.pi) - np.pi
    return Roi(
        move(old.x, new.x, slack),
        move(old.y, new.y, slack),
        move(old.side, new.side, 2 * slack),
        old.angle + move(0.0, turn, _ROI_SLACK),
    )


class FaceTracker:
    """Find and follow faces; a context manager.

    Attributes:
        cut: whether the last frame started a new scene, so that nothing remembered holds.
    """

    def __init__(
        self,
        max_faces: int = 1,
        settings: TrackSettings | None = None,
        *,
        still: bool = False,
        net: Net | None = None,
    ) -> None:
        """Open the networks.

        Args:
            max_faces: most faces at a time. With 1 the largest face is chosen, and followed
                until it has been gone for longer than it is remembered.
            settings: see TrackSettings.
            still: frames are unrelated pictures: search each one with care.
            net: the networks, where others than MediaPipe's are wanted.
        """
        self.cut = False
        self._max_faces = max_faces
        self._settings = settings or TrackSettings()
        self._still = still
        self._net: Net = net if net is not None else FaceNet()
        self._cuts = CutDetector(self._settings.cuts)
        self._next_id = 0
        self.reset()

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
        """Give the networks back."""
        self._net.close()

    def reset(self) -> None:
        """Forget every face, as at the start of a stream; identities are not used again."""
        self._cuts.reset()
        self._last_size: tuple[int, int] | None = None
        self._last_time_s = 0.0
        self._start_scene()

    def track(self, frame: Frame) -> list[Face]:
        """Find the faces of the next frame.

        Returns:
            At most `max_faces` faces, in the order in which they were first seen. A face that
            is lost stays in the list, carried on with falling presence, until that is 0.
        """
        step_s = self._next_step(frame)
        if self.cut or self._still:
            self._start_scene()
        seen = self._look_again(frame.pixels, step_s)
        seen += self._search(frame.pixels, seen)
        self._settle(seen, step_s)
        self._scene_frames += 1
        return [
            Face(track.id, track.points_px, track.presence, track.live)
            for track in self._tracks
            if track.presence > 0
        ]

    def _next_step(self, frame: Frame) -> float:
        """Look for a cut; return the seconds since the last frame."""
        known, self._last_size = self._last_size, frame.size
        resized = known is not None and known != frame.size
        if resized:
            self._cuts.reset()
        self.cut = not self._still and (self._cuts.is_cut(frame.pixels) or resized)
        step_s, self._last_time_s = frame.time_s - self._last_time_s, frame.time_s
        return step_s if 0 < step_s < _LONGEST_STEP_S else _USUAL_STEP_S

    def _start_scene(self) -> None:
        self._tracks: list[_Track] = []
        self._scene_frames = 0
        self._far_next = False

    def _look_again(self, pixels: np.ndarray, step_s: float) -> list[_Seen]:
        """Look for each face where it should be now."""
        seen: list[_Seen] = []
        for track in self._tracks:
            if track.live or track.presence > 0:
                found = self._mesh(pixels, track.expected_roi(step_s), self._settings.min_score)
                if found is not None and not _is_among(found.sight, seen):
                    seen.append(found)
        return seen

    def _search(self, pixels: np.ndarray, seen: list[_Seen]) -> list[_Seen]:
        """Look for faces that are not followed, when it is time to."""
        if len(seen) >= self._max_faces or self._scene_frames % self._pause(len(seen)):
            return []
        rois = self._detect(pixels)
        new: list[_Seen] = []
        for roi in sorted(rois, key=lambda roi: -roi.side)[: self._max_faces + 2]:
            if not _is_inside(roi, seen + new):
                found = self._mesh_new(pixels, roi)
                if found is not None and not _is_among(found.sight, seen + new):
                    new.append(found)
        return new

    def _pause(self, seen_count: int) -> int:
        """Return how many frames lie between two searches now."""
        if seen_count == 0:
            return 1
        any_lost = any(not track.live for track in self._tracks)
        return 2 if any_lost else self._settings.search_every

    def _detect(self, pixels: np.ndarray) -> list[Roi]:
        """Run the detectors: one in turn, or all that is needed when it matters."""
        if self._scene_frames > 0:
            self._far_next = not self._far_next
            return self._net.detect(pixels, far=not self._far_next)
        rois = self._net.detect(pixels, far=False)
        if self._still or len(rois) < self._max_faces:
            rois = rois + self._net.detect(pixels, far=True)
        if self._still and not rois:
            rois = _detect_in_parts(self._net, pixels)
        return rois

    def _mesh(self, pixels: np.ndarray, roi: Roi, min_score: float) -> _Seen | None:
        mesh = self._net.mesh(pixels, roi)
        if mesh is None or mesh.score < min_score:
            return None
        tight = roi_from_points(mesh.points_px)
        drift = np.hypot(tight.x - roi.x, tight.y - roi.y) / roi.side
        if drift > _LARGEST_DRIFT or not _LEAST_FILL < tight.side / roi.side < 1 / _LEAST_FILL:
            return None
        likeness = Likeness.of(mesh.points_px, mesh.look)
        centre = mesh.points_px[:, :2].mean(axis=0).astype(np.float64)
        return _Seen(mesh, Sight(centre, tight.side / ROI_SCALE, likeness), roi)

    def _mesh_new(self, pixels: np.ndarray, roi: Roi) -> _Seen | None:
        """Find a face in a detected region, which frames it less well than its own points."""
        found = self._mesh(pixels, roi, self._settings.min_score)
        for _ in range(2 if self._still else 1):
            if found is None:
                return None
            roi = roi_from_points(found.mesh.points_px)
            found = self._mesh(pixels, roi, self._settings.min_new_score)
        return found

    def _settle(self, seen: list[_Seen], step_s: float) -> None:
        """Give each face that is seen its identity, and let the others fade."""
        pairs = dict(
            assign([t.expected(step_s) for t in self._tracks], [one.sight for one in seen])
        )
        live = 0
        for index, track in enumerate(self._tracks):
            if index in pairs and (track.live or live < self._max_faces):
                track.see(seen[pairs[index]], step_s)
                live += 1
            else:
                track.miss(step_s)
        self._tracks = [t for t in self._tracks if t.lost_s <= self._memory_s(t)]
        fresh = [one for index, one in enumerate(seen) if index not in pairs.values()]
        self._add(sorted(fresh, key=lambda one: -one.sight.size_px))

    def _memory_s(self, track: _Track) -> float:
        """Return how long a lost face is remembered; one seen a single time is not."""
        return self._settings.memory_s if track.confirmed else 0.0

    def _add(self, fresh: list[_Seen]) -> None:
        """Follow new faces, largest first, as far as there is room.

        With one face at a time, the one that was lost keeps its place while it is remembered.
        """
        only_live = self._max_faces > 1
        held = sum(t.live or t.presence > 0 or not only_live for t in self._tracks)
        presence = 1.0 if self._scene_frames == 0 else 0.0  # 0: to be confirmed
        for one in fresh[: max(0, self._max_faces - held)]:
            likeness = one.sight.likeness
            track = _Track(
                self._next_id, one.mesh.points_px, one.roi, one.sight, likeness, presence
            )
            track.confirmed = presence > 0
            self._tracks.append(track)
            self._next_id += 1


def _is_among(sight: Sight, seen: list[_Seen]) -> bool:
    return any(overlap(sight, other.sight) for other in seen)


def _is_inside(roi: Roi, seen: list[_Seen]) -> bool:
    """Tell whether a region is that of a face which was seen already."""
    centre = np.array([roi.x, roi.y])
    return any(
        float(np.linalg.norm(centre - one.sight.centre_px)) < 0.35 * one.sight.size_px
        for one in seen
    )


def _detect_in_parts(net: Net, pixels: np.ndarray) -> list[Roi]:
    """Search overlapping parts of a picture for faces too small to be seen in the whole."""
    height, width = pixels.shape[:2]
    for count in (2, 4):
        side_x, side_y = (max(1, round(2 * n / (count + 1))) for n in (width, height))
        rois = [
            replace(roi, x=roi.x + left, y=roi.y + top)
            for top in np.linspace(0, height - side_y, count).astype(int).tolist()
            for left in np.linspace(0, width - side_x, count).astype(int).tolist()
            for roi in net.detect(pixels[top : top + side_y, left : left + side_x], far=True)
        ]
        if rois:
            return rois
    return []
