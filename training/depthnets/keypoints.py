"""Faces as keypoints, and the pairs of them that DepthNets learns from.

Letters in shapes: N faces, K points, S the side of small pictures. Points are in units of the
face's square crop (`stream.keypoint_depth.unit_crop`), depths too; smaller is nearer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stream.errors import UserError
from stream.keypoint_depth import unit_crop
from stream.keypoint_mesh import LEFT_OUT_OF_66
from training.head_model.points import IBUG

EYE_CORNERS = {66: (36, 45), 68: (36, 45), 478: (33, 263)}
PAPER_CROP_PX = 80  # side of the paper's crops, in whose pixels Table 1 is given here


@dataclass(frozen=True, slots=True)
class KeypointSet:
    """Faces of people.

    Attributes:
        points: (N, K, 2) float32 in the unit of the crop, middle at 0.
        person: (N,) int64; faces with one number are of one person.
        name: what the faces are, for tables.
        depth: (N, K) float32 true depths with mean 0, where they are known.
        yaw_deg: (N,) float32 turn of the head, > 0 to the right of the picture, where known.
        pictures: (N, S, S, 3) uint8 crops, where there are any.
    """

    points: np.ndarray
    person: np.ndarray
    name: str
    depth: np.ndarray | None = None
    yaw_deg: np.ndarray | None = None
    pictures: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.points)
        if self.points.ndim != 3 or self.points.shape[2] != 2:
            raise ValueError(f"KeypointSet.points: expected (N, K, 2), got {self.points.shape}")
        for field in ("person", "depth", "yaw_deg", "pictures"):
            array = getattr(self, field)
            if array is not None and len(array) != count:
                raise ValueError(f"KeypointSet.{field}: {len(array)} rows for {count} faces")

    def __len__(self) -> int:
        return len(self.points)

    @property
    def size(self) -> int:
        """K, the number of points of a face."""
        return self.points.shape[1]

    def chosen(self, faces: np.ndarray) -> KeypointSet:
        """Return some of the faces, by number or by a mask."""

        def kept(part: np.ndarray | None) -> np.ndarray | None:
            return None if part is None else part[faces]

        return KeypointSet(
            self.points[faces], self.person[faces], self.name,
            kept(self.depth), kept(self.yaw_deg), kept(self.pictures),
        )  # fmt: skip

    def with_points(self, count: int) -> KeypointSet:
        """Return the faces with fewer points: 68 iBUG points of 478, or the 66 of 3DFAW.

        Raises:
            UserError: if the faces have no such points.
        """
        if count == self.size:
            return self
        columns = columns_of(self.size, count)
        depth = None if self.depth is None else _centred(self.depth[:, columns])
        return normalised(replace(self, points=self.points[:, columns], depth=depth))


def columns_of(given: int, wanted: int) -> np.ndarray:
    """Return which points of a set make up a smaller one.

    Raises:
        UserError: if they do not.
    """
    ibug = {478: np.array(IBUG), 68: np.arange(68)}.get(given)
    if ibug is None or wanted not in (66, 68):
        raise UserError(
            f"{wanted} points cannot be taken from faces with {given}",
            "68 and 66 points are known to be part of 478, and 66 of 68",
            "Leave --points away, or give faces with as many points.",
        )
    return np.delete(ibug, LEFT_OUT_OF_66) if wanted == 66 else ibug


def normalised(faces: KeypointSet) -> KeypointSet:
    """Return the faces in the unit of their own crop, whatever unit they had."""
    middle, side = unit_crop(faces.points)
    points = ((faces.points - middle) / side).astype(np.float32)
    depth = faces.depth
    if depth is not None:
        depth = _centred(depth / side[:, 0]).astype(np.float32)
    return replace(faces, points=points, depth=depth)


def _centred(depth: np.ndarray) -> np.ndarray:
    return depth - depth.mean(axis=1, keepdims=True)


# --- pairs --------------------------------------------------------------------------------------


def draw_pairs(
    faces: KeypointSet, count: int, rng: np.random.Generator, *, same_person: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Draw pairs of different faces, of one person (Table 1) or of two (Tables 2 and 3).

    Returns:
        (count,) numbers of source faces and of target faces.

    Raises:
        UserError: if there are no such pairs.
    """
    order = np.argsort(faces.person, kind="stable")
    _, start, sizes = np.unique(faces.person[order], return_index=True, return_counts=True)
    if same_person:
        return _of_one_person(order, start, sizes, count, rng)
    if len(sizes) < 2:
        raise UserError("no pairs of two people", "all faces are of one", "Give more people.")
    first = rng.integers(len(faces), size=count)
    second = rng.integers(len(faces), size=count)
    while (same := faces.person[first] == faces.person[second]).any():
        second[same] = rng.integers(len(faces), size=int(same.sum()))
    return first, second


def _of_one_person(
    order: np.ndarray, start: np.ndarray, sizes: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    several = sizes > 1
    if not several.any():
        raise UserError(
            "no pairs of one person",
            "every person has a single face",
            "Give several pictures a person, or train with --pairs different.",
        )
    start, sizes = start[several], sizes[several]
    weight = sizes * (sizes - 1.0)  # every pair is as likely as any other
    group = rng.choice(len(sizes), count, p=weight / weight.sum())
    first = rng.integers(sizes[group])
    step = 1 + rng.integers(sizes[group] - 1)
    second = (first + step) % sizes[group]
    return order[start[group] + first], order[start[group] + second]
