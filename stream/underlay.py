"""Skin that a frame hides and a turn brings into sight: the neck behind the jaw, and its corner.

No pixel shows it, but where it lies is known from the fitted head, and its colour from the skin
next to it. It is drawn beneath all that the frame does show, so that a turned head stands on a
neck and not before a hole. What the frame contradicts is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.spatial import cKDTree

from stream.fill import mean_around
from stream.following import CHIN, border_share, chin_and_nape, follow_share
from stream.geometry import invert_rigid, project, smoothstep, transform_points, vertex_normals
from stream.mesh import Sheet
from stream.region import reduced, within_person
from stream.sight import FACE as FACE_SEEN
from stream.sight import HAIR, NECK
from stream.skylight import skylight
from stream.swap.texture_map import SameModel
from stream.triangles import mean_of_neighbours, touched

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

    from scipy import sparse

    from stream.frame import Head
    from stream.hair_depth import HeadDepth
    from stream.head_model import HeadModel
    from stream.sight import Sight

_FACE, _SCALP, _EAR_LABEL, _NECK = 1, 2, 3, 4  # labels of the head model
_YIELD_MM = 60.0  # to whatever the frame shows: the model is not as exact as the picture
_NAPE_MM = 45.0  # below the middle of the head: scalp from here on is neck behind the ear
_ASIDE_MM, _BELOW_MM = 25.0, 25.0  # of the middle: faces are hidden at their sides and below
_CHIN_MM, JAW = 28.0, 0.6  # above its tip faces are hidden, too; so steep does the jaw rise
_EVERY, _RATE = 8, 0.6  # frames between looks, and how far what is known goes with each
_HIDDEN = 0.05  # share of the looks: less is seen
_GRAIN_MM = 1.0  # blur that takes it away
_ROUND_MM = 85.0  # of the neck and jaw: radius on which places of the grain are measured
_WELL_SEEN = (0.5, 0.7)  # cosine: skin so seen may be drawn out by a turn, and hardly can
_MOVING = (0.05, 0.2)  # share of the motion: little, and enough
_SEEN_MM = 8.0  # off the seen surface, at most, by a vertex that counts as seen
_FACING = 0.12  # cosine: skin seen more obliquely gives no colours
_SURE, _SKIN = 0.9, 0.6  # matte, and likelihood of skin, of what gives colours
_HUE = 0.07  # share of red, green or blue: what differs more is no neck of the same person
DRAWN = 0.5  # opacity: the shader leaves out what has less
_LEAST_SEEN = 12  # vertices: less skin is none, as under a scarf; so many give one its colour
_OFF_MM = (25.0, 40.0)  # outside of what is seen: brought within, and left out
_UNDER_NOSE = 2  # point of Face Mesh
_CALM_NODES = 1.5  # blur of the colours
# Steps to neighbours that colours are evened over, within cheek or neck, and then over both: more
# of these, and a head has no jaw.
_EVENED, _JAW_EVENED = 40, 1
_SKY_EVENED = 6  # such steps: the shadow of an ear, which lies closely above, ends softly
_SKY_MOST = 0.95  # of it: nobody's neck shines, however free it lies, and lamps are not the sky
_REACH_MM = (60.0, 90.0)  # from the nearest seen skin: farther off nothing is known


@dataclass(frozen=True, slots=True)
class _HiddenSkin:
    """The S vertices of a head model that may be hidden skin: what does not depend on the head."""

    vertices: np.ndarray  # (S,) their numbers
    triangles: np.ndarray  # (T, 3) int32 between them
    sky: np.ndarray  # (S,) how bright the sky makes them
    within_part: sparse.csr_matrix  # (S, S) mean of the neighbours in the same part, face or neck
    around: sparse.csr_matrix  # (S, S) mean of all neighbours


@dataclass(frozen=True, slots=True)
class _Skin:
    """What is known of the skin at S vertices: head space, mm; share of the motion; 0…1."""

    in_head: np.ndarray  # (S, 3)
    share: np.ndarray  # (S,)
    opacity: np.ndarray  # (S,)
    colours: np.ndarray  # (S, 3)
    hidden: np.ndarray  # (S,)
    grain: np.ndarray  # () standard deviation of its brightness
    chin: np.ndarray  # (3,) its tip

    def towards(self, other: _Skin, rate: float) -> _Skin:
        """Return what lies between this and another, so that noise does not flicker."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return _Skin(*(mine + rate * (others - mine) for mine, others in pairs))


class Underlay:
    """The skin of one head that may lie hidden, from frame to frame.

    Args:
        model: the head model.
        neck_mm: over this length the neck follows the head less and less.
        beside: where it looks again, for the next frame to know; at once unless given.

    Attributes:
        vertices: (S,) which vertices of the model may be such skin.
        triangles: (T, 3) int32 between those, also across what ears stand on.
    """

    def __init__(self, model: HeadModel, neck_mm: float, beside: Executor | None = None) -> None:
        hidden = _hidden_skin(SameModel(model))
        self.vertices, self.triangles, self._sky = hidden.vertices, hidden.triangles, hidden.sky
        self._steps = (hidden.within_part, _EVENED), (hidden.around, _JAW_EVENED)
        self._neck = model.labels[self.vertices] != _FACE
        below_nose = model.vertices[self.vertices, 1] > model.points478_mean[_UNDER_NOSE, 1]
        self._bearded = ~self._neck & below_nose  # higher up, hair is that of the head
        self._model, self._neck_mm = model, neck_mm
        self._known: _Skin | None = None
        self._beside = beside
        self._awaited: Future[_Skin | None] | None = None
        self._frames = 0

    def sheet(
        self, picture: np.ndarray, head: Head, depth: HeadDepth, matte: np.ndarray, sight: Sight
    ) -> Sheet | None:
        """Return the skin as a sheet of one row of nodes, or None where none is seen.

        Args:
            picture: (h, w, 3) uint8 RGB of the region of the nodes.
            head: the fitted head.
            depth: of what is seen.
            matte: (rows, columns) float32 person matte at the nodes.
            sight: what the networks saw.

        Returns:
            Its `gain` is its colour, 0…1.
        """
        if self._awaited is not None:
            self._learn(self._awaited.result())
            self._awaited = None
        if self._frames % _EVERY == 0:
            if self._known is None or self._beside is None:
                self._learn(self._look(picture, head, depth, matte, sight))
            else:
                given = picture.copy(), head, depth, matte, sight  # the picture is drawn into
                self._awaited = self._beside.submit(self._look, *given)
        self._frames += 1
        skin = self._known
        if skin is None:
            return None
        points = transform_points(head.camera_from_head, skin.in_head)
        places = project(points, head.camera).astype(np.float32)
        share = skin.share * border_share(places[:, 1], head, skin.chin)
        opacity = skin.opacity * smoothstep(share, *_MOVING)  # what rests hides nothing
        angle = np.arctan2(skin.in_head[:, 0], -skin.in_head[:, 2])
        on_skin = np.stack([_ROUND_MM * angle, skin.in_head[:, 1]], axis=1).astype(np.float32)
        mm, follow, cover, back = (
            np.asarray(part, np.float32)[None]
            for part in (points[:, 2], share, opacity, np.full(len(share), _YIELD_MM))
        )
        # What is all seen is drawn by the other sheets: pixels cost time.
        wanted = touched(skin.hidden > _HIDDEN, self.triangles)
        wanted &= touched(opacity >= DRAWN, self.triangles)
        triangles = self.triangles[wanted]
        return Sheet("under", places[None], mm, follow, on_skin[None], cover, back, triangles,
                     skin.colours[None], float(skin.grain))  # fmt: skip

    def _learn(self, found: _Skin | None) -> None:
        if self._known is not None and found is not None:
            found = self._known.towards(found, _RATE)
        self._known = found

    def _look(
        self, picture: np.ndarray, head: Head, depth: HeadDepth, matte: np.ndarray, sight: Sight
    ) -> _Skin | None:
        shape = self._model.shape(head.identity, head.expression)
        chin, nape = chin_and_nape(self._model, head, shape)
        lowered = self._lowered(shape[self.vertices], chin, nape, depth.chin_drop_mm)
        points = transform_points(head.camera_from_head, lowered)
        sure = cv2.erode(matte, np.ones((3, 3), np.uint8))
        points, off_mm = within_person(points, sure, depth.grid, head.camera)
        places = project(points, head.camera).astype(np.float32)
        likely = skin_share(sight, depth)
        bearded = likely + seen_as(sight, depth, HAIR)
        maps = sure, depth.front_mm, likely, bearded
        inside, front_mm, skin, beard = (_at(values, places, depth) for values in maps)
        size = depth.grid.columns, depth.grid.rows
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        of_skin, of_both = (
            _at(_calm(small, sure * share), places, depth) for share in (likely, bearded)
        )
        own = np.where(self._bearded[:, None], of_both, of_skin)
        facing = self._facing(points)
        seen = (inside > _SURE) & (facing > _FACING) & (off_mm == 0)
        seen &= np.where(self._neck, skin, beard) > _SKIN
        seen &= np.abs(points[:, 2] - front_mm) < _SEEN_MM
        seen &= self._like_face(own, points, seen)
        colours, bare = self._colours(own, points, seen & (self._bearded | (skin > _SKIN)))
        if bare.all():
            return None
        far_mm = np.where(bare, np.inf, cKDTree(points[seen]).query(points)[0])
        opacity = (1 - smoothstep(off_mm, *_OFF_MM)) * (1 - smoothstep(far_mm, *_REACH_MM))
        in_head = transform_points(invert_rigid(head.camera_from_head), points)
        chin = chin + np.array([0.0, depth.chin_drop_mm, 0.0])
        share = follow_share(in_head, chin, nape, self._neck_mm)
        well_seen = seen * smoothstep(facing, *_WELL_SEEN)
        grain = np.array(_grain(picture, sure * likely, head))
        return _Skin(in_head, share, opacity, colours, 1.0 - well_seen, grain, chin)

    def _lowered(
        self, points: np.ndarray, chin: np.ndarray, nape: np.ndarray, drop_mm: float
    ) -> np.ndarray:
        """Return (S, 3) places in head space, of a throat below a chin that hangs lower."""
        before = 1 - np.clip((points[:, 2] - chin[2]) / (nape[2] - chin[2]), 0, 1)
        down = (drop_mm * before * self._neck)[:, None]
        return np.asarray(points + down * np.array([0.0, 1.0, 0.0]), np.float32)

    def _facing(self, points: np.ndarray) -> np.ndarray:
        """Return (S,) cosine between the surface and the line of sight, > 0 towards the camera."""
        normals = vertex_normals(points, self.triangles)
        return -(normals * points).sum(axis=1) / np.linalg.norm(points, axis=1)

    def _like_face(self, own: np.ndarray, points: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Return (S,) bool: False for a neck of another hue than the face beside it, as of collars.

        Args:
            own: (S, 3) what the frame shows at each vertex.
            points: (S, 3) mm.
            seen: (S,) bool, where that is taken for the vertex itself.
        """
        hue = own / np.maximum(own.sum(axis=1, keepdims=True), 1e-3)
        face, neck = np.flatnonzero(seen & ~self._neck), np.flatnonzero(seen & self._neck)
        alike = np.ones(len(seen), bool)
        if len(face) >= _LEAST_SEEN and len(neck):
            beside = cKDTree(points[face]).query(points[neck], k=_LEAST_SEEN)[1]
            off = np.abs(np.median(hue[face[beside]], axis=1) - hue[neck]).max(axis=1)
            alike[neck] = off < _HUE
        return alike

    def _colours(
        self, own: np.ndarray, points: np.ndarray, seen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (S, 3) float32 colours, unseen ones from what is seen of the same part.

        Skin under the jaw is darker than the cheek or the throat that it takes its colour from.

        Args:
            own: (S, 3) what the frame shows at each vertex.
            points: (S, 3) mm.
            seen: (S,) bool, where that is the skin or beard of the vertex itself.

        Returns:
            Colours, and (S,) bool where a part has none, as too little of it is seen.
        """
        colours, bare = own.copy(), np.zeros(len(points), bool)
        for part in (self._neck, ~self._neck):
            known, wanted = np.flatnonzero(part & seen), np.flatnonzero(part & ~seen)
            if len(known) < _LEAST_SEEN:
                bare |= part
                continue
            if len(wanted):
                distance, nearest = cKDTree(points[known]).query(points[wanted], k=_LEAST_SEEN)
                weight = 1 / (distance + 1) ** 2
                weight /= weight.sum(axis=1, keepdims=True)
                shade = self._sky[wanted, None] / self._sky[known[nearest]]
                colours[wanted] = ((weight * shade)[..., None] * own[known[nearest]]).sum(axis=1)
        return self._evened(colours, seen | bare), bare

    def _evened(self, colours: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        """Return (S, 3) colours that go over into each other, but for (S,) fixed ones."""
        lit = colours / self._sky[:, None]
        for mean, steps in self._steps:
            for _ in range(steps):
                lit = np.where(fixed[:, None], lit, mean @ lit)
        return np.asarray(lit * self._sky[:, None], np.float32)


@lru_cache(maxsize=2)
def _hidden_skin(key: SameModel) -> _HiddenSkin:
    """Return what is the same of every head: too much work for the frame in which one comes."""
    model = key.model
    sides = np.abs(model.vertices[:, 0]) > _ASIDE_MM
    sides &= model.vertices[:, 1] > _BELOW_MM
    lowness = model.vertices[:, 1] + JAW * np.abs(model.vertices[:, 0])
    sides |= lowness > model.points478_mean[CHIN, 1] - _CHIN_MM
    nape = (model.labels == _SCALP) & (model.vertices[:, 1] > _NAPE_MM)
    chosen = (model.labels == _NECK) | nape | ((model.labels == _FACE) & sides)
    vertices = np.flatnonzero(chosen)
    number = np.cumsum(chosen) - 1
    inside = chosen[model.triangles].all(axis=1)
    bare = np.concatenate([model.triangles[inside], *_instead_of_ears(model, chosen)])
    triangles = number[bare].astype(np.int32)
    count = len(vertices)
    face = (model.labels[vertices] == _FACE)[triangles]
    one_part = triangles[face.all(axis=1) | ~face.any(axis=1)]
    around = mean_of_neighbours(triangles, count)
    sky = skylight(model, vertices)
    for _ in range(_SKY_EVENED):
        sky = around @ sky
    sky = np.minimum(sky, _SKY_MOST).astype(np.float32)
    return _HiddenSkin(vertices, triangles, sky, mean_of_neighbours(one_part, count), around)


def _instead_of_ears(model: HeadModel, chosen: np.ndarray) -> list[np.ndarray]:
    """Return (T, 3) triangles a side, over what an ear would stand on.

    Args:
        model: the head model.
        chosen: (V,) bool, the vertices that they may have.
    """
    ear = model.labels == _EAR_LABEL
    # Those with one corner on an ear have their other side on its rim.
    rim = model.triangles[(ear[model.triangles].sum(axis=1) == 1)]
    rim = rim[(chosen | ear)[rim].all(axis=1)]
    fans = []
    for side in (-1, 1):
        own = rim[(side * model.vertices[rim, 0] > 0).all(axis=1)]
        corners = own[~ear[own]]
        apex = corners[model.vertices[corners, 1].argmin()]
        own = own[(own != apex).all(axis=1)]
        fans.append(np.where(ear[own], apex, own))
    return fans


def _grain(picture: np.ndarray, skin: np.ndarray, head: Head) -> float:
    """Return the standard deviation, 0…1, of what is finer on skin than a few millimetres.

    Args:
        picture: (h, w, 3) uint8 of the nodes' region.
        skin: (rows, columns) float32 where it surely shows skin, 0…1.
        head: whose skin.
    """
    px_a_mm = head.camera[0, 0] / head.camera_from_head[2, 3]
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    fine = cv2.absdiff(grey, cv2.GaussianBlur(grey, (0, 0), max(0.8, _GRAIN_MM * px_a_mm)))
    of_skin = fine[cv2.resize(skin, grey.shape[::-1]) > _SURE]
    # From the middle of what differs: lashes, wrinkles and glasses are no grain.
    return float(np.median(of_skin)) / 0.6745 / 255 if len(of_skin) else 0.0


def _calm(small: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Return (rows, columns, 3) float32 colours 0…1 of the skin, without detail."""
    # Neither the room nor hair must bleed in.
    weight = np.maximum(skin * skin, 1e-3).astype(np.float32)
    return mean_around(small.astype(np.float32) / 255, weight, _CALM_NODES)


def skin_share(sight: Sight, depth: HeadDepth) -> np.ndarray:
    """Return (rows, columns) float32 how likely nodes show skin; 1 where nobody looked."""
    return (
        np.ones_like(depth.front_mm)
        if sight.labels is None
        else seen_as(sight, depth, FACE_SEEN, NECK)
    )


def seen_as(sight: Sight, depth: HeadDepth, *labels: int) -> np.ndarray:
    """Return (rows, columns) float32 how likely nodes show one of the labels."""
    share = sight.share(*labels)
    if share is None:
        return np.zeros_like(depth.front_mm)
    return reduced(share, (depth.grid.columns, depth.grid.rows))


def _at(values: np.ndarray, places_px: np.ndarray, depth: HeadDepth) -> np.ndarray:
    """Sample (rows, columns) values of the nodes at (S, 2) places of the frame."""
    nodes = depth.grid.nodes_at(places_px).astype(np.float32)[:, None]
    found = cv2.remap(values, nodes, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found[:, 0])
