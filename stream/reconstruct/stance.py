"""How a head is turned: what its tracked points say, and what the networks see, in the middle.

Hair reaches twice as far from the neck as the face does: a wrong turn of 5° costs it 10 mm. The
tracked points lie on the face alone; `face_3dmm` sees shading and the whole crop; `face_depth`
answers with a depth that may be tilted against that of the head which it was given. Each errs by
some degrees, but not alike: a turn between them errs less than any (docs/reconstruct.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from stream.geometry import rigid_transform
from stream.reconstruct.face_depth import SIZE

if TYPE_CHECKING:
    from stream.face_3dmm import FaceGuess
    from stream.frame import Face, Head
    from stream.head_model import HeadModel
    from stream.reconstruct.face_depth import FaceView

_IRIS = 468  # points from here on follow the gaze
_OUTLIER_MM = 3.0
_ROUNDS = 5
_FAR_DEG = (8.0, 16.0)  # where the two differ by more, the points are wrong as a whole …
_SHARE = (0.5, 0.9)  # … and count less: shares of the network
_APART_DEG = 30.0  # and here the network may be
_TILT_SHARE = 0.6  # of the tilt that face_depth asks for
_MOST_TILT_DEG = 12.0
_EDGE_PX = 9  # of its crop: so near to the head's outline depth tells little
_OBLIQUE = 0.35  # cosine below which a place is seen too obliquely to tell a tilt
_LEAST_PIXELS = 500
_OFF_MM = 4.0  # beyond it, differences of depth are the person's shape


def agreed_head(head: Head, guess: FaceGuess, face: Face, model: HeadModel) -> Head:
    """Return a fitted head, turned half-way or farther to where the network sees it turned.

    Its place is found anew, so that it still lies on the tracked points.

    Args:
        head: as it was fitted.
        guess: what `face_3dmm` sees of the same face.
        face: the tracked points.
        model: the head model.

    Returns:
        The head; unchanged where the two turns differ too much to be of one head.
    """
    seen = Rotation.from_matrix(guess.camera_from_head(head.camera)[:3, :3])
    fitted = Rotation.from_matrix(head.camera_from_head[:3, :3])
    apart = (seen * fitted.inv()).as_rotvec()
    apart_deg = np.degrees(np.linalg.norm(apart))
    if apart_deg > _APART_DEG:
        return head
    share = np.interp(apart_deg, _FAR_DEG, _SHARE)
    return turned_head(head, Rotation.from_rotvec(share * apart), face, model)


def tilted_head(head: Head, view: FaceView, face: Face, model: HeadModel) -> Head:
    """Return a head, turned by a part of the tilt of the network's depth against its own.

    Args:
        head: whose depth the network was given.
        view: what the network says.
        face: the tracked points.
        model: the head model.
    """
    tilt = tilt_of(view, face.points_px[:_IRIS, :2], head.camera)
    most = np.radians(_MOST_TILT_DEG)
    tilt *= _TILT_SHARE * min(1.0, most / max(float(np.linalg.norm(tilt)), 1e-9))
    return turned_head(head, Rotation.from_rotvec(tilt), face, model)


def turned_head(head: Head, turn: Rotation, face: Face, model: HeadModel) -> Head:
    """Return a head, turned in camera space, where it still lies on the tracked points."""
    rotation = turn.as_matrix() @ head.camera_from_head[:3, :3]
    points_mm = model.points478(head.identity, head.expression)[:_IRIS] @ rotation.T
    place = place_of(points_mm, face.points_px[:_IRIS, :2], head.camera)
    return replace(head, camera_from_head=rigid_transform(rotation, place))


def tilt_of(view: FaceView, points_px: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Return the small turn that brings the fitted depth nearest to the network's.

    A turn by ω about the face's middle m changes the depth of a place x with normal n, at its
    pixel, by (ω × (x − m))·n / (n·r), where r is the ray with unit depth. Beside it, distance and
    the gain of the relief are free.

    Args:
        view: what the network says.
        points_px: (N, 2) tracked points; their hull is the face.
        camera: (3, 3) intrinsics.

    Returns:
        (3,) turn in camera space, radians; about the line of sight it is 0, and so is all of it
        where too little is seen.
    """
    steps = ((np.arange(SIZE) + 0.5) / SIZE - 0.5) * view.crop.side
    x = (view.crop.x + steps[None] - camera[0, 2]) / camera[0, 0]
    y = (view.crop.y + steps[:, None] - camera[1, 2]) / camera[1, 1]
    rays = np.dstack([*np.broadcast_arrays(x, y, np.float64(1))])
    places = rays * view.fitted_mm[..., None]
    smooth = cv2.GaussianBlur(places, (0, 0), 1.5)
    normals = np.cross(np.gradient(smooth, axis=1), np.gradient(smooth, axis=0))
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
    facing = (normals * rays).sum(axis=2)
    chosen = _face_of(view, points_px) & (np.abs(facing) > _OBLIQUE)
    if chosen.sum() < _LEAST_PIXELS:
        return np.zeros(3)
    off = places[chosen] - places[chosen].mean(axis=0)
    turns = np.cross(off, normals[chosen])[:, :2] / facing[chosen][:, None]
    system = np.column_stack([turns, np.ones(len(off)), off[:, 2]])
    change = (view.found_mm - view.fitted_mm)[chosen]
    weight = sure = np.abs(facing[chosen])
    found = np.zeros(system.shape[1])
    for _ in range(_ROUNDS):
        found = np.linalg.lstsq(system * weight[:, None], change * weight, rcond=None)[0]
        weight = sure / np.sqrt(1 + ((system @ found - change) / _OFF_MM) ** 2)
    return np.append(found[:2], 0.0)


def _face_of(view: FaceView, points_px: np.ndarray) -> np.ndarray:
    """Return (SIZE, SIZE) bool, where the face is and the head's outline is not near."""
    hull = cv2.convexHull(np.rint(view.places(points_px[None])[0]).astype(np.int32))
    inside = cv2.fillConvexPoly(np.zeros((SIZE, SIZE), np.uint8), hull, 1)
    there = (view.fitted_mm > 0).astype(np.uint8)
    return (inside & cv2.erode(there, np.ones((_EDGE_PX, _EDGE_PX)))) > 0


def place_of(points_mm: np.ndarray, points_px: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Return the (3,) translation in mm that lays points on their places in the picture.

    Args:
        points_mm: (N, 3) turned as they are before the camera.
        points_px: (N, 2) where they are seen.
        camera: (3, 3) intrinsics.

    Returns:
        The minimum of Σ ρ(‖(p + t)_xy − ray · (p + t)_z‖), which counts in mm across the line of
        sight; ρ bends off beyond a few millimetres.
    """
    rays = (points_px - camera[:2, 2]) / camera[0, 0]
    count = len(rays)
    system = np.zeros((count, 2, 3))
    system[:, 0, 0] = system[:, 1, 1] = 1
    system[:, :, 2] = -rays
    wanted = rays * points_mm[:, 2:] - points_mm[:, :2]
    weight, place = np.ones(count), np.zeros(3)
    for _ in range(_ROUNDS):
        rows = (system * weight[:, None, None]).reshape(-1, 3)
        place = np.linalg.lstsq(rows, (wanted * weight[:, None]).ravel(), rcond=None)[0]
        off = np.linalg.norm(system @ place - wanted, axis=1)
        weight = (1 + (off / _OUTLIER_MM) ** 2) ** -0.25
    return place
