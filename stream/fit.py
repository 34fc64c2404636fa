"""Fitting: the head model laid onto the tracked points of a face.

A head is identity, expression and pose. Pose and expression are found anew in each frame by
regularised Gauss-Newton steps that start from the last frame. Identity is what all frames
agree on: each frame adds what it tells about identity once its own pose and expression are
eliminated (a Schur complement), so that identity settles over seconds and then rests.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from stream.frame import POINT_COUNT, Face, Head
from stream.geometry import pinhole_camera, rigid_transform
from stream.head_model import HeadModel
from stream.linearise import (
    POSE_COUNT,
    Observation,
    PointBasis,
    Pose,
    jacobian,
    points_camera,
    pose_from_points,
    residuals,
)
from stream.smooth import OneEuro, OneEuroRotation, SmoothSettings
from stream.solve import bounded_step, eliminated

# Face Mesh reports depth flatter than heads are; measured against the model on clips.
_DEPTH_GAIN = 1.2
_FIRST_STEPS = 12
_STEPS_AGAIN = 6
_AT_REST_MM = 0.05
_ASTRAY_MM = 10.0  # a warm start that lies off by more is worth less than none
_LONGEST_GAP_S = 0.25  # after longer without a sight of the face only identity is carried over
_USUAL_STEP_S = 1 / 30
_YOUNG_S = 1.0  # so long, every frame refines identity
_IDENTITY_EVERY = 4  # frames, later
_MOST_MEMORIES = 64
_IRIS_START = 468
_OVAL = np.fromstring(
    "10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377 152 148 176 149 150 "
    "136 172 58 132 93 234 127 162 21 54 103 67 109",
    dtype=int,
    sep=" ",
)


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
        identity_horizon_s: how far back identity looks.
        identity_trust: how many independent looks the frames of that time are worth at most.
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
    identity_horizon_s: float = 10.0
    identity_trust: float = 6.0
    place: SmoothSettings = field(default_factory=lambda: SmoothSettings(3.0, 1.0, 3.0))
    distance: SmoothSettings = field(default_factory=lambda: SmoothSettings(0.8, 0.03, 1.0))
    turn: SmoothSettings = field(default_factory=lambda: SmoothSettings(1.5, 16.0, 3.0))
    expression: SmoothSettings = field(default_factory=lambda: SmoothSettings(3.0, 4.0, 3.0))


class HeadFitter:
    """Fit heads to faces, and remember each face by its identity."""

    def __init__(self, model: HeadModel, settings: FitSettings | None = None) -> None:
        self._settings = settings or FitSettings()
        self._basis = PointBasis.of(model)
        self._weights = self._point_weights()
        self._prior = self._prior_matrix()
        self._pivot = self._basis.mean[:_IRIS_START].mean(axis=0).astype(np.float64)
        units, total = self._basis.expression.shape[1], len(self._prior)
        self._lower, self._upper = np.full(total, -np.inf), np.full(total, np.inf)
        self._lower[POSE_COUNT : POSE_COUNT + units] = 0.0
        self._upper[POSE_COUNT : POSE_COUNT + units] = 1.0
        self._memories: dict[int, _Memory] = {}

    def reset(self, face_id: int | None = None) -> None:
        """Forget one face, or all of them (at a scene cut)."""
        if face_id is None:
            self._memories.clear()
        else:
            self._memories.pop(face_id, None)

    def fit(self, face: Face, frame_size: tuple[int, int], time_s: float) -> Head:
        """Fit the head model to one face.

        The first sight of a face, and so a still picture, is fitted jointly: identity,
        expression and pose until they rest. Later ones start from what is known.

        Args:
            face: the tracked face; one that is not fresh is carried on without fitting.
            frame_size: (width, height) of the frame in pixels.
            time_s: presentation time of the frame; must not fall for one face.

        Returns:
            The head, with smoothed pose and expression.
        """
        camera = pinhole_camera(*frame_size)
        seen = _observe(face.points_px, camera)
        memory = self._memories.get(face.id)
        if memory is None:
            memory = self._meet(seen, time_s)
            self._remember(face.id, memory)
        elif face.fresh:
            self._follow(memory, seen, time_s)
        else:
            memory.shift_to(seen)
        return self._head(face, memory, camera, time_s)

    def fit_as(self, face_id: int, face: Face, frame_size: tuple[int, int]) -> Head:
        """Fit another picture's face with the identity of a face that is followed.

        Args:
            face_id: whose identity is taken; it must have been fitted before.
            face: the face of the other picture.
            frame_size: (width, height) of the picture in pixels; its camera is that of the
                stream.

        Returns:
            The head, not smoothed; the memory of ``face_id`` stays as it is.
        """
        camera = pinhole_camera(*frame_size)
        seen, known = _observe(face.points_px, camera), self._memories[face_id]
        memory = replace(known, smoother=_Smoother(self._settings), centre=seen.centre)
        self._start_again(memory, seen)
        for _ in range(_FIRST_STEPS):
            system = self._linearise(memory, seen, with_identity=False)
            if self._step(memory, system, with_identity=False) < _AT_REST_MM:
                break
        return self._head(face, memory, camera, 0.0)

    def _head(self, face: Face, memory: "_Memory", camera: np.ndarray, time_s: float) -> Head:
        pose, expression = memory.smoother(memory.pose, memory.units, self._pivot, time_s)
        return Head(
            face_id=face.id,
            identity=memory.identity.astype(np.float32),
            expression=expression.astype(np.float32),
            camera_from_head=rigid_transform(pose.rotation, pose.translation),
            camera=camera,
            presence=face.presence,
        )

    def _remember(self, face_id: int, memory: "_Memory") -> None:
        self._memories[face_id] = memory
        if len(self._memories) > _MOST_MEMORIES:
            oldest = min(self._memories, key=lambda one: self._memories[one].time_s)
            del self._memories[oldest]

    def _meet(self, seen: Observation, time_s: float) -> "_Memory":
        """Fit a face that is not known: everything together, from nothing."""
        memory = _Memory(
            pose=pose_from_points(self._basis.mean.T, seen, self._weights),
            units=np.zeros(self._basis.expression.shape[1]),
            identity=np.zeros(self._basis.identity.shape[1]),
            neutral=self._basis.mean.T,
            smoother=_Smoother(self._settings),
            time_s=time_s,
            centre=seen.centre,
        )
        for _ in range(_FIRST_STEPS):
            system = self._linearise(memory, seen, with_identity=True)
            if self._step(memory, system, with_identity=True) < _AT_REST_MM:
                break
        system = self._linearise(memory, seen, with_identity=True)
        memory.info, memory.pull = self._identity_view(memory, system)
        return memory

    def _follow(self, memory: "_Memory", seen: Observation, time_s: float) -> None:
        """Fit a face that is known, starting from the last frame."""
        gap_s, memory.time_s = max(0.0, time_s - memory.time_s), time_s
        memory.shift_to(seen)
        if gap_s > _LONGEST_GAP_S or self._error_mm(memory, seen) > _ASTRAY_MM:
            self._start_again(memory, seen)
        if gap_s > _LONGEST_GAP_S:
            memory.smoother.reset()
        memory.frames += 1
        memory.unseen_s += min(gap_s, _LONGEST_GAP_S)
        learns = memory.age_s < _YOUNG_S or memory.frames % _IDENTITY_EVERY == 0
        system = self._linearise(memory, seen, with_identity=learns)
        self._step(memory, system, with_identity=False)
        system.error = self._error(memory, seen)  # the slopes hardly change in between
        self._step(memory, system, with_identity=False)
        if learns:
            system.error = self._error(memory, seen)
            self._learn_identity(memory, system)

    def _start_again(self, memory: "_Memory", seen: Observation) -> None:
        """Find pose and expression from nothing, for an identity that is known."""
        memory.units = np.zeros_like(memory.units)
        memory.pose = pose_from_points(memory.neutral, seen, self._weights)
        for _ in range(_STEPS_AGAIN):
            self._step(
                memory, self._linearise(memory, seen, with_identity=False), with_identity=False
            )

    def _points(self, memory: "_Memory") -> np.ndarray:
        return points_camera(self._basis.with_units(memory.neutral, memory.units), memory.pose)

    def _error(self, memory: "_Memory", seen: Observation) -> np.ndarray:
        return residuals(self._points(memory), seen)

    def _error_mm(self, memory: "_Memory", seen: Observation) -> float:
        error = self._error(memory, seen)[:2, :_IRIS_START]
        return float(np.median(np.hypot(error[0], error[1])))

    def _linearise(self, memory: "_Memory", seen: Observation, *, with_identity: bool) -> "_System":
        points = self._points(memory)
        error = residuals(points, seen)
        bases = [self._basis.expression, self._basis.identity]
        slopes = jacobian(points, memory.pose, bases if with_identity else bases[:1])
        root = np.sqrt(self._residual_weights(error))
        slopes *= root
        rows = slopes.reshape(len(slopes), -1)
        return _System(rows, root, (rows @ rows.T).astype(np.float64), error)

    def _residual_weights(self, error: np.ndarray) -> np.ndarray:
        """Return (3, N) weights: of each point, less for outliers and for depth."""
        options = self._settings
        distance = np.hypot(error[0], error[1])
        robust = np.minimum(1.0, options.outlier_mm / np.maximum(distance, 1e-6))
        weights = self._weights * robust / options.noise_mm**2
        return np.stack([weights, weights, options.depth_weight * weights]).astype(np.float32)

    def _step(self, memory: "_Memory", system: "_System", *, with_identity: bool) -> float:
        """Take one Gauss-Newton step; return how far it moved the head, mm."""
        first = POSE_COUNT + len(memory.units)
        value = np.concatenate([np.zeros(POSE_COUNT), memory.units, memory.identity])
        count = len(value) if with_identity else first
        prior, value = self._prior[:count, :count], value[:count]
        step, memory.free = bounded_step(
            system.hessian[:count, :count] + prior,
            system.gradient(count) + prior @ value,
            value,
            self._lower[:count],
            self._upper[:count],
        )
        memory.pose = memory.pose.moved(step[:POSE_COUNT])
        memory.units = memory.units + step[POSE_COUNT:first]
        if with_identity:
            self._set_identity(memory, memory.identity + step[first:])
        return float(np.linalg.norm(step[:3]))

    def _set_identity(self, memory: "_Memory", identity: np.ndarray) -> None:
        memory.identity, memory.neutral = identity, self._basis.neutral(identity)

    def _identity_view(self, memory: "_Memory", system: "_System") -> tuple[np.ndarray, np.ndarray]:
        """Return what one frame tells about identity: the (K, K) info and the (K,) pull."""
        first = POSE_COUNT + len(memory.units)
        inner = slice(POSE_COUNT, first)
        hessian, gradient = system.hessian.copy(), system.gradient(len(system.hessian))
        hessian[inner, inner] += self._prior[inner, inner]
        gradient[inner] += self._prior[inner, inner] @ memory.units
        out = np.flatnonzero(memory.free[:first])
        info, slope = eliminated(hessian, gradient, out, np.arange(first, len(gradient)))
        return info, info @ memory.identity - slope

    def _learn_identity(self, memory: "_Memory", system: "_System") -> None:
        """Add one frame to what is known of the identity, and solve for it."""
        info, pull = self._identity_view(memory, system)
        options = self._settings
        memory.age_s += memory.unseen_s
        share = memory.unseen_s / min(memory.age_s + _USUAL_STEP_S, options.identity_horizon_s)
        memory.unseen_s = 0.0
        memory.info += share * (info - memory.info)
        memory.pull += share * (pull - memory.pull)
        trust = min(1.0 + memory.age_s, options.identity_trust)
        prior = self._prior[-len(pull) :, -len(pull) :]
        stiffness = trust * memory.info + prior
        self._set_identity(memory, np.linalg.solve(stiffness, trust * memory.pull))

    def _point_weights(self) -> np.ndarray:
        weights = np.ones(POINT_COUNT, np.float32)
        weights[_OVAL] = self._settings.oval_weight
        weights[_IRIS_START:] = self._settings.iris_weight
        return weights

    def _prior_matrix(self) -> np.ndarray:
        """Return the (P, P) stiffness: none on pose, and extra stiffness on the head's size."""
        units, count = self._basis.expression.shape[1], self._basis.identity.shape[1]
        stiffness = [np.full(POSE_COUNT, 1e-6), np.full(units, self._settings.expression_prior)]
        prior = np.diag(np.concatenate([*stiffness, np.ones(count)]))
        growth = self._basis.identity_growth()
        prior[-count:, -count:] += np.outer(growth, growth) / self._settings.size_sd**2
        return prior


class _Smoother:
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
class _System:
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
class _Memory:
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
    """

    pose: Pose
    units: np.ndarray
    identity: np.ndarray
    neutral: np.ndarray
    smoother: _Smoother
    time_s: float
    centre: np.ndarray
    free: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    info: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    pull: np.ndarray = field(default_factory=lambda: np.zeros(0))
    age_s: float = 0.0
    unseen_s: float = 0.0
    frames: int = 0

    def shift_to(self, seen: Observation) -> None:
        """Move the head across the line of sight with the middle of the points."""
        shift, self.centre = seen.centre - self.centre, seen.centre
        across = shift * self.pose.translation[2]
        self.pose = self.pose.moved(np.array([across[0], across[1], 0.0, 0.0, 0.0, 0.0]))


def _observe(points_px: np.ndarray, camera: np.ndarray) -> Observation:
    """Turn tracked points, (478, 3) px, into rays."""
    focal = camera[0, 0]
    depth = points_px[:, 2] - points_px[:_IRIS_START, 2].mean()
    rays = ((points_px[:, :2] - camera[:2, 2]) / focal).T
    return Observation(
        np.ascontiguousarray(rays, np.float32), (_DEPTH_GAIN / focal * depth).astype(np.float32)
    )
