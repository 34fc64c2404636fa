"""What fitting remembers of a face from frame to frame, and its settings."""

from dataclasses import dataclass, field

import numpy as np

from stream.linearise import Observation, Pose
from stream.smooth import OneEuro, OneEuroRotation, SmoothSettings


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How the head model is laid onto points.

    Attributes:
        noise_mm: how far points lie off, at the head. It stands for errors that all points
            share, so it is larger than the jitter of one point.
        outlier_mm: distance from which a point counts less and less (Huber).
        depth_weight: weight of Face Mesh's depth beside its place in the picture.
        oval_weight, iris_weight: weights of the outline of the face and of the irises.
        expression_prior: stiffness of face units towards 0.
        size_sd: how much the size of heads varies; the picture cannot tell it from distance.
        least_distance_mm: a head that would be nearer when it is first seen is taken to be
            this far and seen through a longer lens: the picture is then a crop, and real
            perspective that strong is rare. 0 keeps the usual lens always.
        identity_horizon_s: how far back identity looks.
        identity_trust: how many independent looks the frames of that time are worth at most.
        guess_mm: how far off the shape is that the network `face_3dmm` sees, along each
            direction in which faces differ, root mean square over the points; 0 leaves it out.
        place, distance, turn, expression: smoothing of the position across the line of sight
            (mm), along it (mm), of the rotation (radians) and of the face units.
    """

    noise_mm: float = 2.5
    outlier_mm: float = 2.0
    depth_weight: float = 0.1
    oval_weight: float = 0.6
    iris_weight: float = 0.3
    expression_prior: float = 3.0
    size_sd: float = 0.01
    least_distance_mm: float = 600.0
    identity_horizon_s: float = 10.0
    identity_trust: float = 6.0
    guess_mm: float = 1.5
    place: SmoothSettings = field(default_factory=lambda: SmoothSettings(3.0, 1.0, 3.0))
    distance: SmoothSettings = field(default_factory=lambda: SmoothSettings(0.8, 0.03, 1.0))
    turn: SmoothSettings = field(default_factory=lambda: SmoothSettings(1.5, 16.0, 3.0))
    expression: SmoothSettings = field(default_factory=lambda: SmoothSettings(3.0, 4.0, 3.0))


class Smoother:
    """The smoothing of one head's pose and expression."""

    def __init__(self, settings: FitSettings) -> None:
        self._place = OneEuro(settings.place)
        self._distance = OneEuro(settings.distance)
        self._turn = OneEuroRotation(settings.turn)
        self._expression = OneEuro(settings.expression)

    def reset(self) -> None:
        """Let the next values pass unchanged."""
        self._place.reset()
        self._distance.reset()
        self._turn.reset()
        self._expression.reset()

    def __call__(
        self, pose: Pose, expression: np.ndarray, pivot: np.ndarray, time_s: float
    ) -> tuple[Pose, np.ndarray]:
        """Smooth a pose about the face's middle (3,), where turn and place are independent."""
        middle = pose.rotation @ pivot + pose.translation
        rotation = self._turn(pose.rotation, time_s)
        distance = float(self._distance(middle[2:], time_s)[0])
        across = self._place(middle[:2], time_s) * (distance / middle[2])
        smooth = np.array([across[0], across[1], distance])
        units = np.clip(self._expression(expression, time_s), 0.0, 1.0)
        return Pose(rotation, smooth - rotation @ pivot), units


@dataclass(slots=True)
class System:
    """A fit problem made linear; P parameters, N points.

    Attributes:
        rows: (P, 3N) float32 weighted slopes.
        root: (3, N) float32 square roots of the weights.
        hessian: (P, P) float64, of the data alone.
        error: (3, N) float32 residuals, mm.
    """

    rows: np.ndarray
    root: np.ndarray
    hessian: np.ndarray
    error: np.ndarray

    def gradient(self, count: int) -> np.ndarray:
        """Return the (count,) float64 gradient of the data in the first parameters."""
        return (self.rows[:count] @ (self.error * self.root).ravel()).astype(np.float64)


@dataclass(slots=True)
class Memory:
    """What is known of one face.

    Attributes:
        pose: of the last frame, unsmoothed.
        units: (E,) face units of the last frame, unsmoothed.
        identity: (K,) as known now.
        neutral: (3, N) points of that identity at rest, mm.
        smoother: of pose and expression.
        time_s: when the face was last seen.
        centre: (2,) mean ray of the last frame.
        free: (P,) mask of the parameters that the last step did not find on a bound.
        info, pull: (K, K) and (K,): the average frame wants ½ aᵀ·info·a − pullᵀ·a least.
        age_s: time over which that was gathered.
        unseen_s: time since identity was last looked at.
        frames: how many frames were fitted.
        part: which part of the points identity was last learnt from.
        focal_gain: focal length of its camera over the usual one.
        guess: (K,) identity by the network; None where it has not looked.
    """

    pose: Pose
    units: np.ndarray
    identity: np.ndarray
    neutral: np.ndarray
    smoother: Smoother
    time_s: float
    centre: np.ndarray
    free: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    info: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    pull: np.ndarray = field(default_factory=lambda: np.zeros(0))
    age_s: float = 0.0
    unseen_s: float = 0.0
    frames: int = 0
    part: int = 0
    focal_gain: float = 1.0
    guess: np.ndarray | None = None

    def shift_to(self, seen: Observation) -> None:
        """Move the head across the line of sight with the middle of the points."""
        shift, self.centre = seen.centre - self.centre, seen.centre
        across = np.append(shift * self.pose.translation[2], 0.0)
        self.pose = Pose(self.pose.rotation, self.pose.translation + across)
