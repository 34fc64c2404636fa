"""Renderings of ICT-FaceKit's light-stage heads with known depth: bald, in one tone of skin.

The head model of the live path is made from other people (MakeHuman), so that these scans are
shapes that it cannot wholly express; they measure reconstruction, and some of them train it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.spatial import cKDTree

from stream.closing import Closing
from stream.geometry import (
    pinhole_camera,
    rigid_transform,
    rotation_from_angles,
    transform_points,
)
from stream.head_model import load_head_model
from stream.raster import DepthRaster
from stream.region import NodeGrid, Region
from training.head_model.render import Layer, Light, Renderer, vertex_normals
from training.head_model.source import read_base_mesh
from training.synthetic.register import IctPeople
from training.synthetic.register_data import read_scan, read_template

if TYPE_CHECKING:
    from pathlib import Path

_SEEN = ("M_BackHead", "M_Face", "M_GumsTongue", "M_ScleraLeft", "M_ScleraRight", "M_Teeth")
_SKIN = ("M_BackHead", "M_Face")
_EYES = ("M_ScleraLeft", "M_ScleraRight")
_IRIS_DEG, _PUPIL_DEG = 27.0, 11.0
_CLIP = 2.0  # standard deviations of identity
_MOST_DEG = (40.0, 18.0, 12.0)  # yaw, pitch, roll
_TIP = 30  # the iBUG point on the tip of the nose
_MIDDLE_MM = (0.0, 30.0, -100.0)  # from the middle of the head to there
_FACE_LABELS = (1, 6)  # of the head model: face skin and eyes


@dataclass(frozen=True, slots=True)
class ScanView:
    """A rendered scan.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        depth_mm: (H, W) float32, nan where the head is not.
        face: (H, W) bool, skin of the face and eyes.
        camera: (3, 3) intrinsics.
        tip: (3,) tip of the nose, camera space, mm.
        yaw_deg: turn of the head.
    """

    pixels: np.ndarray
    depth_mm: np.ndarray
    face: np.ndarray
    camera: np.ndarray
    tip: np.ndarray
    yaw_deg: float


class IctScans(Closing):
    """Draws scans; a context manager that owns an OpenGL context.

    Args:
        data_dir: the data folder, with `ict` and `makehuman`.
        size: side of the pictures, pixels.
    """

    def __init__(self, data_dir: Path, size: int = 384) -> None:
        self._size = size
        template = read_template(data_dir, read_base_mesh())
        scan = read_scan(data_dir, template.points68 @ template.vertices)
        self._mean = scan.vertices.astype(np.float32)
        self._identity = scan.identity
        self._labels = self._read_labels(data_dir)
        self._tip = int(scan.points68[_TIP])
        self._mean -= self._mean[self._tip] + np.array(_MIDDLE_MM, np.float32)
        self._read_surface(data_dir)
        self._expression = self._read_expression(data_dir)
        self._renderer = Renderer((size, size))
        self._context = context = self._renderer._gl  # of two only one would be current
        face = self._triangles[self._labels[self._triangles].all(axis=1)]
        self._last, self._last_face = int(self._triangles.max()), int(face.max())
        self._raster = DepthRaster(context, self._triangles)
        self._face_raster = DepthRaster(context, face)

    def close(self) -> None:
        """Give back the OpenGL context."""
        self._raster.release()
        self._face_raster.release()
        self._renderer.__exit__(None, None, None)

    def sample(self, rng: np.random.Generator) -> ScanView:
        """Draw a head, its expression (half are at rest), pose, tone, light and background."""
        vertices = self._head(rng)
        yaw, pitch, roll = (rng.uniform(-most, most) for most in _MOST_DEG)
        focal = rng.uniform(1.1, 2.6) * self._size
        camera = pinhole_camera(self._size, self._size, focal)
        extent = rng.uniform(0.45, 0.75)  # of the picture, by a face of 200 mm
        distance = 200.0 * focal / (extent * self._size)
        aside = rng.uniform(-0.08, 0.08, 2) * distance * self._size / focal
        pose = rigid_transform(rotation_from_angles(yaw, pitch, roll), np.array([*aside, distance]))
        placed = transform_points(pose, vertices.astype(np.float64)).astype(np.float32)
        depth, face = self._depths(placed, camera)
        return ScanView(
            pixels=self._picture(placed, camera, rng),
            depth_mm=depth,
            face=face,
            camera=camera,
            tip=placed[self._tip].astype(np.float64),
            yaw_deg=float(yaw),
        )

    def _head(self, rng: np.random.Generator) -> np.ndarray:
        weights = np.clip(rng.normal(size=len(self._identity)), -_CLIP, _CLIP).astype(np.float32)
        vertices = self._mean + np.tensordot(weights, self._identity, 1)
        if rng.random() < 0.5:
            units = np.zeros(len(self._expression), np.float32)
            chosen = rng.choice(len(units), rng.integers(1, 6), replace=False)
            units[chosen] = rng.uniform(0.1, 0.7, len(chosen))
            vertices = vertices + np.tensordot(units, self._expression, 1)
        return vertices

    def _depths(self, placed: np.ndarray, camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return depth and where the nearest surface is the face's."""
        centred = camera.copy()
        centred[:2, 2] -= 0.5  # nodes of this grid are the pixels' centres
        side = self._size
        grid = NodeGrid(Region(0, 0, side - 1, side - 1), side, side)
        depth = self._raster.draw(placed[: self._last + 1], centred, grid)[0].copy()
        face = self._face_raster.draw(placed[: self._last_face + 1], centred, grid)[0]
        there = depth > 0
        return np.where(there, depth, np.nan), there & (np.abs(face - depth) < 0.1)

    def _picture(
        self, placed: np.ndarray, camera: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        colours = self._colours(rng)
        towards = rng.normal(size=(3, 3)) * [0.6, 0.4, 0.3] + [0, 0.2, 1.0]
        strength = rng.uniform([0.35, 0.0, 0.0], [0.75, 0.35, 0.25])
        tint = 1 + 0.1 * rng.normal(size=(3, 3))
        light = Light(towards, strength[:, None] * tint, tuple(rng.uniform(0.1, 0.3, 3).tolist()))
        layer = Layer(
            placed,
            self._triangles,
            vertex_normals(placed.astype(np.float64), self._triangles),
            colours,
        )
        background = tuple(rng.uniform(0.05, 0.95, 3).tolist())
        self._context.depth_func = "<"  # the raster leaves it turned over
        pixels = self._renderer.draw([layer], camera, light, background)
        return cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.3, 0.9))

    def _colours(self, rng: np.random.Generator) -> np.ndarray:
        tone = np.array([0.87, 0.66, 0.55]) * rng.uniform(0.5, 1.1)
        if rng.random() < 0.3:
            tone = np.full(3, rng.uniform(0.5, 0.85))  # a scan without colour
        colours = np.tile(tone + 0.03 * rng.normal(size=3), (len(self._mean), 1))
        colours[self._white] = 0.9
        colours[self._iris] = rng.uniform(0.1, 0.45, 3)
        colours[self._pupil] = 0.03
        return np.clip(colours, 0.02, 1.0)

    def _read_surface(self, data_dir: Path) -> None:
        with np.load(data_dir / "ict" / "ict_facekit.npz", allow_pickle=False) as stored:
            names = [str(name) for name in stored["material_names"]]
            material, triangles = stored["material"], stored["f"].astype(np.int64)
        of = {name: np.unique(triangles[material == names.index(name)]) for name in _SEEN}
        chosen = np.isin(material, [names.index(name) for name in _SEEN])
        self._triangles = triangles[chosen]
        self._skin = np.unique(np.concatenate([of[name] for name in _SKIN]))
        self._white = np.concatenate([of["M_Teeth"], *(of[name] for name in _EYES)])
        parts = [self._eye_parts(of[name]) for name in _EYES]
        self._iris, self._pupil = (np.concatenate(part) for part in zip(*parts, strict=True))

    def _eye_parts(self, ball: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the vertices of an eyeball that are iris, and pupil."""
        points = self._mean[ball]
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        rays = (points - middle) / np.linalg.norm(points - middle, axis=1, keepdims=True)
        off = np.degrees(np.arccos(np.clip(-rays[:, 2], -1, 1)))
        return ball[off < _IRIS_DEG], ball[off < _PUPIL_DEG]

    def _read_expression(self, data_dir: Path) -> np.ndarray:
        """Return (57, V, 3) float32 mm, carried as the mean was."""
        with np.load(data_dir / "ict" / "ict_facekit.npz", allow_pickle=False) as stored:
            vertices, offsets = stored["v"].astype(np.float64), stored["expression"]
        design = np.column_stack([vertices, np.ones(len(vertices))])
        carry = np.linalg.lstsq(design, self._mean, rcond=None)[0][:3].astype(np.float32)
        return offsets.astype(np.float32) @ carry

    def _read_labels(self, data_dir: Path) -> np.ndarray:
        """Return (V,) bool, whether a vertex is face: as the registered head model says."""
        people, model = IctPeople(data_dir), load_head_model()
        mean = people.template.vertices + people.offsets(np.zeros(100, np.float32))
        registered = people.model @ mean
        near = cKDTree(registered).query(self._mean)[1]
        return np.isin(model.labels[near], _FACE_LABELS)
