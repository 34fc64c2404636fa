"""Where drawn face and frame meet: the drawn skin takes the colours that the frame has there.

The light of `stream.swap.light` is smooth over the whole face, so that at its rim some difference
is left: a shadow of the hair, a beard, redness, the photo's own light. There it shows as a seam.
What the frame has beyond the drawn skin is therefore measured along the rim, a little blurred, and
added to the drawn colours; it fades towards the middle of the face, whose look is the source's.
That is the low band of a multi-band blend (Burt and Adelson 1983), on the mesh instead of the
picture, so that it goes with the face and can be followed over time.

Letters: V vertices of the head model, N of them at which colours are compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from stream.flatten import texture_uv
from stream.geometry import smoothstep
from stream.swap.draw import drawn_colours, soft_border
from stream.swap.light import around, blurred_colours
from stream.swap.light_basis import LIFT, light_basis
from stream.swap.shape import SKIN

if TYPE_CHECKING:
    from stream.head_model import HeadModel
    from stream.swap.occlude import Front
    from stream.swap.shape import FaceShape

_SOFTNESS = 0.5  # of the border that the rim is measured from
_COMPARED_MM = (2.0, 26.0)  # from the border: where colours are compared
_FADES_MM = (3.0, 22.0)  # from the border: counts in full up to here, not at all from there
_BEYOND_MM = 20.0  # the soft border is still drawn there
_REACH_MM = 8.0  # over which what was found is spread
_TEXTURE_BLUR, _FRAME_BLUR = 0.013, 0.05  # of the texture's side; of the distance of the eyes
_FACING = (0.1, 0.4)
_MOST = 0.5  # of the logarithm: more is no skin, but hair or a thing
_DOUBT = 0.02  # weight of nothing being there to add
_SHARE = 0.3  # of a new frame in what is used


class SourceRim:
    """What is known of the rim of one source's face.

    Args:
        model: the head model.
        texture: (S, S, 3) uint8 of the source.
        seen: (V,) 0…1; see `stream.swap.draw.seen_at_vertices`.

    Attributes:
        places: (N,) vertices at which colours are compared.
        trust: (N,) float32 in each.
        colours: (N, 3) float32 of the texture there, 0…255.
        changed: (M,) vertices whose colours change.
        spread: (M, N) sparse: how they follow the places.
        fade: (M, 1) float32, 1 at the rim, 0 towards the middle.
    """

    def __init__(self, model: HeadModel, texture: np.ndarray, seen: np.ndarray) -> None:
        away = _from_border(model, soft_border(model, _SOFTNESS, seen))
        basis, size = light_basis(model), len(texture)
        near = smoothstep(away, 0.0, _COMPARED_MM[0]) * (away < _COMPARED_MM[1])
        self.places = basis.plain[near[basis.plain] > 0]
        self.trust = near[self.places].astype(np.float32)
        self.colours = blurred_colours(
            texture, texture_uv(model)[self.places] * size, _TEXTURE_BLUR * size
        )
        fade = 1 - smoothstep(away, *_FADES_MM)
        self.changed = np.flatnonzero((fade > 0) & (away > -_BEYOND_MM))
        self.fade = fade[self.changed, None].astype(np.float32)
        self.spread = _kernel(model.vertices[self.changed], model.vertices[self.places])


class Rim:
    """Follows what the frame has beyond the drawn skin along the rim of one face."""

    def __init__(self) -> None:
        self._source: SourceRim | None = None
        self._sums = np.zeros((0, 4), np.float32)

    def __call__(
        self,
        pixels: np.ndarray,
        shape: FaceShape,
        front: Front | None,
        source: SourceRim,
        light: np.ndarray,
        squeeze: float = 0.0,
    ) -> np.ndarray:
        """Return a light that meets the frame at the rim of the face.

        Args:
            pixels: (H, W, 3) uint8, the frame.
            shape: the geometry of the face.
            front: what is in front of it, or None.
            source: the rim of who is drawn.
            light: (V, 9) see `stream.swap.light.relit`; unchanged.
            squeeze: see `stream.swap.draw.Look`.
        """
        self._follow(self._found(pixels, shape, front, source, light, squeeze), source)
        beyond = self._sums[:, 1:] / (self._sums[:, :1] + _DOUBT)
        gain = np.exp(source.fade * _MOST * np.tanh(beyond / _MOST))
        met = light.copy()
        met[source.changed, :3] *= gain
        met[source.changed, 3:6] = (met[source.changed, 3:6] + LIFT / 255) * gain - LIFT / 255
        return met

    def _found(
        self, pixels: np.ndarray, shape: FaceShape, front: Front | None, source: SourceRim,
        light: np.ndarray, squeeze: float,
    ) -> np.ndarray:  # fmt: skip
        """Return (M, 4) at the vertices that change: weight, and weighted logarithms."""
        places = shape.own_px[source.places]
        weights = source.trust * smoothstep(shape.facing[source.places], *_FACING)
        weights *= ((places >= 0) & (places < pixels.shape[1::-1])).all(axis=1)
        if front is not None:
            weights *= np.clip(1 - 2 * front.at(places), 0, 1)
        region = around(places, pixels, 0.05)
        if region.is_empty:
            return np.zeros((len(source.changed), 4), np.float32)
        own = blurred_colours(region.crop(pixels), places - region[:2], _FRAME_BLUR * shape.eyes_px)
        drawn = drawn_colours(source.colours, light[source.places], squeeze)
        beyond = np.log(own + LIFT) - np.log(np.maximum(drawn, 0) + LIFT)
        weights /= 1 + (np.abs(beyond).mean(axis=1) / _MOST) ** 2
        return source.spread @ np.column_stack([weights, weights[:, None] * beyond])

    def _follow(self, found: np.ndarray, source: SourceRim) -> None:
        if source is not self._source:
            self._source, self._sums = source, found
        self._sums = self._sums + np.float32(_SHARE) * (found - self._sums)


def _from_border(model: HeadModel, cover: np.ndarray) -> np.ndarray:
    """Return (V,) mm from where a face ends to be drawn; below 0 beyond."""
    drawn = cover > 0.5
    away = cKDTree(model.vertices[~drawn]).query(model.vertices)[0]
    beyond = cKDTree(model.vertices[drawn]).query(model.vertices)[0]
    skin = model.labels == SKIN
    return np.where(drawn, away, np.where(skin, -beyond, -np.inf)).astype(np.float32)


def _kernel(vertices: np.ndarray, places: np.ndarray) -> sparse.csr_matrix:
    """Return the (M, N) sparse Gaussian weights of places, adding up to 1 where all count."""
    apart = cKDTree(vertices).sparse_distance_matrix(
        cKDTree(places), 2.5 * _REACH_MM, output_type="coo_matrix"
    )
    values = np.exp(-((apart.data / _REACH_MM) ** 2) / 2)
    total = np.bincount(apart.row, values, len(vertices))
    values /= np.maximum(total[apart.row], 1e-9)
    return sparse.csr_matrix((values.astype(np.float32), (apart.row, apart.col)), apart.shape)
