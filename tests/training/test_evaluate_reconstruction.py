"""The evaluation of reconstruction: measures, folders, layouts, and the program itself."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from stream.errors import UserError
from stream.geometry import pinhole_camera
from training.evaluate_reconstruction import measure
from training.evaluate_reconstruction.layouts import biwi, bu3dfe, layout_of, read_biwi_depth
from training.evaluate_reconstruction.scan import Scan, read_folder, write_scan

SIDE = 96


def bump(height_mm=60.0, tilt=0.0):
    """A rounded face at 600 mm: (S, S) float32, nan around it."""
    y, x = (np.mgrid[0:SIDE, 0:SIDE] + 0.5 - SIDE / 2) / (SIDE / 2)
    radius = np.hypot(x, y)
    depth = 600 + height_mm * radius**2 + tilt * x
    return np.where(radius < 0.8, depth, np.nan).astype(np.float32)


def scan_of(depth, **words):
    face = np.isfinite(depth) & (np.mgrid[0:SIDE, 0:SIDE][0] > SIDE // 3)
    hair = np.isfinite(depth) & ~face
    pixels = np.full((SIDE, SIDE, 3), 90, np.uint8)
    return Scan("one", pixels, depth, pinhole_camera(SIDE, SIDE), face, hair, **words)


def test_scale_and_shift_cost_nothing():
    errors = measure.face_errors(0.5 * bump() + 40, scan_of(bump()))
    assert errors["mean %"] < 1e-3
    assert errors["normals °"] < 0.1
    assert errors["covered %"] == 100


def test_error_is_in_percent_of_the_range():
    """A step of a tenth of the range in a small part of the face is found as that."""
    scan = scan_of(bump())
    reach = np.ptp(scan.depth_mm[scan.face])
    wrong = bump()
    rows, columns = np.nonzero(scan.face)
    part = slice(None, None, 10)
    wrong[rows[part], columns[part]] += 0.1 * reach
    errors = measure.face_errors(wrong, scan)
    assert errors["median %"] < 0.2
    assert errors["mean %"] == pytest.approx(1.0, abs=0.25)


def test_normals_of_a_tilted_face():
    errors = measure.face_errors(bump(tilt=0.0), scan_of(bump(tilt=30.0)))
    assert errors["normals °"] > 5


def test_little_cover_measures_nothing():
    nothing = np.full((SIDE, SIDE), np.nan, np.float32)
    assert measure.face_errors(nothing, scan_of(bump())) == {}


def test_hair_is_laid_by_the_face():
    scan = scan_of(bump())
    wrong = bump() + 25  # as far off everywhere: nothing is wrong
    assert measure.hair_errors(wrong, scan)["hair mm"] < 1e-3
    assert measure.hair_errors(0.7 * bump(), scan)["hair %"] < 1e-3
    wrong[scan.hair] += 12
    assert measure.hair_errors(wrong, scan)["hair mm"] == pytest.approx(12, abs=0.01)


def test_what_a_cropped_picture_hides_is_no_error():
    """The same sphere, seen along the same rays, by a camera whose axis points elsewhere."""
    camera = pinhole_camera(SIDE, SIDE, 120.0)
    rays = measure.unprojected(np.ones((SIDE, SIDE)), camera)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    centre = np.array([0.0, 0.0, 700.0])
    along = rays @ centre
    root = along**2 - centre @ centre + 100.0**2
    distance = np.where(root > 0, along - np.sqrt(np.maximum(root, 0)), np.nan)
    scan = scan_of((distance * rays[..., 2]).astype(np.float32))
    scan = replace(scan, camera=camera, face=np.isfinite(scan.depth_mm), hair=None)
    # A camera with its principal point aside that sees as much: depth along its own axis.
    other = camera.copy()
    other[0, 2] += 60.0
    view = measure.along_ray(camera, np.array([SIDE, SIDE]) / 2, (SIDE, SIDE))
    aside = measure.along_ray(other, np.array([SIDE, SIDE]) / 2, (SIDE, SIDE))
    found = (scan.depth_mm * view / aside).astype(np.float32)
    assert measure.face_errors(found, scan)["mean %"] > 3  # as if it were of the same axis
    assert measure.face_errors(found, scan, other)["mean %"] < 0.5


def test_florence_and_biwi_measures():
    scan = scan_of(bump())
    assert measure.normalised_mean_error(bump() * 1.3, scan, 92.0) < 0.01
    moved = measure.aligned_distances(bump() + 5, scan)
    assert moved["face mm"] < 1.5
    assert moved["beside mm"] < 1.5


def test_folder_round_trip(tmp_path):
    write_scan(tmp_path, scan_of(bump(), expression="HA", source="made up"))
    (found,) = read_folder(tmp_path)
    np.testing.assert_array_equal(found.depth_mm, bump())
    assert (found.expression, found.source) == ("HA", "made up")
    assert found.face.sum() == scan_of(bump()).face.sum()
    assert layout_of(tmp_path) == "folder"


def test_folder_without_scans(tmp_path):
    with pytest.raises(UserError, match="no scan"):
        list(read_folder(tmp_path))


def test_depth_that_does_not_fit_its_picture(tmp_path):
    write_scan(tmp_path, scan_of(bump()))
    np.savez(tmp_path / "one.npz", depth=np.zeros((3, 3)), camera=np.eye(3))
    with pytest.raises(UserError, match="not a scan"):
        list(read_folder(tmp_path))


def biwi_depth(values):
    """Code a depth as Biwi does: runs of nothing, then of values."""
    flat, data, place = values.ravel(), [np.array(values.shape[::-1], "<i4").tobytes()], 0
    while place < flat.size:
        start = place
        while place < flat.size and flat[place] == 0:
            place += 1
        empty, first = place - start, place
        while place < flat.size and flat[place] != 0:
            place += 1
        data.append(np.array([empty, place - first], "<i4").tobytes())
        data.append(flat[first:place].astype("<i2").tobytes())
    return b"".join(data)


def test_biwi(tmp_path):
    depth = np.nan_to_num(bump() + 200).astype(np.int16)
    folder = tmp_path / "01"
    folder.mkdir()
    (folder / "frame_00003_depth.bin").write_bytes(biwi_depth(depth))
    np.testing.assert_array_equal(read_biwi_depth(folder / "frame_00003_depth.bin"), depth)
    rows = [" ".join(map(str, row)) for row in pinhole_camera(SIDE, SIDE, 150.0)]
    (folder / "depth.cal").write_text("\n".join(rows))
    motion = ["", "0 0 0 0", "", "1 0 0", "0 1 0", "0 0 1", "", "0 0 0", "", f"{SIDE} {SIDE}"]
    (folder / "rgb.cal").write_text("\n".join([*rows, *motion]))
    (folder / "frame_00003_pose.txt").write_text("1 0 0\n0 1 0\n0 0 1\n\n0 0 860\n")
    import cv2

    cv2.imwrite(str(folder / "frame_00003_rgb.png"), np.full((SIDE, SIDE, 3), 80, np.uint8))
    assert layout_of(tmp_path) == "biwi"
    (scan,) = biwi(tmp_path)
    assert 795 < np.nanmin(scan.depth_mm) < 805
    assert 0.2 < scan.face.mean() <= np.isfinite(scan.depth_mm).mean()


def test_biwi_depth_that_ends_too_soon(tmp_path):
    (tmp_path / "frame_00003_depth.bin").write_bytes(np.array([640, 480, 5], "<i4").tobytes())
    with pytest.raises(UserError, match="no depth of Biwi"):
        read_biwi_depth(tmp_path / "frame_00003_depth.bin")


def test_bu3dfe_is_rendered_from_the_front(tmp_path):
    """A made-up scan: a tent whose ridge looks at the camera, in two colours."""
    import cv2

    folder = tmp_path / "F0001"
    folder.mkdir()
    (folder / "F0001_HA02WH_F3D.wrl").write_text(
        "#VRML V2.0 utf8\nShape { geometry IndexedFaceSet {\n"
        "coord Coordinate { point [ -80 -100 0, 0 -100 60, 80 -100 0,"
        " -80 100 0, 0 100 60, 80 100 0 ] }\n"
        "coordIndex [ 0, 1, 4, 3, -1, 1, 2, 5, 4, -1 ]\n"
        "texCoord TextureCoordinate { point [ 0 0, 0.5 0, 1 0, 0 1, 0.5 1, 1 1 ] }\n"
        "texCoordIndex [ 0, 1, 4, 3, -1, 1, 2, 5, 4, -1 ] } }"
    )
    texture = np.zeros((40, 40, 3), np.uint8)
    texture[:, :20], texture[:, 20:] = (0, 0, 220), (220, 0, 0)  # red left, blue right
    cv2.imwrite(str(folder / "F0001_HA02WH_F2D.bmp"), texture)
    assert layout_of(tmp_path) == "bu3dfe"
    (scan,) = bu3dfe(tmp_path)
    assert scan.expression == "HA"
    there = np.isfinite(scan.depth_mm)
    assert there.any()
    middle, edge = scan.depth_mm[256, 256], np.nanmax(scan.depth_mm[256])
    assert 40 < edge - middle < 62
    left, right = scan.pixels[256, 210].astype(int), scan.pixels[256, 300].astype(int)
    assert left[0] > left[2] + 50
    assert right[2] > right[0] + 50


def test_program_measures_a_folder(tmp_path):
    """From the command line, on the picture that comes with the package and a depth for it."""
    from pathlib import Path

    import stream
    from stream.media import read_picture

    pixels, _ = read_picture(Path(stream.__file__).parent / "assets" / "face.jpg")
    height, width = pixels.shape[:2]
    y, x = (np.mgrid[0:height, 0:width] - [[[height / 2]], [[width / 2]]]) / (width / 2)
    depth = np.where(np.hypot(x, y) < 0.5, 600 + 60 * (x**2 + y**2), np.nan)
    face = np.isfinite(depth)
    write_scan(tmp_path, Scan("a", pixels, depth, pinhole_camera(width, height), face))
    command = [sys.executable, "-m", "training", "evaluate", "reconstruction"]
    command += ["--data", str(tmp_path), "--json", str(tmp_path / "rows.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    named = {row["method"]: row for row in rows}
    assert {"mean head", "landmark fit", "analytic depth", "hair_depth", "fusion"} <= set(named)
    assert 0 < named["fusion"]["mean %"] < 40
    assert named["pix2vertex*"]["mean %"] == 3.51
    assert "BU-3DFE" in done.stdout
