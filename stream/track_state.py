"""One face that is followed: where it is, what it looks like, and how long it was lost."""

from dataclasses import dataclass, field, replace

import numpy as np

from stream.assign import Likeness, Sight
from stream.face_mesh import Mesh, Roi, roi_from_points

FADE_FRAMES = 5
_ROI_SLACK = 0.03  # of its side: the region rests while the face moves less, and so do points
_VELOCITY_SHARE = 0.5
_COASTING = 0.7  # the points of a lost face keep this share of their speed from frame to frame
_LONGEST_COAST_S = 1.0
# Seen again, a face differs from its last sight by up to 1.4 in shape (a head that turns fast
# at 12 frames a second) and 2.9 together (fast hands in the dark). When another takes its
# place, the points pass through shapes that differ by 2.7.
_STRICT, _STRICT_SHAPE = 3.2, 1.6
_STRICT_LOST = 2.0
_SAME_FACE = 1.5  # above, something may be in the way, and the likeness learns little
_SHARE, _SHARE_UNSURE = 0.15, 0.04


@dataclass(slots=True)
class Seen:
    """A face that the mesh network found in this frame."""

    mesh: Mesh
    sight: Sight
    roi: Roi


@dataclass(slots=True)
class Track:
    """A face that is followed, or remembered.

    Attributes:
        id: of the person.
        points_px: (478, 3) where the face is, or where it is carried on to.
        roi: the region in which it was seen last.
        sight: place, size and average likeness; the place moves on while the face is lost.
        latest: what it looked like last.
        presence: as in `stream.frame.Face`; 0 until the face is confirmed.
        confirmed: whether it was seen often enough to be shown and remembered.
        velocity: (2,) pixels a second.
        lost_s: for how long it has not been seen; 0 while it is.
        sightings: in how many frames it was seen.
        coasting: share of the velocity that the points of a lost face still have.
    """

    id: int
    points_px: np.ndarray
    roi: Roi
    sight: Sight
    latest: Likeness
    presence: float
    confirmed: bool
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(2))
    lost_s: float = 0.0
    sightings: int = 1
    coasting: float = 1.0

    @classmethod
    def of(cls, number: int, seen: Seen, *, confirmed: bool) -> "Track":
        """Start to follow a face; a confirmed one is present at once."""
        sight, points_px = seen.sight, seen.mesh.points_px
        presence = 1.0 if confirmed else 0.0
        return cls(number, points_px, seen.roi, sight, sight.likeness, presence, confirmed)

    @property
    def live(self) -> bool:
        """Whether the face was seen in the last frame."""
        return self.lost_s == 0.0

    def expected(self, step_s: float) -> Sight:
        """Return where and how the face should be in the next frame."""
        if self.live:
            centre = self.sight.centre_px + self.velocity * step_s
            return replace(
                self.sight,
                centre_px=centre,
                latest=self.latest,
                reach=0.6,
                strict=_STRICT,
                strict_shape=_STRICT_SHAPE,
            )
        # The last sight may have been half hidden already: only the average counts.
        return replace(self.sight, reach=0.6 + 2.0 * self.lost_s, strict=_STRICT_LOST)

    def expected_roi(self, step_s: float) -> Roi:
        """Return the region in which to look; it rests while the face nearly does."""
        return _eased(self.roi, roi_from_points(self._moved_points(step_s)))

    def see(self, seen: Seen, step_s: float, needed: int) -> None:
        """Take over what was seen of this face.

        Args:
            seen: the face.
            step_s: seconds since the last frame.
            needed: sightings that confirm a new face.
        """
        if self.live:
            velocity = (seen.sight.centre_px - self.sight.centre_px) / step_s
            self.velocity = self.velocity + _VELOCITY_SHARE * (velocity - self.velocity)
        average = self.sight.likeness
        sure = sum(average.difference(seen.sight.likeness)) < _SAME_FACE
        likeness = average.moved_to(seen.sight.likeness, _SHARE if sure else _SHARE_UNSURE)
        self.sight = replace(seen.sight, likeness=likeness)
        self.latest = seen.sight.likeness
        self.points_px, self.roi = seen.mesh.points_px, seen.roi
        self.lost_s, self.coasting = 0.0, 1.0
        self.sightings += 1
        self.confirmed = self.confirmed or self.sightings >= needed
        if self.confirmed:
            self.presence = min(1.0, self.presence + 1 / FADE_FRAMES)

    def miss(self, step_s: float) -> None:
        """Carry the face on without having seen it."""
        self.points_px = self._moved_points(step_s)
        if self.lost_s < _LONGEST_COAST_S:
            centre = self.sight.centre_px + self.velocity * step_s
            self.sight = replace(self.sight, centre_px=centre)
        self.coasting *= _COASTING
        faded = self.presence - 1 / FADE_FRAMES
        self.presence = faded if faded > 0.5 / FADE_FRAMES else 0.0
        self.lost_s += step_s

    def _moved_points(self, step_s: float) -> np.ndarray:
        """Return the points after moving on, slower and slower while the face is lost."""
        moved = self.points_px.copy()
        moved[:, :2] += (self.coasting * step_s * self.velocity).astype(np.float32)
        return moved


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
