"""A face as a textured mesh with depth: what the affine of DepthNets takes from place to place.

What a turned face hides is taken from its mirror half, as the paper's supplement hints: every
point knows its partner on the other side, so that a triangle may be coloured from where the
partners lie in the same picture. No second picture and no texture map are needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from stream.fill import mean_around
from stream.geometry import smoothstep
from stream.keypoint_mesh import EYES, INNER_LIPS, OUTER_LIPS, OVAL, face_triangles, mirror_order

POINTS = 478
_MESHED = 468  # the irises are no part of the mesh
_SEEN = (0.3, 0.6)  # cosine to the sight, at which a point begins to be, and is, seen well
_COMPARED = (0.15, 0.45)  # the same, so that its light can be compared with the other side's
_GAP = 0.02  # of the face's height: so much nearer is what hides a point
_BETTER = (0.1, 0.3)  # by so much the partner must be seen better
_DARK = 12.0  # grey levels that damp the ratio of dark colours
_GAINS = (0.5, 2.0)
_SMALL, _BORDER, _BLUR = 96, 6, 3.0  # pixels: a face whose two sides are compared; around; blur
_TRUST = 4.0  # of a compared colour, beside what its neighbours say
_INSET = 0.4  # of the way to the points next inside, at least
_NOSE = (1, 4, 5, 195, 197, 6, 48, 278, 2, 98, 327)
_NOSE_FOLLOWS = 0.35


@dataclass(frozen=True, slots=True)
class LiftedFace:
    """A face in a picture, ready to be drawn elsewhere.

    Attributes:
        pixels: (h, w, 3) uint8 RGB.
        points_px: (478, 2) float64 in it, pixel centres at +0.5.
        depth_px: (478,) float64, smaller is nearer.
        texture_px: (478, 2) float64 where the points take their colour from.
        mirrored: (478,) float32, how far a point's colour comes from its mirror half, 0…1.
        gain: (478, 3) float32, by which colours of the mirror half are multiplied.
        cover: (478,) float32 opacity: 0 where hair or things lie before the face.
    """

    pixels: np.ndarray
    points_px: np.ndarray
    depth_px: np.ndarray
    texture_px: np.ndarray
    mirrored: np.ndarray
    gain: np.ndarray
    cover: np.ndarray

    @property
    def lifted(self) -> np.ndarray:
        """(478, 3) float64: x, y and depth, pixels."""
        return np.column_stack([self.points_px, self.depth_px])


def lifted_face(
    pixels: np.ndarray, points_px: np.ndarray, depth_px: np.ndarray,
    cover: np.ndarray | None = None, *, mirror: bool = True,
) -> LiftedFace:  # fmt: skip
    """Put a face together with its depth, and find what its mirror half must give.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        points_px: (478, 2) in it.
        depth_px: (478,).
        cover: (478,) opacity, where not all of the face is seen.
        mirror: complete what is hidden; else it is stretched.
    """
    points = np.asarray(points_px, np.float64)
    depth = np.asarray(depth_px, np.float64)
    cover = np.ones(POINTS, np.float32) if cover is None else cover.astype(np.float32)
    share, gain = np.zeros(POINTS, np.float32), np.ones((POINTS, 3), np.float32)
    lifted = np.column_stack([points, depth])
    seen = facing(lifted)
    if mirror:
        seen = seen * (1 - behind(lifted)) * cover
        partner = seen[_partners()]
        share = (1 - smoothstep(seen, *_SEEN)) * smoothstep(partner - seen, *_BETTER)
        if share.max() > 0:
            gain = _light_of_the_other_side(pixels, points, seen)
        # What the mirror half shows is as good as that half is.
        cover = cover + share * (cover[_partners()] - cover)
    texture = _inset(points, seen)
    return LiftedFace(pixels, points, depth, texture, share, gain, cover)


def _inset(points_px: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Move the outline inwards, for trackers lay it on hair, collars and background.

    The more obliquely it is seen the more, for then few pixels are stretched over much skin.
    """
    oval, moved = list(OVAL), points_px.copy()
    mean = _next_inside() @ points_px
    share = 1 - (1 - _INSET) * smoothstep(seen[oval], *_SEEN)
    moved[oval] += share[:, None] * (mean - points_px[oval])
    return moved


def facing(lifted: np.ndarray) -> np.ndarray:
    """Return how far each point of a face turns to the viewer: (478,) cosines, 1 straight at.

    Args:
        lifted: (478, 3) x, y, depth in one unit.
    """
    triangles = face_triangles(POINTS)
    a, b, c = (lifted[triangles[:, corner]] for corner in range(3))
    of_triangles = np.cross(b - a, c - a) * _winding()
    normals = np.zeros((POINTS, 3))
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], of_triangles)
    length = np.linalg.norm(normals, axis=1)
    cosine = -normals[:, 2] / np.maximum(length, 1e-9)
    return np.where(length > 0, cosine, 1.0)  # irises have no triangles


def behind(lifted: np.ndarray) -> np.ndarray:
    """Return how far each point lies behind another part of the face, as a cheek behind the nose.

    Args:
        lifted: (478, 3) x, y, depth in one unit.

    Returns:
        (478,) 0…1, soft over neighbouring points.
    """
    corners = lifted[face_triangles(POINTS)].astype(np.float32)
    # Shares of the corners at a point, by its x and y: three lines a triangle.
    plane = np.concatenate([corners[..., :2], np.ones_like(corners[..., :1])], axis=-1)
    area = np.linalg.det(plane)
    whole = np.abs(area) > 1e-6 * np.abs(area).max()
    lines = np.linalg.inv(plane[whole].transpose(0, 2, 1))
    at = np.column_stack([lifted[:_MESHED, :2], np.ones(_MESHED)]).astype(np.float32)
    shares = (lines.reshape(-1, 3) @ at.T).reshape(-1, 3, _MESHED)
    depth = np.einsum("tcp,tc->tp", shares, corners[whole, :, 2])
    nearer = lifted[:_MESHED, 2].astype(np.float32) - _GAP * np.ptp(lifted[:, 1])
    hidden = ((shares.min(axis=1) > 0) & (depth < nearer)).any(axis=0)
    found = np.zeros(POINTS)
    found[:_MESHED] = hidden
    spread = -_laplacian() @ found + _laplacian().diagonal() * found
    return np.maximum(found, spread / np.maximum(_laplacian().diagonal(), 1))


@lru_cache(maxsize=1)
def _winding() -> float:
    """1 or −1, so that normals of the mesh point away from the head."""
    from stream.head_model import load_head_model  # noqa: PLC0415  once, for its mean face

    points = load_head_model().points478().astype(np.float64)
    triangles = face_triangles(POINTS)
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    return -float(np.sign(np.cross(b - a, c - a)[:, 2].sum()))


@lru_cache(maxsize=1)
def _partners() -> np.ndarray:
    order = mirror_order(POINTS)
    if order is None:
        raise ValueError("the tracked points have no mirror order")
    return order


def mirrored_places(places: np.ndarray) -> np.ndarray:
    """Return the (478, …) values of each point's partner on the other side."""
    return places[_partners()]


def _light_of_the_other_side(
    pixels: np.ndarray, points_px: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """Return (478, 3) gains that give mirrored colours the light of the side they go to.

    Where both sides are seen their ratio is known; from there it goes on smoothly.
    """
    own = _soft_colours(pixels, points_px) + _DARK
    ratio = np.log(own / own[_partners()])
    known = smoothstep(seen, *_COMPARED)
    trust = sparse.diags(_TRUST * known * known[_partners()] + 1e-6)
    spread = spsolve((_laplacian() + trust).tocsc(), trust @ ratio)
    return np.exp(spread).clip(*_GAINS).astype(np.float32)


def _soft_colours(pixels: np.ndarray, points_px: np.ndarray) -> np.ndarray:
    """Return (478, 3) float64 colours of the face around each point, without background."""
    low = points_px.min(0)
    scale = _SMALL / float(np.ptp(points_px, axis=0).max())
    small_from_picture = np.array([[scale, 0, -scale * low[0]], [0, scale, -scale * low[1]]])
    small_from_picture[:, 2] += _BORDER + 0.5 * (scale - 1)  # of whole pixels, not of middles
    size = (_SMALL + 2 * _BORDER,) * 2
    # A picture much larger than this is read at single pixels, which the blur makes up for.
    small = cv2.warpAffine(
        pixels, small_from_picture, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    places = scale * (points_px - low) + _BORDER
    hull = cv2.convexHull(places[:_MESHED].astype(np.float32))
    face = np.zeros(size[::-1], np.uint8)
    cv2.fillConvexPoly(face, np.rint(hull - 0.5).astype(np.int32), 255)
    face = cv2.erode(face, np.ones((5, 5), np.uint8)).astype(np.float32) / 255
    soft = mean_around(small.astype(np.float32), face, _BLUR)
    at = (places - 0.5).astype(np.float32)[:, None]
    return cv2.remap(soft, at, None, cv2.INTER_LINEAR)[:, 0].astype(np.float64)


@lru_cache(maxsize=1)
def _laplacian() -> sparse.csr_matrix:
    """(478, 478) graph Laplacian of the mesh."""
    triangles = face_triangles(POINTS)
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ends = np.concatenate([pairs, pairs[:, ::-1]])
    joined = sparse.coo_matrix((np.ones(len(ends)), ends.T), (POINTS, POINTS)).tocsr()
    joined.data[:] = 1.0  # an edge between two triangles is one edge
    return sparse.diags(np.asarray(joined.sum(axis=1)).ravel()) - joined


@lru_cache(maxsize=1)
def _next_inside() -> sparse.csr_matrix:
    """(36, 478) weights that average, for each point of the outline, those next to it inside."""
    joined = -_laplacian().toarray()[list(OVAL)]
    joined[:, list(OVAL)] = 0
    joined = np.maximum(joined, 0)
    return sparse.csr_matrix(joined / joined.sum(axis=1, keepdims=True))


@lru_cache(maxsize=1)
def following() -> np.ndarray:
    """Return how far each point goes where the other face has it, beyond the affine: (478,).

    One affine for all points carries the source's expression over, as the paper says of itself.
    Eyes, lips and outline go where the other face has them, so that it speaks and blinks and no
    second outline shows; the nose hardly does, and between them the share changes smoothly.
    """
    wanted = np.zeros(POINTS)
    fixed = np.zeros(POINTS)
    for group, share in ((OVAL, 1.0), (INNER_LIPS, 1.0), (OUTER_LIPS, 1.0), (_NOSE, _NOSE_FOLLOWS)):
        wanted[list(group)], fixed[list(group)] = share, 1e3
    for eye in EYES:
        wanted[list(eye)], fixed[list(eye)] = 1.0, 1e3
    wanted[_MESHED:], fixed[_MESHED:] = 1.0, 1e3
    trust = sparse.diags(fixed)
    return spsolve((_laplacian() + trust).tocsc(), trust @ wanted).clip(0, 1)
