"""The far side of a head: its scalp all around, covered with the hair that the outline shows.

No camera pixel shows the back of a head, but a turn brings some of it into sight. Its shape is
that of the head model, grown by its hair. What covers it is close to what the outline shows, as
long as that is hair: along each direction the strip of hair inside the outline is folded over
backwards. Where the outline shows an ear or a cheek, the next direction that has hair stands in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.directions import (
    ANGLES,
    along_rays,
    at_angle,
    bins_of,
    circular_blur,
    circular_least,
    inner_radius,
    middles,
    outermost_run,
    outline_radius,
)
from stream.following import border_share, follow_share
from stream.geometry import (
    invert_rigid,
    project,
    smoothstep,
    transform_points,
    vertex_normals,
)
from stream.hanging_hair import HairPatch, hanging_hair
from stream.region import SURE, resample_to_nodes, within_person
from stream.sight import HAIR, OCCLUDER
from stream.swap.texture_map import SameModel
from stream.triangles import subdivided

if TYPE_CHECKING:
    from scipy import sparse

    from stream.frame import Head
    from stream.head_model import HeadModel
    from stream.region import NodeGrid
    from stream.sight import Sight

_SCALP, _EAR, _NECK = 2, 3, 4  # labels of the head model
_FOLD = np.radians(45.0)  # behind the outline, where the strip of hair ends, and is turned back
_REFLECTED = 0.3  # how much of the way from the last hair is gone back into it
_RAYS = np.linspace(0.5, 1.6, 56)  # of the skull's outline: where hair is looked for
_HAIR, _LEAST_MM = 0.7, 12.0  # likelihood; less of it along a direction is chance
# The same of a head on which little such hair is seen, and its matte: shorn hair is half skin.
_SHORN, _LEAST_SHORN_MM, _SHORN_SURE = 0.3, 5.0, 0.7
_FEW = 22, 30  # directions with hair that is surely seen: fewer begin, and cease, to be too few
_OUTERMOST = 0.8  # of the outline's radius: shorn hair ends outside of it, a moustache does not
_RUN = 5  # directions beside each other: fewer with hair are chance
_OUTER = 0.6  # of a strip: farther inwards skin shines through
_EVEN = 2.5  # directions, over which a strip's ends are evened: looks for hair are coarse
_HAIR_TO = np.radians(62.0)  # from the crown, where nobody has looked for hair
_LEAST_BAND, _MOST_BAND = 0.04, 0.18  # of the outline's radius, there
_RIM = 0.95  # of the outline's radius: nearer to it, background shines through the hair
_NAPE_MM, _THINNING_MM = 32.0, 30.0  # hair ends so far above the nape, and thins out above that
_OFF_MM = (25.0, 40.0)  # outside of what is seen: brought within, and left out


@dataclass(frozen=True, slots=True)
class FarSurface:
    """A closed surface of hair, of which the frame hides the most.

    Attributes:
        places_px: (1, S, 2) float32 frame positions.
        depth_mm: (1, S) float32 camera-space depth.
        share: (1, S) float32 share of the head's motion.
        source_px: (1, S, 2) float32 frame positions that give colours.
        opacity: (1, S) float32, 0 where it is not known to be this head.
        normals: (1, S, 3) float32 outwards, camera space.
        triangles: (T, 3) int32, clockwise seen from outside in a y-up view.
    """

    places_px: np.ndarray
    depth_mm: np.ndarray
    share: np.ndarray
    source_px: np.ndarray
    opacity: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray

    def carried(self, before: NodeGrid, now: NodeGrid, farther_mm: float) -> FarSurface:
        """Return the same surface on a head that has gone with its grid since.

        Args:
            before: the grid then.
            now: the grid that has gone with the head.
            farther_mm: how much the head has gone away from the camera.
        """
        scale = np.divide(now.step_px, before.step_px).astype(np.float32)
        corner = np.array(before.region[:2], np.float32)
        after = np.array(now.region[:2], np.float32)
        return replace(
            self,
            places_px=(self.places_px - corner) * scale + after,
            source_px=(self.source_px - corner) * scale + after,
            depth_mm=self.depth_mm + np.float32(farther_mm),
        )


@dataclass(frozen=True, slots=True)
class Strip:
    """The hair inside a head's outline by direction.

    Attributes:
        rim_px: (72,) radius of its outer end.
        width_px: (72,) how far it reaches inwards.
        there: (72,) bool, where there is some.
    """

    rim_px: np.ndarray
    width_px: np.ndarray
    there: np.ndarray


class FarSide:
    """Closes heads behind.

    Args:
        model: the head model.
        neck_mm: over this length the neck follows the head less and less.
    """

    def __init__(self, model: HeadModel, neck_mm: float) -> None:
        self._vertices, self._finer, self._outside = _fine_scalp(SameModel(model))
        normals = vertex_normals(model.vertices, model.triangles)[self._vertices]
        outwards = self._finer @ normals
        self._outwards = outwards / np.linalg.norm(outwards, axis=1, keepdims=True)
        self._scalp = np.flatnonzero(model.labels == _SCALP)
        self._skull = np.flatnonzero(model.labels != _NECK)
        self._neck_mm, self._joint_mm = neck_mm, model.neck_joint
        self._shorn = False  # with inertia, so that its back does not flicker

    def surface(
        self, grown: np.ndarray, head: Head, grid: NodeGrid, matte: np.ndarray,
        person_px: np.ndarray, neck: tuple[np.ndarray, np.ndarray], sight: Sight | None,
    ) -> FarSurface:  # fmt: skip
        """Return the scalp of a head with its hair.

        Args:
            grown: (V, 3) vertices of the head with its hair, camera space, mm.
            head: the fitted head.
            grid: the nodes.
            matte: (rows, columns) float32 person matte there.
            person_px: (72,) radius at which the person ends by direction.
            neck: chin and nape, as of `chin_and_nape`.
            sight: what the networks saw.
        """
        pose = head.camera_from_head
        centre_px = project(pose[:3, 3], head.camera)
        offsets = project(grown, head.camera) - centre_px
        outline = outline_radius(offsets[self._skull])
        strip = self._seen_strip(matte, outline, centre_px, head, grid, sight)
        if strip is None:
            strip = self._likely_strip(offsets, grown, outline, person_px, head)
        points, off_mm = within_person(grown[self._vertices], matte, grid, head.camera)
        points, off_mm = self._finer @ points, self._finer @ off_mm
        places = project(points, head.camera) - centre_px
        source = folded_over(places, self._behind(pose), strip) + centre_px
        bald = (neck[1][1] - _NAPE_MM - _in_head(points, head)[:, 1]) / _THINNING_MM
        opacity = np.clip(bald, 0, 1) * (1 - smoothstep(off_mm, *_OFF_MM))
        scalp = HairPatch(points, source, opacity, self._outside)
        hanging = hanging_hair(head, self._joint_mm, sight, matte, grid.region) if sight else None
        return self._closed(scalp.joined(hanging) if hanging else scalp, head, neck)

    def _behind(self, pose: np.ndarray) -> np.ndarray:
        """Return (S,) how far the scalp turns from its outline, away or to the viewer, radians.

        The bare skull tells that: on its hair, which grows by direction, noise in the places
        would fold the colours into the contours of a map.
        """
        sight = pose[:3, 3] / np.linalg.norm(pose[:3, 3])
        return np.abs(np.arcsin(np.clip(self._outwards @ (pose[:3, :3].T @ sight), -1, 1)))

    def _closed(
        self, hair: HairPatch, head: Head, neck: tuple[np.ndarray, np.ndarray]
    ) -> FarSurface:
        """Return what is drawn of hair."""
        places = project(hair.points, head.camera)
        share = follow_share(_in_head(hair.points, head), *neck, self._neck_mm)
        share *= border_share(places[:, 1], head, neck[0])
        normals = vertex_normals(hair.points, hair.outside)
        parts = places, hair.points[:, 2], share, hair.source_px, hair.opacity, normals
        place, mm, follow, colour, cover, outwards = (
            np.asarray(part, np.float32)[None] for part in parts
        )
        return FarSurface(place, mm, follow, colour, cover, outwards, hair.outside[:, ::-1])

    def _seen_strip(
        self, matte: np.ndarray, outline_px: np.ndarray, centre_px: np.ndarray, head: Head,
        grid: NodeGrid, sight: Sight | None,
    ) -> Strip | None:  # fmt: skip
        """Return the outermost hair along each direction, hats included; None without any."""
        share = None if sight is None else sight.share(HAIR, OCCLUDER)
        if share is None:
            return None
        hair, radius = resample_to_nodes(share, grid), outline_px[:, None] * _RAYS
        px_a_mm = head.camera[0, 0] / head.camera_from_head[2, 3]
        sure = cv2.erode(matte, np.ones((3, 3), np.uint8)) > SURE
        seen = along_rays(hair * sure, grid, centre_px, radius) > _HAIR
        strip = _outermost_strip(seen, radius, _LEAST_MM * px_a_mm)
        self._shorn = bool(strip.there.sum() < _FEW[1 if self._shorn else 0])
        if self._shorn:
            seen = along_rays(hair * (matte > _SHORN_SURE), grid, centre_px, radius) > _SHORN
            seen &= _RAYS > _OUTERMOST
            strip = _outermost_strip(seen, radius, _LEAST_SHORN_MM * px_a_mm)
        return strip if strip.there.any() else None

    def _likely_strip(
        self, offsets_px: np.ndarray, grown: np.ndarray, outline_px: np.ndarray,
        person_px: np.ndarray, head: Head,
    ) -> Strip:  # fmt: skip
        """Return the band of scalp along the outline of the upper head, hair or not."""
        seen = self._scalp[grown[self._scalp, 2] < head.camera_from_head[2, 3]]
        hairline = inner_radius(offsets_px[seen if len(seen) else self._scalp])
        width = np.clip(1 - hairline / outline_px, _LEAST_BAND, _MOST_BAND) * outline_px
        up = -head.camera_from_head[:2, 1]
        from_crown = (middles() - np.arctan2(up[1], up[0]) + np.pi) % (2 * np.pi) - np.pi
        rim = np.minimum(outline_px, circular_least(person_px))
        return Strip(rim, width, np.abs(from_crown) < _HAIR_TO)


def _outermost_strip(seen: np.ndarray, radius_px: np.ndarray, least_px: float) -> Strip:
    """Return the outermost hair along each direction.

    Args:
        seen: (72, N) bool, where it is.
        radius_px: (72, N) of those places.
        least_px: how much of it there must be.
    """
    before, last = outermost_run(seen)
    bins = np.arange(ANGLES)
    width = radius_px[bins, last] - radius_px[bins, np.maximum(before, 0)]
    there = (seen.any(axis=1) & (width > least_px)).astype(np.uint8)
    there = cv2.morphologyEx(np.tile(there, 3)[None], cv2.MORPH_OPEN, np.ones((1, _RUN)))
    there = there[0, ANGLES : 2 * ANGLES] > 0
    return Strip(radius_px[bins, last], _OUTER * width, there)


def _towards_hair(angle: np.ndarray, hairy: np.ndarray) -> np.ndarray:
    """Return the directions of (S,) angles that have hair: their own, or back into the nearest.

    Args:
        angle: radians.
        hairy: (H,) numbers of the bins that have hair.
    """
    between = (np.arange(ANGLES)[:, None] - hairy + ANGLES // 2) % ANGLES - ANGLES // 2
    nearest = middles()[hairy[np.abs(between).argmin(axis=1)]][bins_of(angle)]
    off = (angle - nearest + np.pi) % (2 * np.pi) - np.pi
    beyond = np.maximum(np.abs(off) - np.pi / ANGLES, 0)
    return np.asarray(nearest + np.sign(off) * (np.abs(off) - (1 + _REFLECTED) * beyond))


@lru_cache(maxsize=2)
def _fine_scalp(key: SameModel) -> tuple[np.ndarray, sparse.csr_matrix, np.ndarray]:
    """Return vertices of the scalp, and a finer mesh: weights of those, and triangles."""
    triangles = _without_ears(key.model, key.model.triangles_of(_SCALP))
    vertices, numbers = np.unique(triangles, return_inverse=True)
    coarse = numbers.reshape(-1, 3).astype(np.int32)
    finer, outside, _ = subdivided(coarse, len(vertices), set())
    return vertices, finer, outside


def _without_ears(model: HeadModel, triangles: np.ndarray) -> np.ndarray:
    """Draw triangles that reach onto an ear together behind it, to one of their own vertices."""
    ear = model.labels == _EAR
    closed = triangles.copy()
    for side in (-1, 1):
        reach = ear[triangles].any(axis=1) & (side * model.vertices[triangles, 0] > 0).all(axis=1)
        rim = triangles[reach][~ear[triangles[reach]]]
        hindmost = rim[model.vertices[rim, 2].argmax()]
        closed[reach] = np.where(ear[triangles[reach]], hindmost, triangles[reach])
    a, b, c = closed.T
    return closed[(a != b) & (b != c) & (c != a) & ~ear[closed].any(axis=1)]


def _in_head(points: np.ndarray, head: Head) -> np.ndarray:
    return transform_points(invert_rigid(head.camera_from_head), points)


def folded_over(offsets_px: np.ndarray, behind: np.ndarray, strip: Strip) -> np.ndarray:
    """Return where hair finds its colours: behind the outline what lies as far inside of it.

    Args:
        offsets_px: (S, 2) places from the middle of the head.
        behind: (S,) how far they turn away from the viewer, radians; 0 at the outline.
        strip: the hair inside the outline.

    Returns:
        (S, 2) places from the middle of the head.
    """
    known = np.flatnonzero(strip.there)
    angle = np.arctan2(offsets_px[:, 1], offsets_px[:, 0])
    hair_angle = _towards_hair(angle, known)
    rim, width = (
        circular_blur(np.interp(np.arange(ANGLES), known, values[known], period=ANGLES), _EVEN)
        for values in (strip.rim_px, strip.width_px)
    )
    turns = behind / _FOLD / 2
    inwards = 2 * np.abs(turns - np.round(turns))
    radius = _RIM * at_angle(rim, hair_angle) - inwards * _RIM * at_angle(width, hair_angle)
    return np.stack([np.cos(hair_angle), np.sin(hair_angle)], axis=1) * radius[:, None]
