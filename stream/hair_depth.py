"""Depth of the whole head region without a network: the analytic baseline.

The head model gives face, ears, skull and neck. Hair is grown from its scalp: along every
direction in the picture the scalp is pushed outwards until its outline meets the outline of the
person, with nothing at the hairline and all of it at the crown. The grown model is drawn on the
node grid; what it does not cover (tips, long hair, clothes) continues its mid-plane smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.spatial import ConvexHull

from stream.chin import ChinEdge, with_chin
from stream.cloth import find_cloth
from stream.directions import (
    ANGLES,
    along_rays,
    at_angle,
    circular_blur,
    ends_inside,
    outline_radius,
)
from stream.ears import behind_roots, find_ears
from stream.far_side import FarSide, FarSurface
from stream.fill import pull_push
from stream.following import border_share, chin_and_nape, follow_share
from stream.geometry import project, transform_points
from stream.mouth import with_teeth
from stream.region import node_mm, resample_to_nodes
from stream.sight import held_things

if TYPE_CHECKING:
    from stream.cloth import Cloth
    from stream.frame import Head
    from stream.hair_network import HairNetwork
    from stream.head_model import HeadModel
    from stream.raster import DepthRaster
    from stream.region import NodeGrid
    from stream.sight import Sight

_FORWARD_GROWTH = 0.35
_HAIR_BLUR_NODES = 3.0  # steps in depth would crimp strands of hair
_LOOSE_HAIR_MM = 30.0  # so far from the skull, hair hangs beside the neck joint
_HELD_BEFORE_MM = 10.0  # hands and microphones are before the tip of the nose
_SKULL, _EAR = (1, 2, 3), 3  # labels of the head model: face, scalp and ears


@dataclass(frozen=True, slots=True)
class HairSettings:
    """How hair grows on the head model.

    Attributes:
        largest_growth: upper bound of outline radius over skull radius.
        settle_frames: time constant with which the growth follows what is seen.
        neck_mm: distance below the jaw over which the neck follows the head less and
            less, down to not at all at the collar.
        expression_frames: time constant with which depth follows the expression.
    """

    largest_growth: float = 1.6
    settle_frames: float = 8.0
    neck_mm: float = 110.0
    expression_frames: float = 8.0


@dataclass(frozen=True, slots=True)
class HeadDepth:
    """Geometry of the head region at the nodes of a grid.

    Attributes:
        grid: the nodes.
        front_mm: (rows, columns) float32 camera-space depth of what is seen.
        turn: (rows, columns) float32 share of the head's motion that a node follows.
        coverage: (rows, columns) float32, 1 where the grown head model projects.
        far: the far side of the head.
        cloth: for which the share was lowered; None where nobody looked.
        chin_drop_mm: how far below the fitted chin that of the frame ends (`stream.chin`).
        ears: (rows, columns) float32, how surely a node shows an ear or its ring (`stream.ears`);
            None where none is seen.
    """

    grid: NodeGrid
    front_mm: np.ndarray
    turn: np.ndarray
    coverage: np.ndarray
    far: FarSurface
    cloth: Cloth | None = None
    chin_drop_mm: float = 0.0
    ears: np.ndarray | None = None

    @property
    def free_turn(self) -> np.ndarray:
        """(rows, columns) share of the motion that nodes would follow if none were cloth."""
        return self.turn if self.cloth is None else self.turn / self.cloth.moves

    def carried(self, grid: NodeGrid, farther_mm: float) -> HeadDepth:
        """Return the same geometry on a grid that has gone with the head since.

        A node stays on its place of the head but for a small turn, so this holds for a few
        frames.

        Args:
            grid: of as many rows and columns.
            farther_mm: how much the head has gone away from the camera.
        """
        far = self.far.carried(self.grid, grid, farther_mm)
        return replace(self, grid=grid, front_mm=self.front_mm + np.float32(farther_mm), far=far)


class HairGrowth:
    """Growth of the scalp of one head by direction in the picture, settled over time.

    Attributes:
        person_px: (72,) radius at which the person ends by direction, in the last frame.
    """

    def __init__(self, settings: HairSettings) -> None:
        self._settings = settings
        self._growth: np.ndarray | None = None
        self.person_px = np.ones(ANGLES)

    def reset(self) -> None:
        """Forget the outline seen so far."""
        self._growth = None

    def update(
        self, offsets_px: np.ndarray, centre_px: np.ndarray, matte: np.ndarray, grid: NodeGrid
    ) -> np.ndarray:
        """Return (72,) growth factors ≥ 1 by direction, from +x clockwise as seen.

        Args:
            offsets_px: (S, 2) projected vertices of the skull, from the centre.
            centre_px: (2,) projected middle of the cranium.
            matte: (rows, columns) person matte at the nodes.
            grid: the nodes.
        """
        skull = outline_radius(offsets_px)
        self.person_px = ray_extent(matte, grid, centre_px, skull, self._settings.largest_growth)
        seen = np.clip(self.person_px / skull, 1.0, self._settings.largest_growth)
        whole = np.flatnonzero(ends_inside(grid, centre_px, self.person_px))
        if len(whole):  # where the picture cuts hair off, it is as high as beside the cut
            seen = np.interp(np.arange(ANGLES), whole, seen[whole], period=ANGLES)
        seen = circular_blur(seen, 2.0)
        rate = 1.0 if self._growth is None else 1.0 / self._settings.settle_frames
        previous = seen if self._growth is None else self._growth
        self._growth = previous + rate * (seen - previous)
        return self._growth


def ray_extent(
    matte: np.ndarray, grid: NodeGrid, centre_px: np.ndarray, skull: np.ndarray, largest: float
) -> np.ndarray:
    """Return (72,) distances in pixels at which the person ends along each direction.

    Rays start well inside the skull, so a gap between a raised hand and the head ends them.
    """
    share = np.linspace(0.7, largest, 64)
    sampled = along_rays(matte, grid, centre_px, skull[:, None] * share)
    outside = sampled < 0.5
    first = np.where(outside.any(axis=1), outside.argmax(axis=1), len(share) - 1)
    return skull * share[first]


class HairDepth:
    """Estimates depth and following of one head's region, frame by frame.

    Args:
        model: the head model.
        raster: draws the model's triangles.
        settings: growth of hair, length of the neck.
        network: improves the depth of what is seen, where there is one.
    """

    def __init__(
        self,
        model: HeadModel,
        raster: DepthRaster,
        settings: HairSettings | None = None,
        network: HairNetwork | None = None,
    ) -> None:
        self._model, self._raster, self._network = model, raster, network
        self._settings = settings or HairSettings()
        self._growth = HairGrowth(self._settings)
        self._chin = ChinEdge()
        self._expression: np.ndarray | None = None
        self._neutral: tuple[np.ndarray, np.ndarray] | None = None  # identity, and its shape
        self._skull = np.flatnonzero(np.isin(model.labels, _SKULL))
        self._scalp = np.flatnonzero(model.scalp_weight > 0)
        self._ears = np.flatnonzero(model.labels == _EAR)
        outermost = ConvexHull(model.vertices[self._skull]).vertices
        self._outline = model.part(self._skull[outermost])
        self._far_side = FarSide(model, self._settings.neck_mm)

    def reset(self) -> None:
        """Forget what was learnt from earlier frames."""
        self._growth.reset()
        self._chin.reset()
        self._expression = None
        if self._network is not None:
            self._network.reset()

    def estimate(
        self, head: Head, matte: np.ndarray, grid: NodeGrid, sight: Sight | None = None
    ) -> HeadDepth:
        """Return the geometry of the head region.

        Args:
            head: the fitted head.
            matte: (rows, columns) float32 person matte at the nodes.
            grid: the nodes.
            sight: what the networks saw there; without it the analytic depth stands.
        """
        head = self._calmed(head)
        shape = self._shape(head)
        vertices = transform_points(head.camera_from_head, shape)
        centre_px = project(head.camera_from_head[:3, 3], head.camera)
        offsets = project(vertices, head.camera) - centre_px
        growth = self._growth.update(offsets[self._skull], centre_px, matte, grid)
        grown = self._grown(vertices, shape, offsets, growth, head)
        front, back = self._raster.draw(grown, head.camera, grid)
        points_px = self._points_px(head)
        front = with_teeth(front, points_px, grid)
        face = _hull_mask(points_px, grid)
        front, coverage = self._completed(front, back, face, head, grid)
        if self._network is not None and sight is not None:
            front = self._network.improved(front, head, vertices, grid, sight, matte)
        chin, nape = chin_and_nape(self._model, head, shape)
        drop_mm = self._chin.look(head, chin, sight, grid)
        front = with_chin(front, points_px, drop_mm, head, grid)
        ears = None if sight is None else find_ears(head, grid, sight)
        if sight is not None and ears is not None:
            front = behind_roots(front, ears, shape[self._ears, 2], head, grid, sight)
        chin = chin + np.array([0.0, drop_mm, 0.0])
        in_head = self._in_head(front, head, grid)
        turn = follow_share(in_head, chin, nape, self._settings.neck_mm)
        person_px = self._growth.person_px
        far = self._far_side.surface(grown, head, grid, matte, person_px, (chin, nape), sight)
        turn *= border_share(grid.positions_px[..., 1], head, chin)
        cloth = find_cloth(sight, grid)
        if sight is not None and cloth is not None:
            turn *= cloth.moves
            front = self._held_still(front, turn, chin, head, grid, sight)
        turn = turn.astype(np.float32)
        return HeadDepth(grid, front, turn, coverage, far, cloth, drop_mm, ears)

    def _held_still(
        self, front: np.ndarray, turn: np.ndarray, chin: np.ndarray, head: Head, grid: NodeGrid,
        sight: Sight,
    ) -> np.ndarray:  # fmt: skip
        """Let held things stay where they are; lower their `turn` in place.

        Returns:
            The front depth, with what is held before the face.
        """
        chin_px = project(transform_points(head.camera_from_head, chin), head.camera)
        chin_row = (chin_px[1] - grid.region.y0) / max(grid.region.height, 1) * len(sight.square)
        held = held_things(sight, float(chin_row))
        if held is None or not held.any():
            return front
        share = resample_to_nodes(held, grid)
        turn *= 1 - share
        before = float(front.min()) - _HELD_BEFORE_MM
        return front + share * (np.minimum(front, before) - front)

    def _grown(
        self, vertices: np.ndarray, shape: np.ndarray, offsets_px: np.ndarray, growth: np.ndarray,
        head: Head,
    ) -> np.ndarray:  # fmt: skip
        """Return the (V, 3) float32 vertices in camera space with the hair on them.

        Args:
            vertices: (V, 3) without it.
            shape: (V, 3) the same in head space.
            offsets_px: (V, 2) the same in the picture, from the middle of the head.
            growth: (72,) by direction.
            head: the fitted head.
        """
        some = self._scalp
        # Behind the outline nothing is seen, and too little hair looks better than too much.
        behind = np.clip(shape[some, 2] / 90.0, 0, 1)
        weight = self._model.scalp_weight[some] * (1 - 0.5 * behind * behind * (3 - 2 * behind))
        angle = np.arctan2(offsets_px[some, 1], offsets_px[some, 0])
        more = (at_angle(growth, angle) - 1) * weight
        growth_mm = (vertices[some] - head.camera_from_head[:3, 3]) * more[:, None]
        # Towards the camera hair lies closer than to the sides, or it would overhang the brow.
        growth_mm[:, 2] *= np.where(growth_mm[:, 2] < 0, _FORWARD_GROWTH, 1.0)
        grown = vertices.astype(np.float32)
        grown[some] = vertices[some] + growth_mm
        return grown

    def _calmed(self, head: Head) -> Head:
        """Let expression settle: its noise would shake depth, and depth hardly depends on it."""
        if self._expression is None:
            self._expression = head.expression
        rate = 1.0 / self._settings.expression_frames
        self._expression = self._expression + rate * (head.expression - self._expression)
        return replace(head, expression=self._expression.astype(np.float32))

    def _completed(
        self, front: np.ndarray, back: np.ndarray, face: np.ndarray, head: Head, grid: NodeGrid
    ) -> tuple[np.ndarray, np.ndarray]:
        """Continue drawn depth to the whole grid, outside along the middle of near and far side.

        Returns:
            Front, and (rows, columns) float32 coverage of the model, 0 or 1.
        """
        coverage = (front > 0).astype(np.float32)
        # One node of the rim is left out: half-covered nodes there jump in depth.
        inner = cv2.erode(coverage, np.ones((3, 3), np.uint8))
        middle = pull_push((front + back) / 2, inner)
        outside = cv2.distanceTransform((inner == 0).view(np.uint8), cv2.DIST_L2, 3)
        reach = np.clip(outside * node_mm(grid, head) / _LOOSE_HAIR_MM, 0, 1)
        neck = head.camera_from_head @ np.append(self._model.neck_joint, 1.0)
        middle = cv2.GaussianBlur(middle + reach * (neck[2] - middle), (0, 0), 2.0)
        bulge = np.where(inner > 0, middle - front, 0)
        combed = cv2.GaussianBlur(bulge, (0, 0), _HAIR_BLUR_NODES)
        combed *= np.clip(cv2.distanceTransform(inner.astype(np.uint8), cv2.DIST_L2, 3) / 4, 0, 1)
        face = cv2.blur(face, (5, 5))
        bulge = cv2.GaussianBlur(bulge, (0, 0), 1.0)
        near = middle - (combed + face * (bulge - combed))
        return near.astype(np.float32), coverage

    def _points_px(self, head: Head) -> np.ndarray:
        points = self._model.points478(head.identity, head.expression)
        return project(transform_points(head.camera_from_head, points), head.camera)

    def prior(self, head: Head, grid: NodeGrid) -> np.ndarray:
        """Return (rows, columns) float32, 1 inside the outline of the bare projected head."""
        shape = self._outline.shape(head.identity, head.expression)
        points = project(transform_points(head.camera_from_head, shape), head.camera)
        return _hull_mask(points, grid)

    def _shape(self, head: Head) -> np.ndarray:
        """Return the (V, 3) vertices of a head in its own space; identity seldom changes."""
        if self._neutral is None or not np.array_equal(self._neutral[0], head.identity):
            self._neutral = head.identity, self._model.shape(head.identity)
        return self._model.expressed(self._neutral[1], head.expression)

    def _in_head(self, front: np.ndarray, head: Head, grid: NodeGrid) -> np.ndarray:
        camera = head.camera
        rays = (grid.positions_px - camera[:2, 2].astype(np.float32)) / camera[0, 0]
        points = np.dstack([rays * front[..., None], front]).astype(np.float32)
        rotation, origin = head.camera_from_head[:3, :3], head.camera_from_head[:3, 3]
        return (points - origin.astype(np.float32)) @ rotation.astype(np.float32)


def _hull_mask(points_px: np.ndarray, grid: NodeGrid) -> np.ndarray:
    """Return (rows, columns) float32, 1 inside the convex hull of (N, 2) points."""
    nodes = grid.nodes_at(points_px)
    inside = np.zeros((grid.rows, grid.columns), np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(nodes).astype(np.int32)), 1)
    return inside.astype(np.float32)
