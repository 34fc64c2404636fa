"""Faces as keypoints from synthetic people, clips, and folders in the layouts of known sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.io import loadmat

from stream.errors import UserError
from stream.geometry import angles_from_rotation
from stream.keypoint_depth import unit_crop
from training.clips import clip_pairs
from training.depthnets.keypoints import KeypointSet, normalised
from training.depthnets.text import read_rows
from training.learn.prepared import open_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

MOST_TURN_DEG = (
    60.0  # synthetic faces that are turned farther are left out; so are upside-down ones
)
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp")


def crop_picture(pixels: np.ndarray, points_px: np.ndarray, size: int) -> np.ndarray:
    """Cut (size, size, 3) around (K, 2) keypoints; beyond the picture its border goes on."""
    middle, side = unit_crop(points_px)
    scale = size / float(side[0, 0])
    shift = size / 2 - scale * middle[0] - 0.5 * (1 - scale)  # cv2 counts from pixel centres
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    if scale < 0.6:  # averaged first, so that no detail aliases
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.35 / scale)
    return cv2.warpAffine(pixels, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)


def synthetic(folder: Path, picture_size: int = 0) -> KeypointSet:
    """Load the people of a prepared set (`python -m training prepare`), with true depth.

    Faces that are turned by more than 60 degrees are left out.

    Args:
        folder: of the set.
        picture_size: side of the crops; without it no pictures are read.
    """
    data = open_set(folder)
    angles = angles_from_rotation(data["camera_from_head"][:, :3, :3].astype(np.float64))
    faces = np.flatnonzero((np.abs(angles) < MOST_TURN_DEG).all(axis=1))
    points = data["points478"][faces]
    focal = data["intrinsics"][faces, 0, 0]
    distance = points[..., 2].mean(axis=1)
    depth_px = (points[..., 2] - distance[:, None]) * (focal / distance)[:, None]
    _, person = np.unique(data["identity"], axis=0, return_inverse=True)
    pictures = None
    if picture_size:
        pairs = zip(faces, points, strict=True)
        crops = (crop_picture(data["pixels"][n], p[:, :2], picture_size) for n, p in pairs)
        pictures = np.stack(list(crops))
    held_out = ", held out" if data.recipe.get("held_out") else ""
    return normalised(
        KeypointSet(
            points=points[..., :2],
            person=person[faces].astype(np.int64),
            name=f"{len(np.unique(person[faces]))} synthetic people{held_out}",
            depth=depth_px,
            yaw_deg=angles[faces, 0].astype(np.float32),
            pictures=pictures,
        )
    )


def clips(folder: Path, picture_size: int = 0) -> KeypointSet:
    """Load tracked faces of clips, one person a clip; their depth is not known."""
    size = 256
    found: dict[tuple[str, int], tuple] = {}
    for pair in clip_pairs(folder, size):
        for view in (pair.first, pair.second):
            yaw = angles_from_rotation(view.camera_from_head[:3, :3])[0]
            points = view.points478_px[:, :2]
            crop = crop_picture(view.pixels, points, picture_size) if picture_size else None
            found[pair.clip, view.index] = (points, pair.clip, yaw, crop)
    if not found:
        raise UserError("no faces", f"no clip of {folder.name} shows a turning face", "Give others")
    points_px, names, yaws, crops = zip(*found.values(), strict=True)
    return normalised(
        KeypointSet(
            points=np.stack(points_px),
            person=_numbered(names),
            name=f"{len(set(names))} clips",
            yaw_deg=np.array(yaws, np.float32),
            pictures=np.stack(crops) if picture_size else None,
        )
    )


def text_folder(folder: Path, picture_size: int = 0) -> KeypointSet:
    """Load keypoint files: rows of x, y and perhaps depth; each subfolder holds one person."""
    files = [p for p in sorted(folder.rglob("*")) if p.suffix in (".txt", ".csv", ".pts")]
    people = [
        str(path.relative_to(folder)) if path.parent == folder else str(path.parent)
        for path in files
    ]
    return _from_files(folder, files, people, lambda path: path, picture_size)


def vgg_face(folder: Path, picture_size: int = 0) -> KeypointSet:
    """Load the layout of the paper's VGG-Face crops.

    `keypoints/PERSON/NAME.txt` and `images/PERSON/NAME.png`.
    """
    root = folder / "keypoints"
    files = sorted(root.rglob("*.txt"))
    people = [str(path.parent.relative_to(root)) for path in files]

    def place(path: Path) -> Path:
        return folder / "images" / path.relative_to(root)

    return _from_files(folder, files, people, place, picture_size)


def threedfaw(folder: Path, picture_size: int = 0) -> KeypointSet:
    """Load the layout of 3DFAW: `train_lm/NAME_lm.csv` (x, y, z) and `train_img/NAME.jpg`.

    Either split may be named itself: FOLDER/valid_lm. The part of a name before the first
    underscore stands for the person.
    """
    roots = [folder] if folder.name.endswith("_lm") else sorted(folder.glob("*_lm"))
    files = [path for root in roots for path in sorted(root.glob("*_lm.csv"))]
    people = [path.name.split("_")[0] for path in files]

    def place(path: Path) -> Path:
        pictures = path.parent.name.removesuffix("_lm") + "_img"
        return path.parents[1] / pictures / path.name.replace("_lm.csv", ".jpg")

    return _from_files(folder, files, people, place, picture_size)


def multi_pie(folder: Path, picture_size: int = 0) -> KeypointSet:
    """Load the layout of Multi-PIE: files SUBJECT_SESSION_RECORDING_CAMERA_LIGHT…, at any depth.

    Landmarks are text rows, or `.mat` files with `pts` (68, 2), as `…_lm.mat`; pictures bear the
    same name without `_lm` and lie beside them or anywhere below the folder.
    """
    suffixes = (".mat", ".txt", ".pts")
    found = [path for path in sorted(folder.rglob("*_*_*_*_*")) if path.suffix in suffixes]
    files = [path for path in found if path.name[:3].isdigit()]
    people = [path.name.split("_")[0] for path in files]
    named = {p.stem: p for p in folder.rglob("*_*_*_*_*") if p.suffix.lower() in _PICTURES}

    def place(path: Path) -> Path:
        return named.get(path.stem.removesuffix("_lm"), path)

    return _from_files(folder, files, people, place, picture_size)


LOADERS: dict[str, Callable[[Path, int], KeypointSet]] = {
    "synthetic": synthetic,
    "clips": clips,
    "text": text_folder,
    "vgg-face": vgg_face,
    "3dfaw": threedfaw,
    "multi-pie": multi_pie,
}


def _from_files(
    folder: Path,
    files: list[Path],
    people: list[str],
    place: Callable[[Path], Path],
    picture_size: int,
) -> KeypointSet:
    """Read keypoint files; those with another number of points than the first are refused."""
    if not files:
        raise UserError(
            f"{folder.name} holds no keypoint files",
            "no file of this layout lies there",
            "See docs/papers/depthnets.md for the layouts.",
        )
    rows = [_rows(path) for path in files]
    wanted = rows[0].shape
    for path, row in zip(files, rows, strict=True):
        if row.shape != wanted:
            raise UserError(
                f"{path.name} has {len(row)} keypoints",
                f"{files[0].name} has {wanted[0]}, or other columns",
                "Give files with the same keypoints.",
            )
    stacked = np.stack(rows)
    pictures = None
    if picture_size:
        pairs = zip(files, rows, strict=True)
        crops = (crop_picture(_picture(place(p)), row[:, :2], picture_size) for p, row in pairs)
        pictures = np.stack(list(crops))
    return normalised(
        KeypointSet(
            points=stacked[..., :2],
            person=_numbered(people),
            name=f"{len(files)} faces of {folder.name}",
            depth=stacked[..., 2] if wanted[1] == 3 else None,
            pictures=pictures,
        )
    )


def _rows(path: Path) -> np.ndarray:
    if path.suffix == ".mat":
        found = loadmat(path).get("pts")
        if found is None:
            raise UserError(f"{path.name} holds no keypoints", "it has no `pts`", "Remove it.")
        return np.asarray(found, np.float64)
    if path.suffix == ".pts":  # has a head and braces around the rows
        inner = path.read_text().split("{")[-1].split("}")[0].split()
        return np.array(inner, np.float64).reshape(-1, 2)
    return read_rows(path, (2, 3), "keypoints")


def _picture(path: Path) -> np.ndarray:
    beside = [path, *(path.with_suffix(suffix) for suffix in _PICTURES)]
    for candidate in beside:
        if candidate.suffix.lower() in _PICTURES and candidate.is_file():
            read = cv2.imread(str(candidate))
            if read is not None:
                return np.ascontiguousarray(read[..., ::-1])
    raise UserError(f"{path.stem} has no picture", "none lies at its place", "Add it.")


def _numbered(names: Iterable[str]) -> np.ndarray:
    return np.unique(list(names), return_inverse=True)[1].astype(np.int64)
