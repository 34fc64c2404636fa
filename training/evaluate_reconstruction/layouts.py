"""Reads BU-3DFE, Florence and Biwi in the layouts in which they are given out.

- BU-3DFE: `F0001/F0001_AN01WH_F3D.wrl` with the texture `…_F2D.bmp`; two letters of the name are
  the expression. The mesh is rendered from the front, which gives picture and depth.
- Florence: `subject_01/…/*.obj` with its mtl and picture. Each mesh is rendered in 20 poses.
- Biwi: `01/frame_00003_rgb.png`, `…_depth.bin`, `…_pose.txt` and the cameras `depth.cal` and
  `rgb.cal` beside them. The depth is carried over to the colour camera.
"""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING

import cv2
import numpy as np
import trimesh

from stream.errors import UserError
from stream.geometry import pinhole_camera, rotation_from_angles
from stream.media import read_picture
from training.evaluate_reconstruction.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from training.evaluate_reconstruction.textured import TexturedMesh

_SIZE, _FOCAL = 512, 1100.0
_FACE_MM = 200.0  # height of a face scan in the picture …
_EXTENT = 0.6  # … and the share of the picture that it takes
_POSES = tuple(product((0.0, -20.0, 20.0, -45.0, 45.0), (0.0, -15.0, 15.0, 25.0)))
_HEAD_MM, _FRONT_MM = 140.0, 20.0  # of Biwi: the head's radius; the face lies so far before it
_BU3DFE = re.compile(r"[FM]\d{4}_([A-Z]{2})\d\d[A-Z]{2}_F3D\.wrl$")


def bu3dfe(folder: Path) -> Iterator[Scan]:
    """Yield frontal renderings of the scans of BU-3DFE."""
    from training.evaluate_reconstruction.textured import MeshCamera, read_vrml  # noqa: PLC0415

    files = [p for p in sorted(folder.rglob("*.wrl")) if _BU3DFE.search(p.name)]
    _require(files, folder, "F0001/F0001_AN01WH_F3D.wrl")
    with MeshCamera((_SIZE, _SIZE)) as camera:
        for path in files:
            found = _BU3DFE.search(path.name)
            picture = path.with_name(path.name.replace("_F3D.wrl", "_F2D.bmp"))
            mesh = read_vrml(path, read_picture(picture)[0])
            name, expression = path.stem, found[1] if found else ""
            yield camera.scan(name, mesh, _placed(mesh, 0, 0), _camera(), expression, "BU-3DFE")


def florence(folder: Path) -> Iterator[Scan]:
    """Yield 20 renderings of each scan of Florence."""
    from training.evaluate_reconstruction.textured import MeshCamera, read_obj  # noqa: PLC0415

    files = sorted(folder.rglob("*.obj"))
    _require(files, folder, "subject_01/…/*.obj")
    with MeshCamera((_SIZE, _SIZE)) as camera:
        for path in files:
            mesh = read_obj(path)
            for number, (yaw, pitch) in enumerate(_POSES):
                pose = _placed(mesh, yaw, pitch)
                name = f"{path.parent.name}_{path.stem}_{number:02d}"
                yield camera.scan(name, mesh, pose, _camera(), "", "Florence")


def biwi(folder: Path, every: int = 50) -> Iterator[Scan]:
    """Yield every n-th frame of the sequences of Biwi."""
    files = sorted(folder.rglob("frame_*_rgb.png"))
    _require(files, folder, "01/frame_00003_rgb.png")
    for path in files[::every]:
        stem = path.name.removesuffix("_rgb.png")
        depth = read_biwi_depth(path.with_name(f"{stem}_depth.bin"))
        depth_camera, _ = _calibration(path.with_name("depth.cal"))
        camera, rgb_from_depth = _calibration(path.with_name("rgb.cal"))
        pixels, _ = read_picture(path)
        size = pixels.shape[0], pixels.shape[1]
        pose = np.loadtxt(path.with_name(f"{stem}_pose.txt"))
        centre = trimesh.transform_points(pose[3:4], rgb_from_depth)[0]
        points = trimesh.transform_points(_points(depth, depth_camera), rgb_from_depth)
        near = points[np.linalg.norm(points - centre, axis=1) < _HEAD_MM]
        seen = _splatted(near, camera, size)
        front = (near - centre) @ (rgb_from_depth[:3, :3] @ pose[:3])[:, 2] < -_FRONT_MM
        face = np.isfinite(_splatted(near[front], camera, size)) & np.isfinite(seen)
        yield Scan(f"{path.parent.name}_{stem}", pixels, seen, camera, face, source="Biwi")


LAYOUTS: dict[str, Callable[[Path], Iterator[Scan]]] = {
    "bu3dfe": bu3dfe,
    "florence": florence,
    "biwi": biwi,
}


def layout_of(folder: Path) -> str:
    """Tell the layout of a folder from the names in it; "folder" where none of these is."""
    names = [path.name for path in folder.rglob("*") if path.is_file()]
    if any(_BU3DFE.search(name) for name in names):
        return "bu3dfe"
    if any(name.endswith("_depth.bin") for name in names):
        return "biwi"
    return "florence" if any(name.endswith(".obj") for name in names) else "folder"


def read_biwi_depth(path: Path) -> np.ndarray:
    """Read a run-length coded depth: width and height, then runs of nothing and of values, mm.

    Returns:
        (H, W) int16, 0 where nothing was measured.

    Raises:
        UserError: if the file ends too soon.
    """
    data = path.read_bytes()
    width, height = np.frombuffer(data, "<i4", 2)
    depth, place, at = np.zeros(width * height, np.int16), 8, 0
    try:
        while at < len(depth):
            empty, full = np.frombuffer(data, "<i4", 2, place)
            at += int(empty)
            place += 8
            depth[at : at + full] = np.frombuffer(data, "<i2", full, place)
            at, place = at + int(full), place + 2 * int(full)
    except ValueError as error:
        raise UserError(f"{path} is no depth of Biwi", str(error), "Copy it again") from error
    return depth.reshape(height, width)


def _calibration(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read intrinsics and the rigid motion from the depth camera: (3, 3) and (4, 4), mm."""
    rows = [[float(word) for word in line.split()] for line in path.read_text().splitlines()]
    rows = [row for row in rows if row]
    camera = np.array(rows[:3])
    motion = np.eye(4)
    if len(rows) >= 8:  # intrinsics, distortion, rotation, translation, size
        motion[:3, :3], motion[:3, 3] = np.array(rows[4:7]), np.array(rows[7])
    return camera, motion


def _points(depth_mm: np.ndarray, camera: np.ndarray) -> np.ndarray:
    y, x = np.nonzero(depth_mm)
    z = depth_mm[y, x].astype(float)
    u, v = (x - camera[0, 2]) / camera[0, 0], (y - camera[1, 2]) / camera[1, 1]
    return np.column_stack([u * z, v * z, z])


def _splatted(points: np.ndarray, camera: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Draw points as small dots, nearest on top: (H, W) float32 depth, nan elsewhere."""
    order = np.argsort(-points[:, 2])
    image = points[order] @ camera.T
    x, y = np.floor(image[:, :2] / image[:, 2:]).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0])
    depth = np.zeros(shape, np.float32)
    depth[y[inside], x[inside]] = points[order][inside, 2]
    # Dots lie a pixel or two apart: nearest depth of the neighbourhood fills between.
    far = np.where(depth > 0, depth, np.float32(1e6))
    filled = cv2.erode(far, np.ones((3, 3), np.uint8))
    return np.where(filled < 1e6, filled, np.nan).astype(np.float32)


def _camera() -> np.ndarray:
    return pinhole_camera(_SIZE, _SIZE, _FOCAL)


def _placed(mesh: TexturedMesh, yaw: float, pitch: float) -> np.ndarray:
    """Return the (4, 4) pose that shows a scan (y up, face along +z) turned before the camera."""
    pose = np.eye(4)
    pose[:3, :3] = rotation_from_angles(yaw, pitch, 0.0) @ np.diag([1.0, -1.0, -1.0])
    middle = (mesh.vertices_mm.min(axis=0) + mesh.vertices_mm.max(axis=0)) / 2
    distance = _FACE_MM * _FOCAL / (_EXTENT * _SIZE)
    pose[:3, 3] = [0, 0, distance] - pose[:3, :3] @ middle
    return pose


def _require(files: list[Path], folder: Path, example: str) -> None:
    if not files:
        raise UserError(
            f"no scan in {folder}", f"there is no file like {example}", "Give another folder"
        )
