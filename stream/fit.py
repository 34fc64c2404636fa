"""Fitting: the head model laid onto the tracked points of a face.

A head is identity, expression and pose. Pose and expression are found anew in each frame by
regularised Gauss-Newton steps that start from the last frame. Identity is what all frames
agree on: each frame adds what it tells about identity once its own pose and expression are
eliminated (a Schur complement), so that identity settles over seconds and then rests.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from stream.fit_state import FitSettings, Memory, Smoother, System
from stream.frame import POINT_COUNT, Face, Head
from stream.geometry import pinhole_camera, rigid_transform
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
from stream.solve import bounded_step, eliminated, solve_definite

if TYPE_CHECKING:
    from stream.face_3dmm import FaceGuess
    from stream.head_model import HeadModel

# Of Face Mesh's depth. Rendered heads want 1.2 (their pitch is found 13 % too small, not 19 %),
# clips fit a little better with 1.
_DEPTH_GAIN = 1.0
_FIRST_STEPS = 12
_STEPS_AGAIN = 6
_AT_REST_MM = 0.05
_ASTRAY_MM = 10.0  # a warm start that lies off by more is worth less than none
_LONGEST_GAP_S = 0.25  # after longer without a sight of the face only identity is carried over
_USUAL_STEP_S = 1 / 30
_YOUNG_S = 1.0  # so long, identity is learnt often
_YOUNG_EVERY = 2  # frames
_IDENTITY_EVERY = 6
_PARTS = 4  # the points are dealt out to so many looks at identity
_MOST_MEMORIES = 64
_IRIS_START = 468
_OVAL = np.fromstring(
    "10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377 152 148 176 149 150 "
    "136 172 58 132 93 234 127 162 21 54 103 67 109",
    dtype=int,
    sep=" ",
)


class HeadFitter:
    """Fit heads to faces, and remember each face by its identity."""

    def __init__(self, model: HeadModel, settings: FitSettings | None = None) -> None:
        self._settings = settings or FitSettings()
        self._basis = PointBasis.of(model)
        self._parts = [slice(part, None, _PARTS) for part in range(_PARTS)]
        self._thin_bases = [self._basis.thinned(part) for part in self._parts]
        self._weights = self._point_weights()
        self._prior = self._prior_matrix()
        self._guess_stiffness = self._stiffness_to_guess()
        self._pivot = self._basis.mean[:_IRIS_START].mean(axis=0).astype(np.float64)
        units, total = self._basis.expression.shape[1], len(self._prior)
        self._lower, self._upper = np.full(total, -np.inf), np.full(total, np.inf)
        self._lower[POSE_COUNT : POSE_COUNT + units] = 0.0
        self._upper[POSE_COUNT : POSE_COUNT + units] = 1.0
        self._memories: dict[int, Memory] = {}

    def reset(self, face_id: int | None = None) -> None:
        """Forget one face, or all of them (at a scene cut)."""
        if face_id is None:
            self._memories.clear()
        else:
            self._memories.pop(face_id, None)

    def fit(
        self,
        face: Face,
        frame_size: tuple[int, int],
        time_s: float,
        guess: FaceGuess | None = None,
    ) -> Head:
        """Fit the head model to one face.

        The first sight of a face, and so a still picture, is fitted jointly: identity,
        expression and pose until they rest. Later ones start from what is known.

        Args:
            face: the tracked face; one that is not fresh is carried on without fitting.
            frame_size: (width, height) of the frame in pixels.
            time_s: presentation time of the frame; must not fall for one face.
            guess: what the network sees in the face, where there is news of it: a face that is
                new is fitted from there, and its identity stays near by.

        Returns:
            The head, with smoothed pose and expression.
        """
        if self._settings.guess_mm == 0:
            guess = None
        memory = self._memories.get(face.id)
        if memory is None:
            memory = self._meet(face.points_px, frame_size, time_s, guess)
            self._remember(face.id, memory)
            return self._head(face, memory, _camera(frame_size, memory.focal_gain), time_s)
        if guess is not None:
            memory.guess = guess.identity.astype(np.float64)
        camera = _camera(frame_size, memory.focal_gain)
        seen = _observe(face.points_px, camera)
        if face.fresh:
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
        known = self._memories[face_id]
        camera = _camera(frame_size, known.focal_gain)
        seen = _observe(face.points_px, camera)
        memory = replace(known, smoother=Smoother(self._settings), centre=seen.centre)
        self._start_again(memory, seen)
        for _ in range(_FIRST_STEPS):
            system = self._linearise(memory, seen, with_identity=False)
            if self._step(memory, system, with_identity=False) < _AT_REST_MM:
                break
        return self._head(face, memory, camera, 0.0)

    def _head(self, face: Face, memory: Memory, camera: np.ndarray, time_s: float) -> Head:
        pose, expression = memory.smoother(memory.pose, memory.units, self._pivot, time_s)
        return Head(
            face_id=face.id,
            identity=memory.identity.astype(np.float32),
            expression=expression.astype(np.float32),
            camera_from_head=rigid_transform(pose.rotation, pose.translation),
            camera=camera,
            presence=face.presence,
        )

    def _remember(self, face_id: int, memory: Memory) -> None:
        self._memories[face_id] = memory
        if len(self._memories) > _MOST_MEMORIES:
            oldest = min(self._memories, key=lambda one: self._memories[one].time_s)
            del self._memories[oldest]

    def _meet(
        self,
        points_px: np.ndarray,
        frame_size: tuple[int, int],
        time_s: float,
        guess: FaceGuess | None,
    ) -> Memory:
        """Fit a face that is not known; where it comes too near, with a longer lens."""
        memory = self._meet_through(points_px, _camera(frame_size, 1.0), time_s, guess)
        near_mm = float((memory.pose.rotation @ self._pivot + memory.pose.translation)[2])
        if near_mm < self._settings.least_distance_mm:
            gain = self._settings.least_distance_mm / near_mm
            camera = _camera(frame_size, gain)
            memory = self._meet_through(points_px, camera, time_s, guess)
            memory.focal_gain = gain
        return memory

    def _meet_through(
        self, points_px: np.ndarray, camera: np.ndarray, time_s: float, guess: FaceGuess | None
    ) -> Memory:
        """Fit identity, expression and pose together, from nothing or from a guess."""
        seen = _observe(points_px, camera)
        memory = Memory(
            pose=pose_from_points(self._basis.mean.T, seen, self._weights),
            units=np.zeros(self._basis.expression.shape[1]),
            identity=np.zeros(self._basis.identity.shape[1]),
            neutral=self._basis.mean.T,
            smoother=Smoother(self._settings),
            time_s=time_s,
            centre=seen.centre,
        )
        if guess is not None:
            self._start_from(memory, seen, guess, camera)
        for _ in range(_FIRST_STEPS):
            system = self._linearise(memory, seen, with_identity=True)
            if self._step(memory, system, with_identity=True) < _AT_REST_MM:
                break
        system = self._linearise(memory, seen, with_identity=True)
        memory.info, memory.pull = self._identity_view(memory, system)
        return memory

    def _start_from(
        self, memory: Memory, seen: Observation, guess: FaceGuess, camera: np.ndarray
    ) -> None:
        """Begin with what the network sees, and with the pose that it or the points suggest."""
        memory.guess = guess.identity.astype(np.float64)
        memory.units = guess.expression.astype(np.float64)
        self._set_identity(memory, memory.guess)
        shape = self._basis.with_units(memory.neutral, memory.units)
        pose = guess.camera_from_head(camera)
        poses = [
            pose_from_points(shape, seen, self._weights),
            Pose(pose[:3, :3], pose[:3, 3]),
        ]
        errors = []
        for memory.pose in poses:
            errors.append(self._error_mm(memory, seen))
        memory.pose = poses[int(np.argmin(errors))]

    def _follow(self, memory: Memory, seen: Observation, time_s: float) -> None:
        """Fit a face that is known, starting from the last frame."""
        gap_s, memory.time_s = max(0.0, time_s - memory.time_s), time_s
        memory.shift_to(seen)
        if gap_s > _LONGEST_GAP_S or self._error_mm(memory, seen) > _ASTRAY_MM:
            self._start_again(memory, seen)
        if gap_s > _LONGEST_GAP_S:
            memory.smoother.reset()
        system = self._linearise(memory, seen, with_identity=False)
        self._step(memory, system, with_identity=False)
        system.error = residuals(self._points(memory), seen)  # the slopes hardly change meanwhile
        self._step(memory, system, with_identity=False)
        memory.frames += 1
        memory.unseen_s += min(gap_s, _LONGEST_GAP_S)
        if memory.frames % (_YOUNG_EVERY if memory.age_s < _YOUNG_S else _IDENTITY_EVERY) == 0:
            self._learn_identity(memory, seen)

    def _start_again(self, memory: Memory, seen: Observation) -> None:
        """Find pose and expression from nothing, for an identity that is known."""
        memory.units = np.zeros_like(memory.units)
        memory.pose = pose_from_points(memory.neutral, seen, self._weights)
        for _ in range(_STEPS_AGAIN):
            self._step(
                memory, self._linearise(memory, seen, with_identity=False), with_identity=False
            )

    def _points(self, memory: Memory) -> np.ndarray:
        return points_camera(self._basis.with_units(memory.neutral, memory.units), memory.pose)

    def _error_mm(self, memory: Memory, seen: Observation) -> float:
        error = residuals(self._points(memory), seen)[:2, :_IRIS_START]
        distance = np.hypot(error[0], error[1])
        middle = len(distance) // 2
        return float(np.partition(distance, middle)[middle])  # np.median takes four times as long

    def _linearise(self, memory: Memory, seen: Observation, *, with_identity: bool) -> System:
        bases = [self._basis.expression, self._basis.identity]
        points = self._points(memory)
        slopes = jacobian(points, memory.pose, bases if with_identity else bases[:1])
        return self._weighted(slopes, residuals(points, seen), self._weights)

    def _linearise_some(self, memory: Memory, seen: Observation, part: int) -> System:
        """Linearise in all parameters, but with one part of the points, to save time."""
        basis, some = self._thin_bases[part], self._parts[part]
        shape = basis.with_units(memory.neutral[:, some], memory.units)
        points = points_camera(shape, memory.pose)
        slopes = jacobian(points, memory.pose, [basis.expression, basis.identity])
        return self._weighted(
            slopes, residuals(points, seen.thinned(some)), _PARTS * self._weights[some]
        )

    def _weighted(self, slopes: np.ndarray, error: np.ndarray, weights: np.ndarray) -> System:
        """Weigh a linear problem: by point, less for outliers, and less for depth."""
        options = self._settings
        distance = np.hypot(error[0], error[1])
        robust = np.minimum(1.0, options.outlier_mm / np.maximum(distance, 1e-6))
        across = weights * robust / options.noise_mm**2
        root = np.sqrt(np.stack([across, across, options.depth_weight * across]))
        slopes *= root
        rows = slopes.reshape(len(slopes), -1)
        return System(rows, root, (rows @ rows.T).astype(np.float64), error)

    def _step(self, memory: Memory, system: System, *, with_identity: bool) -> float:
        """Take one Gauss-Newton step; return how far it moved the head, mm."""
        first = POSE_COUNT + len(memory.units)
        value = np.concatenate([np.zeros(POSE_COUNT), memory.units, memory.identity])
        count = len(value) if with_identity else first
        prior, value = self._prior[:count, :count], value[:count]
        hessian = system.hessian[:count, :count] + prior
        gradient = system.gradient(count) + prior @ value
        if with_identity and memory.guess is not None:
            hessian[first:, first:] += self._guess_stiffness
            gradient[first:] += self._guess_stiffness @ (value[first:] - memory.guess)
        step, memory.free = bounded_step(
            hessian,
            gradient,
            value,
            self._lower[:count],
            self._upper[:count],
        )
        memory.pose = memory.pose.moved(step[:POSE_COUNT])
        memory.units = memory.units + step[POSE_COUNT:first]
        if with_identity:
            self._set_identity(memory, memory.identity + step[first:])
        return float(np.linalg.norm(step[:3]))

    def _set_identity(self, memory: Memory, identity: np.ndarray) -> None:
        memory.identity, memory.neutral = identity, self._basis.neutral(identity)

    def _identity_view(self, memory: Memory, system: System) -> tuple[np.ndarray, np.ndarray]:
        """Return what one frame tells about identity: the (K, K) info and the (K,) pull."""
        first = POSE_COUNT + len(memory.units)
        inner = slice(POSE_COUNT, first)
        hessian, gradient = system.hessian.copy(), system.gradient(len(system.hessian))
        hessian[inner, inner] += self._prior[inner, inner]
        gradient[inner] += self._prior[inner, inner] @ memory.units
        out = np.flatnonzero(memory.free[:first])
        info, slope = eliminated(hessian, gradient, out, np.arange(first, len(gradient)))
        return info, info @ memory.identity - slope

    def _learn_identity(self, memory: Memory, seen: Observation) -> None:
        """Add one frame to what is known of the identity, and solve for it."""
        memory.part = (memory.part + 1) % _PARTS
        system = self._linearise_some(memory, seen, memory.part)
        info, pull = self._identity_view(memory, system)
        options = self._settings
        memory.age_s += memory.unseen_s
        share = memory.unseen_s / min(memory.age_s + _USUAL_STEP_S, options.identity_horizon_s)
        memory.unseen_s = 0.0
        memory.info += share * (info - memory.info)
        memory.pull += share * (pull - memory.pull)
        trust = min(1.0 + memory.age_s, options.identity_trust)
        prior = self._prior[-len(pull) :, -len(pull) :]
        info, pull = memory.info, memory.pull
        if memory.guess is not None:  # of the same weight in each look: points err alike in all
            info = info + self._guess_stiffness
            pull = pull + self._guess_stiffness @ memory.guess
        self._set_identity(memory, solve_definite(trust * info + prior, trust * pull))

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

    def _stiffness_to_guess(self) -> np.ndarray:
        """Return the (K, K) stiffness of identity towards what the network sees."""
        shape = self._basis.identity_shape(slice(_IRIS_START))
        variance = max(self._settings.guess_mm, 1e-3) ** 2
        return shape @ shape.T / (variance * _IRIS_START)


def _observe(points_px: np.ndarray, camera: np.ndarray) -> Observation:
    """Turn tracked points, (478, 3) px, into rays."""
    focal = camera[0, 0]
    depth = points_px[:, 2] - points_px[:_IRIS_START, 2].mean()
    rays = ((points_px[:, :2] - camera[:2, 2]) / focal).T
    return Observation(
        np.ascontiguousarray(rays, np.float32), (_DEPTH_GAIN / focal * depth).astype(np.float32)
    )


def _camera(frame_size: tuple[int, int], focal_gain: float) -> np.ndarray:
    """Return the usual (3, 3) camera of a frame, with its focal length times a gain."""
    camera = pinhole_camera(*frame_size)
    camera[0, 0] = camera[1, 1] = focal_gain * camera[0, 0]
    return camera
