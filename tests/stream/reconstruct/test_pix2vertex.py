"""What the network `pix2vertex` says, brought into camera space."""

import numpy as np
import pytest

from engines.opening import open_engine
from engines.spec import SPECS, WEIGHTS
from stream.face_3dmm import Crop
from stream.frame import Head
from stream.geometry import pinhole_camera, project, rigid_transform, rotation_from_angles
from stream.head_model import load_head_model
from stream.reconstruct.pix2vertex import (
    SIDE,
    FaceMaps,
    camera_from_crop,
    cut_square,
    face_square,
    frame_rotation,
    in_frame,
    read_face,
    registered_depth,
    robust_line,
    template_on,
)

CAMERA = pinhole_camera(640, 480)


def head_at(rotation, place):
    return Head(
        face_id=0,
        identity=np.zeros(80, np.float32),
        expression=np.zeros(52, np.float32),
        camera_from_head=rigid_transform(rotation, np.array(place, float)),
        camera=CAMERA,
    )


def maps_of(head, stride=1):
    """Exact maps of the mean head: each pixel of the crop takes the front vertex near it."""
    model = load_head_model()
    placed = model.vertices @ head.camera_from_head[:3, :3].T + head.camera_from_head[:3, 3]
    pixels = project(placed, CAMERA)
    middle, side = (pixels.min(0) + pixels.max(0)) / 2, np.ptp(pixels, axis=0).max()
    crop = Crop(*middle, float(side))
    turn = frame_rotation(middle, CAMERA)
    rows, columns = np.indices((SIDE, SIDE))
    points, match = np.zeros((SIDE, SIDE, 3)), np.full((SIDE, SIDE, 3), 1e4)
    mask = np.zeros((SIDE, SIDE))
    here = pixels @ crop.matrix(SIDE)[:, :2].T + crop.matrix(SIDE)[:, 2]
    skin = np.flatnonzero(np.isin(model.labels, (1, 2, 3)))
    from scipy.spatial import cKDTree

    front = skin[(placed[skin, 2] < head.camera_from_head[2, 3])]
    away, near = cKDTree(here[front]).query(np.stack([columns, rows], -1).reshape(-1, 2) + 0.5)
    chosen = front[near]
    relative = (placed[chosen] - head.camera_from_head[:3, 3]) @ turn
    good = (away < 4).reshape(SIDE, SIDE)
    points[good], match[good] = (a.reshape(SIDE, SIDE, 3)[good]
                                 for a in (relative, model.vertices[chosen]))  # fmt: skip
    mask[good] = 1
    return FaceMaps(points.astype(np.float32), mask, match.astype(np.float32), crop), placed


def test_points_of_the_crop_come_back_to_camera_space():
    head = head_at(rotation_from_angles(10, -5, 3), [150, -60, 700])
    maps, placed = maps_of(head)
    pose = camera_from_crop(maps, head)
    back = maps.points_mm[maps.mask > 0] @ pose[:3, :3].T + pose[:3, 3]
    from scipy.spatial import cKDTree

    assert cKDTree(placed).query(back)[0].max() < 0.01


def test_depth_is_laid_on_the_fit_by_scale_and_shift():
    head = head_at(np.eye(3), [0, 0, 600])
    maps, _ = maps_of(head)
    pose = camera_from_crop(maps, head)
    depth = (maps.points_mm @ pose[:3, :3].T + pose[:3, 3])[..., 2]
    wanted = 1.1 * depth - 30
    fitted = np.where(maps.mask > 0, wanted, 0)
    rows = np.random.default_rng(0).random(fitted.shape) < 0.15
    fitted[rows & (maps.mask > 0)] += 40  # hair that hangs before the face
    placed = registered_depth(maps, head, fitted)
    inside = maps.mask > 0
    np.testing.assert_allclose(placed[inside], wanted[inside], atol=0.2)
    assert np.isnan(placed[~inside]).all()


def test_depth_of_a_crop_comes_back_to_the_frame():
    rows, columns = np.indices((64, 64)) + 0.5
    depth = np.where(rows > 8, 500 + columns, np.nan).astype(np.float32)
    frame = in_frame(depth, Crop(100.0, 80.0, 32.0), (120, 160))
    assert frame.shape == (120, 160)
    assert np.isnan(frame[:66]).all()
    np.testing.assert_allclose(frame[80, 90:110], 500 + 2 * (np.arange(90, 110) - 84 + 0.5))


def test_depths_that_do_not_agree_are_refused():
    line = np.linspace(0, 1, 500)
    assert np.isnan(robust_line(line, 5 * line)).all()
    assert np.isnan(robust_line(line[:50], line[:50])).all()
    assert robust_line(line, 1.5 * line + 2) == pytest.approx((1.5, 2.0))


def test_the_crop_is_a_square_around_the_face():
    points = np.random.default_rng(0).uniform([100, 100], [200, 260], (478, 2))
    crop = face_square(points)
    picture = np.zeros((400, 400, 3), np.uint8)
    picture[:, 200:] = 255
    square = cut_square(picture, Crop(200.0, 200.0, 100.0).matrix(50), 50)
    assert crop.side > 160
    assert square[:, :24].max() == 0
    assert square[:, 26:].min() == 255


def test_the_mean_head_is_laid_on_what_shows_it():
    head = head_at(rotation_from_angles(15, 0, 0), [40, 20, 650])
    maps, placed = maps_of(head)
    found = template_on(maps, head, load_head_model())
    face = load_head_model().labels == 1
    assert np.linalg.norm(found.vertices - placed, axis=1)[face].mean() < 1.5
    assert found.matched.sum() > 500


def test_the_shipped_network_finds_maps_of_the_right_kind():
    if not (WEIGHTS / "pix2vertex.onnx").is_file():
        pytest.skip("pix2vertex is not shipped")
    engine = open_engine(SPECS["pix2vertex"], "onnxruntime", threads=1)
    picture = np.full((200, 200, 3), 90, np.uint8)
    points = np.random.default_rng(1).uniform(60, 140, (478, 3))
    maps = read_face(engine, picture, points)
    assert maps.points_mm.shape == maps.correspondence_mm.shape == (SIDE, SIDE, 3)
    assert 0 <= maps.mask.min() <= maps.mask.max() <= 1
    assert np.isfinite(maps.points_mm).all()
    engine.close()
