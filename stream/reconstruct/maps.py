"""Maps of a head's region that geometry and texture look things up in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from stream.geometry import project, transform_points
from stream.sight import (
    BACKGROUND,
    BODY,
    EAR,
    EYES,
    FACE,
    HAIR,
    MOUTH,
    NECK,
    OCCLUDER,
    held_things,
)

if TYPE_CHECKING:
    from stream.head_model import HeadModel
    from stream.reconstruct.look import HeadLook
    from stream.region import Region

SIDE = 512  # of the maps, squeezed to a square
_CHIN = 152  # tracked point
_HULL = (FACE, MOUTH, EYES)
# Labels of the head model in those of the contract; the scalp is where hair grows.
_CONTRACT = {1: FACE, 2: HAIR, 3: EAR, 4: NECK, 5: MOUTH, 6: EYES}


@dataclass(frozen=True, slots=True)
class HeadMaps:
    """What is known of the pixels of a region; all maps are squeezed to one square.

    Attributes:
        region: the part of the picture that they span.
        person: (S, S) float32 0…1, the matte.
        hair: (S, S) float32 0…1, hair and what is worn on it.
        skin: (S, S) float32 0…1, face, ears and neck.
        body: (S, S) float32 0…1, clothes.
        held: (S, S) float32 0…1, hands and things before the head.
        front_mm: (S, S) float32 depth of what is seen.
    """

    region: Region
    person: np.ndarray
    hair: np.ndarray
    skin: np.ndarray
    body: np.ndarray
    held: np.ndarray
    front_mm: np.ndarray

    def places(self, points_px: np.ndarray) -> np.ndarray:
        """Return (…, 2) float32 columns and rows of the maps for frame positions."""
        corner = np.array([self.region.x0, self.region.y0])
        scale = SIDE / np.array([self.region.width, self.region.height])
        return ((points_px - corner) * scale - 0.5).astype(np.float32)

    def at(self, values: np.ndarray, points_px: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """Return (N,) or (N, M) values of a map at (N, 2) or (N, M, 2) frame positions."""
        places = self.places(points_px)
        flat = places.reshape(len(places), -1, 2)
        found = cv2.remap(
            values, flat, None, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=outside,
        )  # fmt: skip
        return found.reshape(points_px.shape[:-1])


def head_maps(look: HeadLook, model: HeadModel) -> HeadMaps:
    """Bring what the stages saw of a head to one resolution.

    Args:
        look: of the head.
        model: the head model, which says what is what where no network does.
    """
    shares = label_shares(look, model)
    person = cv2.resize(look.matte, (SIDE, SIDE))
    held = _held(look, shares)
    parts = {
        "hair": shares[HAIR] + shares[OCCLUDER] * (1 - held),
        "skin": shares[[*_HULL, EAR, NECK]].sum(axis=0),
        "body": shares[BODY],
    }
    return HeadMaps(
        region=look.region,
        person=person,
        held=held,
        front_mm=_over_square(look.depth.front_mm),
        **{name: np.asarray(part * person, np.float32) for name, part in parts.items()},
    )


def label_shares(look: HeadLook, model: HeadModel) -> np.ndarray:
    """Return (9, S, S) float32 shares of the contract's labels and of things before the head.

    They are the network's where it looked, else those of the projected head model.
    """
    if look.sight.labels is not None:
        found = [cv2.resize(share, (SIDE, SIDE)) for share in look.sight.labels]
        return np.stack(found).astype(np.float32)
    return _projected_shares(look, model)


def contract_labels(look: HeadLook, model: HeadModel, head: np.ndarray) -> np.ndarray:
    """Return (h, w) uint8 labels of the contract over the look's region, at the picture's pixels.

    Args:
        look: of the head.
        model: the head model.
        head: (h, w) bool, where the reconstructed head is seen.

    Returns:
        0 background … 7 clothes or other person pixel. Hats, glasses and hands are 7 off the
        head; on it, what is worn over hair or face counts as the part that it covers.
    """
    shares = label_shares(look, model)
    person = cv2.resize(look.matte, (SIDE, SIDE))
    on_face = _hull(look.face.points_px[:468, :2], look.region)
    held = _held(look, shares)
    worn = shares[OCCLUDER] * (1 - held)
    votes = shares[:8] * person
    votes[BACKGROUND] = 1 - person
    votes[HAIR] += worn * (1 - on_face) * person
    votes[FACE] += worn * on_face * person
    votes[BODY] += shares[OCCLUDER] * held * person
    size = look.region.width, look.region.height
    labels = np.zeros(size[::-1], np.uint8)
    best = np.full(size[::-1], -1.0, np.float32)
    for label, vote in enumerate(votes):
        whole = cv2.resize(vote, size, interpolation=cv2.INTER_LINEAR)
        better = whole > best
        labels[better] = label
        best[better] = whole[better]
    return np.where((labels == BACKGROUND) & head, HAIR, labels).astype(np.uint8)


def _over_square(nodes: np.ndarray) -> np.ndarray:
    """Bring values at nodes, which lie on a region's corners, to the pixels of a square map."""
    rows, columns = nodes.shape
    place = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    x, y = np.meshgrid(place * (columns - 1), place * (rows - 1))
    return cv2.remap(nodes, x, y, cv2.INTER_LINEAR)


def _held(look: HeadLook, shares: np.ndarray) -> np.ndarray:
    """Return (S, S) float32, how far a pixel shows a hand or a thing before the head."""
    if look.sight.labels is None:
        return np.zeros((SIDE, SIDE), np.float32)
    row = (look.face.points_px[_CHIN, 1] - look.region.y0) / look.region.height
    held = held_things(look.sight, float(row) * len(look.sight.square))
    if held is None:
        return np.zeros((SIDE, SIDE), np.float32)
    return np.minimum(cv2.resize(held, (SIDE, SIDE)), shares[OCCLUDER])


def _projected_shares(look: HeadLook, model: HeadModel) -> np.ndarray:
    """Draw the labels of the fitted head model; the rest of the person is hair or clothes."""
    head = look.head
    shape = transform_points(head.camera_from_head, model.shape(head.identity, head.expression))
    points = project(shape, head.camera)
    corner = np.array([look.region.x0, look.region.y0])
    places = (points - corner) * (SIDE / np.array([look.region.width, look.region.height]))
    corners = np.rint(places * 8).astype(np.int32)[model.triangles]
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for number in np.argsort(-shape[model.triangles, 2].mean(axis=1)):  # far ones first
        name = _CONTRACT[int(model.labels[model.triangles[number]].max())]
        cv2.fillConvexPoly(labels, corners[number], name, shift=3)
    chin = project(shape[model.labels == 4].mean(axis=0), head.camera)[1]
    rows = np.arange(SIDE)[:, None] * look.region.height / SIDE + look.region.y0
    person = cv2.resize(look.matte, (SIDE, SIDE))
    loose = np.where(rows > chin, BODY, HAIR)
    labels = np.where(labels == 0, np.where(person > 0.5, loose, BACKGROUND), labels)
    return (labels[None] == np.arange(9)[:, None, None]).astype(np.float32)


def _hull(points_px: np.ndarray, region: Region) -> np.ndarray:
    corner = np.array([region.x0, region.y0])
    places = (points_px - corner) * (SIDE / np.array([region.width, region.height]))
    inside = np.zeros((SIDE, SIDE), np.float32)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(places).astype(np.int32)), 1.0)
    return inside
