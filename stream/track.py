"""Tracking: the faces of a frame, each with the identity that it had in the last one.

Every face has its own region, moved on with its own velocity, in which the mesh network looks
for it. The detectors only run when a face is missing. Identities are then settled between all
faces at once, so that two that cross do not change places.
"""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from stream.assign import Likeness, Sight, assign, overlap
from stream.choices import EngineName
from stream.closing import Closing
from stream.cuts import CutDetector, CutSettings
from stream.face_mesh import ROI_SCALE, FaceNet, Mesh, Roi, roi_from_points
from stream.frame import Face, Frame
from stream.track_state import Seen, Track

_USUAL_STEP_S = 1 / 30
_LONGEST_STEP_S = 0.2
_LARGEST_DRIFT = 0.4  # of the region's side, from its middle to that of the points
_LEAST_FILL = 0.4  # of the side of the region that the points suggest, to that of the one used
_PARTS = (2, 4, 8)  # a picture is searched in so many columns and rows
_LEAST_PART = 200  # pixels; smaller parts hold nothing that the whole does not show
_SIGHTINGS = 2  # confirm a new face
_SIGHTINGS_IN_DOUBT = 10  # while it may yet turn out to be one that was lost


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

    @property
    def as_stats(self) -> dict[str, dict[str, str]]: ...  # noqa: D102

    def close(self) -> None: ...  # noqa: D102


class FaceTracker(Closing):
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
        engine: EngineName = "auto",
        net: Net | None = None,
    ) -> None:
        """Open the networks.

        Args:
            max_faces: most faces at a time. With 1 the largest face is chosen, and followed
                until it has been gone for longer than it is remembered.
            settings: see TrackSettings.
            still: frames are unrelated pictures: search each one with care.
            engine: what runs the mesh network; see FaceNet.
            net: the networks, where others than MediaPipe's are wanted.
        """
        self.cut = False
        self._max_faces = max_faces
        self._settings = settings or TrackSettings()
        self._still = still
        self._net: Net = net if net is not None else FaceNet(engine, still=still)
        self._cuts = CutDetector(self._settings.cuts)
        self._next_id = 0
        self.reset()

    def close(self) -> None:
        """Give the networks back."""
        self._net.close()

    @property
    def as_stats(self) -> dict[str, dict[str, str]]:
        """What ``--stats`` says of its networks."""
        return self._net.as_stats

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
        self._tracks: list[Track] = []
        self._scene_frames = 0
        self._far_next = False

    def _look_again(self, pixels: np.ndarray, step_s: float) -> list[Seen]:
        """Look for each face where it should be now."""
        seen: list[Seen] = []
        for track in self._tracks:
            if track.live or track.presence > 0:
                found = self._mesh(pixels, track.expected_roi(step_s), self._settings.min_score)
                if found is not None and not _is_among(found.sight, seen):
                    seen.append(found)
        return seen

    def _search(self, pixels: np.ndarray, seen: list[Seen]) -> list[Seen]:
        """Look for faces that are not followed, when it is time to."""
        if len(seen) >= self._max_faces or self._scene_frames % self._pause(len(seen)):
            return []
        new = self._mesh_all(pixels, self._detect(pixels), seen)
        for count in _PARTS if self._still else ():
            if not new:
                new = self._mesh_all(pixels, _detect_in_parts(self._net, pixels, count), seen)
        return new

    def _mesh_all(self, pixels: np.ndarray, rois: list[Roi], seen: list[Seen]) -> list[Seen]:
        """Find the faces in detected regions, largest first, without those seen already."""
        new: list[Seen] = []
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
        return 2 if self._any_lost() else self._settings.search_every

    def _detect(self, pixels: np.ndarray) -> list[Roi]:
        """Run the detectors: one in turn, or all that is needed when it matters."""
        if self._scene_frames > 0:
            self._far_next = not self._far_next
            return self._net.detect(pixels, far=not self._far_next)
        rois = self._net.detect(pixels, far=False)
        if self._still or len(rois) < self._max_faces:
            rois = rois + self._net.detect(pixels, far=True)
        return rois

    def _mesh(self, pixels: np.ndarray, roi: Roi, min_score: float) -> Seen | None:
        mesh = self._net.mesh(pixels, roi)
        if mesh is None or mesh.score < min_score:
            return None
        tight = roi_from_points(mesh.points_px)
        drift = np.hypot(tight.x - roi.x, tight.y - roi.y) / roi.side
        if drift > _LARGEST_DRIFT or not _LEAST_FILL < tight.side / roi.side < 1 / _LEAST_FILL:
            return None
        likeness = Likeness.of(mesh.points_px, mesh.look)
        centre = mesh.points_px[:, :2].mean(axis=0).astype(np.float64)
        return Seen(mesh, Sight(centre, tight.side / ROI_SCALE, likeness), roi)

    def _mesh_new(self, pixels: np.ndarray, roi: Roi) -> Seen | None:
        """Find a face in a detected region, which frames it less well than its own points."""
        found = self._mesh(pixels, roi, self._settings.min_score)
        for _ in range(2 if self._still else 1):
            if found is None:
                return None
            roi = roi_from_points(found.mesh.points_px)
            found = self._mesh(pixels, roi, self._settings.min_new_score)
        return found

    def _settle(self, seen: list[Seen], step_s: float) -> None:
        """Give each face that is seen its identity, and let the others fade.

        Confirmed faces choose first, so that one that was lost can take back what was already
        held for a new face.
        """
        left = list(seen)
        needed = _SIGHTINGS_IN_DOUBT if self._any_lost() else _SIGHTINGS
        room = self._max_faces
        for group in (True, False):
            tracks = [track for track in self._tracks if track.confirmed == group]
            tracks.sort(key=lambda track: track.lost_s)
            pairs = dict(assign([t.expected(step_s) for t in tracks], [one.sight for one in left]))
            for index, track in enumerate(tracks):
                if index in pairs and room > 0:
                    track.see(left[pairs[index]], step_s, needed)
                    room -= 1
                else:
                    track.miss(step_s)
            left = [one for index, one in enumerate(left) if index not in pairs.values()]
        self._tracks = [track for track in self._tracks if self._is_kept(track)]
        self._add(sorted(left, key=lambda one: -one.sight.size_px))

    def _any_lost(self) -> bool:
        return any(not track.live for track in self._tracks)

    def _is_kept(self, track: Track) -> bool:
        """Tell whether a face is still remembered; one that was never confirmed is not."""
        return track.lost_s <= (self._settings.memory_s if track.confirmed else 0.0)

    def _add(self, fresh: list[Seen]) -> None:
        """Follow new faces, largest first, as far as there is room.

        With one face at a time, the one that was lost keeps its place while it is remembered.
        """
        alone = self._max_faces == 1
        held = sum(track.live or track.presence > 0 or alone for track in self._tracks)
        for one in fresh[: max(0, self._max_faces - held)]:
            first = self._scene_frames == 0
            self._tracks.append(Track.of(self._next_id, one, confirmed=first))
            self._next_id += 1


def _is_among(sight: Sight, seen: list[Seen]) -> bool:
    return any(overlap(sight, other.sight) for other in seen)


def _is_inside(roi: Roi, seen: list[Seen]) -> bool:
    """Tell whether a region is that of a face which was seen already."""
    centre = np.array([roi.x, roi.y])
    return any(
        float(np.linalg.norm(centre - one.sight.centre_px)) < 0.35 * one.sight.size_px
        for one in seen
    )


def _detect_in_parts(net: Net, pixels: np.ndarray, count: int) -> list[Roi]:
    """Search count × count overlapping parts for faces too small to be seen in the whole."""
    height, width = pixels.shape[:2]
    side_x, side_y = (max(1, round(2 * length / (count + 1))) for length in (width, height))
    if max(side_x, side_y) < _LEAST_PART:
        return []
    return [
        replace(roi, x=roi.x + left, y=roi.y + top)
        for top in np.linspace(0, height - side_y, count).astype(int).tolist()
        for left in np.linspace(0, width - side_x, count).astype(int).tolist()
        for roi in net.detect(pixels[top : top + side_y, left : left + side_x], far=True)
    ]
