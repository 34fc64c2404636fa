"""The reconstructed surface: head model, hair and what is seen, fused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream.geometry import invert_rigid, transform_points, vertex_normals
from stream.raster import DepthRaster
from stream.reconstruct.anchor import Anchors
from stream.reconstruct.hair import HairShape
from stream.reconstruct.maps import SIDE, HeadMaps, head_maps
from stream.reconstruct.plain_skin import plain_skin
from stream.reconstruct.relief_of_face import FaceRelief
from stream.reconstruct.template import EAR, EYES, FACE, MOUTH, NECK, Template
from stream.region import NodeGrid

if TYPE_CHECKING:
    import moderngl

    from stream.head_model import HeadModel
    from stream.reconstruct.look import HeadLook


@dataclass(frozen=True, slots=True)
class Surface:
    """A reconstructed head.

    Attributes:
        vertices_mm: (F, 3) float64 camera space.
        triangles: (T, 3) int64, wound as the head model's.
        uv: (F, 2) place in the texture chart, v down.
        growth_mm: (F,) float64 how far hair lies outside of the bare head.
        hairy, clothed: (F,) float64 0…1, whether it is hair, and whether it is clothes.
        relief: (F,) float64 0…1, how much fine relief it may take: skin does.
        maps: what the picture shows.
    """

    vertices_mm: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    growth_mm: np.ndarray
    hairy: np.ndarray
    clothed: np.ndarray
    relief: np.ndarray
    maps: HeadMaps


class SurfaceBuilder:
    """Builds the surfaces of heads.

    Args:
        model: the head model.
        context: OpenGL.
        coarse: one step of refinement less, for a quarter of the triangles.
    """

    def __init__(
        self,
        model: HeadModel,
        context: moderngl.Context,
        *,
        coarse: bool = False,
    ) -> None:
        self.model = model
        self.template = Template(model, 1 if coarse else 2)
        labels = self.template.refined(np.eye(7)[self.template.skin_labels()], 0, 1).argmax(axis=1)
        self._anchors = Anchors(model, self.template)
        laplacian = self.template.laplacian(1)
        mean = self.template.closed(model.shape())
        self._hair = HairShape(
            laplacian, labels, self.template.refined(mean, 0, 1), self.template.levels[0].triangles
        )
        self._raster = DepthRaster(context, model.triangles)
        face = np.isin(self.template.skin_labels(), (FACE, MOUTH, EYES)).astype(float)
        face = self.template.refined(face, 0, 1)
        self._relief = FaceRelief(laplacian, face)
        self._uv = self.template.refined(self.template.chart())
        skin = np.isin(self.template.skin_labels(), (FACE, EAR, NECK)).astype(float)
        self._skin = self.template.refined(skin) * plain_skin(model, self.template.refined(mean))

    def close(self) -> None:
        """Give back what was made in the OpenGL context."""
        self._raster.release()

    def build(self, look: HeadLook) -> Surface:
        """Return the surface of a head that was looked at."""
        head, template = look.head, self.template
        maps = head_maps(look, self.model)
        shape = self.model.shape(head.identity, head.expression)
        rest = template.closed(shape)
        placed = transform_points(head.camera_from_head, rest)
        closed = self._anchors.laid(placed, look.face, head)
        seen = template.refined(closed, 0, 1)
        grid = NodeGrid(look.region, SIDE, SIDE)
        bare = self._raster.front(transform_points(head.camera_from_head, shape), head.camera, grid)
        if look.face_view is not None:
            normals = vertex_normals(seen, template.levels[0].triangles)
            given = transform_points(look.face_view.camera_from_head, rest)
            turned = template.refined((given - placed)[:, 2], 0, 1)
            seen = self._relief.moved(seen, normals, look.face_view, head.camera, turned)
        skin = transform_points(invert_rigid(head.camera_from_head), seen)
        grown, *fields = self._hair.grown(skin, head, maps, bare)
        fine = template.refined(grown, 1)
        growth, hairy, clothed = (template.refined(field, 1) for field in fields)
        vertices = transform_points(head.camera_from_head, fine)
        triangles = template.levels[-1].triangles
        relief = self._skin * np.clip(1 - hairy - clothed, 0, 1)
        return Surface(vertices, triangles, self._uv, growth, hairy, clothed, relief, maps)
