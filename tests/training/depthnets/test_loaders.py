"""The layouts of folders that faces come in."""

import json

import cv2
import numpy as np
import pytest
from scipy.io import savemat

pytest.importorskip("igl", reason="needs the extra train")

from stream.errors import UserError
from stream.geometry import pinhole_camera, project, rotation_from_angles
from stream.head_model import load_head_model
from training.depthnets.loaders import LOADERS, crop_picture
from training.depthnets.text import write_rows

RNG = np.random.default_rng(0)


def points(count=68):
    return RNG.uniform(20, 60, (count, 2))


def write_picture(path, colour=(10, 120, 240)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((80, 80, 3), colour[::-1], np.uint8))


def test_a_folder_of_keypoint_files(tmp_path):
    for name in ("ann/1.txt", "ann/2.txt", "bob/1.txt"):
        write_rows(tmp_path / name, points(30))
    faces = LOADERS["text"](tmp_path, 0)
    assert faces.points.shape == (3, 30, 2)
    assert faces.person.tolist() == [0, 0, 1]
    assert faces.depth is None


def test_the_layout_of_vgg_face(tmp_path):
    for name in ("n000001/a", "n000001/b", "n000002/c"):
        write_rows(tmp_path / "keypoints" / f"{name}.txt", points())
        write_picture(tmp_path / "images" / f"{name}.png")
    faces = LOADERS["vgg-face"](tmp_path, 20)
    assert faces.person.tolist() == [0, 0, 1]
    assert faces.pictures.shape == (3, 20, 20, 3)
    assert faces.pictures[0, 10, 10].tolist() == [10, 120, 240]


def test_the_layout_of_3dfaw(tmp_path):
    known = {}
    for name in ("F001_T1", "F001_T2", "M002_T1"):
        rows = np.c_[points(66), RNG.normal(size=66)]
        known[name] = rows
        write_rows(tmp_path / "train_lm" / f"{name}_lm.csv", rows)
        write_picture(tmp_path / "train_img" / f"{name}.jpg")
    faces = LOADERS["3dfaw"](tmp_path, 16)
    assert faces.points.shape == (3, 66, 2)
    assert faces.person.tolist() == [0, 0, 1]
    truth = known["F001_T1"][:, 2]
    assert np.corrcoef(faces.depth[0], truth)[0, 1] > 0.999
    alone = LOADERS["3dfaw"](tmp_path / "train_lm", 0)
    assert np.array_equal(alone.points, faces.points)


def test_the_layout_of_multi_pie(tmp_path):
    for name in ("001_01_01_051_07", "001_02_01_140_00", "014_01_01_051_07"):
        camera = tmp_path / "labels" / name.split("_")[3]
        camera.mkdir(parents=True, exist_ok=True)
        savemat(camera / f"{name}_lm.mat", {"pts": points()})
        write_picture(tmp_path / "multiview" / f"{name}.png")
    faces = LOADERS["multi-pie"](tmp_path, 16)
    assert sorted(faces.person.tolist()) == [0, 0, 1]
    assert faces.pictures.shape == (3, 16, 16, 3)


def prepared_set(folder, faces=6):
    model, camera = load_head_model(), pinhole_camera(64, 64)
    folder.mkdir()
    rows, poses = [], []
    for number in range(faces):
        pose = np.eye(4)
        pose[:3, :3] = rotation_from_angles(75 if number == 5 else 10 * number, 0, 0)
        pose[2, 3] = 400
        head = model.points478() @ pose[:3, :3].T + pose[:3, 3]
        rows.append(np.c_[project(head, camera), head[:, 2]])
        poses.append(pose)
    arrays = {
        "points478": np.array(rows, np.float32),
        "camera_from_head": np.array(poses, np.float32),
        "intrinsics": np.repeat(camera[None].astype(np.float32), faces, 0),
        "identity": np.repeat(np.eye(3, 80, dtype=np.float32), 2, 0),
        "pixels": RNG.integers(0, 255, (faces, 64, 64, 3)).astype(np.uint8),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "set.json").write_text(json.dumps({"count": faces, "size": 64, "held_out": True}))


def test_synthetic_people_bring_true_depth(tmp_path):
    prepared_set(tmp_path / "set")
    faces = LOADERS["synthetic"](tmp_path / "set", 24)
    assert len(faces) == 5, "the one turned by 75 degrees is left out"
    assert np.unique(faces.person, return_counts=True)[1].tolist() == [1, 2, 2]
    assert faces.yaw_deg == pytest.approx([0, 10, 20, 30, 40], abs=1e-3)
    assert faces.depth[0, 4] < faces.depth[0].min() + 0.05, "the tip of the nose is near"
    assert faces.pictures.shape == (5, 24, 24, 3)
    assert "held out" in faces.name
    # Depth has the unit of the places: turned by 40°, the first face lands on the fifth.
    lifted = np.c_[faces.points[0], faces.depth[0]] @ rotation_from_angles(40, 0, 0).T
    match = np.polyfit(lifted[:, 0], faces.points[4, :, 0], 1)
    assert np.abs(np.polyval(match, lifted[:, 0]) - faces.points[4, :, 0]).mean() < 0.02


def test_crops_have_the_keypoints_where_they_belong():
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[40:42, 60:62] = 255
    corners = np.array([[20.0, 20], [80, 20], [80, 80], [20, 80]])
    crop = crop_picture(picture, corners, 132)
    y, x = np.argwhere(crop[..., 0] > 127).mean(0) + 0.5
    # The crop's side is 66 pixels, so it is twice as large; the spot's middle is (61, 41).
    assert (x, y) == pytest.approx((2 * (61 - 17), 2 * (41 - 17)), abs=0.6)


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(UserError, match="keypoint files"):
        LOADERS["text"](tmp_path, 0)
    write_rows(tmp_path / "a.txt", points(68))
    write_rows(tmp_path / "b.txt", points(66))
    with pytest.raises(UserError, match=r"b\.txt has 66"):
        LOADERS["text"](tmp_path, 0)
    (tmp_path / "b.txt").unlink()
    with pytest.raises(UserError, match="picture"):
        LOADERS["text"](tmp_path, 16)
    savemat(tmp_path / "001_01_01_051_07_lm.mat", {"other": 1})
    with pytest.raises(UserError, match="pts"):
        LOADERS["multi-pie"](tmp_path, 0)


def test_clips_give_faces_of_one_person_each(data_dir):
    clip = data_dir / "dev_clips" / "intel_head-pose-face-detection-female.gif"
    if not clip.is_file():
        pytest.skip("the clip is absent")
    from training.depthnets.loaders import clips

    faces = clips(clip, 16)
    assert len(faces) > 5
    assert np.unique(faces.person).tolist() == [0]
    assert faces.depth is None
    assert np.ptp(faces.yaw_deg) > 5
