"""A face turned by the affine of its keypoints: its pose, where it goes, what stays."""

from dataclasses import replace

import numpy as np
import pytest
from videos import clip_frames

from stream import cli
from stream.affine_pose import face_pose, moved_points, points_like
from stream.affine_repose import AffineReposer, ringed_mesh
from stream.affine_source import lifted_face
from stream.affine_track import LiveDepth
from stream.frame import Frame
from stream.geometry import angles_from_rotation, rotation_from_angles
from stream.head_model import load_head_model
from stream.heads import face_of_picture
from stream.keypoint_mesh import OVAL
from stream.media import StreamInfo, read_picture, write_picture
from stream.pose import PoseRequest
from stream.settings import Settings
from stream.stats import StageTimer

INFO = StreamInfo(width=640, height=480, fps=25.0, still=True)
ANGLES = (25.0, -10.0, 8.0)


def head(angles=(0.0, 0.0, 0.0), scale=1.3, shift=(300.0, 200.0, 0.0)):
    points = load_head_model().points478().astype(float)
    return scale * points @ rotation_from_angles(*angles).T + shift


def test_the_pose_of_a_turned_head_is_found():
    pose = face_pose(head(ANGLES))
    assert np.allclose(angles_from_rotation(pose.rotation), ANGLES, atol=1e-3)
    assert pose.scale == pytest.approx(1.3, rel=1e-6)
    assert np.allclose(pose.centre_px, [300, 200, 0], atol=1e-3)


def test_an_open_mouth_is_no_nod():
    model, strength = load_head_model(), np.zeros(52, np.float32)
    strength[model.expression_names.index("jawOpen")] = 0.8
    points = model.points478(None, strength).astype(float) @ rotation_from_angles(*ANGLES).T
    found = angles_from_rotation(face_pose(points).rotation)
    assert np.abs(found - ANGLES).max() < 4


def test_turning_back_gives_the_frontal_head_and_half_of_the_way_is_half():
    lifted = head(ANGLES)
    pose = face_pose(lifted)
    assert np.allclose(moved_points(lifted, pose, pose.rotation.T), head(), atol=1e-2)
    half = moved_points(lifted, pose, pose.rotation.T, share=0.5)
    assert np.allclose(half, (lifted + head()) / 2, atol=1e-2)


def test_a_face_can_be_laid_on_the_pose_of_another():
    lifted, other = head(ANGLES), head((-20, 5, 0), 0.8, (100.0, 90.0, 0.0))
    laid = points_like(lifted, face_pose(lifted), face_pose(other))
    assert np.allclose(laid, other, atol=1e-2)


def test_rings_hold_the_background_and_follow_the_outline():
    lifted = head((30, 0, 0), 1.0, (200.0, 200.0, 0.0))
    pose = face_pose(lifted)
    face = lifted_face(np.zeros((400, 400, 3), np.uint8), lifted[:, :2], lifted[:, 2])
    mesh = ringed_mesh(face, moved_points(lifted, pose, pose.rotation.T))
    oval, size = mesh.places_px[list(OVAL)], len(OVAL)
    assert np.allclose(mesh.places_px[478 : 478 + size], oval), "no gap beside the face"
    assert np.allclose(mesh.places_px[-size:], mesh.own_px[-size:]), "the last one stays"
    assert mesh.triangles.max() == len(mesh.places_px) - 1
    # Seen from the side a cheek covers the outline: rings begin where the cheek ends.
    reach = mesh.own_px[478 : 478 + size] - mesh.own_px[list(OVAL)].mean(0)
    inside = lifted[:468, :2] - mesh.own_px[list(OVAL)].mean(0)
    for way in reach:
        along = inside @ way / np.linalg.norm(way)
        beside = np.abs(inside @ np.array([-way[1], way[0]])) / np.linalg.norm(way)
        assert along[beside < 3].max(initial=0) < np.linalg.norm(way) + 4


def yaw_of(pixels):
    face = face_of_picture(pixels, (pixels.shape[1], pixels.shape[0]))
    with LiveDepth("onnxruntime") as depth:
        lifted = np.column_stack([face.points_px[:, :2], depth(face.points_px)])
    return angles_from_rotation(face_pose(lifted).rotation)[0]


def turned(pixels, request, **options):
    settings = replace(Settings(), affine=replace(Settings().affine, **options))
    with AffineReposer(settings, INFO, StageTimer()) as path:
        return path.process(Frame(pixels), request).pixels


@pytest.fixture(scope="module")
def picture():
    return clip_frames(1)[0]


@pytest.mark.parametrize("asked", [15.0, -15.0])
def test_a_face_turns_as_far_as_it_is_asked_to(picture, asked):
    shown = turned(picture, PoseRequest(yaw=asked))
    change = yaw_of(shown) - yaw_of(picture)
    assert 0.5 * abs(asked) < change * np.sign(asked) < 1.5 * abs(asked)


def test_frontal_takes_a_turn_away_and_leaves_the_background(picture):
    side = turned(picture, PoseRequest(yaw=20 if yaw_of(picture) > 0 else -20))
    before = yaw_of(side)
    front = turned(side, PoseRequest(frontal=1.0))
    assert abs(yaw_of(front)) < 0.45 * abs(before)
    changed = (front != side).any(axis=2)
    assert changed.mean() < 0.6
    assert not changed[:, :20].any()
    assert not changed[:, -20:].any()


def test_rest_gives_the_frame_back(picture):
    assert turned(picture, PoseRequest()) is picture


def test_the_pose_of_another_picture_is_taken_over(picture):
    like = face_of_picture(turned(picture, PoseRequest(yaw=18)), (640, 480))
    shown = turned(picture, PoseRequest(like=like))
    assert abs(yaw_of(shown) - yaw_of(picture)) > 8


def test_the_mirror_half_can_be_left_out(picture):
    request = PoseRequest(yaw=-25)
    side = turned(picture, PoseRequest(yaw=25))
    with_mirror, without = turned(side, request), turned(side, request, mirror=False)
    assert (with_mirror != without).any()


def test_the_command_turns_by_either_method(picture, tmp_path):
    write_picture(tmp_path / "in.png", picture)
    shown = {}
    for method in ("mesh", "affine"):
        out = tmp_path / f"{method}.png"
        arguments = ["repose", str(tmp_path / "in.png"), str(out), "--yaw", "15", "--quiet"]
        assert cli.run_command([*arguments, "--method", method]) == 0
        shown[method] = read_picture(out)[0].astype(int)
    assert all(np.abs(one - picture).max() > 30 for one in shown.values())
    assert np.abs(shown["mesh"] - shown["affine"]).mean() > 0.5
