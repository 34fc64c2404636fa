"""The geometry of a swapped face: where each vertex of the drawn face lies in the frame.

A drawn vertex is the projected vertex of the fitted head, moved by what the tracked points say
beyond the fit, so that lids and lips lie on the real ones, and then by the difference between the
faces of source and target at rest: by twice the share that is asked for where brows, eyes and nose
are, which make a person, by less of the outline, which makes none, and by the share itself of lips,
whose rest a photo that smiles does not show. Eyes stay the target's; they are shifted, turned and
made larger as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from stream.geometry import project, smoothstep, vertex_normals
from stream.smooth import OneEuro, SmoothSettings
from stream.swap.brows import RestingBrows, brow_heights, brow_lift, eyes_mm, raised_brows
from stream.swap.resting import RestingFace, WholeEyes
from stream.swap.texture_map import SameModel
from stream.triangles import within

if TYPE_CHECKING:
    from stream.frame import Face, Head
    from stream.head_model import HeadModel
    from stream.swap.source_face import SourceFace

SKIN, SCALP, EAR, NECK, MOUTH, EYES = range(1, 7)
EYES_MM = 89.0  # distance of the outer corners of the eyes, roughly
_TRACKED = 468  # points on the skin; the rest are irises
_ALIGNED = np.r_[17:48, 48, 54]  # iBUG points by which two heads are laid over each other
_FEATURES, _FEATURES_MM = slice(17, 68), (8.0, 28.0)  # iBUG points; from them: theirs, outline
_LIPS, _LIPS_MM = slice(48, 68), (4.0, 18.0)  # likewise
_FEATURES_SHARE = 2.0  # of the share of the shape, up to all
_MOST_CHANGED = 0.038  # of the eyes' distance: mean over the face, at a share of 1; less by less
_YOUNG, _EVERY = 40, 5  # frames; between two looks at a mean over more
_SEEN = (0.15, 0.5)  # cosine to the camera: a point says nothing, and counts in full
_FALL_MM = 45.0  # from the face: how far scalp and neck follow its outline
_NEAREST = 6  # tracked points that a vertex listens to
_REACH_MM = 5.0
_FAR_MM = 30.0  # beyond this the tracked points say nothing of a vertex
_BROWS_SHARE = 2.0  # of the share of the shape, up to all: skin that is not stretched looks real
_OPEN = {"jawOpen": 0.7, "eyeWideLeft": 0.8, "eyeWideRight": 0.8}  # lips and lids lie apart
_STILL = SmoothSettings(min_cutoff=2.5, beta=30.0)


@dataclass(frozen=True, slots=True)
class FaceShape:
    """One face in one frame; V are the vertices of the head model.

    Attributes:
        own_px: (V, 2) float32, where the target's vertices lie in the frame.
        drawn_px: (V, 2) float32, where the swapped ones are drawn.
        depth_mm: (V,) float32, of the drawn ones.
        facing: (V,) float32, cosine between the normal of the face at rest and the direction to
            the camera.
        points_px: (478, 2) float32, the tracked points of the drawn face.
        tracked_px: (478, 2) float32, those of the target.
        eyes_px: distance of the outer corners of the eyes if the face looked at the camera.
    """

    own_px: np.ndarray
    drawn_px: np.ndarray
    depth_mm: np.ndarray
    facing: np.ndarray
    points_px: np.ndarray
    tracked_px: np.ndarray
    eyes_px: float


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found for a pair of identities.

    Attributes:
        source: who is drawn.
        identity: (K,) of the target.
        neutral: (V, 3) mm, its head at rest.
        normals: (V, 3) of that.
        other: (V, 3) mm, the source's head at rest.
        points: (468, 3) mm, the tracked points on the target's head at rest.
        eyes_mm: distance of the outer corners of its eyes.
    """

    source: SourceFace
    identity: np.ndarray
    neutral: np.ndarray
    normals: np.ndarray
    other: np.ndarray
    points: np.ndarray
    eyes_mm: float


class ShapeBlender:
    """Finds the geometry of swapped faces; keeps the memory of one target.

    Args:
        model: the head model.
    """

    def __init__(self, model: HeadModel) -> None:
        self._model = model
        self._static = _static(SameModel(model))
        self._smooth = OneEuro(_STILL)
        self._rest, self._brows = RestingFace(), RestingBrows()
        self._known: _Known | None = None
        self._changed: tuple[_Known, float, np.ndarray] | None = None

    @property
    def follows(self) -> np.ndarray:
        """(V,) float32, how far each vertex goes from the target's shape to the source's."""
        return self._static.follows

    def __call__(
        self, face: Face, head: Head, source: SourceFace, share: float, time_s: float
    ) -> FaceShape:
        """Return the geometry for one frame.

        Args:
            face: the tracked points.
            head: the head that was fitted to them.
            source: who is drawn.
            share: 0 for the shape of the target, 1 for that of the source.
            time_s: presentation time.
        """
        model = self._model
        pose, camera = head.camera_from_head.astype(np.float32), head.camera.astype(np.float32)
        known = self._neutral(head, source)
        own = known.neutral + _moved_by(model, head.expression)
        own_mm = own @ pose[:3, :3].T + pose[:3, 3]
        eyes_px = EYES_MM * camera[0, 0] / pose[2, 3]
        rays = own_mm / np.linalg.norm(own_mm, axis=1, keepdims=True)
        facing = -((known.normals @ pose[:3, :3].T) * rays).sum(axis=1)
        beyond = face.points_px[:_TRACKED, :2] - project(self._on_points(own_mm), camera)
        own_px = project(own_mm, camera) + self._residual(beyond, eyes_px, time_s)
        other_mm = own_mm
        moved = np.zeros_like(own_px)
        if share > 0:
            self._learn(beyond, head, known, facing)
            change = self._followed_change(known, share).copy()
            change[:, 1] -= self._brows_rise(face, head, known, change, share)
            other_mm = own_mm + change @ pose[:3, :3].T
            moved = project(other_mm, camera) - project(own_mm, camera)
        drawn_px = own_px + moved
        points = within(drawn_px, model.triangles[model.points478_triangle], model.points478_bary)
        return FaceShape(
            own_px, drawn_px, other_mm[:, 2], facing, points,
            face.points_px[:, :2], float(eyes_px),
        )  # fmt: skip

    def _neutral(self, head: Head, source: SourceFace) -> _Known:
        """Return what rests while neither identity changes; the fit learns one now and then."""
        known = self._known
        if known is None or known.source is not source or (known.identity != head.identity).any():
            neutral = self._model.shape(head.identity)
            normals = vertex_normals(neutral, self._model.triangles)
            other = self._model.shape(source.identity) + source.offset_mm
            eyes = eyes_mm(self._model, head)
            known = self._known = _Known(
                source, head.identity, neutral, normals, other.astype(np.float32),
                self._on_points(neutral), eyes,
            )  # fmt: skip
        return known

    def _on_points(self, vertices: np.ndarray) -> np.ndarray:
        """Return the (468, C) values that vertices (V, C) have at the tracked points."""
        model = self._model
        corners = model.triangles[model.points478_triangle[:_TRACKED]]
        return within(vertices, corners, model.points478_bary[:_TRACKED])

    def _learn(self, beyond_px: np.ndarray, head: Head, known: _Known, facing: np.ndarray) -> None:
        """Learn what the target is like while nothing moves it, from one more frame."""
        pose, camera = head.camera_from_head, head.camera
        mm_per_px = pose[2, 3] / camera[[0, 1], [0, 1]]
        beyond_mm = (beyond_px * mm_per_px) @ pose[:2, :3]  # into head space: Rᵀ · d
        seen = smoothstep(self._on_points(facing[:, None])[:, 0], *_SEEN)
        self._rest(known.points + beyond_mm, seen)

    def _followed_change(self, known: _Known, share: float) -> np.ndarray:
        """Return `_change`, which a mean of many frames hardly moves, as often as it pays."""
        last, frames = self._changed, self._rest.frames
        again = frames < _YOUNG or frames % _EVERY == 0
        if last is None or again or last[0] is not known or last[1] != share:
            self._changed = last = known, share, self._change(known, share)
        return last[2]

    def _change(self, known: _Known, share: float) -> np.ndarray:
        """Return (V, 3) mm from the target's head at rest towards the source's."""
        beyond = self._rest.points_mm - known.points
        rest = known.neutral + self._static.listens @ beyond.astype(np.float32)
        model, static = self._model, self._static
        corners = model.triangles[model.points68_triangle[_ALIGNED]]
        source, target = (
            within(one, corners, model.points68_bary[_ALIGNED]) for one in (known.other, rest)
        )
        scale, rotation, shift = similarity(source, target)
        apart = scale * known.other @ rotation.T.astype(np.float32) + shift - rest
        outline, inner = share**2, min(1.0, _FEATURES_SHARE * share)
        towards = outline + (inner - outline) * static.inner
        towards -= static.lips * (towards - share)
        change = (static.follows * towards)[:, None] * apart
        static.eyes(change)
        mean = float(np.linalg.norm(self._on_points(change[:, :2]), axis=1).mean())
        most = _MOST_CHANGED * share * known.eyes_mm
        return (change * min(1.0, most / max(mean, 1e-6))).astype(np.float32)

    def _brows_rise(
        self, face: Face, head: Head, known: _Known, change: np.ndarray, share: float
    ) -> np.ndarray:
        """Return (V,) mm by which vertices rise so that the brows rest where the source's do.

        What the change (V, 3) raises them by counts.
        """
        rest = self._brows(brow_heights(self._model, head, face.points_px[:, :2]))
        most = min(1.0, _BROWS_SHARE * share)
        rise = known.eyes_mm * most * (known.source.brows - rest)
        rise -= raised_brows(self._model, change)
        return brow_lift(self._model) @ rise.astype(np.float32)

    def _residual(self, beyond_px: np.ndarray, eyes_px: float, time_s: float) -> np.ndarray:
        """Return (V, 2) px, what the tracked points say beyond the fit."""
        rest = beyond_px / eyes_px
        smooth = self._smooth(rest.ravel(), time_s).reshape(rest.shape).astype(np.float32)
        return self._static.listens @ (smooth * eyes_px)


def _moved_by(model: HeadModel, expression: np.ndarray) -> np.ndarray:
    """Return (V, 3) mm by which face units move the vertices; those at rest cost nothing."""
    active = np.flatnonzero(expression)
    flat = model.expression_basis.reshape(len(model.expression_basis), -1)
    return (expression[active] @ flat[active]).reshape(-1, 3)


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return scale, (3, 3) rotation and (3,) shift that lay points over others best.

    Umeyama 1991, eqs. 40–42.
    """
    middle, goal = source.mean(axis=0), target.mean(axis=0)
    from_middle, from_goal = source - middle, target - goal
    u, strength, vt = np.linalg.svd(from_goal.T @ from_middle)
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((strength * sign).sum() / (from_middle**2).sum())
    return scale, rotation, goal - scale * rotation @ middle


@dataclass(frozen=True, slots=True)
class _Static:
    """What depends on the model alone.

    Attributes:
        listens: (V, 468) sparse, how a vertex follows what is left at the tracked points.
        follows: (V,) float32, how far a vertex goes from the target's shape to the source's.
        inner: (V,) float32, 1 about brows, eyes, nose and mouth, 0 at the outline.
        lips: (V,) float32, 1 about the mouth.
        eyes: lets eyes go as a whole.
    """

    listens: sparse.csr_matrix
    follows: np.ndarray
    inner: np.ndarray
    lips: np.ndarray
    eyes: WholeEyes


@lru_cache(maxsize=2)
def _static(key: SameModel) -> _Static:
    model = key.model
    inner, lips = _near(model, _FEATURES, _FEATURES_MM), _near(model, _LIPS, _LIPS_MM)
    return _Static(_listens(model), _follows(model), inner, lips, WholeEyes(model))


def _near(model: HeadModel, part: slice, reach_mm: tuple[float, float]) -> np.ndarray:
    """Return (V,) float32, 1 near iBUG points, falling to 0 between two distances."""
    away = cKDTree(model.points68()[part]).query(model.vertices)[0]
    return (1 - smoothstep(away, *reach_mm)).astype(np.float32)


def _listens(model: HeadModel) -> sparse.csr_matrix:
    """Return the weights of the tracked points, with lips and lids apart."""
    units = np.array([_OPEN.get(name, 0.0) for name in model.expression_names], np.float32)
    vertices = model.shape(expression=units)
    points = model.points478(expression=units)[:_TRACKED]
    away, nearest = cKDTree(points).query(vertices, k=_NEAREST)
    weights = np.exp(-((away - away[:, :1]) ** 2) / (2 * _REACH_MM**2))
    weights /= weights.sum(axis=1, keepdims=True)
    weights *= 1 - smoothstep(away[:, :1], 6.0, _FAR_MM)
    rows = np.repeat(np.arange(len(vertices)), _NEAREST)
    return sparse.csr_matrix(
        (weights.ravel().astype(np.float32), (rows, nearest.ravel())), (len(vertices), _TRACKED)
    )


def _follows(model: HeadModel) -> np.ndarray:
    skin = model.vertices[model.labels == SKIN]
    from_face = cKDTree(skin).query(model.vertices)[0]
    follows = np.where(model.labels == SKIN, 1, 1 - smoothstep(from_face, 0, _FALL_MM))
    return follows.astype(np.float32)
