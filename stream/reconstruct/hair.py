"""Hair as a displacement of the head: outwards until the hair that is seen ends.

From every place of the skin a ray goes outwards, away from the axis of skull and neck. Where the
picture shows hair there, the ray ends at the depth of what is seen, or where the outline of the
hair ends. Where skin is seen nothing grows. What no ray can know, such as the back of the head, is
a membrane between the rest: the minimum of Σ w (s − t)² + λ ‖∇s‖² over the surface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from stream.geometry import project, transform_points, vertex_normals
from stream.reconstruct.template import EAR, FACE, NECK, SCALP
from stream.triangles import mean_of_neighbours

if TYPE_CHECKING:
    from stream.frame import Head
    from stream.reconstruct.maps import HeadMaps

_REACH_MM = np.arange(-15.0, 121.0, 3.0)  # places along a ray, from the skin
_IN_FRONT_MM = 1.5  # so far before what is seen, a place is outside
_HIDDEN_MM = 8.0  # behind the bare head's near side, a place of the skin is not seen
_FACING, _SIDE = 0.2, 0.35  # cosines to the ray of sight: seen from the front; at the outline
_GAP_MM = 12.0  # hair of the outline may begin so far from the skin
_MEMBRANE = 2.0  # λ
_KIND, _GUESS = 0.2, 0.3  # λ of what is hair and what is not; weight of the hidden scalp
_OBLIQUE = 0.5  # cosine below which a face is seen at its edge
_FARTHER = 0.4  # a half is the far one where it is seen at a cosine smaller by so much
_BORROWED = 0.5  # weight of what the mirror half shows
_BELOW_EARS_MM, _TELLING = 100.0, 30  # where hair beside the neck is long; places that tell it
_COVERED_MM = (3.0, 12.0)  # growth over which the relief of the skin below goes away
_ROUNDS = 24  # of that smoothing


class HairShape:
    """Grows hair on heads of one topology.

    Args:
        laplacian: (S, S) graph Laplacian of the surface.
        labels: (S,) of the head model at its vertices.
        mean: (S, 3) the surface of the mean head, which is symmetric about x = 0.
        triangles: (T, 3) of it.
    """

    def __init__(
        self, laplacian: sparse.csc_matrix, labels: np.ndarray, mean: np.ndarray,
        triangles: np.ndarray,
    ) -> None:  # fmt: skip
        self._labels, self._laplacian, self._triangles = labels, laplacian, triangles
        self._mirror = cKDTree(mean).query(mean * [-1, 1, 1])[1]
        self._mean = mean_of_neighbours(triangles, len(mean))

    def grown(
        self, skin: np.ndarray, head: Head, maps: HeadMaps, front_model_mm: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the surface with its hair.

        Args:
            skin: (S, 3) bare head, head space, mm.
            head: its pose and camera.
            maps: what the picture shows.
            front_model_mm: map of the bare head's near side, 0 where it is not.

        Returns:
            (S, 3) float64 head space, (S,) growth in mm, and (S,) 0…1 whether it is hair, and
            whether it is clothes.
        """
        away = _away(skin)
        target, weight, hairy, clothed = self._evidence(skin, away, head, maps, front_model_mm)
        system = sparse.diags(weight + 1e-6) + _MEMBRANE * self._laplacian
        growth = splu(system.tocsc()).solve(weight * target)
        hair, cloth = self._kinds(skin, weight, hairy, clothed)
        grown = skin + growth[:, None] * away
        return self._combed(grown, growth), growth, np.clip(hair, 0, 1), np.clip(cloth, 0, 1)

    def _kinds(
        self, skin: np.ndarray, weight: np.ndarray, hairy: np.ndarray, clothed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (S,) whether it is hair and whether clothes, also where nobody sees it."""
        hidden, neck = weight == 0, self._labels == NECK
        # The hidden scalp has hair, if there is any; the nape, if there is some beside the neck.
        seen = hairy[neck & ~hidden & (skin[:, 1] > _BELOW_EARS_MM)]
        beside = np.clip((seen.mean() - 0.1) / 0.3, 0, 1) if len(seen) > _TELLING else 0.0
        guess = _GUESS * hidden * (neck | (self._labels == SCALP)) * bool(hairy.any())
        guess[clothed] = 0
        told = np.where(neck, beside, 1.0)
        sure = np.where(clothed, 1.0, np.minimum(weight, 1))
        system = sparse.diags(sure + guess + 1e-6) + _KIND * self._laplacian
        solver = splu(system.tocsc())
        hair = solver.solve(sure * hairy + guess * told)
        return hair, solver.solve(sure * clothed)

    def _evidence(
        self, skin: np.ndarray, away: np.ndarray, head: Head, maps: HeadMaps,
        front_model_mm: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Return (S,) growth in mm as the picture tells, how surely, and what is hair and cloth."""
        pose, camera = head.camera_from_head, head.camera
        rays = skin[:, None] + _REACH_MM[:, None] * away[:, None]
        seen = transform_points(pose, rays)
        places = project(seen, camera)
        here = int(_REACH_MM.searchsorted(0))
        bare = seen[:, here]
        facing = -np.einsum("nd,nd->n", away @ pose[:3, :3].T, _unit(bare))
        before = maps.at(front_model_mm, places[:, here])
        visible = (bare[:, 2] < before + _HIDDEN_MM) | (before == 0)
        hair = maps.at(maps.hair, places) > 0.5
        skin_share = maps.at(maps.skin, places[:, here])
        hair_share = maps.at(maps.hair, places[:, here])
        person = maps.at(maps.person, places) > 0.5

        behind = seen[..., 2] > maps.at(maps.front_mm, places) - _IN_FRONT_MM
        from_front = _first_run(hair & behind, here)
        from_side = _first_run(hair, here, round(_GAP_MM / (_REACH_MM[1] - _REACH_MM[0])))
        shrunk = np.minimum(_first_run(person, here), 0.0)

        front = visible & (facing > _FACING)
        side = (np.abs(facing) <= _SIDE) & np.isfinite(from_side)
        target, weight = np.zeros(len(skin)), np.zeros(len(skin))
        bald = front & (skin_share > 0.5)
        weight[bald] = 1.0
        hairy = front & (hair_share > 0.5) & np.isfinite(from_front)
        target[hairy], weight[hairy] = from_front[hairy], 1.0
        outline = side & ~bald
        target[outline], weight[outline] = from_side[outline], 0.5
        outside = visible & (facing > -_SIDE) & ~person[:, here] & np.isfinite(shrunk)
        outside &= np.isin(self._labels, (SCALP, EAR, FACE)) & ~outline
        target[outside], weight[outside] = shrunk[outside], 0.3
        still = ~np.isin(self._labels, (FACE, SCALP, EAR, NECK))
        weight[still] = 10.0 * (target[still] == 0)
        clothed = front & (maps.at(maps.body, places[:, here]) > 0.5)
        normals = vertex_normals(skin, self._triangles) @ pose[:3, :3].T
        seen_at = -np.einsum("nd,nd->n", normals, _unit(bare))
        far = seen_at[self._mirror] > seen_at + _FARTHER
        clothed &= (self._labels != FACE) | (seen_at > _OBLIQUE)  # below a jaw, a collar begins
        hairy |= outline
        stray = hairy & (seen_at < _OBLIQUE) & (self._labels == FACE) & bald[self._mirror]
        self._take_from_mirror(target, weight, hairy, far, stray)
        return target, weight, hairy, clothed

    def _take_from_mirror(
        self, target: np.ndarray, weight: np.ndarray, hairy: np.ndarray, far: np.ndarray,
        stray: np.ndarray,
    ) -> None:  # fmt: skip
        """Where nobody sees the far half, take what the near one shows; change all in place.

        Hair that is seen at the edge of a far cheek is not that cheek's, if the near one is bare:
        such places are `stray`.
        """
        there = far & (stray | ((weight == 0) & (weight[self._mirror] > 0)))
        source = self._mirror[there]
        values = target[source], _BORROWED * weight[source], hairy[source]
        target[there], weight[there], hairy[there] = values

    def _combed(self, grown: np.ndarray, growth: np.ndarray) -> np.ndarray:
        """Take away the relief of ears and skin where hair covers it."""
        low, high = _COVERED_MM
        share = (np.clip((growth - low) / (high - low), 0, 1) * 0.6)[:, None]
        for _ in range(_ROUNDS):
            grown = grown + share * (self._mean @ grown - grown)
        return grown


def _away(skin: np.ndarray) -> np.ndarray:
    """Return (S, 3) unit directions away from the middle of the skull, or from the neck's axis."""
    x, y, _ = skin.T
    down = np.clip(y / 100.0, 0, 1)  # the axis goes from the skull's middle down the neck
    centre = np.stack([0 * x, np.maximum(y, 0) * down, 40.0 * down], axis=1)
    return _unit(skin - centre)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def _first_run(inside: np.ndarray, here: int, gap: int = 0) -> np.ndarray:
    """Return (N,) where along each ray the first stretch of `inside` ends, mm.

    Args:
        inside: (N, K) along the rays.
        here: the place of the skin.
        gap: a stretch may begin so many places beyond the skin.

    Returns:
        nan where no stretch begins by then.
    """
    count = inside.shape[1]
    begins = np.where(inside.any(axis=1), inside.argmax(axis=1), count)
    places = np.arange(count)
    after = ~inside & (places > begins[:, None])
    ends = np.where(after.any(axis=1), after.argmax(axis=1), count)
    step = _REACH_MM[1] - _REACH_MM[0]
    found = _REACH_MM[0] + (ends - 0.5) * step
    return np.where(begins <= here + gap, found, np.nan)
