"""How face, lids, lips and the grid around them are displaced.

Everything is relative to the photo: no unit changed, nothing moved, so that the identity of the
photo cannot leak into that of the driver or of the model. Displacements are camera-space
millimetres before the motion of the head. Shapes: P = 468 points, N vertices of the refined mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy import sparse
from scipy.spatial import Delaunay, cKDTree

from stream.geometry import transform_points
from stream.puppet.topology import LEFT_EYE, MOUTH, OVAL, POINTS, RIGHT_EYE, FaceLayout, Opening

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.head_model import HeadModel
    from stream.puppet.portrait import Portrait
    from stream.region import NodeGrid

# Lids and eyeballs are moved by what is measured at the driver's own lids and irises.
_MEASURED = ("eyeBlink", "eyeWide", "eyeLook", "tongueOut")
FACING = (0.15, 0.35)  # cosine at which skin is seen too obliquely, and well
_BEHIND_GLASSES = 0.35  # of the lids' reach, where a frame lies on the skin around
_FRAME_MM = (20.0, 34.0)  # above and below the eyes, where glasses hold still, and let go
_LID_SHARES = (0.9, 0.1)  # of a blink, done by the upper and by the lower lid
_LIP_SHARES = (0.4, 0.6)  # of closing the mouth
_LID_REACH = 0.45  # of the eye's width: skin below that follows the lids
_TO_THE_BROW = 0.85  # of the way up to the brow: skin above that follows
_RIGHT_BROW, _LEFT_BROW = np.array([53, 52, 65]), np.array([283, 282, 295])  # lower edges
_LIP_REACH = (0.42, 0.5)  # of the mouth's width
_AROUND_MM = 32.0  # beyond the outline of the face, over which its motion fades
_SMOOTH_MM, _LIKELY_MM = 14.0, 4.0  # over which the model's depth is corrected, and by how much
_CLOSED_GAP = 0.045  # of its width: a mouth that opens less is taken to be closed
_LOWER_LIP = 17  # its lower rim, which the jaw carries
_LARGEST_STEP = 1.2  # of jawOpen beyond what the units say


@dataclass(frozen=True, slots=True)
class Slit:
    """An opening with what closes it.

    Attributes:
        opening: its borders, points.
        upper, lower: (P, C) share with which a point follows the closing of each column.
        width_mm: distance of its corners.
        gap_mm: (C, 3) from upper to lower border in the photo, camera space.
        axis: (3,) unit vector across it, from upper to lower border.
    """

    opening: Opening
    upper: np.ndarray
    lower: np.ndarray
    width_mm: float
    gap_mm: np.ndarray
    axis: np.ndarray

    def gaps(self, points_mm: np.ndarray) -> np.ndarray:
        """Return (C, 3) vectors from the upper to the lower border of (P, 3) points."""
        return np.asarray(points_mm[self.opening.lower] - points_mm[self.opening.upper])

    def open_mm(self, points_mm: np.ndarray) -> float:
        """Return how far it is open in its middle half."""
        count = len(self.opening.upper)
        middle = slice(count // 4 + 1, count - count // 4 - 1)
        return float((self.gaps(points_mm)[middle] @ self.axis).mean())

    def closing(self, gaps_mm: np.ndarray, share: float, parts: tuple[float, float]) -> np.ndarray:
        """Return (P, 3) displacements that take away a share of the gaps."""
        moved = self.upper @ (parts[0] * share * gaps_mm)
        return np.asarray(moved - self.lower @ (parts[1] * share * gaps_mm))


class FaceFields:
    """The displacements of one portrait's face.

    Args:
        model: the head model.
        portrait: the photo.
        layout: the refined mesh.

    Attributes:
        places_px: (N, 2) float32 places of the vertices in the photo.
        depth_mm: (N,) float32.
        rest_mm: (P, 3) the points, camera space.
        vertices_mm: (N, 3) the vertices, camera space.
        facing: (N,) cosine between the skin and the line of sight in the photo.
        mouth, right_eye, left_eye: the openings.
        mouth_shut: whether the photo's mouth is closed; its borders lie on each other then.
    """

    def __init__(self, model: HeadModel, portrait: Portrait, layout: FaceLayout) -> None:
        self._layout = layout
        head, grid = portrait.head, portrait.mesh.depth.grid
        points_px = portrait.face.points_px[:POINTS, :2].astype(float)
        self.mouth_shut = _is_shut(points_px, MOUTH)
        if self.mouth_shut:
            middle = (points_px[MOUTH.upper] + points_px[MOUTH.lower]) / 2
            points_px[MOUTH.upper] = points_px[MOUTH.lower] = middle
        self.points_px = points_px
        self._camera = head.camera
        seen_mm = at_nodes(portrait.mesh.depth.front_mm, grid, points_px)
        point_mm = without_pits(seen_mm, _model_points(model, head))
        self.rest_mm = unprojected(points_px, point_mm, head.camera)
        self.places_px = (layout.refine @ points_px).astype(np.float32)
        self.depth_mm = (layout.refine @ point_mm).astype(np.float32)
        self.vertices_mm = unprojected(self.places_px, self.depth_mm, head.camera)
        self._basis = _basis(model, head.camera_from_head[:3, :3])
        if portrait.glasses:
            self._basis *= _stiff_around_eyes(model)[:, None]
        names = model.expression_names
        self._jaw = names.index("jawOpen")
        self._jaws = [number for number, name in enumerate(names) if name.startswith("jaw")]
        self.units = head.expression.astype(float)
        self.mouth = _slit(MOUTH, self.rest_mm, _LIP_REACH)
        reach = _BEHIND_GLASSES if portrait.glasses else 1.0
        self.right_eye, self.left_eye = (
            _slit(
                eye,
                self.rest_mm,
                (reach * _lid_height(eye, brow, self.rest_mm), _LID_REACH * reach),
            )
            for eye, brow in ((RIGHT_EYE, _RIGHT_BROW), (LEFT_EYE, _LEFT_BROW))
        )
        self._around = around_weights(points_px, self.rest_mm, grid, head.camera)
        self.facing = facing(self.vertices_mm, layout.triangles)

    def displaced(
        self, units: np.ndarray, mouth_mm: float | None, eyes: tuple[float, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (P, 3) displacements of the points, and (3,) that of the lower teeth.

        Args:
            units: (52,) face units asked for; those of the photo change nothing.
            mouth_mm: how far the lips shall be apart; None leaves it to the units.
            eyes: how far the right and the left eye shall be open, as shares of the photo.
        """
        change = np.clip(units, 0, 1) - self.units
        moved = np.tensordot(change, self._basis, axes=1)
        jaw = change[self._jaws] @ self._basis[self._jaws, _LOWER_LIP]
        for slit, share in ((self.right_eye, eyes[0]), (self.left_eye, eyes[1])):
            moved += self._lids(slit, moved, share)
        if mouth_mm is None:
            return moved, jaw
        further = self._further(moved, mouth_mm)
        moved += further * self._basis[self._jaw]
        moved += self._lips_closed(moved, mouth_mm)
        return moved, jaw + further * self._basis[self._jaw, _LOWER_LIP]

    def _lids(self, slit: Slit, moved: np.ndarray, share: float) -> np.ndarray:
        gaps = slit.gaps(self.rest_mm + moved)
        return slit.closing(gaps - share * slit.gap_mm, 1.0, _LID_SHARES)

    def _further(self, moved: np.ndarray, wanted_mm: float) -> float:
        """Return how much more of jawOpen parts the lips as far as they shall be."""
        slit = self.mouth
        missing = wanted_mm - slit.open_mm(self.rest_mm + moved)
        slope = slit.open_mm(self.rest_mm + self._basis[self._jaw]) - slit.open_mm(self.rest_mm)
        return float(np.clip(missing / max(slope, 1.0), 0, _LARGEST_STEP))

    def _lips_closed(self, moved: np.ndarray, wanted_mm: float) -> np.ndarray:
        """Return (P, 3) what closes lips that are further apart than they shall be."""
        slit = self.mouth
        now_mm = slit.open_mm(self.rest_mm + moved)
        share = np.clip(1 - max(wanted_mm, 0.0) / max(now_mm, 1e-6), 0, 1)
        return slit.closing(slit.gaps(self.rest_mm + moved), float(share), _LIP_SHARES)

    def at_vertices(self, moved: np.ndarray) -> np.ndarray:
        """Return (N, 3) float32 displacements of the refined mesh."""
        return np.asarray(self._layout.refine @ moved, np.float32)

    def well_seen(self, places_px: np.ndarray) -> np.ndarray:
        """Return (N,) float32, 1 where the photo shows the face well, at (N, 2) places."""
        mesh = Delaunay(self.places_px)
        inside = mesh.find_simplex(places_px)
        corners = mesh.simplices[inside]
        well = np.clip((self.facing - FACING[0]) / (FACING[1] - FACING[0]), 0, 1)
        return np.where(inside >= 0, well[corners].mean(axis=1), 0).astype(np.float32)

    def at_grid(self, moved: np.ndarray) -> np.ndarray:
        """Return (nodes, 3) float32 displacements of the grid around."""
        return np.asarray(self._around @ moved, np.float32)


def _basis(model: HeadModel, rotation: np.ndarray) -> np.ndarray:
    """Return (52, P, 3) camera-space mm of the units that move more than lids and eyes."""
    basis = model.points478_expression[:, :POINTS].astype(float) @ rotation.T
    for number, name in enumerate(model.expression_names):
        if name.startswith(_MEASURED):
            basis[number] = 0
    return np.asarray(basis)


def _stiff_around_eyes(model: HeadModel) -> np.ndarray:
    """Return (P,) share of the motion by units that glasses, which do not bend, leave."""
    height = model.points478_mean[:POINTS, 1]
    eyes = np.concatenate([RIGHT_EYE.loop, LEFT_EYE.loop])
    away = np.abs(height - height[eyes].mean())
    share = np.clip((away - _FRAME_MM[0]) / (_FRAME_MM[1] - _FRAME_MM[0]), 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def _model_points(model: HeadModel, head: Head) -> np.ndarray:
    """Return (P, 3) camera-space mm of the points on the fitted head."""
    points = model.points478(head.identity, head.expression)[:POINTS]
    return np.asarray(transform_points(head.camera_from_head, points.astype(float)))


def without_pits(depth_mm: np.ndarray, model_mm: np.ndarray) -> np.ndarray:
    """Return (P,) depths that keep the model's form and follow what is seen at large.

    An open mouth and nostrils are holes in what is seen; lips that took their depth from there
    would swing out when the head nods.

    Args:
        depth_mm: (P,) depths seen at the points.
        model_mm: (P, 3) the points on the fitted model, camera space.
    """
    change = depth_mm - model_mm[:, 2]
    apart = ((model_mm[:, None] - model_mm[None]) ** 2).sum(axis=-1)
    alike = 1 / (1 + ((change - np.median(change)) / _LIKELY_MM) ** 2)
    weights = np.exp(-apart / (2 * _SMOOTH_MM**2)) * alike
    return np.asarray(model_mm[:, 2] + weights @ change / weights.sum(axis=1))


def _is_shut(points_px: np.ndarray, opening: Opening) -> bool:
    gaps = np.linalg.norm(points_px[opening.lower] - points_px[opening.upper], axis=1)
    width = np.linalg.norm(points_px[opening.upper[-1]] - points_px[opening.upper[0]])
    return bool(gaps.max() < _CLOSED_GAP * width)


def unprojected(points_px: np.ndarray, depth_mm: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Return (N, 3) camera-space points of (N, 2) pixels and (N,) depths."""
    rays = (points_px - camera[:2, 2]) / camera[[0, 1], [0, 1]]
    return np.column_stack([rays * depth_mm[:, None], depth_mm])


def facing(vertices_mm: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return (N,) cosines between the surface's normal and the line of sight."""
    a, b, c = (vertices_mm[triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    normals *= np.where(normals[:, 2:] > 0, -1.0, 1.0)
    total = np.zeros_like(vertices_mm)
    for corner in range(3):
        np.add.at(total, triangles[:, corner], normals)
    size = np.linalg.norm(total, axis=1) * np.linalg.norm(vertices_mm, axis=1)
    return np.asarray(-(total * vertices_mm).sum(axis=1) / np.maximum(size, 1e-9))


def at_nodes(values: np.ndarray, grid: NodeGrid, places_px: np.ndarray) -> np.ndarray:
    """Return (N,) float32 values of a (rows, columns) node map at places in the frame."""
    nodes = grid.nodes_at(places_px)
    xy = nodes.astype(np.float32)[None]
    return cv2.remap(values, xy, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]


def _slit(opening: Opening, rest_mm: np.ndarray, reach: tuple[float, float]) -> Slit:
    """Find how the skin around an opening follows its borders."""
    upper, lower = rest_mm[opening.upper, :2], rest_mm[opening.lower, :2]
    along = upper[-1] - upper[0]
    width = float(np.linalg.norm(along))
    along = along / width
    down = np.array([-along[1], along[0]])
    xy = rest_mm[:, :2]
    weights = []
    for border, numbers, sign, far in (
        (upper, opening.upper, -1.0, reach[0]),
        (lower, opening.lower, 1.0, reach[1]),
    ):
        column = _column_shares((xy - upper[0]) @ along, (border - upper[0]) @ along)
        height = sign * ((xy - column @ border) @ down) / (far * width)
        beside = _beyond((xy - upper[0]) @ along, width) / (0.35 * width)
        fade = np.clip(1 - np.hypot(np.maximum(height, 0), beside), 0, 1)
        fade[height < -0.02] = 0
        shares = (fade * fade * (3 - 2 * fade))[:, None] * column
        shares[opening.loop] = 0
        shares[numbers] = np.eye(len(numbers))
        weights.append(shares)
    gaps = rest_mm[opening.lower] - rest_mm[opening.upper]
    return Slit(opening, weights[0], weights[1], width, gaps, np.append(down, 0.0))


def _lid_height(eye: Opening, brow: np.ndarray, rest_mm: np.ndarray) -> float:
    """Return how far up the skin follows the upper lid, over the eye's width."""
    lid, corners = rest_mm[eye.upper[3:-3], :2], rest_mm[eye.upper[[0, -1]], :2]
    height = np.linalg.norm(rest_mm[brow, :2].mean(axis=0) - lid.mean(axis=0))
    return float(_TO_THE_BROW * height / np.linalg.norm(corners[1] - corners[0]))


def _column_shares(places: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return (N, C) weights that interpolate between columns; the outer ones reach for ever."""
    columns = np.maximum.accumulate(columns + 1e-6 * np.arange(len(columns)))
    place = np.interp(places, columns, np.arange(len(columns)))
    low = np.minimum(place.astype(int), len(columns) - 2)
    shares = np.zeros((len(places), len(columns)))
    rows = np.arange(len(places))
    shares[rows, low] = 1 - (place - low)
    shares[rows, low + 1] = place - low
    return shares


def _beyond(along: np.ndarray, width: float) -> np.ndarray:
    return np.maximum(np.maximum(-along, along - width), 0)


def around_weights(
    points_px: np.ndarray, rest_mm: np.ndarray, grid: NodeGrid, camera: np.ndarray
) -> sparse.csr_matrix:
    """Return (nodes, P): how the nodes of a grid follow the points of the face.

    Inside the face they lie between three points; outside they follow the nearest places of the
    outline, less and less.
    """
    nodes = grid.positions_px.reshape(-1, 2).astype(float)
    mesh = Delaunay(points_px + 1e-6 * np.arange(POINTS)[:, None])
    simplex = mesh.find_simplex(nodes)
    inside = np.flatnonzero(simplex >= 0)
    transform = mesh.transform[simplex[inside]]
    first = np.einsum("nij,nj->ni", transform[:, :2], nodes[inside] - transform[:, 2])
    bary = np.column_stack([first, 1 - first.sum(axis=1)])
    weights = sparse.csr_matrix(
        (bary.ravel(), (np.repeat(inside, 3), mesh.simplices[simplex[inside]].ravel())),
        (len(nodes), POINTS),
    )
    outside = np.flatnonzero(simplex < 0)
    mm_per_px = float(rest_mm[:, 2].mean() / camera[0, 0])
    distance, nearest = cKDTree(points_px[OVAL]).query(nodes[outside], k=4)
    share = 1 / (distance + 1e-3) ** 2
    share /= share.sum(axis=1, keepdims=True)
    share *= np.exp(-((distance[:, :1] * mm_per_px / _AROUND_MM) ** 2))
    share[share < 1e-3] = 0
    beyond = sparse.csr_matrix(
        (share.ravel(), (np.repeat(outside, 4), OVAL[nearest].ravel())), (len(nodes), POINTS)
    )
    total = (weights + beyond).tocsr()
    total.eliminate_zeros()
    return total
