"""Textured meshes of scans, and a camera that takes pictures of them with their depth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import trimesh

from stream.closing import Closing
from stream.errors import UserError
from stream.geometry import transform_points
from stream.raster import DepthRaster
from stream.region import NodeGrid, Region
from training.evaluate_reconstruction.scan import Scan
from training.head_model.render import Layer, Light, Renderer, vertex_normals

if TYPE_CHECKING:
    from pathlib import Path

_NUMBER = r"[-+0-9.eE\s,]*"
# A scan's texture has light in it: nearly even light shows it as it is.
_LIGHT = Light(np.array([[0.1, 0.2, 1.0]] * 3), np.array([[0.12] * 3] * 3), (0.8, 0.8, 0.8))


@dataclass(frozen=True, slots=True)
class TexturedMesh:
    """A scan.

    Attributes:
        vertices_mm: (V, 3) y up, the face looks along +z.
        triangles: (T, 3).
        uv: (V, 2) 0…1, v down the rows.
        picture: (h, w, 3) uint8 RGB texture.
    """

    vertices_mm: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    picture: np.ndarray


class MeshCamera(Closing):
    """Takes pictures of scans; a context manager that owns an OpenGL context.

    Args:
        size: (width, height) of the pictures.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._renderer = Renderer(size)

    def close(self) -> None:
        """Give back the OpenGL context."""
        self._renderer.__exit__(None, None, None)

    def scan(
        self, name: str, mesh: TexturedMesh, pose: np.ndarray, camera: np.ndarray,
        expression: str, source: str,
    ) -> Scan:  # fmt: skip
        """Return a picture of a mesh with its depth.

        Args:
            name: of the scan.
            mesh: the scan.
            pose: (4, 4) camera from scan.
            camera: (3, 3) intrinsics.
            expression: short name, or empty.
            source: what data it comes from.
        """
        placed = transform_points(pose, mesh.vertices_mm.astype(float))
        normals = vertex_normals(placed, mesh.triangles)
        layer = Layer(placed, mesh.triangles, normals, uv=mesh.uv, picture=mesh.picture)
        context = self._renderer._gl
        context.depth_func = "<"
        pixels = self._renderer.draw([layer], camera, _LIGHT)
        width, height = self._size
        grid = NodeGrid(Region(0, 0, width - 1, height - 1), width, height)
        centred = camera.copy()
        centred[:2, 2] -= 0.5  # nodes of this grid are the pixels' centres
        raster = DepthRaster(context, mesh.triangles)
        depth = raster.front(placed, centred, grid)
        raster.release()
        depth = np.where(depth > 0, depth, np.nan).astype(np.float32)
        return Scan(name, pixels, depth, camera, expression=expression, source=source)


def read_vrml(path: Path, picture: np.ndarray) -> TexturedMesh:
    """Read the one textured face set of a VRML 2 file.

    Args:
        path: the file.
        picture: (h, w, 3) uint8 RGB, its texture.

    Raises:
        UserError: if it holds none.
    """
    text = path.read_text(errors="replace")
    points = _list(text, r"coord\s+Coordinate\s*\{\s*point", path).reshape(-1, 3)
    places = _list(text, r"texCoord\s+TextureCoordinate\s*\{\s*point", path).reshape(-1, 2)
    corners = _fans(_list(text, r"\bcoordIndex", path).astype(int))
    texture = _fans(_list(text, r"\btexCoordIndex", path).astype(int))
    pairs, number = np.unique(
        np.column_stack([corners.ravel(), texture.ravel()]), axis=0, return_inverse=True
    )
    uv = places[pairs[:, 1]] * [1, -1] + [0, 1]
    return TexturedMesh(points[pairs[:, 0]], number.reshape(-1, 3), uv, picture)


def read_obj(path: Path) -> TexturedMesh:
    """Read an OBJ with its picture.

    Raises:
        UserError: if it has none.
    """
    mesh = trimesh.load_mesh(path)
    if not isinstance(mesh, trimesh.Trimesh):
        raise UserError(f"{path} is no mesh", "it holds no triangles", "Give another file")
    image = getattr(getattr(mesh.visual, "material", None), "image", None)
    places = getattr(mesh.visual, "uv", None)
    if image is None or places is None:
        raise UserError(f"{path} has no texture", "it names no picture", "Put its mtl beside it")
    uv = np.asarray(places)[:, :2] * [1, -1] + [0, 1]
    picture = np.asarray(image.convert("RGB"))
    return TexturedMesh(np.asarray(mesh.vertices), np.asarray(mesh.faces), uv, picture)


def _list(text: str, opening: str, path: Path) -> np.ndarray:
    found = re.search(opening + r"\s*\[(" + _NUMBER + r")\]", text)
    if found is None:
        raise UserError(f"cannot read {path}", f"it has no list {opening}", "Give VRML 2 files")
    return np.array(found[1].replace(",", " ").split(), float)


def _fans(index: np.ndarray) -> np.ndarray:
    """Return (T, 3) triangles of polygons that end in −1."""
    polygons = np.split(index, np.flatnonzero(index == -1) + 1)
    triangles = []
    for polygon in polygons:
        corners = polygon[polygon >= 0]
        triangles += [(corners[0], corners[k], corners[k + 1]) for k in range(1, len(corners) - 1)]
    return np.array(triangles, np.int64)
