"""From a picture to reconstructed heads: the stages in their order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stream.closing import Closing
from stream.geometry import invert_rigid, transform_points
from stream.raster import DepthRaster
from stream.reconstruct.assemble import FileMesh, assembled
from stream.reconstruct.depth import depth_and_labels
from stream.reconstruct.look import HeadLook, HeadLooker
from stream.reconstruct.surface import Surface, SurfaceBuilder
from stream.reconstruct.texture import Textured, Texturer

if TYPE_CHECKING:
    import moderngl

    from stream.settings import Settings
    from stream.stats import StageTimer


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """A head of a picture in 3D.

    Attributes:
        look: what the stages saw.
        surface: its shape, camera space.
        textured: its texture.
    """

    look: HeadLook
    surface: Surface
    textured: Textured

    @property
    def in_head_mm(self) -> np.ndarray:
        """(F, 3) the surface's vertices in head space."""
        head_from_camera = invert_rigid(self.look.head.camera_from_head)
        return transform_points(head_from_camera, self.surface.vertices_mm)

    def mesh(self, *, solid: bool = False) -> FileMesh:
        """Return the mesh of files, head space; `solid` closes the neck and the seams."""
        return assembled(self.in_head_mm, self.surface.triangles, self.textured, solid=solid)


class Reconstructor(Closing):
    """Reconstructs the heads of pictures.

    Args:
        settings: of the path.
        timer: takes the time of each stage.

    Attributes:
        looker: runs the stages that look at the picture.

    Raises:
        UserError: if OpenGL is missing.
    """

    def __init__(self, settings: Settings, timer: StageTimer) -> None:
        self._stage = timer.stage
        self.looker = HeadLooker(settings)
        model, context = self.looker.model, self.looker.context
        self._surfaces = SurfaceBuilder(model, context, coarse=settings.quality == "low")
        self._texturer = Texturer(context)

    def close(self) -> None:
        """Give back the networks and the OpenGL context."""
        self._surfaces.close()
        self.looker.close()

    @property
    def context(self) -> moderngl.Context:
        """The OpenGL context."""
        return self.looker.context

    @property
    def engines(self) -> dict[str, dict[str, str]]:
        """What runs each network, as really executed."""
        return self.looker.engines

    def heads(self, pixels: np.ndarray, *, detail: bool = False) -> list[Reconstruction]:
        """Return the heads of a picture, the nearest first.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            detail: add wrinkles and the like from the shading.
        """
        with self._stage("look"):
            looks = self.looker.look(pixels)
        return [self._head(look, detail) for look in looks]

    def surface(self, look: HeadLook, *, detail: bool = False) -> Surface:
        """Return the shape of a head that was looked at."""
        with self._stage("surface"):
            surface = self._surfaces.build(look)
        if detail:
            with self._stage("detail"):
                surface = _detailed(look, surface)
        return surface

    def depth(self, look: HeadLook, surface: Surface) -> tuple[np.ndarray, np.ndarray]:
        """Return (H, W) depth and labels of a head in the picture; see `depth_and_labels`."""
        raster = DepthRaster(self.context, surface.triangles)
        try:
            return depth_and_labels(look, surface, self.looker.model, raster)
        finally:
            raster.release()

    def _head(self, look: HeadLook, detail: bool) -> Reconstruction:
        surface = self.surface(look, detail=detail)
        with self._stage("texture"):
            textured = self._texturer.textured(look, surface)
        return Reconstruction(look, surface, textured)

    def arrays(self, found: Reconstruction, *, solid: bool = False) -> dict[str, np.ndarray]:
        """Return what npz files hold; see docs/reconstruct.md."""
        look, surface = found.look, found.surface
        depth, labels = self.depth(look, surface)
        plain = replace(found.textured, in_picture=np.zeros(len(surface.triangles), bool))
        whole = replace(found, textured=plain).mesh(solid=solid)
        head = look.head
        vertices = transform_points(head.camera_from_head, whole.vertices_mm)
        return {
            "depth": depth,
            "labels": labels,
            "camera": head.camera,
            "pose": head.camera_from_head,
            "vertices": vertices.astype(np.float32),
            "triangles": whole.triangles.astype(np.int32),
            "identity": head.identity,
            "expression": head.expression,
        }


def _detailed(look: HeadLook, surface: Surface) -> Surface:
    """Divide a surface finely and add the relief that the picture's shading shows."""
    from stream.reconstruct.detail import (  # noqa: PLC0415  for who asks for it
        DetailSettings,
        divided,
        with_relief,
    )

    settings, camera = DetailSettings(), look.head.camera
    matrix, fine = divided(surface.vertices_mm, surface.triangles, camera, settings)
    fields: dict[str, Any] = {
        name: np.asarray(matrix @ getattr(surface, name))
        for name in ("vertices_mm", "uv", "growth_mm", "hairy", "clothed", "relief")
    }
    fields["vertices_mm"] = with_relief(
        fields["vertices_mm"], fine, look.pixels, camera, fields["relief"], settings
    )
    return replace(surface, triangles=fine, **fields)
